import json
import os
import subprocess

import pytest
from support.docker_stub import stub_docker
from support.projects import a_loaded_project

from pesto_stream import __version__
from pesto_stream.errors import ConfigurationError, ProjectError
from pesto_stream.packaging.build import DEFAULT_BASE, build, plan, pushed, write_contexts
from pesto_stream.packaging.engine import BuildOptions, build_words


def test_the_flavour_follows_the_profile(tmp_path):
    files = {"pesto/build/requirements.gpu.json": {}}

    assert plan(a_loaded_project(tmp_path / "1")).dockerfile == "Dockerfile.cpu"
    assert plan(a_loaded_project(tmp_path / "2", files=files, profiles=("gpu",))).dockerfile == "Dockerfile.gpu"


def test_the_base_is_the_callers_else_the_projects_else_the_default(tmp_path):
    files = {"pesto/build/requirements.json": {"dockerBaseImage": "python:3.12"}}

    assert plan(a_loaded_project(tmp_path / "1")).python == DEFAULT_BASE
    assert plan(a_loaded_project(tmp_path / "2", files=files)).python == "python:3.12"
    assert plan(a_loaded_project(tmp_path / "2", files=files), base="mine:1").python == "mine:1"


def test_base_images_on_different_pythons_do_not_share_a_name(tmp_path):
    project = a_loaded_project(tmp_path)
    names = {plan(project, base=base).runtime for base in (None, "a:1", "b:1")}

    assert len(names) == 3
    assert f"pesto-stream:{__version__}-cpu" in names


def test_pestos_names_are_pushed_only_where_no_other_is_given(tmp_path):
    project = a_loaded_project(tmp_path)

    assert pushed(plan(project)) == ("an-algorithm:1.2.3", "an-algorithm:latest")
    assert pushed(plan(project, tags=("r.example/a:1",))) == ("r.example/a:1",)


def test_options_reach_docker_as_arguments_of_their_own():
    words = build_words(
        "x", "Dockerfile", ("a:1",), {"B": "c d"}, BuildOptions(no_cache=True, network="host", proxy="http://p:1")
    )

    assert words[:5] == ["build", "--file", "x/Dockerfile", "--tag", "a:1"]
    assert words[-1] == "x"
    assert words[5:10] == ["--build-arg", "B=c d", "--no-cache", "--network", "host"]
    assert "https_proxy=http://p:1" in words


def test_a_dry_run_writes_both_contexts_and_the_commands(tmp_path):
    todo = plan(a_loaded_project(tmp_path), tags=("r.example/a:1",))
    environment = {"PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    log = stub_docker(tmp_path / "bin")

    write_contexts(todo, tmp_path / "out", BuildOptions())
    subprocess.run([tmp_path / "out/build.sh"], env=environment, check=True)

    first, second = (json.loads(line) for line in log.read_text().splitlines())
    assert first == [
        "build",
        "--file",
        "base/Dockerfile.cpu",
        "--tag",
        todo.runtime,
        "--build-arg",
        f"BASE_IMAGE={DEFAULT_BASE}",
        "base",
    ]
    assert second == ["build", "--file", "project/Dockerfile", *(word for tag in todo.tags for word in ("--tag", tag)), "project"]
    assert f"ARG RUNTIME={todo.runtime}" in (tmp_path / "out/project/Dockerfile").read_text()


def test_a_dry_run_overwrites_nothing(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine").touch()

    with pytest.raises(ConfigurationError, match="not an empty folder"):
        write_contexts(plan(a_loaded_project(tmp_path)), tmp_path / "out", BuildOptions())


def test_a_build_that_fails_is_the_projects_error(tmp_path, monkeypatch):
    stub_docker(tmp_path / "bin", fails="build")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)

    with pytest.raises(ProjectError, match="cannot build 'pesto-stream:"):
        build(plan(a_loaded_project(tmp_path)), BuildOptions())


def test_a_push_that_fails_says_what_to_look_at(tmp_path, monkeypatch):
    log = stub_docker(tmp_path / "bin", fails="push")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)

    with pytest.raises(ConfigurationError, match=r"cannot push 'r\.example/a:1'.*logged in"):
        build(plan(a_loaded_project(tmp_path), tags=("r.example/a:1",)), BuildOptions(), push=True)

    assert [json.loads(line)[0] for line in log.read_text().splitlines()] == ["--version", "version", "build", "build", "push"]


def test_a_docker_without_buildkit_is_passed_over(tmp_path, monkeypatch):
    refused = stub_docker(tmp_path / "new", version="28.1.0", fails="buildx")
    log = stub_docker(tmp_path / "old", version="20.10.24")
    monkeypatch.setenv("PATH", f"{tmp_path / 'new'}{os.pathsep}{tmp_path / 'old'}{os.pathsep}{os.environ['PATH']}")

    build(plan(a_loaded_project(tmp_path)), BuildOptions())

    assert "build" not in [json.loads(line)[0] for line in refused.read_text().splitlines()]
    assert [json.loads(line)[0] for line in log.read_text().splitlines()].count("build") == 2


@pytest.mark.parametrize(
    ("stub", "part"), [(None, "cannot find 'docker'"), ("buildx", "has no BuildKit"), ("version", "cannot run 'docker version")]
)
def test_without_an_engine_the_message_says_what_is_missing(tmp_path, monkeypatch, stub, part):
    (tmp_path / "bin").mkdir()
    if stub:
        stub_docker(tmp_path / "bin", version="28.1.0", fails=stub)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))

    with pytest.raises(ConfigurationError, match=part):
        build(plan(a_loaded_project(tmp_path)), BuildOptions())

"""`pesto-stream build`, up to the engine."""

import json
import os

import pytest
from support.docker_stub import stub_docker
from support.projects import a_project

from pesto_stream.cli.app import main


@pytest.fixture
def docker(tmp_path, monkeypatch):
    log = stub_docker(tmp_path / "bin")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    return log


@pytest.fixture
def run(capfd):
    def _run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            main(["build", *arguments])
        return (end.value.code, *capfd.readouterr())

    return _run


def test_the_names_of_the_image_are_all_that_is_printed(tmp_path, docker, run):
    code, out, _ = run(str(a_project(tmp_path)), "--tag", "r.example/a:1")

    assert (code, out.split()) == (0, ["an-algorithm:1.2.3", "an-algorithm:latest", "r.example/a:1"])


def test_options_reach_the_engine(tmp_path, docker, run):
    run(str(a_project(tmp_path)), "--no-cache", "--network", "host", "--base", "mine:1", "--push", "--tag", "r.example/a:1")

    calls = [json.loads(line) for line in docker.read_text().splitlines()]
    builds = [call for call in calls if call[0] == "build"]
    assert all("--no-cache" in call and "--network" in call for call in builds)
    assert "BASE_IMAGE=mine:1" in builds[0]
    assert calls[-1] == ["push", "r.example/a:1"]


def test_a_dry_run_asks_no_engine(tmp_path, docker, run):
    code, out, _ = run(str(a_project(tmp_path)), "--dry-run", str(tmp_path / "out"))

    assert (code, out) == (0, f"{tmp_path / 'out'}\n")
    assert (tmp_path / "out/build.sh").is_file()
    assert docker.read_text() == ""


def test_a_base_that_cannot_be_used_is_noted(tmp_path, docker, run):
    project = a_project(tmp_path, files={"pesto/build/requirements.json": {"dockerBaseImage": "python:3.8-buster"}})

    _, _, err = run(str(project), "--dry-run", str(tmp_path / "out"))

    assert "Note: 'dockerBaseImage'" in err
    assert "'python:3.8-buster'" in err


@pytest.mark.parametrize(("arguments", "part"), [(("--tag", "--rm"), "'--rm' is no image name"), (("-p", "gqu"), "gqu")])
def test_a_wrong_command_line_exits_with_2(tmp_path, docker, run, arguments, part):
    code, _, err = run(str(a_project(tmp_path)), *arguments)

    assert code == 2
    assert part in err

"""`pesto-stream list`."""

import json
import os

import pytest
from support.docker_stub import stub_docker
from support.projects import a_project

from pesto_stream.cli.app import main

LABELS = {
    f"org.pesto-stream.{key}": value for key, value in {"project": "an-algorithm", "version": "1.2.3", "profiles": "gpu"}.items()
}
IMAGES = [
    {
        "Id": "sha256:1",
        "RepoTags": ["an-algorithm:1.2.3-gpu"],
        "Created": "2026-01-02T03:04:05Z",
        "Size": 5_000_000,
        "Config": {"Labels": LABELS},
    }
]


@pytest.fixture
def run(capsys):
    def _run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            main(["list", *arguments])
        return (end.value.code, *capsys.readouterr())

    return _run


@pytest.fixture
def docker(tmp_path, monkeypatch):
    stub_docker(tmp_path / "bin", images=json.dumps(IMAGES))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)


def test_the_table_has_name_version_profiles_and_size(docker, run):
    code, out, _ = run()

    assert code == 0
    assert all(part in out for part in ("an-algorithm:1.2.3-gpu", "gpu", "5 MB", "2026-01-02 03:04"))
    assert "PROJECT" not in out


def test_json_is_one_document(docker, run, tmp_path):
    a_project(tmp_path / "workspace")

    document = json.loads(run(str(tmp_path / "workspace"), "--json")[1])

    assert [image["profiles"] for image in document["images"]] == [["gpu"]]
    assert [project["name"] for project in document["projects"]] == ["an-algorithm"]


def test_without_an_engine_projects_are_shown_and_the_reason_said(run, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    a_project(tmp_path / "workspace")

    code, out, err = run(str(tmp_path / "workspace"))

    assert code == 0
    assert "an-algorithm" in out
    assert "cannot find 'docker'" in err

import json
import os

import pytest
from support.docker_stub import stub_docker
from support.projects import a_project

from pesto_stream.packaging.catalogue import catalogue, find_projects

LABELS = {
    "org.pesto-stream.project": "an-algorithm",
    "org.pesto-stream.version": "1.2.3",
    "org.pesto-stream.profiles": "gpu,p2",
    "org.pesto-stream.runtime": "0.1.0",
}
IMAGES = [
    {
        "Id": "sha256:1",
        "RepoTags": ["an-algorithm:1"],
        "Created": "2026-01-01T00:00:00Z",
        "Size": 5,
        "Config": {"Labels": LABELS},
    },
    {"Id": "sha256:0", "RepoTags": [], "Created": "2026-03-01T00:00:00Z", "Size": 6, "Config": {"Labels": LABELS}},
    {
        "Id": "sha256:2",
        "RepoTags": ["other:1", "other:latest"],
        "Created": "2026-02-01T00:00:00Z",
        "Size": 6,
        "Config": {"Labels": LABELS | {"org.pesto-stream.project": "other"}},
    },
]


@pytest.fixture
def engine(tmp_path, monkeypatch):
    log = stub_docker(tmp_path / "bin", images=json.dumps(IMAGES))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    return log


def test_named_images_are_found_by_their_label_newest_first(engine):
    found = catalogue(None)

    assert [image.id for image in found.images] == ["sha256:2", "sha256:1"]
    assert found.images[1].profiles == ("gpu", "p2")
    assert found.images[0].names == ("other:1", "other:latest")
    asked = [json.loads(line) for line in engine.read_text().splitlines()]
    assert ["image", "ls", "--quiet", "--no-trunc", "--filter", "label=org.pesto-stream.project"] in asked


def test_with_a_workspace_only_its_projects_images_are_shown(engine, tmp_path):
    a_project(tmp_path / "workspace", files={"pesto/build/requirements.gpu.json": {}})

    found = catalogue(tmp_path / "workspace")

    assert [image.id for image in found.images] == ["sha256:1"]
    assert [(project.image, project.profiles) for project in found.projects] == [("an-algorithm:1.2.3", ("gpu",))]


def test_without_an_engine_the_projects_are_still_listed(tmp_path, monkeypatch):
    a_project(tmp_path / "workspace")
    monkeypatch.setenv("PATH", str(tmp_path))

    found = catalogue(tmp_path / "workspace")

    assert [project.name for project in found.projects] == ["an-algorithm"]
    assert "cannot find 'docker'" in found.engine


def test_a_project_that_cannot_be_read_is_listed_with_the_reason(tmp_path, monkeypatch):
    a_project(tmp_path, files={"pesto/api/input_schema.json": "{"})
    monkeypatch.setenv("PATH", str(tmp_path))

    (project,) = catalogue(tmp_path).projects

    assert "input_schema.json' is not JSON" in project.problem


def test_projects_are_found_at_a_place_and_two_folders_below(tmp_path):
    paths = [a_project(tmp_path / folder, name=name) for folder, name in (("", "a"), ("group", "b"), ("x/y", "c"))]

    assert find_projects(tmp_path) == paths[:2]
    assert find_projects(paths[0]) == paths[:1]

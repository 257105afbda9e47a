import json
import re
import subprocess
import sys

import pytest

from pesto_stream.algorithms.binding import load_algorithm
from pesto_stream.algorithms.project import load_project
from pesto_stream.errors import ConfigurationError
from pesto_stream.packaging.skeleton import TEMPLATES, create_project, default_name


@pytest.fixture(params=TEMPLATES)
def project(request, tmp_path):
    create_project(tmp_path / "My Project", request.param, {}, defaults=True)
    return tmp_path / "My Project"


def test_a_new_project_is_one_and_its_name_is_the_folders(project):
    found = load_project(project)

    assert (found.name, found.version) == ("my-project", "0.1.0")
    load_algorithm(found).on_start()


def test_a_new_project_has_what_a_repository_needs(project):
    names = {
        "README.md",
        ".gitignore",
        "Makefile",
        "algorithm/process.py",
        "pesto/build/requirements.json",
        "pesto/tests/resources/expected_describe.json",
    }

    assert not {name for name in names if not (project / name).is_file()}
    assert list((project / "pesto/tests/resources").glob("test_*/input/image.*"))
    assert not [path for path in project.rglob("*") if path.suffix == ".jinja" or path.name == "copier.yml"]


def test_a_new_projects_own_unit_tests_pass(project):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout


def test_nothing_is_left_of_the_template(project):
    left = [path for path in project.rglob("*") if path.is_file() and re.search(rb"\{\{|\{%", path.read_bytes())]

    assert left == []


def test_answers_are_taken_as_text(tmp_path):
    create_project(tmp_path / "p", "process", {"title": 'A "b" {{ 7 * 7 }}', "version": "2.0"}, defaults=True)

    description = json.loads((tmp_path / "p/pesto/api/description.json").read_text())
    assert (description["title"], description["version"]) == ('A "b" {{ 7 * 7 }}', "2.0")


def test_a_folder_in_use_is_left_alone(tmp_path):
    (tmp_path / "mine").touch()

    with pytest.raises(ConfigurationError, match="not an empty folder"):
        create_project(tmp_path, "process", {}, defaults=True)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize(
    ("template", "answers", "part"),
    [
        ("proces", {}, "did you mean 'process'?"),
        ("common", {}, "there is no template 'common'"),
        ("process", {"nam": "x"}, "did you mean 'name'?"),
        ("process", {"name": "Big Name"}, "expected lower-case"),
        ("process", {"version": "1 2"}, "expected letters"),
    ],
)
def test_a_wrong_answer_leaves_nothing_behind(tmp_path, template, answers, part):
    with pytest.raises(ConfigurationError, match=re.escape(part)):
        create_project(tmp_path / "p", template, answers, defaults=True)
    assert not (tmp_path / "p").exists()


def test_without_a_terminal_the_message_names_the_options(tmp_path, monkeypatch):
    code = "from pathlib import Path; from pesto_stream.packaging.skeleton import create_project; create_project(Path('p'), 'process', {}, defaults=False)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )

    assert "ConfigurationError: there is no terminal to ask on; give --defaults" in done.stderr


@pytest.mark.parametrize(
    ("folder", "name"), [("Cloud Detector", "cloud-detector"), ("a__b", "a-b"), ("---", "algorithm"), ("é", "algorithm")]
)
def test_names_from_folders_are_names_of_images(tmp_path, folder, name):
    assert default_name(tmp_path / folder) == name

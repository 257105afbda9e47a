import json

import pytest
from support.projects import IMAGE, a_project
from typer.testing import CliRunner

from pesto_stream.cli.app import app

SOURCE = """
from dataclasses import dataclass
from pesto.cli.fields import Definition, definition, field, user_definition

@dataclass
class Input:
    image: object = definition(Definition.Image, required=True)
    area: object = user_definition("area")

@dataclass
class Output:
    mask: object = definition(Definition.Image)
"""


def run(*arguments):
    return CliRunner().invoke(app, ["schemagen", *map(str, arguments)])


@pytest.fixture
def project(tmp_path):
    files = {"pesto/api/input_schema.json": None, "pesto/api/user_definitions.gpu.json": {"area": {"type": "number"}}}
    return a_project(tmp_path, input_output=SOURCE, definitions={"area": {"type": "string"}}, files=files)


def test_the_files_are_written_and_then_up_to_date(project):
    written = run(project)
    assert written.exit_code == 0
    assert written.output == "pesto/api/input_schema.json: written\npesto/api/output_schema.json: written\n"
    assert json.loads((project / "pesto/api/input_schema.json").read_text()) == {
        "image": IMAGE,
        "area": {"type": "string"},
        "required": ["image"],
    }
    assert run(project, "--check").exit_code == 0
    assert run(project).output == "pesto/api/input_schema.json: up to date\npesto/api/output_schema.json: up to date\n"


def test_check_prints_what_would_change_writes_nothing_and_exits_with_5(project):
    before = (project / "pesto/api/output_schema.json").read_bytes()
    found = run(project, "--check")
    assert found.exit_code == 5
    assert '+  "area": {' in found.output
    assert "out of date" in found.stderr
    assert not (project / "pesto/api/input_schema.json").exists()
    assert (project / "pesto/api/output_schema.json").read_bytes() == before


def test_a_profile_merges_its_user_definitions(project):
    assert run(project, "-p", "gpu").exit_code == 0
    assert json.loads((project / "pesto/api/input_schema.json").read_text())["area"] == {"type": "number"}


def test_a_mistake_in_the_classes_is_a_message_and_exit_code_2(project):
    (project / "algorithm/input_output.py").write_text("class Input: pass")
    found = run(project)
    assert found.exit_code == 2
    assert found.stderr == "Error: class Input of 'algorithm/input_output.py' is no dataclass; write '@dataclass' above it\n"

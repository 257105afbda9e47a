"""Schemas from dataclasses: PESTO's own types as PESTO writes them, and more than it knows."""

import json
import sys

import pytest
from support.projects import IMAGE, IMAGES, METADATA, METADATAS, POLYGONS, a_project, an_algorithm, an_invocation

from pesto_stream.algorithms.schemagen import generated_schemas
from pesto_stream.errors import AlgorithmError, ProjectError

HEAD = """
from dataclasses import dataclass, field as plain_field
from enum import Enum
from typing import Any, Dict, List, Literal, Optional
import numpy as np
from pesto.cli.fields import Definition, definition, field, user_definition
"""
OUTPUT = """
@dataclass
class Output:
    mask: np.ndarray = definition(Definition.Image, "found")
"""
DEFINITIONS = {"box": {"description": "a rectangle", "type": "object", "properties": {"w": {"type": "number"}}}}


def source_of(fields, before=""):
    body = "\n".join(f"    {line}" for line in fields.strip("\n").splitlines())
    return f"{HEAD}\n{before}\n@dataclass\nclass Input:\n{body}\n\n{OUTPUT}"


def generated(tmp_path, fields, before="", source=None, **parts):
    files = {"pesto/api/input_schema.json": None, "pesto/api/output_schema.json": None, **parts.pop("files", {})}
    given = source_of(fields, before) if source is None else source
    path = a_project(tmp_path, input_output=given, definitions=DEFINITIONS, files=files, **parts)
    return generated_schemas(path)


def input_schema(tmp_path, fields, before="", **parts):
    return generated(tmp_path, fields, before, **parts)[0].generated


def refusal(tmp_path, fields, before="", source=None):
    with pytest.raises(ProjectError) as caught:
        generated(tmp_path, fields, before, source)
    return str(caught.value)


# types


@pytest.mark.parametrize(
    ("field", "schema"),
    [
        ("x: str", {"type": "string"}),
        ("x: int", {"type": "integer"}),
        ("x: float", {"type": "number"}),
        ("x: bool", {"type": "boolean"}),
        ("x: int = 3", {"type": "integer", "default": 3}),
        ("x: Optional[int] = None", {"type": "integer"}),
        ("x: 'int | None' = None", {"type": "integer"}),
        ("x: List[float] = None", {"type": "array", "items": {"type": "number"}}),
        ("x: list[list[str]] = None", {"type": "array", "items": {"type": "array", "items": {"type": "string"}}}),
        ("x: np.ndarray = None", IMAGE),
        ("x: np.array = None", IMAGE),
        ("x: list[np.ndarray] = None", IMAGES),
        ("x: dict = None", METADATA),
        ("x: Dict[str, Any] = plain_field(default_factory=dict)", METADATA),
        ("x: list[dict] = None", METADATAS),
        ("x: Literal['a', 'b'] = 'a'", {"type": "string", "enum": ["a", "b"], "default": "a"}),
        ("x: Literal[1, 2] = 2", {"type": "integer", "enum": [1, 2], "default": 2}),
        ("x: object = definition(Definition.Polygons)", POLYGONS),
        ("x: int = definition(Definition.Image, description='seen')", {**IMAGE, "description": "seen"}),
        ("x: int = field('a count')", {"type": "integer", "description": "a count"}),
        ("x: float = field(description=' spaces ', default=1.5)", {"type": "number", "description": "spaces", "default": 1.5}),
        ("x: object = user_definition('box')", {"type": "object", "properties": {"w": {"type": "number"}}}),
        (
            "x: object = user_definition('box', 'mine')",
            {"description": "mine", "type": "object", "properties": {"w": {"type": "number"}}},
        ),
    ],
)
def test_a_field_becomes_its_schema(tmp_path, field, schema):
    assert input_schema(tmp_path, field) == {"x": schema, "required": []}


def test_only_what_is_said_to_be_required_is(tmp_path):
    fields = "a: int\nb: int = field(required=True)\nc: object = definition(Definition.Image, required=True)"
    assert input_schema(tmp_path, fields)["required"] == ["b", "c"]


NESTED = '''
class Mode(Enum):
    FAST = "fast"
    GOOD = "good"

@dataclass
class Band:
    """One band."""
    name: str
    gain: float = 1.0

@dataclass
class Options:
    """How to look.

    Attributes:
        mode: fast or good,
            whichever
        bands (list): what to take
    """
    bands: List[Band]
    mode: Mode = Mode.FAST
    note: Optional[str] = None
    """A word."""
'''


def test_nested_dataclasses_and_enumerations_become_objects_with_their_texts(tmp_path):
    assert input_schema(tmp_path, "options: Options = None", NESTED)["options"] == {
        "description": "How to look.",
        "type": "object",
        "properties": {
            "bands": {
                "type": "array",
                "items": {
                    "description": "One band.",
                    "type": "object",
                    "properties": {"name": {"type": "string"}, "gain": {"type": "number", "default": 1.0}},
                    "required": ["name"],
                    "additionalProperties": False,
                },
                "description": "what to take",
            },
            "mode": {"type": "string", "enum": ["fast", "good"], "description": "fast or good, whichever", "default": "fast"},
            "note": {"type": "string", "description": "A word."},
        },
        "required": ["bands"],
        "additionalProperties": False,
    }


def test_what_is_generated_is_what_the_algorithm_is_given(tmp_path):
    source = source_of(
        "options: Options = field(required=True)\nmode: Mode = Mode.GOOD\nmodes: List[Mode] = None", NESTED
    ).replace("    mask: np.ndarray", "    options: Options = field()\n    mode: Mode = field()\n    mask: np.ndarray")
    process = """
        from algorithm.input_output import Band, Input, Mode, Options, Output

        class Process:
            def process(self, input: Input) -> Output:
                assert input.options.bands == [Band("red", 2.0), Band("nir")]
                assert input.options.mode is Mode.FAST
                assert input.mode is Mode.GOOD and input.modes == [Mode.FAST]
                return Output(options=Options([Band("x")], Mode.GOOD), mode=Mode.GOOD, mask=None)
    """
    inputs, outputs = (file.generated for file in generated(tmp_path, "", source=source))
    algorithm = an_algorithm(
        tmp_path,
        process=process,
        input_output=source,
        files={"pesto/api/input_schema.json": inputs, "pesto/api/output_schema.json": outputs},
    )
    given = {"bands": [{"name": "red", "gain": 2.0}, {"name": "nir"}]}
    found = algorithm.process(an_invocation(options=given, mode=None, modes=["fast"]))
    assert found["mode"] == "good"
    assert found["options"] == {"bands": [{"name": "x", "gain": 1.0}], "mode": "good", "note": None}


def test_a_value_of_a_nested_class_that_its_class_refuses_is_the_algorithms_error(tmp_path):
    source = source_of("options: Options = field(required=True)", NESTED)
    process = "from algorithm.input_output import Input\nclass Process:\n    def process(self, input: Input): return {}"
    files = {file.file: file.generated for file in generated(tmp_path, "", source=source)}
    algorithm = an_algorithm(tmp_path, process=process, input_output=source, files=files)
    with pytest.raises(AlgorithmError, match="unexpected keyword argument 'bans'"):
        algorithm.process(an_invocation(options={"bans": []}))


def test_annotations_that_are_only_text_are_resolved(tmp_path):
    source = "from __future__ import annotations\n" + source_of("x: Optional[List[int]] = None")
    assert generated(tmp_path, "", source=source)[0].generated["x"] == {"type": "array", "items": {"type": "integer"}}


# texts


def test_docstrings_become_descriptions_and_the_fields_own_words_come_first(tmp_path):
    fields = '''
"""What is
asked.

More.
"""
a: int
"""below"""
b: int = field("by field")
"""below"""
c: int = 1
'''
    schema = input_schema(tmp_path, fields)
    assert schema["description"] == "What is asked.\nMore."
    assert [schema[name].get("description") for name in "abc"] == ["below", "by field", None]


def test_the_docstring_that_python_gives_a_dataclass_is_no_description(tmp_path):
    assert "description" not in input_schema(tmp_path, "a: int")


def test_a_field_named_as_a_key_of_the_whole_is_told_apart(tmp_path):
    fields = '"""About."""\ntitle: str = field(required=True)\ndescription: int = 1\nrequired: int = 2\ntype: int = 3'
    path = a_project(tmp_path, input_output=source_of(fields))
    for file in generated_schemas(path):
        file.write()
    inputs = json.loads((path / "pesto/api/input_schema.json").read_text())
    assert list(inputs["properties"]) == ["title", "description", "required", "type"]
    assert (inputs["required"], inputs["description"]) == (["title"], "About.")
    assert all(file.up_to_date for file in generated_schemas(path))


# files


def test_what_was_written_is_up_to_date_and_a_change_of_the_class_is_not(tmp_path):
    parts = {"source": source_of("a: int\nb: str = 'x'")}
    for file in generated(tmp_path, "", **parts):
        assert not file.up_to_date
        assert file.difference().startswith(f"--- {file.file}\n+++ {file.file} (generated)\n")
        file.write()
    path = tmp_path / "an-algorithm"
    assert all(file.up_to_date and file.difference() == "" for file in generated_schemas(path))
    (path / "algorithm/input_output.py").write_text(source_of("a: float\nb: str = 'x'"))
    stale, fresh = generated_schemas(path)
    assert fresh.up_to_date
    assert not stale.up_to_date
    changed = [line for line in stale.difference().splitlines() if line[:1] in "+-"][2:]
    assert changed == ['-    "type": "integer"', '+    "type": "number"']


def test_pestos_empty_descriptions_are_no_difference(tmp_path):
    files = {
        "pesto/api/input_schema.json": {"a": {"type": "integer", "description": ""}, "required": []},
        "pesto/api/output_schema.json": {"mask": {**IMAGE, "description": "found"}, "required": []},
    }
    assert all(file.up_to_date for file in generated(tmp_path, "a: int = field()", files=files))


def test_what_a_hand_wrote_about_the_whole_is_kept(tmp_path):
    files = {"pesto/api/input_schema.json": {"title": "Mine", "$schema": "http://json-schema.org/draft-07/schema#", "b": {}}}
    schema = input_schema(tmp_path, "a: int", files=files)
    assert schema == {
        "title": "Mine",
        "$schema": "http://json-schema.org/draft-07/schema#",
        "a": {"type": "integer"},
        "required": [],
    }


def test_the_algorithm_itself_is_not_imported(tmp_path):
    assert input_schema(tmp_path, "a: int", process="raise AssertionError")["a"] == {"type": "integer"}
    assert "algorithm" not in sys.modules
    assert "algorithm.input_output" not in sys.modules


# what is refused


@pytest.mark.parametrize(
    ("field", "message"),
    [
        (
            "x: complex",
            "field 'x' of class Input in 'algorithm/input_output.py' has the type 'complex', of which no schema can be made",
        ),
        (
            "x: 'Image'",
            "field 'x' of class Input in 'algorithm/input_output.py' has the type 'Image', of which no schema can be made",
        ),
        ("x: 'int | str' = 1", "of which no schema can be made; expected str, int, float, bool, dict, numpy.ndarray"),
        (
            "x: object = user_definition('bx')",
            "is of the definition 'bx', which 'pesto/api/user_definitions.json' does not have; did you mean 'box'?",
        ),
        ("x: Literal[1, 'a'] = 1", "has the values [1, 'a']; expected texts, or numbers of one type"),
        ("x: object = definition(Definition.Image, default=b'1')", "has the default 'b'1'', which JSON cannot say"),
        ("x: 'List[Input]' = None", "holds its own class Input"),
    ],
)
def test_a_field_of_which_no_schema_can_be_made_is_refused_by_name(tmp_path, field, message):
    assert message in refusal(tmp_path, field)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = 1", "'algorithm/input_output.py' has no class 'Input'"),
        ("class Imput: pass", "has no class 'Input'; did you mean 'Imput'?"),
        ("class Input: pass", "class Input of 'algorithm/input_output.py' is no dataclass; write '@dataclass' above it"),
        ("1 / 0", "cannot import 'algorithm/input_output.py' of project 'an-algorithm': ZeroDivisionError"),
    ],
)
def test_a_file_without_the_classes_is_refused(tmp_path, source, message):
    assert message in refusal(tmp_path, "", source=source)


def test_a_project_without_the_file_is_told_what_it_is_for(tmp_path):
    with pytest.raises(
        ProjectError, match=r"has no file 'algorithm/input_output\.py'; it holds the dataclasses Input and Output"
    ):
        generated_schemas(a_project(tmp_path))

import json
from pathlib import Path

import fastavro
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.builders import IMAGE, IMAGES, a_spec, an_interface

from pesto_stream.errors import ConfigurationError
from pesto_stream.serde.avro_schema import avro_name, avro_schemas, image_records, is_avro_name, original_name

SCHEMAS = Path(__file__).parents[3] / "schemas" / "v1"


def input_schema(definitions=None, required=None, name="cloud-detection", **properties):
    spec = a_spec(an_interface(definitions=definitions, required=required, **properties), name=name)
    schema = avro_schemas(spec)["input"]
    fastavro.parse_schema(schema)
    return schema


def field(schema, name):
    return next(one for one in schema["fields"] if one["name"] == name)


def test_the_root_records_are_named_after_the_algorithm():
    schemas = avro_schemas(a_spec(name="9-cloud detection"))
    assert schemas["input"]["name"] == "pesto._9_cloud_detection.Input"
    assert schemas["output"]["name"] == "pesto._9_cloud_detection.Output"
    assert schemas["input"]["pestoName"] == "9-cloud detection"


def test_scalars_arrays_and_free_form_values_have_their_avro_types():
    schema = input_schema(
        n={"type": "integer"}, x={"type": "number"}, t={"type": "string"}, b={"type": "boolean"},
        xs={"type": "array", "items": {"type": "number"}}, roi={"$ref": "#/definitions/Polygon"}, m={"$ref": "#/definitions/Metadatas"},
    )  # fmt: skip
    json_text = {"type": "string", "pestoType": "json"}
    assert {one["name"]: one["type"] for one in schema["fields"]} == {
        "n": "long",
        "x": "double",
        "t": "string",
        "b": "boolean",
        "xs": {"type": "array", "items": "double"},
        "roi": json_text,
        "m": {"type": "array", "items": json_text},
    }


def test_an_image_is_a_union_written_out_once():
    schema = input_schema(a=IMAGE, b=IMAGE, c=IMAGES, required=["a"])
    assert [one["name"] for one in field(schema, "a")["type"]] == ["pesto.EncodedImage", "pesto.ImageReference", "pesto.Raster"]
    assert field(schema, "b")["type"] == ["null", "pesto.EncodedImage", "pesto.ImageReference", "pesto.Raster"]
    assert field(schema, "c")["type"][1]["items"] == ["pesto.EncodedImage", "pesto.ImageReference", "pesto.Raster"]


def test_what_may_be_left_out_or_null_is_a_union_with_null_and_default_null():
    schema = input_schema(a={"type": "number"}, b={"type": ["number", "null"]}, required=["b"])
    for name in ("a", "b"):
        assert field(schema, name) == {"name": name, "type": ["null", "double"], "default": None}


def test_an_enumeration_of_names_is_an_enum_and_of_other_texts_a_string():
    schema = input_schema(a={"enum": ["low", "high"]}, b={"enum": ["10 m", "20 m"]})
    assert field(schema, "a")["type"] == {"type": "enum", "name": "pesto.cloud_detection.Input_a", "symbols": ["low", "high"]}
    assert field(schema, "b")["type"] == "string"


def test_objects_are_records_named_by_definition_or_place():
    box = {
        "type": "object",
        "properties": {"side": {"type": "integer"}, "inner": {"type": "object", "properties": {"a": {}}}},
        "required": ["side"],
    }
    schema = input_schema(definitions={"Box": box}, a={"$ref": "#/definitions/Box"}, b={"$ref": "#/definitions/Box"}, c=box)
    assert field(schema, "a")["type"]["name"] == "pesto.cloud_detection.Box"
    assert field(schema, "b")["type"] == "pesto.cloud_detection.Box"
    assert field(schema, "c")["type"]["name"] == "pesto.cloud_detection.Input_c"


def test_names_that_would_meet_are_kept_apart():
    definitions = {"Input": {"type": "object", "properties": {"a": {}}}, "Input_x": {"type": "object", "properties": {"b": {}}}}
    schema = input_schema(
        definitions=definitions, x={"type": "object", "properties": {"c": {}}}, y={"$ref": "#/definitions/Input"}, z={"$ref": "#/definitions/Input_x"},
    )  # fmt: skip
    names = [schema["name"], *(one["type"]["name"] for one in schema["fields"])]
    assert len(set(names)) == 4


def test_a_name_that_is_no_avro_name_is_escaped_and_kept_beside():
    schema = input_schema(**{"cloud-cover %": {"type": "number"}, "2x": {"type": "number"}})
    assert [one["name"] for one in schema["fields"]] == ["cloud_x2d_cover_x20__x25_", "_x32_x"]
    assert [one["pestoName"] for one in schema["fields"]] == ["cloud-cover %", "2x"]


@example("_xa-")
@example("_x2d_")
@example("a_xa_xb_-")
@given(st.text(min_size=1) | st.from_regex(r"[a_x0-9-]{1,12}", fullmatch=True))
def test_escaping_gives_an_avro_name_and_can_be_undone(name):
    escaped = avro_name(name)
    assert is_avro_name(escaped)
    assert original_name(escaped) == name


def test_an_empty_property_name_is_refused():
    with pytest.raises(ConfigurationError, match="empty name"):
        input_schema(**{"": {"type": "number"}})


def test_the_shipped_image_schema_is_the_one_in_use():
    assert json.loads((SCHEMAS / "image.avro.json").read_text()) == image_records()

import pytest
from support.builders import IMAGE, IMAGES, an_interface

from pesto_stream.errors import ConfigurationError
from pesto_stream.serde.shapes import ArrayShape, FreeShape, ImageShape, ScalarShape, has_image, shape_of


def shape(schema, definitions=None):
    return shape_of(an_interface(x=schema, definitions=definitions), "input").fields["x"].shape


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (IMAGE, ImageShape()),
        (IMAGES, ArrayShape(ImageShape())),
        ({"type": "array", "items": IMAGE}, ArrayShape(ImageShape())),
        ({"anyOf": [IMAGE]}, ImageShape()),
        ({"anyOf": [IMAGE, {"type": "null"}]}, ImageShape()),
        ({"$ref": "#/definitions/Polygon"}, FreeShape()),
        ({"$ref": "#/definitions/Polygons"}, ArrayShape(FreeShape())),
        ({"$ref": "#/definitions/Metadata"}, FreeShape()),
        ({"type": "number"}, ScalarShape("number")),
        ({"type": ["integer", "null"]}, ScalarShape("integer")),
        ({"enum": ["a", "b"]}, ScalarShape("string", ("a", "b"))),
        ({"type": "string", "enum": ["a"]}, ScalarShape("string", ("a",))),
        ({"enum": [1, "b"]}, FreeShape()),
        ({"type": "object"}, FreeShape()),
        ({"type": "object", "properties": {"a": {}}, "additionalProperties": True}, FreeShape()),
        ({"type": "array"}, FreeShape()),
        ({"type": ["string", "number"]}, FreeShape()),
        ({}, FreeShape()),
    ],
)
def test_a_schema_becomes_the_shape_that_can_be_told_from_it(schema, expected):
    assert shape(schema) == expected


def test_an_image_is_found_through_definitions_of_definitions():
    definitions = {"Pair": {"type": "object", "properties": {"left": {"$ref": "#/definitions/Mine"}}}, "Mine": IMAGE}
    found = shape({"$ref": "#/definitions/Pair"}, definitions)
    assert found.definition == "Pair"
    assert found.fields["left"].shape == ImageShape()
    assert has_image(found)


def test_a_reference_may_point_into_a_definition():
    definitions = {"Box": {"type": "object", "properties": {"a/b": {"type": "integer"}}}}
    assert shape({"$ref": "#/definitions/Box/properties/a~1b"}, definitions) == ScalarShape("integer")


def test_a_definition_that_contains_itself_is_free_form():
    tree = {"Tree": {"type": "object", "properties": {"left": {"$ref": "#/definitions/Tree"}, "n": {"type": "integer"}}}}
    assert shape({"$ref": "#/definitions/Tree"}, tree).fields["left"].shape == FreeShape()


@pytest.mark.parametrize(
    "schema",
    [
        {"oneOf": [IMAGE, {"type": "number"}]},
        {"type": "object", "additionalProperties": IMAGE},
        {"type": "object", "patternProperties": {"^a": IMAGES}},
        {"type": "array", "items": [IMAGE]},
        {"type": "array", "items": {"anyOf": [IMAGE, {"type": "null"}]}},
        {"$ref": "#/definitions/Tree"},
    ],
)
def test_an_image_whose_place_cannot_be_told_is_refused_at_load(schema):
    tree = {"Tree": {"type": "object", "properties": {"image": IMAGE, "next": {"$ref": "#/definitions/Tree"}}}}
    with pytest.raises(ConfigurationError, match=r"input 'x'.*image"):
        shape(schema, tree)


@pytest.mark.parametrize("ref", ["#/definitions/Nothing", "https://geojson.org/schema/Point.json", "#/properties/x", 7])
def test_a_reference_that_leads_nowhere_is_refused_by_name(ref):
    with pytest.raises(ConfigurationError, match=f"input 'x' refers to '{ref}'"):
        shape({"$ref": ref})


def test_optional_and_nullable_are_told_apart():
    fields = shape_of(an_interface(a={"type": "string"}, b={"type": ["string", "null"]}, required=["b"]), "input").fields
    assert (fields["a"].optional, fields["a"].nullable) == (True, False)
    assert (fields["b"].optional, fields["b"].nullable) == (False, True)

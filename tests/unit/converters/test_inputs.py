from dataclasses import replace

import numpy as np
import pytest
from support.builders import CRS, IMAGE, IMAGES, TRANSFORM, a_tile, an_envelope, an_interface
from support.payloads import NoSource, base64_of

from pesto_stream.converters.images import ImageLoader
from pesto_stream.converters.inputs import InputReader
from pesto_stream.converters.limits import Limits
from pesto_stream.errors import ConfigurationError, DecodeError, FetchRefused, ImageError, SchemaError, StoreUnavailable

TILE = a_tile()
TEXT = base64_of(TILE)
NESTED = {"type": "object", "properties": {"mask": IMAGE, "masks": IMAGES, "side": {"type": "integer"}}}


def reader(limits=None, source=None, **properties):
    required = properties.pop("required", [])
    definitions = properties.pop("definitions", None)
    interface = an_interface(required=required, definitions=definitions, **properties)
    return InputReader(interface, limits or Limits(), source or NoSource())


def read(values, **more):
    return reader(**more).invocation(an_envelope(extensions={"sceneid": "S"}), values)


class Source:
    def __init__(self, error=None):
        self.asked = []
        self.error = error

    def read(self, url, window=None):
        self.asked.append((url, window))
        if self.error:
            raise self.error
        return TILE, "image/tiff"


def test_images_are_found_wherever_the_schema_puts_them():
    definitions = {"Mine": IMAGE, "Group": {"type": "object", "properties": {"one": {"$ref": "#/definitions/Mine"}}}}
    values = {
        "image": TEXT,
        "images": [TEXT, TEXT],
        "list": [TEXT],
        "nested": {"mask": TEXT, "masks": [TEXT], "side": 3},
        "groups": [{"one": TEXT}],
    }
    found = read(
        values,
        image=IMAGE,
        images=IMAGES,
        list={"type": "array", "items": IMAGE},
        nested=NESTED,
        groups={"type": "array", "items": {"$ref": "#/definitions/Group"}},
        definitions=definitions,
    )
    inputs = found.inputs
    for array in (
        inputs["image"],
        *inputs["images"],
        *inputs["list"],
        inputs["nested"]["mask"],
        *inputs["nested"]["masks"],
        inputs["groups"][0]["one"],
    ):
        np.testing.assert_array_equal(array, TILE.array)
    assert inputs["nested"]["side"] == 3
    assert len(found.tiles) == 7
    assert found.decoded_bytes == 7 * TILE.array.nbytes
    assert found.image_media_types == ("image/tiff",) * 7


def test_a_text_that_is_no_image_is_left_alone_whatever_it_looks_like():
    assert read({"name": "https://example.org/a.tif"}, name={"type": "string"}).inputs == {"name": "https://example.org/a.tif"}


def test_the_context_is_that_of_the_first_declared_image_and_the_event():
    bare = base64_of(a_tile(height=7, width=2, georeferenced=False))
    context = read({"second": bare, "first": base64_of(a_tile(nodata=3))}, first=IMAGE, second=IMAGE).context
    assert (context.crs, context.transform, context.nodata, context.height, context.width) == (CRS, TRANSFORM, 3.0, 4, 5)
    assert context.attributes["sceneid"] == "S"
    assert context.attributes["id"] == "event-1"


def test_without_images_the_context_has_the_attributes_alone():
    context = read({"n": 1}, n={"type": "integer"}).context
    assert context.crs is None
    assert context.attributes["id"] == "event-1"


@pytest.mark.parametrize("values", [{}, {"image": None, "n": None}])
def test_declared_inputs_that_are_left_out_or_null_are_none(values):
    assert read(values, image=IMAGE, n={"type": "integer"}).inputs == {"image": None, "n": None}


def test_null_counts_as_given_where_the_schema_allows_it():
    assert read({"n": None}, n={"type": ["integer", "null"]}, required=["n"]).inputs == {"n": None}
    with pytest.raises(SchemaError, match="input 'n' is missing"):
        read({"n": None}, n={"type": "integer"}, required=["n"])


def test_an_unknown_input_is_refused_with_its_nearest_neighbour():
    with pytest.raises(DecodeError, match="input 'treshold' is not declared; did you mean 'threshold'"):
        read({"treshold": 1}, threshold={"type": "number"})
    with pytest.raises(DecodeError, match="is not declared: expected one of 'image', 'n'"):
        read({"zzz" * 1_000_000: 1}, image=IMAGE, n={"type": "integer"})


@pytest.mark.parametrize(
    ("schema", "value", "message"),
    [
        (IMAGE, 7, "'7' where an image"),
        (IMAGE, ["x"], "where an image"),
        (IMAGES, TEXT, "where a list was expected"),
        ({"type": "number"}, "high", "'high' where a number was expected"),
        ({"type": "number"}, True, "'true' where a number was expected"),
        ({"type": "integer"}, 1.5, "'1.5' where a whole number was expected"),
        ({"type": "integer"}, 1e30, "whole number of 64 bits"),
        ({"type": "boolean"}, 1, "'1' where true or false was expected"),
        ({"type": "string"}, 1, "'1' where a text was expected"),
        ({"enum": ["a", "b"]}, "c", "'c' where one of 'a', 'b' was expected"),
        ({"type": "array", "items": {"type": "number"}}, {"a": 1}, "where a list was expected"),
        ({"type": "object"}, [], "where an object was expected"),
        ({"type": ["string", "number"]}, [], "where a text or a number was expected"),
        ({"type": "number", "minimum": 2}, 1, "'1' where at least 2 was expected"),
        ({"$ref": "#/definitions/Polygon"}, {"type": "Point", "coordinates": []}, "'Point' where one of 'Polygon'"),
        ({"$ref": "#/definitions/Metadata"}, "x", "where an object was expected"),
        ({"type": "string", "pattern": "^a"}, "b" * 10_000, "does not match"),
    ],
)
def test_a_wrong_value_is_refused_naming_input_value_and_expectation_in_short(schema, value, message):
    with pytest.raises(SchemaError, match=r"^input 'x") as caught:
        read({"x": value}, x=schema)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 300


def test_the_place_of_a_wrong_value_is_named():
    with pytest.raises(SchemaError, match=r"^input 'nested\.masks\[1\]'"):
        read({"nested": {"masks": [TEXT, 3]}}, nested=NESTED)
    with pytest.raises(ImageError, match=r"^input 'images\[1\]': "):
        read({"images": [TEXT, "AAAA"]}, images=IMAGES)


def test_whole_numbers_written_as_floats_become_int():
    found = read(
        {"n": 3.0, "ns": [1.0, 2], "o": {"side": 4.0}},
        n={"type": "integer"},
        ns={"type": "array", "items": {"type": "integer"}},
        o=NESTED,
    )
    assert found.inputs == {"n": 3, "ns": [1, 2], "o": {"side": 4}}
    assert all(type(value) is int for value in (found.inputs["n"], *found.inputs["ns"], found.inputs["o"]["side"]))


def test_nothing_is_decoded_when_another_input_is_wrong():
    source = Source()
    with pytest.raises(SchemaError):
        read({"image": "s3://bucket/a.tif", "n": "x"}, image=IMAGE, n={"type": "integer"}, source=source)
    assert source.asked == []


@pytest.mark.parametrize("url", ["https://example.org/a.tif", "s3://bucket/key", "file:///data/a.tif", "gs://b/k", "http://h/x"])
def test_a_url_goes_to_the_image_source(url):
    source = Source()
    found = read({"image": url}, image=IMAGE, source=source)
    assert source.asked == [(url, None)]
    np.testing.assert_array_equal(found.inputs["image"], TILE.array)


def test_a_refused_url_names_the_input_and_a_store_that_is_down_is_not_the_records_fault():
    with pytest.raises(FetchRefused, match=r"^input 'image': not allowed"):
        read({"image": "http://x/y"}, image=IMAGE, source=Source(FetchRefused("not allowed")))
    with pytest.raises(StoreUnavailable):
        read({"image": "http://x/y"}, image=IMAGE, source=Source(StoreUnavailable("down")))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "AAA",
        TEXT[:-1],
        TEXT + "=",
        TEXT[:40] + "\n" + TEXT[40:],
        TEXT.replace("A", "-", 1),
        "données",
        "data:image/png;base64," + TEXT,
    ],
)
def test_text_that_is_neither_url_nor_strict_base64_is_refused(text):
    with pytest.raises(ImageError, match=r"^input 'image': "):
        read({"image": text}, image=IMAGE)


def test_the_size_of_base64_is_checked_before_it_is_decoded():
    with pytest.raises(ImageError, match=r"encoded image has \d+ bytes: expected at most 30"):
        read({"image": "!" * 1000}, image=IMAGE, limits=Limits(max_encoded_bytes=30))


def test_the_number_of_images_is_limited():
    with pytest.raises(DecodeError, match=r"input 'images\[2\]' is image 3 of the request: expected at most 2"):
        read({"images": [TEXT] * 3}, images=IMAGES, limits=Limits(max_images=2))


def test_the_limit_of_decoded_bytes_is_that_of_all_images_together():
    limits = Limits(max_decoded_bytes=TILE.array.nbytes * 5 // 2)
    assert len(read({"images": [TEXT] * 2}, images=IMAGES, limits=limits).tiles) == 2
    with pytest.raises(ImageError, match=r"input 'images\[2\]'"):
        read({"images": [TEXT] * 3}, images=IMAGES, limits=limits)
    with pytest.raises(ImageError, match=r"input 'images\[2\]'.*of the request"):
        read({"images": ["http://h/x"] * 3}, images=IMAGES, limits=limits, source=Source())


def test_recursive_values_are_checked_as_deep_as_json_may_be():
    tree = {"Tree": {"type": "object", "properties": {"next": {"$ref": "#/definitions/Tree"}}, "additionalProperties": False}}
    value = {"bad": 1}
    for _ in range(Limits().max_json_depth - 2):
        value = {"next": value}
    with pytest.raises(SchemaError, match="'bad' was unexpected"):
        read({"x": value}, x={"$ref": "#/definitions/Tree"}, definitions=tree)


def test_a_schema_that_is_none_is_refused_at_load():
    with pytest.raises(ConfigurationError, match="input schema is not valid"):
        reader(x={"type": "whatever"})


def test_a_loader_keeps_what_it_loaded():
    loader = ImageLoader(Limits(), NoSource())
    loader.load("a", TEXT)
    assert loader.decoded_bytes == TILE.array.nbytes
    assert replace(loader.tiles[0]).crs == CRS

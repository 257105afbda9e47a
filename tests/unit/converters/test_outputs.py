import enum

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.builders import CRS, IMAGE, IMAGES, TRANSFORM, an_interface

from pesto_stream.converters.outputs import OutputReader, georeference_headers, tiles_in
from pesto_stream.errors import EncodeError
from pesto_stream.model.invocation import TileContext
from pesto_stream.model.tile import Tile
from pesto_stream.serde.json_text import dumps

CONTEXT = TileContext(crs=CRS, transform=TRANSFORM, nodata=7.0, height=4, width=5)
ANY = {"type": ["object", "array", "string", "number", "boolean", "null"]}


def read(outputs, context=CONTEXT, required=(), **properties):
    return OutputReader(an_interface(required=required, **properties)).read(outputs, context)


class Level(enum.StrEnum):
    HIGH = "high"


@pytest.mark.parametrize(
    "dtype", ["uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64"]
)
@pytest.mark.parametrize("shape", [(4, 5), (1, 4, 5), (7, 4, 5)])
def test_an_image_keeps_its_dtype_and_has_three_dimensions(dtype, shape):
    array = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    tile = read({"m": array}, m=IMAGE)["m"]
    assert tile.array.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(tile.array.reshape(shape), array)
    assert tile.array.ndim == 3


def test_booleans_become_uint8():
    tile = read({"m": np.array([[True, False]])}, m=IMAGE)["m"]
    assert tile.array.dtype == np.uint8
    assert tile.array.tolist() == [[[1, 0]]]


def test_foreign_byte_order_is_made_native_without_changing_values():
    tile = read({"m": np.array([[1, 256]], ">u2")}, m=IMAGE)["m"]
    assert tile.array.dtype == np.uint16
    assert tile.array.tolist() == [[[1, 256]]]


def test_an_image_of_the_inputs_size_carries_its_place_and_another_does_not():
    values = read(
        {"same": np.zeros((2, 4, 5)), "half": np.zeros((2, 2)), "turned": np.zeros((5, 4))}, same=IMAGE, half=IMAGE, turned=IMAGE
    )
    assert (values["same"].crs, values["same"].transform) == (CRS, TRANSFORM)
    assert (values["half"].crs, values["half"].transform, values["turned"].crs) == (None, None, None)


def test_nodata_is_the_algorithms_and_never_the_inputs():
    assert read({"m": np.zeros((4, 5))}, m=IMAGE)["m"].nodata is None
    context = TileContext(output_nodata=np.float32(-1))
    assert read({"m": np.zeros((4, 5))}, context, m=IMAGE)["m"].nodata == -1.0
    for wrong in ("x", True, [1]):
        with pytest.raises(EncodeError, match="output_nodata"):
            read({"m": np.zeros((4, 5))}, TileContext(output_nodata=wrong), m=IMAGE)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([[1]], "is of type 'list': expected a numpy array"),
        ("text", "is of type 'str'"),
        (np.zeros(3), r"shape '\(3,\)'"),
        (np.zeros((1, 2, 3, 4)), "shape"),
        (np.zeros((0, 4, 5)), "none of them 0"),
        (np.array([[None]]), "dtype 'object'"),
        (np.array([["a"]]), "dtype '<U1'"),
        (np.zeros((2, 2), "complex64"), "dtype 'complex64'"),
        (np.zeros((2, 2), "datetime64[s]"), "dtype 'datetime64"),
    ],
)
def test_what_is_no_image_is_refused_by_name(value, message):
    with pytest.raises(EncodeError, match=f"^output 'mask' .*{message}"):
        read({"mask": value}, mask=IMAGE)
    with pytest.raises(EncodeError, match=rf"^output 'masks\[1\]' .*{message}"):
        read({"masks": [np.zeros((2, 2)), value]}, masks=IMAGES)


@pytest.mark.parametrize("value", [np.zeros((2, 1, 4, 5)), {"a": 1}, "x"])
def test_a_list_of_images_must_be_a_list(value):
    with pytest.raises(EncodeError, match=r"output 'masks' is of type .*: expected a list"):
        read({"masks": value}, masks=IMAGES)


def test_unknown_and_missing_outputs_are_refused_by_name():
    with pytest.raises(EncodeError, match="output 'msk' is not declared; did you mean 'mask'"):
        read({"msk": np.zeros((4, 5))}, mask=IMAGE)
    with pytest.raises(EncodeError, match="output '7' is not declared"):
        read({7: 1}, mask=IMAGE)
    for given_outputs in ({}, {"mask": None}):
        with pytest.raises(EncodeError, match="output 'mask' is missing"):
            read(given_outputs, mask=IMAGE, required=["mask"])


def test_what_may_be_left_out_may_be_none():
    assert read({"mask": None, "n": None}, mask=IMAGE, n={"type": "number"}) == {}


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (np.float32(0.5), 0.5),
        (np.int16(3), 3),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (np.array([1, 2]), [1, 2]),
        (np.array([[1.5]]), [[1.5]]),
        (np.array(["a", "b"]), ["a", "b"]),
        ((1, 2), [1, 2]),
        ({"a": (np.uint8(1),)}, {"a": [1]}),
        (Level.HIGH, "high"),
        (True, True),
    ],
)
def test_numpys_scalars_and_arrays_become_what_json_can_say(value, plain):
    found = read({"x": value}, x=ANY)["x"]
    assert found == plain
    assert dumps(found, "x")


def circle():
    made: list = []
    made.append(made)
    return made


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), np.float32("nan"), np.array([1.0, np.nan]), {"a": [float("-inf")]}, object(), b"bytes", {1: 2}, 2**64, -(2**63) - 1,
     {1, 2}, np.array([None]), np.datetime64("2026-01-01"), circle(), 1j],
)  # fmt: skip
def test_what_json_cannot_say_is_refused_by_name(value):
    with pytest.raises(EncodeError, match=r"^output 'x"):
        read({"x": value}, x=ANY)


def test_the_output_schema_is_held():
    with pytest.raises(EncodeError, match="output 'score': 'high' where a number was expected"):
        read({"score": "high"}, score={"type": "number"})
    with pytest.raises(EncodeError, match=r"output 'boxes\[0\]\.side': '0' where at least 1"):
        read(
            {"boxes": [{"side": 0}]},
            boxes={"type": "array", "items": {"type": "object", "properties": {"side": {"type": "integer", "minimum": 1}}}},
        )


def test_georeference_headers_are_those_of_the_images_that_have_one():
    values = {
        "n": 1,
        "a": [Tile(np.zeros((1, 1, 1)))],
        "b": {"c": Tile(np.zeros((1, 1, 1)), "EPSG:4326", (0.1, 0.0, 1 / 3, 0.0, -0.1, 50.0))},
    }
    assert georeference_headers(values) == (
        ("pesto_crs", b"EPSG:4326"),
        ("pesto_transform", b"0.1 0.0 0.3333333333333333 0.0 -0.1 50.0"),
    )
    assert georeference_headers({"n": 1}) == ()
    assert len(tiles_in(values)) == 2


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=3),
    max_leaves=10,
)


@given(json_values)
def test_every_json_value_passes_unchanged(value):
    assert read({"x": [value]}, x={"type": "array"})["x"] == [value]

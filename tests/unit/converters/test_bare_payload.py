import json

import numpy as np
import pytest
from support.builders import CRS, IMAGE, IMAGES, TRANSFORM, a_spec, a_tile, an_envelope, an_interface
from support.payloads import NoSource

from pesto_stream.converters.image import decode_image, encode_image
from pesto_stream.converters.limits import Limits
from pesto_stream.converters.registry import Converters
from pesto_stream.errors import DecodeError, EnvelopeError, ImageError, SchemaError

TILE = a_tile(georeferenced=False)
INPUT = an_interface(
    image=IMAGE, threshold={"type": "number"}, name={"type": "string"}, mode={"enum": ["1", "2"]}, boxes={"type": "array", "items": {"type": "integer"}},
    options={"type": "object"}, flag={"type": "boolean"}, required=["image"],
)  # fmt: skip
ONE_IMAGE = an_interface(mask=IMAGE, score={"type": "number"}, label={"type": "string"}, required=["mask"])
PNG = "image/png"


def converters(inputs=INPUT, outputs=ONE_IMAGE, **more):
    return Converters(a_spec(inputs, outputs), Limits(), NoSource(), **more)


def bare(tile=TILE, media_type=PNG, **parameters):
    return an_envelope(content_type=media_type, payload=encode_image(tile, media_type), parameters=parameters)


def test_the_other_inputs_are_read_from_headers_by_their_declared_type():
    inputs = (
        converters().decode(bare(threshold="1", name="1", mode="2", boxes="[1, 2]", options='{"a": null}', flag="true")).inputs
    )
    np.testing.assert_array_equal(inputs.pop("image"), TILE.array)
    assert inputs == {"threshold": 1, "name": "1", "mode": "2", "boxes": [1, 2], "options": {"a": None}, "flag": True}


@pytest.mark.parametrize(
    ("header", "error", "message"),
    [
        ({"threshold": "high"}, DecodeError, "input 'threshold' .header 'pesto_threshold': 'high'. is not valid JSON"),
        ({"threshold": '"1"'}, SchemaError, "input 'threshold': '1' where a number"),
        ({"mode": "3"}, SchemaError, "input 'mode'"),
        ({"tresholdd": "1"}, DecodeError, "input 'tresholdd' is not declared; did you mean 'threshold'"),
        ({"options": "[" * 99 + "]" * 99}, DecodeError, "levels deep"),
        ({"image": "http://x/y"}, DecodeError, "header 'pesto_image' gives an image"),
        ({"crs": CRS, "transform": "1 2 3"}, ImageError, "pesto_transform"),
        ({"crs": CRS, "transform": "a b c d e f"}, DecodeError, "pesto_transform"),
        ({"crs": CRS, "transform": "1 2 3 4 5 nan"}, ImageError, "pesto_transform"),
        ({"crs": "x" * 100_000, "transform": "1 2 3 4 5 6"}, DecodeError, "pesto_crs"),
    ],
)
def test_a_wrong_header_is_refused_by_name(header, error, message):
    with pytest.raises(error, match=message):
        converters().decode(bare(**header))


def test_headers_that_a_result_or_dead_letter_left_are_no_inputs():
    found = converters().decode(bare(source_topic="t", source_offset="1", error_type="X", attempts="2"))
    assert found.inputs["threshold"] is None


def test_the_result_of_another_algorithm_is_a_request_though_it_has_outputs_that_are_no_inputs_here():
    result = bare(source_topic="clouds", source_partition="0", source_offset="7", coverage="0.25", threshold="0.5")

    assert converters().decode(result).inputs["threshold"] == 0.5


def test_a_file_without_place_takes_it_from_the_headers_and_one_with_place_keeps_its_own():
    place = {"crs": CRS, "transform": " ".join(map(str, TRANSFORM))}
    context = converters().decode(bare(**place)).context
    assert (context.crs, context.transform) == (CRS, TRANSFORM)
    place["crs"] = "EPSG:4326"
    assert converters().decode(bare(a_tile(), "image/tiff", **place)).context.crs == CRS


@pytest.mark.parametrize(
    ("inputs", "why"),
    [
        (an_interface(a=IMAGE, b=IMAGE), "has 2 required image inputs ('a', 'b')"),
        (an_interface(a={"type": "number"}), "has 0 required image inputs (none)"),
        (an_interface(a=IMAGE, required=[]), "has 0 required image inputs"),
        (an_interface(a=IMAGE, more=IMAGES, required=["a"]), "has images beside 'a' ('more')"),
        (an_interface(images=IMAGES), "has 0 required"),
    ],
)
def test_an_algorithm_that_takes_no_bare_image_says_why(inputs, why):
    with pytest.raises(EnvelopeError) as caught:
        converters(inputs).decode(bare())
    assert why in str(caught.value)
    assert "'image/png'" in str(caught.value)


def test_a_file_of_another_type_than_declared_is_refused():
    envelope = an_envelope(content_type="image/tiff", payload=encode_image(TILE, PNG))
    with pytest.raises(ImageError, match=r"^input 'image': "):
        converters().decode(envelope)


def test_one_image_and_scalars_go_out_as_a_file_and_headers():
    made = converters()
    payload = made.encode(made.decode(bare()), {"mask": TILE.array[0], "score": np.float32(0.5), "label": "é"})
    assert payload.content_type == PNG
    np.testing.assert_array_equal(decode_image(payload.value, PNG, Limits())[0].array, TILE.array[:1])
    assert payload.headers == (("pesto_score", b"0.5"), ("pesto_label", '"é"'.encode()))


def test_a_georeferenced_image_has_its_place_in_the_headers_too():
    made = converters(image_format="png")
    payload = made.encode(made.decode(bare(a_tile(), "image/tiff")), {"mask": TILE.array})
    assert payload.content_type == PNG
    assert dict(payload.headers) == {"pesto_crs": CRS.encode(), "pesto_transform": b"10.0 0.0 300000.0 0.0 -10.0 4900020.0"}
    again = converters().decode(
        an_envelope(
            content_type=PNG,
            payload=payload.value,
            parameters={name.removeprefix("pesto_"): value.decode() for name, value in payload.headers},
        )
    )
    assert (again.context.crs, again.context.transform) == (CRS, TRANSFORM)


@pytest.mark.parametrize(
    ("declared", "outputs"),
    [
        (an_interface(score={"type": "number"}), {"score": 1}),
        (an_interface(a=IMAGE, b=IMAGE), {"a": TILE.array, "b": TILE.array}),
        (an_interface(a=IMAGE, boxes={"type": "array"}), {"a": TILE.array, "boxes": []}),
        (an_interface(a=IMAGE, crs={"type": "string"}), {"a": TILE.array, "crs": "x"}),
        (an_interface(a=IMAGE, n={"type": "number"}, required=["n"]), {"n": 1}),
    ],
)
def test_other_outputs_go_out_as_json(declared, outputs):
    made = converters(outputs=declared)
    payload = made.encode(made.decode(bare()), outputs)
    assert payload.content_type == "application/json"
    assert set(json.loads(payload.value)) == set(outputs)


def test_an_npy_request_gets_npy_back():
    made = converters()
    payload = made.encode(made.decode(bare(a_tile("float64"), "application/x-npy")), {"mask": a_tile("float64").array})
    assert payload.content_type == "application/x-npy"

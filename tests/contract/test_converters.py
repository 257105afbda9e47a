"""What holds for every kind of payload: one suite, run on JSON, Avro (raster and encoded) and bare images."""

import base64
import json
from dataclasses import replace

import numpy as np
import pytest
from support.builders import CRS, IMAGE, TRANSFORM, a_spec, a_tile, an_envelope, an_interface
from support.payloads import NoSource, avro_bytes, avro_output, base64_of, encoded, pixels_of, raster

from pesto_stream.converters.image import decode_image, encode_image
from pesto_stream.converters.limits import Limits
from pesto_stream.converters.registry import Converters
from pesto_stream.errors import RecordError
from pesto_stream.model.envelope import AVRO, JSON, NPY, PNG, TIFF
from pesto_stream.model.tile import Tile

DECLARED = {
    "n": {"type": "integer", "maximum": 10},
    "x": {"type": "number"},
    "t": {"type": "string"},
    "b": {"type": "boolean"},
    "mode": {"enum": ["fast", "slow"]},
    "xs": {"type": "array", "items": {"type": "number"}},
    "area": {"$ref": "#/definitions/Polygon"},
    "notes": {"$ref": "#/definitions/Metadata"},
    "box": {"type": "object", "properties": {"side": {"type": "integer"}}, "required": ["side"]},
}
VALUES = {
    "n": 3, "x": 0.5, "t": "é", "b": True, "mode": "slow", "xs": [1.5, 2.0], "notes": {"a": [None]}, "box": {"side": 2},
    "area": {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]},
}  # fmt: skip
JSON_TEXT = ("area", "notes")
SPEC = a_spec(an_interface(image=IMAGE, **DECLARED, required=["image"]), an_interface(mask=IMAGE, **DECLARED, required=["mask"]))


class Json:
    def request(self, tile, values):
        return an_envelope(content_type=JSON, payload=json.dumps({"image": base64_of(tile), **values}).encode())

    def answer(self, payload):
        values = json.loads(payload.value)
        return decode_image(base64.b64decode(values.pop("mask")), None, Limits())[0], values


class Avro:
    def image(self, tile):
        return encoded(tile)

    def tile(self, record):
        return decode_image(record["data"], record["media_type"], Limits())[0]

    def request(self, tile, values):
        texts = {name: json.dumps(values[name]) for name in JSON_TEXT if name in values}
        return an_envelope(content_type=AVRO, payload=avro_bytes(SPEC, {"image": self.image(tile), **values, **texts}))

    def answer(self, payload):
        values = avro_output(SPEC, payload.value)
        values |= {name: json.loads(values[name]) for name in JSON_TEXT if values[name] is not None}
        return self.tile(values.pop("mask")), {name: value for name, value in values.items() if value is not None}


class AvroRaster(Avro):
    def image(self, tile):
        return raster(tile)

    def tile(self, record):
        transform = None if record["transform"] is None else tuple(record["transform"])
        return Tile(pixels_of(record), record["crs"], transform, record["nodata"])


class Bare:
    """Its outputs with lists go out as JSON; `only_image` says where the file itself is looked at."""

    def request(self, tile, values):
        parameters = {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}
        return an_envelope(content_type=TIFF, payload=encode_image(tile, TIFF), parameters=parameters)

    def answer(self, payload):
        return Json().answer(payload)


KINDS = {"json": Json(), "avro": Avro(), "raster": AvroRaster(), "image": Bare()}


@pytest.fixture(params=KINDS)
def kind(request):
    return KINDS[request.param]


def converters(spec=SPEC):
    return Converters(spec, Limits(), NoSource())


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64"])
@pytest.mark.parametrize("bands", [1, 2, 3, 4, 5])
def test_pixels_dtype_and_place_survive_the_round_trip(kind, dtype, bands):
    tile = a_tile(dtype, bands, nodata=1.0)
    made = converters()
    invocation = made.decode(kind.request(tile, {}))
    assert invocation.inputs["image"].dtype == tile.array.dtype
    np.testing.assert_array_equal(invocation.inputs["image"], tile.array)
    assert (invocation.context.crs, invocation.context.transform, invocation.context.nodata) == (CRS, TRANSFORM, 1.0)
    assert invocation.decoded_bytes == tile.array.nbytes
    back, _ = kind.answer(made.encode(invocation, {"mask": invocation.inputs["image"]}))
    assert back.array.dtype == tile.array.dtype
    np.testing.assert_array_equal(back.array, tile.array)
    assert (back.crs, back.transform, back.nodata) == (CRS, TRANSFORM, None)


@pytest.mark.parametrize("nodata", [0.0, 250.0])
def test_nodata_is_what_the_algorithm_set(kind, nodata):
    made = converters()
    invocation = made.decode(kind.request(a_tile(nodata=3.0), {}))
    invocation.context.output_nodata = nodata
    assert kind.answer(made.encode(invocation, {"mask": a_tile().array}))[0].nodata == nodata


def test_without_a_place_nothing_is_invented(kind):
    made = converters()
    invocation = made.decode(kind.request(a_tile("int16", georeferenced=False), {}))
    assert (invocation.context.crs, invocation.context.transform) == (None, None)
    payload = made.encode(invocation, {"mask": invocation.inputs["image"]})
    back, _ = kind.answer(payload)
    assert (back.crs, back.transform) == (None, None)
    assert payload.headers == ()


def test_every_declared_type_survives_the_round_trip(kind):
    made = converters()
    invocation = made.decode(kind.request(a_tile(), VALUES))
    assert {name: invocation.inputs[name] for name in VALUES} == VALUES
    _, back = kind.answer(made.encode(invocation, {"mask": a_tile().array, **VALUES}))
    assert back == VALUES


def test_inputs_that_are_left_out_are_none(kind):
    inputs = converters().decode(kind.request(a_tile(), {})).inputs
    assert {name: inputs[name] for name in DECLARED} == dict.fromkeys(DECLARED)


def test_a_payload_cut_anywhere_is_an_error_of_the_record(kind):
    whole = kind.request(a_tile(), {"n": 1})
    made = converters()
    for end in range(len(whole.payload)):
        with pytest.raises(RecordError):
            made.decode(replace(whole, payload=whole.payload[:end]))


WRONG_JSON = {
    "n": "x",
    "x": [],
    "t": 7,
    "b": "yes",
    "mode": "other",
    "xs": {"a": 1},
    "area": {"type": "Point"},
    "notes": [1],
    "box": {"side": "x"},
    "image": 7,
}
WRONG_AVRO = {"n": 11, "area": {"type": "Point"}, "notes": [1]}
WRONG_BARE = {name: value for name, value in WRONG_JSON.items() if name not in ("t", "image")}


@pytest.mark.parametrize(
    ("kind_name", "name"),
    [("json", name) for name in WRONG_JSON] + [("avro", name) for name in WRONG_AVRO] + [("raster", name) for name in WRONG_AVRO]
    + [("image", name) for name in WRONG_BARE],
)  # fmt: skip
def test_a_wrong_value_of_each_declared_input_is_an_error_that_names_it(kind_name, name):
    wrong = {"json": WRONG_JSON, "image": WRONG_BARE}.get(kind_name, WRONG_AVRO)[name]
    with pytest.raises(RecordError, match=f"input '{name}") as caught:
        converters().decode(KINDS[kind_name].request(a_tile(), {name: wrong}))
    assert len(str(caught.value)) < 400


def test_an_image_that_is_none_is_an_error_that_names_its_input():
    no_image = b"no image at all"
    requests = [
        an_envelope(content_type=JSON, payload=json.dumps({"image": base64.b64encode(no_image).decode()}).encode()),
        an_envelope(
            content_type=AVRO, payload=avro_bytes(SPEC, {"image": ("pesto.EncodedImage", {"data": no_image, "media_type": PNG})})
        ),
        an_envelope(content_type=AVRO, payload=avro_bytes(SPEC, {"image": raster(a_tile(), data=no_image)})),
        an_envelope(content_type=NPY, payload=no_image),
    ]
    for request in requests:
        with pytest.raises(RecordError, match=r"^input 'image': "):
            converters().decode(request)

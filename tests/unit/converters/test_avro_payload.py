import io
import json

import fastavro
import numpy as np
import pytest
from support.builders import CRS, IMAGE, IMAGES, TRANSFORM, a_spec, a_tile, an_envelope, an_interface
from support.payloads import NoSource, avro_bytes, avro_envelope, avro_output, encoded, pixels_of, raster

from pesto_stream.converters.image import decode_image
from pesto_stream.converters.limits import Limits
from pesto_stream.converters.registry import Converters
from pesto_stream.errors import DecodeError, EncodeError, ImageError, SchemaError
from pesto_stream.model.tile import Window
from pesto_stream.serde.avro_schema import avro_schemas

TILE = a_tile("int16", nodata=-99.0)
OPTIONS = {
    "type": "object",
    "properties": {"a-b": {"type": "string"}, "n": {"type": "integer"}, "mask": IMAGE},
    "required": ["n"],
}
SPEC = a_spec(
    an_interface(
        image=IMAGE, images=IMAGES, threshold={"type": "number"}, mode={"enum": ["fast", "slow"]}, options=OPTIONS,
        area={"$ref": "#/definitions/Polygon"}, notes={"$ref": "#/definitions/Metadatas"}, free={}, required=["image"],
    ),
    an_interface(mask=IMAGE, n={"type": "integer"}, x={"type": "number"}, options=OPTIONS, area={"$ref": "#/definitions/Polygon"},
                 masks=IMAGES, level={"enum": ["low", "high"]}, flags={"type": "array", "items": {"type": "boolean"}}, required=[]),
)  # fmt: skip
POLYGON = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}


class Source:
    def __init__(self):
        self.asked = []

    def read(self, url, window=None):
        self.asked.append((url, window))
        return TILE, "image/tiff"


def converters(spec=SPEC, source=None, limits=None, **more):
    return Converters(spec, limits or Limits(), source or NoSource(), **more)


def decode(datum, **more):
    return converters(**more).decode(avro_envelope(SPEC, datum))


def test_a_raster_is_the_array_and_its_place():
    found = decode({"image": raster(TILE)})
    np.testing.assert_array_equal(found.inputs["image"], TILE.array)
    assert (found.context.crs, found.context.transform, found.context.nodata) == (CRS, TRANSFORM, -99.0)
    assert found.image_media_types == ("raster",)
    assert found.payload_schema.startswith("fingerprint ")


def test_an_encoded_image_is_decoded_as_its_type_says():
    np.testing.assert_array_equal(decode({"image": encoded(TILE)}).inputs["image"], TILE.array)
    with pytest.raises(ImageError, match=r"^input 'image': .*declared as 'image/png'"):
        decode({"image": ("pesto.EncodedImage", {**encoded(TILE)[1], "media_type": "image/png"})})


def test_a_reference_goes_to_the_source_with_its_window():
    source = Source()
    window = {"column": 1, "row": 2, "width": 3, "height": 4}
    decode(
        {
            "image": ("pesto.ImageReference", {"url": "s3://b/k", "window": window}),
            "images": [("pesto.ImageReference", {"url": "u", "window": None})],
        },
        source=source,
    )
    assert source.asked == [("s3://b/k", Window(1, 2, 3, 4)), ("u", None)]


@pytest.mark.parametrize("change", [{"column": -1}, {"row": -1}, {"width": 0}, {"height": -(2**63)}])
def test_a_window_that_is_none_is_refused_before_anything_is_fetched(change):
    window = {"column": 1, "row": 2, "width": 3, "height": 4} | change
    with pytest.raises(ImageError, match="input 'image': window"):
        decode({"image": ("pesto.ImageReference", {"url": "s3://b/k", "window": window})})


def test_values_of_every_kind_arrive_under_their_declared_names():
    found = decode({
        "image": raster(TILE), "threshold": 0.5, "mode": "slow", "options": {"a_x2d_b": "t", "n": 4, "mask": raster(TILE)},
        "area": json.dumps(POLYGON), "notes": ['{"a": 1}', "{}"], "free": "[1, null]",
    })  # fmt: skip
    inputs = found.inputs
    assert inputs["options"].pop("mask").shape == TILE.array.shape
    assert {name: value for name, value in inputs.items() if name != "image"} == {
        "images": None, "threshold": 0.5, "mode": "slow", "options": {"a-b": "t", "n": 4}, "area": POLYGON, "notes": [{"a": 1}, {}], "free": [1, None],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"), [("{", "input 'area' is not valid JSON"), ("[" * 99 + "]" * 99, "levels deep"), ("", "not valid JSON")]
)
def test_json_text_is_as_untrusted_as_a_json_payload(text, message):
    with pytest.raises(DecodeError, match=message):
        decode({"image": raster(TILE), "area": text})


def test_json_text_is_held_against_the_schema():
    with pytest.raises(SchemaError, match=r"input 'area\.type'"):
        decode({"image": raster(TILE), "area": '{"type": "Point", "coordinates": []}'})


def test_a_record_of_another_algorithm_is_refused_by_its_fingerprint():
    other = a_spec(an_interface(image=IMAGE), name="other")
    with pytest.raises(DecodeError, match="was written with the schema of fingerprint"):
        converters().decode(avro_envelope(other, {"image": raster(TILE)}))


def test_outputs_of_every_kind_are_written_under_avro_names():
    made = converters()
    invocation = made.decode(avro_envelope(SPEC, {"image": raster(TILE)}))
    invocation.context.output_nodata = 0
    outputs = {
        "mask": TILE.array, "n": np.int32(3), "x": 2, "options": {"a-b": "t", "n": 4.0}, "area": POLYGON, "masks": [TILE.array[0] > 0, TILE.array],
        "level": "high", "flags": [True, np.bool_(False)],
    }  # fmt: skip
    payload = made.encode(invocation, outputs)
    datum = avro_output(SPEC, payload.value)
    assert payload.content_type == "application/avro"
    np.testing.assert_array_equal(pixels_of(datum["mask"]), TILE.array)
    assert (datum["mask"]["crs"], tuple(datum["mask"]["transform"]), datum["mask"]["nodata"]) == (CRS, TRANSFORM, 0.0)
    assert [one["dtype"] for one in datum["masks"]] == ["uint8", "int16"]
    assert (datum["n"], datum["x"], datum["level"], datum["flags"]) == (3, 2.0, "high", [True, False])
    assert datum["options"] == {"a_x2d_b": "t", "n": 4, "mask": None}
    assert json.loads(datum["area"]) == POLYGON


def test_images_are_encoded_where_the_request_had_no_raster_or_the_settings_say_so():
    for request, image_format, media_type in (
        (encoded(TILE), "auto", "image/tiff"),
        (raster(TILE), "tiff", "image/tiff"),
        (raster(TILE), "npy", "application/x-npy"),
    ):
        made = converters(image_format=image_format)
        payload = made.encode(made.decode(avro_envelope(SPEC, {"image": request})), {"mask": TILE.array})
        mask = avro_output(SPEC, payload.value)["mask"]
        assert mask["media_type"] == media_type
        np.testing.assert_array_equal(decode_image(mask["data"], media_type, Limits())[0].array, TILE.array)


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ({"n": 2**63}, "output 'n': '9223372036854775808' where Avro's long"),
        ({"options": {"n": 1, "more": 2}}, "output 'options.more' is not in the Avro schema"),
        ({"mask": np.zeros((2, 2), "float16")}, "output 'mask': a raster cannot hold dtype 'float16'"),
    ],
)
def test_what_the_schema_cannot_hold_is_an_error_that_names_the_output(outputs, message):
    made = converters()
    with pytest.raises(EncodeError, match=message):
        made.encode(made.decode(avro_envelope(SPEC, {"image": raster(TILE)})), outputs)


def test_with_a_registry_a_foreign_writers_schema_is_resolved_and_results_are_framed_with_an_id():
    schema = avro_schemas(SPEC)["input"]
    foreign = {**schema, "fields": [schema["fields"][0], {"name": "extra", "type": "string"}]}

    class Registry:
        subjects: list = []  # noqa: RUF012 - one test's own

        def schema_by_id(self, schema_id):
            return foreign

        def register(self, subject, schema):
            self.subjects.append((subject, schema))
            return 12

    made = converters(registry=Registry(), output_subject="out-value")
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, fastavro.parse_schema(foreign), {"image": raster(TILE), "extra": "x"})
    invocation = made.decode(an_envelope(content_type="application/avro", payload=b"\0\0\0\0\5" + stream.getvalue()))
    np.testing.assert_array_equal(invocation.inputs["image"], TILE.array)
    assert invocation.payload_schema == "registry id 5"
    assert made.encode(invocation, {"n": 1}).value[:5] == b"\0\0\0\0\x0c"
    assert Registry.subjects == [("out-value", avro_schemas(SPEC)["output"])]
    assert made.decode(an_envelope(content_type="application/avro", payload=avro_bytes(SPEC, {"image": raster(TILE)}))).inputs[
        "image"
    ].shape == (3, 4, 5)

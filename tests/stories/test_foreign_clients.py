"""Somebody else's producer and consumer on a real Kafka: each kind of payload in, results that rasterio opens out."""

import base64
import io
import json
import subprocess
import sys

import fastavro
import numpy as np
import pytest
import rasterio
from rasterio.io import MemoryFile
from rasterio.transform import Affine
from support.foreign import ForeignConsumer, ForeignProducer, headers_of
from support.member import Member
from support.projects import IMAGE, NUMBER, a_project
from support.topics import Topics, unique_name

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

PROCESS = """
    class Process:
        def process(self, image, gain=None):
            return {"image": image * image.dtype.type(gain or 1), "mean": float(image.mean())}
"""
TRANSFORM = Affine(10, 0, 500000, 0, -10, 4600000)
CRS = "EPSG:32631"
PIXELS = np.random.default_rng(1).integers(0, 10000, (4, 64, 48)).astype("uint16")


def geotiff(pixels=PIXELS, **changes):
    profile = {
        "driver": "GTiff",
        "count": pixels.shape[0],
        "height": pixels.shape[1],
        "width": pixels.shape[2],
        "dtype": pixels.dtype,
    }
    with MemoryFile() as file:
        with file.open(**{**profile, "crs": CRS, "transform": TRANSFORM, **changes}) as dataset:
            dataset.write(pixels)
        return file.read()


def npy(pixels):
    out = io.BytesIO()
    np.save(out, pixels)
    return out.getvalue()


@pytest.fixture(scope="module")
def wire(kafka, tmp_path_factory):
    """A runtime on its topics, with a foreign producer and consumer."""
    folder = tmp_path_factory.mktemp("wire")
    (folder / "images").mkdir()
    (folder / "images" / "scene.tif").write_bytes(geotiff(tiled=True, blockxsize=16, blockysize=16))
    project = a_project(
        folder,
        process=PROCESS,
        inputs={"image": IMAGE, "gain": NUMBER},
        outputs={"image": IMAGE, "mean": NUMBER},
        name="gain",
        version="2.0",
    )
    topics = Topics(kafka)
    names = tuple(topics.create(2, label=label) for label in ("in", "out", "dead"))
    allowed = f'["file://{folder}/images/"]'
    with Member(project, folder, kafka, group=unique_name("gain"), topics=names, urls__allow=allowed) as member:
        member.wait_ready()
        yield Wire(kafka, names, project, folder)
    topics.delete_all()


class Wire:
    def __init__(self, kafka, topics, project, folder):
        self.kafka, self.topics, self.project, self.folder = kafka, topics, project, folder
        self.producer = ForeignProducer(kafka)

    def ask(self, value, *, key=b"k", **headers):
        """Send one record, and read its result."""
        mark = unique_name("mark")
        named = {name.replace("content_type", "content-type"): text for name, text in headers.items()}
        self.producer.send(self.topics[0], value, [*named.items(), ("ce_correlationid", mark)], key=key)
        self.producer.flush()
        with ForeignConsumer(self.kafka, self.topics[1], self.topics[2]) as consumer:
            mine = lambda got: [m for m in got if headers_of(m).get("ce_correlationid") == mark]  # noqa: E731
            answer = mine(consumer.until(lambda got: bool(mine(got)), "the result"))[0]
        assert answer.topic() == self.topics[1], headers_of(answer)
        return answer

    def avro_schemas(self):
        command = [sys.executable, "-m", "pesto_stream", "schema", str(self.project), "--avro"]
        return json.loads(subprocess.run(command, check=True, capture_output=True, timeout=60).stdout)


def opened(data):
    """Pixels, CRS, transform and dtype as rasterio reads them."""
    with MemoryFile(data) as file, file.open() as dataset:
        return dataset.read(), dataset.crs, dataset.transform, dataset.dtypes[0]


def check_image(data, gain):
    pixels, crs, transform, dtype = opened(data)
    assert crs == rasterio.crs.CRS.from_string(CRS)
    assert transform == TRANSFORM
    assert dtype == "uint16"
    np.testing.assert_array_equal(pixels, PIXELS * np.uint16(gain))


def test_a_bare_geotiff_comes_back_as_a_geotiff_with_its_crs_dtype_and_pixels(wire):
    answer = wire.ask(geotiff(), content_type="image/tiff", pesto_gain="2", key=b"tile-1")

    headers = headers_of(answer)
    check_image(answer.value(), 2)
    assert answer.key() == b"tile-1"
    assert headers["content-type"] == "image/tiff"
    assert float(headers["pesto_mean"]) == pytest.approx(PIXELS.mean())
    assert headers["pesto_crs"] == CRS
    assert [float(number) for number in headers["pesto_transform"].split()] == list(TRANSFORM)[:6]


def test_the_result_is_a_cloud_event_with_the_inputs_attributes(wire):
    event = {
        "ce_specversion": "1.0",
        "ce_id": "tile-77",
        "ce_source": "/sensor/a",
        "ce_type": "tile",
        "ce_subject": "scene/77",
        "ce_sceneid": "scene",
        "ce_tileindex": "77",
        "ce_tilecount": "100",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    }
    first = headers_of(wire.ask(geotiff(), content_type="image/tiff", **event))
    again = headers_of(wire.ask(geotiff(), content_type="image/tiff", **event))
    other = headers_of(wire.ask(geotiff(), content_type="image/tiff", **{**event, "ce_id": "tile-78"}))

    for name in ("ce_subject", "ce_sceneid", "ce_tileindex", "ce_tilecount", "traceparent"):
        assert first[name] == event[name]
    assert first["ce_specversion"] == "1.0"
    assert first["ce_source"] == "/pesto/gain/2.0"
    assert first["ce_type"] == "pesto.result"
    assert first["ce_time"].endswith("Z")
    assert first["ce_id"] == again["ce_id"] != other["ce_id"]


def test_json_with_base64_comes_back_as_json(wire):
    request = {"image": base64.b64encode(geotiff()).decode(), "gain": 3}

    answer = wire.ask(json.dumps(request).encode(), content_type="application/json")

    result = json.loads(answer.value())
    check_image(base64.b64decode(result["image"]), 3)
    assert result["mean"] == pytest.approx(PIXELS.mean())


def test_json_with_a_url_reads_the_file(wire):
    request = {"image": f"file://{wire.folder}/images/scene.tif", "gain": 1}

    answer = wire.ask(json.dumps(request).encode(), content_type="application/json; charset=utf-8")

    check_image(base64.b64decode(json.loads(answer.value())["image"]), 1)


def test_a_bare_npy_comes_back_as_npy(wire):
    answer = wire.ask(npy(PIXELS.astype("float64")), content_type="application/x-npy")

    result = np.load(io.BytesIO(answer.value()))
    assert result.dtype == np.float64
    np.testing.assert_array_equal(result, PIXELS)


def test_a_bare_png_of_three_bands_comes_back_as_png(wire):
    pixels = PIXELS[:3].astype("uint8")
    png = geotiff(pixels, driver="PNG", crs=None, transform=None)

    answer = wire.ask(png, content_type="image/png")

    assert headers_of(answer)["content-type"] == "image/png"
    result, crs, _, dtype = opened(answer.value())
    assert crs is None
    assert dtype == "uint8"
    np.testing.assert_array_equal(result, pixels)


def single_object(schema, datum):
    parsed = fastavro.parse_schema(schema)
    out = io.BytesIO(
        b"\xc3\x01" + bytes.fromhex(fastavro.schema.fingerprint(fastavro.schema.to_parsing_canonical_form(schema), "CRC-64-AVRO"))
    )
    out.seek(0, io.SEEK_END)
    fastavro.schemaless_writer(out, parsed, datum)
    return out.getvalue()


def read_single_object(schema, data):
    assert data[:2] == b"\xc3\x01"
    return fastavro.schemaless_reader(io.BytesIO(data[10:]), fastavro.parse_schema(schema), None, return_record_name=True)


RASTER = {
    "dtype": "uint16",
    "shape": [4, 64, 48],
    "data": PIXELS.tobytes(),
    "crs": CRS,
    "transform": list(TRANSFORM)[:6],
    "nodata": None,
}


def test_an_avro_raster_comes_back_as_a_raster_with_its_place(wire):
    schemas = wire.avro_schemas()

    answer = wire.ask(
        single_object(schemas["input"], {"image": ("pesto.Raster", RASTER), "gain": 2.0}), content_type="application/avro"
    )

    result = read_single_object(schemas["output"], answer.value())
    name, raster = result["image"]
    assert name == "pesto.Raster"
    assert (raster["dtype"], raster["shape"], raster["crs"]) == ("uint16", [4, 64, 48], CRS)
    assert raster["transform"] == list(TRANSFORM)[:6]
    np.testing.assert_array_equal(np.frombuffer(raster["data"], "<u2").reshape(4, 64, 48), PIXELS * 2)
    assert result["mean"] == pytest.approx(PIXELS.mean())


def test_avro_with_encoded_bytes_comes_back_as_an_encoded_image(wire):
    schemas = wire.avro_schemas()
    image = ("pesto.EncodedImage", {"data": geotiff(), "media_type": "image/tiff"})

    answer = wire.ask(single_object(schemas["input"], {"image": image, "gain": None}), content_type="application/avro")

    name, encoded = read_single_object(schemas["output"], answer.value())["image"]
    assert (name, encoded["media_type"]) == ("pesto.EncodedImage", "image/tiff")
    check_image(encoded["data"], 1)


def test_avro_with_a_reference_reads_only_the_window(wire):
    schemas = wire.avro_schemas()
    window = {"column": 8, "row": 16, "width": 24, "height": 32}
    image = ("pesto.ImageReference", {"url": f"file://{wire.folder}/images/scene.tif", "window": window})

    answer = wire.ask(single_object(schemas["input"], {"image": image, "gain": None}), content_type="application/avro")

    _, encoded = read_single_object(schemas["output"], answer.value())["image"]
    pixels, _, transform, _ = opened(encoded["data"])
    np.testing.assert_array_equal(pixels, PIXELS[:, 16:48, 8:32])
    assert transform == TRANSFORM @ Affine.translation(8, 16)

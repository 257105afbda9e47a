import base64
import json
from datetime import UTC, datetime

import numpy as np
import pytest
from support.projects import IMAGE, IMAGES, INTEGER, METADATA, NUMBER, STRING, a_loaded_project, a_project
from typer.testing import CliRunner

from pesto_stream.broker.memory import MemoryBroker
from pesto_stream.cli import send as send_command
from pesto_stream.cli.request import Address, RequestBuilder
from pesto_stream.converters.image import encode_image
from pesto_stream.converters.limits import Limits
from pesto_stream.converters.registry import Converters
from pesto_stream.errors import BrokerUnavailable, ConfigurationError, DecodeError, ImageError, SchemaError
from pesto_stream.model.record import ConsumerRecord
from pesto_stream.model.tile import Tile
from pesto_stream.serde import cloudevents

PIXELS = np.arange(24, dtype=np.uint16).reshape(2, 3, 4)
ADDRESS = Address("tiles", "id-1", datetime(2026, 1, 2, tzinfo=UTC))


class NoSource:
    def __init__(self):
        self.urls = []

    def read(self, url, window=None):
        self.urls.append((url, window))
        return Tile(np.zeros((1, 2, 2), np.uint8)), "image/tiff"


def spec_of(folder, **inputs):
    return a_loaded_project(folder, inputs=inputs).spec


@pytest.fixture
def spec(tmp_path):
    return spec_of(tmp_path, image=IMAGE, threshold=NUMBER, label=STRING, roi=METADATA)


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "tile.bin"
    path.write_bytes(encode_image(Tile(PIXELS, "EPSG:32631", (10.0, 0.0, 5.0, 0.0, -10.0, 6.0)), "image/tiff"))
    return path


def request(spec, kind, *arguments, address=ADDRESS):
    builder = RequestBuilder(spec, Limits())
    return builder.record(builder.values(arguments), kind, address)


def understood(spec, record, source=None):
    """What the runtime makes of it."""
    envelope = cloudevents.parse(ConsumerRecord("tiles", 0, 0, record.key, record.value, record.headers), None)
    return Converters(spec, Limits(), source or NoSource()).decode(envelope)


@pytest.mark.parametrize("kind", ["json", "avro", "image"])
def test_each_kind_says_the_same(spec, image, kind):
    record = request(spec, kind, f"image=@{image}", "threshold=0.3", "label=clear sky", 'roi={"a": [1]}')
    invocation = understood(spec, record)
    assert np.array_equal(invocation.inputs["image"], PIXELS)
    assert {name: invocation.inputs[name] for name in ("threshold", "label", "roi")} == {
        "threshold": 0.3,
        "label": "clear sky",
        "roi": {"a": [1]},
    }
    assert invocation.context.crs == "EPSG:32631"


def test_a_request_is_a_whole_cloud_event(spec, image):
    address = Address("tiles", "id-1", ADDRESS.time, "k", "scene-7", "c-3")
    record = request(spec, "image", f"image=@{image}", address=address)
    envelope = cloudevents.parse(ConsumerRecord("tiles", 0, 0, record.key, record.value, record.headers), None)
    assert envelope.is_cloud_event
    assert (envelope.id, envelope.source, envelope.type) == ("id-1", "/pesto/send", "pesto.request")
    assert (envelope.scene_id, envelope.correlation_id, envelope.time) == ("scene-7", "c-3", "2026-01-02T00:00:00.000Z")
    assert envelope.content_type == "image/tiff"
    assert record.key == b"k"
    assert request(spec, "json", f"image=@{image}").key == b"id-1"


@pytest.mark.parametrize("kind", ["json", "avro"])
def test_a_url_is_named_and_not_read(spec, kind):
    source = NoSource()
    understood(spec, request(spec, kind, "image=s3://bucket/t.tif"), source)
    assert source.urls == [("s3://bucket/t.tif", None)]


@pytest.mark.parametrize("kind", ["json", "avro"])
def test_a_list_of_images_is_its_name_several_times(tmp_path, image, kind):
    spec = spec_of(tmp_path, images=IMAGES, n=INTEGER)
    invocation = understood(spec, request(spec, kind, f"images=@{image}", "images=http://h/i", f"images=@{image}", "n=3"))
    assert [one.shape for one in invocation.inputs["images"]] == [(2, 3, 4), (1, 2, 2), (2, 3, 4)]


@pytest.mark.parametrize("kind", ["json", "avro", "image"])
def test_inputs_may_come_from_files(spec, image, tmp_path, kind):
    (tmp_path / "inputs.json").write_text(json.dumps({"threshold": 0.5, "roi": None}))
    (tmp_path / "label.txt").write_text("é")
    (tmp_path / "roi.json").write_text('{"b": 2}')
    files = (f"@{tmp_path}/inputs.json", f"label=@{tmp_path}/label.txt", f"roi=@{tmp_path}/roi.json")
    invocation = understood(spec, request(spec, kind, *files, f"image=@{image}"))
    assert (invocation.inputs["threshold"], invocation.inputs["label"], invocation.inputs["roi"]) == (0.5, "é", {"b": 2})


def test_base64_in_a_json_file_is_an_image(spec, image, tmp_path):
    (tmp_path / "inputs.json").write_text(json.dumps({"image": base64.b64encode(image.read_bytes()).decode()}))
    for kind in ("json", "avro"):
        invocation = understood(spec, request(spec, kind, f"@{tmp_path}/inputs.json"))
        assert np.array_equal(invocation.inputs["image"], PIXELS)


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        (["threshold"], ConfigurationError, "expected name=value"),
        (["treshold=1"], ConfigurationError, "did you mean 'threshold'"),
        (["image=tile.tif"], ConfigurationError, "image=@file"),
        (["image=@gone.tif"], ConfigurationError, "cannot read 'gone.tif'"),
        (["image=@{text}"], ConfigurationError, "no TIFF, PNG"),
        (["image=@{image}", "threshold=high"], DecodeError, "input 'threshold' is not valid JSON"),
        (["image=@{image}", 'threshold="1"'], SchemaError, "threshold"),
        (["threshold=1"], SchemaError, "input 'image' is missing"),
        (["image=@{broken}"], ImageError, "input 'image'"),
        (["@{text}"], DecodeError, "not valid JSON"),
        (["@{list}"], ConfigurationError, "expected a JSON object"),
    ],
)
@pytest.mark.parametrize("kind", ["json", "avro", "image"])
def test_a_request_that_the_runtime_would_refuse_is_not_made(spec, image, tmp_path, kind, arguments, error, said):
    places = {name: tmp_path / name for name in ("text", "broken", "list")}
    places["text"].write_text("hello")
    places["broken"].write_bytes(image.read_bytes()[:60])
    places["list"].write_text("[]")
    with pytest.raises(error, match=said):
        request(spec, kind, *(argument.format(image=image, **places) for argument in arguments))


def test_a_bare_image_needs_one_file(spec, tmp_path, image):
    with pytest.raises(ConfigurationError, match="0 image files"):
        request(spec, "image", "image=http://h/i")
    two = spec_of(tmp_path / "two", a=IMAGE, b=IMAGE)
    with pytest.raises(ConfigurationError, match="2 image files"):
        request(two, "image", f"a=@{image}", f"b=@{image}")


@pytest.fixture
def broker(monkeypatch):
    broker = MemoryBroker({"tiles": 1})
    monkeypatch.setattr(send_command, "tool_producer", lambda *_: broker.producer())
    return broker


def run(*arguments):
    return CliRunner().invoke(send_command.app, [str(argument) for argument in arguments])


def test_the_command_sends_one_record_and_says_its_id(broker, tmp_path, image):
    project = a_project(tmp_path)
    sent = run(project, "--topic", "tiles", "--id", "x1", f"image=@{image}", "threshold=0.5")
    assert sent.exit_code == 0, sent.output
    assert sent.stdout.startswith("x1  ")
    (record,) = broker.records("tiles")
    assert json.loads(record.value)["threshold"] == 0.5


def test_what_the_schema_refuses_is_not_sent(broker, tmp_path):
    refused = run(a_project(tmp_path), "--topic", "tiles", "threshold=0.5")
    assert isinstance(refused.exception, SchemaError)
    assert broker.records("tiles") == []


def test_an_undelivered_request_is_an_error(broker, tmp_path, image):
    broker.fail_next("report", BrokerUnavailable("no leader"))
    failed = run(a_project(tmp_path), "--topic", "tiles", f"image=@{image}")
    assert isinstance(failed.exception, BrokerUnavailable)


def test_help_shows_an_example():
    assert "image=@tile.tif threshold=0.3" in run("--help").stdout

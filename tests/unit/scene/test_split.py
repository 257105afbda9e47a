from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
from support.scenes import TickingClock

from pesto_stream.broker.memory import MemoryBroker
from pesto_stream.clock import ManualClock
from pesto_stream.converters.image import decode_image
from pesto_stream.converters.limits import Limits
from pesto_stream.errors import BrokerUnavailable, ConfigurationError, ImageError
from pesto_stream.model.tile import Window
from pesto_stream.scene.make import make_scene
from pesto_stream.scene.place import place_of
from pesto_stream.scene.raster import open_scene
from pesto_stream.scene.split import Payload, SplitOptions, split_scene
from pesto_stream.serde import cloudevents

OPTIONS = SplitOptions("tiles", tile=256, overlap=32)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("split") / "S2 tile é.tif"
    make_scene(path, size=600)
    return path


@pytest.fixture
def broker():
    return MemoryBroker({"tiles": 4}, clock=ManualClock(), waits=False)


def split(path, broker, options=OPTIONS, **more):
    return split_scene(path, broker.producer(), options, clock=TickingClock(), **more)


def test_a_scene_goes_out_as_one_event_for_each_tile(path, broker):
    report = split(path, broker)
    assert (report.scene_id, report.tiles, report.size) == ("S2 tile é", 9, (600, 600))
    envelopes = [cloudevents.parse(record, None) for record in broker.records("tiles")]
    assert all(envelope.is_cloud_event and envelope.type == "pesto.tile" for envelope in envelopes)
    assert {envelope.id for envelope in envelopes} == {f"S2 tile é/{index}" for index in range(9)}
    assert {envelope.source for envelope in envelopes} == {"/pesto/scene/S2%20tile%20%C3%A9"}
    assert {envelope.correlation_id for envelope in envelopes} == {"S2 tile é"}
    assert all(envelope.subject == envelope.id for envelope in envelopes)
    assert report.image_bytes == sum(len(envelope.payload) for envelope in envelopes)


@pytest.mark.parametrize(("payload", "media_type"), [("tiff", "image/tiff"), ("npy", "application/x-npy")])
def test_each_tile_holds_the_pixels_of_its_read_window(path, broker, payload, media_type):
    split(path, broker, replace(OPTIONS, payload=Payload(payload)))
    with open_scene(path) as scene:
        for record in broker.records("tiles"):
            envelope = cloudevents.parse(record, None)
            place = place_of(envelope.extensions)
            assert envelope.content_type == media_type
            tile, _ = decode_image(envelope.payload, media_type, Limits())
            column, row = place.core.column - place.offset[0], place.core.row - place.offset[1]
            expected = scene.read(Window(column, row, tile.array.shape[2], tile.array.shape[1]))
            assert np.array_equal(tile.array, expected.array)
            said = envelope.parameters.get("transform") or " ".join(map(repr, tile.transform))
            assert tuple(map(float, said.split())) == expected.transform
            assert envelope.parameters.get("crs", tile.crs) == "EPSG:32631"
            assert place.scene_size == (600, 600)


def test_splitting_again_repeats_ids_and_keys(path, broker):
    split(path, broker)
    split(path, broker)
    times = defaultdict(int)
    for record in broker.records("tiles"):
        times[record.key, cloudevents.parse(record, None).id] += 1
    assert set(times.values()) == {2}
    assert {key for key, _ in times} == {f"S2 tile é/{index}".encode() for index in range(9)}


def test_parameters_travel_with_every_tile(path, broker):
    split(path, broker, replace(OPTIONS, scene_id="s", parameters={"threshold": "0.3"}))
    parameters = [cloudevents.parse(record, None).parameters for record in broker.records("tiles")]
    assert parameters == [{"threshold": "0.3"}] * 9


def test_progress_ends_with_all_tiles_delivered(path, broker):
    seen = []
    split(path, broker, on_progress=seen.append)
    assert seen[-1] == (9, 9, 9)


@pytest.mark.parametrize("scene_id", ["a\nb", "x" * 201, "\x00"])
def test_an_id_that_is_no_attribute_is_refused(path, broker, scene_id):
    with pytest.raises(ConfigurationError, match="is no scene id"):
        split(path, broker, replace(OPTIONS, scene_id=scene_id))
    assert not broker.records("tiles")


def test_a_scene_that_png_cannot_hold_is_refused_before_anything_is_sent(tmp_path, broker):
    from pesto_stream.scene.mosaic import Form
    from pesto_stream.scene.raster import write_blocks

    path = tmp_path / "f.tif"
    write_blocks(path, (8, 8), Form(np.dtype("float32"), 1, None, None, None), [((0, 0, 8, 8), np.zeros((1, 8, 8)))])
    with pytest.raises(ConfigurationError, match="1 bands of float32"):
        split(path, broker, replace(OPTIONS, payload=Payload.PNG))
    assert not broker.records("tiles")


def test_a_missing_topic_is_named(path, broker):
    with pytest.raises(ConfigurationError, match="topic 'elsewhere'"):
        split(path, broker, replace(OPTIONS, topic="elsewhere"))


def test_an_undelivered_tile_is_an_error_with_its_count(path, broker):
    broker.fail_next("report", BrokerUnavailable("the leader is gone"))
    with pytest.raises(
        BrokerUnavailable, match=r"1 of \d records were not delivered to topic 'tiles'; the first: the leader is gone"
    ):
        split(path, broker)


def test_reports_that_never_come_are_an_error(path, broker):
    broker.hold_reports()
    with pytest.raises(BrokerUnavailable, match="of 9 records to topic 'tiles' was not reported"):
        split(path, broker)


def test_a_tile_over_the_size_limit_says_what_to_do(path):
    broker = MemoryBroker({"tiles": 1}, client_limit=1000, clock=ManualClock(), waits=False)
    with pytest.raises(ConfigurationError, match=r"limit of 1000; send smaller tiles"):
        split(path, broker)


def test_a_scene_that_breaks_off_says_how_much_was_sent(path, tmp_path, broker):
    short = tmp_path / "short.tif"
    short.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ImageError, match=r"[1-8] of 9 tiles were sent before"):
        split(short, broker, replace(OPTIONS, overlap=0))

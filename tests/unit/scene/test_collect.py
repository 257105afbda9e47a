import base64
import json
from dataclasses import replace

import numpy as np
import pytest
import rasterio
from support.scenes import TickingClock, image_result, result, run_all, tile_of

from pesto_stream.broker.memory import MemoryBroker
from pesto_stream.clock import ManualClock
from pesto_stream.converters.image import encode_image
from pesto_stream.errors import BrokerUnavailable, ConfigurationError, ImageError
from pesto_stream.model.invocation import EncodedPayload
from pesto_stream.runtime.dead_letter import dead_letter
from pesto_stream.scene.collect import CollectOptions, collect_scene
from pesto_stream.scene.make import make_scene
from pesto_stream.scene.split import Payload, SplitOptions, split_scene

SIZE = 600


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("collect") / "scene.tif"
    make_scene(path, size=SIZE)
    return path


@pytest.fixture(scope="module")
def pixels(path):
    with rasterio.open(path) as dataset:
        return dataset.read()


@pytest.fixture
def broker(path):
    broker = MemoryBroker({"tiles": 3, "results": 3, "dead": 1}, clock=ManualClock(), waits=False)
    split_scene(path, broker.producer(), SplitOptions("tiles", overlap=16, scene_id="s"), clock=TickingClock())
    return broker


@pytest.fixture
def options(tmp_path):
    return CollectOptions("results", "s", tmp_path / "mosaic.tif", timeout_seconds=5)


def collect(broker, options, **more):
    return collect_scene(broker.consumer("collector"), options, clock=TickingClock(), **more)


def bright(array):
    return (array[:1] > 2500).astype(np.uint8)


def read(options):
    with rasterio.open(options.out) as dataset:
        return dataset.read(), dataset.profile


@pytest.mark.parametrize("media_type", ["image/tiff", "image/png", "application/x-npy"])
def test_the_mosaic_of_all_tiles_is_the_result_of_the_whole_scene(broker, options, pixels, media_type):
    run_all(broker, bright, media_type)
    report = collect(broker, options)
    mosaic, profile = read(options)
    assert report.complete
    assert (report.tiles, report.taken, report.missing, report.size) == (9, 9, 0, (SIZE, SIZE))
    assert np.array_equal(mosaic, bright(pixels))
    assert profile["crs"].to_epsg() == 32631
    assert tuple(profile["transform"])[:6] == (10.0, 0.0, 300_000.0, 0.0, -10.0, 4_900_020.0)
    assert profile["dtype"] == "uint8"


@pytest.mark.parametrize("dtype", ["float64", "int16", "uint16"])
def test_the_mosaic_keeps_dtype_and_bands(broker, options, pixels, dtype):
    run_all(broker, lambda array: (array[1:3] / 7).astype(dtype))
    assert collect(broker, options).complete
    mosaic, profile = read(options)
    assert profile["dtype"] == dtype
    assert np.array_equal(mosaic, (pixels[1:3] / 7).astype(dtype))


def test_tiles_sent_as_npy_keep_their_georeference(path, options, pixels):
    broker = MemoryBroker({"tiles": 2, "results": 2}, clock=ManualClock(), waits=False)
    split_scene(path, broker.producer(), SplitOptions("tiles", scene_id="s", payload=Payload.NPY), clock=TickingClock())
    run_all(broker, bright)
    assert collect(broker, options).complete
    mosaic, profile = read(options)
    assert profile["crs"].to_epsg() == 32631
    assert np.array_equal(mosaic, bright(pixels))


def test_json_results_are_joined(broker, options, pixels):
    for record in broker.records("tiles"):
        image = encode_image(replace(tile_of(record), array=bright(tile_of(record).array)), "image/tiff")
        value = json.dumps({"mask": base64.b64encode(image).decode(), "coverage": 0.5}).encode()
        broker.append(result(record, EncodedPayload(value, "application/json")))
    assert collect(broker, options).complete
    assert np.array_equal(read(options)[0], bright(pixels))
    assert collect_scene(broker.consumer("other"), replace(options, output="mask"), clock=TickingClock()).complete
    wrong = collect_scene(broker.consumer("third"), replace(options, output="cloud"), clock=TickingClock())
    assert list(wrong.refused) == ["cannot join a JSON result without a base64 image under 'cloud': it has 'mask', 'coverage'"]


def test_repeated_results_are_counted_and_change_nothing(broker, options, pixels):
    first, *others = broker.records("tiles")
    for _ in range(3):
        broker.append(image_result(first, bright))
    for record in others:
        broker.append(image_result(record, bright))
    report = collect(broker, options)
    assert report.complete
    assert report.duplicates == 2
    assert np.array_equal(read(options)[0], bright(pixels))


def test_a_conflicting_result_is_counted_and_the_first_one_stays(broker, options, pixels):
    first, *others = broker.records("tiles")
    broker.append(image_result(first, bright), partition=0)
    foreign = image_result(first, lambda array: bright(array) + 7)
    broker.append(foreign._replace(headers=tuple((n, b"other" if n == "ce_id" else v) for n, v in foreign.headers)), partition=0)
    for record in others:
        broker.append(image_result(record, bright), partition=0)
    report = collect(broker, options)
    assert (report.complete, report.conflicts, report.duplicates) == (True, 1, 0)
    assert np.array_equal(read(options)[0], bright(pixels))


def test_a_missing_tile_is_told_after_the_timeout_and_left_empty(broker, options, pixels):
    records = broker.records("tiles")
    for record in records[:-1]:
        broker.append(image_result(record, lambda array: bright(array) + 1))
    report = collect(broker, options)
    assert not report.complete
    assert (report.taken, report.missing) == (8, 1)
    assert report.uncovered_pixels > 0
    mosaic, _ = read(options)
    assert np.count_nonzero(mosaic == 0) == report.uncovered_pixels
    assert np.array_equal(mosaic[mosaic > 0], (bright(pixels) + 1)[mosaic > 0])


def test_a_dead_letter_is_not_waited_for_and_its_tile_is_nodata(broker, options):
    first, *others = broker.records("tiles")
    error = ImageError("cannot read image: it is empty")
    broker.append(dead_letter(first, error, topic="dead", attempts=1, at=ManualClock().utc(), component="t/1"))
    for record in others:
        made = image_result(record, bright)
        broker.append(made)
    report = collect(broker, replace(options, dead_letter_topic="dead", timeout_seconds=1000))
    assert not report.complete
    assert report.missing == 0
    assert list(report.dead_letters.values()) == ["ImageError: cannot read image: it is empty"]


def test_a_result_after_a_dead_letter_counts(broker, options):
    first, *others = broker.records("tiles")
    broker.append(dead_letter(first, ImageError("x"), topic="dead", attempts=1, at=ManualClock().utc(), component="t/1"))
    for record in (*others, first):
        broker.append(image_result(record, bright))
    report = collect(broker, replace(options, dead_letter_topic="dead"))
    assert report.complete
    assert report.dead_letters == {}


def test_a_result_that_follows_its_dead_letter_after_a_pause_counts(broker, options):
    first, *others = broker.records("tiles")
    broker.append(dead_letter(first, ImageError("x"), topic="dead", attempts=1, at=ManualClock().utc(), component="t/1"))
    for record in others:
        broker.append(image_result(record, bright))
    silent = []

    def send_again_in_the_silence(progress):
        if progress[:3] == (9, 8, 1) and progress.last is None:
            silent.append(progress)
            if len(silent) == 2:
                broker.append(image_result(first, bright))

    report = collect(broker, replace(options, dead_letter_topic="dead"), on_progress=send_again_in_the_silence)
    assert report.complete


@pytest.mark.parametrize(
    ("header", "value"), [("pesto_crs", b"/etc/hostname"), ("pesto_crs", b"EPSG:999999"), ("pesto_transform", b"1 2 3")]
)
def test_a_georeference_that_is_none_is_refused_before_it_reaches_a_file(broker, options, header, value):
    first, *others = broker.records("tiles")
    wrong = image_result(first, bright, "image/png")
    broker.append(wrong._replace(headers=tuple((n, value if n == header else v) for n, v in wrong.headers)), partition=0)
    for record in (first, *others):
        broker.append(image_result(record, bright, "image/png"), partition=0)
    report = collect(broker, options)
    assert report.complete
    assert [header in reason for reason in report.refused] == [True]


def changed(record, **headers):
    ours = {f"ce_{name}": value.encode() for name, value in headers.items()}
    return record._replace(headers=tuple((name, ours.get(name, value)) for name, value in record.headers))


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"tilecount": "1000000000"}, "'tilecount' '1000000000'"),
        ({"tilecount": "10"}, "the scene has 9"),
        ({"tilewindow": "16777000 16777000 256 256"}, "the scene ends at"),
        ({"tilewindow": "0 0 600 600"}, "does not hold a core"),
        ({"tilewindow": "1 2 3"}, "'tilewindow' '1 2 3'"),
        ({"tileoffset": "900000000 0"}, "does not hold a core"),
        ({"tileindex": "9"}, "cannot place tile '9'"),
        ({"scenesize": "16777216 16777216"}, "the scene has"),
    ],
)
def test_a_strangers_place_is_refused_with_its_reason_and_the_scene_still_ends(broker, options, headers, said):
    first, *others = broker.records("tiles")
    consumer = broker.consumer("collector")
    broker.append(image_result(first, bright), partition=0)
    broker.append(changed(image_result(others[0], bright), **headers), partition=0)
    for record in others:
        broker.append(image_result(record, bright), partition=0)
    report = collect_scene(consumer, options, clock=TickingClock())
    assert report.complete
    assert [said in reason for reason in report.refused] == [True]


@pytest.mark.parametrize(
    ("value", "content_type", "said"),
    [
        (b"II*\x00", "image/tiff", "TIFF"),
        (b"\x89PNG\r\n\x1a\n", "image/png", "PNG"),
        (b"[" * 2000, "application/json", "JSON"),
        (b"[]", "application/json", "no object"),
        (b'{"a": 1}', "application/json", "which output"),
        (b'{"a": "' + b"!" * 100 + b'"}', "application/json", "no base64"),
        (b"\xc3\x01", "application/avro", "content type 'application/avro'"),
        (b"x", "text/plain", "content type 'text/plain'"),
        (b"", "image/tiff", "empty value"),
    ],
)
def test_a_payload_that_is_no_result_is_counted(broker, options, value, content_type, said):
    first, *others = broker.records("tiles")
    broker.append(result(first, EncodedPayload(value, content_type)), partition=0)
    for record in (first, *others):
        broker.append(image_result(record, bright), partition=0)
    report = collect(broker, options)
    assert report.complete
    assert [said in reason for reason in report.refused] == [True]


def test_records_of_other_scenes_and_sources_are_left_alone(broker, options):
    first = broker.records("tiles")[0]
    broker.append(changed(image_result(first, bright), sceneid="t"))
    broker.append(image_result(first, bright)._replace(headers=()))
    report = collect(broker, options)
    assert (report.tiles, report.taken, dict(report.refused)) == (None, 0, {})
    assert not options.out.exists()
    run_all(broker, bright)
    elsewhere = collect_scene(broker.consumer("b"), replace(options, source="/pesto/other/1"), clock=TickingClock())
    assert elsewhere.tiles is None
    here = collect_scene(broker.consumer("c"), replace(options, source="/pesto/threshold/1.0.0"), clock=TickingClock())
    assert here.complete


def test_progress_tells_the_tiles_as_they_come(broker, options):
    run_all(broker, bright)
    seen = []
    collect(broker, options, on_progress=seen.append)
    assert seen[-1][:2] == (9, 9)
    assert {progress.last.topic for progress in seen if progress.last} == {"results"}


def test_nothing_is_committed(broker, options):
    run_all(broker, bright)
    collect(broker, options)
    partitions = {record.topic_partition for record in broker.records("results")}
    assert all(broker.committed("collector", partition) is None for partition in partitions)


def test_no_temporary_file_is_left(broker, options):
    run_all(broker, bright)
    collect(broker, options)
    assert list(options.out.parent.iterdir()) == [options.out]


def test_a_folder_that_is_not_there_is_found_before_anything_is_read(broker, options):
    with pytest.raises(ConfigurationError, match="there is no folder"):
        collect(broker, replace(options, out=options.out.parent / "no" / "m.tif"))


def test_a_broker_that_is_away_is_an_error(broker, options):
    broker.fail_next("poll", BrokerUnavailable("all brokers are down"))
    with pytest.raises(BrokerUnavailable):
        collect(broker, options)

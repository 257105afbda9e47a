"""The tools of the command line as processes, around a member on a real Kafka."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import fastavro
import numpy as np
import pytest
import rasterio
from support.member import Member
from support.projects import IMAGE, NUMBER, a_project
from support.topics import Topics, unique_name

ROOT = Path(__file__).parents[2]
CLOUDS = ROOT / "examples" / "cloud-detector"
GAIN = """
    class Process:
        def process(self, image, gain=None):
            return {"image": image * image.dtype.type(gain or 1), "mean": float(image.mean())}
"""


def tool(*arguments, code=0, **environment):
    """Standard output of a command of ours, which has to end with `code`."""
    command = [sys.executable, "-m", "pesto_stream", *map(str, arguments)]
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, **environment},
    )
    assert done.returncode == code, f"{arguments} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout if code == 0 else done.stdout + done.stderr


# -- a scene


@pytest.mark.slow
def test_a_scene_is_split_processed_and_collected_without_a_seam(kafka, topics, tmp_path):
    names = tuple(topics.create(count, label=label) for count, label in ((4, "tiles"), (1, "clouds"), (1, "dead")))
    scene, mosaic, truth = tmp_path / "S2A.tif", tmp_path / "clouds.tif", tmp_path / "truth.tif"
    tool("scene", "make", "--out", scene, "--size", 700, "--truth", truth)
    with Member(CLOUDS, tmp_path, kafka, group=unique_name("clouds"), topics=names, algorithm__concurrency=2) as member:
        split = tool("scene", "split", scene, "--topic", names[0], "--tile", 256, "--bootstrap-servers", kafka)
        assert f"9 sent to topic '{names[0]}'" in split

        collected = collect(kafka, names, mosaic)

        assert member.stop() == 0
    assert "9 of 9" in collected
    with rasterio.open(scene) as source, rasterio.open(mosaic) as found, rasterio.open(truth) as known:
        assert (found.crs, found.transform, found.shape, found.nodata) == (source.crs, source.transform, source.shape, 255)
        np.testing.assert_array_equal(found.read(1), whole_scene(source.read(), source.nodata))
        inside = found.read(1) != 255
        assert (found.read(1) == known.read(1))[inside].mean() > 0.98


def collect(kafka, names, mosaic, *more, code=0):
    where = ("--topic", names[1], "--dead-letter-topic", names[2], "--bootstrap-servers", kafka)
    return tool("scene", "collect", *where, "--scene", "S2A", "--out", mosaic, "--timeout", 60, *more, code=code)


def whole_scene(pixels, nodata):
    """What the example makes of the whole scene in one call."""
    code = (CLOUDS / "algorithm" / "process.py").read_text("utf-8")
    module = {"__name__": "process"}
    exec(compile(code, "process.py", "exec"), module)  # the example's own module, without the machinery that the test is about
    valid = module["has_data"](pixels, nodata)
    return np.where(valid, module["detect"](pixels, module["THRESHOLD"]), 255).astype("uint8")


@pytest.mark.slow
def test_tiles_that_fail_are_named_and_collect_exits_with_5(kafka, topics, tmp_path):
    names = tuple(topics.create(1, label=label) for label in ("tiles", "masks", "dead"))
    process = """
        class Process:
            def process(self, image):
                if image[0, 0, 0] == image[0, 0, -1]:
                    raise ValueError("flat tile")
                return {"mask": image[:1]}
    """
    project = a_project(tmp_path, process=process, inputs={"image": IMAGE}, outputs={"mask": IMAGE}, name="picky")
    scene = tmp_path / "S2A.tif"
    write_scene(scene)
    with Member(project, tmp_path, kafka, group=unique_name("picky"), topics=names):
        tool("scene", "split", scene, "--topic", names[0], "--tile", 64, "--overlap", 0, "--bootstrap-servers", kafka)

        said = collect(kafka, names, tmp_path / "mask.tif", code=5)

    assert "3 of 4" in said
    assert "AlgorithmError: ValueError: flat tile (process.py:5 in process)" in said
    with rasterio.open(tmp_path / "mask.tif") as mask, rasterio.open(scene) as source:
        np.testing.assert_array_equal(mask.read(1)[:, :64], source.read(1)[:, :64])


def write_scene(path):
    """Four tiles of 64 pixels; the one at the upper right has one value."""
    pixels = np.random.default_rng(2).permutation(128 * 128).reshape(1, 128, 128).astype("uint16") + 1
    pixels[0, :64, 64:] = 7
    profile = {"driver": "GTiff", "count": 1, "height": 128, "width": 128, "dtype": "uint16", "crs": "EPSG:32631"}
    with rasterio.open(path, "w", transform=rasterio.Affine(10, 0, 500000, 0, -10, 4600000), **profile) as dataset:
        dataset.write(pixels)


# -- one request


@pytest.fixture(scope="module")
def gain(kafka, tmp_path_factory):
    """A member that multiplies; gives (project, topics, an image with its pixels)."""
    folder = tmp_path_factory.mktemp("gain")
    inputs, outputs = {"image": IMAGE, "gain": NUMBER}, {"image": IMAGE, "mean": NUMBER}
    project = a_project(folder, process=GAIN, inputs=inputs, outputs=outputs, name="gain", version="2.0")
    write_scene(folder / "tile.tif")
    topics = Topics(kafka)
    names = tuple(topics.create(1, label=label) for label in ("in", "out", "dead"))
    with Member(project, folder, kafka, group=unique_name("gain"), topics=names) as member:
        member.wait_ready()
        yield project, names, folder / "tile.tif"
    topics.delete_all()


def ask(kafka, gain, kind, folder, code=0):
    """Send one request and receive results until it is there; the folder of the result's files."""
    project, names, image = gain
    mark = unique_name("request")
    where = ("--bootstrap-servers", kafka)
    tool(
        "send",
        project,
        "--topic",
        names[0],
        "--content-type",
        kind,
        "--correlation-id",
        mark,
        f"image=@{image}",
        "gain=3",
        *where,
    )
    group = unique_name("receiver")
    while True:
        tool("receive", "--topic", names[1], "--out", folder, "--count", 1, "--group-id", group, "--timeout", 60, *where)
        for headers in folder.glob("*/headers.json"):
            if ["ce_correlationid", mark] in json.loads(headers.read_text())["headers"]:
                return headers.parent


def check_pixels(path, image):
    with rasterio.open(path) as result, rasterio.open(image) as source:
        assert (result.crs, result.transform, result.dtypes) == (source.crs, source.transform, source.dtypes)
        np.testing.assert_array_equal(result.read(), source.read() * np.uint16(3))
        return float(source.read().mean())


def test_a_json_request_comes_back_as_files(kafka, gain, tmp_path):
    result = ask(kafka, gain, "json", tmp_path)

    mean = check_pixels(result / "image.tif", gain[2])
    assert json.loads((result / "result.json").read_text()) == {"image": "image.tif", "mean": pytest.approx(mean)}


def test_a_bare_image_comes_back_as_an_image(kafka, gain, tmp_path):
    result = ask(kafka, gain, "image", tmp_path)

    mean = check_pixels(result / "result.tif", gain[2])
    assert json.loads((result / "result.json").read_text()) == {"mean": pytest.approx(mean)}


def test_an_avro_request_comes_back_as_avro_that_the_printed_schema_reads(kafka, gain, tmp_path):
    result = ask(kafka, gain, "avro", tmp_path)

    schema = fastavro.parse_schema(json.loads(tool("schema", gain[0], "--avro"))["output"])
    data = (result / "result.avro").read_bytes()
    datum = fastavro.schemaless_reader(io.BytesIO(data[10:]), schema, None)
    (tmp_path / "image.tif").write_bytes(datum["image"]["data"])
    assert data[:2] == b"\xc3\x01"
    assert datum["mean"] == pytest.approx(check_pixels(tmp_path / "image.tif", gain[2]))


def test_a_dead_letter_is_received_as_files_with_its_reason(kafka, gain, tmp_path):
    project, names, _ = gain
    where = ("--bootstrap-servers", kafka)
    tool("send", project, "--topic", names[0], "--id", "elsewhere", "image=https://tiles.example/a.tif", *where)

    tool("receive", "--topic", names[2], "--out", tmp_path, "--count", 1, *where)

    headers = dict(json.loads((tmp_path / "elsewhere" / "headers.json").read_text())["headers"])
    assert headers["pesto_error_type"] == "FetchRefused"
    assert "add 'https://tiles.example/' to urls.allow" in headers["pesto_error_message"]
    assert json.loads((tmp_path / "elsewhere" / "result.json").read_text()) == {"image": "https://tiles.example/a.tif"}


def test_receive_exits_with_5_when_there_are_fewer_results_than_asked_for(kafka, topics, tmp_path):
    said = tool(
        "receive",
        "--topic",
        topics.create(),
        "--out",
        tmp_path,
        "--count",
        1,
        "--timeout",
        0,
        "--bootstrap-servers",
        kafka,
        code=5,
    )

    assert "0 results" in said


def test_a_topic_that_is_not_there_is_named_with_its_nearest_neighbour(kafka, topics, tmp_path):
    name = topics.create(label="results")

    said = tool("receive", "--topic", name + "s", "--out", tmp_path, "--bootstrap-servers", kafka, code=2)

    assert f"there is no such topic; did you mean '{name}'?" in said


# -- settings


def test_config_says_where_each_value_came_from(tmp_path):
    project = a_project(
        tmp_path,
        files={
            "pesto/stream/a.json": {"topics": {"input": "from-project", "output": "masks"}, "retry": {"attempts": 4}},
            "pesto/stream/a.stateful.json": {"retry": {"attempts": 5}},
        },
    )
    (tmp_path / "more.yaml").write_text("topics: {output: from-file}\nlog: {level: debug}\n")
    environment = {"PESTO_STREAM__LOG__LEVEL": "warning", "PESTO_STREAM__HTTP__PORT": "1"}

    shown = json.loads(
        tool(
            "config",
            project,
            "-p",
            "stateful,gpu",
            "--config",
            tmp_path / "more.yaml",
            "--http-port",
            2,
            "--format",
            "json",
            **environment,
        )
    )

    sources = {
        "topics.input": ("from-project", "project pesto/stream/a.json"),
        "topics.output": ("from-file", f"file {tmp_path}/more.yaml"),
        "retry.attempts": (5, "project pesto/stream/a.stateful.json"),
        "log.level": ("warning", "environment PESTO_STREAM__LOG__LEVEL"),
        "http.port": (2, "flag --http-port"),
        "memory.in_flight_mib": (1024, "profile 'gpu'"),
        "delivery": ("at-least-once", "default"),
    }
    assert {key: (shown[key]["value"], shown[key]["source"]) for key in sources} == sources

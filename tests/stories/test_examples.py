"""The projects in examples/: their own tests, and a few tiles of each on a real Kafka."""

import itertools
import json
import os
import re
import subprocess
import sys

import numpy as np
import orjson
import pytest
import rasterio
from rasterio.features import rasterize
from support.cumulus import SCALE, cumulus, write_cumulus
from support.examples import EXAMPLES
from support.foreign import ForeignConsumer, ForeignProducer, headers_of
from support.foreign_avro import read_single_object, schemas_of, single_object
from support.member import Member
from support.payloads import base64_of, pixels_of, raster
from support.projects import an_invocation
from support.topics import unique_name
from support.web import serving
from ukis_csmask.mask import CSmask

from pesto_stream.algorithms.binding import load_algorithm
from pesto_stream.algorithms.project import load_project
from pesto_stream.converters.image import encode_image
from pesto_stream.model.invocation import TileContext
from pesto_stream.model.tile import Tile

NAMES = sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir())
MOST_BYTES = 300_000
JSON, AVRO = [("content-type", "application/json")], [("content-type", "application/avro")]
UTM, PLACE = "EPSG:32631", (10.0, 0.0, 300_000.0, 0.0, -10.0, 4_900_020.0)


def tool(*arguments):
    """Standard output of a command of ours, which has to end well."""
    command = [sys.executable, "-m", "pesto_stream", *map(str, arguments)]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=150, check=False, env={**os.environ}
    )
    assert done.returncode == 0, f"{arguments} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


# -- the projects themselves


@pytest.mark.parametrize("name", NAMES)
def test_an_example_passes_its_own_tests(name, tmp_path):
    said = tool("test", EXAMPLES / name, "--out", tmp_path / "results")

    assert re.search(r"[2-9] passed, 0 failed", said)


@pytest.mark.slow
@pytest.mark.embedded
@pytest.mark.parametrize("name", NAMES)
def test_an_example_passes_its_own_tests_as_a_runtime(name, tmp_path):
    said = tool("test", EXAMPLES / name, "--local", "--out", tmp_path / "results")

    assert re.search(r"[2-9] passed, 0 failed", said)


@pytest.mark.parametrize("name", NAMES)
def test_an_example_has_what_a_reader_needs(name):
    project = EXAMPLES / name

    assert f"examples/{name}" in (project / "README.md").read_text("utf-8"), "the commands to try it"
    assert f"]({name}/README.md)" in (EXAMPLES / "README.md").read_text("utf-8")
    tracked = [path for path in project.rglob("*") if path.is_file() and ".results" not in path.parts]
    assert max(path.stat().st_size for path in tracked) <= MOST_BYTES
    assert not [path for path in tracked if path.suffix == ".onnx"], "the model comes with its package"


# -- clouds and shadows, against the package that the network comes from


@pytest.mark.slow
def test_the_mosaic_of_the_segmented_tiles_is_what_the_networks_own_package_makes_of_the_scene(kafka, topics, tmp_path):
    """At least 99% of the pixels. Neither side sees the scene as a whole: the package cuts it into windows of 256 pixels that overlap by
    51, mirrors the scene's edges, and blends the probabilities; here tiles have a core of 192 pixels and a halo of 32, and each pixel is
    decided by the tile in whose core it lies. The network looks at all of its window, so pixels that it is not sure of may turn out
    otherwise. Its README has the numbers for other halos.
    """
    names = tuple(topics.create(count, label=label) for count, label in ((3, "tiles"), (1, "masks"), (1, "dead")))
    scene, file, mosaic = cumulus(), tmp_path / "cumulus.tif", tmp_path / "mask.tif"
    write_cumulus(file, scene)
    where = ("--bootstrap-servers", kafka)
    with Member(EXAMPLES / "cloud-segmentation", tmp_path, kafka, group=unique_name("segments"), topics=names) as member:
        tool("scene", "split", file, "--topic", names[0], "--tile", 192, "--overlap", 32, *where)
        outputs = ("--topic", names[1], "--dead-letter-topic", names[2], "--scene", "cumulus", "--out", mosaic)
        collected = tool("scene", "collect", *outputs, "--output", "mask", *where)
        assert member.stop() == 0

    assert "9 of 9" in collected
    package = CSmask(np.moveaxis(scene.image, 0, -1).astype("float32") / SCALE, ["blue", "green", "red", "nir"], "l2a").csm[
        ..., 0
    ]
    with rasterio.open(file) as source, rasterio.open(mosaic) as found:
        assert (found.crs, found.transform, found.shape, found.nodata) == (source.crs, source.transform, source.shape, 255)
        mask = found.read(1)
    assert (mask == of_windows(scene.image)).mean() > 0.9999, "what the algorithm makes of the same windows, without a broker"
    assert (mask == package).mean() > 0.99
    assert (mask == scene.truth).mean() > 0.92
    for kind in (0, 1, 2):
        assert (mask == kind).mean() == pytest.approx((package == kind).mean(), abs=0.01)


def of_windows(image, core=192, halo=32):
    """Each pixel from the window in whose core it lies."""
    algorithm = load_algorithm(load_project(EXAMPLES / "cloud-segmentation"))
    algorithm.on_start()
    mask = np.empty(image.shape[1:], np.uint8)
    for row, column in itertools.product(*(range(0, side, core) for side in mask.shape)):
        top, left = max(0, row - halo), max(0, column - halo)
        window = image[:, top : row + core + halo, left : column + core + halo]
        outputs = algorithm.process(an_invocation(TileContext(nodata=0.0), image=window))
        part = outputs["mask"][row - top :, column - left :][:core, :core]
        mask[row : row + core, column : column + core] = part
    return mask


# -- outlines


@pytest.mark.slow
def test_the_polygons_of_a_masks_tiles_cover_the_mask_where_it_lies(kafka, topics, tmp_path):
    names = tuple(topics.create(1, label=label) for label in ("masks", "polygons", "dead"))
    file = tmp_path / "mask.tif"
    mask = (cumulus(300).truth == 1).astype("uint8")
    write_mask(file, mask)
    with Member(EXAMPLES / "cloud-polygons", tmp_path, kafka, group=unique_name("outlines"), topics=names):
        tool("scene", "split", file, "--topic", names[0], "--tile", 150, "--overlap", 0, "--bootstrap-servers", kafka)
        with ForeignConsumer(kafka, *names[1:]) as consumer:
            records = consumer.read(4)

    assert {record.topic() for record in records} == {names[1]}, [headers_of(record) for record in records]
    answers = [json.loads(record.value()) for record in records]
    assert {(answer["metadata"]["coordinates"], answer["metadata"]["crs"]) for answer in answers} == {("crs", UTM)}
    assert sum(answer["metadata"]["area"] for answer in answers) == mask.sum() * 100
    polygons = [(polygon, 1) for answer in answers for polygon in answer["polygons"]]
    again = rasterize(polygons, mask.shape, transform=rasterio.Affine(*PLACE), dtype="uint8")
    np.testing.assert_array_equal(again, mask)


def write_mask(file, mask):
    height, width = mask.shape
    profile = {"driver": "GTiff", "count": 1, "height": height, "width": width, "dtype": "uint8", "crs": UTM}
    with rasterio.open(file, "w", transform=rasterio.Affine(*PLACE), **profile) as dataset:
        dataset.write(mask, 1)


# -- two images


def a_pair(**changed):
    """Before and after, the second with a bright block of 20 pixels."""
    rng = np.random.default_rng(1)
    before = rng.normal(1000, 10, (2, 24, 30))
    after = before + rng.normal(0, 10, before.shape)
    after[:, 4:9, 6:10] += 400
    first, second = before.round().astype("uint16"), after.round().astype("uint16")
    return Tile(first, UTM, PLACE, 0.0), Tile(second, **{"crs": UTM, "transform": PLACE, "nodata": 0.0, **changed})


@pytest.mark.slow
def test_two_images_by_url_in_base64_and_as_rasters_show_the_same_changes(kafka, topics, tmp_path):
    names = tuple(topics.create(1, label=label) for label in ("pairs", "changes", "dead"))
    project = EXAMPLES / "change-detection"
    schemas = schemas_of(project)
    before, after = a_pair()
    pages = {"/before.tif": encode_image(before, "image/tiff"), "/after.tif": encode_image(after, "image/tiff")}
    producer = ForeignProducer(kafka)
    with serving(pages) as web:
        requests = {
            "urls": (orjson.dumps({"before": web.url("/before.tif"), "after": web.url("/after.tif"), "threshold": 6}), JSON),
            "base64": (orjson.dumps({"before": base64_of(before), "after": base64_of(after), "threshold": 6}), JSON),
            "rasters": (
                single_object(schemas["input"], {"before": raster(before), "after": raster(after), "threshold": 6.0}),
                AVRO,
            ),
            "elsewhere": (
                orjson.dumps({"before": base64_of(before), "after": base64_of(a_pair(crs="EPSG:32632")[1])}),
                JSON,
            ),
        }
        urls = {"urls__allow": json.dumps([web.url("/")]), "urls__allow_private": True}
        with Member(project, tmp_path, kafka, group=unique_name("changes"), topics=names, **urls):
            for key, (value, headers) in requests.items():
                producer.send(names[0], value, headers, key=key.encode())
            producer.flush()
            with ForeignConsumer(kafka, *names[1:]) as consumer:
                records = {record.key().decode(): record for record in consumer.read(len(requests))}

    dead = {key for key, record in records.items() if record.topic() == names[2]}
    assert dead == {"elsewhere"}, {key: headers_of(records[key]).get("pesto_error_message") for key in dead}
    said = headers_of(records["elsewhere"])
    assert (said["pesto_error_type"], said["pesto_error_stage"]) == ("AlgorithmError", "algorithm")
    assert "ValueError: 'before' is in 'EPSG:32631', 'after' is in 'EPSG:32632'" in said["pesto_error_message"]
    by_url, in_base64 = (json.loads(records[key].value()) for key in ("urls", "base64"))
    assert by_url == in_base64
    from_rasters = read_single_object(schemas["output"], records["rasters"].value())
    expected = np.zeros((1, 24, 30), np.uint8)
    expected[:, 4:9, 6:10] = 1
    _, mask = from_rasters["mask"]
    np.testing.assert_array_equal(pixels_of(mask), expected)
    assert (mask["crs"], mask["nodata"]) == (UTM, 255)
    assert (from_rasters["changed"], from_rasters["bands"]) == (by_url["changed"], by_url["bands"])
    assert by_url["changed"] == 20 / 720

"""The example project: its class by itself, as PESTO would call it, and loaded by the runtime."""

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from support.projects import an_invocation

from pesto_stream.algorithms.binding import load_algorithm
from pesto_stream.algorithms.describe import describe_document
from pesto_stream.algorithms.importing import import_process
from pesto_stream.algorithms.project import load_project
from pesto_stream.model.invocation import TileContext
from pesto_stream.model.tile import Window
from pesto_stream.scene.synthetic import NODATA, SyntheticScene

PROJECT = Path(__file__).parents[3] / "examples" / "cloud-detector"
RESOURCES = PROJECT / "pesto" / "tests" / "resources"
CLOUD, SOIL, PLANTS, WATER = (6200, 6100, 6000, 6400), (2250, 2700, 3150, 3700), (400, 750, 500, 3800), (450, 400, 300, 150)


@pytest.fixture
def process():
    module, _ = import_process(load_project(PROJECT))
    return module.Process().process


def pixels(*reflectances):
    return np.array(reflectances, np.uint16).T.reshape(4, 1, -1)


def test_clouds_are_told_from_soil_plants_and_water(process):
    outputs = process(image=pixels(CLOUD, SOIL, PLANTS, WATER), threshold=None)
    assert outputs["mask"].tolist() == [[1, 0, 0, 0]]
    assert outputs["mask"].dtype == np.uint8
    assert (outputs["coverage"], type(outputs["coverage"])) == (0.25, float)


def test_the_threshold_is_the_callers(process):
    assert process(image=pixels(CLOUD), threshold=0.7)["coverage"] == 0
    assert process(image=pixels(CLOUD), threshold=0.5)["coverage"] == 1


def test_pixels_without_data_are_neither_cloud_nor_counted(process):
    context = TileContext(nodata=0.0)
    outputs = process(pixels(CLOUD, SOIL, (0, 0, 0, 0), (0, 0, 0, 0)), context=context)
    assert outputs["mask"].tolist() == [[1, 0, 255, 255]]
    assert outputs["coverage"] == 0.5
    assert context.output_nodata == 255


@pytest.mark.parametrize("nodata", [float("nan"), None])
def test_pixels_that_are_not_a_number_are_no_data(process, nodata):
    image = pixels(CLOUD, CLOUD).astype("float32")
    image[2, 0, 1] = np.nan
    assert process(image, context=TileContext(nodata=nodata))["mask"].tolist() == [[1, 255]]


def test_a_tile_without_any_data_has_no_coverage(process):
    assert process(np.zeros((4, 2, 2), np.uint16), context=TileContext(nodata=0))["coverage"] == 0


def test_another_number_of_bands_is_refused(process):
    with pytest.raises(ValueError, match="3 bands"):
        process(np.zeros((3, 2, 2), np.uint16))


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_its_own_test_resources_pass(process):
    case = RESOURCES / "test_clouds"
    with rasterio.open(case / "input" / "image.tif") as image, rasterio.open(case / "output" / "mask.png") as mask:
        outputs = process(image=image.read(), threshold=float((case / "input" / "threshold.float").read_text()))
        assert np.array_equal(outputs["mask"], mask.read(1))
    assert outputs["coverage"] == float((case / "output" / "coverage.float").read_text())


def test_it_describes_itself_as_expected():
    links = {"self", "execution", "config", "version", "health"}
    document = describe_document(load_project(PROJECT), base_url="http://localhost:4000", links=links)
    assert document == json.loads((RESOURCES / "expected_describe.json").read_text())


def test_the_runtime_loads_it_and_hands_it_read_only_pixels():
    algorithm = load_algorithm(load_project(PROJECT))
    context = TileContext(nodata=0)
    outputs = algorithm.process(an_invocation(context, image=pixels(CLOUD, (0, 0, 0, 0)), threshold=None))
    assert outputs["mask"].tolist() == [[1, 255]]
    assert (context.output_nodata, algorithm.max_concurrency) == (255, 16)
    assert load_project(PROJECT).notes == ()


def test_on_the_demonstrations_scene_it_finds_most_clouds_and_little_else(process):
    window = SyntheticScene(1024, 7).window(Window(0, 0, 1024, 1024))
    found = process(window.array, context=TileContext(nodata=NODATA))["mask"] == 1
    assert np.count_nonzero(found & window.truth) / np.count_nonzero(found | window.truth) > 0.8

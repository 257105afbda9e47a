"""The example around a real network: against the package that the network comes from, and what it does at the edges of its data."""

import importlib.util
import json
from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import ukis_csmask
from support.cumulus import SCALE, cumulus
from support.examples import EXAMPLES
from support.projects import an_invocation
from ukis_csmask.mask import CSmask

from pesto_stream.algorithms.binding import load_algorithm
from pesto_stream.algorithms.project import load_project
from pesto_stream.errors import AlgorithmError, ProjectError
from pesto_stream.model.invocation import TileContext

PROJECT = EXAMPLES / "cloud-segmentation"
TILE = np.s_[:, 150:406, 120:376]
BANDS = ["blue", "green", "red", "nir"]


@pytest.fixture(scope="module")
def algorithm():
    loaded = load_algorithm(load_project(PROJECT))
    loaded.on_start()
    return loaded


@pytest.fixture(scope="module")
def scene():
    return cumulus()


def asked(algorithm, image, nodata=None):
    context = TileContext(nodata=nodata)
    return algorithm.process(an_invocation(context, image=image)), context


@cache
def network(level="l2a"):
    """The model and its statistics, by the ONNX runtime alone: pixels (4, 256, 256) to scores (3, 256, 256)."""
    file = Path(ukis_csmask.__file__).with_name(f"model_4b_{level}.onnx")
    mean, std = json.loads(file.with_suffix(".json").read_text())["data"]["dataset_statistics"]["img"]
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])

    def scores(image):
        reflectance = image.astype("float32") / SCALE
        normalised = (reflectance - np.reshape(mean, (4, 1, 1))) / np.reshape(std, (4, 1, 1))
        return session.run(None, {"input": normalised[None].astype("float32")})[0][0]

    return scores


def test_a_tile_of_the_networks_size_gets_the_networks_own_classes(algorithm, scene):
    outputs, _ = asked(algorithm, scene.image[TILE])
    scores = network()(scene.image[TILE])
    ordered = np.sort(scores, axis=0)

    decided = ordered[-1] - ordered[-2] > 1e-3  # closer than that, the last bits of the arithmetic decide
    assert decided.mean() > 0.999
    np.testing.assert_array_equal(outputs["mask"][decided], scores.argmax(axis=0)[decided])


@pytest.mark.slow
def test_it_agrees_with_the_package_on_a_tile_but_for_the_packages_own_tiling(algorithm, scene):
    """The package pads the image by mirroring 51 pixels on each side, runs 9 windows over it and blends their probabilities."""
    image = scene.image[TILE]
    known = CSmask(np.moveaxis(image, 0, -1).astype("float32") / SCALE, BANDS, "l2a").csm[..., 0]

    assert (asked(algorithm, image)[0]["mask"] == known).mean() > 0.97


def test_clouds_and_shadows_are_found_where_they_are(algorithm, scene):
    mask = asked(algorithm, scene.image[TILE])[0]["mask"]

    truth = scene.truth[TILE[1:]]
    for kind, share in ((1, 0.7), (2, 0.5)):
        assert np.count_nonzero((mask == kind) & (truth == kind)) / np.count_nonzero((mask == kind) | (truth == kind)) > share


def test_the_shares_are_those_of_the_mask(algorithm, scene):
    outputs, _ = asked(algorithm, scene.image[TILE])
    assert outputs["cloud"] == (outputs["mask"] == 1).mean()
    assert outputs["shadow"] == (outputs["mask"] == 2).mean()
    assert set(np.unique(outputs["mask"])) == {0, 1, 2}


def test_pixels_without_data_have_a_class_of_their_own_and_count_for_nothing(algorithm, scene):
    image = scene.image[TILE].copy()
    image[:, :, :100] = 0
    outputs, context = asked(algorithm, image, nodata=0.0)

    mask = outputs["mask"]
    assert (mask[:, :100] == 255).all()
    assert (mask[:, 100:] != 255).all()
    assert outputs["cloud"] == (mask[:, 100:] == 1).mean()
    assert context.output_nodata == 255


def test_a_pixel_that_is_not_a_number_does_not_spread(algorithm, scene):
    image = scene.image[TILE].astype("float32")
    whole, _ = asked(algorithm, image)
    image[2, 30, 40] = np.nan
    outputs, _ = asked(algorithm, image)

    assert outputs["mask"][30, 40] == 255
    assert (outputs["mask"] == whole["mask"]).mean() > 0.95


def test_a_tile_without_any_data_has_no_cloud(algorithm):
    outputs, _ = asked(algorithm, np.zeros((4, 64, 64), "uint16"), nodata=0.0)
    assert (outputs["cloud"], outputs["shadow"], np.unique(outputs["mask"]).tolist()) == (0, 0, [255])


def test_smaller_tiles_are_taken_and_larger_ones_refused(algorithm, scene):
    assert asked(algorithm, scene.image[:, :100, :77])[0]["mask"].shape == (100, 77)
    with pytest.raises(AlgorithmError, match="side of 257 pixels, and the model takes 256"):
        asked(algorithm, scene.image[:, :257, :100])


def test_another_number_of_bands_is_refused(algorithm, scene):
    with pytest.raises(AlgorithmError, match="gives the model 3 bands"):
        asked(algorithm, scene.image[:3, :64, :64])


@pytest.mark.slow
def test_profile_l1c_takes_the_model_for_the_top_of_the_atmosphere(scene):
    loaded = load_algorithm(load_project(PROJECT, ("l1c",)))
    loaded.on_start()

    mask = asked(loaded, scene.image[TILE])[0]["mask"]
    assert (mask == network("l1c")(scene.image[TILE]).argmax(axis=0)).mean() > 0.999
    assert (mask == network("l2a")(scene.image[TILE]).argmax(axis=0)).mean() < 0.99


def test_without_the_package_the_project_says_what_to_install(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "ukis_csmask" else found(name, *more))

    with pytest.raises(ProjectError, match=r"package 'ukis_csmask'; install what requirements.txt names"):
        load_algorithm(load_project(PROJECT))

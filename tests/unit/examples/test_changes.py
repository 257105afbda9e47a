"""The example that takes two images: what it calls a change, what it refuses, and what it leaves out."""

import numpy as np
import pytest
from support.examples import EXAMPLES, example
from support.payloads import NoSource, avro_envelope, avro_output, base64_of, json_envelope, raster

from pesto_stream.algorithms.binding import load_algorithm
from pesto_stream.algorithms.project import load_project
from pesto_stream.converters.limits import Limits
from pesto_stream.converters.registry import Converters
from pesto_stream.errors import AlgorithmError
from pesto_stream.model.invocation import ImageInfo, TileContext
from pesto_stream.model.tile import Tile

PLACE = (10.0, 0.0, 300_000.0, 0.0, -10.0, 4_900_020.0)
UTM = "EPSG:32631"


@pytest.fixture(scope="module")
def process():
    return example("change-detection").Process().process


@pytest.fixture(scope="module")
def runtime():
    """The loaded example, and the converters of a runtime around it."""
    algorithm = load_algorithm(load_project(EXAMPLES / "change-detection"))
    return algorithm, Converters(algorithm.spec, Limits(), NoSource())


def a_pair(bands=2, height=24, width=30, seed=1):
    """Two images of one place that differ by noise, and in the second one a bright block of 20 pixels."""
    rng = np.random.default_rng(seed)
    before = rng.normal(1000, 10, (bands, height, width))
    after = before + rng.normal(0, 10, before.shape)
    after[:, 4:9, 6:10] += 400
    return before.round().astype("uint16"), after.round().astype("uint16")


def info(crs=UTM, transform=PLACE, nodata=None, height=24, width=30):
    return ImageInfo(height, width, crs, transform, nodata)


def a_context(before=None, after=None):
    return TileContext(images={"before": before or info(), "after": after or info()})


def block():
    mask = np.zeros((24, 30), np.uint8)
    mask[4:9, 6:10] = 1
    return mask


def test_what_was_built_is_found_and_the_noise_is_not(process):
    outputs = process(*a_pair(), threshold=6)

    np.testing.assert_array_equal(outputs["mask"], block())
    assert outputs["mask"].dtype == np.uint8
    assert outputs["changed"] == 20 / 720
    assert outputs["bands"] == pytest.approx([400, 400], abs=15)


def test_a_change_that_all_pixels_share_is_none(process):
    before, after = a_pair()
    np.testing.assert_array_equal(process(before, after + np.uint16(300), threshold=6)["mask"], block())


def test_a_loss_is_a_change_as_well(process):
    before, after = a_pair()
    outputs = process(after, before, threshold=6)
    np.testing.assert_array_equal(outputs["mask"], block())
    assert outputs["bands"] == pytest.approx([-400, -400], abs=15)


def test_equal_images_have_no_change(process):
    before, _ = a_pair()
    outputs = process(before, before)
    assert (outputs["mask"].max(), outputs["changed"], outputs["bands"]) == (0, 0.0, [0.0, 0.0])


def test_where_most_pixels_are_equal_the_others_are_changes(process):
    before = np.full((1, 6, 6), 100, np.uint8)
    after = before.copy()
    after[0, 2, 3], after[0, 4, 4] = 103, 101
    assert np.argwhere(process(before, after)["mask"]).tolist() == [[2, 3], [4, 4]]


def test_each_image_has_its_own_nodata(process):
    before, after = a_pair()
    before[:, :, :3], after[:, -2:, :] = 0, 9999
    context = a_context(info(nodata=0.0), info(nodata=9999.0))
    outputs = process(before, after, threshold=6, context=context)

    expected = block()
    expected[:, :3], expected[-2:, :] = 255, 255
    np.testing.assert_array_equal(outputs["mask"], expected)
    assert outputs["changed"] == 20 / (22 * 27)
    assert context.output_nodata == 255


def test_pixels_that_are_not_a_number_have_no_data(process):
    before, after = (image.astype("float32") for image in a_pair())
    before[0, 20, 20], after[1, 21, 21], after[0, 5, 6] = np.nan, np.inf, np.nan
    mask = process(before, after, threshold=6)["mask"]
    assert (mask[20, 20], mask[21, 21], mask[5, 6], mask[5, 7]) == (255, 255, 255, 1)


def test_two_images_without_any_data_have_no_change(process):
    empty = np.zeros((1, 24, 30), np.uint16)
    outputs = process(empty, empty, context=a_context(info(nodata=0.0), info(nodata=0.0)))
    assert (np.unique(outputs["mask"]).tolist(), outputs["changed"], outputs["bands"]) == ([255], 0.0, [0.0])


def test_inputs_are_left_as_they_are(process):
    before, after = a_pair()
    copies = before.copy(), after.copy()
    process(before, after)
    np.testing.assert_array_equal((before, after), copies)


@pytest.mark.parametrize(
    ("shape", "said"),
    [((2, 24, 31), "'after' is 31 x 24 pixels of 2 bands"), ((3, 24, 30), "'after' is 30 x 24 pixels of 3 bands")],
)
def test_another_shape_is_refused(process, shape, said):
    with pytest.raises(ValueError, match=said):
        process(a_pair()[0], np.zeros(shape, np.uint16))


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (info(crs="EPSG:32632"), "'before' is in 'EPSG:32631', 'after' is in 'EPSG:32632'; expected one reference system"),
        (info(transform=(10.0, 0.0, 300_010.0, 0.0, -10.0, 4_900_020.0)), "expected two images of the same place"),
        (info(transform=(10.01, 0.0, 300_000.0, 0.0, -10.0, 4_900_020.0)), "expected two images of the same place"),
    ],
)
def test_another_place_is_refused(process, after, said):
    with pytest.raises(ValueError, match=said):
        process(*a_pair(), context=a_context(after=after))


@pytest.mark.parametrize(
    "after", [info(crs=None, transform=None), info(transform=(10.0, 0.0, 300_000.0 + 1e-9, 0.0, -10.0, 4_900_020.0))]
)
def test_an_image_that_says_no_place_or_differs_by_rounding_is_taken(process, after):
    assert process(*a_pair(), threshold=6, context=a_context(after=after))["changed"] > 0


# -- through the runtime's converters


def tiles(**changed):
    before, after = a_pair()
    return Tile(before, UTM, PLACE, 0.0), Tile(after, **{"crs": UTM, "transform": PLACE, "nodata": 7.0, **changed})


def ask_json(runtime, before, after):
    algorithm, converters = runtime
    invocation = converters.decode(json_envelope({"before": base64_of(before), "after": base64_of(after), "threshold": 6}))
    return algorithm.process(invocation), invocation.context


def test_the_context_knows_each_image_by_its_name(runtime):
    before, after = tiles()
    _, context = ask_json(runtime, before, after)

    assert list(context.images) == ["before", "after"]
    assert (context.images["before"].nodata, context.images["after"].nodata) == (0.0, 7.0)
    assert context.images["after"] == ImageInfo(24, 30, UTM, PLACE, 7.0, context.images["after"].band_names)
    assert (context.crs, context.transform, context.nodata) == (UTM, PLACE, 0.0), "of the first one"


def test_two_images_in_base64_and_two_rasters_give_the_same(runtime):
    algorithm, converters = runtime
    before, after = tiles()
    from_json, _ = ask_json(runtime, before, after)
    datum = {"before": raster(before), "after": raster(after), "threshold": 6.0}
    invocation = converters.decode(avro_envelope(algorithm.spec, datum))

    from_avro = algorithm.process(invocation)
    np.testing.assert_array_equal(from_avro["mask"], from_json["mask"])
    np.testing.assert_array_equal(from_avro["mask"], block())
    written = avro_output(algorithm.spec, converters.encode(invocation, from_avro).value)
    assert (written["changed"], written["bands"]) == (from_json["changed"], from_json["bands"])


def test_two_reference_systems_fail_the_tile_with_the_reason(runtime):
    with pytest.raises(AlgorithmError, match=r"ValueError: 'before' is in 'EPSG:32631', 'after' is in 'EPSG:32632'"):
        ask_json(runtime, *tiles(crs="EPSG:32632"))

"""The example that outlines a mask: its polygons are valid, cover the mask's pixels exactly, and lie where the mask lies."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from rasterio.features import rasterize
from support.examples import example

from pesto_stream.model.invocation import TileContext

NORTH_UP = (10.0, 0.0, 300_000.0, 0.0, -10.0, 4_900_020.0)
TURNED = (8.0, 3.0, 300_000.0, 3.0, -8.0, 4_900_020.0)


@pytest.fixture(scope="module")
def process():
    return example("cloud-polygons").Process().process


def outlined(process, mask, **more):
    return process(np.asarray(mask, np.uint8)[None], **more)


def area_of(ring):
    return sum(x * v - u * y for (x, y), (u, v) in pairwise(ring)) / 2


masks = arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 1))


@given(mask=masks)
def test_the_polygons_cover_the_masks_pixels_and_no_others(process, mask):
    outputs = outlined(process, mask)

    covered = [(polygon, 1) for polygon in outputs["polygons"]]
    again = rasterize(covered, mask.shape, dtype="uint8") if covered else np.zeros_like(mask)
    np.testing.assert_array_equal(again, mask)
    assert outputs["metadata"]["area"] == mask.sum()


@given(mask=masks, transform=st.sampled_from([NORTH_UP, TURNED]))
def test_polygons_are_valid(process, mask, transform):
    for polygon in outlined(process, mask, context=TileContext("EPSG:32631", transform))["polygons"]:
        outer, *holes = polygon["coordinates"]
        assert area_of(outer) > 0, "counterclockwise"
        assert all(area_of(hole) < 0 for hole in holes), "clockwise"
        for ring in polygon["coordinates"]:
            assert ring[0] == ring[-1]
            assert len(ring) >= 5
            assert max(Counter(map(tuple, ring[1:])).values()) == 1, "a ring that touches itself"


@given(mask=masks)
def test_area_and_centroid_are_those_of_the_pixels(process, mask):
    features = outlined(process, mask, context=TileContext("EPSG:32631", TURNED))["features"]["features"]

    pixel = abs(TURNED[0] * TURNED[4] - TURNED[1] * TURNED[3])
    for feature in features:
        shape = {"type": "Polygon", "coordinates": in_pixels(feature["geometry"]["coordinates"], TURNED)}
        rows, columns = np.nonzero(rasterize([(shape, 1)], mask.shape, dtype="uint8"))
        x, y = columns.mean() + 0.5, rows.mean() + 0.5
        a, b, c, d, e, f = TURNED
        assert feature["properties"]["area"] == pytest.approx(len(rows) * pixel, rel=1e-12)
        assert feature["properties"]["centroid"] == pytest.approx([a * x + b * y + c, d * x + e * y + f], rel=1e-12)


def in_pixels(rings, transform):
    a, b, c, d, e, f = transform
    inverse = np.linalg.inv([[a, b], [d, e]])
    return [np.round((np.array(ring) - (c, f)) @ inverse.T, 6).tolist() for ring in rings]


def test_a_hole_is_a_ring_and_no_part_of_the_area(process):
    mask = np.zeros((6, 7))
    mask[1:6, 1:6] = 1
    mask[2:4, 2:5] = 0
    (feature,) = outlined(process, mask, context=TileContext("EPSG:32631", NORTH_UP))["features"]["features"]

    assert [len(ring) for ring in feature["geometry"]["coordinates"]] == [5, 5]
    assert feature["properties"]["area"] == (25 - 6) * 100
    outer, hole = ({tuple(point) for point in ring} for ring in feature["geometry"]["coordinates"])
    assert outer == {(300_010, 4_900_010), (300_060, 4_900_010), (300_010, 4_899_960), (300_060, 4_899_960)}
    assert hole == {(300_020, 4_900_000), (300_050, 4_900_000), (300_020, 4_899_980), (300_050, 4_899_980)}


def test_smaller_polygons_than_asked_for_are_left_out(process):
    mask = [[1, 0, 1, 1], [0, 0, 1, 0]]

    assert outlined(process, mask, min_area=3)["metadata"]["count"] == 1
    assert outlined(process, mask, min_area=4)["polygons"] == []
    assert outlined(process, mask, min_area=300, context=TileContext("EPSG:32631", NORTH_UP))["metadata"]["area"] == 300


def test_a_mask_without_a_place_gives_pixels_and_says_so(process):
    outputs = outlined(process, [[0, 1]], context=TileContext())

    assert outputs["metadata"] == {"coordinates": "pixels", "crs": None, "count": 1, "area": 1.0}
    assert {tuple(point) for point in outputs["polygons"][0]["coordinates"][0]} == {(1, 0), (2, 0), (2, 1), (1, 1)}
    assert outlined(process, [[0, 1]], context=None) == outputs, "under PESTO itself"


def test_the_reference_system_is_the_masks(process):
    metadata = outlined(process, [[0, 1]], context=TileContext("EPSG:32631", NORTH_UP))["metadata"]
    assert (metadata["coordinates"], metadata["crs"]) == ("crs", "EPSG:32631")


def test_the_value_to_outline_is_the_callers_and_never_nodata(process):
    mask = [[0, 1, 1, 2]]
    assert outlined(process, mask, value=2)["metadata"]["area"] == 1
    assert outlined(process, mask, value=0, context=TileContext(nodata=0.0))["polygons"] == []


def test_several_bands_are_refused(process):
    with pytest.raises(ValueError, match="the mask has 2 bands; expected one"):
        process(np.zeros((2, 4, 4), np.uint8))

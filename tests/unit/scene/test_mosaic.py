import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pesto_stream.errors import EnvelopeError, ImageError
from pesto_stream.model.tile import Tile, Window, shifted
from pesto_stream.scene.mosaic import Mosaic, Verdict, core_of
from pesto_stream.scene.place import Place
from pesto_stream.scene.plan import plan

CRS = "EPSG:32631"
TRANSFORM = (10.0, 0.0, 500_000.0, 0.0, -10.0, 4_000_000.0)
TILES = plan(20, 20, 10, 3)
SIZE = (20, 20)


def placed(index):
    return Place.of(TILES[index], "s", SIZE)


def tile(index, dtype=np.uint8, bands=1, **changes):
    read = TILES[index].read
    array = np.zeros((bands, read.height, read.width), dtype)
    return replace(Tile(array, CRS, shifted(TRANSFORM, read.column, read.row)), **changes)


@given(st.permutations(range(4)), st.lists(st.integers(0, 3)))
def test_a_mosaic_is_complete_when_each_tile_came_in_whatever_order_and_number(order, again):
    mosaic = Mosaic("s")
    for index in order:
        assert not mosaic.complete
        assert mosaic.offer(placed(index), tile(index), str(index)) is Verdict.TAKEN
        for repeated in set(again) & set(order[: order.index(index) + 1]):
            assert mosaic.offer(placed(repeated), tile(repeated), str(repeated)) is Verdict.DUPLICATE
    assert mosaic.complete
    assert mosaic.size == SIZE
    assert (mosaic.form.crs, mosaic.form.transform) == (CRS, TRANSFORM)


def test_another_result_for_a_tile_is_a_conflict_and_no_duplicate():
    mosaic = Mosaic("s")
    mosaic.offer(placed(0), tile(0), "a")
    assert mosaic.offer(placed(0), tile(0), "b") is Verdict.CONFLICT
    assert (mosaic.taken, mosaic.duplicates, mosaic.conflicts) == (1, 0, 1)


def test_a_dead_letter_settles_a_tile_and_a_result_takes_its_place():
    mosaic = Mosaic("s")
    for index in range(3):
        mosaic.offer(placed(index), tile(index), str(index))
    assert (mosaic.missing, mosaic.settled) == (1, False)
    assert mosaic.fail(placed(3), "broken")
    assert not mosaic.fail(placed(3), "broken again")
    assert (mosaic.missing, mosaic.settled, mosaic.complete, mosaic.failed) == (0, True, False, {3: "broken"})
    mosaic.offer(placed(3), tile(3), "3")
    assert (mosaic.complete, mosaic.failed) == (True, {})


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (tile(1, np.uint16), "1 bands 'uint16'"),
        (tile(1, bands=2), "2 bands 'uint8'"),
        (tile(1, crs="EPSG:4326"), "georeference"),
        (tile(1, crs=None, transform=None), "georeference"),
        (tile(1, transform=shifted(TRANSFORM, 8, 0)), "georeference"),
        (tile(1, transform=(10.1, *TRANSFORM[1:])), "georeference"),
        (tile(1, transform=(math.nan, *TRANSFORM[1:])), "not finite"),
        (tile(1, transform=(1e308, 0.0, 1e308, 0.0, 1e308, -1e308)), "not finite|georeference"),
        (tile(1, array=np.zeros((1, 13, 12), np.uint8)), "does not hold a core"),
    ],
)
def test_a_tile_unlike_the_first_is_refused_and_leaves_no_trace(other, said):
    mosaic = Mosaic("s")
    mosaic.offer(placed(0), tile(0), "0")
    with pytest.raises(ImageError, match=said):
        mosaic.offer(placed(1), other, "1")
    assert mosaic.taken == 1
    assert mosaic.offer(placed(1), tile(1), "1") is Verdict.TAKEN


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"count": 5}, "the scene has 4"),
        ({"scene_size": (30, 30)}, "the scene has"),
        ({"core": Window(15, 0, 10, 10), "scene_size": None}, "the scene ends at 20 x 20"),
    ],
)
def test_a_place_in_another_scene_is_refused(change, said):
    mosaic = Mosaic("s")
    mosaic.offer(placed(0), tile(0), "0")
    with pytest.raises(EnvelopeError, match=said):
        mosaic.offer(replace(placed(1), **change), tile(1), "1")
    with pytest.raises(EnvelopeError, match=said):
        mosaic.fail(replace(placed(1), **change), "broken")


def test_a_corner_that_was_rounded_is_still_the_same_place():
    mosaic = Mosaic("s")
    mosaic.offer(placed(0), tile(0), "0")
    a, b, c, d, e, f = tile(1).transform
    assert mosaic.offer(placed(1), tile(1, transform=(a, b, c + 0.4, d, e, f - 0.4)), "1") is Verdict.TAKEN


def test_the_size_is_that_of_the_windows_where_no_tile_says_it():
    mosaic = Mosaic("s")
    mosaic.offer(replace(placed(0), scene_size=None), tile(0), "0")
    assert mosaic.size == (10, 10)
    mosaic.fail(replace(placed(3), scene_size=None), "broken")
    assert mosaic.size == (20, 20)


@pytest.mark.parametrize("declared", [(1 << 24, 1 << 24), None])
def test_a_window_far_away_makes_no_huge_mosaic(declared):
    far = replace(placed(0), core=Window((1 << 24) - 10, (1 << 24) - 10, 10, 10), scene_size=declared)
    mosaic = Mosaic("s")
    with pytest.raises(EnvelopeError, match="bytes: at most"):
        mosaic.offer(far, tile(0), "0")
    with pytest.raises(EnvelopeError, match="bytes: at most"):
        mosaic.fail(far, "broken")
    assert mosaic.size == (0, 0)


def test_cores_upon_each_other_do_not_outgrow_the_limit():
    mosaic = Mosaic("s", max_bytes=450)
    for index in range(4):
        mosaic.offer(Place("s", index, 100, Window(0, 0, 10, 10)), tile(0, transform=TRANSFORM, crs=CRS), str(index))
    with pytest.raises(EnvelopeError, match="'500' bytes: at most 450"):
        mosaic.offer(Place("s", 4, 100, Window(0, 0, 10, 10)), tile(0, transform=TRANSFORM, crs=CRS), "4")


@pytest.mark.parametrize(("dtype", "nodata", "kept"), [("uint8", -1.0, None), ("uint8", math.nan, None), ("uint8", 255.0, 255.0)])
def test_a_nodata_that_the_pixels_cannot_hold_is_left_out(dtype, nodata, kept):
    mosaic = Mosaic("s")
    mosaic.offer(placed(0), tile(0, np.dtype(dtype), nodata=nodata), "0")
    assert mosaic.form.nodata == kept


def test_the_core_is_cut_out_at_its_offset():
    array = np.arange(13 * 13).reshape(1, 13, 13)
    assert core_of(placed(3), array).tolist() == array[:, 3:13, 3:13].tolist()

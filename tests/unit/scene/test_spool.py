import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pesto_stream.model.tile import Window
from pesto_stream.scene import spool as spool_module
from pesto_stream.scene.plan import plan
from pesto_stream.scene.spool import Spool


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("spool")


def joined(spool, width, height, bands, dtype, fill=0):
    whole = np.full((bands, height, width), 77, dtype)
    uncovered = 0
    for block in spool.blocks(width, height, bands, np.dtype(dtype), fill):
        column, row, across, down = block.window
        whole[:, row : row + down, column : column + across] = block.array
        uncovered += block.uncovered
    return whole, uncovered


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(9, 100), st.sampled_from(["uint8", "int16", "float64"]), st.randoms())
def test_cores_in_any_order_make_the_scene_again(folder, width, height, tile, dtype, random):
    scene = np.random.default_rng(1).integers(0, 100, (2, height, width)).astype(dtype)
    tiles = list(plan(width, height, tile, 0))
    random.shuffle(tiles)
    with pytest.MonkeyPatch.context() as patch, Spool(folder) as spool:
        patch.setattr(spool_module, "BLOCK", 32)
        for planned in tiles:
            column, row, across, down = planned.core
            spool.add(planned.core, scene[:, row : row + down, column : column + across])
        whole, uncovered = joined(spool, width, height, 2, dtype)
    assert (whole == scene).all()
    assert uncovered == 0


def test_pixels_without_a_core_are_filled_and_counted(folder):
    with Spool(folder) as spool:
        spool.add(Window(0, 0, 3, 2), np.ones((1, 2, 3), np.uint8))
        spool.add(Window(1, 0, 3, 2), np.full((1, 2, 3), 2, np.uint8))
        whole, uncovered = joined(spool, 5, 3, 1, np.uint8, fill=9)
    assert whole.tolist() == [[[1, 2, 2, 2, 9], [1, 2, 2, 2, 9], [9, 9, 9, 9, 9]]]
    assert uncovered == 7


def test_an_empty_spool_is_all_fill(folder):
    with Spool(folder) as spool:
        whole, uncovered = joined(spool, 4, 2, 3, np.float32, fill=np.nan)
    assert np.isnan(whole).all()
    assert uncovered == 8


def test_a_closed_spool_leaves_no_file(tmp_path):
    with Spool(tmp_path) as spool:
        spool.add(Window(0, 0, 2, 2), np.ones((1, 2, 2), np.uint8))
    assert list(tmp_path.iterdir()) == []

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pesto_stream.errors import ConfigurationError
from pesto_stream.model.tile import Window
from pesto_stream.scene.plan import intersection, plan

sizes = st.integers(1, 300)
windows = st.builds(Window, st.integers(0, 40), st.integers(0, 40), st.integers(1, 40), st.integers(1, 40))


@given(sizes, sizes, st.integers(7, 400), st.integers(0, 90))
def test_cores_partition_the_scene(width, height, tile, overlap):
    seen = np.zeros((height, width), int)
    for planned in plan(width, height, tile, overlap):
        column, row, across, down = planned.core
        seen[row : row + down, column : column + across] += 1
    assert (seen == 1).all()


@given(sizes, sizes, st.integers(7, 400), st.integers(0, 90))
def test_a_read_window_is_its_core_and_the_overlap_as_far_as_the_scene_goes(width, height, tile, overlap):
    for planned in plan(width, height, tile, overlap):
        core, read = planned.core, planned.read
        assert read.column == max(0, core.column - overlap)
        assert read.row == max(0, core.row - overlap)
        assert read.column + read.width == min(width, core.column + core.width + overlap)
        assert read.row + read.height == min(height, core.row + core.height + overlap)
        assert planned.offset == (core.column - read.column, core.row - read.row)


@given(sizes, sizes, st.integers(7, 400))
def test_indexes_count_from_zero_row_by_row(width, height, tile):
    tiles = plan(width, height, tile, 0)
    assert [planned.index for planned in tiles] == list(range(len(tiles)))
    assert {planned.count for planned in tiles} == {len(tiles)}
    assert [planned.core for planned in tiles] == sorted((p.core for p in tiles), key=lambda core: (core.row, core.column))


def test_an_inner_core_is_a_full_square():
    inner = plan(1000, 1000, 256, 32)[5]
    assert inner.core == Window(256, 256, 256, 256)
    assert inner.read == Window(224, 224, 320, 320)
    assert inner.offset == (32, 32)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((0, 10, 4, 0), "'0 x 10'"),
        ((10, 10, 0, 0), "'0' pixels"),
        ((10, 10, 4, -1), "'-1' pixels"),
        ((100_000, 100_000, 1, 0), "at most 1000000 tiles"),
    ],
)
def test_sizes_that_make_no_plan_are_refused(arguments, said):
    with pytest.raises(ConfigurationError, match=said):
        plan(*arguments)


@given(windows, windows)
def test_an_intersection_holds_the_pixels_of_both(first, second):
    def pixels(window):
        columns = range(window.column, window.column + window.width)
        rows = range(window.row, window.row + window.height)
        return {(column, row) for column in columns for row in rows}

    shared = intersection(first, second)
    assert (pixels(shared) if shared else set()) == pixels(first) & pixels(second)

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pesto_stream.errors import ConfigurationError
from pesto_stream.model.tile import Window
from pesto_stream.scene.synthetic import NODATA, SyntheticScene

SIZE = 512
WHOLE = SyntheticScene(SIZE, 7).window(Window(0, 0, SIZE, SIZE))


def test_the_same_seed_makes_the_same_scene_and_another_one_another():
    again = SyntheticScene(SIZE, 7).window(Window(0, 0, SIZE, SIZE))
    other = SyntheticScene(SIZE, 8).window(Window(0, 0, SIZE, SIZE))
    assert np.array_equal(WHOLE.array, again.array)
    assert np.array_equal(WHOLE.truth, again.truth)
    assert not np.array_equal(WHOLE.array, other.array)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, SIZE - 1), st.integers(0, SIZE - 1), st.integers(1, 200), st.integers(1, 200))
def test_a_window_is_that_part_of_the_whole(column, row, width, height):
    window = Window(column, row, min(width, SIZE - column), min(height, SIZE - row))
    part = SyntheticScene(SIZE, 7).window(window)
    here = (slice(row, row + window.height), slice(column, column + window.width))
    assert np.array_equal(part.array, WHOLE.array[:, *here])
    assert np.array_equal(part.truth, WHOLE.truth[here])


@pytest.mark.parametrize("seed", range(4))
def test_a_threshold_finds_most_clouds_and_not_all_is_right(seed):
    scene = SyntheticScene(1024, seed).window(Window(0, 0, 1024, 1024))
    inside = scene.array[0] != NODATA
    guess = scene.array[0] > 2500
    right = np.mean(guess[inside] == scene.truth[inside])
    assert 0.95 < right < 1
    assert 0.02 < scene.truth[inside].mean() < 0.8


def test_outside_the_swath_every_band_has_no_data_and_no_cloud():
    empty = WHOLE.array == NODATA
    assert (empty.all(axis=0) == empty.any(axis=0)).all()
    assert empty[0, -1, 0]
    assert empty[0, 0, -1]
    assert 0.02 < empty[0].mean() < 0.2
    assert not WHOLE.truth[empty[0]].any()


@pytest.mark.parametrize(("size", "seed", "said"), [(63, 7, "'63' pixels"), (64, -1, "'-1'")])
def test_a_size_or_seed_that_makes_no_scene_is_refused(size, seed, said):
    with pytest.raises(ConfigurationError, match=said):
        SyntheticScene(size, seed)

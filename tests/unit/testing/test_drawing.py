import numpy as np
import pytest

from pesto_stream.converters.image import decode_image
from pesto_stream.converters.limits import Limits
from pesto_stream.testing.drawing import PANEL_SIDE, drawing


def drawn(expected, actual):
    off = np.abs(expected.astype(float) - actual.astype(float)).max(axis=0)
    tile, media_type = decode_image(drawing(expected, actual, off), None, Limits())
    assert (media_type, tile.array.dtype, len(tile.array)) == ("image/png", np.uint8, 3)
    return tile.array


def panels(picture):
    width = (picture.shape[2] - 16) // 3
    return [picture[:, :, start : start + width] for start in (0, width + 8, 2 * (width + 8))]


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64"])
@pytest.mark.parametrize("bands", [1, 2, 3, 5])
def test_three_panels_show_expected_result_and_difference(dtype, bands):
    expected = np.arange(bands * 200 * 180).reshape(bands, 200, 180).astype(dtype)
    actual = expected.copy()
    actual[:, 10, 20] += 1
    left, middle, right = panels(drawn(expected, actual))
    assert left.shape == middle.shape == right.shape == (3, 200, 180)
    assert right[0, 10, 20] == 255
    assert (right[:, 100:] < 128).all()


def test_a_mask_of_few_values_is_spread_over_all_greys():
    expected = np.zeros((1, 200, 200), np.uint8)
    expected[0, :100] = 1
    left, _, _ = panels(drawn(expected, expected.copy()))
    assert left.max() == 255


def test_the_further_off_the_more_yellow():
    expected = np.zeros((1, 200, 200), np.uint8)
    actual = expected.copy()
    actual[0, 0, 0], actual[0, 0, 1] = 10, 200
    _, _, right = panels(drawn(expected, actual))
    assert right[1, 0, 0] < right[1, 0, 1] == 255


def test_one_pixel_of_a_large_image_stays_visible():
    expected = np.zeros((1, 3000, 2000), np.uint8)
    actual = expected.copy()
    actual[0, 1501, 777] = 1
    picture = drawn(expected, actual)
    assert max(picture.shape[1:]) <= 3 * PANEL_SIDE + 16
    _, _, right = panels(picture)
    assert (right[0] == 255).sum() == 1


def test_a_small_image_is_enlarged():
    assert drawn(np.zeros((1, 4, 4), np.uint8), np.ones((1, 4, 4), np.uint8)).shape[1] >= 160


def test_nan_and_infinity_can_be_drawn():
    expected = np.full((1, 20, 20), np.nan, np.float32)
    off = np.full((20, 20), np.inf)
    assert drawing(expected, np.zeros_like(expected), off)

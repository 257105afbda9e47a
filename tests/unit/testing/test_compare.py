"""Everything in which outputs can differ from the expected ones, with the words that say so."""

import numpy as np
import pytest
from support.images import picture

from pesto_stream.converters.image import decode_image, encode_image
from pesto_stream.converters.limits import Limits
from pesto_stream.errors import ProjectError
from pesto_stream.model.tile import Tile
from pesto_stream.testing.answer import Picture
from pesto_stream.testing.compare import compare
from pesto_stream.testing.difference import Tolerance
from pesto_stream.testing.resources import File

CRS, TRANSFORM = "EPSG:32631", (10.0, 0.0, 500_000.0, 0.0, -10.0, 5_000_000.0)
BASE = np.arange(60, dtype=np.uint8).reshape(1, 6, 10)


def said(expected, actual, **tolerance):
    return [str(one) for one in compare(expected, actual, Tolerance(**tolerance), Limits())]


@pytest.mark.parametrize(
    ("expected", "actual", "message"),
    [
        (1, 2, "x: 2, expected 1"),
        (1, True, "x: true, expected 1"),
        (None, 0, "x: 0, expected null"),
        ("a\n", "a", r"x: 'a', expected 'a\n'"),
        ("1", 1, "x: 1, expected '1'"),
        (0.5, 0.6, "x: 0.6, expected 0.5 (off by 0.1)"),
        (0.5, "0.5", "x: '0.5', expected 0.5"),
        ([1, 2], [1], "x: 1 element, expected 2"),
        ([1, 2], [1, 3], "x[1]: 3, expected 2"),
        ([1, 2], [2, 1], "x[0]: 2, expected 1"),
        ({"a": [{"b": 1}]}, {"a": [{"b": 2}]}, "x.a[0].b: 2, expected 1"),
        ({"a": 1}, {}, "x.a: missing from the result"),
        ({}, {"a": "z"}, "x.a: not expected: 'z'"),
        ({"a": 1}, [1], "x: an array of 1, expected an object of 1"),
    ],
)
def test_what_differs_in_json_is_said_with_its_place(expected, actual, message):
    assert message in said({"x": expected}, {"x": actual})


@pytest.mark.parametrize("value", [1, 1.0, True, None, "text", [1, [2.5]], {"a": {"b": []}}])
def test_equal_values_do_not_differ(value):
    assert said({"x": value}, {"x": value}) == []


def test_floats_are_equal_within_the_tolerance_and_whole_numbers_only_exactly():
    assert said({"x": 1e6}, {"x": 1e6 + 0.5}) == []
    assert said({"x": 0.0}, {"x": 1e-10}) == []
    assert said({"x": 2.0}, {"x": 2}) == []
    assert said({"x": 1e6}, {"x": 1e6 + 2}) != []
    assert said({"x": 10**6}, {"x": 10**6 + 1}) != []
    assert said({"x": 1.0}, {"x": 1.05}, relative=0.1) == []
    assert said({"x": 0.0}, {"x": 0.05}, absolute=0.1) == []


def test_a_long_text_is_cut_and_nothing_acts_on_a_terminal():
    (text,) = said({"x": "a"}, {"x": "\x1b[2J" + "b" * 100})
    assert text.isprintable()
    assert "(104 characters)" in text


def result(tile, media_type="image/tiff"):
    data = encode_image(tile, media_type)
    return Picture(data, *reversed(decode_image(data, media_type, Limits())))


@pytest.fixture
def images(tmp_path):
    """Differences between an expected file and a result."""

    def _images(expected, actual, media_type="image/tiff", ending="tif", **tolerance):
        path = tmp_path / f"mask.{ending}"
        path.write_bytes(expected if isinstance(expected, bytes) else encode_image(expected, media_type))
        return compare({"mask": File(path)}, {"mask": result(actual)}, Tolerance(**tolerance), Limits())

    return _images


def changed(array, *places, by=1):
    other = array.copy()
    for place in places:
        other[(slice(None), *place)] += np.asarray(by).astype(array.dtype)
    return other


def test_equal_images_do_not_differ(images):
    assert images(Tile(BASE, CRS, TRANSFORM, 255), Tile(BASE, CRS, TRANSFORM, 255)) == []


def test_pixels_are_counted_with_how_far_they_are_off(images):
    actual = changed(changed(BASE, (0, 0), (2, 3)), (5, 9), by=10)
    (found,) = images(Tile(BASE), Tile(actual))
    assert str(found) == "mask: 3 of 60 pixels differ (5.0 %), by at most 10, on average 4"
    assert found.drawing is not None


def test_a_pixel_that_differs_in_several_bands_counts_once(images):
    expected = np.zeros((3, 4, 4), np.uint16)
    (found,) = images(Tile(expected), Tile(changed(expected, (1, 1), by=300)))
    assert "1 of 16 pixels differ (6.2 %), by at most 300, on average 300" in str(found)


def test_pixels_of_whole_numbers_may_be_off_by_the_tolerance(images):
    actual = changed(BASE, (0, 0), by=2)
    assert images(Tile(BASE), Tile(actual), pixels=2) == []
    (found,) = images(Tile(BASE), Tile(actual), pixels=1)
    assert str(found).endswith("by at most 2, on average 2 (1 is allowed)")


def test_a_fall_below_zero_of_an_unsigned_image_is_no_small_difference(images):
    (found,) = images(Tile(np.zeros((1, 2, 2), np.uint8)), Tile(np.full((1, 2, 2), 255, np.uint8)), pixels=1)
    assert "by at most 255" in str(found)


def test_64_bit_pixels_that_floats_cannot_tell_apart_differ(images):
    large = np.full((1, 2, 2), 2**60, np.int64)
    assert len(images(Tile(large), Tile(changed(large, (0, 0))))) == 1


@pytest.mark.parametrize(
    ("actual", "message"),
    [
        (Tile(BASE[:, :5], CRS, TRANSFORM, 255), "shape 1 x 5 x 10, expected 1 x 6 x 10 (bands x height x width)"),
        (Tile(BASE.astype(np.uint16), CRS, TRANSFORM, 255), "dtype uint16, expected uint8"),
        (Tile(BASE, "EPSG:32632", TRANSFORM, 255), "CRS EPSG:32632, expected EPSG:32631"),
        (Tile(BASE, None, TRANSFORM, 255), "CRS none, expected EPSG:32631"),
        (
            Tile(BASE, CRS, (*TRANSFORM[:2], 500_010.0, *TRANSFORM[3:]), 255),
            "transform (10, 0, 500010, 0, -10, 5000000), expected (10, 0, 500000, 0, -10, 5000000)",
        ),
        (Tile(BASE, CRS, TRANSFORM, 0), "nodata 0, expected 255"),
        (Tile(BASE, CRS, TRANSFORM, None), "nodata none, expected 255"),
    ],
)
def test_everything_but_pixels_is_said_alone(images, actual, message):
    (found,) = images(Tile(BASE, CRS, TRANSFORM, 255), actual)
    assert str(found) == f"mask: {message}"
    assert found.drawing is None


def test_all_that_differs_is_in_one_sentence(images):
    actual = Tile(changed(BASE, (0, 0)).astype(np.int16), "EPSG:4326", TRANSFORM, 7)
    (found,) = images(Tile(BASE, CRS, TRANSFORM, 255), actual)
    assert [part.split()[0] for part in str(found).removeprefix("mask: ").split("; ")] == ["dtype", "CRS", "nodata", "1"]


def test_a_georeferenced_file_without_nodata_expects_none(images):
    (found,) = images(Tile(BASE, CRS, TRANSFORM), Tile(BASE, CRS, TRANSFORM, 0))
    assert str(found) == "mask: nodata 0, expected none"


def test_a_tiff_with_nothing_but_nodata_is_taken_at_its_word(images):
    (found,) = images(Tile(BASE, nodata=255), Tile(BASE, nodata=0))
    assert str(found) == "mask: nodata 0, expected 255"
    (found,) = images(Tile(BASE, nodata=255), Tile(BASE, CRS, None, 255))
    assert str(found).startswith("mask: CRS EPSG:32631, expected none")


def test_a_tiff_without_any_place_says_nothing_about_it_as_pesto_writes_it(images):
    assert images(Tile(BASE), Tile(BASE, CRS, TRANSFORM, 255)) == []


def test_a_png_says_nothing_about_place_and_nodata(images):
    assert images(Tile(BASE), Tile(BASE, CRS, TRANSFORM, 255), media_type="image/png", ending="png") == []


def test_nan_equals_nan_and_differs_from_numbers(images):
    expected = np.ones((1, 4, 4), np.float32)
    expected[0, 0, :2] = np.nan
    expected[0, 1, 0] = np.inf
    assert images(Tile(expected), Tile(expected.copy())) == []
    other = expected.copy()
    other[0, 0, 0] = 1
    other[0, 3, 3] = 1.5
    (found,) = images(Tile(expected), Tile(other))
    assert "2 of 16 pixels differ (12.5 %), by at most 0.5, on average 0.5, 1 values are NaN or infinite on one side only" in str(
        found
    )


def test_a_pixel_that_is_a_number_on_one_side_only_is_drawn(images):
    expected = np.full((1, 200, 200), np.nan, np.float32)
    other = expected.copy()
    other[0, 7, 9] = 1
    (found,) = images(Tile(expected), Tile(other))
    picture_of_it, _ = decode_image(found.drawing, None, Limits())
    assert list(picture_of_it.array[:2, 7, -200 + 9]) == [255, 255]


def test_float_pixels_follow_the_tolerance_of_floats(images):
    expected = np.linspace(1, 2, 16, dtype=np.float32).reshape(1, 4, 4)
    near = expected * np.float32(1 + 3e-7)
    assert images(Tile(expected), Tile(near)) == []
    assert len(images(Tile(expected), Tile(near), relative=1e-8)) == 1
    assert images(Tile(expected), Tile(expected + np.float32(0.01)), absolute=0.02) == []


SMOOTH = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8)[np.newaxis].repeat(3, 0)


def test_an_expected_jpeg_passes_what_its_compression_did_and_no_more(images):
    jpeg = picture(SMOOTH, "JPEG", quality=75)
    assert images(jpeg, Tile(SMOOTH), ending="jpg") == []
    (found,) = images(jpeg, Tile(SMOOTH[:, ::-1].copy()), ending="jpg")
    assert "pixels differ" in str(found)
    assert "(the expected JPEG allows 4 of 255 on average, and 1% further off than 48)" in str(found)


def test_a_spot_in_a_jpeg_is_found_that_the_average_would_hide(images):
    spoiled = SMOOTH.copy()
    spoiled[:, :8, :8] = 255 - spoiled[:, :8, :8]
    assert len(images(picture(SMOOTH, "JPEG", quality=90), Tile(spoiled), ending="jpg")) == 1


def test_an_image_in_place_of_a_value_and_the_other_way_round(tmp_path):
    path = tmp_path / "mask.png"
    path.write_bytes(encode_image(Tile(BASE), "image/png"))
    assert said({"mask": File(path)}, {"mask": 3}) == ["mask: 3, expected an image ('mask.png')"]
    assert said({"mask": 3}, {"mask": result(Tile(BASE))}) == ["mask: an image of 1 x 6 x 10 uint8, expected 3"]
    assert said({}, {"masks": [1], "mask": result(Tile(BASE))}) == [
        "mask: not expected: an image of 1 x 6 x 10 uint8",
        "masks: not expected: an array of 1",
    ]


def test_images_in_arrays_and_objects_are_named_by_their_place(tmp_path):
    path = tmp_path / "0.png"
    path.write_bytes(encode_image(Tile(BASE), "image/png"))
    other = result(Tile(changed(BASE, (0, 0))))
    (text,) = said({"list": [{"mask": File(path)}]}, {"list": [{"mask": other}]})
    assert text.startswith("list[0].mask: 1 of 60 pixels differ")


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n"])
def test_an_expected_file_that_is_no_image_is_the_projects_fault(images, content):
    with pytest.raises(ProjectError, match=r"cannot compare with '.*mask\.tif'"):
        images(content, Tile(BASE))

"""Image files to tiles and back."""

from __future__ import annotations

import io
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from support import images

from pesto_stream.converters.image import Whole, choose_format, decode_image, encode_image, read_image, sniff
from pesto_stream.converters.limits import Limits
from pesto_stream.errors import EncodeError, ImageError
from pesto_stream.model.envelope import JP2, JPEG, NPY, PNG, RASTER, TIFF
from pesto_stream.model.tile import Tile, Window

LIMITS = Limits()
TIFF_DTYPES = ["uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float32", "float64"]


def decode(data: bytes, media_type: str | None = None) -> Tile:
    return decode_image(data, media_type, LIMITS)[0]


def arrays(dtypes: list[str], bands: int = 6):
    shapes = st.tuples(st.integers(1, bands), st.integers(1, 40), st.integers(1, 40))
    return st.sampled_from(dtypes).flatmap(lambda dtype: hnp.arrays(dtype, shapes))


def same(left: np.ndarray, right: np.ndarray) -> bool:
    return (
        left.dtype == right.dtype and left.shape == right.shape and np.array_equal(left, right, equal_nan=left.dtype.kind == "f")
    )


@settings(deadline=None, max_examples=60)
@given(arrays(TIFF_DTYPES))
def test_a_tiff_keeps_every_pixel_and_dtype(array):
    assert same(decode(encode_image(Tile(array), TIFF)).array, array)


@settings(deadline=None, max_examples=40)
@given(arrays(["uint8", "uint16"], bands=4))
def test_a_png_keeps_every_pixel_and_dtype(array):
    assert same(decode(encode_image(Tile(array), PNG)).array, array)


@settings(deadline=None, max_examples=60)
@given(arrays([*TIFF_DTYPES, "bool", "float16"]))
def test_an_npy_keeps_every_pixel_and_dtype(array):
    assert same(decode(encode_image(Tile(array), NPY)).array, array)


@settings(deadline=None, max_examples=60)
@given(st.data(), st.sampled_from(["<u2", ">u2", "<i4", ">f4", ">f8", "|u1", "|b1"]), st.booleans())
def test_an_npy_of_another_machine_is_read_in_native_order(data, dtype, fortran):
    array = data.draw(hnp.arrays(dtype, st.tuples(st.integers(1, 9), st.integers(1, 9))))
    tile = decode(images.npy(np.asfortranarray(array) if fortran else array))
    assert tile.array.dtype == array.dtype.newbyteorder("=")
    assert tile.array.flags.c_contiguous
    assert tile.array.flags.writeable
    assert np.array_equal(tile.array[0], array, equal_nan=array.dtype.kind == "f")


@pytest.mark.parametrize("size", [(1, 1), (255, 300), (256, 256), (300, 700)])
def test_a_georeferenced_tiff_keeps_its_place_and_is_what_rasterio_reads(size):
    array = images.ramp(4, *size, "uint16")
    data = encode_image(Tile(array, "EPSG:32631", images.PLACE, 7.0), TIFF)
    tile = decode(data, TIFF)
    assert (tile.crs, tile.transform, tile.nodata) == ("EPSG:32631", images.PLACE, 7.0)
    assert np.array_equal(images.pixels_of(data), array)


def test_a_crs_without_a_code_stays_wkt():
    wkt = decode(images.geotiff(images.ramp(), crs="+proj=laea +lat_0=10.5 +lon_0=20.25 +x_0=17 +datum=WGS84 +units=m")).crs
    assert wkt is not None
    assert wkt.startswith("PROJCS")
    assert decode(encode_image(Tile(images.ramp(), wkt, images.PLACE), TIFF)).crs == wkt


def test_an_image_without_georeference_has_none():
    tile = decode(encode_image(Tile(images.ramp()), TIFF))
    assert (tile.crs, tile.transform, tile.nodata) == (None, None, None)


def test_a_transform_without_crs_is_kept():
    tile = decode(images.geotiff(images.ramp(), crs=None))
    assert (tile.crs, tile.transform) == (None, images.PLACE)


def test_control_points_do_not_pass_for_a_crs_though_an_image_with_the_same_keys_has_one():
    georeferenced = images.geotiff(images.ramp())
    assert decode(georeferenced).crs == "EPSG:32631"
    tile = decode(images.with_control_points(images.ramp(), "EPSG:32631"))
    assert (tile.crs, tile.transform) == (None, None)
    assert decode(georeferenced).crs == "EPSG:32631"


def test_nan_is_a_nodata_of_floats():
    tile = decode(encode_image(Tile(images.ramp(dtype="float32"), nodata=float("nan")), TIFF))
    assert tile.nodata is not None
    assert np.isnan(tile.nodata)


@pytest.mark.parametrize(("text", "expected"), [(b"-9999", None), (b"nan", None), (b"7", 7.0), (b"", None)])
def test_a_nodata_that_the_pixels_cannot_have_is_none(text, expected):
    assert decode(images.with_nodata_text(text)).nodata == expected


def test_an_image_in_big_endian_and_one_in_bigtiff_are_read():
    assert np.array_equal(
        decode(images.geotiff(images.ramp(dtype="uint16"), ENDIANNESS="BIG")).array, images.ramp(dtype="uint16")
    )
    assert np.array_equal(decode(images.geotiff(images.ramp(), BIGTIFF="YES")).array, images.ramp())


def test_a_palette_gives_its_indexes():
    data = images.picture(images.ramp(1) % 4, "PNG", colormap={n: (n, 0, 0, 255) for n in range(4)})
    assert np.array_equal(decode(data).array, images.ramp(1) % 4)


def test_alpha_is_a_band():
    assert decode(images.picture(images.ramp(4), "PNG")).array.shape == (4, 32, 48)


def test_a_cmyk_jpeg_comes_as_rgb():
    data = images.picture(images.ramp(4), "JPEG", photometric="CMYK")
    assert decode_image(data, JPEG, LIMITS)[0].array.shape == (3, 32, 48)


def test_a_jpeg_2000_is_read():
    data = images.picture(images.ramp(3, 64, 64), "JP2OpenJPEG", quality=100, reversible="YES")
    tile, media_type = decode_image(data, None, LIMITS)
    assert media_type == JP2
    assert np.array_equal(tile.array, images.ramp(3, 64, 64))


def test_bits_below_eight_become_bytes():
    assert decode(images.geotiff(images.ramp(1) % 2, NBITS=1)).array.dtype == np.uint8


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"II*\0....", TIFF), (b"MM\0*....", TIFF), (b"II+\0\x08\0\0\0....", TIFF), (b"MM\0+\0\x08\0\0", TIFF),
        (b"\x89PNG\r\n\x1a\n", PNG), (b"\xff\xd8\xff\xe0", JPEG), (b"\0\0\0\x0cjP  \r\n\x87\n", JP2), (b"\xff\x4f\xff\x51", JP2),
        (b"\x93NUMPY\1\0", NPY), (b"", None), (b"II*", None), (b"<VRTDataset", None), (b"GIF89a", None),
    ],
)  # fmt: skip
def test_the_signature_names_the_format(data, expected):
    assert sniff(data) == expected


def test_a_declared_type_that_the_bytes_contradict_is_an_error_that_names_both():
    with pytest.raises(ImageError, match="declared as 'image/png' but its first bytes are those of 'image/tiff'"):
        decode(images.geotiff(images.ramp()), PNG)


def test_complex_samples_are_refused():
    integers = images.plain_tiff(2, 2, bytes(16), tag_339=(3, [5]), tag_258=(3, [32]))
    for data in (images.geotiff(images.ramp(1).astype("complex64")), integers):
        with pytest.raises(ImageError, match=r"complex.*not supported"):
            decode(data)


# --- windows


@pytest.mark.parametrize(
    "profile",
    [
        {}, {"tiled": True, "blockxsize": 64, "blockysize": 32}, {"compress": "deflate", "predictor": 2}, {"interleave": "band"},
        {"compress": "lzw", "tiled": True, "blockxsize": 16, "blockysize": 16, "interleave": "band"}, {"BIGTIFF": "YES"},
        {"ENDIANNESS": "BIG", "compress": "deflate"}, {"BIGTIFF": "YES", "ENDIANNESS": "BIG", "tiled": True, "blockxsize": 64, "blockysize": 64},
        {"blockysize": 7}, {"compress": "zstd"}, {"compress": "lerc"},
    ],
    ids=str,
)  # fmt: skip
@settings(deadline=None, max_examples=15)
@given(data=st.data())
def test_a_window_is_the_same_as_cutting_the_whole(profile, data):
    array = images.ramp(3, 100, 130, "uint16")
    left, top = data.draw(st.integers(0, 129)), data.draw(st.integers(0, 99))
    window = Window(left, top, data.draw(st.integers(1, 130 - left)), data.draw(st.integers(1, 100 - top)))
    tile, _ = read_image(Whole(images.geotiff(array, **profile)), TIFF, LIMITS, window)
    assert same(tile.array, array[:, top : top + window.height, left : left + window.width])
    assert tile.transform == (10.0, 0.0, 500_000.0 + 10 * left, 0.0, -10.0, 5_000_000.0 - 10 * top)
    assert tile.crs == "EPSG:32631"


def test_a_window_of_a_jpeg_in_tiff_is_what_rasterio_reads():
    data = images.geotiff(images.ramp(3, 96, 96), compress="jpeg", photometric="ycbcr", tiled=True, blockxsize=32, blockysize=32)
    tile, _ = read_image(Whole(data), None, LIMITS, Window(40, 10, 30, 50))
    assert np.array_equal(tile.array, images.pixels_of(data, (40, 10, 30, 50)))


def test_blocks_that_are_not_stored_are_zeros():
    array = np.zeros((1, 128, 128), "uint8")
    array[0, :10, :10] = 9
    data = images.geotiff(array, SPARSE_OK=True, tiled=True, blockxsize=64, blockysize=64)
    tile, _ = read_image(Whole(data), None, LIMITS, Window(5, 5, 120, 120))
    assert np.array_equal(tile.array, array[:, 5:125, 5:125])


@pytest.mark.parametrize("driver", ["PNG", "JPEG", "NPY"])
def test_a_window_of_another_format_is_cut_from_the_whole(driver):
    data = images.npy(images.ramp()) if driver == "NPY" else images.picture(images.ramp(), driver)
    tile, _ = read_image(Whole(data), None, LIMITS, Window(3, 4, 5, 6))
    assert np.array_equal(tile.array, decode(data).array[:, 4:10, 3:8])
    assert tile.array.flags.c_contiguous


def test_the_limits_hold_for_the_window_not_for_the_image():
    data = images.geotiff(images.ramp(1, 300, 300), tiled=True, blockxsize=16, blockysize=16)
    small = Limits(max_pixels=5000, max_decoded_bytes=5000)
    assert read_image(Whole(data), None, small, Window(100, 100, 20, 20))[0].array.shape == (1, 20, 20)
    with pytest.raises(ImageError, match="more than the limit of 5000"):
        read_image(Whole(data), None, small, Window(0, 0, 100, 100))
    with pytest.raises(ImageError, match="more than the limit of 5000"):
        decode_image(data, None, small)


@pytest.mark.parametrize(
    "window", [Window(-1, 0, 5, 5), Window(0, 0, 0, 5), Window(0, 30, 5, 5), Window(48, 0, 1, 1), Window(0, 0, 1 << 40, 1)]
)
@pytest.mark.parametrize("driver", ["GTiff", "PNG"])
def test_a_window_outside_of_the_image_is_refused(window, driver):
    data = images.geotiff(images.ramp()) if driver == "GTiff" else images.picture(images.ramp(), driver)
    with pytest.raises(ImageError, match="cannot read window"):
        read_image(Whole(data), None, LIMITS, window)


# --- writing


@pytest.mark.parametrize("dtype", ["bool", "float16", "complex64", "U3"])
def test_a_tiff_that_cannot_hold_the_dtype_is_refused_with_the_remedy(dtype):
    with pytest.raises(EncodeError, match=r"cannot write image of 1 bands of .* as TIFF.*output.image_format"):
        encode_image(Tile(np.zeros((1, 4, 4), dtype)), TIFF)


@pytest.mark.parametrize("array", [np.zeros((5, 4, 4), "uint8"), np.zeros((1, 4, 4), "float32"), np.zeros((1, 4, 4), "int16")])
def test_a_png_that_cannot_hold_the_image_is_refused_with_the_remedy(array):
    with pytest.raises(EncodeError, match=r"as PNG: it holds 1 to 4 bands of uint8 or uint16; set output.image_format to 'tiff'"):
        encode_image(Tile(array), PNG)


@pytest.mark.parametrize("nodata", [float("nan"), -1, 256])
def test_a_nodata_that_the_pixels_cannot_have_is_not_written(nodata):
    with pytest.raises(EncodeError, match="nodata"):
        encode_image(Tile(images.ramp(), nodata=nodata), TIFF)


def test_a_crs_that_nobody_knows_is_not_written():
    with pytest.raises(EncodeError, match="cannot write TIFF"):
        encode_image(Tile(images.ramp(), "EPSG:999999", images.PLACE), TIFF)


def test_other_formats_and_shapes_are_not_written():
    with pytest.raises(EncodeError, match="as 'image/jpeg'"):
        encode_image(Tile(images.ramp()), JPEG)
    for shape in ((0, 4, 4), (1, 1, 4, 4), (4,)):
        with pytest.raises(EncodeError, match="shape"):
            encode_image(Tile(np.zeros(shape, "uint8")), TIFF)
    with pytest.raises(EncodeError, match="numbers or bool"):
        encode_image(Tile(np.array([[[None]]])), NPY)


def test_an_array_of_height_and_width_is_one_band():
    for media_type in (TIFF, PNG, NPY):
        assert np.array_equal(decode(encode_image(Tile(images.ramp(1)[0]), media_type)).array, images.ramp(1))


def test_arrays_that_are_views_or_of_another_byte_order_are_written_right():
    array = images.ramp(3, 40, 60, "uint16")
    for view in (array[:, ::2, ::-1], np.moveaxis(np.ascontiguousarray(np.moveaxis(array, 0, 2)), 2, 0), array.astype(">u2")):
        for media_type in (TIFF, PNG, NPY):
            assert np.array_equal(decode(encode_image(Tile(view), media_type)).array, view)


def test_one_band_of_a_png_keeps_its_nodata():
    assert decode(encode_image(Tile(images.ramp(1), nodata=0), PNG)).nodata == 0
    assert decode(encode_image(Tile(images.ramp(3), nodata=0), PNG)).nodata is None
    assert decode(encode_image(Tile(images.ramp(1), nodata=-1), PNG)).nodata is None


PLAIN = Tile(images.ramp())
PLACED = Tile(images.ramp(), "EPSG:32631", images.PLACE)
FLOATS = Tile(images.ramp(dtype="float32"))


@pytest.mark.parametrize(
    ("setting", "request_types", "tile", "expected"),
    [
        ("auto", [NPY], PLACED, NPY), ("auto", [RASTER], PLAIN, RASTER), ("auto", [PNG], PLACED, TIFF), ("auto", [TIFF], PLAIN, PNG),
        ("auto", [PNG], FLOATS, TIFF), ("auto", [], Tile(images.ramp(5)), TIFF), ("auto", [], PLAIN, PNG), ("auto", [JPEG], PLAIN, PNG),
        ("auto", [], Tile(images.ramp(1)[0]), PNG), ("auto", [PNG, NPY], PLAIN, PNG),
        ("png", [NPY], PLACED, PNG), ("tiff", [RASTER], PLAIN, TIFF), ("npy", [PNG], PLAIN, NPY),
    ],
)  # fmt: skip
def test_the_format_of_an_output_follows_setting_request_and_tile(setting, request_types, tile, expected):
    assert choose_format(setting, request_types, tile) == expected


def test_threads_decode_and_encode_at_once():
    data = [images.geotiff(images.ramp(3, 64, 64) + n, crs=f"EPSG:{32601 + n}") for n in range(8)]

    def turn(n: int) -> bool:
        tile = decode(data[n % 8])
        again = decode(encode_image(tile, TIFF))
        return tile.crs == again.crs == f"EPSG:{32601 + n % 8}" and np.array_equal(again.array, images.ramp(3, 64, 64) + n % 8)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(turn, range(160)))


def test_nothing_is_written_to_stderr_for_good_and_bad_images(tmp_path):
    code = """
import logging
from support import images
from pesto_stream.converters.image import decode_image, encode_image
from pesto_stream.converters.limits import Limits
from pesto_stream.errors import ImageError
from pesto_stream.model.tile import Tile
logging.basicConfig(level="WARNING")
decode_image(encode_image(Tile(images.ramp()), "image/tiff"), None, Limits())
decode_image(encode_image(Tile(images.ramp()), "image/png"), None, Limits())
good = [images.geotiff(images.ramp(), compress="deflate"), images.picture(images.ramp(), "PNG"), images.picture(images.ramp(), "JPEG")]
decode_image(images.plain_tiff(4, 4, bytes(16), tag_279=(4, [0])), None, Limits())  # GDAL warns of it
for data in good:
    for cut in range(20, len(data), 40):
        for bad in (data[:cut], data[:cut] + b"\\x55" * 20 + data[cut + 20:]):
            try:
                decode_image(bad, None, Limits())
            except ImageError:
                pass
"""
    command = [sys.executable, "-W", "default", "-c", code]
    done = subprocess.run(
        command, env={"PYTHONPATH": ":".join(sys.path)}, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_codec_does_not_load_gdal_before_it_needs_it():
    code = "import sys, pesto_stream.converters.image, pesto_stream.fetch.source; print([m for m in ('rasterio', 'obstore', 'httpcore') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == "[]\n"


def test_npy_headers_of_other_kinds_are_refused():
    file = io.BytesIO()
    np.lib.format.write_array(file, images.ramp(), version=(3, 0))
    with pytest.raises(ImageError, match=r"format version is '03.00'"):
        decode(file.getvalue())


def test_a_transform_without_a_crs_is_not_lost_to_a_png():
    tile = Tile(np.zeros((1, 4, 5), np.uint8), transform=(10.0, 0.0, 5.0, 0.0, -10.0, 6.0))

    media_type = choose_format("auto", (TIFF,), tile)

    assert media_type == TIFF
    assert decode_image(encode_image(tile, media_type), TIFF, LIMITS)[0].transform == tile.transform

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from support.builders import a_tile
from support.payloads import raster

from pesto_stream.converters.limits import Limits
from pesto_stream.converters.raster import DTYPES, raster_of, tile_of
from pesto_stream.errors import EncodeError, ImageError
from pesto_stream.model.tile import Tile


def record(**changes):
    return raster(a_tile("uint16"), **changes)[1]


@given(st.sampled_from(DTYPES).flatmap(lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=3, max_dims=3, max_side=6))))
def test_pixels_of_every_shape_and_dtype_survive(array):
    back = tile_of(raster_of(Tile(array)), Limits())
    assert back.array.dtype == array.dtype
    np.testing.assert_array_equal(back.array, array)


def test_reading_takes_no_copy_of_the_data():
    made = record()
    assert np.shares_memory(tile_of(made, Limits()).array, np.frombuffer(made["data"], np.uint8))


def test_an_array_in_another_layout_is_written_in_c_order_and_little_endian():
    array = np.arange(24, dtype=">u2").reshape(4, 3, 2).transpose(2, 1, 0)
    assert raster_of(Tile(array))["data"] == array.astype("<u2").tobytes("C")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dtype": "object"}, "dtype 'object'"),
        ({"dtype": "O"}, "dtype 'O'"),
        ({"dtype": "<u2"}, "dtype '<u2'"),
        ({"dtype": "complex64"}, "dtype"),
        ({"dtype": "u" * 10_000}, "dtype"),
        ({"shape": [4, 5]}, "shape"),
        ({"shape": []}, "shape"),
        ({"shape": [3, 4, 5, 1]}, "shape"),
        ({"shape": [3, -4, -5]}, "shape"),
        ({"shape": [3, 0, 5]}, "shape"),
        ({"shape": [3, 4, 6]}, "has 120 bytes of data: expected 144"),
        ({"shape": [1, 2**62, 2**62]}, "pixels"),
        ({"shape": [2**62, 1, 1]}, "bands"),
        ({"shape": [512, 16384, 16384]}, "takes"),
        ({"data": b""}, "has 0 bytes"),
        ({"transform": [1.0] * 5}, "transform"),
        ({"transform": [1.0] * 5 + [float("nan")]}, "transform"),
        ({"transform": []}, "transform"),
        ({"crs": "x" * 100_000}, "CRS of 100000 characters"),
    ],
)
def test_a_raster_that_lies_is_refused_before_anything_is_made_of_it(changes, message):
    with pytest.raises(ImageError, match=message) as caught:
        tile_of(record(**changes), Limits())
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("dtype", ["complex64", "bool", "float16"])
def test_a_dtype_that_a_raster_cannot_hold_is_refused(dtype):
    with pytest.raises(EncodeError, match=dtype):
        raster_of(Tile(np.zeros((1, 2, 2), dtype)))

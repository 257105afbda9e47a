"""`pesto.Raster`: pixels as they are in memory, with their georeference, <-> `Tile`.

Samples are in C order, little-endian; `dtype` is numpy's name. Read, the array is a view of the bytes that the Avro reader gave.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from pesto_stream.converters.crs import crs_of
from pesto_stream.converters.words import shortened
from pesto_stream.errors import EncodeError, ImageError
from pesto_stream.model.tile import Tile, Transform

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pesto_stream.converters.limits import Limits

DTYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64")
_DIMENSIONS = 3
_COEFFICIENTS = 6


def tile_of(raster: Mapping[str, Any], limits: Limits) -> Tile:
    """The tile of a raster record; sizes are checked before anything is made of them. Raises ImageError."""
    dtype = _dtype(raster["dtype"])
    bands, height, width = _shape(raster["shape"])
    _check_limits(bands, height, width, dtype.itemsize, limits)
    expected = bands * height * width * dtype.itemsize
    if len(raster["data"]) != expected:
        raise ImageError(
            f"raster of shape {bands} x {height} x {width} and dtype '{dtype.name}' has {len(raster['data'])} bytes of data: "
            f"expected {expected}"
        )
    array = np.frombuffer(raster["data"], dtype).reshape(bands, height, width)
    return Tile(
        array.astype(dtype.newbyteorder("="), copy=False), crs_of(raster["crs"], "raster"), _transform(raster), raster["nodata"]
    )


def raster_of(tile: Tile) -> dict[str, Any]:
    """The raster record of a tile (C, H, W). `data` is bytes: inside of an optional list fastavro takes no other buffer."""
    if tile.array.dtype.name not in DTYPES:
        raise EncodeError(f"a raster cannot hold dtype '{tile.array.dtype.name}': expected one of {', '.join(DTYPES)}")
    return {
        "dtype": tile.array.dtype.name,
        "shape": [int(side) for side in tile.array.shape],
        "data": tile.array.astype(tile.array.dtype.newbyteorder("<"), copy=False).tobytes("C"),
        "crs": tile.crs,
        "transform": None if tile.transform is None else [float(value) for value in tile.transform],
        "nodata": tile.nodata,
    }


def transform_of(values: Sequence[Any], what: str) -> Transform:
    """Six affine coefficients a b c d e f. Raises ImageError."""
    if len(values) != _COEFFICIENTS or not all(math.isfinite(value) for value in values):
        raise ImageError(f"{what} is {shortened(list(values))}: expected six finite numbers a b c d e f")
    a, b, c, d, e, f = (float(value) for value in values)
    return (a, b, c, d, e, f)


def _dtype(name: str) -> np.dtype[Any]:
    if name not in DTYPES:
        raise ImageError(f"raster has dtype {shortened(name)}: expected one of {', '.join(DTYPES)}")
    return np.dtype(name).newbyteorder("<")


def _shape(shape: Sequence[int]) -> tuple[int, int, int]:
    if len(shape) != _DIMENSIONS or min(shape) < 1:
        raise ImageError(f"raster has shape {shortened(list(shape))}: expected three positive numbers (C, H, W)")
    bands, height, width = shape
    return bands, height, width


def _check_limits(bands: int, height: int, width: int, itemsize: int, limits: Limits) -> None:
    decoded = bands * height * width * itemsize
    if bands > limits.max_bands:
        raise ImageError(f"raster has {bands} bands: expected at most {limits.max_bands}")
    if height * width > limits.max_pixels:
        raise ImageError(f"raster has {width} x {height} pixels: expected at most {limits.max_pixels} in all")
    if decoded > limits.max_decoded_bytes:
        raise ImageError(f"raster takes {decoded} bytes: expected at most {limits.max_decoded_bytes}")


def _transform(raster: Mapping[str, Any]) -> Transform | None:
    values = raster["transform"]
    return None if values is None else transform_of(values, "transform of the raster")

"""NPY files: an array (H, W) or (C, H, W) of numbers or booleans, never pickled objects.

Source: numpy.lib.format, format versions 1.0 and 2.0.
"""

from __future__ import annotations

import ast
import io
import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pesto_stream.converters.image_limits import check_decoded
from pesto_stream.errors import ImageError
from pesto_stream.model.tile import Tile

if TYPE_CHECKING:
    from pesto_stream.converters.limits import Limits

KINDS: Final = "biuf"
HEADER_LIMIT: Final = 10_000


def decode_npy(data: bytes, limits: Limits) -> Tile:
    """The array in native byte order and C order, writable. A 2-D array becomes one band. Raises ImageError."""
    shape, fortran, dtype, start = _header(data)
    bands = (1, *shape) if len(shape) == 2 else shape  # noqa: PLR2004 - (H, W)
    if len(bands) != 3:  # noqa: PLR2004 - (C, H, W)
        raise ImageError(f"cannot read NPY image: its shape is '{shape}', expected (H, W) or (C, H, W)")
    check_decoded("NPY", (bands[0], bands[1], bands[2]), dtype.itemsize, limits)
    expected = math.prod(shape) * dtype.itemsize
    if len(data) - start != expected:
        raise ImageError(f"cannot read NPY image: '{len(data) - start}' bytes of pixels, expected {expected} for its shape")
    array = np.frombuffer(data, dtype, offset=start).reshape(shape, order="F" if fortran else "C")
    native = np.array(array, dtype=dtype.newbyteorder("="), order="C")
    return Tile(native.reshape(bands))


def _header(data: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Shape, Fortran order, dtype and where the numbers start. Read here, as numpy's own reader tries harder than it should."""
    size = {b"\1\0": 2, b"\2\0": 4}.get(data[6:8])
    if size is None:
        raise ImageError(f"cannot read NPY image: its format version is '{data[6:8].hex('.')}', expected 1.0 or 2.0")
    start = 8 + size + int.from_bytes(data[8 : 8 + size], "little")
    if start > min(len(data), HEADER_LIMIT):
        raise ImageError(
            f"cannot read NPY image: its header ends at byte '{start}', expected at most {min(len(data), HEADER_LIMIT)}"
        )
    try:
        header = ast.literal_eval(data[8 + size : start].decode("latin-1").strip())
        shape, fortran, dtype = header.pop("shape"), header.pop("fortran_order"), np.dtype(str(header.pop("descr")))
    except (ValueError, SyntaxError, TypeError, KeyError, AttributeError, RecursionError, MemoryError) as error:
        raise ImageError(f"cannot read NPY image: its header is damaged ({type(error).__name__})") from error
    if dtype.kind not in KINDS or dtype.itemsize > 8:  # noqa: PLR2004 - no long double: its layout is the machine's
        raise ImageError(f"cannot read NPY image: samples of type '{dtype}' are not supported, expected integers, floats or bool")
    if header or type(fortran) is not bool or type(shape) is not tuple or any(type(n) is not int or n < 0 for n in shape):
        raise ImageError(f"cannot read NPY image: its header is damaged (shape '{str(shape)[:100]}', expected positive numbers)")
    return shape, fortran, dtype, start


def encode_npy(array: np.ndarray[Any, Any]) -> bytes:
    """The array as an NPY file, its shape and dtype as they are."""
    file = io.BytesIO()
    np.lib.format.write_array(file, np.ascontiguousarray(array), allow_pickle=False)
    return file.getvalue()

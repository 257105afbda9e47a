"""What an image says of itself, held against the limits, before a pixel of it is decoded.

Sources: PNG third edition, 5 and 11.2.1 (chunks, IHDR); ISO/IEC 15444-1 annex A.5.1 (SIZ) and annex I (boxes).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

import numpy as np

from pesto_stream.errors import ImageError
from pesto_stream.model import envelope

if TYPE_CHECKING:
    from pesto_stream.converters.limits import Limits

DTYPES: Final = frozenset(("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float32", "float64"))
"""What images may be made of; complex samples are refused."""

PNG_COMPRESSED_TEXT: Final = (b"zTXt", b"iTXt", b"iCCP")
PNG_TEXT_LIMIT: Final = 16
"""Compressed text chunks of one file: each may unfold to 8 MB in libpng, a thousand of them are a bomb."""

PNG_CHUNK_LIMIT: Final = 1 << 16

JP2_TILE_LIMIT: Final = 16384
"""Tiles of one JPEG 2000 image: OpenJPEG keeps several KB per tile and band from the header on."""


def check_size(name: str, width: int, height: int, bands: int, limits: Limits) -> None:
    """Raises ImageError where an image of this size is over `max_pixels` or `max_bands`."""
    if min(width, height, bands) < 1:
        raise ImageError(
            f"cannot read {name} image: it declares '{width} x {height}' pixels in '{bands}' bands, expected 1 or more of each"
        )
    if width * height > limits.max_pixels:
        raise ImageError(
            f"cannot read {name} image: '{width} x {height}' pixels are more than the limit of {limits.max_pixels} (limits.max_pixels)"
        )
    if bands > limits.max_bands:
        raise ImageError(
            f"cannot read {name} image: '{bands}' bands are more than the limit of {limits.max_bands} (limits.max_bands)"
        )


def check_decoded(name: str, shape: tuple[int, int, int], itemsize: int, limits: Limits) -> None:
    """Raises ImageError where an image (C, H, W) of this sample size is over a limit once decoded."""
    bands, height, width = shape
    check_size(name, width, height, bands, limits)
    decoded = width * height * bands * itemsize
    if decoded > limits.max_decoded_bytes:
        raise ImageError(
            f"cannot read {name} image: '{bands} x {height} x {width}' samples of {itemsize} bytes unfold to {decoded} bytes, "
            f"more than the limit of {limits.max_decoded_bytes} (limits.max_image_mib)"
        )


def check_dtype(name: str, dtype: str) -> np.dtype[np.generic]:
    if dtype not in DTYPES:
        raise ImageError(
            f"cannot read {name} image: samples of type '{dtype}' are not supported, expected one of {', '.join(sorted(DTYPES))}"
        )
    return np.dtype(dtype)


def check_header(media_type: str, data: bytes, limits: Limits) -> None:
    """The checks that come before a decoder's own reading of the header. Raises ImageError."""
    if media_type == envelope.PNG:
        _check_png(data, limits)
    elif media_type == envelope.JP2:
        _check_jp2(data, limits)


def _check_png(data: bytes, limits: Limits) -> None:
    if len(data) < 33 or data[12:16] != b"IHDR":  # noqa: PLR2004 - signature and IHDR
        raise ImageError(f"cannot read PNG image: it has no header within its '{len(data)}' bytes")
    width, height, depth = struct.unpack(">IIB", data[16:25])
    check_decoded("PNG", (1, height, width), 2 if depth == 16 else 1, limits)  # noqa: PLR2004 - bits
    _check_png_chunks(data)


def _check_png_chunks(data: bytes) -> None:
    """Whole to its last chunk (GDAL takes a short one for a picture), and no bomb in front of the pixels."""
    texts, position = 0, 33
    for _ in range(PNG_CHUNK_LIMIT):
        if position + 12 > len(data):
            raise ImageError(f"cannot read PNG image: it is truncated, chunks are missing after byte '{len(data)}'")
        length, kind = struct.unpack(">I4s", data[position : position + 8])
        position += length + 12
        if kind == b"IEND":
            return
        texts += kind in PNG_COMPRESSED_TEXT
        if texts > PNG_TEXT_LIMIT:
            raise ImageError(
                f"cannot read PNG image: it has more than '{PNG_TEXT_LIMIT}' compressed text chunks; it looks like a bomb"
            )
    raise ImageError(f"cannot read PNG image: it has more than '{PNG_CHUNK_LIMIT}' chunks")


def _check_jp2(data: bytes, limits: Limits) -> None:
    start = data.find(b"\xff\x4f\xff\x51")
    if start < 0 or start + 42 > len(data):
        raise ImageError("cannot read JP2 image: no JPEG 2000 codestream header is in it")
    fields = struct.unpack(">HHIIIIIIIIH", data[start + 4 : start + 42])
    x1, y1, x0, y0, tile_width, tile_height, tile_x, tile_y, bands = fields[2:]
    check_decoded("JP2", (bands, y1 - y0, x1 - x0), 1, limits)
    if tile_width < 1 or tile_height < 1:
        raise ImageError(f"cannot read JP2 image: its tiles are '{tile_width} x {tile_height}' pixels, expected 1 or more")
    tiles = -(-(x1 - tile_x) // tile_width) * -(-(y1 - tile_y) // tile_height)
    if tiles * bands > JP2_TILE_LIMIT:
        raise ImageError(f"cannot read JP2 image: '{tiles}' tiles of '{bands}' bands are more than the limit of {JP2_TILE_LIMIT}")

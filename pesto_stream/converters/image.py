"""Image files to tiles and back: TIFF (BigTIFF, COG), PNG, JPEG, JPEG 2000, NPY.

* The signature says what a file is; a declared type that says otherwise is an error.
* Everything that a header claims is held against the limits before a pixel is decoded.
* Palette images give their indexes, CMYK JPEGs come as RGB, alpha is a band like any other, bits below 8 become uint8.
* Ground control points and rational polynomials are not read: an image that has only those has no transform.
* Overviews, masks and metadata are not read, but for the names of bands that GDAL writes into a TIFF.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from pesto_stream.converters import image_tiff as tiff
from pesto_stream.converters.image_limits import check_decoded, check_header, check_size
from pesto_stream.converters.image_npy import decode_npy, encode_npy
from pesto_stream.converters.image_tiff import RandomAccess, Whole
from pesto_stream.converters.image_window import cut
from pesto_stream.errors import EncodeError, ImageError
from pesto_stream.model import envelope
from pesto_stream.model.tile import Region, Tile, Window, shifted

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence
    from typing import Any

    from pesto_stream.converters.limits import Limits

__all__ = ["RandomAccess", "Whole", "choose_format", "decode_image", "encode_image", "read_image", "sniff"]

SIGNATURES: Final = (
    (b"II*\0", envelope.TIFF),
    (b"MM\0*", envelope.TIFF),
    (b"II+\0\x08\0\0\0", envelope.TIFF),
    (b"MM\0+\0\x08\0\0", envelope.TIFF),
    (b"\x89PNG\r\n\x1a\n", envelope.PNG),
    (b"\xff\xd8\xff", envelope.JPEG),
    (b"\0\0\0\x0cjP  \r\n\x87\n", envelope.JP2),
    (b"\xff\x4f\xff\x51", envelope.JP2),
    (b"\x93NUMPY", envelope.NPY),
)
SIGNATURE_BYTES: Final = 16
NAMED: Final = {"tiff": envelope.TIFF, "png": envelope.PNG, "npy": envelope.NPY}
PNG_DTYPES: Final = ("uint8", "uint16")
PNG_BANDS: Final = 4
TIFF_DTYPES: Final = ("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float32", "float64")


def sniff(data: bytes) -> str | None:
    """The media type that the first bytes name; None for anything that is not one of the five formats."""
    return next((media_type for signature, media_type in SIGNATURES if data.startswith(signature)), None)


def decode_image(data: bytes, media_type: str | None, limits: Limits) -> tuple[Tile, str]:
    """The tile and its media type. `media_type`: what the sender declares; None: by signature alone.

    Raises ImageError: another format, damaged, or over a limit.
    """
    found = _kind(data[:SIGNATURE_BYTES], len(data), media_type)
    if len(data) > limits.max_encoded_bytes:
        raise ImageError(
            f"cannot read image of '{len(data)}' bytes: the limit is {limits.max_encoded_bytes} (limits.max_encoded_mib)"
        )
    if found == envelope.NPY:
        return decode_npy(data, limits), found
    if found == envelope.TIFF:
        return _decode_tiff(data, limits), found
    check_header(found, data, limits)
    return _gdal_decode(data, found, limits), found


def read_image(
    file: RandomAccess, media_type: str | None, limits: Limits, window: Window | Region | None = None
) -> tuple[Tile, str]:
    """The image in `file`, or one window of it, or the part of a region that is inside of it, and its media type.

    A window of a TIFF reads the blocks that it touches and no others; there the limits hold for the window, whatever the size of the
    image. In the other formats the whole image is read and the window cut out. Raises ImageError, also for a window that is not
    inside the image, and what `file` raises.
    """
    if window is None:
        return decode_image(_all(file, limits), media_type, limits)
    if isinstance(window, Window):
        _check_window(window, None)
    found = _kind(file.read_at(0, SIGNATURE_BYTES), file.size, media_type)
    if found == envelope.TIFF:
        return _read_tiff_window(file, window, limits), found
    tile, found = decode_image(_all(file, limits), media_type, limits)
    return _crop(tile, _inside(window, tile.array.shape[2], tile.array.shape[1]), tile.transform), found


def _inside(window: Window | Region, width: int, height: int) -> Window:
    if isinstance(window, Window):
        return window
    inside = window.within(width, height)
    if min(inside.width, inside.height) < 1:
        raise ImageError(
            f"cannot read the region from column {window.column} and row {window.row} on: it is outside of the image of {width} x {height} "
            "pixels"
        )
    return inside


def _all(file: RandomAccess, limits: Limits) -> bytes:
    if file.size > limits.max_encoded_bytes:
        raise ImageError(
            f"cannot read image of '{file.size}' bytes: the limit is {limits.max_encoded_bytes} (limits.max_encoded_mib)"
        )
    return file.read_at(0, file.size)


def _kind(head: bytes, size: int, declared: str | None) -> str:
    found = sniff(head)
    if size == 0:
        raise ImageError("cannot read image: it is empty")
    if found is None:
        raise ImageError(
            f"cannot read image: its first bytes '{head[:8].hex(' ')}' are not those of TIFF, PNG, JPEG, JPEG 2000 or NPY"
            + (f", expected '{declared}'" if declared else "")
        )
    if declared is not None and declared != found:
        raise ImageError(f"cannot read image: it is declared as '{declared}' but its first bytes are those of '{found}'")
    return found


def _gdal_decode(data: bytes, media_type: str, limits: Limits, key: Hashable = None) -> Tile:
    from pesto_stream.converters import image_gdal  # noqa: PLC0415 - GDAL takes its time to load; describe and config do not need it

    return image_gdal.decode(data, media_type, limits, key)


def _decode_tiff(data: bytes, limits: Limits) -> Tile:
    directory = tiff.read_directory(Whole(data))
    layout = tiff.layout_of(directory)
    check_decoded("TIFF", (layout.bands, layout.height, layout.width), -(-layout.bits // 8), limits)
    tiff.check_blocks(directory, layout, limits)
    tiff.check_complete(directory, layout)
    tile = _gdal_decode(data, envelope.TIFF, limits, _crs_key(directory))
    names = tiff.band_names(directory, layout.bands)
    return replace(tile, band_names=names) if names else tile


def _crs_key(directory: tiff.Directory) -> Hashable:
    """All that GDAL derives a GeoTIFF's CRS from: the GeoKeys, and whether they belong to the image or to control points."""
    ties = directory.entries.get(tiff.TIE_POINTS)
    keys = tuple(directory.raw(tag) for tag in tiff.GEO_KEYS)
    return (
        directory.order,
        keys,
        ties.count if ties else 0,
        tiff.PIXEL_SCALE in directory.entries,
        tiff.MATRIX in directory.entries,
    )


def _read_tiff_window(file: RandomAccess, asked: Window | Region, limits: Limits) -> Tile:
    directory = tiff.read_directory(file)
    layout = tiff.layout_of(directory)
    window = _inside(asked, layout.width, layout.height)
    _check_window(window, (layout.width, layout.height))
    itemsize = -(-layout.bits // 8)
    check_decoded("TIFF", (layout.bands, window.height, window.width), itemsize, limits)
    tiff.check_blocks(directory, layout, limits)
    piece = cut(directory, layout, window, limits)
    check_size("TIFF", piece.region.width, piece.region.height, layout.bands, limits)
    whole = _gdal_decode(piece.data, envelope.TIFF, limits, _crs_key(directory))
    inside = window._replace(column=window.column - piece.region.column, row=window.row - piece.region.row)
    tile = _crop(whole, inside, None)
    # The piece carries the georeference of the whole image.
    transform = shifted(whole.transform, window.column, window.row) if whole.transform else None
    return Tile(tile.array, whole.crs, transform, whole.nodata, tiff.band_names(directory, layout.bands))


def _check_window(window: Window, size: tuple[int, int] | None) -> None:
    column, row, width, height = window
    text = f"cannot read window '{column} {row} {width} {height}' (column row width height)"
    if column < 0 or row < 0 or width < 1 or height < 1:
        raise ImageError(f"{text}: expected 0 or more for column and row, 1 or more for width and height")
    if size is not None and (column + width > size[0] or row + height > size[1]):
        raise ImageError(f"{text}: it is not inside the image of {size[0]} x {size[1]} pixels")


def _crop(tile: Tile, window: Window, transform: tuple[float, float, float, float, float, float] | None) -> Tile:
    _check_window(window, (tile.array.shape[2], tile.array.shape[1]))
    column, row, width, height = window
    array = np.ascontiguousarray(tile.array[:, row : row + height, column : column + width])
    return Tile(array, tile.crs, shifted(transform, column, row) if transform else None, tile.nodata, tile.band_names)


def encode_image(tile: Tile, media_type: str) -> bytes:
    """`tile.array` (C, H, W) or (H, W) as an image file: TIFF (deflate), PNG or NPY; pixels and dtype are never changed.

    TIFF holds CRS, transform and nodata; PNG the nodata of one band; NPY none. Raises EncodeError where the format cannot hold it.
    """
    array = tile.array
    if media_type == envelope.NPY:
        if array.dtype.hasobject:
            raise EncodeError(f"cannot write NPY image of dtype '{array.dtype}': expected numbers or bool")
        return encode_npy(array)
    bands = array[np.newaxis] if array.ndim == 2 else array  # noqa: PLR2004 - (H, W)
    _check_encodable(bands, media_type)
    from pesto_stream.converters import image_gdal  # noqa: PLC0415 - as in _gdal_decode

    return image_gdal.encode(bands, tile, media_type)


def _check_encodable(array: np.ndarray[Any, Any], media_type: str) -> None:
    if array.ndim != 3 or array.size == 0:  # noqa: PLR2004 - (C, H, W)
        raise EncodeError(f"cannot write an image of shape '{array.shape}': expected (C, H, W) or (H, W), none of them 0")
    text = f"image of {len(array)} bands of '{array.dtype}'"
    if media_type == envelope.PNG and not _fits_png(array):
        raise EncodeError(
            f"cannot write {text} as PNG: it holds 1 to {PNG_BANDS} bands of uint8 or uint16; set output.image_format to 'tiff' or 'npy'"
        )
    if media_type == envelope.TIFF and array.dtype.name not in TIFF_DTYPES:
        raise EncodeError(
            f"cannot write {text} as TIFF: it holds {', '.join(TIFF_DTYPES)}; let the algorithm return one of them "
            f"or set output.image_format to 'npy'"
        )
    if media_type not in (envelope.PNG, envelope.TIFF):
        raise EncodeError(
            f"cannot write {text} as '{media_type}': expected '{envelope.TIFF}', '{envelope.PNG}' or '{envelope.NPY}'"
        )


def _fits_png(array: np.ndarray[Any, Any]) -> bool:
    bands = array.shape[0] if array.ndim == 3 else 1  # noqa: PLR2004 - (C, H, W)
    return bands <= PNG_BANDS and array.dtype.name in PNG_DTYPES


def choose_format(image_format: str, request_media_types: Sequence[str], tile: Tile) -> str:
    """Media type of an output image, or RASTER. `image_format`: the setting `output.image_format`.

    `auto` goes by the request's first image: NPY for NPY, a raster for a raster; else TIFF where the tile's place is known or PNG
    cannot hold its bands or dtype, else PNG.
    """
    if image_format in NAMED:
        return NAMED[image_format]
    first = request_media_types[0] if request_media_types else None
    if first in (envelope.NPY, envelope.RASTER):
        return first
    return envelope.TIFF if tile.placed or not _fits_png(tile.array) else envelope.PNG

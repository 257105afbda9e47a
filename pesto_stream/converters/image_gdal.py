"""GDAL through rasterio: the only module of the data path that decodes TIFF, PNG, JPEG and JPEG 2000, and writes TIFF and PNG.

A file is opened in memory, alone in a folder of its own (no sidecar file can be there), by the one driver that its signature names.
"""

from __future__ import annotations

import logging
import re
import threading
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import rasterio
from rasterio._path import _UnparsedPath
from rasterio.crs import CRS
from rasterio.env import hasenv
from rasterio.errors import CRSError, RasterioError
from rasterio.io import BufferedDatasetWriter, DatasetReader, DatasetWriter, MemoryFile
from rasterio.session import DummySession
from rasterio.transform import Affine

from pesto_stream.converters.crs import is_plain
from pesto_stream.converters.image_limits import check_decoded, check_dtype
from pesto_stream.errors import EncodeError, ImageError
from pesto_stream.model import envelope
from pesto_stream.model.tile import Tile

if TYPE_CHECKING:
    from collections.abc import Hashable

    from pesto_stream.converters.limits import Limits
    from pesto_stream.model.tile import Transform

DRIVERS: Final = {envelope.TIFF: "GTiff", envelope.PNG: "PNG", envelope.JPEG: "JPEG", envelope.JP2: "JP2OpenJPEG"}
NAMES: Final = {envelope.TIFF: "TIFF", envelope.PNG: "PNG", envelope.JPEG: "JPEG", envelope.JP2: "JP2", envelope.NPY: "NPY"}

OPTIONS: Final = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_ERROR_ON_LIBJPEG_WARNING": "TRUE",  # without it the missing part of a truncated JPEG is grey
    "GDAL_GEOREF_SOURCES": "INTERNAL",
    "GDAL_PAM_ENABLED": "NO",
    "GTIFF_IMPLICIT_JPEG_OVR": "NO",
    "PROJ_NETWORK": "OFF",
}
IDENTITY: Final = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
TILE_SIZE: Final = 256
MEMORY_NAME: Final = re.compile(r"'?(/vsimem/\S+/)?[0-9a-f-]{36}\.tif'?:? ?")

# What goes wrong in GDAL comes as an exception; its log lines are no more than that, without the record that they are about.
logging.getLogger("rasterio").setLevel(logging.CRITICAL)
_local = threading.local()


def _enter() -> None:
    """GDAL's environment, once per thread: entering it costs a tenth of a tile's time."""
    if not (hasenv() and getattr(_local, "entered", False)):
        rasterio.Env(session=DummySession(), **OPTIONS).__enter__()
        _local.entered = True


class _Reader(DatasetReader):  # type: ignore[misc]
    """Does not ask for the CRS when it opens (most of a small tile's time goes there), nor warn about a missing transform."""

    def _has_gcps_or_rpcs(self) -> bool:
        return True

    def read_crs(self) -> None:
        return None

    def stored_crs(self) -> Any:
        return super().read_crs()


class _Writer(DatasetWriter):  # type: ignore[misc]
    def _has_gcps_or_rpcs(self) -> bool:
        return True


class _BufferedWriter(BufferedDatasetWriter):  # type: ignore[misc]
    def _has_gcps_or_rpcs(self) -> bool:
        return True


def decode(data: bytes, media_type: str, limits: Limits, crs_key: Hashable = None) -> Tile:
    """Decode with the driver of `media_type`. `crs_key`: whatever determines the CRS, so that it is looked up once. Raises ImageError."""
    _enter()
    name = NAMES[media_type]
    try:
        with MemoryFile(data) as memory, _Reader(memory.name, driver=DRIVERS[media_type]) as dataset:
            _check(name, dataset, limits)
            crs = _crs(dataset, crs_key)
            return Tile(dataset.read(), crs, _transform(dataset, crs), dataset.nodata)
    except (RasterioError, CRSError, ValueError, OSError) as error:
        raise ImageError(f"cannot read {name} image: it is damaged or truncated ({_reason(error)})") from error


def _check(name: str, dataset: Any, limits: Limits) -> None:
    """Once more what GDAL makes of the header: its view decides what it allocates."""
    dtypes = set(dataset.dtypes)
    if len(dtypes) > 1:
        raise ImageError(f"cannot read {name} image: its bands have different types '{', '.join(sorted(dtypes))}'")
    dtype = check_dtype(name, str(dtypes.pop())) if dtypes else np.dtype("uint8")
    check_decoded(name, (dataset.count, dataset.height, dataset.width), dtype.itemsize, limits)
    rows, columns = dataset.block_shapes[0]
    if rows * columns * dtype.itemsize > limits.max_decoded_bytes:
        raise ImageError(
            f"cannot read {name} image: one block of '{columns} x {rows}' pixels is more than the limit of {limits.max_decoded_bytes} bytes"
        )


def _transform(dataset: Any, crs: str | None) -> Transform | None:
    transform = tuple(float(number) for number in dataset.transform[:6])
    if crs is None and transform == IDENTITY:
        return None
    return transform  # type: ignore[return-value]


_by_key: dict[Hashable, str | None] = {}
KEYS_LIMIT: Final = 256
UNKNOWN: Final[Any] = object()


def _crs(dataset: Any, key: Hashable) -> str | None:
    """Looked up once per key; two threads may do so at the same time, both find the same."""
    if key is None:
        return crs_text(dataset.stored_crs())
    known: str | None = _by_key.get(key, UNKNOWN)
    if known is UNKNOWN:
        known = crs_text(dataset.stored_crs())
        if len(_by_key) >= KEYS_LIMIT:
            _by_key.clear()
        _by_key[key] = known
    return known


def crs_text(crs: Any) -> str | None:
    """The CRS as text: "EPSG:n" where it is that one without doubt, else WKT; None for none."""
    return _name_of(crs.to_wkt()) if crs else None


@lru_cache(maxsize=256)
def _name_of(wkt: str) -> str:
    code = CRS.from_wkt(wkt).to_epsg(confidence_threshold=100)
    return f"EPSG:{code}" if code else wkt


@lru_cache(maxsize=256)
def _crs_of(text: str) -> CRS:
    """Raises CRSError, also for a text that GDAL would look up elsewhere."""
    if not is_plain(text):
        raise CRSError(f"'{text[:60]}' is neither an EPSG code nor plain WKT")
    return CRS.from_user_input(text)


def _reason(error: BaseException) -> str:
    """What GDAL said first: rasterio's own message only says that there was one."""
    while error.__cause__ is not None:
        error = error.__cause__
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return MEMORY_NAME.sub("", text)


def encode(array: np.ndarray[Any, Any], tile: Tile, media_type: str) -> bytes:
    """`array` (C, H, W) as TIFF or PNG, georeferenced as `tile` says (TIFF only). Raises EncodeError."""
    _enter()
    bands, height, width = array.shape
    profile: dict[str, Any] = {"count": bands, "height": height, "width": width, "dtype": array.dtype.name}
    try:
        if media_type == envelope.PNG:
            return _write(_BufferedWriter, "PNG", array, profile | {"zlevel": 2, "nodata": _png_nodata(tile)})
        place = {"crs": _crs_of(tile.crs) if tile.crs else None, "transform": Affine(*tile.transform) if tile.transform else None}
        return _write(_Writer, "GTiff", array, profile | place | {"nodata": tile.nodata} | _tiff_options(array))
    except (RasterioError, CRSError, ValueError, OSError) as error:
        raise EncodeError(
            f"cannot write {NAMES[media_type]} image of {bands} bands of '{array.dtype}': {_reason(error)}"
        ) from error


def _write(writer: type, driver: str, array: np.ndarray[Any, Any], profile: dict[str, Any]) -> bytes:
    with MemoryFile() as memory:
        with writer(_UnparsedPath(memory.name), "w", driver=driver, **profile) as dataset:
            dataset.write(array)
        return bytes(memory.getbuffer())


def _png_nodata(tile: Tile) -> float | None:
    """PNG's tRNS chunk holds one grey value; other nodata has no place in a PNG."""
    dtype = tile.array.dtype
    whole = tile.nodata is not None and float(tile.nodata).is_integer() and 0 <= tile.nodata <= np.iinfo(dtype).max
    return tile.nodata if whole and tile.array.size == tile.array.shape[-1] * tile.array.shape[-2] else None


def _tiff_options(array: np.ndarray[Any, Any]) -> dict[str, Any]:
    """Deflate at its quickest with a predictor: a third of the bytes for 2 ms per tile of 256 x 256 x 4 uint16."""
    bands, height, width = array.shape
    options: dict[str, Any] = {"compress": "deflate", "zlevel": 1, "predictor": 3 if array.dtype.kind == "f" else 2}
    if bands != 3 or array.dtype != np.uint8:  # noqa: PLR2004 - only three bands of bytes are taken for a picture
        options["photometric"] = "minisblack"
    if min(height, width) >= TILE_SIZE:
        options |= {"tiled": True, "blockxsize": TILE_SIZE, "blockysize": TILE_SIZE}
    return options

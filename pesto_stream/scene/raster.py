"""Scenes and mosaics as files. The only module of this room that knows rasterio.

GDAL opens the drivers named here and no others, on plain files, without the files beside them: a scene cannot make it read elsewhere.
"""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import rasterio
from rasterio.enums import Resampling
from rasterio.errors import CRSError, NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window as _Window

from pesto_stream.converters.crs import is_plain
from pesto_stream.converters.image import SIGNATURE_BYTES, sniff
from pesto_stream.errors import ConfigurationError, ImageError
from pesto_stream.model.envelope import JP2, JPEG, PNG, TIFF
from pesto_stream.model.tile import Tile, Window, shifted
from pesto_stream.scene.spool import BLOCK

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from pesto_stream.model.tile import Transform
    from pesto_stream.scene.mosaic import Form

    Array = np.ndarray[Any, Any]

_DRIVERS: Final = {TIFF: "GTiff", JP2: "JP2OpenJPEG", PNG: "PNG", JPEG: "JPEG"}
_KINDS: Final = "GeoTIFF, JPEG 2000, PNG and JPEG are read"
_NO_COMPANIONS: Final = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR", "GDAL_PAM_ENABLED": "NO"}


class Scene:
    """An open scene. `crs` is "EPSG:n" or WKT, `names` the bands' descriptions or colours, "" where there is neither."""

    def __init__(self, path: Path, dataset: Any) -> None:
        self.path = path
        self._dataset = dataset
        self.width: int = dataset.width
        self.height: int = dataset.height
        self.bands: int = dataset.count
        self.dtype: np.dtype[Any] = np.dtype(dataset.dtypes[0])
        self.crs: str | None = _crs_text(dataset.crs)
        self.transform: Transform | None = None if dataset.transform.is_identity else tuple(dataset.transform)[:6]
        self.nodata: float | None = dataset.nodata
        self.names = _band_names(dataset)

    def read(self, window: Window) -> Tile:
        """One window with its own transform. Raises ImageError where the file's pixels cannot be read."""
        transform = None if self.transform is None else shifted(self.transform, window.column, window.row)
        with _reading(self.path, f"the window {tuple(window)} of "):
            array = self._dataset.read(window=_Window(window.column, window.row, window.width, window.height))
        return Tile(array, self.crs, transform, self.nodata)

    def reduced(self, width: int, height: int, bands: Sequence[int], *, average: bool) -> Array:
        """Bands (from 0) of the whole scene at another size: averaged, or the nearest pixel for classes and masks."""
        resampling = Resampling.average if average else Resampling.nearest
        indexes = [band + 1 for band in bands]
        with _reading(self.path, ""):
            array: Array = self._dataset.read(indexes, out_shape=(len(indexes), height, width), resampling=resampling)
        return array

    def close(self) -> None:
        self._dataset.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def open_scene(path: Path) -> Scene:
    """Raises ConfigurationError where there is no such file, ImageError where it is no image of a kind that is read."""
    if not path.is_file():
        raise ConfigurationError(f"cannot read the scene '{path}': there is no such file")
    with _reading(path, ""):
        return Scene(path, rasterio.open(path.absolute(), driver=_driver(path)))


def _driver(path: Path) -> str:
    """By the first bytes: rasterio takes one driver, and left alone GDAL would try all that it has."""
    try:
        with path.open("rb") as file:
            start = file.read(SIGNATURE_BYTES)
    except OSError as failure:
        raise ConfigurationError(f"cannot read the scene '{path}': {failure.strerror}") from failure
    driver = _DRIVERS.get(sniff(start) or "")
    if driver is None:
        raise ImageError(f"cannot read '{path}': its first bytes '{start[:8].hex(' ')}' are of no kind that is read ({_KINDS})")
    return driver


@contextmanager
def _reading(path: Path, what: str) -> Iterator[None]:
    try:
        with rasterio.Env(**_NO_COMPANIONS), warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            yield
    except RasterioError as failure:
        # rasterio says "read failed, see previous exception"; GDAL's own words are there.
        raise ImageError(f"cannot read {what}'{path}': {failure.__cause__ or failure}") from failure


def _crs_text(crs: Any) -> str | None:
    if not crs:
        return None
    code = crs.to_epsg()
    return f"EPSG:{code}" if code is not None else str(crs.to_wkt())


def is_crs(text: str) -> bool:
    """Whether a stranger's text is an EPSG code or WKT that GDAL knows. Nothing else is tried: GDAL would take names of files, too."""
    if not is_plain(text):
        return False
    try:
        return bool(rasterio.CRS.from_user_input(text))
    except CRSError:
        return False


def _band_names(dataset: Any) -> tuple[str, ...]:
    colours = (colour.name for colour in dataset.colorinterp)
    return tuple(description or colour for description, colour in zip(dataset.descriptions, colours, strict=True))


def write_blocks(
    path: Path, size: tuple[int, int], form: Form, blocks: Iterable[tuple[Window, Array]], names: Sequence[str] = ()
) -> None:
    """A tiled, deflated GeoTIFF of `size` (width, height), written block by block: memory holds one block and GDAL's cache.

    The file appears under its name when it is whole. Raises ConfigurationError where it cannot be written.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        with rasterio.Env(**_NO_COMPANIONS), warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(part, "w", **_profile(size, form)) as dataset:
                for index, name in enumerate(names, 1):
                    dataset.set_band_description(index, name)
                for window, array in blocks:
                    dataset.write(array.astype(form.dtype, copy=False), window=_Window(*window))
        part.replace(path)
    except (RasterioError, OSError) as failure:
        raise ConfigurationError(f"cannot write '{path}': {failure}") from failure
    finally:
        part.unlink(missing_ok=True)


def _profile(size: tuple[int, int], form: Form) -> dict[str, Any]:
    width, height = size
    profile = {
        "driver": "GTiff",
        "width": width,
        "height": height,
        "count": form.bands,
        "dtype": form.dtype.name,
        "crs": form.crs,
        "nodata": form.nodata,
        "compress": "deflate",
        "zlevel": 6,
        "predictor": _predictor(form.dtype),
        "interleave": "pixel",
        "bigtiff": "if_safer",
    }
    if width > BLOCK or height > BLOCK:
        profile |= {"tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK}
    return profile if form.transform is None else profile | {"transform": rasterio.Affine(*form.transform)}


def _predictor(dtype: np.dtype[Any]) -> int:
    """Differences of neighbours: 2 for whole numbers, 3 for floats, none for what TIFF has no predictor for."""
    return {"u": 2, "i": 2, "f": 3}.get(dtype.kind, 1)


def write_png(path: Path, picture: Array) -> None:
    """(3, H, W) uint8 as a PNG. Raises ConfigurationError where it cannot be written."""
    _, height, width = picture.shape
    try:
        with rasterio.Env(**_NO_COMPANIONS), warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(path, "w", driver="PNG", width=width, height=height, count=3, dtype="uint8") as dataset:
                dataset.write(picture)
    except (RasterioError, OSError) as failure:
        raise ConfigurationError(f"cannot write '{path}': {failure}") from failure

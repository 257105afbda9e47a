"""Quicklooks of files: a scene beside its mosaic, small enough to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pesto_stream.scene import quicklook
from pesto_stream.scene.raster import Scene, open_scene, write_png

if TYPE_CHECKING:
    from pathlib import Path

    Array = np.ndarray[Any, Any]

MAX_WIDTH: Final = 1600


def write_quicklook(out: Path, mosaic: Path, scene: Path | None = None, *, max_width: int = MAX_WIDTH) -> None:
    """A PNG of at most `max_width` pixels: the scene's colours on the left, and on the right the mosaic: as a coloured overlay on them
    where it is a mask, else as a picture of its own. Without a scene, the mosaic alone.

    Raises ImageError and ConfigurationError as `open_scene` does.
    """
    with open_scene(mosaic) as result:
        if scene is None:
            width, height = quicklook.panel_size(result.width, result.height, 1, max_width)
            write_png(out, _alone(result, width, height))
            return
        with open_scene(scene) as source:
            width, height = quicklook.panel_size(source.width, source.height, 2, max_width)
            picture = _colours(source, width, height)
            write_png(out, quicklook.beside(picture, _result_panel(result, picture)))


def _result_panel(result: Scene, picture: Array) -> Array:
    _, height, width = picture.shape
    mask = _mask(result, width, height)
    return _colours(result, width, height) if mask is None else quicklook.overlaid(picture, mask)


def _alone(result: Scene, width: int, height: int) -> Array:
    mask = _mask(result, width, height)
    if mask is None:
        return _colours(result, width, height)
    return quicklook.overlaid(np.full((3, height, width), 255, np.uint8), mask)


def _mask(result: Scene, width: int, height: int) -> Array | None:
    """(H, W), True where a mask marks something; None where the mosaic is no mask."""
    if result.bands != 1:
        return None
    values = result.reduced(width, height, (0,), average=False)
    if not quicklook.is_mask(values):
        return None
    marked: Array = (values[0] != 0) & quicklook.valid_pixels(values, result.nodata)
    return marked


def _colours(scene: Scene, width: int, height: int) -> Array:
    bands = quicklook.display_bands(scene.bands, scene.dtype, scene.names)
    array = scene.reduced(width, height, bands, average=scene.dtype.kind in "uif")
    return quicklook.stretched(array, quicklook.valid_pixels(array, scene.nodata))

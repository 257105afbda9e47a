"""A picture for the eye: stretched colours, and a mask laid over them. Pure arrays (C, H, W) in, (3, H, W) uint8 out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    Array = np.ndarray[Any, Any]

_PERCENTILES: Final = (1.0, 99.0)
_GAMMA: Final = 0.6
_OVERLAY: Final = (255.0, 72.0, 40.0)
_OPACITY: Final = 0.55
_DIMMED: Final = 0.75
_GAP: Final = 8
_MASK_VALUES: Final = 64
"""An image of one integer band with at most so many values is shown as a mask, another as an image."""


def display_bands(count: int, dtype: np.dtype[Any], names: Sequence[str]) -> tuple[int, int, int]:
    """Which bands (from 0) to show as red, green and blue: those named so; else 1 2 3 of a photograph (8 bits, or three bands), 3 2 1
    of a multispectral scene (blue comes first there), one band as grey.
    """
    known = {name.lower(): index for index, name in enumerate(names)}
    if {"red", "green", "blue"} <= known.keys():
        return known["red"], known["green"], known["blue"]
    if count < len(_OVERLAY):
        return 0, 0, 0
    return (0, 1, 2) if count == len(_OVERLAY) or dtype.itemsize == 1 else (2, 1, 0)


def valid_pixels(array: Array, nodata: float | None) -> Array:
    """(H, W), True where a pixel holds a value in some band."""
    empty: Array = np.isnan(array) if array.dtype.kind in "fc" else np.zeros(array.shape, bool)
    if nodata is not None and np.isfinite(nodata):
        empty |= np.asarray(array == nodata)
    return np.asarray(~empty.all(axis=0))


def stretched(array: Array, valid: Array) -> Array:
    """Each band from its 1st to its 99th percentile onto 0 to 255, dark land brightened. 8-bit images stay as they are; pixels without a
    value are black.
    """
    out: Array = np.zeros(array.shape, np.uint8)
    for number, band in enumerate(array):
        values = band[valid]
        out[number, valid] = values if values.dtype == np.uint8 else _stretched(values.astype(np.float64))
    return out


def _stretched(values: Array) -> Array:
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return np.zeros(values.shape, np.uint8)
    low, high = np.percentile(finite, _PERCENTILES)
    scaled = np.clip((np.nan_to_num(values, nan=low) - low) / max(high - low, np.finfo(np.float64).tiny), 0, 1)
    result: Array = np.round(scaled**_GAMMA * 255).astype(np.uint8)
    return result


def is_mask(array: Array) -> bool:
    """One band of few whole numbers."""
    return len(array) == 1 and array.dtype.kind in "bui" and len(np.unique(array)) <= _MASK_VALUES


def overlaid(picture: Array, marked: Array) -> Array:
    """The picture, dimmed, with a colour over the pixels that `marked` (H, W) holds."""
    colour = np.array(_OVERLAY)[:, None, None]
    dimmed = picture * _DIMMED
    result: Array = np.where(marked, dimmed * (1 - _OPACITY) + colour * _OPACITY, dimmed).astype(np.uint8)
    return result


def beside(left: Array, right: Array) -> Array:
    """Two pictures of one height with a white gap between them."""
    gap = np.full((3, left.shape[1], _GAP), 255, np.uint8)
    return np.concatenate([left, gap, right], axis=2)


def panel_size(width: int, height: int, panels: int, max_width: int) -> tuple[int, int]:
    """Width and height of one panel, so that all fit into `max_width`; never larger than the image."""
    room = (max_width - _GAP * (panels - 1)) / panels
    scale = min(1.0, room / width, max_width / height)
    return max(1, int(width * scale)), max(1, int(height * scale))

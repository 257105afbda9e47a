"""The difference of two images as a picture: expected, result, and where and how far they differ, side by side. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pesto_stream.converters.image import encode_image
from pesto_stream.model import envelope
from pesto_stream.model.tile import Tile
from pesto_stream.scene import quicklook

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]

PANEL_SIDE: Final = 640
"""Pixels of the longer side of a panel, at most."""
SMALLEST_SIDE: Final = 160
"""Smaller images are enlarged by whole numbers up to this."""
_FAINT: Final = 0.35


def drawing(expected: Array, actual: Array, off: Array) -> bytes:
    """A PNG. `expected` and `actual` are (C, H, W) of one shape, `off` (H, W) how far each pixel is off, 0 where it is not.

    A large image is shown smaller; a block of pixels in which one differs is shown as differing.
    """
    step = -(-max(off.shape) // PANEL_SIDE)
    both = np.concatenate([expected[:, ::step, ::step], actual[:, ::step, ::step]], axis=2)
    colours = _colours(both)
    left, middle = np.split(colours, 2, axis=2)
    right = _marked(left, _largest(off, step))
    times = max(1, SMALLEST_SIDE // max(right.shape[1:]))
    panels = [panel.repeat(times, axis=1).repeat(times, axis=2) for panel in (left, middle, right)]
    picture = quicklook.beside(quicklook.beside(panels[0], panels[1]), panels[2])
    return encode_image(Tile(picture), envelope.PNG)


def _colours(array: Array) -> Array:
    """Both images by one scale. The few values of a mask are spread over all greys."""
    if quicklook.is_mask(array):
        values, places = np.unique(array[0], return_inverse=True)
        greys = np.linspace(40, 255, len(values)).astype(np.uint8)
        return np.repeat(greys[places.reshape(array.shape[1:])][np.newaxis], 3, axis=0)
    chosen = array[list(quicklook.display_bands(len(array), array.dtype, ()))]
    if chosen.dtype.kind == "f":
        chosen = np.where(np.isfinite(chosen), chosen, np.nan)
    with np.errstate(over="ignore"):  # bands of one value but for a few pixels
        return quicklook.stretched(chosen, quicklook.valid_pixels(chosen, None))


def _largest(off: Array, step: int) -> Array:
    """The largest of each block of `step` x `step`."""
    if step == 1:
        return off
    height, width = (-(-side // step) for side in off.shape)
    padded = np.zeros((height * step, width * step))
    padded[: off.shape[0], : off.shape[1]] = off
    largest: Array = padded.reshape(height, step, width, step).max(axis=(1, 3))
    return largest


def _marked(picture: Array, off: Array) -> Array:
    """Faint where nothing differs; else from red to yellow, the further off the more yellow."""
    finite = off[np.isfinite(off)]
    most = finite.max() if finite.size and finite.max() > 0 else 1.0
    strength = np.minimum(off / most, 1.0)
    heat = np.stack([np.full(off.shape, 255.0), strength * 255, np.zeros(off.shape)])
    result: Array = np.where(off > 0, heat, picture * _FAINT).astype(np.uint8)
    return result

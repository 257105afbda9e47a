"""A made-up multispectral scene whose clouds are known exactly: for demonstrations and tests. Pure.

Every value is a function of the seed and the pixel's place, so a scene can be made window by window, in any order, in little memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pesto_stream.errors import ConfigurationError
from pesto_stream.scene.plan import grown

if TYPE_CHECKING:
    from pesto_stream.model.tile import Transform, Window

    Array = np.ndarray[Any, Any]

BANDS: Final = ("blue", "green", "red", "nir")
CRS: Final = "EPSG:32631"
PIXEL_METRES: Final = 10.0
TRANSFORM: Final[Transform] = (PIXEL_METRES, 0.0, 300_000.0, 0.0, -PIXEL_METRES, 4_900_020.0)
NODATA: Final = 0
SCALE: Final = 10_000
"""Pixel values are reflectances times this."""
CLOUD_ALPHA: Final = 0.5
"""From this opacity on a pixel counts as cloud in the truth."""
MIN_SIDE: Final = 64

# Reflectance of blue, green, red, near infrared: rounded from what such surfaces show in Sentinel-2 scenes.
_WATER: Final = (0.045, 0.040, 0.030, 0.015)
_FOREST: Final = (0.025, 0.045, 0.028, 0.290)
_CROPS: Final = (
    (0.040, 0.075, 0.050, 0.380),
    (0.055, 0.085, 0.090, 0.270),
    (0.090, 0.130, 0.170, 0.240),
    (0.070, 0.100, 0.120, 0.200),
    (0.225, 0.270, 0.315, 0.370),  # dry and bright: a threshold on brightness takes some of it for cloud
)
_CLOUD: Final = (0.62, 0.61, 0.60, 0.64)
_SHADOW_SHIFT: Final = (26, 18)
_FIELD_PIXELS: Final = (46, 29)
_FIELD_SLANT: Final = 0.22


class _Noise:
    """Value noise: octaves of random grids, smoothly interpolated; values between 0 and 1, mean about one half."""

    def __init__(self, rng: np.random.Generator, side: int, cell: float, octaves: int) -> None:
        self._octaves = []
        for octave in range(octaves):
            step = max(2.0, cell / 2**octave)
            nodes = int(side / step) + 3
            self._octaves.append((step, rng.random((nodes, nodes), dtype=np.float32)))

    def at(self, rows: Array, columns: Array) -> Array:
        """Values (rows, columns) at the given pixel coordinates."""
        total: Array = np.zeros((len(rows), len(columns)), np.float32)
        weight, weights = 1.0, 0.0
        for step, grid in self._octaves:
            total += weight * _interpolated(_interpolated(grid, rows / step).T, columns / step).T
            weights += weight
            weight *= 0.5
        total /= np.float32(weights)
        return total


def _interpolated(grid: Array, at: Array) -> Array:
    """The grid along its first axis at fractional rows, with zero slope at the nodes."""
    lower = np.clip(at.astype(np.intp), 0, len(grid) - 2)
    part = np.clip(at - lower, 0, 1).astype(np.float32)
    smooth = (part * part * (3 - 2 * part))[:, None]
    between: Array = grid[lower] * (1 - smooth) + grid[lower + 1] * smooth
    return between


def _ramp(values: Array, low: float, high: float) -> Array:
    """0 below `low`, 1 above `high`, smooth between."""
    part = np.clip((values - np.float32(low)) / np.float32(high - low), 0, 1)
    smooth: Array = part * part * (3 - 2 * part)
    return smooth


@dataclass(frozen=True, slots=True, eq=False)
class SyntheticWindow:
    """`array` is (4, H, W) uint16, reflectance times SCALE, NODATA outside the swath; `truth` is (H, W), True under cloud."""

    array: Array
    truth: Array


class SyntheticScene:
    """Fields, forest and water under clouds with soft edges and shadows; two corners lie outside a slanted swath.

    `size` is width and height in pixels. Raises ConfigurationError for one under MIN_SIDE.
    """

    def __init__(self, size: int = 2048, seed: int = 7) -> None:
        if size < MIN_SIDE:
            raise ConfigurationError(f"cannot make a scene of '{size}' pixels a side: at least {MIN_SIDE} are needed")
        if seed < 0:
            raise ConfigurationError(f"cannot make a scene from the seed '{seed}': 0 or more is expected")
        rng = np.random.default_rng(seed)
        self.size = size
        self._relief = _Noise(rng, size, 340, 5)
        self._moisture = _Noise(rng, size, 420, 5)
        self._texture = _Noise(rng, size, 9, 2)
        self._clouds = _Noise(rng, size, 380, 6)
        self._crops = rng.integers(0, len(_CROPS), 4096)
        self._grain = int(rng.integers(1 << 32))

    def window(self, window: Window) -> SyntheticWindow:
        """The pixels of one window, the same whatever else was asked for before."""
        rows = np.arange(window.row, window.row + window.height, dtype=np.float32)
        columns = np.arange(window.column, window.column + window.width, dtype=np.float32)
        alpha, shadow = self._sky(window, rows, columns)
        bright = 0.82 + 0.36 * self._texture.at(rows, columns)
        land = self._land(rows, columns)
        light = bright * (1 - 0.45 * shadow)
        array = np.empty((len(BANDS), window.height, window.width), np.uint16)
        inside = self._swath(rows, columns)
        for band in range(len(BANDS)):
            surface = land[band] * light * (1 - alpha) + np.float32(_CLOUD[band]) * (0.35 + 0.65 * alpha) * bright * alpha
            array[band] = np.where(inside, np.clip(surface * SCALE, NODATA + 1, SCALE), NODATA)
        return SyntheticWindow(array, (alpha >= CLOUD_ALPHA) & inside)

    def _sky(self, window: Window, rows: Array, columns: Array) -> tuple[Array, Array]:
        """Opacity of the clouds and darkness of their shadows, which fall to the lower right."""
        down, right = _SHADOW_SHIFT
        wide = grown(window, max(down, right), self.size, self.size)
        all_rows = np.arange(wide.row, wide.row + wide.height, dtype=np.float32)
        all_columns = np.arange(wide.column, wide.column + wide.width, dtype=np.float32)
        alpha = _ramp(self._clouds.at(all_rows, all_columns), 0.545, 0.655)
        here = np.ix_(rows.astype(np.intp) - wide.row, columns.astype(np.intp) - wide.column)
        above = np.maximum(rows.astype(np.intp) - down, 0) - wide.row
        left = np.maximum(columns.astype(np.intp) - right, 0) - wide.column
        return alpha[here], alpha[np.ix_(above, left)]

    def _land(self, rows: Array, columns: Array) -> list[Array]:
        """Reflectance by band: crops by field, forest on high ground, water where it is low and wet."""
        crop = self._crops[self._fields(rows, columns)]
        high, wet = self._relief.at(rows, columns), self._moisture.at(rows, columns)
        forest = _ramp(high, 0.53, 0.56)
        water = _ramp(wet - 0.35 * high, 0.43, 0.445)
        bands = []
        for band in range(len(BANDS)):
            reflectance = np.array([kind[band] for kind in _CROPS], np.float32)[crop]
            reflectance += forest * (np.float32(_FOREST[band]) - reflectance)
            reflectance += water * (np.float32(_WATER[band]) - reflectance)
            bands.append(reflectance)
        return bands

    def _fields(self, rows: Array, columns: Array) -> Array:
        """A number from 0 to 4095 for the slanted field that a pixel lies in."""
        tall, wide = _FIELD_PIXELS
        across = ((rows[:, None] + _FIELD_SLANT * columns[None, :]) / tall).astype(np.int64)
        along = ((columns[None, :] - _FIELD_SLANT * rows[:, None]) / wide + 100_000).astype(np.int64)
        number: Array = (across * 73_856_093 ^ along * 19_349_663 ^ self._grain) & 4095
        return number

    def _swath(self, rows: Array, columns: Array) -> Array:
        """True inside the swath; its slanted edges leave out the lower left and the upper right corner."""
        x, y = columns[None, :] / self.size, rows[:, None] / self.size
        inside: Array = (x > 0.18 * (y - 0.45)) & (x < 1 - 0.18 * (0.55 - y))
        return inside

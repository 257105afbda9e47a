"""A piece of an image with its place on Earth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np

Transform = tuple[float, float, float, float, float, float]
"""Affine coefficients a b c d e f, in rasterio's order: x = a*column + b*row + c, y = d*column + e*row + f."""


class Window(NamedTuple):
    """A rectangle of an image, in pixels."""

    column: int
    row: int
    width: int
    height: int


class Region(NamedTuple):
    """A rectangle in pixels that may reach over the edges of an image: what is inside of the image counts.

    `width` and `height` None: as far as the image goes.
    """

    column: int = 0
    row: int = 0
    width: int | None = None
    height: int | None = None

    def within(self, width: int, height: int) -> Window:
        """The part inside of an image of this size; a width or height below 1 where there is none."""
        left, top = max(0, self.column), max(0, self.row)
        right = width if self.width is None else min(width, self.column + self.width)
        bottom = height if self.height is None else min(height, self.row + self.height)
        return Window(left, top, right - left, bottom - top)


@dataclass(frozen=True, slots=True, eq=False)
class Tile:
    """Pixels (C, H, W) and georeference. `crs` is "EPSG:n" or WKT; `nodata` is in the unit of the pixels. `band_names` are those that
    the file gives, in the order of the bands (None for a band without one), empty where it gives none.
    """

    array: np.ndarray[Any, Any]
    crs: str | None = None
    transform: Transform | None = None
    nodata: float | None = None
    band_names: tuple[str | None, ...] = ()

    @property
    def georeferenced(self) -> bool:
        return self.crs is not None and self.transform is not None

    @property
    def placed(self) -> bool:
        """Whether anything is known of its place: a transform without a CRS is worth keeping as well."""
        return self.crs is not None or self.transform is not None


def shifted(transform: Transform, column: int, row: int) -> Transform:
    """The transform of a window whose upper left pixel is (column, row) of the whole."""
    a, b, c, d, e, f = transform
    return (a, b, a * column + b * row + c, d, e, d * column + e * row + f)

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


@dataclass(frozen=True, slots=True, eq=False)
class Tile:
    """Pixels (C, H, W) and georeference. `crs` is "EPSG:n" or WKT; `nodata` is in the unit of the pixels."""

    array: np.ndarray[Any, Any]
    crs: str | None = None
    transform: Transform | None = None
    nodata: float | None = None

    @property
    def georeferenced(self) -> bool:
        return self.crs is not None and self.transform is not None


def shifted(transform: Transform, column: int, row: int) -> Transform:
    """The transform of a window whose upper left pixel is (column, row) of the whole."""
    a, b, c, d, e, f = transform
    return (a, b, a * column + b * row + c, d, e, d * column + e * row + f)

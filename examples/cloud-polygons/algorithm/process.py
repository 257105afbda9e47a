"""From a mask to polygons in the mask's own coordinates, with area and centroid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from rasterio.features import shapes

if TYPE_CHECKING:  # runs under PESTO as well, where there is no tile context
    from pesto_stream import TileContext

CLOUD = 1
"""The pixels that are outlined."""
PIXELS = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
"""The transform of a mask without a place: x is the column, y the row (which grows downwards)."""


class Process:
    max_concurrency = 8
    read_only_inputs = True  # no input is written to, so none needs a copy

    def process(
        self,
        mask: np.ndarray,
        value: int | None = None,
        min_area: float | None = None,
        context: TileContext | None = None,
    ) -> dict:
        """`mask` is (1, H, W). Polygons are in the mask's reference system, or in pixels where it has none, as `metadata` says.

        Raises ValueError for a mask of several bands.
        """
        if len(mask) != 1:
            raise ValueError(f"the mask has {len(mask)} bands; expected one")
        transform = PIXELS if context is None or context.transform is None else context.transform
        wanted = (mask[0] == (CLOUD if value is None else value)) & has_data(mask[0], None if context is None else context.nodata)
        found = [feature for feature in features(wanted, transform) if feature["properties"]["area"] >= (min_area or 0)]
        placed = context is not None and context.transform is not None
        return {
            "polygons": [feature["geometry"] for feature in found],
            "features": {"type": "FeatureCollection", "features": found},
            "metadata": {
                "coordinates": "crs" if placed else "pixels",
                "crs": context.crs if placed else None,
                "count": len(found),
                "area": sum(feature["properties"]["area"] for feature in found),
            },
        }


def has_data(band: np.ndarray, nodata: float | None) -> np.ndarray:
    """What has no data is never outlined; (H, W)."""
    return np.ones(band.shape, bool) if nodata is None or np.isnan(nodata) else band != nodata


def features(wanted: np.ndarray, transform: tuple[float, ...]) -> list[dict[str, Any]]:
    """A feature of GeoJSON for each group of pixels that touch each other at their sides."""
    outlines = shapes(wanted.astype(np.uint8), mask=wanted, connectivity=4)
    return [feature_of(geometry["coordinates"], transform) for geometry, _ in outlines]


def feature_of(rings: list[list[tuple[float, float]]], transform: tuple[float, ...]) -> dict[str, Any]:
    """`rings` are in pixels, the outer one first: there areas and centroids are exact, however large the coordinates of the CRS are."""
    corners = [np.asarray(ring) for ring in rings]
    parts = [area_and_moment(ring) for ring in corners]
    outer = parts[0]
    area = abs(outer[0]) - sum(abs(part[0]) for part in parts[1:])
    moment = np.sign(outer[0]) * outer[1] - sum(np.sign(part[0]) * part[1] for part in parts[1:])
    a, b, _, d, e, _ = transform
    return {
        "type": "Feature",
        "geometry": {
            "type": "Polygon",
            "coordinates": [ring_of(ring, transform, clockwise=index > 0) for index, ring in enumerate(corners)],
        },
        "properties": {"area": float(area * abs(a * e - b * d)), "centroid": placed(moment / area, transform).tolist()},
    }


def area_and_moment(ring: np.ndarray) -> tuple[float, np.ndarray]:
    """Signed area of a closed ring (N, 2), and its first moment (2,): the integrals of 1, and of x and y, by Green's theorem."""
    here, there = ring[:-1], ring[1:]
    cross = here[:, 0] * there[:, 1] - there[:, 0] * here[:, 1]
    return float(cross.sum() / 2), ((here + there) * cross[:, None]).sum(axis=0) / 6


def ring_of(ring: np.ndarray, transform: tuple[float, ...], *, clockwise: bool) -> list[list[float]]:
    """The ring in the coordinates of the transform: counterclockwise the outer one, clockwise a hole (RFC 7946)."""
    there = placed(ring, transform)
    signed, _ = area_and_moment(there - there[0])
    return (there if (signed < 0) == clockwise else there[::-1]).tolist()


def placed(points: np.ndarray, transform: tuple[float, ...]) -> np.ndarray:
    """Points (..., 2) of column and row, in the coordinates of the transform: x = a*column + b*row + c, y = d*column + e*row + f."""
    a, b, c, d, e, f = transform
    return points @ np.array([[a, d], [b, e]]) + np.array([c, f])

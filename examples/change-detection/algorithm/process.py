"""What differs between two images of one place, by the spread of their differences."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # runs under PESTO as well, where there is no tile context
    from pesto_stream import TileContext

THRESHOLD = 3.0
"""Least change of a pixel, in standard deviations."""
MAD_TO_DEVIATION = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation: a spread that the changes themselves do not widen."""
UNCHANGED, CHANGED, NO_DATA = 0, 1, 255
SAME_PLACE = 1e-3
"""Pixels that the corners of the two images may be apart."""


class Process:
    max_concurrency = 8
    read_only_inputs = True  # no input is written to, so none needs a copy

    def process(
        self,
        before: np.ndarray,
        after: np.ndarray,
        threshold: float | None = None,
        context: TileContext | None = None,
    ) -> dict:
        """`before` and `after` are (C, H, W) of one place. The mask is (H, W): 0 unchanged, 1 changed, 255 no data in one of them.

        Raises ValueError where they have not the same bands, size or place.
        """
        check_shapes(before, after)
        check_places(context)
        valid = has_data(before, nodata_of(context, "before")) & has_data(after, nodata_of(context, "after"))
        with np.errstate(invalid="ignore"):  # infinities; `valid` has them out
            difference = np.where(valid, after.astype(np.float64) - before.astype(np.float64), 0.0)
        changed = valid & (strength(difference, valid) > (THRESHOLD if threshold is None else threshold))
        if context is not None:
            context.output_nodata = NO_DATA
        pixels, count = int(np.count_nonzero(valid)), int(np.count_nonzero(changed))
        return {
            "mask": np.where(valid, changed, NO_DATA).astype(np.uint8),
            "changed": count / pixels if pixels else 0.0,
            "bands": [float(band[changed].mean()) if count else 0.0 for band in difference],
        }


def check_shapes(before: np.ndarray, after: np.ndarray) -> None:
    if before.shape != after.shape:
        raise ValueError(
            f"'before' is {size_of(before)}, 'after' is {size_of(after)}; expected two images of the same size and bands"
        )


def size_of(image: np.ndarray) -> str:
    bands, height, width = image.shape
    return f"{width} x {height} pixels of {bands} bands"


def check_places(context: TileContext | None) -> None:
    """Both images have to lie at the same place, where both say where they lie."""
    if context is None:
        return
    before, after = context.images["before"], context.images["after"]
    if before.crs and after.crs and before.crs != after.crs:
        raise ValueError(f"'before' is in '{before.crs}', 'after' is in '{after.crs}'; expected one reference system")
    if before.transform and after.transform and not same_place(before.transform, after.transform, before.height, before.width):
        raise ValueError(
            f"'before' lies at {list(before.transform)}, 'after' lies at {list(after.transform)}; expected two images of the same place"
        )


def same_place(one: tuple[float, ...], other: tuple[float, ...], height: int, width: int) -> bool:
    """Whether the corners agree to a small part of a pixel. Transforms are a b c d e f: x = a*column + b*row + c, y likewise."""
    corners = np.array([(0, 0, 1), (width, 0, 1), (0, height, 1), (width, height, 1)]).T
    apart = np.abs((np.reshape(one, (2, 3)) - np.reshape(other, (2, 3))) @ corners)
    return bool((apart <= SAME_PLACE * np.hypot(one[0], one[3])).all())


def nodata_of(context: TileContext | None, name: str) -> float | None:
    return None if context is None else context.images[name].nodata


def has_data(image: np.ndarray, nodata: float | None) -> np.ndarray:
    """False where all bands hold the nodata value, or any band is not a number; (H, W)."""
    valid = np.isfinite(image).all(axis=0)
    if nodata is not None and not np.isnan(nodata):
        valid &= (image != nodata).any(axis=0)
    return valid


def strength(difference: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """How far each pixel's change is from what is usual in this image, in standard deviations; the band that changed most counts.

    `difference` is (C, H, W), the result (H, W). What all pixels have in common (haze, another sun) is no change.
    """
    if not valid.any():
        return np.zeros(valid.shape)
    usual = np.array([np.median(band[valid]) for band in difference]).reshape(-1, 1, 1)
    apart = np.abs(difference - usual)
    spread = np.array([spread_of(band[valid]) for band in apart]).reshape(-1, 1, 1)
    return (apart / spread).max(axis=0)


def spread_of(apart: np.ndarray) -> float:
    """The standard deviation of a band's differences; of the smallest one where more than half of them are equal."""
    spread = MAD_TO_DEVIATION * float(np.median(apart))
    if spread > 0:
        return spread
    changes = apart[apart > 0]
    return float(changes.min()) / (2 * THRESHOLD) if changes.size else 1.0

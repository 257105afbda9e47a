"""Clouds by threshold: bright, white, and without the contrast that plants and water show between red and near infrared."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # runs under PESTO as well, where there is no tile context
    from pesto_stream import TileContext

BANDS = ("blue", "green", "red", "near infrared")
SCALE = 10_000
"""Pixel values are reflectances times this, as in Sentinel-2 and Landsat products of level 2."""
THRESHOLD = 0.22
"""Least mean reflectance of blue, green and red, of a cloud."""
WHITENESS = 0.15
"""Most that these three may differ from their mean, added up and relative to it (bare soil is brighter in red)."""
CONTRAST = 0.3
"""Largest absolute NDVI: below it are clouds, soil and roofs; above it plants, and water on the other side."""

CLEAR, CLOUD, NO_DATA = 0, 1, 255


class Process:
    max_concurrency = 16  # numpy releases the interpreter's lock, and nothing is kept between calls
    read_only_inputs = True  # no input is written to, so none needs a copy

    def process(self, image: np.ndarray, threshold: float | None = None, context: TileContext | None = None) -> dict:
        """`image` is (4, H, W): blue, green, red, near infrared. The mask is (H, W): 0 clear, 1 cloud, 255 no data.

        `coverage` is the share of cloud among the pixels that have data, 0 where none has.
        """
        if len(image) != len(BANDS):
            raise ValueError(f"the image has {len(image)} bands; expected {len(BANDS)}: {', '.join(BANDS)}")
        cloud = detect(image, THRESHOLD if threshold is None else threshold)
        nodata = None if context is None else context.nodata
        valid = has_data(image, nodata)
        mask = np.where(valid, cloud, NO_DATA).astype(np.uint8)
        if context is not None and nodata is not None:
            context.output_nodata = NO_DATA
        pixels = np.count_nonzero(valid)
        return {"mask": mask, "coverage": float(np.count_nonzero(mask == CLOUD) / pixels) if pixels else 0.0}


def detect(image: np.ndarray, threshold: float) -> np.ndarray:
    """True where a pixel looks like cloud; (H, W)."""
    reflectance = image.astype(np.float32) / SCALE
    visible, red, infrared = reflectance[:3], reflectance[2], reflectance[3]
    brightness = visible.mean(axis=0)
    spread = np.abs(visible - brightness).sum(axis=0)
    return (
        (brightness >= threshold) & (spread <= WHITENESS * brightness) & (np.abs(infrared - red) <= CONTRAST * (infrared + red))
    )


def has_data(image: np.ndarray, nodata: float | None) -> np.ndarray:
    """False where all bands hold the nodata value, or any band is not a number; (H, W)."""
    valid = np.isfinite(image).all(axis=0)
    if nodata is not None and not np.isnan(nodata):
        valid &= (image != nodata).any(axis=0)
    return valid

"""Clouds and their shadows by the 4-band U-Net that the package `ukis-csmask` brings."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pesto.common.pesto import Pesto

from pesto_stream.onnx import OnnxAlgorithm

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pesto_stream import TileContext

PACKAGE = "ukis_csmask"
SCALE = 10_000
"""Pixel values are reflectances times this, as in Sentinel-2 and Landsat products; the model wants reflectances."""
CLEAR, CLOUD, SHADOW, NO_DATA = 0, 1, 2, 255


def model_file() -> Path:
    """The model for surface reflectance (level 2A), with profile `l1c` the one for reflectance at the top of the atmosphere.

    Raises ImportError where the package is not installed.
    """
    package = find_spec(PACKAGE)  # not imported: its files are all that is needed
    if package is None or package.origin is None:
        raise ImportError(f"the model comes with the package '{PACKAGE}'; install what requirements.txt names")
    return Path(package.origin).parent / f"model_4b_{'l1c' if Pesto.is_profile_active('l1c') else 'l2a'}.onnx"


class Process(OnnxAlgorithm):
    model = model_file()
    normalisation = f"{model.with_suffix('.json')}#/data/dataset_statistics/img"
    padding = "reflect"  # tiles at the scene's edge: what the network sees beyond it looks like the land before it
    decision = "argmax"
    read_only_inputs = True

    def predict(self, images: Sequence[np.ndarray], contexts: Sequence[TileContext]) -> list[np.ndarray]:
        return super().predict(
            [reflectance(image, context.nodata) for image, context in zip(images, contexts, strict=True)], contexts
        )

    def results(self, prediction: np.ndarray, inputs: Mapping[str, Any], context: TileContext) -> dict[str, Any]:
        """The classes, but for the pixels without data, which the network takes for some class as well."""
        valid = has_data(inputs[self.image], context.nodata)
        context.output_nodata = NO_DATA
        pixels = max(1, np.count_nonzero(valid))
        return {
            "mask": np.where(valid, prediction, NO_DATA).astype(np.uint8),
            "cloud": np.count_nonzero(valid & (prediction == CLOUD)) / pixels,
            "shadow": np.count_nonzero(valid & (prediction == SHADOW)) / pixels,
        }


def reflectance(image: np.ndarray, nodata: float | None) -> np.ndarray:
    """`image` (C, H, W) in the model's unit. Pixels without data become black: one that is not a number would spread over the tile."""
    return np.where(has_data(image, nodata), image, 0) / np.float32(SCALE)


def has_data(image: np.ndarray, nodata: float | None) -> np.ndarray:
    """False where all bands hold the nodata value, or any band is not a number; (H, W)."""
    valid = np.isfinite(image).all(axis=0)
    if nodata is not None and not np.isnan(nodata):
        valid &= (image != nodata).any(axis=0)
    return valid

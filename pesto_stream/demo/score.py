"""How good the joined cloud mask is: its coverage, and the truth where it is known. Read in strips, so that memory stays small."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from pesto_stream.model.tile import Window
from pesto_stream.scene.raster import open_scene

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pesto_stream.scene.raster import Scene

_STRIP_ROWS: Final = 256
_CLOUD: Final = 1
_OUTSIDE: Final = 255


class Score(NamedTuple):
    """Shares of the valid pixels, 0 to 1. `truth` and `agreement` are None where the truth is not known."""

    coverage: float
    truth: float | None
    agreement: float | None


def score(mosaic: Path, truth: Path | None) -> Score:
    """Pixels: 1 cloud, 0 clear, 255 (or the mosaic's nodata) outside. Raises ImageError, ConfigurationError as `open_scene`."""
    found = true = agreed = valid = 0
    for mask, known in _strips(mosaic, truth):
        inside = (mask != _OUTSIDE) & (known != _OUTSIDE)
        cloud, real = mask == _CLOUD, known == _CLOUD
        valid += int(np.count_nonzero(inside))
        found += int(np.count_nonzero(cloud & inside))
        true += int(np.count_nonzero(real & inside))
        agreed += int(np.count_nonzero((cloud == real) & inside))
    valid = max(1, valid)
    if truth is None:
        return Score(found / valid, None, None)
    return Score(found / valid, true / valid, agreed / valid)


def _strips(mosaic: Path, truth: Path | None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    with open_scene(mosaic) as found:
        for row in range(0, found.height, _STRIP_ROWS):
            window = Window(0, row, found.width, min(_STRIP_ROWS, found.height - row))
            mask = found.read(window).array[0]
            yield mask, mask if truth is None else _known(truth, window)


def _known(truth: Path, window: Window) -> np.ndarray:
    with open_scene(truth) as scene:
        return _first_band(scene, window)


def _first_band(scene: Scene, window: Window) -> np.ndarray:
    return np.asarray(scene.read(window).array[0])

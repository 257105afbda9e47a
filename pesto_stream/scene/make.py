"""The made-up scene and its truth, written to files in strips."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from pesto_stream.model.tile import Window
from pesto_stream.scene import synthetic
from pesto_stream.scene.mosaic import Form
from pesto_stream.scene.raster import write_blocks
from pesto_stream.scene.spool import BLOCK
from pesto_stream.scene.synthetic import SyntheticScene, SyntheticWindow

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TRUTH_NODATA: Final = 255
_SCENE: Final = Form(np.dtype(np.uint16), len(synthetic.BANDS), synthetic.CRS, synthetic.TRANSFORM, synthetic.NODATA)
_TRUTH: Final = Form(np.dtype(np.uint8), 1, synthetic.CRS, synthetic.TRANSFORM, TRUTH_NODATA)


class MadeScene(NamedTuple):
    """`coverage` is the share of cloudy pixels, 0 to 1, among the `valid_pixels` inside the swath."""

    size: int
    coverage: float
    valid_pixels: int


def make_scene(out: Path, *, size: int = 2048, seed: int = 7, truth: Path | None = None) -> MadeScene:
    """Write the scene of this size and seed (4 bands uint16, EPSG:32631, 10 m), and to `truth` its cloud mask: uint8, 0 clear, 1 cloud,
    255 outside the swath.

    Raises ConfigurationError for a size or seed that makes no scene, or a file that cannot be written.
    """
    scene = SyntheticScene(size, seed)
    write_blocks(out, (size, size), _SCENE, ((at, made.array) for at, made in _strips(scene)), synthetic.BANDS)
    cloudy = valid = 0

    def masks() -> Iterator[tuple[Window, np.ndarray[Any, Any]]]:
        nonlocal cloudy, valid
        for at, made in _strips(scene):
            inside = made.array[0] != synthetic.NODATA
            cloudy += int(np.count_nonzero(made.truth))
            valid += int(np.count_nonzero(inside))
            yield at, np.where(inside, made.truth, TRUTH_NODATA).astype(np.uint8)[None]

    if truth is None:
        for _ in masks():
            pass
    else:
        write_blocks(truth, (size, size), _TRUTH, masks(), ("cloud",))
    return MadeScene(size, cloudy / valid, valid)


def _strips(scene: SyntheticScene) -> Iterator[tuple[Window, SyntheticWindow]]:
    for row in range(0, scene.size, BLOCK):
        at = Window(0, row, scene.size, min(BLOCK, scene.size - row))
        yield at, scene.window(at)

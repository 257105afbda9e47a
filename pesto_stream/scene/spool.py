"""Cores on disk in the order they came, read back block by block: a scene of any size is joined in bounded memory."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

import numpy as np

from pesto_stream.model.tile import Window
from pesto_stream.scene.plan import intersection

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BLOCK: Final = 512
"""Side of a block in pixels, as the mosaic's file has them."""


class Block(NamedTuple):
    """Pixels (C, h, w) of one window of the mosaic, and how many of them (width x height) no core has written."""

    window: Window
    array: np.ndarray[Any, Any]
    uncovered: int


class _Entry(NamedTuple):
    core: Window
    position: int


class Spool:
    """One nameless file in `folder` (which has the room that the mosaic needs); gone when closed."""

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=folder, prefix=".pesto-scene-")  # noqa: SIM115 - closed by __exit__
        self._strips: defaultdict[int, list[_Entry]] = defaultdict(list)
        self._bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._file.close()

    def add(self, core: Window, pixels: np.ndarray[Any, Any]) -> None:
        """Keep the pixels (C, core height, core width). Raises OSError when the disk is full."""
        entry = _Entry(core, self._bytes)
        self._file.write(np.ascontiguousarray(pixels).data)
        self._bytes += pixels.nbytes
        for strip in range(core.row // BLOCK, (core.row + core.height - 1) // BLOCK + 1):
            self._strips[strip].append(entry)

    def blocks(self, width: int, height: int, bands: int, dtype: np.dtype[Any], fill: float) -> Iterator[Block]:
        """The whole mosaic, block by block and row by row; `fill` where no core is. Where cores overlap, the one added last shows."""
        self._file.flush()
        data = np.memmap(self._file, dtype=np.uint8, mode="r") if self._bytes else np.empty(0, np.uint8)
        for row in range(0, height, BLOCK):
            entries = self._strips.get(row // BLOCK, [])
            for column in range(0, width, BLOCK):
                window = Window(column, row, min(BLOCK, width - column), min(BLOCK, height - row))
                yield _block(window, entries, data, np.full((bands, window.height, window.width), fill, dtype))


def _block(window: Window, entries: list[_Entry], data: np.ndarray[Any, Any], array: np.ndarray[Any, Any]) -> Block:
    bands, dtype = len(array), array.dtype
    covered = np.zeros((window.height, window.width), bool)
    for core, position in entries:
        shared = intersection(core, window)
        if shared is None:
            continue
        size = bands * core.height * core.width * dtype.itemsize
        pixels = data[position : position + size].view(dtype).reshape(bands, core.height, core.width)
        target = _within(shared, window)
        array[:, *target] = pixels[:, *_within(shared, core)]
        covered[target] = True
    return Block(window, array, int(covered.size - np.count_nonzero(covered)))


def _within(part: Window, whole: Window) -> tuple[slice, slice]:
    """Rows and columns of `part` in an array of `whole`."""
    row, column = part.row - whole.row, part.column - whole.column
    return slice(row, row + part.height), slice(column, column + part.width)

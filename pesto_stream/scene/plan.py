"""How a scene is cut: cores that partition it, and the larger windows that are read around them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pesto_stream.errors import ConfigurationError
from pesto_stream.model.tile import Window

MAX_TILES: Final = 1_000_000
"""Most tiles of one scene; a splitter refuses to make more, a collector to believe in more."""


@dataclass(frozen=True, slots=True)
class PlannedTile:
    """One tile of a scene, in pixels of the scene. `core` is its own part, `read` the core and the overlap around it."""

    index: int
    count: int
    core: Window
    read: Window

    @property
    def offset(self) -> tuple[int, int]:
        """Column and row of the core's upper left pixel inside the read window."""
        return self.core.column - self.read.column, self.core.row - self.read.row


def plan(width: int, height: int, tile: int, overlap: int) -> tuple[PlannedTile, ...]:
    """The tiles of a scene of `width` x `height` pixels, row by row.

    Cores are `tile` x `tile` pixels, less at the right and lower border. A read window is the core with `overlap` pixels more on each
    side, cut at the scene's border: no pixel is invented there.

    Raises ConfigurationError for sizes that make no plan, or one of more than MAX_TILES tiles.
    """
    _check(width, height, tile, overlap)
    columns = range(0, width, tile)
    rows = range(0, height, tile)
    count = len(columns) * len(rows)
    if count > MAX_TILES:
        raise ConfigurationError(
            f"cannot split {width} x {height} pixels into {count} tiles of '{tile}': at most {MAX_TILES} tiles"
        )
    cores = (Window(column, row, min(tile, width - column), min(tile, height - row)) for row in rows for column in columns)
    return tuple(PlannedTile(index, count, core, grown(core, overlap, width, height)) for index, core in enumerate(cores))


def _check(width: int, height: int, tile: int, overlap: int) -> None:
    if width < 1 or height < 1:
        raise ConfigurationError(f"cannot split a scene of '{width} x {height}' pixels: it has none")
    if tile < 1:
        raise ConfigurationError(f"cannot split a scene into tiles of '{tile}' pixels: at least 1 is needed")
    if overlap < 0:
        raise ConfigurationError(f"cannot split a scene with an overlap of '{overlap}' pixels: 0 or more is expected")


def grown(core: Window, overlap: int, width: int, height: int) -> Window:
    """`core` and `overlap` pixels on each side, as far as a scene of `width` x `height` has them."""
    left, upper = max(0, core.column - overlap), max(0, core.row - overlap)
    right, lower = min(width, core.column + core.width + overlap), min(height, core.row + core.height + overlap)
    return Window(left, upper, right - left, lower - upper)


def intersection(first: Window, second: Window) -> Window | None:
    """What two windows share, None where they share nothing."""
    left, upper = max(first.column, second.column), max(first.row, second.row)
    right = min(first.column + first.width, second.column + second.width)
    lower = min(first.row + first.height, second.row + second.height)
    return Window(left, upper, right - left, lower - upper) if right > left and lower > upper else None

"""A tile's place in its scene, as CloudEvents extension attributes. Pure.

`sceneid`, `tileindex`, `tilecount`, `tilewindow` ("column row width height" of the core, in pixels of the scene), `tileoffset` ("column
row" of the core inside the tile's image; "0 0" where it is left out), `scenesize` ("width height", optional).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pesto_stream.errors import EnvelopeError
from pesto_stream.model.tile import Window
from pesto_stream.scene.plan import MAX_TILES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pesto_stream.scene.plan import PlannedTile

MAX_SIDE: Final = 1 << 24
"""Longest side of a scene in pixels: half a turn of the Earth at one metre."""
_MAX_DIGITS: Final = 9


@dataclass(frozen=True, slots=True)
class Place:
    """`offset` is (column, row) of the core inside the tile's image; `scene_size` is (width, height), None where it is not said."""

    scene_id: str
    index: int
    count: int
    core: Window
    offset: tuple[int, int] = (0, 0)
    scene_size: tuple[int, int] | None = None

    @staticmethod
    def of(tile: PlannedTile, scene_id: str, scene_size: tuple[int, int]) -> Place:
        return Place(scene_id, tile.index, tile.count, tile.core, tile.offset, scene_size)

    def attributes(self) -> dict[str, str]:
        """Extension attributes by name, without the `ce_` prefix that their headers have."""
        said = {
            "sceneid": self.scene_id,
            "tileindex": str(self.index),
            "tilecount": str(self.count),
            "tilewindow": _text(self.core),
            "tileoffset": _text(self.offset),
        }
        return said if self.scene_size is None else said | {"scenesize": _text(self.scene_size)}


def place_of(attributes: Mapping[str, str]) -> Place:
    """The place that an event claims; every number is checked, for a sender may write anything.

    Raises EnvelopeError where an attribute is missing, is no such number, or the window does not lie in the scene.
    """
    scene_id = attributes.get("sceneid", "")
    if not scene_id:
        raise EnvelopeError("cannot place a tile: it has no 'sceneid'")
    (index,) = _numbers(attributes, "tileindex", 1)
    (count,) = _numbers(attributes, "tilecount", 1)
    column, row, width, height = _numbers(attributes, "tilewindow", 4)
    offset = _numbers(attributes, "tileoffset", 2) if "tileoffset" in attributes else [0, 0]
    size = _numbers(attributes, "scenesize", 2) if "scenesize" in attributes else None
    scene_size = None if size is None else (size[0], size[1])
    place = Place(scene_id, index, count, Window(column, row, width, height), (offset[0], offset[1]), scene_size)
    _check(place)
    return place


def _check(place: Place) -> None:
    if not 1 <= place.count <= MAX_TILES:
        raise EnvelopeError(f"cannot place a tile of '{place.count}' tiles: 1 to {MAX_TILES} are expected")
    if place.index >= place.count:
        raise EnvelopeError(f"cannot place tile '{place.index}' of '{place.count}' tiles: they count from 0")
    core = place.core
    width, height = place.scene_size or (MAX_SIDE, MAX_SIDE)
    if max(width, height) > MAX_SIDE:
        raise EnvelopeError(f"cannot place a tile in a scene of '{width} x {height}' pixels: at most {MAX_SIDE} a side")
    if core.width < 1 or core.height < 1:
        raise EnvelopeError(f"cannot place a tile with the window '{_text(core)}': it holds no pixel")
    if core.column + core.width > width or core.row + core.height > height:
        raise EnvelopeError(f"cannot place a tile with the window '{_text(core)}': the scene ends at {width} x {height}")


def _numbers(attributes: Mapping[str, str], name: str, expected: int) -> list[int]:
    text = attributes.get(name, "")
    parts = text.split(" ")
    if len(parts) != expected or not all(part.isascii() and part.isdigit() and len(part) <= _MAX_DIGITS for part in parts):
        wanted = "a number" if expected == 1 else f"{expected} numbers"
        raise EnvelopeError(f"cannot place a tile with '{name}' '{text[:80]}': {wanted} from 0 to {10**_MAX_DIGITS - 1} expected")
    return [int(part) for part in parts]


def _text(numbers: tuple[int, ...]) -> str:
    return " ".join(map(str, numbers))

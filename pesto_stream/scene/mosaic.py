"""What is known of a scene while its results come in: which tiles are there, what they have in common, what is missing. Pure.

The first tile says what the mosaic is made of (dtype, bands, CRS, where its corner lies, how many tiles); a tile that does not fit to that
is refused. Pixels are kept elsewhere (`spool`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pesto_stream.errors import EnvelopeError, ImageError
from pesto_stream.model.tile import shifted

if TYPE_CHECKING:
    from pesto_stream.model.tile import Tile, Transform
    from pesto_stream.scene.place import Place

MAX_MOSAIC_BYTES: Final = 16 << 30
_SCALE_TOLERANCE: Final = 1e-6


class Verdict(StrEnum):
    TAKEN = "taken"
    DUPLICATE = "duplicate"
    """The same result again, as at-least-once delivery allows."""
    CONFLICT = "conflict"
    """Another result for a tile that is there already: another algorithm, version or input. The first one stays."""


@dataclass(frozen=True, slots=True)
class Form:
    """What all tiles of a mosaic share. `transform` is the mosaic's own, None where the tiles have none."""

    dtype: np.dtype[Any]
    bands: int
    crs: str | None
    transform: Transform | None
    nodata: float | None


class Mosaic:
    """The bookkeeping of one scene. `max_bytes` bounds what its senders may make us write."""

    def __init__(self, scene_id: str, max_bytes: int = MAX_MOSAIC_BYTES) -> None:
        self.scene_id = scene_id
        self.duplicates = 0
        self.conflicts = 0
        self.form: Form | None = None
        self.count: int | None = None
        self._max_bytes = max_bytes
        self._events: dict[int, str] = {}
        self._failed: dict[int, str] = {}
        self._declared: tuple[int, int] | None = None
        self._extent = (0, 0)
        self._area = 0

    @property
    def taken(self) -> int:
        return len(self._events)

    @property
    def failed(self) -> dict[int, str]:
        """Why, by index, for the tiles that have a dead letter and no result."""
        return {index: why for index, why in sorted(self._failed.items()) if index not in self._events}

    @property
    def missing(self) -> int:
        """Tiles of which nothing was seen."""
        return 0 if self.count is None else self.count - len(self._events.keys() | self._failed.keys())

    @property
    def complete(self) -> bool:
        """Each tile has its result."""
        return self.count is not None and self.taken == self.count

    @property
    def settled(self) -> bool:
        """Each tile has its result or its dead letter."""
        return self.count is not None and self.missing == 0

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels: as declared by the tiles, else as far as the seen ones reach."""
        return self._declared or self._extent

    def offer(self, place: Place, tile: Tile, event_id: str) -> Verdict:
        """Note one result. On TAKEN its core belongs into the mosaic.

        Raises EnvelopeError or ImageError for a tile that does not fit to those before it, or into what its own place says; nothing
        is noted then.
        """
        known = self._events.get(place.index)
        if known is not None:
            return self._again(known, event_id)
        self._check_place(place)
        form = self._fitting(place, tile)
        area = self._area + place.core.width * place.core.height
        self._check_bytes(max(area, self._whole_area(place)) * form.bands * form.dtype.itemsize)
        self.form, self._area = form, area
        self._note(place)
        self._events[place.index] = event_id
        return Verdict.TAKEN

    def fail(self, place: Place, reason: str) -> bool:
        """Note that a tile ended as a dead letter; whether that was news. Raises EnvelopeError where it does not fit to those before
        it.
        """
        self._check_place(place)
        if place.index in self._failed:
            return False
        pixel = 1 if self.form is None else self.form.bands * self.form.dtype.itemsize
        self._check_bytes(self._whole_area(place) * pixel)
        self._note(place)
        self._failed[place.index] = reason
        return True

    def _again(self, known: str, event_id: str) -> Verdict:
        if known == event_id:
            self.duplicates += 1
            return Verdict.DUPLICATE
        self.conflicts += 1
        return Verdict.CONFLICT

    def _note(self, place: Place) -> None:
        self.count = place.count
        self._declared = self._declared or place.scene_size
        self._extent = self._reach(place)

    def _reach(self, place: Place) -> tuple[int, int]:
        core = place.core
        return max(self._extent[0], core.column + core.width), max(self._extent[1], core.row + core.height)

    def _check_place(self, place: Place) -> None:
        if self.count is not None and place.count != self.count:
            raise EnvelopeError(f"cannot place tile '{place.index}' of '{place.count}' tiles: the scene has {self.count}")
        if self._declared and place.scene_size and place.scene_size != self._declared:
            raise EnvelopeError(f"cannot place a tile of a scene of '{place.scene_size}' pixels: the scene has {self._declared}")
        width, height = self._declared or self._reach(place)
        if place.core.column + place.core.width > width or place.core.row + place.core.height > height:
            raise EnvelopeError(
                f"cannot place a tile with the window '{tuple(place.core)}': the scene ends at {width} x {height}"
            )

    def _whole_area(self, place: Place) -> int:
        """Pixels of the mosaic with this tile in it."""
        width, height = self._declared or place.scene_size or self._reach(place)
        return width * height

    def _check_bytes(self, size: int) -> None:
        if size > self._max_bytes:
            raise EnvelopeError(f"cannot join a scene of '{size}' bytes: at most {self._max_bytes} are allowed")

    def _fitting(self, place: Place, tile: Tile) -> Form:
        """The mosaic's form with this tile in it."""
        form = form_of(place, tile)
        if self.form is None:
            return form
        if (form.dtype, form.bands) != (self.form.dtype, self.form.bands):
            raise ImageError(
                f"cannot join tile '{place.index}' of {form.bands} bands '{form.dtype}':"
                f" the scene's tiles have {self.form.bands} of {self.form.dtype}"
            )
        if form.crs != self.form.crs or not _same_place(form.transform, self.form.transform):
            raise ImageError(f"cannot join tile '{place.index}': its georeference is not that of the scene's other tiles")
        return self.form


def form_of(place: Place, tile: Tile) -> Form:
    """What a mosaic of such tiles is made of.

    Raises ImageError where the tile's image does not hold its core, or its transform is no finite one.
    """
    bands, height, width = tile.array.shape
    column, row = place.offset
    if column + place.core.width > width or row + place.core.height > height:
        raise ImageError(
            f"cannot place tile '{place.index}': its image of {width} x {height} pixels does not hold a core of"
            f" {place.core.width} x {place.core.height} at '{column} {row}'"
        )
    transform = tile.transform
    if transform is not None:
        transform = shifted(transform, column - place.core.column, row - place.core.row)
        if not all(map(math.isfinite, transform)):
            raise ImageError(f"cannot place tile '{place.index}': its transform '{tile.transform}' is not finite")
    return Form(tile.array.dtype, bands, tile.crs, transform, _fitting_nodata(tile))


def _fitting_nodata(tile: Tile) -> float | None:
    """The tile's nodata where its dtype can hold it: a raster file takes no other."""
    nodata, dtype = tile.nodata, tile.array.dtype
    if nodata is None or dtype.kind in "fc":
        return nodata
    bounds = np.iinfo(dtype)
    return nodata if math.isfinite(nodata) and bounds.min <= nodata <= bounds.max else None


def core_of(place: Place, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The core's pixels (C, h, w), a view, of a tile's image (C, H, W) that holds it."""
    column, row = place.offset
    return array[:, row : row + place.core.height, column : column + place.core.width]


def _same_place(first: Transform | None, second: Transform | None) -> bool:
    """Equal scales, and corners less than half a pixel apart: a sender may have rounded."""
    if first is None or second is None:
        return first is second
    scale = max(abs(second[0]) + abs(second[1]), abs(second[3]) + abs(second[4]))
    near = all(abs(first[i] - second[i]) <= scale * _SCALE_TOLERANCE for i in (0, 1, 3, 4))
    return near and all(abs(first[i] - second[i]) <= scale / 2 for i in (2, 5))

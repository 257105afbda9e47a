"""The region of interest of a JSON request, `{"pesto": {"roi": {...}}}`: what is read of the images, and what is cut off the outputs.

`target_in` names image inputs, of which the window of `lines` and `columns` is read with `margin` pixels more on each side, as far as
the image goes; `target_out` names image outputs, which lose that margin. Rows or columns that are left out mean all of them. The window
itself has to be inside of the image, and all images of `target_in` have the same size (as in PESTO 1.7.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pesto_stream.converters.words import did_you_mean, shortened
from pesto_stream.errors import SchemaError
from pesto_stream.model.invocation import Cut
from pesto_stream.model.tile import Region, Window
from pesto_stream.serde.shapes import ArrayShape, ImageShape, RecordShape

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from pesto_stream.model.tile import Tile

OPTIONS = "pesto"
"""The key of a request beside its inputs; an algorithm may have an input of that name, which it is then."""
_ROI = "roi"
_LARGEST = 2**31 - 1
"""Pixels of the largest image that any format of ours can name (TIFF stores up to 32 bits)."""


@dataclass(frozen=True, slots=True)
class Span:
    """Rows or columns: `number` from `first`, and `margin` more on both sides."""

    first: int
    number: int
    margin: int = 0

    @property
    def start(self) -> int:
        return max(0, self.first - self.margin)

    @property
    def length(self) -> int:
        return self.first + self.number + self.margin - self.start


@dataclass(frozen=True, slots=True)
class RegionOfInterest:
    target_in: tuple[str, ...]
    target_out: tuple[str, ...]
    lines: Span | None = None
    columns: Span | None = None

    @property
    def region(self) -> Region:
        """What to read; it may reach over the image's edges by the margin."""
        lines, columns = self.lines, self.columns
        return Region(
            column=columns.start if columns else 0,
            row=lines.start if lines else 0,
            width=columns.length if columns else None,
            height=lines.length if lines else None,
        )

    def cut(self, tiles: Sequence[tuple[str, Tile]]) -> Cut:
        """What to take off the outputs, from the images that were read (with their input's path).

        Raises SchemaError where the window is not inside of an image, or the images differ in size.
        """
        first = tiles[0][1]
        sizes = {path: tile.array.shape[1:] for path, tile in tiles}
        for path, size in sizes.items():
            if size != first.array.shape[1:]:
                raise SchemaError(
                    f"'pesto.roi' finds {_size(size)} pixels in input '{path}' and {_size(first.array.shape[1:])} in '{tiles[0][0]}': "
                    "expected images of the same size in 'target_in'"
                )
        height, width = first.array.shape[1:]
        row, rows = self._inner(self.lines, height, "lines")
        column, columns = self._inner(self.columns, width, "columns")
        inner = Window(column, row, columns, rows)
        return Cut(frozenset(self.target_out), height, width, inner, first.crs, first.transform)

    def _inner(self, span: Span | None, read: int, name: str) -> tuple[int, int]:
        if span is None:
            return 0, read
        before = span.first - span.start
        if before + span.number > read:
            raise SchemaError(
                f"'pesto.roi.{name}' is {span.first} to {span.first + span.number - 1}: the image ends at {span.start + read - 1}"
            )
        return before, span.number


def _size(size: tuple[int, ...]) -> str:
    return f"{size[1]} x {size[0]}"


def region_of_interest(
    options: Any, inputs: RecordShape, outputs: RecordShape, given: Collection[str]
) -> RegionOfInterest | None:
    """The region that the key `pesto` of a request asks for, None for none. `given` are the inputs that the request has.

    Raises SchemaError for anything in it that is not known, wrong, or names no image.
    """
    known = _object(options, "pesto", (_ROI,))
    if known.get(_ROI) is None:
        return None
    roi = _object(known[_ROI], "pesto.roi", ("target_in", "target_out", "lines", "columns"))
    names_in = _names(roi, "target_in", inputs, "input")
    for name in names_in:
        if name not in given:
            raise SchemaError(f"'pesto.roi.target_in' names '{name}': the request has no such image")
    return RegionOfInterest(names_in, _names(roi, "target_out", outputs, "output"), _span(roi, "lines"), _span(roi, "columns"))


def _object(value: Any, place: str, keys: Sequence[str]) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise SchemaError(f"'{place}' is {shortened(value)}: expected an object with {_listed(keys)}")
    for key in value:
        if key not in keys:
            raise SchemaError(f"'{place}' has the key {shortened(key)}, which is not known{did_you_mean(key, keys)}")
    return value


def _listed(keys: Sequence[str]) -> str:
    return ", ".join(f"'{key}'" for key in keys)


def _names(roi: Mapping[str, Any], key: str, shape: RecordShape, what: str) -> tuple[str, ...]:
    place = f"pesto.roi.{key}"
    images = [name for name, field in shape.fields.items() if field.shape in (ImageShape(), ArrayShape(ImageShape()))]
    names = roi.get(key)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise SchemaError(f"'{place}' is {shortened(names)}: expected a list of names of image {what}s")
    if key == "target_in" and not names:
        raise SchemaError(f"'{place}' is empty: expected the name of an image {what} at least")
    for name in names:
        if name not in images:
            raise SchemaError(f"'{place}' names {shortened(name)}, which is no image {what}{did_you_mean(name, images)}")
    return tuple(dict.fromkeys(names))


def _span(roi: Mapping[str, Any], key: str) -> Span | None:
    if roi.get(key) is None:
        return None
    place = f"pesto.roi.{key}"
    span = _object(roi[key], place, ("first", "number", "margin"))
    first, number = _whole(span, place, "first", 0), _whole(span, place, "number", 1)
    return Span(first, number, _whole(span, place, "margin", 0) if span.get("margin") is not None else 0)


def _whole(span: Mapping[str, Any], place: str, key: str, least: int) -> int:
    value = span.get(key)
    whole = isinstance(value, (int, float)) and not isinstance(value, bool) and least <= value <= _LARGEST and value == int(value)
    if not whole:
        raise SchemaError(f"'{place}.{key}' is {shortened(value)}: expected a whole number from {least} to {_LARGEST}")
    return int(value)  # type: ignore[arg-type]  # a number, checked above

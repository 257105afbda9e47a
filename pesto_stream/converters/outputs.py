"""From what an algorithm returned to checked values: images as `Tile`, everything else as JSON knows it.

An image output is an array (C, H, W) or (H, W) of whole numbers, floats or booleans; booleans become uint8 (0 and 1), every other
dtype stays. With the height and width of the first input image it carries that image's CRS and transform; its nodata is what the
algorithm set as `context.output_nodata`. The outputs of a region of interest have its size as it was read, and lose its margin here.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from pesto_stream.converters.schema import SchemaCheck
from pesto_stream.converters.values import mapped
from pesto_stream.converters.words import did_you_mean, shortened
from pesto_stream.errors import EncodeError
from pesto_stream.model.tile import Tile, shifted
from pesto_stream.serde.shapes import Shape, has_image, shape_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pesto_stream.model.invocation import Cut, TileContext
    from pesto_stream.model.spec import Interface

MAX_DEPTH = 100
"""Levels of nesting of an output value; also ends a list that contains itself."""
_INTEGER_LIMITS = (-(2**63), 2**64 - 1)
_BANDED = 3
_FLAT = 2


class OutputReader:
    """Made once for an algorithm; safe to use from several threads."""

    def __init__(self, interface: Interface) -> None:
        self.shape = shape_of(interface, "output")
        self._schema = SchemaCheck(interface, "output", (Tile,), EncodeError)

    def read(self, outputs: Mapping[str, Any], context: TileContext, cut: Cut | None = None) -> dict[str, Any]:
        """Raises EncodeError naming the output that is unknown, missing, breaks the output schema, or has not the size to be cut."""
        self._check_names(outputs)
        nodata = _nodata(context.output_nodata)

        def image(path: str, value: Any) -> Tile:
            if cut is not None and path.partition("[")[0] in cut.names:
                return _cut_tile(path, value, cut, nodata)
            return _tile(path, value, context, nodata)

        values: dict[str, Any] = mapped(self.shape, dict(outputs), "", image, _part)
        for name, field in self.shape.fields.items():
            if not field.optional and not field.nullable and values.get(name) is None:
                raise EncodeError(f"output '{name}' is missing: the output schema requires it")
        self._schema.check(values)
        return values

    def _check_names(self, outputs: Mapping[str, Any]) -> None:
        for name in outputs:
            if name not in self.shape.fields:
                raise EncodeError(f"output {shortened(name)} is not declared{did_you_mean(str(name), self.shape.fields)}")


def tiles_in(value: Any) -> list[Tile]:
    """The images of checked values, in their order."""
    if isinstance(value, Tile):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [tile for one in inner for tile in tiles_in(one)]


def georeference_headers(values: Mapping[str, Any]) -> tuple[tuple[str, bytes], ...]:
    """`pesto_crs` and `pesto_transform` of the georeferenced images, where it is the same for all of them."""
    places = {(tile.crs, tile.transform) for tile in tiles_in(dict(values)) if tile.georeferenced}
    if len(places) != 1:
        return ()
    crs, transform = places.pop()
    numbers = " ".join(repr(float(value)) for value in transform or ())
    return (("pesto_crs", (crs or "").encode()), ("pesto_transform", numbers.encode()))


def _tile(path: str, value: Any, context: TileContext, nodata: float | None) -> Tile:
    array = _pixels(path, value)
    if array.shape[1:] == (context.height, context.width):
        return Tile(array, context.crs, context.transform, nodata)
    return Tile(array, nodata=nodata)


def _cut_tile(path: str, value: Any, cut: Cut, nodata: float | None) -> Tile:
    array = _pixels(path, value)
    if array.shape[1:] != (cut.height, cut.width):
        raise EncodeError(
            f"output '{path}' has {array.shape[2]} x {array.shape[1]} pixels: 'pesto.roi.target_out' names it, so the margin is cut from "
            f"it, and {cut.width} x {cut.height} were expected as in the input"
        )
    column, row, width, height = cut.inner
    inner = np.ascontiguousarray(array[:, row : row + height, column : column + width])
    return Tile(inner, cut.crs, shifted(cut.transform, column, row) if cut.transform else None, nodata)


def _pixels(path: str, value: Any) -> np.ndarray[Any, Any]:
    if not isinstance(value, np.ndarray):
        raise EncodeError(f"output '{path}' is of type '{type(value).__name__}': expected a numpy array (C, H, W) or (H, W)")
    if value.dtype.kind not in "biuf":
        raise EncodeError(f"output '{path}' is an array of dtype '{value.dtype}': expected whole numbers, floats or booleans")
    if value.ndim not in (_FLAT, _BANDED) or value.size == 0:
        raise EncodeError(f"output '{path}' is an array of shape '{value.shape}': expected (C, H, W) or (H, W), none of them 0")
    array = value[np.newaxis] if value.ndim == _FLAT else value
    return array.astype(np.uint8) if array.dtype.kind == "b" else array.astype(array.dtype.newbyteorder("="), copy=False)


def _nodata(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise EncodeError(f"context.output_nodata is {shortened(value)}: expected a number or None")
    return float(value)


def _part(path: str, shape: Shape, value: Any) -> Any:
    if has_image(shape):
        raise EncodeError(
            f"output '{path}' is of type '{type(value).__name__}': expected a list or an object as declared, holding arrays"
        )
    return _plain(path, value, 0)


def _plain(path: str, value: Any, depth: int) -> Any:
    """JSON's types only; numpy's scalars and arrays as numbers and lists of them."""
    if isinstance(value, (np.generic, np.ndarray)):
        return _plain_numpy(path, value, depth)
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (int, float)):
        return _number(path, value)
    if depth >= MAX_DEPTH:
        raise EncodeError(f"output '{path}' is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, dict):
        return {_key(path, key): _plain(f"{path}.{key}", one, depth + 1) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(f"{path}[{index}]", one, depth + 1) for index, one in enumerate(value)]
    raise EncodeError(f"output '{path}' holds a value of type '{type(value).__name__}': expected what JSON can say")


def _plain_numpy(path: str, value: Any, depth: int) -> Any:
    if value.dtype.kind == "f" and not np.isfinite(value).all():
        raise _not_finite(path)
    if value.dtype.kind not in "biufU":
        raise EncodeError(f"output '{path}' holds an array of dtype '{value.dtype}': expected what JSON can say")
    if value.dtype.kind in "biuf":
        return value.tolist()
    return _plain(path, value.tolist(), depth)


def _number(path: str, value: Any) -> int | float:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise _not_finite(path)
        return float(value)
    smallest, largest = _INTEGER_LIMITS
    if not smallest <= value <= largest:
        raise EncodeError(f"output '{path}' is a whole number outside of 64 bits: expected one that JSON readers can hold")
    return int(value)


def _not_finite(path: str) -> EncodeError:
    return EncodeError(
        f"output '{path}' holds NaN or an infinity, which JSON does not have: leave it out, or return a finite number"
    )


def _key(path: str, key: Any) -> str:
    if not isinstance(key, str):
        raise EncodeError(f"output '{path}' has a key {shortened(key)} of type '{type(key).__name__}': expected texts as keys")
    return str(key)

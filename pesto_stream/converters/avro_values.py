"""Avro data of our own schemas <-> values by declared names: images told apart, JSON text read and written.

fastavro gives a union's record as a plain dict; the three records of the image union have different fields, so they cannot be confused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pesto_stream.converters.raster import raster_of
from pesto_stream.converters.values import EncodedImage, ImageReference, RasterImage
from pesto_stream.converters.words import did_you_mean, shortened
from pesto_stream.errors import EncodeError, ImageError
from pesto_stream.model.tile import Window
from pesto_stream.serde.avro_schema import ENCODED_IMAGE, RASTER, avro_name
from pesto_stream.serde.json_text import dumps, loads
from pesto_stream.serde.shapes import ArrayShape, FieldShape, FreeShape, ImageShape, RecordShape, ScalarShape, Shape

if TYPE_CHECKING:
    from collections.abc import Callable

    from pesto_stream.converters.limits import Limits
    from pesto_stream.model.tile import Tile

_LONG = 2**63


def from_datum(shape: Shape, datum: Any, path: str, limits: Limits) -> Any:
    """The value of a datum. Null where a field may be left out and does not allow null is left out. Raises DecodeError, ImageError."""
    match shape:
        case ImageShape():
            return _image(path, datum)
        case ScalarShape():
            return datum
        case ArrayShape(ScalarShape()):
            return datum
        case ArrayShape(items):
            return [from_datum(items, one, f"{path}[{index}]", limits) for index, one in enumerate(datum)]
        case RecordShape(fields):
            return {
                name: None if one is None else from_datum(field.shape, one, _inner(path, name), limits)
                for name, field, one in ((name, field, datum[avro_name(name)]) for name, field in fields.items())
                if one is not None or field.nullable
            }
        case FreeShape():
            return loads(datum, f"input '{path}'", max_bytes=limits.max_json_bytes, max_depth=limits.max_json_depth)


def to_datum(shape: Shape, value: Any, path: str, image: Callable[[str, Tile], Any]) -> Any:
    """The datum of an output value; `image` gives that of an image. Raises EncodeError for what the schema has no place for."""
    match shape:
        case ImageShape():
            return image(path, value)
        case ScalarShape(kind):
            return _scalar(kind, path, value)
        case ArrayShape(items):
            return [to_datum(items, one, f"{path}[{index}]", image) for index, one in enumerate(value)]
        case RecordShape(fields):
            return _record(fields, value, path, image)
        case FreeShape():
            return dumps(value, f"output '{path}'").decode()


def raster_datum(tile: Tile) -> tuple[str, dict[str, Any]]:
    """The raster branch of the image union, for the writer."""
    return RASTER, raster_of(tile)


def encoded_datum(data: bytes, media_type: str) -> tuple[str, dict[str, Any]]:
    return ENCODED_IMAGE, {"data": data, "media_type": media_type}


def _image(path: str, datum: dict[str, Any]) -> EncodedImage | ImageReference | RasterImage:
    if "dtype" in datum:
        return RasterImage(datum)
    if "url" in datum:
        return ImageReference(datum["url"], _window(path, datum["window"]))
    return EncodedImage(datum["data"], datum["media_type"].partition(";")[0].strip().lower())


def _window(path: str, datum: dict[str, int] | None) -> Window | None:
    if datum is None:
        return None
    window = Window(datum["column"], datum["row"], datum["width"], datum["height"])
    if window.column < 0 or window.row < 0 or window.width < 1 or window.height < 1:
        raise ImageError(
            f"input '{path}': window {shortened(list(window))} (column, row, width, height): expected a place inside the image and a size"
        )
    return window


def _record(fields: Any, value: dict[str, Any], path: str, image: Callable[[str, Tile], Any]) -> dict[str, Any]:
    for name in value:
        if name not in fields:
            raise EncodeError(f"output '{_inner(path, name)}' is not in the Avro schema{did_you_mean(name, fields)}")
    return {avro_name(name): _field(field, value.get(name), _inner(path, name), image) for name, field in fields.items()}


def _field(field: FieldShape, value: Any, path: str, image: Callable[[str, Tile], Any]) -> Any:
    return None if value is None else to_datum(field.shape, value, path, image)


def _scalar(kind: str, path: str, value: Any) -> Any:
    if kind == "integer":
        return _long(path, value)
    return float(value) if kind == "number" else value


def _long(path: str, value: float) -> int:
    if not -_LONG <= value < _LONG:
        raise EncodeError(f"output '{path}': {shortened(value)} where Avro's long (64 bits, signed) was expected")
    return int(value)


def _inner(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name

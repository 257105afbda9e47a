"""From the values of a request to an `Invocation`: names, schema, images, context; the same for each kind of payload."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pesto_stream.converters.images import ImageLoader
from pesto_stream.converters.schema import SchemaCheck
from pesto_stream.converters.values import IMAGE_VALUES, mapped
from pesto_stream.converters.words import did_you_mean, shortened
from pesto_stream.errors import DecodeError, SchemaError
from pesto_stream.model.invocation import ImageInfo, Invocation, TileContext
from pesto_stream.serde.cloudevents import attributes_of
from pesto_stream.serde.shapes import ArrayShape, ScalarShape, Shape, shape_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pesto_stream.converters.base import ImageSource
    from pesto_stream.converters.limits import Limits
    from pesto_stream.converters.roi import RegionOfInterest
    from pesto_stream.model.envelope import Envelope
    from pesto_stream.model.spec import Interface
    from pesto_stream.model.tile import Tile

_LARGEST_INTEGER = 2**63


class InputReader:
    """Made once for an algorithm; safe to use from several threads."""

    def __init__(self, interface: Interface, limits: Limits, source: ImageSource) -> None:
        self.shape = shape_of(interface, "input")
        self.limits = limits
        self._interface = interface
        self._source = source
        self._schema = SchemaCheck(interface, "input", IMAGE_VALUES, SchemaError)

    def invocation(
        self,
        envelope: Envelope,
        values: Mapping[str, Any],
        payload_schema: str | None = None,
        *,
        roi: RegionOfInterest | None = None,
    ) -> Invocation:
        """`values` by input name; at the places of images, one of `IMAGE_VALUES`. Of the images that `roi` names, its region is read.

        Raises DecodeError for an input that is not declared, SchemaError for a missing or wrong one, what `ImageLoader.load` raises.
        """
        self._check_names(values)
        given = {name: value for name, value in values.items() if value is not None or self.shape.fields[name].nullable}
        self._check_required(given)
        self._schema.check(given)
        loader = ImageLoader(self.limits, self._source, roi)
        loaded = {
            name: mapped(field.shape, given[name], name, loader.load, _plain) if given.get(name) is not None else None
            for name, field in self.shape.fields.items()
        }
        return Invocation(
            envelope=envelope,
            inputs=loaded,
            context=_context(envelope, dict(zip(loader.paths, loader.tiles, strict=True))),
            tiles=tuple(loader.tiles),
            decoded_bytes=loader.decoded_bytes,
            image_media_types=tuple(loader.media_types),
            payload_schema=payload_schema,
            cut=roi.cut(loader.regions) if roi is not None and loader.regions else None,
        )

    def _check_names(self, values: Mapping[str, Any]) -> None:
        for name in values:
            if name not in self.shape.fields:
                raise DecodeError(f"input {shortened(name)} is not declared{did_you_mean(name, self.shape.fields)}")

    def _check_required(self, given: Mapping[str, Any]) -> None:
        for name in self.shape.fields:
            if name in self._interface.required and name not in given:
                raise SchemaError(f"input '{name}' is missing: the algorithm requires it")


def _context(envelope: Envelope, tiles: Mapping[str, Tile]) -> TileContext:
    attributes = attributes_of(envelope)
    images = {path: _info(tile) for path, tile in tiles.items()}
    if not images:
        return TileContext(attributes=attributes)
    first = next(iter(images.values()))
    return TileContext(
        first.crs,
        first.transform,
        first.nodata,
        first.height,
        first.width,
        attributes,
        band_names=first.band_names,
        images=images,
    )


def _info(tile: Tile) -> ImageInfo:
    _, height, width = tile.array.shape
    return ImageInfo(height, width, tile.crs, tile.transform, tile.nodata, tile.band_names)


def _plain(path: str, shape: Shape, value: Any) -> Any:
    """Whole numbers as `int`: JSON and its schema take 3.0 for an integer, an algorithm that counts with it does not."""
    match shape:
        case ScalarShape("integer") if isinstance(value, float):
            return _integer(path, value)
        case ArrayShape(ScalarShape("integer")) if isinstance(value, list):
            return [_integer(f"{path}[{i}]", one) if isinstance(one, float) else one for i, one in enumerate(value)]
        case _:
            return value


def _integer(path: str, value: float) -> int:
    if abs(value) >= _LARGEST_INTEGER:
        raise SchemaError(f"input '{path}': {shortened(value)} where a whole number of 64 bits was expected")
    return int(value)

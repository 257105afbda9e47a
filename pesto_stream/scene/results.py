"""One record of an output or dead-letter topic, seen as a part of a scene. Everything in it is a claim of its sender."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from pesto_stream.converters.image import decode_image
from pesto_stream.converters.limits import Limits
from pesto_stream.errors import DecodeError, EnvelopeError, ImageError
from pesto_stream.model.envelope import IMAGE_TYPES, JSON
from pesto_stream.scene.place import place_of
from pesto_stream.scene.raster import is_crs
from pesto_stream.serde import cloudevents, json_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pesto_stream.model.envelope import Envelope
    from pesto_stream.model.record import ConsumerRecord
    from pesto_stream.model.tile import Tile, Transform
    from pesto_stream.scene.place import Place

RASTER_DTYPES: Final = frozenset(
    ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64", "complex64", "complex128")
)
"""What a GeoTIFF holds. numpy's `bool` becomes `uint8`; `float16` and others have no place in it."""
_CRS_CHARACTERS: Final = 20_000
_TRANSFORM_NUMBERS: Final = 6
_IMAGE_CHARACTERS: Final = 64
"""A JSON text shorter than this is no base64 image: the smallest PNG takes more."""


class SceneResult(NamedTuple):
    place: Place
    event_id: str
    source: str
    tile: Tile


@dataclass(frozen=True, slots=True)
class ResultReader:
    """Reads results of one scene. `output` names the image among a JSON result's outputs, None: the only one there is."""

    output: str | None = None
    limits: Limits = field(default_factory=Limits)

    def envelope(self, record: ConsumerRecord) -> Envelope:
        """Raises EnvelopeError."""
        return cloudevents.parse(record, None)

    def read(self, envelope: Envelope) -> SceneResult:
        """Raises EnvelopeError (no place in a scene, no image kind), DecodeError, ImageError."""
        place = place_of(envelope.extensions)
        tile = georeferenced(self._image(envelope), envelope.parameters)
        return SceneResult(place, envelope.id, envelope.source, plain(tile))

    def _image(self, envelope: Envelope) -> Tile:
        if envelope.content_type in IMAGE_TYPES:
            tile, _ = decode_image(envelope.payload, envelope.content_type, self.limits)
            return tile
        if envelope.content_type == JSON:
            return self._from_json(envelope.payload)
        kinds = ", ".join((*IMAGE_TYPES, JSON))
        raise EnvelopeError(f"cannot join a result of content type '{envelope.content_type}': expected one of {kinds}")

    def _from_json(self, payload: bytes) -> Tile:
        limits = self.limits
        value = json_text.loads(payload, "result", max_bytes=limits.max_json_bytes, max_depth=limits.max_json_depth)
        if not isinstance(value, dict):
            raise DecodeError("cannot join a JSON result that is no object: expected outputs by name")
        name = self.output or _only_image(value)
        text = value.get(name)
        if not isinstance(text, str):
            raise DecodeError(f"cannot join a JSON result without a base64 image under '{name}': it has {_names(value)}")
        try:
            data = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError) as failure:
            raise DecodeError(f"cannot join a JSON result whose '{name}' is no base64 text: {failure}") from failure
        tile, _ = decode_image(data, None, limits)
        return tile


def _only_image(outputs: dict[str, Any]) -> str:
    """The one output that may be an image: a long text."""
    texts = [name for name, value in outputs.items() if isinstance(value, str) and len(value) >= _IMAGE_CHARACTERS]
    if len(texts) != 1:
        raise DecodeError(
            f"cannot tell which output of a JSON result is the image: it has {_names(outputs)}; name one ('--output')"
        )
    return texts[0]


def _names(outputs: dict[str, Any]) -> str:
    return ", ".join(f"'{name[:40]}'" for name in list(outputs)[:10]) or "none"


def georeferenced(tile: Tile, parameters: Mapping[str, str]) -> Tile:
    """The tile with the `pesto_crs` and `pesto_transform` of its record, where its file says nothing itself.

    Raises EnvelopeError for a transform that is not six numbers, or a CRS that is none.
    """
    crs, text = parameters.get("crs"), parameters.get("transform")
    if tile.georeferenced or crs is None or text is None:
        return tile
    if len(crs) > _CRS_CHARACTERS or not is_crs(crs):
        raise EnvelopeError(f"cannot place a tile with 'pesto_crs' '{crs[:120]}': 'EPSG:<code>' or WKT expected")
    return replace(tile, crs=crs, transform=_transform(text))


def _transform(text: str) -> Transform:
    parts = text.replace(",", " ").strip("[] ").split()
    try:
        a, b, c, d, e, f = map(float, parts[: _TRANSFORM_NUMBERS + 1])
    except ValueError as failure:
        raise EnvelopeError(
            f"cannot place a tile with 'pesto_transform' '{text[:120]}': six numbers a b c d e f expected"
        ) from failure
    return (a, b, c, d, e, f)


def plain(tile: Tile) -> Tile:
    """The tile in a dtype and byte order that a GeoTIFF takes. Raises ImageError where there is none."""
    array = tile.array
    if array.dtype.kind == "b":
        array = array.view(np.uint8)
    if array.dtype.name not in RASTER_DTYPES:
        raise ImageError(f"cannot join pixels of dtype '{array.dtype}': a GeoTIFF holds {', '.join(sorted(RASTER_DTYPES))}")
    return replace(tile, array=array.astype(array.dtype.newbyteorder("="), copy=False))

"""An image file as the payload, for an algorithm with one required image; the other inputs are `pesto_<name>` headers.

A header holds plain text for an input that is declared as text, and JSON text for every other. Results are the image file where the
outputs are one image and otherwise scalars (these as `pesto_<name>` headers, JSON text), else JSON. A PNG or NPY file that comes with
`pesto_crs` and `pesto_transform` headers, as ours do, is georeferenced by them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pesto_stream.converters.crs import crs_of
from pesto_stream.converters.encoding import ImageFormat, image_file
from pesto_stream.converters.outputs import OutputReader, georeference_headers
from pesto_stream.converters.raster import transform_of
from pesto_stream.converters.values import EncodedImage
from pesto_stream.converters.words import shortened
from pesto_stream.errors import DecodeError, EnvelopeError
from pesto_stream.model.envelope import IMAGE_TYPES
from pesto_stream.model.invocation import EncodedPayload
from pesto_stream.model.tile import Tile, Transform
from pesto_stream.serde.cloudevents import OUR_PREFIX, RESERVED_PARAMETERS
from pesto_stream.serde.json_text import dumps, loads
from pesto_stream.serde.shapes import FieldShape, ImageShape, RecordShape, ScalarShape, has_image

if TYPE_CHECKING:
    from pesto_stream.converters.inputs import InputReader
    from pesto_stream.converters.json_payload import JsonConverter
    from pesto_stream.model.envelope import Envelope
    from pesto_stream.model.invocation import Invocation


_ROI = "roi"

_SOURCE = "source_topic"
"""The parameter by which a result of ours is known: `pesto_source_topic`."""


class ImageConverter:
    """See `converters.base.Converter`. `as_json` encodes results that do not fit into an image file."""

    media_types: tuple[str, ...] = IMAGE_TYPES

    def __init__(
        self, inputs: InputReader, outputs: OutputReader, as_json: JsonConverter, image_format: ImageFormat = "auto"
    ) -> None:
        self._inputs = inputs
        self._outputs = outputs
        self._as_json = as_json
        self._image_format: ImageFormat = image_format
        self._refusal = _why_no_bare_image(inputs.shape)
        self._input = next((name for name, field in inputs.shape.fields.items() if isinstance(field.shape, ImageShape)), "")
        self._output = _bare_output(outputs.shape)

    def decode(self, envelope: Envelope) -> Invocation:
        if self._refusal:
            raise EnvelopeError(f"cannot take a record of '{envelope.content_type}': {self._refusal}; send JSON or Avro")
        values = self._parameters(envelope)
        values[self._input] = EncodedImage(envelope.payload, envelope.content_type, *_georeference(envelope))
        return self._inputs.invocation(envelope, values)

    def encode(self, invocation: Invocation, outputs: dict[str, Any]) -> EncodedPayload:
        values = self._outputs.read(outputs, invocation.context, invocation.cut)
        tile = values.get(self._output) if self._output else None
        if not isinstance(tile, Tile):
            return self._as_json.encode_values(invocation, values)
        data, media_type = image_file(str(self._output), tile, self._image_format, invocation.image_media_types)
        scalars = tuple(
            (OUR_PREFIX + name, dumps(value, f"output '{name}'")) for name, value in values.items() if name != self._output
        )
        return EncodedPayload(data, media_type, scalars + georeference_headers(values))

    def _parameters(self, envelope: Envelope) -> dict[str, Any]:
        """The declared ones. An undeclared one is kept, and refused by name later; but a record that is itself a runtime's result
        carries that algorithm's other outputs, which are no inputs here.
        """
        fields = self._inputs.shape.fields
        known = (
            fields.keys()
            if _SOURCE in envelope.parameters
            else fields.keys() | (envelope.parameters.keys() - RESERVED_PARAMETERS)
        )
        given = {name: text for name, text in envelope.parameters.items() if name in known}
        if _ROI in given and _ROI not in fields:
            raise DecodeError(
                f"header '{OUR_PREFIX}{_ROI}' asks for a region of interest: only a JSON request has one ('pesto.roi'); send the "
                "window itself"
            )
        if self._input in given:
            raise DecodeError(f"header '{OUR_PREFIX}{self._input}' gives an image: expected it as the record's value alone")
        return {name: self._parameter(fields.get(name), name, text) for name, text in given.items()}

    def _parameter(self, field: FieldShape | None, name: str, text: str) -> Any:
        if field is None or (isinstance(field.shape, ScalarShape) and field.shape.kind == "string"):
            return text
        limits = self._inputs.limits
        what = f"input {shortened(name)} (header '{OUR_PREFIX}{name}': {shortened(text)})"
        return loads(text, what, max_bytes=limits.max_json_bytes, max_depth=limits.max_json_depth)


def _why_no_bare_image(shape: RecordShape) -> str | None:
    required = [name for name, field in shape.fields.items() if isinstance(field.shape, ImageShape) and not field.optional]
    others = [name for name, field in shape.fields.items() if has_image(field.shape) and name not in required]
    if len(required) != 1:
        named = ", ".join(f"'{name}'" for name in required) or "none"
        return f"the algorithm has {len(required)} required image inputs ({named}) and a bare image needs exactly one"
    if others:
        named = ", ".join(f"'{name}'" for name in others)
        return f"the algorithm has images beside '{required[0]}' ({named})"
    return None


def _bare_output(shape: RecordShape) -> str | None:
    """The one image output where all others are scalars with a header name of their own."""
    images = [name for name, field in shape.fields.items() if isinstance(field.shape, ImageShape)]
    scalars = [
        name for name, field in shape.fields.items() if isinstance(field.shape, ScalarShape) and name not in RESERVED_PARAMETERS
    ]
    return images[0] if len(images) == 1 and len(scalars) == len(shape.fields) - 1 else None


def _georeference(envelope: Envelope) -> tuple[str | None, Transform | None]:
    crs, transform = envelope.parameters.get("crs"), envelope.parameters.get("transform")
    if crs is None or transform is None:
        return None, None
    try:
        values = [float(text) for text in transform.split()]
    except ValueError:
        raise DecodeError(f"header 'pesto_transform' is {shortened(transform)}: expected six numbers a b c d e f") from None
    return crs_of(crs, "header 'pesto_crs'"), transform_of(values, "header 'pesto_transform'")

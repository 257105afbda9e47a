"""Avro by the schema that is derived from the algorithm's interface (see `serde.avro_schema`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pesto_stream.converters.avro_values import encoded_datum, from_datum, raster_datum, to_datum
from pesto_stream.converters.encoding import ImageFormat, image_file
from pesto_stream.converters.image import choose_format
from pesto_stream.converters.outputs import OutputReader, georeference_headers
from pesto_stream.errors import EncodeError
from pesto_stream.model.envelope import AVRO, RASTER
from pesto_stream.model.invocation import EncodedPayload
from pesto_stream.serde.avro_codec import AvroReader, AvroWriter
from pesto_stream.serde.avro_schema import avro_schema

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pesto_stream.converters.inputs import InputReader
    from pesto_stream.model.envelope import Envelope
    from pesto_stream.model.invocation import Invocation
    from pesto_stream.model.tile import Tile
    from pesto_stream.serde.avro_schema import AvroSchema
    from pesto_stream.serde.registry_port import SchemaRegistry


class AvroConverter:
    """See `converters.base.Converter`. `algorithm` is the algorithm's name, which the schemas' names are made of."""

    media_types: tuple[str, ...] = (AVRO,)

    def __init__(
        self,
        algorithm: str,
        inputs: InputReader,
        outputs: OutputReader,
        image_format: ImageFormat = "auto",
        registry: SchemaRegistry | None = None,
        output_subject: str | None = None,
        known_writers: Iterable[AvroSchema] = (),
    ) -> None:
        self._inputs = inputs
        self._outputs = outputs
        self._image_format: ImageFormat = image_format
        self._reader = AvroReader(avro_schema(inputs.shape, algorithm, "Input"), registry, known_writers)
        self._writer = AvroWriter(avro_schema(outputs.shape, algorithm, "Output"), registry, output_subject)

    def decode(self, envelope: Envelope) -> Invocation:
        datum, written_by = self._reader.read(envelope.payload)
        values = from_datum(self._inputs.shape, datum, "", self._inputs.limits)
        return self._inputs.invocation(envelope, values, written_by)

    def encode(self, invocation: Invocation, outputs: dict[str, Any]) -> EncodedPayload:
        values = self._outputs.read(outputs, invocation.context, invocation.cut)

        def image(path: str, tile: Tile) -> Any:
            return self._image(path, tile, invocation.image_media_types)

        datum = to_datum(self._outputs.shape, values, "", image)
        return EncodedPayload(self._writer.write(datum), AVRO, georeference_headers(values))

    def _image(self, path: str, tile: Tile, media_types: tuple[str, ...]) -> Any:
        if choose_format(self._image_format, media_types, tile) != RASTER:
            return encoded_datum(*image_file(path, tile, self._image_format, media_types))
        try:
            return raster_datum(tile)
        except EncodeError as error:
            raise EncodeError(f"output '{path}': {error}") from error

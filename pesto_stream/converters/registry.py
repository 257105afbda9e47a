"""Which converter an envelope goes to: by its content type on the way in, by the settings on the way out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pesto_stream.converters.avro_payload import AvroConverter
from pesto_stream.converters.image_payload import ImageConverter
from pesto_stream.converters.inputs import InputReader
from pesto_stream.converters.json_payload import JsonConverter
from pesto_stream.converters.outputs import OutputReader
from pesto_stream.converters.words import shortened
from pesto_stream.errors import EnvelopeError
from pesto_stream.model.envelope import AVRO, JSON

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pesto_stream.converters.base import Converter, ImageSource
    from pesto_stream.converters.encoding import ImageFormat
    from pesto_stream.converters.limits import Limits
    from pesto_stream.model.envelope import Envelope
    from pesto_stream.model.invocation import EncodedPayload, Invocation
    from pesto_stream.model.spec import AlgorithmSpec
    from pesto_stream.serde.avro_schema import AvroSchema
    from pesto_stream.serde.registry_port import SchemaRegistry

OutputKind = Literal["same", "application/json", "application/avro", "image"]


class Converters:
    """All kinds of payload of one algorithm; see `converters.base.PayloadConverters`. Safe to use from several threads.

    `content_type` and `image_format` are `output.content_type` and `output.image_format`. With a `registry`, Avro results are in
    Confluent framing, their schema registered under `output_subject` (by custom `<output topic>-value`) with the first of them.
    `known_writers` are other schemas that Avro requests in single-object encoding may have been written with.

    Raises ConfigurationError for an interface that cannot be carried.
    """

    def __init__(
        self,
        spec: AlgorithmSpec,
        limits: Limits,
        source: ImageSource,
        *,
        content_type: OutputKind = "same",
        image_format: ImageFormat = "auto",
        registry: SchemaRegistry | None = None,
        output_subject: str | None = None,
        known_writers: Iterable[AvroSchema] = (),
    ) -> None:
        inputs = InputReader(spec.input, limits, source)
        outputs = OutputReader(spec.output)
        as_json = JsonConverter(inputs, outputs, image_format)
        avro = AvroConverter(spec.name, inputs, outputs, image_format, registry, output_subject, known_writers)
        image = ImageConverter(inputs, outputs, as_json, image_format)
        kinds: tuple[Converter, ...] = (as_json, avro, image)
        self._by_content_type = {media_type: kind for kind in kinds for media_type in kind.media_types}
        always: dict[str, Converter] = {JSON: as_json, AVRO: avro, "image": image}
        self._always = always.get(content_type)

    def decode(self, envelope: Envelope) -> Invocation:
        """Raises EnvelopeError for a content type or a bare image that is not taken, and what `Converter.decode` raises."""
        return self._converter(envelope).decode(envelope)

    def encode(self, invocation: Invocation, outputs: dict[str, Any]) -> EncodedPayload:
        """Raises EncodeError."""
        return (self._always or self._converter(invocation.envelope)).encode(invocation, outputs)

    def _converter(self, envelope: Envelope) -> Converter:
        try:
            return self._by_content_type[envelope.content_type]
        except KeyError:
            accepted = ", ".join(self._by_content_type)
            raise EnvelopeError(
                f"cannot read content type {shortened(envelope.content_type)}: expected one of {accepted}"
            ) from None

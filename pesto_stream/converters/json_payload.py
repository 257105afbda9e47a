"""JSON as PESTO's POST /process takes it: images as URL or base64 text, everything else as it is."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from pesto_stream.converters.encoding import ImageFormat, image_file
from pesto_stream.converters.outputs import OutputReader, georeference_headers
from pesto_stream.converters.roi import OPTIONS, region_of_interest
from pesto_stream.converters.values import mapped
from pesto_stream.errors import DecodeError
from pesto_stream.model.envelope import JSON
from pesto_stream.model.invocation import EncodedPayload
from pesto_stream.serde.json_text import dumps, loads

if TYPE_CHECKING:
    from pesto_stream.converters.inputs import InputReader
    from pesto_stream.model.envelope import Envelope
    from pesto_stream.model.invocation import Invocation


class JsonConverter:
    """See `converters.base.Converter`."""

    media_types: tuple[str, ...] = (JSON,)

    def __init__(self, inputs: InputReader, outputs: OutputReader, image_format: ImageFormat = "auto") -> None:
        self._inputs = inputs
        self._outputs = outputs
        self._image_format: ImageFormat = image_format

    def decode(self, envelope: Envelope) -> Invocation:
        limits = self._inputs.limits
        values = loads(envelope.payload, "payload", max_bytes=limits.max_json_bytes, max_depth=limits.max_json_depth)
        if not isinstance(values, dict):
            raise DecodeError(f"payload is a JSON {_kind(values)}: expected an object of inputs by name")
        if OPTIONS not in values or OPTIONS in self._inputs.shape.fields:
            return self._inputs.invocation(envelope, values)
        given = {name: value for name, value in values.items() if name != OPTIONS}
        present = [name for name, value in given.items() if value is not None]
        roi = region_of_interest(values[OPTIONS], self._inputs.shape, self._outputs.shape, present)
        return self._inputs.invocation(envelope, given, roi=roi)

    def encode(self, invocation: Invocation, outputs: dict[str, Any]) -> EncodedPayload:
        return self.encode_values(invocation, self._outputs.read(outputs, invocation.context, invocation.cut))

    def encode_values(self, invocation: Invocation, values: dict[str, Any]) -> EncodedPayload:
        """The payload of outputs that `OutputReader.read` has checked."""

        def text(path: str, tile: Any) -> str:
            data, _ = image_file(path, tile, self._image_format, invocation.image_media_types)
            return base64.b64encode(data).decode("ascii")

        shown = mapped(self._outputs.shape, values, "", text, lambda _path, _shape, value: value)
        return EncodedPayload(dumps(shown, "outputs"), JSON, georeference_headers(values))


def _kind(value: Any) -> str:
    kinds = {list: "list", str: "text", bool: "boolean", type(None): "null"}
    return kinds.get(type(value), "number")

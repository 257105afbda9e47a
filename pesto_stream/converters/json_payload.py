"""JSON as PESTO's POST /process takes it: images as URL or base64 text, everything else as it is."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from pesto_stream.converters.encoding import ImageFormat, image_file
from pesto_stream.converters.outputs import OutputReader, georeference_headers
from pesto_stream.converters.values import mapped
from pesto_stream.errors import DecodeError
from pesto_stream.model.envelope import JSON
from pesto_stream.model.invocation import EncodedPayload
from pesto_stream.serde.json_text import dumps, loads

if TYPE_CHECKING:
    from pesto_stream.converters.inputs import InputReader
    from pesto_stream.model.envelope import Envelope
    from pesto_stream.model.invocation import Invocation

_OPTIONS = "pesto"


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
        if _OPTIONS in values and _OPTIONS not in self._inputs.shape.fields:
            raise DecodeError(
                "payload has the key 'pesto': regions of interest ('pesto.roi') are not supported yet, send the window itself"
            )
        return self._inputs.invocation(envelope, values)

    def encode(self, invocation: Invocation, outputs: dict[str, Any]) -> EncodedPayload:
        return self.encode_values(invocation, self._outputs.read(outputs, invocation.context))

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

"""One request made by hand: arguments -> values by input name -> a record, checked as the runtime will check it. No broker here."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from pesto_stream.converters.avro_values import encoded_datum, to_datum
from pesto_stream.converters.image import sniff
from pesto_stream.converters.inputs import InputReader
from pesto_stream.converters.registry import Converters
from pesto_stream.converters.roi import OPTIONS
from pesto_stream.converters.values import EncodedImage
from pesto_stream.converters.words import did_you_mean
from pesto_stream.errors import ConfigurationError
from pesto_stream.model.envelope import AVRO, IMAGE_TYPES, JSON, TIFF, Envelope
from pesto_stream.model.record import ConsumerRecord, ProducerRecord
from pesto_stream.model.tile import Tile
from pesto_stream.serde import cloudevents, json_text
from pesto_stream.serde.avro_codec import AvroWriter
from pesto_stream.serde.avro_schema import IMAGE_REFERENCE, avro_schema
from pesto_stream.serde.shapes import ArrayShape, ImageShape, ScalarShape, shape_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from pesto_stream.converters.limits import Limits
    from pesto_stream.model.spec import AlgorithmSpec
    from pesto_stream.model.tile import Region, Window
    from pesto_stream.serde.registry_port import SchemaRegistry
    from pesto_stream.serde.shapes import Shape

Kind = Literal["json", "avro", "image"]
EVENT_TYPE: Final = "pesto.request"
EVENT_SOURCE: Final = "/pesto/send"
_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


@dataclass(frozen=True, slots=True)
class Address:
    """What a request carries beside its payload. `key` None: the event's id."""

    topic: str
    event_id: str
    time: datetime
    key: str | None = None
    scene_id: str | None = None
    correlation_id: str | None = None


class RequestBuilder:
    """Makes requests for one algorithm. With a `registry`, Avro is in Confluent framing under the subject `<topic>-value`."""

    def __init__(self, spec: AlgorithmSpec, limits: Limits, registry: SchemaRegistry | None = None) -> None:
        self._spec = spec
        self._limits = limits
        self._registry = registry
        self._shape = shape_of(spec.input, "input")

    def values(self, arguments: Sequence[str]) -> dict[str, Any]:
        """Inputs by name from `name=value`, `name=@file` (an image file; the text of a text; else a JSON file) and `@file` (a JSON
        object of inputs). A name given several times makes a list. Images: `EncodedImage`, or text that is a URL or base64.

        Raises ConfigurationError for what is none of these, an unknown name, or a file that cannot be read.
        """
        values: dict[str, Any] = {}
        for argument in arguments:
            if argument.startswith("@"):
                values |= self._object(Path(argument[1:]))
                continue
            name, separator, text = argument.partition("=")
            if not separator:
                raise ConfigurationError(f"cannot send '{argument}': expected name=value, name=@file or @file")
            if name not in self._shape.fields:
                raise ConfigurationError(
                    f"cannot send the input '{name}': it is not declared{did_you_mean(name, self._shape.fields)}"
                )
            self._add(values, name, text)
        return values

    def _add(self, values: dict[str, Any], name: str, text: str) -> None:
        shape = self._shape.fields[name].shape
        if isinstance(shape, ArrayShape) and isinstance(shape.items, ImageShape):
            values.setdefault(name, []).append(self._value(name, shape.items, text))
        else:
            values[name] = self._value(name, shape, text)

    def _value(self, name: str, shape: Shape, text: str) -> Any:
        path = Path(text[1:]) if text.startswith("@") else None
        if isinstance(shape, ImageShape):
            return _image(name, path, text)
        if isinstance(shape, ScalarShape) and shape.kind == "string":
            return text if path is None else _read(path).decode("utf-8", "replace")
        return self._json(f"input '{name}'", text.encode() if path is None else _read(path))

    def _object(self, path: Path) -> dict[str, Any]:
        value = self._json(f"'{path}'", _read(path))
        if not isinstance(value, dict):
            raise ConfigurationError(f"cannot send '{path}': expected a JSON object of inputs by name")
        return value

    def _json(self, what: str, data: bytes) -> Any:
        return json_text.loads(data, what, max_bytes=self._limits.max_json_bytes, max_depth=self._limits.max_json_depth)

    def record(self, values: dict[str, Any], kind: Kind, address: Address) -> ProducerRecord:
        """The request as a CloudEvent. Raises ConfigurationError where the values do not fit into this kind of payload, RecordError
        where the runtime would refuse them.
        """
        self._check_values(values)
        value, content_type, parameters = self._payload(values, kind, address.topic)
        headers = _event_headers(address, content_type) | parameters
        key = address.event_id if address.key is None else address.key
        encoded = tuple((name, text.encode()) for name, text in headers.items())
        record = ProducerRecord(address.topic, key.encode(), value, encoded)
        self._check(record)
        return record

    def _payload(self, values: dict[str, Any], kind: Kind, topic: str) -> tuple[bytes, str, dict[str, str]]:
        if kind == "json":
            return json_text.dumps(_for_json(values), "request"), JSON, {}
        if kind == "avro":
            writer = AvroWriter(avro_schema(self._shape, self._spec.name, "Input"), self._registry, f"{topic}-value")
            return writer.write(to_datum(self._shape, values, "", _for_avro)), AVRO, {}
        return self._bare_image(values)

    def _bare_image(self, values: dict[str, Any]) -> tuple[bytes, str, dict[str, str]]:
        images = {name: value for name, value in values.items() if isinstance(value, EncodedImage)}
        if len(images) != 1:
            raise ConfigurationError(f"cannot send {len(images)} image files as a bare image: exactly one name=@file is expected")
        ((name, image),) = images.items()
        if image.media_type not in IMAGE_TYPES:
            raise ConfigurationError(
                f"cannot send '{name}' as a bare image: it is '{image.media_type}', not {', '.join(IMAGE_TYPES)}"
            )
        others = {other: value for other, value in values.items() if other != name}
        return (
            image.data,
            str(image.media_type),
            {f"pesto_{other}": self._header(other, value) for other, value in others.items()},
        )

    def _header(self, name: str, value: Any) -> str:
        """Plain text for an input that is declared as text, JSON text for every other (see `converters.image_payload`)."""
        field = self._shape.fields.get(name)
        plain = field is not None and isinstance(field.shape, ScalarShape) and field.shape.kind == "string"
        return value if plain and isinstance(value, str) else json_text.dumps(_for_json(value), f"input '{name}'").decode()

    def _check_values(self, values: dict[str, Any]) -> None:
        """Against the input schema, before they become any payload; images behind URLs are the runtime's to read."""
        envelope = Envelope("", "", None, JSON, b"")
        given = {name: value for name, value in values.items() if name != OPTIONS or name in self._shape.fields}
        InputReader(self._spec.input, self._limits, _Unread()).invocation(envelope, given)

    def _check(self, record: ProducerRecord) -> None:
        """Decode it as the runtime will."""
        converters = Converters(self._spec, self._limits, _Unread(), registry=self._registry, output_subject="unused")
        read = ConsumerRecord(record.topic, 0, 0, record.key, record.value, record.headers)
        converters.decode(cloudevents.parse(read, None))


class _Unread:
    """Stands for images that are not looked at here. See `converters.base.ImageSource`."""

    def read(self, url: str, window: Window | Region | None = None) -> tuple[Tile, str]:  # noqa: ARG002 - the port's signature
        size = (1, 1) if window is None else (window.height or 1, window.width or 1)
        return Tile(np.broadcast_to(np.uint8(0), (1, *size))), TIFF


def _image(name: str, path: Path | None, text: str) -> EncodedImage | str:
    if path is None:
        if _URL.match(text):
            return text
        raise ConfigurationError(f"cannot send '{name}={text[:60]}': an image is given as {name}=@file or {name}=<url>")
    data = _read(path)
    media_type = sniff(data)
    if media_type is None:
        raise ConfigurationError(f"cannot send '{path}' as '{name}': it is no TIFF, PNG, JPEG, JPEG 2000 or NPY file")
    return EncodedImage(data, media_type)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as failure:
        raise ConfigurationError(f"cannot read '{path}': {failure.strerror}") from failure


def _event_headers(address: Address, content_type: str) -> dict[str, str]:
    headers = {
        "ce_specversion": cloudevents.SPEC_VERSION,
        "ce_id": address.event_id,
        "ce_source": EVENT_SOURCE,
        "ce_type": EVENT_TYPE,
        "ce_time": address.time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "content-type": content_type,
        "ce_correlationid": address.correlation_id or address.event_id,
    }
    return headers if address.scene_id is None else headers | {"ce_sceneid": address.scene_id}


def _for_json(value: Any) -> Any:
    if isinstance(value, EncodedImage):
        return base64.b64encode(value.data).decode("ascii")
    if isinstance(value, dict):
        return {name: _for_json(one) for name, one in value.items()}
    return [_for_json(one) for one in value] if isinstance(value, list) else value


def _for_avro(path: str, value: Any) -> Any:
    if isinstance(value, EncodedImage):
        return encoded_datum(value.data, str(value.media_type))
    if isinstance(value, str) and _URL.match(value):
        return IMAGE_REFERENCE, {"url": value, "window": None}
    try:
        data = base64.b64decode(str(value), validate=True)
    except ValueError as failure:
        raise ConfigurationError(
            f"cannot send the image '{path}' as Avro: it is neither a file, nor a URL, nor base64"
        ) from failure
    return encoded_datum(data, sniff(data) or "application/octet-stream")

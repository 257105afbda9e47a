"""CloudEvents in Kafka's binary mode: record headers <-> `Envelope`. Pure.

After the Kafka protocol binding of CloudEvents 1.0 (attributes as `ce_<name>` headers in UTF-8, `datacontenttype` as the plain header
`content-type`, the value is the data).

* A record with `ce_specversion` claims to be an event and must be a valid 1.x one. Without it, a record is accepted as no event: its
  topic, partition and offset identify it, and what it has of extension attributes is read all the same.
* Kafka allows a header several times. The last one counts, as in Kafka's own `Headers.lastHeader`: whoever passes a record on appends.
* Header names are compared as they are, `content-type` in any case.
* `ce_datacontenttype` and `ce_dataschema` speak of the input's bytes, so they are not passed on.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from pesto_stream.errors import DecodeError, EnvelopeError
from pesto_stream.model.envelope import AVRO, IMAGE_TYPES, JSON, Envelope
from pesto_stream.model.record import UNREADABLE_HEADERS, ProducerRecord

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from pesto_stream.model.invocation import EncodedPayload
    from pesto_stream.model.record import ConsumerRecord, Headers
    from pesto_stream.model.spec import AlgorithmSpec

SPEC_VERSION = "1.0"
CONTENT_TYPES = (JSON, AVRO, *IMAGE_TYPES)
MAX_HEADERS = 1000
OUR_PREFIX = "pesto_"
RESERVED_PARAMETERS = frozenset(
    {
        "source_topic",
        "source_partition",
        "source_offset",
        "error_type",
        "error_message",
        "error_stage",
        "attempts",
        "failed_at",
        "component",
        "crs",
        "transform",
    }
)
"""`pesto_<name>` headers that this software writes: a result or a dead letter sent on as a request has them."""

_PREFIX = "ce_"
_CORE = frozenset({"specversion", "id", "source", "type", "time", "subject", "datacontenttype", "dataschema", "traceparent"})
_ATTRIBUTE_NAME = re.compile(r"[a-z0-9]+\Z")
_VERSION = re.compile(r"1\.[0-9]{1,3}\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SHOWN = 60


def parse(record: ConsumerRecord, default_content_type: str | None) -> Envelope:
    """The record's attributes and payload; no byte of the payload is looked at.

    Raises EnvelopeError for headers that break the contract or a content type that is not read here, DecodeError for an empty value.
    """
    if len(record.headers) > MAX_HEADERS:
        raise EnvelopeError(f"record has {len(record.headers)} headers: expected at most {MAX_HEADERS}")
    if record.headers == UNREADABLE_HEADERS:
        raise EnvelopeError(
            "record has a header whose name is not UTF-8, so none of its headers can be read: see the record itself at its source position"
        )
    claims = any(name == "ce_specversion" for name, _ in record.headers)
    attributes = _attributes(record.headers, strict=claims)
    if claims:
        _check_event(attributes)
    content_type = _content_type(record.headers, default_content_type)
    return Envelope(
        id=attributes["id"] if claims else f"{record.topic}/{record.partition}/{record.offset}",
        source=attributes["source"] if claims else "kafka",
        type=attributes.get("type"),
        content_type=content_type,
        payload=_payload(record, content_type),
        time=attributes.get("time"),
        subject=attributes.get("subject"),
        traceparent=_last(record.headers, "traceparent") or attributes.get("traceparent"),
        extensions={name: value for name, value in attributes.items() if name not in _CORE},
        parameters=_parameters(record.headers),
        is_cloud_event=claims,
    )


def result_id(envelope: Envelope, record: ConsumerRecord, spec: AlgorithmSpec) -> str:
    """32 hexadecimal characters that depend on nothing but the input event's identity and the algorithm's name and version, so that
    a result that is made twice can be recognised.
    """
    position = (record.topic, str(record.partition), str(record.offset))
    identity = ("event", envelope.source, envelope.id) if envelope.is_cloud_event else ("record", *position)
    digest = hashlib.sha256()
    for part in (*identity, spec.name, spec.version):
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(8, "big") + encoded)
    return digest.hexdigest()[:32]


def result_record(
    envelope: Envelope,
    record: ConsumerRecord,
    payload: EncodedPayload,
    spec: AlgorithmSpec,
    *,
    topic: str,
    event_type: str,
    source: str,
    time: datetime,
) -> ProducerRecord:
    """The result as a CloudEvent with the input's key, subject, extensions and trace, and the position that it came from.

    `time` is in UTC.
    """
    headers = result_headers(envelope, record, spec, event_type=event_type, source=source, time=time)
    encoded = tuple((name, value.encode()) for name, value in headers.items())
    content_type = (("content-type", payload.content_type.encode()),)
    return ProducerRecord(topic, record.key, payload.value, encoded + content_type + payload.headers)


def result_headers(
    envelope: Envelope, record: ConsumerRecord, spec: AlgorithmSpec, *, event_type: str, source: str, time: datetime
) -> dict[str, str]:
    """The headers of a result but for those that belong to its payload."""
    headers = {
        "ce_specversion": SPEC_VERSION,
        "ce_id": result_id(envelope, record, spec),
        "ce_source": source,
        "ce_type": event_type,
        "ce_time": time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    if envelope.subject is not None:
        headers["ce_subject"] = envelope.subject
    headers |= {_PREFIX + name: value for name, value in envelope.extensions.items()}
    if envelope.traceparent is not None:
        headers["traceparent"] = envelope.traceparent
    return headers | {
        "pesto_source_topic": record.topic,
        "pesto_source_partition": str(record.partition),
        "pesto_source_offset": str(record.offset),
    }


def attributes_of(envelope: Envelope) -> dict[str, str]:
    """All attributes by their CloudEvents names, for an algorithm that wants to see them."""
    named = {
        "id": envelope.id,
        "source": envelope.source,
        "type": envelope.type,
        "time": envelope.time,
        "subject": envelope.subject,
        "traceparent": envelope.traceparent,
    }
    return {**envelope.extensions, **{name: value for name, value in named.items() if value is not None}}


def _attributes(headers: Headers, *, strict: bool) -> dict[str, str]:
    """Attributes by name, without prefix. A name that CloudEvents does not allow is an error in an event, and skipped elsewhere."""
    found = {}
    for header, value in headers:
        if not header.startswith(_PREFIX) or value is None:
            continue
        name = header.removeprefix(_PREFIX)
        if _ATTRIBUTE_NAME.match(name):
            found[name] = _attribute_text(header, value)
        elif strict:
            raise EnvelopeError(f"header '{_shown(header)}' is no CloudEvents attribute: expected lower-case letters and digits")
    return found


def _check_event(attributes: Mapping[str, str]) -> None:
    version = attributes.get("specversion", "")
    if not _VERSION.match(version):
        raise EnvelopeError(f"record claims to be a CloudEvent of version '{_shown(version)}': expected '1.0' or another 1.x")
    for name in ("id", "source", "type"):
        if not attributes.get(name):
            raise EnvelopeError(
                f"record claims to be a CloudEvent and has no '{_PREFIX}{name}': expected a text that is not empty"
            )


def _content_type(headers: Headers, default: str | None) -> str:
    given = None
    for header, value in headers:
        if header.lower() == "content-type" and value is not None:
            given = _text(header, value)
    declared = given if given is not None else default
    accepted = ", ".join(CONTENT_TYPES)
    if declared is None:
        raise EnvelopeError(f"record has no header 'content-type' and 'input.content_type' sets none: expected one of {accepted}")
    essence = declared.partition(";")[0].strip().lower()
    if essence not in CONTENT_TYPES:
        raise EnvelopeError(f"cannot read content type '{_shown(declared)}': expected one of {accepted}{_hint(essence)}")
    return essence


def _hint(essence: str) -> str:
    return "; a CloudEvent is read in binary mode only" if essence.startswith("application/cloudevents") else ""


def _payload(record: ConsumerRecord, content_type: str) -> bytes:
    if not record.value:
        raise DecodeError(f"record has an empty value: expected a payload of '{content_type}'")
    return record.value


def _parameters(headers: Headers) -> dict[str, str]:
    return {
        header.removeprefix(OUR_PREFIX): _text(header, value)
        for header, value in headers
        if header.startswith(OUR_PREFIX) and value is not None
    }


def _last(headers: Headers, name: str) -> str | None:
    for header, value in reversed(headers):
        if header == name and value is not None:
            return _attribute_text(header, value)
    return None


def _attribute_text(header: str, value: bytes) -> str:
    """Text of CloudEvents' type String: no control characters."""
    text = _text(header, value)
    if _CONTROL.search(text):
        raise EnvelopeError(f"header '{_shown(header)}' holds control characters: {_shown(ascii(text))}")
    return text


def _text(header: str, value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise EnvelopeError(f"header '{_shown(header)}' is not UTF-8: starts with '{value[:10].hex(' ')}'") from None


def _shown(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"

"""The AsyncAPI 3.0 document of a runtime: what it reads, what it writes, and in which forms. Pure.

One message for each content type and topic, since its payload has another schema in each: JSON Schema for JSON, Avro for Avro, bytes for
image files. It names no address and nothing secret.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pesto_stream.contract.refs import component_definitions, component_names, component_schema
from pesto_stream.model.envelope import AVRO, JSON

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pesto_stream.model.spec import AlgorithmSpec

AVRO_FORMAT: Final = "application/vnd.apache.avro;version=1.9.0"
"""AsyncAPI 3.0, "Multi Format Schema Object"."""
_NAMED: Final = frozenset({"fields", "symbols"})
"""What records and enumerations have, the types of Avro that have full names here."""
KAFKA_BINDING: Final = "0.5.0"
_KEY: Final = {"type": "string", "description": "Any bytes; a result has its request's key."}


@dataclass(frozen=True, slots=True)
class Traffic:
    """What travels. `headers` are the JSON Schemas of the headers of `request`, `result`, `dead_letter`."""

    input_topic: str
    output_topic: str
    dead_letter_topic: str
    group_id: str
    content_types: tuple[str, ...]
    avro_input: Any
    avro_output: Any
    headers: Mapping[str, Mapping[str, Any]]


def asyncapi_document(spec: AlgorithmSpec, traffic: Traffic) -> dict[str, Any]:
    """The whole document, with the algorithm's definitions among its components."""
    requests = _messages(traffic, "request", "input", traffic.avro_input)
    results = _messages(traffic, "result", "output", traffic.avro_output)
    letters = {"deadLetter": _dead_letter()}
    channels = {
        "input": _channel("Requests: one tile a record.", traffic.input_topic, requests),
        "output": _channel("Results.", traffic.output_topic, results),
        "deadLetter": _channel("Requests that could not be processed, as they came.", traffic.dead_letter_topic, letters),
    }
    return {
        "asyncapi": "3.0.0",
        "info": {"title": spec.name, "version": spec.version, "description": _text(spec)},
        "defaultContentType": JSON,
        "channels": channels,
        "operations": _operations(traffic.group_id),
        "components": {"schemas": _schemas(spec, traffic), "messages": {**requests, **results, **letters}},
    }


def _text(spec: AlgorithmSpec) -> str:
    return str(spec.description.get("description") or spec.description.get("title") or spec.name)


def _operations(group_id: str) -> dict[str, Any]:
    group = {"type": "string", "enum": [group_id]}
    return {
        "receiveRequest": {
            "action": "receive",
            "channel": _ref("channels/input"),
            "summary": "Reads requests as one member of a consumer group.",
            "bindings": {"kafka": {"groupId": group, "bindingVersion": KAFKA_BINDING}},
            "reply": {"channel": _ref("channels/output")},
        },
        "sendResult": {"action": "send", "channel": _ref("channels/output"), "summary": "Writes a result for each request."},
        "sendDeadLetter": {
            "action": "send",
            "channel": _ref("channels/deadLetter"),
            "summary": "Writes what cannot be processed, with the reason in its headers.",
        },
    }


def _channel(description: str, topic: str, messages: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "address": topic,
        "description": description,
        "messages": {name: _ref(f"components/messages/{name}") for name in messages},
        "bindings": {"kafka": {"topic": topic, "bindingVersion": KAFKA_BINDING}},
    }


def _messages(traffic: Traffic, kind: str, side: str, avro: Any) -> dict[str, Any]:
    payloads = {content_type: _payload(content_type, side, avro) for content_type in traffic.content_types}
    return {_name(kind, content_type): _message(kind, content_type, payload) for content_type, payload in payloads.items()}


def _name(kind: str, content_type: str) -> str:
    """`request.json`, `result.tiff`."""
    return f"{kind}.{content_type.rpartition('/')[2].removeprefix('x-')}"


def _payload(content_type: str, side: str, avro: Any) -> dict[str, Any]:
    if content_type == JSON:
        return _ref(f"components/schemas/pesto.{side}")
    if content_type == AVRO:
        return {"schemaFormat": AVRO_FORMAT, "schema": _namespaced(avro)}
    return {"type": "string", "format": "binary", "contentMediaType": content_type}


def _namespaced(avro: Any) -> Any:
    """The same schema with the full names of its types in two, which is how AsyncAPI's schema of Avro schemas wants them."""
    if isinstance(avro, list):
        return [_namespaced(one) for one in avro]
    if not isinstance(avro, dict):
        return avro
    made = {key: _namespaced(value) for key, value in avro.items()}
    namespace, dot, name = str(avro.get("name", "")).rpartition(".")
    return {**made, "name": name, "namespace": namespace} if dot and _NAMED & avro.keys() else made


def _message(kind: str, content_type: str, payload: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": _name(kind, content_type),
        "title": f"A {kind} as {content_type}",
        "contentType": content_type,
        "headers": _ref(f"components/schemas/pesto.{kind}Headers"),
        "payload": payload,
        "bindings": {"kafka": {"key": _KEY, "bindingVersion": KAFKA_BINDING}},
    }


def _dead_letter() -> dict[str, Any]:
    whatever = {"type": "string", "format": "binary", "description": "The request's value, untouched."}
    return {**_message("deadLetter", "application/octet-stream", whatever), "name": "deadLetter", "title": "A dead letter"}


def _schemas(spec: AlgorithmSpec, traffic: Traffic) -> dict[str, Any]:
    """Ours are called `pesto.<name>`; the algorithm's definitions keep their names."""
    names = component_names(spec.input, spec.output)
    return {
        **component_definitions(names, spec.input, spec.output),
        "pesto.input": component_schema(spec.input, names),
        "pesto.output": component_schema(spec.output, names),
        "pesto.requestHeaders": _draft_07(traffic.headers["request"]),
        "pesto.resultHeaders": _draft_07(traffic.headers["result"]),
        "pesto.deadLetterHeaders": _draft_07(traffic.headers["dead_letter"]),
    }


def _draft_07(schema: Mapping[str, Any]) -> dict[str, Any]:
    """In the words of AsyncAPI's own schema language, a superset of JSON Schema draft 07."""
    renamed = {"dependencies" if key == "dependentRequired" else key: value for key, value in schema.items()}
    renamed.pop("$schema", None)
    return renamed


def _ref(place: str) -> dict[str, Any]:
    return {"$ref": f"#/{place}"}

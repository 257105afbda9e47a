"""The documents that say what an algorithm is: PESTO's describe and version documents, and what Kafka adds to them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from pesto_stream.algorithms.definitions import DRAFT_06
from pesto_stream.algorithms.interfaces import properties_of, whole_fields

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from pesto_stream.algorithms.project import Project
    from pesto_stream.model.spec import Interface, Schema

API = "/api/v1"

_DESCRIPTION_FIELDS = (
    "title",
    "name",
    "version",
    "family",
    "description",
    "organization",
    "email",
    "resources",
    "asynchronous",
    "batched",
    "keywords",
    "template",
)
"""The fields of description.json that PESTO 1.7.2 shows, and no others."""


CAPABILITIES = "inputCapabilities"
"""A field of description.json that PESTO does not know: by image input, the images that it takes (schemas/v1, `imageCapabilities`)."""


class _Link(NamedTuple):
    relation: str
    path: str
    type: str
    method: str


_LINKS = {
    "self": _Link("Access to describe resource", f"{API}/describe", "application/json", "GET"),
    "execution": _Link("Processing resource", f"{API}/process", "application/json", "POST"),
    "config": _Link("Processing configuration", f"{API}/config", "application/json", "GET"),
    "version": _Link("Processing version", f"{API}/version", "application/json", "GET"),
    "health": _Link("Processing health", f"{API}/health", "text/plain", "GET"),
}
"""PESTO's links; clients find them by key, and expect its relations."""

SIDECAR_LINKS = frozenset({"self", "version", "health"})
"""The links of a runtime that answers no processing requests over HTTP."""

PROCESSING_LINKS = frozenset({"execution", "config"})
"""The links that the processing API adds."""

_COMPLEX = "Complex type, see output in describe content for more information"
"""What PESTO says is the type of a result that declares no `content`."""


@dataclass(frozen=True, slots=True)
class KafkaDescription:
    """What a producer or consumer has to know: no address, and nothing secret.

    `avro_input` and `avro_output` are the derived Avro schemas, None where there are none. `result_content_type` is the setting
    `output.content_type`.
    """

    input_topic: str | None
    output_topic: str | None
    dead_letter_topic: str | None
    group_id: str
    delivery: str
    content_types: tuple[str, ...]
    result_content_type: str = "same"
    avro_input: Any = None
    avro_output: Any = None

    def document(self) -> dict[str, Any]:
        return {
            "topics": {"input": self.input_topic, "output": self.output_topic, "dead_letter": self.dead_letter_topic},
            "group_id": self.group_id,
            "delivery": self.delivery,
            "content_types": {"input": list(self.content_types), "output": self.result_content_type},
            "avro": {"input": self.avro_input, "output": self.avro_output},
        }


def describe_document(
    project: Project, kafka: KafkaDescription | None = None, *, base_url: str = "", links: Collection[str] = SIDECAR_LINKS
) -> dict[str, Any]:
    """The describe document. `base_url` comes before every link (`http://host:port`); `links` are the keys of those that are served."""
    shown = {name: project.description[name] for name in _DESCRIPTION_FIELDS if name in project.description}
    capabilities = project.description.get(CAPABILITIES)
    document = {
        **shown,
        **({CAPABILITIES: capabilities} if capabilities else {}),
        "name": project.name,
        "version": project.version,
        "config": dict(project.config_schema),
        "input": _side(project.input_schema, project.spec.input),
        "output": _side(project.output_schema, project.spec.output),
        "_links": {key: _link(link, base_url) for key, link in _links_of(project).items() if key in links},
    }
    return document if kafka is None else {**document, "kafka": kafka.document()}


def _links_of(project: Project) -> dict[str, _Link]:
    """The type of the processing resource is the media type that the output schema names as its `content`, else PESTO's sentence."""
    content = whole_fields(project.output_schema).get("content")
    execution = _LINKS["execution"]._replace(type=content if isinstance(content, str) else _COMPLEX)
    return {**_LINKS, "execution": execution}


def version_document(project: Project, runtime_version: str) -> dict[str, Any]:
    """PESTO's version document: version.json, the algorithm's version where it has none, and what runs it."""
    return {
        "version": project.version,
        **project.version_document,
        "__packaging": f"PESTO Stream {runtime_version}",
    }


def _side(document: Mapping[str, Any], interface: Interface) -> Schema:
    """Input or output as a JSON Schema of PESTO's form; `required` and `content` only where they are declared."""
    whole = whole_fields(document)
    side = {
        "$schema": whole.get("$schema", DRAFT_06),
        "title": whole.get("title", ""),
        "type": whole.get("type", "object"),
        "description": whole.get("description", "Expected format"),
        "definition": whole.get("definition", {}),
        "definitions": dict(interface.definitions),
        "properties": properties_of(document),
    }
    return side | {key: whole[key] for key in ("required", "content") if whole.get(key)}


def _link(link: _Link, base_url: str) -> dict[str, str]:
    return {"relation": link.relation, "href": f"{base_url.rstrip('/')}{link.path}", "type": link.type, "method": link.method}

"""The documents of a project as it would run: what `algorithms`, `serde` and `config` each know, put together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pesto_stream.algorithms.describe import PROCESSING_LINKS, SIDECAR_LINKS, KafkaDescription, describe_document
from pesto_stream.contract.asyncapi import Traffic, asyncapi_document
from pesto_stream.contract.wire import header_schemas
from pesto_stream.serde.avro_schema import avro_schemas
from pesto_stream.serde.cloudevents import CONTENT_TYPES
from pesto_stream.service.openapi import document as openapi_document

if TYPE_CHECKING:
    from pesto_stream.algorithms.project import Project
    from pesto_stream.config.model import Settings


def describe(project: Project, settings: Settings) -> dict[str, Any]:
    """PESTO's describe document with a part for Kafka. Raises ConfigurationError as `avro_schemas`."""
    avro = avro_schemas(project.spec)
    kafka = KafkaDescription(
        input_topic=settings.topics.input,
        output_topic=settings.topics.output,
        dead_letter_topic=settings.dead_letter_topic,
        group_id=settings.kafka.group_id or project.name,
        delivery=settings.delivery,
        content_types=CONTENT_TYPES,
        result_content_type=settings.output.content_type,
        avro_input=avro["input"],
        avro_output=avro["output"],
    )
    links = SIDECAR_LINKS | PROCESSING_LINKS if settings.http.process else SIDECAR_LINKS
    return describe_document(project, kafka, links=links)


def asyncapi(project: Project, settings: Settings) -> dict[str, Any]:
    """The AsyncAPI document of the runtime. Raises ConfigurationError as `avro_schemas`."""
    avro = avro_schemas(project.spec)
    traffic = Traffic(
        input_topic=settings.topics.input or "input",
        output_topic=settings.topics.output or "output",
        dead_letter_topic=settings.dead_letter_topic or "input.dead-letter",
        group_id=settings.kafka.group_id or project.name,
        content_types=CONTENT_TYPES,
        avro_input=avro["input"],
        avro_output=avro["output"],
        headers=header_schemas(),
    )
    return asyncapi_document(project.spec, traffic)


def openapi(project: Project, settings: Settings) -> dict[str, Any]:
    """The OpenAPI document of the sidecar."""
    spec = project.spec if settings.http.process else None
    return openapi_document(project.name, project.version, process=spec, asynchronous=asynchronous(project))


def asynchronous(project: Project) -> bool:
    """Whether PESTO would answer this project's requests as jobs."""
    return project.description.get("asynchronous") is True

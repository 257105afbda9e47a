"""The documents of a project as it would run: what `algorithms`, `serde` and `config` each know, put together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pesto_stream.algorithms.describe import KafkaDescription, describe_document
from pesto_stream.serde.avro_schema import avro_schemas
from pesto_stream.serde.cloudevents import CONTENT_TYPES

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
    return describe_document(project, kafka)

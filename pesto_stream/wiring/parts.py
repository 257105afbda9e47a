"""What of a composed whole follows from the settings alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pesto_stream.config.model import MIB
from pesto_stream.config.rules import check_for_run
from pesto_stream.converters.limits import Limits

if TYPE_CHECKING:
    from pesto_stream.algorithms.project import Project
    from pesto_stream.config.model import Settings
    from pesto_stream.serde.registry_port import SchemaRegistry


@dataclass(frozen=True, slots=True)
class Topics:
    input: str
    output: str
    dead_letter: str


def settled(settings: Settings, project: Project) -> Settings:
    """The settings with the defaults that the project gives. Raises ConfigurationError where a running member lacks something."""
    check_for_run(settings)
    group = settings.kafka.group_id or project.name
    return settings.model_copy(update={"kafka": settings.kafka.model_copy(update={"group_id": group})})


def topics_of(settings: Settings) -> Topics:
    assert settings.topics.input is not None  # `settled` has checked it
    assert settings.topics.output is not None
    assert settings.dead_letter_topic is not None
    return Topics(settings.topics.input, settings.topics.output, settings.dead_letter_topic)


def limits_of(settings: Settings) -> Limits:
    limits = settings.limits
    return Limits(
        max_encoded_bytes=int(limits.max_encoded_mib * MIB),
        max_decoded_bytes=int(limits.max_image_mib * MIB),
        max_pixels=limits.max_pixels,
        max_bands=limits.max_bands,
        max_json_bytes=int(limits.max_json_mib * MIB),
        max_json_depth=limits.max_json_depth,
        max_images=limits.max_images,
    )


def schema_registry(settings: Settings) -> SchemaRegistry | None:
    registry = settings.schema_registry
    if registry.url is None:
        return None
    from pesto_stream.broker.kafka_registry import KafkaSchemaRegistry  # noqa: PLC0415 - slow to import, and rarely needed

    password = registry.password.get_secret_value() if registry.password else None
    return KafkaSchemaRegistry(registry.url, registry.username, password)

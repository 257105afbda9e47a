"""A project's Avro schemas into the schema registry, each under its topic's subject."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pesto_stream.errors import ConfigurationError, NotCompatible
from pesto_stream.serde.avro_schema import avro_schemas
from pesto_stream.wiring.parts import schema_registry

if TYPE_CHECKING:
    from pesto_stream.algorithms.project import Project
    from pesto_stream.config.model import Settings


def register_schemas(project: Project, settings: Settings) -> dict[str, Any]:
    """`{"input": {"subject": ..., "id": ...}, "output": ...}`. Both are checked before one is registered.

    Raises ConfigurationError for settings without registry or topics, NotCompatible, FatalError, StoreUnavailable.
    """
    registry = schema_registry(settings)
    if registry is None:
        raise ConfigurationError("no schema registry is set: give schema_registry.url, such as http://localhost:8081")
    schemas = avro_schemas(project.spec)
    subjects = {side: f"{topic}-value" for side, topic in _topics(settings).items()}
    refused = [subject for side, subject in subjects.items() if not registry.compatible(subject, schemas[side])]
    if refused:
        raise NotCompatible(
            f"the schema of {project.name} {project.version} is not compatible with the latest one of subject "
            f"'{refused[0]}'; make what is new optional, or give the new interface topics of its own"
        )
    return {side: {"subject": subject, "id": registry.register(subject, schemas[side])} for side, subject in subjects.items()}


def _topics(settings: Settings) -> dict[str, str]:
    if settings.topics.input is None or settings.topics.output is None:
        raise ConfigurationError("no topics are set: subjects are called after them; give --input-topic and --output-topic")
    return {"input": settings.topics.input, "output": settings.topics.output}

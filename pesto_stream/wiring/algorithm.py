"""What every composition around an algorithm has, whoever feeds it: its converters, and how its results are addressed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pesto_stream import __version__
from pesto_stream.config.model import MIB
from pesto_stream.converters.registry import Converters
from pesto_stream.runtime.pipeline import Addressing
from pesto_stream.wiring.parts import limits_of, schema_registry

if TYPE_CHECKING:
    from pesto_stream.algorithms.project import Project
    from pesto_stream.config.model import Settings
    from pesto_stream.converters.base import ImageSource
    from pesto_stream.wiring.parts import Topics


def converters_of(settings: Settings, project: Project, source: ImageSource, topics: Topics) -> Converters:
    """Raises ConfigurationError for an interface that cannot be carried."""
    output = settings.output
    return Converters(
        project.spec,
        limits_of(settings),
        source,
        content_type=output.content_type,
        image_format=output.image_format,
        registry=schema_registry(settings),
        output_subject=f"{topics.output}-value",
    )


def addressing_of(settings: Settings, project: Project, topics: Topics) -> Addressing:
    output = settings.output
    return Addressing(
        output_topic=topics.output,
        dead_letter_topic=topics.dead_letter,
        event_type=output.event_type,
        event_source=output.event_source or f"/pesto/{project.name}/{project.version}",
        component=f"{project.name}/{project.version} pesto-stream/{__version__}",
        default_content_type=settings.input.content_type,
        max_record_bytes=int(settings.kafka.max_record_mib * MIB),
    )

"""`pesto-stream schema`: what travels, for those who write the other end."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pesto_stream.algorithms.project import load_project
from pesto_stream.cli import options
from pesto_stream.config.files import shipped_profiles
from pesto_stream.errors import ConfigurationError
from pesto_stream.serde.avro_schema import avro_schemas
from pesto_stream.wiring import documents
from pesto_stream.wiring.registration import register_schemas

if TYPE_CHECKING:
    from collections.abc import Callable

    from pesto_stream.algorithms.project import Project
    from pesto_stream.config.model import Settings

app = options.command_app()

_EXAMPLES = (
    "pesto-stream schema my-project --avro",
    "pesto-stream schema my-project --asyncapi --input-topic tiles --output-topic masks",
    "pesto-stream schema my-project --register --input-topic tiles --output-topic masks --set schema_registry.url=http://localhost:8081",
)


@app.command(epilog=options.examples(*_EXAMPLES))
def schema(
    project: options.Project,
    profile: options.Profiles = [],  # noqa: B006 - typer reads the default and hands out a new list
    *,
    avro: Annotated[bool, typer.Option("--avro", help="Avro schemas, derived from the project's JSON schemas.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON schemas, complete with their definitions.")] = False,
    asyncapi: Annotated[bool, typer.Option("--asyncapi", help="AsyncAPI document: topics, headers, payloads.")] = False,
    openapi: Annotated[bool, typer.Option("--openapi", help="OpenAPI document of the sidecar.")] = False,
    register: Annotated[bool, typer.Option("--register", help="Register the Avro schemas, if its rule allows.")] = False,
    input_topic: options.InputTopic = None,
    output_topic: options.OutputTopic = None,
    config_file: options.ConfigFile = None,
    assignments: options.Assignments = [],  # noqa: B006
) -> None:
    """Print the schemas of a project's input and output, {"input": ..., "output": ...}, or a document that has them.

    With --register nothing is registered unless the registry finds both compatible (else exit code 5).
    """
    chosen = [make for wanted, make in zip((avro, as_json, asyncapi, openapi, register), _MAKERS, strict=True) if wanted]
    if len(chosen) != 1:
        raise ConfigurationError("which schemas? use one of --avro, --json, --asyncapi, --openapi, --register")
    topics = {"input_topic": input_topic, "output_topic": output_topic}
    loaded = options.load_settings(project, profile, config_file=config_file, assignments=assignments, **topics)
    found = load_project(project, options.names(profile), shipped_profiles())
    typer.echo(json.dumps(chosen[0](found, loaded.settings), indent=2))


def _avro(project: Project, _: Settings) -> dict[str, Any]:
    return avro_schemas(project.spec)


def _json(project: Project, _: Settings) -> dict[str, Any]:
    return {"input": project.spec.input.json_schema(), "output": project.spec.output.json_schema()}


_MAKERS: tuple[Callable[[Project, Settings], dict[str, Any]], ...] = (
    _avro,
    _json,
    documents.asyncapi,
    documents.openapi,
    register_schemas,
)
"""In the order of the flags."""

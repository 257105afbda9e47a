"""`pesto-stream schema`: what travels, for those who write the other end."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from pesto_stream.algorithms.project import load_project
from pesto_stream.cli import options
from pesto_stream.config.files import shipped_profiles
from pesto_stream.errors import ConfigurationError
from pesto_stream.serde.avro_schema import avro_schemas

app = options.command_app()


@app.command(epilog=options.examples("pesto-stream schema my-project --avro", "pesto-stream schema my-project --json"))
def schema(
    project: options.Project,
    profile: options.Profiles = [],  # noqa: B006 - typer reads the default and hands out a new list
    *,
    avro: Annotated[bool, typer.Option("--avro", help="Avro schemas, derived from the project's JSON schemas.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON schemas, complete with their definitions.")] = False,
) -> None:
    """Print the schemas of a project's input and output as one JSON object: {"input": ..., "output": ...}."""
    if avro == as_json:
        raise ConfigurationError("which schemas? use either --avro or --json")
    spec = load_project(project, options.names(profile), shipped_profiles()).spec
    json_schemas = {"input": spec.input.json_schema(), "output": spec.output.json_schema()}
    typer.echo(json.dumps(avro_schemas(spec) if avro else json_schemas, indent=2))

"""`pesto-stream describe`: the describe document of a project, as its sidecar would serve it."""

from __future__ import annotations

import json

import typer

from pesto_stream.algorithms.project import load_project
from pesto_stream.cli import options
from pesto_stream.config.files import shipped_profiles
from pesto_stream.wiring.documents import describe as document

app = options.command_app()


@app.command(epilog=options.examples("pesto-stream describe my-project", "pesto-stream describe my-project -p gpu | jq .input"))
def describe(
    project: options.Project,
    profile: options.Profiles = [],  # noqa: B006 - typer reads the default and hands out a new list
    config_file: options.ConfigFile = None,
    assignments: options.Assignments = [],  # noqa: B006
) -> None:
    """Print the describe document of a project: PESTO's fields, and topics, content types and Avro schemas."""
    loaded = options.load_settings(project, profile, config_file=config_file, assignments=assignments)
    found = load_project(project, options.names(profile), shipped_profiles())
    typer.echo(json.dumps(document(found, loaded.settings), indent=2))

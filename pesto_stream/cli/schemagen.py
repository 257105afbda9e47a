"""`pesto-stream schemagen`: the schema files from the dataclasses Input and Output."""

from __future__ import annotations

from typing import Annotated

import typer

from pesto_stream.algorithms.schemagen import generated_schemas
from pesto_stream.cli import options
from pesto_stream.cli.exit_codes import ExitCode
from pesto_stream.config.files import shipped_profiles

app = options.command_app()


@app.command(epilog=options.examples("pesto-stream schemagen my-project", "pesto-stream schemagen my-project --check"))
def schemagen(
    project: options.Project,
    profile: options.Profiles = [],  # noqa: B006 - typer reads the default and hands out a new list
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; print the difference and exit with 5 where a file is out of date.")
    ] = False,
) -> None:
    """Write pesto/api/input_schema.json and output_schema.json as the dataclasses Input and Output of algorithm/input_output.py say."""
    stale = False
    for schema in generated_schemas(project, options.names(profile), shipped_profiles()):
        stale = stale or not schema.up_to_date
        if schema.up_to_date:
            typer.echo(f"{schema.file}: up to date")
        elif check:
            typer.echo(schema.difference())
        else:
            schema.write()
            typer.echo(f"{schema.file}: written")
    if check and stale:
        typer.echo("out of date; run 'pesto-stream schemagen' on the project", err=True)
        raise typer.Exit(ExitCode.NO)

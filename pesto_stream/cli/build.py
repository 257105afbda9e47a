"""`pesto-stream build`: a Docker image of a project."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads the annotation
from typing import Annotated

import typer

from pesto_stream.algorithms.project import load_project
from pesto_stream.cli import options
from pesto_stream.config.files import shipped_profiles
from pesto_stream.packaging import build as packaging
from pesto_stream.packaging.engine import BuildOptions

app = options.command_app()


@app.command(
    epilog=options.examples(
        "pesto-stream build my-project",
        "pesto-stream build my-project -p gpu --tag registry.example/team/my-project:1.0-gpu --push",
        "pesto-stream build my-project --dry-run context && context/build.sh",
    )
)
def build(
    project: options.Project,
    profile: options.Profiles = [],  # noqa: B006 - typer reads the default and hands out a new list
    *,
    tag: Annotated[
        list[str],
        typer.Option(metavar="NAME", help="One more name for the image, registry and all. Repeatable.", show_default=False),
    ] = [],  # noqa: B006
    push: Annotated[bool, typer.Option("--push", help="Push the names of --tag; without any, PESTO's.")] = False,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Build every layer anew.")] = False,
    proxy: Annotated[str | None, typer.Option(metavar="URL", help="Proxy for the build alone.", show_default=False)] = None,
    network: Annotated[
        str | None, typer.Option(metavar="NAME", help="Network of the build, such as host.", show_default=False)
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(
            metavar="IMAGE",
            help=f"Python image to start from; default: requirements.json's dockerBaseImage, else {packaging.DEFAULT_BASE}.",
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write the build context and build.sh there; build nothing.", show_default=False),
    ] = None,
) -> None:
    """Build the image of a project and print its names: `name:version[-profile...]` as PESTO has it, and `name:latest`."""
    found = load_project(project, options.names(profile), shipped_profiles())
    todo = packaging.plan(found, tags=tag, base=base)
    for note in todo.notes:
        typer.echo(f"Note: {note}", err=True)
    build_options = BuildOptions(no_cache=no_cache, network=network, proxy=proxy)
    if dry_run is not None:
        packaging.write_contexts(todo, dry_run, build_options)
        typer.echo(str(dry_run))
        return
    packaging.build(todo, build_options, push=push)
    for name in todo.tags:
        typer.echo(name)

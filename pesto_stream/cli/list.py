"""`pesto-stream list`: what has been built."""

from __future__ import annotations

import json
from pathlib import Path  # noqa: TC003 - typer reads the annotation
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from pesto_stream.cli import options
from pesto_stream.packaging.catalogue import catalogue

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pesto_stream.packaging.catalogue import BuiltImage, Catalogue, KnownProject

app = options.command_app()

_MEGABYTE = 1_000_000
_DATE_LENGTH = len("2026-01-31T23:59")


@app.command(epilog=options.examples("pesto-stream list", "pesto-stream list my-workspace --json"))
def list_images(
    place: Annotated[
        Path | None,
        typer.Argument(
            metavar="[PROJECT|WORKSPACE]", help="Show only this project, or those in this folder.", exists=True, file_okay=False
        ),
    ] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False,
) -> None:
    """List the images that `build` made, with versions and profiles; with a folder, its projects too."""
    found = catalogue(place)
    if as_json:
        typer.echo(json.dumps(found.document(), indent=2))
        return
    if found.engine:
        typer.echo(f"Note: no images are known: {found.engine}", err=True)
    for table in _tables(found, with_projects=place is not None):
        Console(soft_wrap=True).print(table)


def _tables(found: Catalogue, *, with_projects: bool) -> Iterable[Table]:
    if with_projects:
        yield _table(("PROJECT", "VERSION", "PROFILES", "IMAGE"), map(_project_row, found.projects))
    if not found.engine:
        yield _table(("IMAGE", "VERSION", "PROFILES", "RUNTIME", "SIZE", "CREATED"), map(_image_row, found.images))


def _table(headings: Iterable[str], rows: Iterable[tuple[str, ...]]) -> Table:
    table = Table(*headings, box=None, pad_edge=False, header_style="")
    for row in rows:
        table.add_row(*row)
    return table


def _project_row(project: KnownProject) -> tuple[str, ...]:
    if project.problem:
        return project.name, "", "", f"cannot be read: {project.problem}"
    return project.name, project.version, ",".join(project.profiles), project.image


def _image_row(image: BuiltImage) -> tuple[str, ...]:
    names = "\n".join(image.names)
    size = f"{image.size // _MEGABYTE} MB"
    return names, image.version, ",".join(image.profiles), image.runtime, size, image.created[:_DATE_LENGTH].replace("T", " ")

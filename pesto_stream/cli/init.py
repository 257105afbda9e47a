"""`pesto-stream init`: a new project."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads the annotation
from typing import TYPE_CHECKING, Annotated

import typer

from pesto_stream.cli import options
from pesto_stream.errors import ConfigurationError
from pesto_stream.packaging.skeleton import TEMPLATES, create_project

if TYPE_CHECKING:
    from collections.abc import Iterable

app = options.command_app()


@app.command(
    epilog=options.examples(
        "pesto-stream init my-project", "pesto-stream init my-project --template onnx --defaults --data name=water"
    )
)
def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="New or empty folder.", show_default=False)],
    *,
    template: Annotated[str, typer.Option(metavar="|".join(TEMPLATES), help="What to start from.")] = TEMPLATES[0],
    defaults: Annotated[bool, typer.Option("--defaults", help="Ask nothing.")] = False,
    data: Annotated[
        list[str], typer.Option(metavar="KEY=VALUE", help="The answer to one question. Repeatable.", show_default=False)
    ] = [],  # noqa: B006 - typer reads the default and hands out a new list
) -> None:
    """Write a new project that runs, tests itself and can be built: a function on numpy images, or one around an ONNX model."""
    create_project(folder, template, dict(_answers(data)), defaults=defaults)
    typer.echo(f"{folder}: next, `pesto-stream test {folder}`")


def _answers(given: Iterable[str]) -> Iterable[tuple[str, str]]:
    for text in given:
        key, separator, value = text.partition("=")
        if not separator:
            raise ConfigurationError(f"--data '{text}' has no '='; expected KEY=VALUE")
        yield key.strip(), value

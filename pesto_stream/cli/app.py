"""The root of the command line: the table of commands, and the options that come before them.

A command lives in a module of its own that has `app`, made by `options.command_app`. The table says its name and the sentence for
the listing, so that `pesto-stream --help` imports none of them.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, ClassVar, NamedTuple

import typer

from pesto_stream import __version__
from pesto_stream.cli.exit_codes import help_text
from pesto_stream.cli.lazy import LazyGroup
from pesto_stream.cli.options import command_app, examples
from pesto_stream.cli.profiles import spread

if TYPE_CHECKING:
    from collections.abc import Sequence


class Command(NamedTuple):
    module: str
    help: str


COMMANDS = {
    "init": Command("pesto_stream.cli.init", "Write a new project."),
    "build": Command("pesto_stream.cli.build", "Build a Docker image of a project."),
    "list": Command("pesto_stream.cli.list", "List what has been built."),
    "test": Command("pesto_stream.cli.test", "Run a project's own tests and compare what comes out."),
    "run": Command("pesto_stream.cli.run", "Run a PESTO project as a member of a consumer group."),
    "config": Command("pesto_stream.cli.config", "Print every effective setting and where it came from."),
    "describe": Command("pesto_stream.cli.describe", "Print the describe document of a project."),
    "schemagen": Command("pesto_stream.cli.schemagen", "Write the schema files from the project's dataclasses."),
    "schema": Command("pesto_stream.cli.schema", "Print what travels: Avro, JSON, AsyncAPI, OpenAPI."),
    "match": Command("pesto_stream.cli.match", "Say which services take an image."),
    "send": Command("pesto_stream.cli.send", "Send one request to a topic."),
    "receive": Command("pesto_stream.cli.receive", "Read results from a topic into a folder."),
    "scene": Command("pesto_stream.cli.scene", "Split a scene, collect a mosaic, make a scene."),
    "demo": Command("pesto_stream.cli.demo", "Show it all, with no broker to install."),
    "broker": Command("pesto_stream.cli.broker", "Start the embedded broker, for trying things out."),
}


class _Commands(LazyGroup):
    modules: ClassVar = {name: command.module for name, command in COMMANDS.items()}


app = command_app(
    cls=_Commands,
    add_completion=True,
    epilog="\n\n".join(
        (examples("pesto-stream config my-project -p gpu", "pesto-stream run my-project -p gpu --http-port 8080"), help_text())
    ),
)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it with the flag
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback(no_args_is_help=True)
def _root(
    *,
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
    debug: Annotated[bool, typer.Option(help="Show the traceback of an error.", envvar="PESTO_STREAM_DEBUG")] = False,
) -> None:
    """PESTO algorithms as members of a Kafka consumer group: tiles in, results out, nothing lost."""


@app.command(epilog=examples("pesto-stream version"))
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def _stand_in() -> None:
    """Never called: `LazyGroup` resolves to the command's own module."""


for _name, _command in COMMANDS.items():
    app.command(_name, help=_command.help, add_help_option=False)(_stand_in)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with one of `exit_codes`."""
    typer.main.get_command(app).main(spread(sys.argv[1:] if arguments is None else arguments), prog_name="pesto-stream")

"""`pesto-stream config`: every effective setting and where it came from."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer
import yaml

from pesto_stream.cli import options
from pesto_stream.config.table import Row, rows, text_of
from pesto_stream.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

app = options.command_app()

_HEADERS = ("key", "value", "source")


@app.command(
    epilog=options.examples(
        "pesto-stream config my-project -p gpu",
        "pesto-stream config my-project --set memory.in_flight_mib=512 --format json",
    )
)
def config(
    project: options.Project,
    profile: options.Profiles = [],  # noqa: B006 - typer reads the default and hands out a new list
    bootstrap_servers: options.BootstrapServers = None,
    group_id: options.GroupId = None,
    input_topic: options.InputTopic = None,
    output_topic: options.OutputTopic = None,
    dead_letter_topic: options.DeadLetterTopic = None,
    delivery: options.Delivery = None,
    http_port: options.HttpPort = None,
    config_file: options.ConfigFile = None,
    assignments: options.Assignments = [],  # noqa: B006
    format: Annotated[str, typer.Option(metavar="table|json|yaml", help="How it is printed.")] = "table",  # noqa: A002
) -> None:
    """Print every effective setting and where it came from; secrets are masked.

    Takes the options of `run`, so that what a run would use can be seen before it runs.
    """
    show = _writer(format)
    loaded = options.load_settings(
        project,
        profile,
        config_file=config_file,
        assignments=assignments,
        bootstrap_servers=bootstrap_servers,
        group_id=group_id,
        input_topic=input_topic,
        output_topic=output_topic,
        dead_letter_topic=dead_letter_topic,
        delivery=delivery,
        http_port=http_port,
    )
    show(list(rows(loaded)))


def _writer(form: str) -> Callable[[Sequence[Row]], None]:
    writers = {"table": _print_table, "json": _print_json, "yaml": _print_yaml}
    if form not in writers:
        raise ConfigurationError(f"cannot print as '{form}'; expected one of {', '.join(writers)}")
    return writers[form]


def _print_json(shown: Sequence[Row]) -> None:
    typer.echo(json.dumps(_document(shown), indent=2))


def _print_yaml(shown: Sequence[Row]) -> None:
    typer.echo(yaml.safe_dump(_document(shown), sort_keys=False), nl=False)


def _document(shown: Sequence[Row]) -> dict[str, dict[str, Any]]:
    return {row.key: {"value": row.value, "source": row.source} for row in shown}


def _print_table(shown: Sequence[Row]) -> None:
    lines = [(row.key, text_of(row.value), row.source) for row in shown]
    if sys.stdout.isatty():
        _print_rich(lines)
    else:
        _print_columns([_HEADERS, *lines])


def _print_columns(lines: Sequence[tuple[str, str, str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _print_rich(lines: Sequence[tuple[str, str, str]]) -> None:
    from rich.console import Console  # noqa: PLC0415 - heavy, and only for a terminal
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(*_HEADERS, highlight=False)
    for key, value, source in lines:
        table.add_row(Text(key), Text(value), Text(source), style="dim" if source == "default" else "")
    Console().print(table)

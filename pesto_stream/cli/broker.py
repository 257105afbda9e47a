"""`pesto-stream broker`: the embedded broker in the foreground, to try things out without a Kafka."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from pesto_stream.broker.kafka_embedded import serve
from pesto_stream.cli import options
from pesto_stream.errors import ConfigurationError

app = options.command_app()

_DEFAULT_PARTITIONS = 4


@app.command(epilog=options.examples("pesto-stream broker --topic tiles:8 --topic clouds --topic tiles.dead-letter:1"))
def broker(
    topic: Annotated[
        list[str], typer.Option(metavar="NAME[:PARTITIONS]", help="A topic to create. Repeatable.", show_default=False)
    ] = [],  # noqa: B006 - typer reads the default and hands out a new list
) -> None:
    """Run librdkafka's mock cluster until Ctrl-C; its address is printed when it is up.

    For trying things out only: everything is in memory and gone at the end, there are no transactions, no access control and no
    static membership, and group members must use `kafka.group_protocol=consumer`.
    """
    serve(dict(_topic(text) for text in topic), sys.stdout)


def _topic(text: str) -> tuple[str, int]:
    name, _, partitions = text.partition(":")
    if not partitions:
        return name, _DEFAULT_PARTITIONS
    if not partitions.isdecimal():
        raise ConfigurationError(f"--topic '{text}': '{partitions}' is no number of partitions; expected NAME or NAME:PARTITIONS")
    return name, int(partitions)

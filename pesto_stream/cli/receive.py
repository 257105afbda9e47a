"""`pesto-stream receive`: results of a topic, written into a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import typer

from pesto_stream.broker.base import Position
from pesto_stream.cli import options
from pesto_stream.cli.exit_codes import ExitCode
from pesto_stream.cli.files import ResultFolder
from pesto_stream.clock import SystemClock
from pesto_stream.errors import RecordError
from pesto_stream.wiring.parts import limits_of
from pesto_stream.wiring.tools import require_topics, tool_consumer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pesto_stream.broker.base import Consumer
    from pesto_stream.clock import Clock
    from pesto_stream.model.record import ConsumerRecord, TopicPartition

app = options.command_app()

_CLIENT: Final = "pesto-stream-receive"
_POLL_SECONDS: Final = 0.5

Folder = Annotated[
    Path, typer.Option(metavar="DIR", file_okay=False, help="Folder that they are written into.", show_default=False)
]


@app.command(
    epilog=options.examples(
        "pesto-stream receive --topic results --out results --count 1",
        "pesto-stream receive --topic results --out results --group-id archive --timeout 60",
    )
)
def receive(
    topic: Annotated[str, typer.Option(metavar="TOPIC", help="Topic that the results are on.", show_default=False)],
    out: Annotated[
        Path, typer.Option(metavar="DIR", file_okay=False, help="Folder that they are written into.", show_default=False)
    ],
    count: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="End after so many results; default: no end.", show_default=False)
    ] = None,
    timeout: Annotated[float, typer.Option(metavar="SECONDS", min=0, help="Longest wait for the next result.")] = 30.0,
    group_id: Annotated[
        str | None,
        typer.Option(
            metavar="G",
            help="Consumer group whose place is kept, so that the next call goes on where this one ends; "
            "default: read from the beginning, keep nothing.",
            show_default=False,
        ),
    ] = None,
    bootstrap_servers: options.BootstrapServers = None,
    config_file: options.ConfigFile = None,
    assignments: options.Assignments = [],  # noqa: B006 - typer reads the default and hands out a new list
) -> None:
    """Write results into a folder for each, named after its event id: images with their ending, result.json, headers.json.

    Ends after --count results or --timeout seconds without one. Exits with 5 when --count was not reached.
    """
    settings = options.load_settings(
        None, config_file=config_file, assignments=assignments, bootstrap_servers=bootstrap_servers
    ).settings
    require_topics(settings, _CLIENT, [topic])
    consumer = tool_consumer(settings, _CLIENT, group_id)
    receiver = Receiver(consumer, ResultFolder(out, limits_of(settings)), commits=group_id is not None)
    try:
        received = receiver.run(topic, count, timeout, SystemClock())
    finally:
        consumer.close()
    typer.echo(f"{received.written} results in '{out}', {received.refused} records that are none", err=True)
    if count is not None and received.written < count:
        raise typer.Exit(ExitCode.NO)


class Received(NamedTuple):
    written: int
    refused: int


class Receiver:
    """Reads and writes results one by one; with `commits`, each is committed after its files are there."""

    def __init__(self, consumer: Consumer, folder: ResultFolder, *, commits: bool) -> None:
        self._consumer = consumer
        self._folder = folder
        self._commits = commits

    def run(self, topic: str, count: int | None, timeout_seconds: float, clock: Clock) -> Received:
        """Until `count` results are written, or none came for `timeout_seconds`. A record that is no result is told and passed over.

        Raises ConfigurationError (a file that cannot be written), BrokerUnavailable, AuthorizationFailed.
        """
        self._consumer.subscribe([topic], _Bystander())
        written = refused = 0
        heard = clock.now()
        while count is None or written < count:
            records = self._consumer.poll(_POLL_SECONDS)
            for record in records:
                done = self._take(record)
                written, refused = written + done, refused + (not done)
                heard = clock.now()
            if not records and clock.now() - heard > timeout_seconds:
                break
        return Received(written, refused)

    def _take(self, record: ConsumerRecord) -> bool:
        try:
            typer.echo(f"{record.position}  {self._folder.write(record)}")
            done = True
        except RecordError as failure:
            typer.echo(f"{record.position}  no result: {failure}", err=True)
            done = False
        if self._commits:
            self._consumer.commit({record.topic_partition: Position(record.offset + 1)}, wait=True)
        return done


class _Bystander:
    """Each record is settled before the next poll, so assignments may come and go."""

    def on_assigned(self, partitions: Mapping[TopicPartition, Position | None]) -> None: ...

    def on_revoked(self, partitions: Sequence[TopicPartition]) -> None: ...

    def on_lost(self, partitions: Sequence[TopicPartition]) -> None: ...

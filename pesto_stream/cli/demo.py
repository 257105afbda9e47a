"""`pesto-stream demo`: the main job on an embedded broker, from a scene to a mosaic."""

from __future__ import annotations

from contextlib import ExitStack
from importlib.resources import as_file, files
from pathlib import Path
from statistics import quantiles
from typing import TYPE_CHECKING, Annotated, Any
from uuid import uuid4

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from pesto_stream.broker.kafka_consumer import KafkaConsumer
from pesto_stream.broker.kafka_embedded import EMBEDDED_CLIENT_PROPERTIES, EmbeddedBroker
from pesto_stream.broker.kafka_producer import KafkaProducer
from pesto_stream.cli import options
from pesto_stream.cli.exit_codes import ExitCode
from pesto_stream.clock import SystemClock
from pesto_stream.demo.show import DEAD_LETTER_TOPIC, INPUT_TOPIC, OUTPUT_TOPIC, TOPICS, Outcome, Show, Watcher, play
from pesto_stream.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pesto_stream.scene.collect import CollectProgress
    from pesto_stream.scene.split import SplitProgress

app = options.command_app()

_SHORT_WAY = ("log.format=json", "kafka.group_protocol=consumer", "commit.interval_seconds=0.5")


@app.command(
    epilog=options.examples("pesto-stream demo", "pesto-stream demo --workers 2 --kill", "pesto-stream demo --scene scene.tif")
)
def demo(
    scene: Annotated[
        Path | None, typer.Option(help="A real scene (GeoTIFF, JPEG 2000) in place of the one that is made.")
    ] = None,
    *,
    workers: Annotated[int, typer.Option(min=1, help="Runtime processes of one consumer group.")] = 3,
    kill: Annotated[bool, typer.Option("--kill", help="Kill one worker on the way (SIGKILL).")] = False,
    out: Annotated[Path, typer.Option(help="Folder for what comes out.")] = Path("demo-out"),
    size: Annotated[int, typer.Option(min=256, help="Width and height of the scene that is made, in pixels.")] = 2048,
    tile: Annotated[int, typer.Option(min=32, help="Core of a tile, in pixels.")] = 256,
    overlap: Annotated[int, typer.Option(min=0, help="Pixels more on each side of a tile.")] = 32,
    project: Annotated[
        Path | None, typer.Option(help="A PESTO project in place of the cloud detector; one image in, one mask out.")
    ] = None,
    bootstrap_servers: Annotated[
        str | None, typer.Option(help=f"A real broker, with the topics {', '.join(TOPICS)}, in place of the embedded one.")
    ] = None,
) -> None:
    """Split a scene into tiles, detect clouds on them with a fleet of workers, and join the results; no broker to install."""
    console = Console(stderr=True)
    out.mkdir(parents=True, exist_ok=True)
    if scene is not None and not scene.is_file():
        raise ConfigurationError(f"cannot read the scene '{scene}': there is no such file")
    with ExitStack() as stack:
        home = project or stack.enter_context(_example())
        address, client = _broker(bootstrap_servers, stack, console)
        arguments = _run_arguments(address, client)
        show = Show(home, out, scene, size, tile=tile, overlap=overlap, workers=workers, kill=kill, run_arguments=arguments)
        outcome = _play(show, {"bootstrap.servers": address, **client}, console)
    Console().print(_summary(outcome, show))
    _name_files(outcome)
    if not outcome.report.complete:
        raise typer.Exit(ExitCode.NO)


def _example() -> Any:
    """The cloud detector: inside the wheel, or in `examples/` of the source tree."""
    packed = files("pesto_stream") / "_data" / "examples" / "cloud-detector"
    return as_file(packed if packed.is_dir() else Path(__file__).parents[2] / "examples" / "cloud-detector")


def _broker(bootstrap_servers: str | None, stack: ExitStack, console: Console) -> tuple[str, dict[str, Any]]:
    if bootstrap_servers is not None:
        return bootstrap_servers, {}
    broker = stack.enter_context(EmbeddedBroker(TOPICS))
    console.print(f"embedded broker (librdkafka's mock cluster) at {broker.bootstrap_servers}")
    if not broker.retention_patched:
        console.print("it keeps 5 MiB per partition only: a large scene may lose tiles, which then count as missing")
    return broker.bootstrap_servers, dict(EMBEDDED_CLIENT_PROPERTIES)


def _run_arguments(address: str, client: dict[str, Any]) -> tuple[str, ...]:
    topics = ("--input-topic", INPUT_TOPIC, "--output-topic", OUTPUT_TOPIC, "--dead-letter-topic", DEAD_LETTER_TOPIC)
    passed_on = [f"kafka.properties.{name}={value}" for name, value in client.items() if name.startswith("fetch.wait")]
    settings = [part for setting in (*_SHORT_WAY, *passed_on) for part in ("--set", setting)]
    return ("--bootstrap-servers", address, "--group-id", f"demo-{uuid4().hex[:8]}", *topics, *settings)


def _play(show: Show, client: dict[str, Any], console: Console) -> Outcome:
    producer = KafkaProducer({"bootstrap.servers": client["bootstrap.servers"], "partitioner": "murmur2_random"})
    group = {"group.id": f"demo-collect-{uuid4().hex[:8]}", "auto.offset.reset": "earliest", "enable.auto.commit": False}
    consumer = KafkaConsumer({"group.protocol": "consumer", **client, **group})
    try:
        with _progress(console) as progress:
            return play(show, producer, consumer, SystemClock(), _watcher(progress, console))
    finally:
        consumer.close()
        producer.close()


def _progress(console: Console) -> Progress:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, disable=not console.is_terminal)


def _watcher(progress: Progress, console: Console) -> Watcher:
    sent = progress.add_task("tiles sent", total=None)
    taken = progress.add_task("results", total=None)

    def split(now: SplitProgress) -> None:
        progress.update(sent, total=now.tiles, completed=now.delivered)

    def collect(now: CollectProgress) -> None:
        progress.update(taken, total=now.tiles, completed=now.taken + now.dead_letters)

    return Watcher(lambda text: console.print(f"· {text}"), split, collect)


def _summary(outcome: Outcome, show: Show) -> Table:
    table = Table(title="PESTO Stream demo", show_header=False)
    for name, value in _rows(outcome, show):
        table.add_row(name, value)
    return table


def _rows(outcome: Outcome, show: Show) -> Iterator[tuple[str, str]]:
    report = outcome.report
    yield "scene", f"{outcome.files.scene.name}, {report.size[0]} x {report.size[1]} pixels"
    yield "tiles", f"{report.taken} of {report.tiles} ({show.tile} x {show.tile}, {show.overlap} more on each side)"
    yield "dead letters, repeated results", f"{len(report.dead_letters)}, {report.duplicates}"
    for worker in outcome.workers:
        fate = " (killed; last figure heard)" if worker.killed else ""
        yield f"worker {worker.number}", f"{worker.delivered} results{fate}"
    yield "rate", f"{report.taken / outcome.seconds:.0f} tiles/s in {outcome.seconds:.1f} s"
    if len(outcome.latencies_seconds) > 1:
        cuts = quantiles(outcome.latencies_seconds, n=20)
        yield "tile sent to result, all sent at once", f"p50 {cuts[9]:.2f} s, p95 {cuts[18]:.2f} s"
    yield "cloud coverage", f"{outcome.score.coverage:.1%}"
    if outcome.score.truth is not None and outcome.score.agreement is not None:
        yield "truth", f"{outcome.score.truth:.1%} ({outcome.score.agreement:.1%} of the pixels agree)"


def _name_files(outcome: Outcome) -> None:
    for what, path in outcome.files._asdict().items():
        if path is not None:
            typer.echo(f"{what:10} {path}")

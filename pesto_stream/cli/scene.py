"""`pesto-stream scene split | collect | make`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pesto_stream.cli import options
from pesto_stream.cli.exit_codes import ExitCode
from pesto_stream.cli.progress import bar, print_summary
from pesto_stream.errors import ConfigurationError
from pesto_stream.scene.collect import CollectOptions, collect_scene
from pesto_stream.scene.make import make_scene
from pesto_stream.scene.picture import write_quicklook
from pesto_stream.scene.split import Payload, SplitOptions, split_scene
from pesto_stream.serde.cloudevents import RESERVED_PARAMETERS
from pesto_stream.wiring.parts import limits_of
from pesto_stream.wiring.tools import require_topics, tool_consumer, tool_producer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pesto_stream.scene.collect import CollectReport

app = options.command_app(no_args_is_help=True)

_CLIENT = "pesto-stream-scene"
_PARAMETER_NAME = re.compile(r"[A-Za-z0-9_.-]+")
_REASONS_SHOWN = 5

SceneId = Annotated[
    str, typer.Option("--scene", metavar="ID", help="The scene's id, as given when it was split.", show_default=False)
]
SceneFile = Annotated[
    Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="GeoTIFF, JPEG 2000, PNG or JPEG.", show_default=False)
]


@app.callback()
def scene() -> None:
    """Split a scene into tiles, collect results into a mosaic, make a test scene."""


@app.command(
    epilog=options.examples(
        "pesto-stream scene split scene.tif --topic tiles --tile 256 --overlap 32",
        "pesto-stream scene split scene.tif --topic tiles --scene S2A-31TCJ --payload npy --parameter threshold=0.3",
    )
)
def split(
    file: SceneFile,
    topic: Annotated[str, typer.Option(metavar="TOPIC", help="Topic that the tiles are sent to.", show_default=False)],
    tile: Annotated[int, typer.Option(metavar="N", min=1, help="Side of a tile's core in pixels.")] = 256,
    overlap: Annotated[
        int, typer.Option(metavar="M", min=0, help="Pixels more on each side, that `collect` cuts off again.")
    ] = 32,
    scene_id: Annotated[
        str | None, typer.Option("--scene", metavar="ID", help="The scene's id; default: the file's name.", show_default=False)
    ] = None,
    payload: Annotated[Payload, typer.Option(help="Format of the tiles.")] = Payload.TIFF,
    parameter: Annotated[
        list[str],
        typer.Option(
            metavar="NAME=VALUE",
            help="Another input of the algorithm, the same for each tile: plain text where it is a text, else JSON. Repeatable.",
            show_default=False,
        ),
    ] = [],  # noqa: B006 - typer reads the default and hands out a new list
    bootstrap_servers: options.BootstrapServers = None,
    config_file: options.ConfigFile = None,
    assignments: options.Assignments = [],  # noqa: B006
) -> None:
    """Cut a scene into tiles and send each as a record. Ends when the broker has confirmed all of them."""
    wanted = SplitOptions(topic, tile, overlap, scene_id, payload, parameters(parameter))
    settings = options.load_settings(
        None, config_file=config_file, assignments=assignments, bootstrap_servers=bootstrap_servers
    ).settings
    producer = tool_producer(settings, _CLIENT)
    try:
        with bar("tiles sent") as show:
            report = split_scene(file, producer, wanted, on_progress=lambda at: show(at.delivered, at.tiles))
    finally:
        producer.close()
    width, height = report.size
    print_summary(
        {
            "scene": report.scene_id,
            "size": f"{width} x {height} pixels",
            "tiles": f"{report.tiles} sent to topic '{topic}'",
            "bytes": report.image_bytes,
        }
    )


def parameters(given: Sequence[str]) -> dict[str, str]:
    """`name=value` arguments by name. Raises ConfigurationError for what is none, or a name that is taken."""
    found = {}
    for text in given:
        name, separator, value = text.partition("=")
        if not separator or _PARAMETER_NAME.fullmatch(name) is None:
            raise ConfigurationError(f"cannot send the parameter '{text}': expected name=value")
        if name in RESERVED_PARAMETERS:
            raise ConfigurationError(f"cannot send the parameter '{name}': its header 'pesto_{name}' has a meaning of its own")
        found[name] = value
    return found


@app.command(
    epilog=options.examples(
        "pesto-stream scene collect --topic results --scene scene --out mask.tif",
        "pesto-stream scene collect --topic results --scene scene --out mask.tif "
        "--dead-letter-topic tiles.dead-letter --quicklook mask.png --beside scene.tif",
    )
)
def collect(
    topic: Annotated[str, typer.Option(metavar="TOPIC", help="Topic that the results are on.", show_default=False)],
    scene_id: SceneId,
    out: Annotated[Path, typer.Option(metavar="FILE", dir_okay=False, help="GeoTIFF to write.", show_default=False)],
    dead_letter_topic: Annotated[
        str | None,
        typer.Option(metavar="TOPIC", help="Topic whose dead letters are known as such and not waited for.", show_default=False),
    ] = None,
    timeout: Annotated[float, typer.Option(metavar="SECONDS", min=0, help="Longest wait for the next tile.")] = 300.0,
    output: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The image among the outputs of JSON results; default: the only one.", show_default=False
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE",
            help="Take results of this CloudEvents source alone, such as `/pesto/clouds/1.0.0`; default: any.",
            show_default=False,
        ),
    ] = None,
    quicklook: Annotated[
        Path | None, typer.Option(metavar="PNG", dir_okay=False, help="A small picture of the mosaic.", show_default=False)
    ] = None,
    beside: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", exists=True, dir_okay=False, help="The scene, to show left in the quicklook.", show_default=False
        ),
    ] = None,
    bootstrap_servers: options.BootstrapServers = None,
    config_file: options.ConfigFile = None,
    assignments: options.Assignments = [],  # noqa: B006
) -> None:
    """Join the results of a scene's tiles into one GeoTIFF. Image results and JSON results are read; Avro results are not yet.

    Exits with 5 when tiles are missing, dead letters or refused; their place in the mosaic holds nodata.
    """
    settings = options.load_settings(
        None, config_file=config_file, assignments=assignments, bootstrap_servers=bootstrap_servers
    ).settings
    require_topics(settings, _CLIENT, [topic] if dead_letter_topic is None else [topic, dead_letter_topic])
    wanted = CollectOptions(topic, scene_id, out, dead_letter_topic, timeout, output, source, limits_of(settings))
    consumer = tool_consumer(settings, _CLIENT)
    try:
        with bar("tiles collected") as show:
            report = collect_scene(consumer, wanted, on_progress=lambda at: show(at.taken + at.dead_letters, at.tiles))
    finally:
        consumer.close()
    print_summary(_summary(report, out))
    if quicklook is not None and report.taken:
        write_quicklook(quicklook, out, beside)
        typer.echo(f"quicklook written to '{quicklook}'")
    if not report.complete:
        raise typer.Exit(ExitCode.NO)


def _summary(report: CollectReport, out: Path) -> dict[str, object]:
    if report.tiles is None:
        refused = {f"refused {count} x": reason for reason, count in report.refused.items()}
        return {"scene": report.scene_id, "tiles": "none was seen; is the scene's id right, and has the runtime run?", **refused}
    width, height = report.size
    rows: dict[str, object] = {
        "scene": report.scene_id,
        "tiles": f"{report.taken} of {report.tiles}",
        "missing": report.missing,
        "dead letters": len(report.dead_letters),
        "duplicates": report.duplicates,
        "conflicts": report.conflicts,
        "refused": sum(report.refused.values()),
        "mosaic": f"{width} x {height} pixels in '{out}'" if report.taken else "none",
        "without data": f"{report.uncovered_pixels} pixels",
    }
    rows |= {f"tile {index}": reason for index, reason in list(report.dead_letters.items())[:_REASONS_SHOWN]}
    return rows | {f"refused {count} x": reason for reason, count in list(report.refused.items())[:_REASONS_SHOWN]}


@app.command(epilog=options.examples("pesto-stream scene make --out scene.tif --size 2048 --seed 7 --truth clouds.tif"))
def make(
    out: Annotated[Path, typer.Option(metavar="FILE", dir_okay=False, help="GeoTIFF to write.", show_default=False)],
    size: Annotated[int, typer.Option(metavar="PIXELS", help="Width and height.")] = 2048,
    seed: Annotated[int, typer.Option(metavar="N", help="The same seed makes the same scene.")] = 7,
    truth: Annotated[
        Path | None, typer.Option(metavar="FILE", dir_okay=False, help="GeoTIFF for the true cloud mask.", show_default=False)
    ] = None,
) -> None:
    """Make a multispectral scene (blue, green, red, near infrared) with clouds whose true mask is known."""
    made = make_scene(out, size=size, seed=seed, truth=truth)
    rows: dict[str, object] = {"scene": f"{size} x {size} pixels in '{out}'", "cloud coverage": f"{made.coverage:.2%}"}
    print_summary(rows if truth is None else rows | {"truth": f"'{truth}'"})

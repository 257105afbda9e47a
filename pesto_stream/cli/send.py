"""`pesto-stream send`: one request by hand, with the right headers."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from pesto_stream.algorithms.project import load_project
from pesto_stream.cli import options
from pesto_stream.cli.request import Address, RequestBuilder
from pesto_stream.clock import SystemClock
from pesto_stream.scene.deliver import Delivery
from pesto_stream.wiring.parts import limits_of, schema_registry
from pesto_stream.wiring.tools import tool_producer

if TYPE_CHECKING:
    from pesto_stream.broker.base import Producer
    from pesto_stream.clock import Clock
    from pesto_stream.model.record import ProducerRecord

app = options.command_app()

_CLIENT = "pesto-stream-send"


@app.command(
    epilog=options.examples(
        "pesto-stream send my-project --topic tiles image=@tile.tif threshold=0.3",
        "pesto-stream send my-project --topic tiles --content-type image --scene S2A-31TCJ image=@tile.tif",
        "pesto-stream send my-project --topic tiles --content-type avro @inputs.json image=s3://bucket/tile.tif",
    )
)
def send(
    project: options.Project,
    topic: Annotated[str, typer.Option(metavar="TOPIC", help="Topic that the request is sent to.", show_default=False)],
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT",
            help="NAME=VALUE (a text as it is, a number or object as JSON, an image as URL), NAME=@FILE, or @FILE (a JSON object of "
            "inputs). A list of images: its name several times.",
            show_default=False,
        ),
    ] = [],  # noqa: B006 - typer reads the default and hands out a new list
    content_type: Annotated[
        Literal["json", "avro", "image"],
        typer.Option(help="Kind of the payload; `image`: the file itself, other inputs in headers."),
    ] = "json",
    key: Annotated[
        str | None, typer.Option(metavar="K", help="The record's key; default: the event's id.", show_default=False)
    ] = None,
    event_id: Annotated[
        str | None, typer.Option("--id", metavar="ID", help="The event's id; default: a new one.", show_default=False)
    ] = None,
    scene_id: Annotated[
        str | None, typer.Option("--scene", metavar="ID", help="Scene that the tile belongs to.", show_default=False)
    ] = None,
    correlation_id: Annotated[
        str | None,
        typer.Option(
            "--correlation-id", metavar="ID", help="Passed on to the result; default: the event's id.", show_default=False
        ),
    ] = None,
    profile: options.Profiles = [],  # noqa: B006
    bootstrap_servers: options.BootstrapServers = None,
    config_file: options.ConfigFile = None,
    assignments: options.Assignments = [],  # noqa: B006
) -> None:
    """Send one request to a topic. It is checked against the project's input schema first, as the runtime will."""
    settings = options.load_settings(
        project, profile, config_file=config_file, assignments=assignments, bootstrap_servers=bootstrap_servers
    ).settings
    spec = load_project(project, options.names(profile)).spec
    clock = SystemClock()
    builder = RequestBuilder(spec, limits_of(settings), schema_registry(settings))
    address = Address(topic, event_id or str(uuid.uuid4()), clock.utc(), key, scene_id, correlation_id)
    record = builder.record(builder.values(inputs), content_type, address)
    producer = tool_producer(settings, _CLIENT)
    try:
        deliver(producer, record, clock)
    finally:
        producer.close()
    typer.echo(f"{address.event_id}  {len(record.value or b'')} bytes sent to topic '{topic}'")


def deliver(producer: Producer, record: ProducerRecord, clock: Clock) -> None:
    """Send one record and wait for its confirmation. Raises what `Delivery` raises."""
    delivery = Delivery(producer, record.topic, clock)
    delivery.check_topic()
    delivery.send(record)
    delivery.finish()

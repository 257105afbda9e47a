"""`pesto-stream run`: one member of the consumer group around one project."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pesto_stream.algorithms.project import load_project
from pesto_stream.cli import options
from pesto_stream.cli.exit_codes import ExitCode, exit_code
from pesto_stream.config.files import shipped_profiles
from pesto_stream.errors import ConfigurationError, PestoStreamError
from pesto_stream.log import configure

if TYPE_CHECKING:
    from types import FrameType

    from pesto_stream.config.model import Settings
    from pesto_stream.wiring.member import Runtime

app = options.command_app()

Once = Annotated[
    Path | None,
    typer.Option(
        metavar="PAYLOAD",
        exists=True,
        help="Run one payload with no broker, and end: a JSON file as POST /process takes it, or a folder like a test's `input`.",
        show_default=False,
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(metavar="DIR", file_okay=False, help="Folder for the outputs of --once; default: once-out.", show_default=False),
]
InImage = Annotated[bool, typer.Option("--docker", help="Run --once in the image that `build` made.")]


@app.command(
    epilog=options.examples(
        "pesto-stream run my-project --input-topic tiles --output-topic clouds",
        "pesto-stream run my-project -p gpu --bootstrap-servers kafka:9092 --config runtime.yaml --set algorithm.concurrency=4",
        "pesto-stream run my-project --once payload.json --out outputs",
    )
)
def run(
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
    *,
    once: Once = None,
    out: Out = None,
    docker: InImage = False,
) -> None:
    """Join the group, load the algorithm, and work until SIGTERM or Ctrl-C, which drains; a second one aborts."""
    if once is None and (out is not None or docker):
        raise ConfigurationError(f"{'--docker' if docker else '--out'} goes with --once PAYLOAD")
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
    settings = loaded.settings
    if once is not None:
        configure("warning", settings.log.format)
        _run_once(project, options.names(profile), settings, once, out, _passed_on(config_file, assignments) if docker else None)
        return
    configure(settings.log.level, settings.log.format)
    from pesto_stream.wiring.member import Runtime  # noqa: PLC0415 - all that a runtime needs, when the settings are known to be right

    runtime = Runtime(settings, load_project(project, options.names(profile), shipped_profiles()))
    _stop_on_signals(runtime)
    try:
        runtime.run()
    except PestoStreamError as failure:
        if runtime.hung:
            _leave(exit_code(failure))
        raise
    if runtime.hung:
        _leave(ExitCode.OK)


def _run_once(
    project: Path,
    profiles: tuple[str, ...],
    settings: Settings,
    payload: Path,
    out: Path | None,
    image_arguments: list[str] | None,
) -> None:
    """`image_arguments`: further ones for the runtime in the image, None for no image."""
    from pesto_stream.cli import once  # noqa: PLC0415 - docker and test resources, which a member does not need

    target = out or once.DEFAULT_OUT
    if image_arguments is None:
        once.run_once(project, profiles, settings, payload, target)
        return
    code = once.run_once_in_image(project, profiles, settings, payload, target, image_arguments)
    if code:
        raise typer.Exit(code)


def _passed_on(config_file: Path | None, assignments: list[str]) -> list[str]:
    if config_file is not None:
        raise ConfigurationError("--config is not passed on to an image; give --set with --docker")
    return [word for assignment in assignments for word in ("--set", assignment)]


def _stop_on_signals(runtime: Runtime) -> None:
    def stop(_number: int, _frame: FrameType | None) -> None:
        runtime.request_stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)


def _leave(code: ExitCode) -> None:
    """A thread that never returns could crash the interpreter on its way out: leave without one."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)

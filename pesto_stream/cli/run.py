"""`pesto-stream run`: one member of the consumer group around one project."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

from pesto_stream.algorithms.project import load_project
from pesto_stream.cli import options
from pesto_stream.cli.exit_codes import ExitCode
from pesto_stream.config.files import shipped_profiles
from pesto_stream.log import configure

if TYPE_CHECKING:
    from types import FrameType

    from pesto_stream.wiring.member import Runtime

app = options.command_app()


@app.command(
    epilog=options.examples(
        "pesto-stream run my-project --input-topic tiles --output-topic clouds",
        "pesto-stream run my-project -p gpu --bootstrap-servers kafka:9092 --config runtime.yaml --set algorithm.concurrency=4",
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
) -> None:
    """Join the group, load the algorithm, and work until SIGTERM or Ctrl-C, which drains; a second one aborts."""
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
    configure(settings.log.level, settings.log.format)
    from pesto_stream.wiring.member import Runtime  # noqa: PLC0415 - all that a runtime needs, when the settings are known to be right

    runtime = Runtime(settings, load_project(project, options.names(profile), shipped_profiles()))
    _stop_on_signals(runtime)
    try:
        runtime.run()
    finally:
        if runtime.hung:
            _leave(runtime)


def _stop_on_signals(runtime: Runtime) -> None:
    def stop(_number: int, _frame: FrameType | None) -> None:
        runtime.request_stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)


def _leave(runtime: Runtime) -> None:
    """A thread that never returns could crash the interpreter on its way out: leave without one."""
    sys.stdout.flush()
    sys.stderr.flush()
    failed = runtime.board.snapshot().failure is not None
    os._exit(ExitCode.FATAL if failed else ExitCode.OK)

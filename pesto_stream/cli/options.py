"""What commands share: how they are built, the options that most of them take, and the way from options to settings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pesto_stream.config.layers import assignment_entries, text_entries
from pesto_stream.config.load import load

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pesto_stream.config.layers import Entry
    from pesto_stream.config.load import Loaded

Project = Annotated[
    Path, typer.Argument(metavar="PROJECT", help="Folder of a PESTO project.", exists=True, file_okay=False, show_default=False)
]
Profiles = Annotated[
    list[str],
    typer.Option(
        "-p",
        "--profile",
        metavar="NAME",
        help="PESTO profile, shipped or the project's own; several as `-p gpu stateful`, `-p gpu,stateful` or `-p gpu -p stateful`, "
        "merged in that order.",
        show_default=False,
    ),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Settings in YAML or JSON, over the project's own.", show_default=False),
]
Assignments = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="One setting by its dotted key, such as `memory.in_flight_mib=512`; lists and objects in YAML or JSON. Repeatable.",
        show_default=False,
    ),
]
BootstrapServers = Annotated[
    str | None, typer.Option(metavar="HOST:PORT,...", help="Kafka brokers to start from.", show_default=False)
]
GroupId = Annotated[
    str | None, typer.Option(metavar="ID", help="Consumer group; default: the project's name.", show_default=False)
]
InputTopic = Annotated[str | None, typer.Option(metavar="TOPIC", help="Topic that tiles are read from.", show_default=False)]
OutputTopic = Annotated[str | None, typer.Option(metavar="TOPIC", help="Topic that results are written to.", show_default=False)]
DeadLetterTopic = Annotated[
    str | None,
    typer.Option(
        metavar="TOPIC",
        help="Topic for records that cannot be processed; default: the input's and `.dead-letter`.",
        show_default=False,
    ),
]
Delivery = Annotated[
    str | None, typer.Option(metavar="at-least-once|exactly-once|queue", help="Delivery mode.", show_default=False)
]
HttpPort = Annotated[
    int | None, typer.Option(metavar="PORT", help="Port of the HTTP sidecar; 0: any free one.", show_default=False)
]

_KEYS = {
    "bootstrap_servers": "kafka.bootstrap_servers",
    "group_id": "kafka.group_id",
    "input_topic": "topics.input",
    "output_topic": "topics.output",
    "dead_letter_topic": "topics.dead_letter",
    "delivery": "delivery",
    "http_port": "http.port",
}
"""The options above that stand for one setting each."""


def command_app(**options: Any) -> typer.Typer:
    """A `typer.Typer` with our manners: plain help whose examples can be copied, errors left to `lazy.LazyGroup`."""
    manners: dict[str, Any] = {
        "add_completion": False,
        "rich_markup_mode": None,
        "pretty_exceptions_enable": False,
        "context_settings": {"help_option_names": ["-h", "--help"]},
    }
    return typer.Typer(**{**manners, **options})


def examples(*lines: str) -> str:
    """The epilog of a command: lines to copy, with typer's mark for lines that are kept as they are."""
    return "\n".join(("\b", "Examples:" if len(lines) > 1 else "Example:", *(f"  {line}" for line in lines)))


def load_settings(
    project: Path | None,
    profiles: Sequence[str] = (),
    *,
    config_file: Path | None = None,
    assignments: Sequence[str] = (),
    **dedicated: str | int | None,
) -> Loaded:
    """All layers, with the options of a command as the highest. `dedicated` are those of `_KEYS`, None where not given.

    Raises ConfigurationError.
    """
    return load(project, names(profiles), config_file=config_file, flags=flag_entries(assignments, dedicated))


def names(profiles: Sequence[str]) -> tuple[str, ...]:
    """The profiles of `-p a -p b,c`, in order."""
    return tuple(name.strip() for given in profiles for name in given.split(",") if name.strip())


def flag_entries(assignments: Sequence[str], dedicated: dict[str, str | int | None]) -> Iterator[Entry]:
    """The layer of the flags; an option of its own is over `--set`."""
    yield from assignment_entries(assignments)
    for name, value in dedicated.items():
        if value is not None:
            yield from text_entries(_KEYS[name], str(value), f"flag --{name.replace('_', '-')}")

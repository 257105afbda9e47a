"""What the process's exit code says, and which code an error ends with."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from pesto_stream.errors import ConfigurationError, FatalError, NotCompatible, PestoStreamError, RecordError, TransientError

if TYPE_CHECKING:
    from collections.abc import Iterator


class ExitCode(IntEnum):
    """The members' docs' sentences are in `MEANINGS`."""

    OK = 0
    UNEXPECTED = 1
    CONFIGURATION = 2
    FATAL = 3
    TRANSIENT = 4
    NO = 5
    INTERRUPTED = 130


MEANINGS = {
    ExitCode.OK: "done",
    ExitCode.UNEXPECTED: "an error that nobody foresaw: worth a report",
    ExitCode.CONFIGURATION: "settings, project or command line are wrong: correct them, a restart does not help",
    ExitCode.FATAL: "stopped to lose nothing (a dead letter that cannot be written, a lost device, access refused)",
    ExitCode.TRANSIENT: "trouble outside (broker, object store) that lasted too long: a restart may help",
    ExitCode.NO: "the answer is no: a check found problems, or the data given cannot be used",
    ExitCode.INTERRUPTED: "interrupted from the keyboard",
}

_CODES: tuple[tuple[type[PestoStreamError], ExitCode], ...] = (
    (ConfigurationError, ExitCode.CONFIGURATION),
    (FatalError, ExitCode.FATAL),
    (TransientError, ExitCode.TRANSIENT),
    (RecordError, ExitCode.NO),
    (NotCompatible, ExitCode.NO),
)


def exit_code(error: BaseException) -> ExitCode:
    """The code that a process ends with when `error` ends it."""
    if isinstance(error, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    return next((code for kind, code in _CODES if isinstance(error, kind)), ExitCode.UNEXPECTED)


def table() -> Iterator[str]:
    """The docs' table, as Markdown lines."""
    yield "| code | meaning |"
    yield "|---|---|"
    for code, meaning in MEANINGS.items():
        yield f"| {code.value} | {meaning} |"


def help_text() -> str:
    """The same for the main help, with typer's mark for lines that are kept apart."""
    lines = (f"  {code.value:<4} {meaning}" for code, meaning in MEANINGS.items())
    return "\n".join(("\b", "Exit codes:", *lines))

"""A command of ours in this process, for what needs no process of its own; nothing of it stays behind."""

from __future__ import annotations

import contextlib
import io
import logging
from typing import NamedTuple

import pytest

from pesto_stream.algorithms.importing import unload
from pesto_stream.cli.app import main
from pesto_stream.log import QUIET


class Done(NamedTuple):
    code: int
    out: str
    err: str


def command_line(*arguments: object) -> Done:
    """`pesto-stream` with these arguments."""
    out, err = io.StringIO(), io.StringIO()
    with _as_before(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    return Done(int(end.value.code or 0), out.getvalue(), err.getvalue())


@contextlib.contextmanager
def _as_before():
    """Logging, warnings and the imported algorithm."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in QUIET}
    try:
        yield
    finally:
        unload()
        root.handlers[:] = handlers
        root.setLevel(level)
        for name, before in levels.items():
            logging.getLogger(name).setLevel(before)
        logging.captureWarnings(capture=False)

"""Terminals that do what a document says: its files are written, its commands run, its background commands end by Ctrl-C."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from support.documents import Block, Interrupt, parts
from support.waiting import wait_until

_COMMAND_SECONDS = 90
_STOP_SECONDS = 60
_INTERRUPTED = 130
"""What a shell makes of Ctrl-C where a program of a pipe does not take it for itself."""


@dataclass
class Background:
    command: str
    process: subprocess.Popen[bytes]
    log: Path

    def output(self) -> str:
        return self.log.read_text("utf-8", "replace")

    def has_spoken(self) -> bool:
        assert self.process.poll() is None, f"'{self.command}' has ended:\n{self.output()}"
        return "\n" in self.output()

    def interrupt(self) -> int:
        """Ctrl-C in its terminal; the exit code, -9 where it had to be killed."""
        self._signal(signal.SIGINT)
        try:
            return self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            return self.process.wait()

    def _signal(self, number: int) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, number)


class Terminals:
    """All in one folder, each with an environment of its own that lasts from command to command. Leaving the context ends everything."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self._environment = {**os.environ, "PATH": path, **environment}
        self._background: dict[str, Background] = {}
        self.printed: list[tuple[str, str]] = []
        """Expected and real output of the commands that a document shows the output of."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        codes = {each.command: each.interrupt() for each in reversed(self._background.values())}
        self._background.clear()
        assert exc[0] is not None or set(codes.values()) <= {0, _INTERRUPTED}, codes

    def follow(self, document: Path) -> None:
        """Do all that the document says. Fails with the output of a command that fails."""
        printed = ""
        for part in parts(document):
            match part:
                case Interrupt(terminal):
                    assert self._background.pop(terminal).interrupt() == 0
                case Block(words={"file": name}):
                    self._write(name, part.text)
                case Block(words={"output": _}):
                    self.printed.append((part.text, printed))
                case Block(reason=None) if part.is_command:
                    printed = self._start(part) if "background" in part.words else self._run(part)

    def _write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")

    def _run(self, block: Block) -> str:
        done = subprocess.run(
            self._command(block, f"{block.text}\nexport -p >'{self._state(block)}'"),
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_COMMAND_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{block.text}\nended with {done.returncode}:\n{done.stdout}\n{done.stderr}\n{self._logs()}"
        return done.stdout

    def _start(self, block: Block) -> str:
        assert block.terminal not in self._background, f"terminal {block.terminal} is busy"
        log = self.folder / f"terminal-{block.terminal}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                self._command(block, block.text),
                cwd=self.folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        started = self._background[block.terminal] = Background(block.text.strip(), process, log)
        wait_until(started.has_spoken, f"a line of '{started.command}'")
        return started.output()

    def _command(self, block: Block, text: str) -> list[str]:
        state = self._state(block)
        return ["bash", "-euo", "pipefail", "-c", f"test ! -e '{state}' || . '{state}'\n{text}"]

    def _state(self, block: Block) -> Path:
        return self.folder / f".terminal-{block.terminal}"

    def _logs(self) -> str:
        return "\n".join(f"--- {each.command}\n{each.output()[-3000:]}" for each in self._background.values())

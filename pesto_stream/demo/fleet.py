"""Worker processes for the demo: each is the ordinary `pesto-stream run`, looked at through its sidecar like any other."""

from __future__ import annotations

import re
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

import httpx

from pesto_stream.errors import FatalError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pesto_stream.clock import Clock

_START_SECONDS: Final = 120.0
_ASK_SECONDS: Final = 2.0
_STOP_SECONDS: Final = 30.0
_PAUSE_SECONDS: Final = 0.1
_LISTENS: Final = re.compile(rb"sidecar listens on [^ ]*?:(\d+)")


@dataclass(slots=True)
class Worker:
    """One process. `delivered` is what its sidecar said last; a killed worker keeps the last figure that was heard."""

    number: int
    process: subprocess.Popen[bytes]
    log: Path
    port: int | None = None
    delivered: int = 0
    killed: bool = False
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=_ASK_SECONDS, trust_env=False), repr=False)

    def look(self) -> None:
        """Ask the sidecar how many results it has delivered; a worker that does not answer keeps its last figure."""
        status = self._get("/api/v1/status")
        if status is not None:
            self.delivered = status["settled"].get("delivered", 0)

    def ready(self) -> bool:
        """Raises FatalError where the process has ended."""
        if self.process.poll() is not None:
            raise FatalError(f"worker {self.number} ended with exit code {self.process.returncode}; see '{self.log}'")
        return self._get("/healthz/ready") is not None

    def _get(self, path: str) -> dict[str, Any] | None:
        if self.port is None and (found := _LISTENS.search(self.log.read_bytes())):
            self.port = int(found[1])
        if self.port is None:
            return None
        try:
            answer = self.http.get(f"http://127.0.0.1:{self.port}{path}")
        except httpx.HTTPError:
            return None
        return dict(answer.json()) if answer.is_success else None


class Fleet:
    """Workers of one group. Leaving the context drains them and ends their processes."""

    def __init__(self, command: Sequence[str], count: int, folder: Path, clock: Clock) -> None:
        self._command = [sys.executable, "-m", "pesto_stream", "run", *command, "--http-port", "0"]
        self._count = count
        self._folder = folder
        self._clock = clock
        self._files = ExitStack()
        self.workers: list[Worker] = []

    def __enter__(self) -> Self:
        for number in range(1, self._count + 1):
            self.workers.append(self._start(number))
        return self

    def _start(self, number: int) -> Worker:
        log = self._folder / f"worker-{number}.log"
        output = self._files.enter_context(log.open("wb"))
        process = subprocess.Popen(  # noqa: S603 - our own module, by the interpreter that runs us
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C in a terminal is for us, and we end them
        )
        return Worker(number, process, log)

    def wait_ready(self) -> None:
        """Raises FatalError where a worker ends, or is not ready in time."""
        deadline = self._clock.now() + _START_SECONDS
        for worker in self.workers:
            while not worker.ready():
                if self._clock.now() > deadline:
                    raise FatalError(f"worker {worker.number} was not ready within {_START_SECONDS:g} s; see '{worker.log}'")
                self._clock.sleep(_PAUSE_SECONDS)

    def look(self) -> None:
        for worker in self.workers:
            if not worker.killed:
                worker.look()

    def kill_one(self) -> Worker:
        """SIGKILL, as a crash: no drain, no commit, no leaving of the group. The one that has done most, as far as is heard."""
        worker = max(self.workers, key=lambda each: each.delivered)
        worker.process.kill()
        worker.process.wait()
        worker.killed = True
        return worker

    def __exit__(self, *exc: object) -> None:
        for worker in self.workers:
            if worker.process.poll() is None:
                worker.process.terminate()
        for worker in self.workers:
            try:
                worker.process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()
            worker.http.close()
        self._files.close()

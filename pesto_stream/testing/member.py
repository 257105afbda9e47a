"""A runtime in a process of its own, `pesto-stream run` as it is or inside a container, seen through its log and its sidecar."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING, Any, Final

import httpx

from pesto_stream.errors import ConfigurationError, FatalError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Self

    from pesto_stream.clock import Clock

_ASK_SECONDS: Final = 5.0
_STOP_SECONDS: Final = 40.0
"""Longer than the runtime's own drain."""
_PAUSE_SECONDS: Final = 0.05
_LISTENS: Final = re.compile(rb"sidecar listens on [^ ]*?:(\d+)")
_SAID_LINES: Final = 12
_NOT_STARTED: Final = (2, 125, 126, 127)
"""Exit codes of what the user has to correct: ours, and docker's for a container that could not be started."""


class MemberProcess:
    """Use as a context manager. Entering returns when the sidecar says ready; leaving drains and ends the process.

    `command` is all of it, its sidecar on a loopback port. What it writes goes to `log`. `remove` is a command that ends what the
    process leaves behind when it has to be killed.
    """

    def __init__(
        self, command: Sequence[str], log: Path, clock: Clock, *, start_seconds: float = 120.0, remove: Sequence[str] = ()
    ) -> None:
        self._command = list(command)
        self._log = log
        self._clock = clock
        self._start_seconds = start_seconds
        self._remove = list(remove)
        self._process: subprocess.Popen[bytes] | None = None
        self._http = httpx.Client(timeout=_ASK_SECONDS, trust_env=False)

    def __enter__(self) -> Self:
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own module, or docker; a list of arguments
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C in a terminal is for us, and we end it
            )
        try:
            self._wait_ready()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self._end()

    def describe(self) -> dict[str, Any]:
        """What the sidecar answers. Raises FatalError where it does not."""
        answer = self._get("/api/v1/describe")
        if answer is None or not answer.is_success:
            raise FatalError(f"the runtime does not describe itself; see '{self._log}'")
        document: dict[str, Any] = answer.json()
        return document

    def check_alive(self) -> None:
        """Raises ConfigurationError or FatalError, with the process's last words, where it has ended."""
        assert self._process is not None, "use it as a context manager"
        code = self._process.poll()
        if code is None:
            return
        text = f"the runtime ended with exit code {code}; its last words, from '{self._log}':\n{self._last_words()}"
        raise ConfigurationError(text) if code in _NOT_STARTED else FatalError(text)

    def _last_words(self) -> str:
        lines = self._log.read_text("utf-8", "replace").splitlines()
        start = next((number for number, line in enumerate(lines) if line.startswith("Error: ")), len(lines) - _SAID_LINES)
        return "\n".join(f"  {line}" for line in lines[max(start, 0) :][:_SAID_LINES])

    def _wait_ready(self) -> None:
        deadline = self._clock.now() + self._start_seconds
        while True:
            self.check_alive()
            answer = self._get("/healthz/ready")
            if answer is not None and answer.is_success:
                return
            if self._clock.now() > deadline:
                raise FatalError(f"the runtime was not ready within {self._start_seconds:g} s; see '{self._log}'")
            self._clock.sleep(_PAUSE_SECONDS)

    def _get(self, path: str) -> httpx.Response | None:
        found = _LISTENS.search(self._log.read_bytes())
        if found is None:
            return None
        try:
            return self._http.get(f"http://127.0.0.1:{int(found[1])}{path}")
        except httpx.HTTPError:
            return None

    def _end(self) -> None:
        process = self._process
        assert process is not None
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            if self._remove:
                subprocess.run(self._remove, stdin=subprocess.DEVNULL, capture_output=True, check=False)  # noqa: S603 - docker
        self._http.close()

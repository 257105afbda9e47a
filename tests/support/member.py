"""A runtime as users start it: `pesto-stream run` in a process of its own, seen from outside."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import httpx

from support.waiting import wait_until

_LISTENS = re.compile(r"sidecar listens on [^ ]*?:(\d+)")


class Member:
    """One member of a group. Leaving the context ends the process, whatever state it is in."""

    def __init__(
        self, project: Path, folder: Path, bootstrap_servers: str, *, group: str, topics: tuple[str, str, str], **settings: Any
    ) -> None:
        """`topics` are input, output, dead letter; `settings` by key with `__` for the dot (`algorithm__concurrency=2`)."""
        self._folder = folder
        self._port: int | None = None
        given = {
            "log.format": "json",
            "commit.interval_seconds": 0.2,
            **{key.replace("__", "."): value for key, value in settings.items()},
        }
        flags = [part for key, value in given.items() for part in ("--set", f"{key}={_text(value)}")]
        names = ("--input-topic", topics[0], "--output-topic", topics[1], "--dead-letter-topic", topics[2])
        address = ("--bootstrap-servers", bootstrap_servers, "--group-id", group, "--http-port", "0")
        self.command = [sys.executable, "-m", "pesto_stream", "run", str(project), *address, *names, *flags]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, environment: Mapping[str, str] | None = None) -> Self:
        number = len(list(self._folder.glob("member-*.log")))
        self.log_file = self._folder / f"member-{number}.log"
        self._port = None
        with self.log_file.open("wb") as log:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, **(environment or {})}
            )
        return self

    def __enter__(self) -> Self:
        return self if self.process else self.start()

    def __exit__(self, *exc: object) -> None:
        if self.running:
            self.process.terminate()
            try:
                self.process.wait(40)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def log(self) -> str:
        return self.log_file.read_text("utf-8", "replace")

    @property
    def url(self) -> str:
        """Address of the sidecar. Raises httpx.TransportError while it does not listen."""
        if self._port is None:
            found = _LISTENS.search(self.log)
            if found is None:
                raise httpx.ConnectError("not up yet")
            self._port = int(found[1])
        return f"http://127.0.0.1:{self._port}"

    def get(self, path: str) -> httpx.Response:
        """Ask the sidecar. Raises httpx.TransportError while it does not listen."""
        with httpx.Client(trust_env=False, timeout=10) as client:
            return client.get(f"{self.url}{path}")

    def answers(self, path: str, status: int = 200) -> bool:
        assert self.running, f"the runtime ended with {self.process.returncode}:\n{self.log[-4000:]}"
        try:
            return self.get(path).status_code == status
        except httpx.TransportError:
            return False

    def wait_ready(self) -> Self:
        wait_until(lambda: self.answers("/healthz/ready"), "the runtime to be ready", seconds=60)
        return self

    def wait_assigned(self, partitions: int = 1) -> Self:
        self.wait_ready()
        wait_until(lambda: len(self.status()["assignment"]) >= partitions, f"{partitions} partitions", seconds=60)
        return self

    def status(self) -> dict[str, Any]:
        return self.get("/api/v1/status").json()

    def metric(self, name: str) -> float:
        """A sample of /metrics; the sum over its labels."""
        lines = self.get("/metrics").text.splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if re.match(rf"{re.escape(name)}(\{{|\s)", line))

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(30)

    def wait_end(self, seconds: float = 60) -> int:
        """The exit code, when the process has ended by itself."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {seconds} s:\n{self.log[-4000:]}") from None

    def stop(self) -> int:
        self.terminate()
        return self.wait_end()


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)

"""Images built by `pesto-stream build` and containers of them, for tests that have a Docker engine."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

import httpx
import pytest

from pesto_stream.errors import ConfigurationError
from pesto_stream.packaging.engine import find_engine
from support.waiting import wait_until

COMMAND = (sys.executable, "-m", "pesto_stream")
"""`pesto-stream` of the environment that the tests run in, whether it is on the PATH or not."""
BASE = os.environ.get("PESTO_TEST_DOCKER_BASE", "python:3.11-slim-bookworm")


def docker_or_skip() -> str:
    """The docker command to use. Skips where no engine answers, or it has no image to start from and no registry to get it from."""
    try:
        docker = find_engine().command
    except ConfigurationError as reason:
        pytest.skip(f"no Docker engine: {reason}")
    if run(docker, "image", "inspect", BASE, check=False).returncode and run(docker, "pull", BASE, check=False).returncode:
        pytest.skip(f"no image '{BASE}' (PESTO_TEST_DOCKER_BASE) and no registry that has it")
    return docker


def run(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=check)


class Container:
    """A container of an image as it is meant to run: its own user, a root file system that cannot be written, the machine's network."""

    def __init__(self, docker: str, image: str, *arguments: str, port: int, **environment: str) -> None:
        self._docker, self._image, self._arguments = docker, image, arguments
        self._port = port
        self._environment = {"PESTO_STREAM__HTTP__PORT": str(port), **environment}
        self.id = ""

    def __enter__(self) -> Self:
        variables = (word for name, value in self._environment.items() for word in ("--env", f"{name}={value}"))
        flags = ("--detach", "--read-only", "--tmpfs", "/tmp", "--network", "host", "--cap-drop", "ALL")
        self.id = run(self._docker, "run", *flags, *variables, self._image, *self._arguments).stdout.strip()
        return self

    def __exit__(self, *exc: object) -> None:
        run(self._docker, "rm", "--force", self.id, check=False)

    @property
    def log(self) -> str:
        done = run(self._docker, "logs", self.id, check=False)
        return done.stdout + done.stderr

    def inspect(self, template: str) -> str:
        return run(self._docker, "inspect", "--format", template, self.id).stdout.strip()

    def execute(self, *words: str) -> subprocess.CompletedProcess[str]:
        return run(self._docker, "exec", self.id, *words, check=False)

    def get(self, path: str) -> Any:
        with httpx.Client(trust_env=False, timeout=10) as client:
            return client.get(f"http://127.0.0.1:{self._port}{path}")

    def wait_ready(self) -> None:
        def ready() -> bool:
            assert self.inspect("{{.State.Running}}") == "true", self.log
            try:
                return self.get("/healthz/ready").status_code == httpx.codes.OK
            except httpx.TransportError:
                return False

        wait_until(ready, "a ready container", seconds=60)

    def stop(self) -> int:
        """As `docker stop` does: the image's stop signal, and a kill much later. The exit code."""
        run(self._docker, "stop", "-t", "40", self.id)
        return int(self.inspect("{{.State.ExitCode}}"))


def build(project: Path, *options: str) -> list[str]:
    """The names that `pesto-stream build` prints."""
    done = run(*COMMAND, "build", str(project), "--base", BASE, *options, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout.split()

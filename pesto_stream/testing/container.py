"""A project's image, run by docker: its non-root user, a read-only root file system, and the host's network, on which the broker is."""

from __future__ import annotations

import csv
import io
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pesto_stream.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_ANSWER_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class Mount:
    """A path of this machine, at the same path in the container."""

    path: Path
    writable: bool = False

    def option(self) -> str:
        """For `--mount`, which reads a line of CSV."""
        text = io.StringIO()
        parts = ["type=bind", f"source={self.path}", f"target={self.path}", *([] if self.writable else ["readonly"])]
        csv.writer(text, lineterminator="").writerow(parts)
        return text.getvalue()


@dataclass(frozen=True, slots=True)
class Container:
    """One call of `docker run`. `user` None: the image's own."""

    image: str
    name: str
    mounts: tuple[Mount, ...] = ()
    network: str | None = None
    user: str | None = None
    gpus: bool = False


def find_docker() -> str:
    """Raises ConfigurationError where there is no docker command."""
    command = shutil.which("docker")
    if command is None:
        raise ConfigurationError("cannot find 'docker' on the PATH; install it, or test without --docker")
    return command


def check_image(docker: str, image: str, build: str) -> None:
    """Raises ConfigurationError where the engine does not answer, or has no such image; `build` is the command that makes it."""
    words = [docker, "image", "inspect", "--format", "{{.Id}}", image]
    try:
        done = subprocess.run(  # noqa: S603 - docker, and a list of arguments
            words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_ANSWER_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigurationError(f"cannot ask docker for the image '{image}': {error}") from error
    if done.returncode and "no such image" in done.stderr.lower():
        raise ConfigurationError(f"there is no image '{image}'; build it first: {build}")
    if done.returncode:
        raise ConfigurationError(f"cannot ask docker for the image '{image}': {done.stderr.strip() or done.returncode}")


def run_words(docker: str, container: Container, arguments: Sequence[str]) -> list[str]:
    """The whole command. `arguments` go to the image's `pesto-stream run <project>`."""
    return [docker, "run", "--rm", "--init", *_options(container), container.image, *arguments]


def _options(container: Container) -> Iterator[str]:
    yield from ("--name", container.name, "--read-only", "--tmpfs", "/tmp")  # noqa: S108 - in the container
    yield from ("--cap-drop", "ALL", "--security-opt", "no-new-privileges")
    if container.network:
        yield from ("--network", container.network)
    if container.user:
        yield from ("--user", container.user)
    if container.gpus:
        yield from ("--gpus", "all")
    for mount in container.mounts:
        yield from ("--mount", mount.option())

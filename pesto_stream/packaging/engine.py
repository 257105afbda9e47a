"""The Docker engine, through its command line: lists of arguments, never a shell."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pesto_stream.config.child import child_environment
from pesto_stream.errors import ConfigurationError, ProjectError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_BUILT_IN_UNTIL: Final = 23
"""The client's major version from which BuildKit needs the plugin buildx."""
_ANSWER_SECONDS: Final = 30
_REASON_LINES: Final = 12
_STANDARD_ERROR: Final = 2


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """`network` and `proxy` are for the build alone: nothing of them stays in the image."""

    no_cache: bool = False
    network: str | None = None
    proxy: str | None = None

    def arguments(self) -> Iterator[str]:
        if self.no_cache:
            yield "--no-cache"
        if self.network:
            yield from ("--network", self.network)
        if self.proxy:
            for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
                yield from ("--build-arg", f"{name}={self.proxy}")


class Engine:
    """A `docker` command that has BuildKit, and an engine that answers it."""

    def __init__(self, command: str) -> None:
        self.command = command

    def run_build(self, words: Sequence[str], shown: str) -> None:
        """Build by `build_words`; what the engine says goes to standard error. Raises ProjectError where it fails."""
        code = self._run_shown(words)
        if code:
            raise ProjectError(f"cannot build '{shown}': docker ended with {code}; its own messages are above")

    def push(self, reference: str) -> None:
        """Raises ConfigurationError."""
        code = self._run_shown(["push", reference])
        if code:
            raise ConfigurationError(
                f"cannot push '{reference}': docker ended with {code}; is it the right registry, and are you logged in?"
            )

    def images(self, label: str) -> list[dict[str, Any]]:
        """What `docker image inspect` says of every image with this label."""
        ids = self._answer("image", "ls", "--quiet", "--no-trunc", "--filter", f"label={label}").split()
        unique = list(dict.fromkeys(ids))
        found: list[dict[str, Any]] = json.loads(self._answer("image", "inspect", *unique)) if unique else []
        return found

    def _run_shown(self, words: Sequence[str]) -> int:
        """Standard output is left to the names of what was made."""
        environment = child_environment(DOCKER_BUILDKIT="1")
        command = [self.command, *words]
        return subprocess.run(  # noqa: S603 - docker, and a list of arguments
            command, stdin=subprocess.DEVNULL, stdout=_STANDARD_ERROR, env=environment, check=False
        ).returncode

    def _answer(self, *words: str) -> str:
        return _run([self.command, *words])


def build_words(
    folder: Path | str, dockerfile: str, tags: Iterable[str], arguments: Mapping[str, str], options: BuildOptions
) -> list[str]:
    """The words after `docker` that build an image."""
    words = ["build", "--file", str(Path(folder) / dockerfile)]
    for tag in tags:
        words += ["--tag", tag]
    for name, value in arguments.items():
        words += ["--build-arg", f"{name}={value}"]
    return [*words, *options.arguments(), str(folder)]


def find_engine() -> Engine:
    """The first `docker` on the PATH that has BuildKit. Raises ConfigurationError where there is none, or no engine answers."""
    commands = list(dict.fromkeys(_commands()))
    if not commands:
        raise ConfigurationError("cannot find 'docker' on the PATH; install it, or write the build context with --dry-run")
    command = next((found for found in commands if _has_buildkit(found)), None)
    if command is None:
        raise ConfigurationError(f"'{commands[0]}' has no BuildKit; install its plugin buildx")
    _run([command, "version", "--format", "{{.Server.Version}}"])
    return Engine(command)


def _commands() -> Iterator[str]:
    for folder in child_environment().get("PATH", "").split(os.pathsep):
        found = shutil.which("docker", path=folder)
        if folder and found:
            yield found


def _has_buildkit(command: str) -> bool:
    major = re.match(r"Docker version (\d+)\.", _output([command, "--version"]) or "")
    return (major is not None and int(major[1]) < _BUILT_IN_UNTIL) or _output([command, "buildx", "version"]) is not None


def _output(words: Sequence[str]) -> str | None:
    """What a command prints, None where it fails."""
    try:
        return _run(words)
    except ConfigurationError:
        return None


def _run(words: Sequence[str]) -> str:
    shown = " ".join(["docker", *words[1:3]])
    try:
        done = subprocess.run(  # noqa: S603 - docker, and a list of arguments
            words, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=_ANSWER_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigurationError(f"cannot run '{shown}': {error}") from error
    if done.returncode:
        reason = "\n".join(done.stderr.strip().splitlines()[-_REASON_LINES:])
        raise ConfigurationError(f"cannot run '{shown}': {reason or f'it ended with {done.returncode}'}")
    return done.stdout

"""An image of a project: the runtime's base image first, where it is needed, then the project's own on top."""

from __future__ import annotations

import hashlib
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from pesto_stream import __version__
from pesto_stream.errors import ConfigurationError
from pesto_stream.packaging.context import write_context
from pesto_stream.packaging.engine import build_words, find_engine
from pesto_stream.packaging.names import CPU, GPU, check_reference, image_name
from pesto_stream.packaging.requirements import parse_requirements
from pesto_stream.packaging.wheel import docker_file, write_runtime

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pesto_stream.algorithms.project import Project
    from pesto_stream.packaging.engine import BuildOptions

DEFAULT_BASE: Final = "python:3.11-slim-bookworm"
"""What the Dockerfiles start from where nothing else is named."""


@dataclass(frozen=True, slots=True)
class Plan:
    """`runtime`: name of the base image; `python`: the image that this one starts from; `tags`: names of the project's image, first
    PESTO's two.
    """

    project: Project
    flavour: str
    runtime: str
    python: str
    tags: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def dockerfile(self) -> str:
        return f"Dockerfile.{self.flavour}"


def plan(project: Project, *, tags: Sequence[str] = (), base: str | None = None) -> Plan:
    """What would be built. `tags` are names beside PESTO's own; `base` is over the project's dockerBaseImage.

    Raises ProjectError for a project, ConfigurationError for a name, that cannot be used.
    """
    requirements = parse_requirements(project.requirements)
    name = image_name(project)
    flavour = GPU if GPU in project.profiles else CPU
    python = check_reference(base) if base else requirements.base_image or DEFAULT_BASE
    own = "" if python == DEFAULT_BASE else "-" + hashlib.sha256(python.encode()).hexdigest()[:8]
    return Plan(
        project=project,
        flavour=flavour,
        runtime=f"pesto-stream:{__version__}-{flavour}{own}",
        python=python,
        tags=(name.reference, name.latest, *(check_reference(tag) for tag in tags)),
        notes=() if base else requirements.notes,
    )


def write_contexts(todo: Plan, folder: Path, options: BuildOptions) -> None:
    """Write both contexts, `folder/base` and `folder/project`, and `folder/build.sh`, which builds them. The folder is new or empty.

    Raises ProjectError, StoreUnavailable as `context.write_context`; ConfigurationError where the folder is in use.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigurationError(f"cannot write the build context to '{folder}': it exists and is not an empty folder")
    folder.mkdir(parents=True, exist_ok=True)
    _write_base(todo, folder / "base")
    requirements = parse_requirements(todo.project.requirements)
    write_context(todo.project, requirements, todo.runtime, folder / "project", options.proxy)
    script = folder / "build.sh"
    commands = (_base_words(todo, "base", options), _project_words(todo, "project", options))
    lines = ("#!/bin/sh", "set -eu", 'cd "$(dirname "$0")"', *(shlex.join(("docker", *words)) for words in commands), "")
    script.write_text("\n".join(lines), encoding="utf-8")
    script.chmod(0o755)


def _write_base(todo: Plan, folder: Path) -> None:
    folder.mkdir()
    write_runtime(folder)
    shutil.copyfile(docker_file(todo.dockerfile), folder / todo.dockerfile)


def _base_words(todo: Plan, folder: str, options: BuildOptions) -> list[str]:
    return build_words(folder, todo.dockerfile, (todo.runtime,), {"BASE_IMAGE": todo.python}, options)


def _project_words(todo: Plan, folder: str, options: BuildOptions) -> list[str]:
    return build_words(folder, "Dockerfile", todo.tags, {}, options)


def build(todo: Plan, options: BuildOptions, *, push: bool = False) -> None:
    """Build, and push: the names given by the caller where there are any, else PESTO's.

    Raises ConfigurationError without an engine, ProjectError where the build fails, and as `write_contexts`.
    """
    engine = find_engine()
    with TemporaryDirectory(prefix="pesto-stream-build-") as temporary:
        folder = Path(temporary)
        write_contexts(todo, folder, options)
        engine.run_build(_base_words(todo, str(folder / "base"), options), todo.runtime)
        engine.run_build(_project_words(todo, str(folder / "project"), options), todo.tags[0])
    if push:
        for tag in pushed(todo):
            engine.push(tag)


def pushed(todo: Plan) -> tuple[str, ...]:
    """The names that are pushed: a name without a registry would go to the public one."""
    return todo.tags[2:] or todo.tags[:2]

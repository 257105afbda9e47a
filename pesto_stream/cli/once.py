"""`pesto-stream run --once`: one payload, no broker, the outputs as files."""

from __future__ import annotations

import os
import subprocess
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

import typer

from pesto_stream.algorithms.project import load_project
from pesto_stream.cli.files import ResultFolder
from pesto_stream.config.files import shipped_profiles
from pesto_stream.config.model import LARGEST_RECORD_BYTES, MIB
from pesto_stream.errors import ConfigurationError
from pesto_stream.packaging.names import GPU, image_name
from pesto_stream.testing.container import Container, Mount, check_image, find_docker, run_words
from pesto_stream.testing.payload import folder_url, payload_of
from pesto_stream.testing.resources import read_values
from pesto_stream.testing.session import payload_bytes
from pesto_stream.wiring.parts import limits_of
from pesto_stream.wiring.single import Single

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pesto_stream.algorithms.project import Project
    from pesto_stream.config.model import Settings

DEFAULT_OUT: Final = Path("once-out")
_EVENT: Final = "once"


def run_once(project: Path, profiles: tuple[str, ...], settings: Settings, payload: Path, out: Path) -> None:
    """`payload`: JSON as POST /process takes it, or a folder in the form of test resources, which then may be read.

    Raises ConfigurationError, and what the algorithm makes of the payload: RecordError, TransientError, FatalError.
    """
    body = _folder_body(payload) if payload.is_dir() else _read(payload)
    found = load_project(project, profiles, shipped_profiles())
    own = _unbounded(_allowed(settings, payload) if payload.is_dir() else settings)
    with Single(own, found) as single:
        record = single.process(body, _EVENT)
    ResultFolder(out, limits_of(own)).write_into(out, record)
    _name_files(out)


def run_once_in_image(
    project: Path, profiles: tuple[str, ...], settings: Settings, payload: Path, out: Path, arguments: Sequence[str]
) -> int:
    """The same in the project's image, as the user who calls, with payload, `out` and the local folders of urls.allow mounted.

    `arguments` are further ones for `run` in the image. Its exit code. Raises ConfigurationError.
    """
    found = load_project(project, profiles, shipped_profiles())
    command = find_docker()
    image = image_name(found).reference
    check_image(command, image, f"pesto-stream build {project}{''.join(f' -p {name}' for name in profiles)}")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"cannot write '{out}': {error.strerror}") from error
    here = [payload.resolve(), *_local_folders(settings)]
    mounts = (*(Mount(path) for path in dict.fromkeys(here)), Mount(out.resolve(), writable=True))
    words = run_words(
        command, _container(image, found, mounts), ["--once", str(here[0]), "--out", str(out.resolve()), *arguments]
    )
    return subprocess.run(words, stdin=subprocess.DEVNULL, check=False).returncode  # noqa: S603 - docker, and a list of arguments


def _container(image: str, project: Project, mounts: tuple[Mount, ...]) -> Container:
    """As the calling user, who can write into `out`; the image's own user could not."""
    user = f"{os.getuid()}:{os.getgid()}"
    return Container(image, f"pesto-stream-once-{uuid.uuid4().hex[:12]}", mounts, user=user, gpus=GPU in project.profiles)


def _local_folders(settings: Settings) -> Iterator[Path]:
    for entry in settings.urls.allow:
        path = Path(unquote(urlsplit(entry).path))
        if entry.startswith("file://") and path.exists():
            yield path.resolve()


def _folder_body(folder: Path) -> bytes:
    return payload_bytes(payload_of(read_values(folder), embedded=False))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"cannot read the payload '{path}': {error.strerror}") from error


def _allowed(settings: Settings, folder: Path) -> Settings:
    urls = settings.urls.model_copy(update={"allow": [*settings.urls.allow, folder_url(folder)]})
    return settings.model_copy(update={"urls": urls})


def _unbounded(settings: Settings) -> Settings:
    """A file may be larger than a record."""
    largest: dict[str, Any] = {"max_record_mib": LARGEST_RECORD_BYTES // MIB}
    return settings.model_copy(update={"kafka": settings.kafka.model_copy(update=largest)})


def _name_files(out: Path) -> None:
    for path in sorted(path for path in out.iterdir() if path.is_file()):
        typer.echo(str(path))

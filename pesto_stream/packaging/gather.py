"""Requirements brought from where they are: the project, this machine, an HTTP server, an object store.

The addresses are the project's own, so there is no allow-list; credentials and proxies are those of this machine's environment.
"""

from __future__ import annotations

import hashlib
import shutil
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from pesto_stream.algorithms.project import REQUIREMENTS
from pesto_stream.errors import ProjectError, StoreUnavailable
from pesto_stream.packaging.archives import GIB

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from pesto_stream.packaging.requirements import Requirement

MAX_BYTES: Final = 32 * GIB
"""Largest file that is downloaded."""
_CHUNK: Final = 1 << 20
_TIMEOUT_SECONDS: Final = 60.0
_RETRIES: Final = 3
_NOT_THERE: Final = range(400, 500)


def gather(requirement: Requirement, project: Path, folder: Path, proxy: str | None = None, max_bytes: int = MAX_BYTES) -> Path:
    """The requirement's file or folder, in the new folder `folder` and under its own name.

    Raises ProjectError where it is not there or not what its sha256 says, StoreUnavailable where its server does not answer.
    """
    folder.mkdir(parents=True)
    url = urlsplit(requirement.source)
    name = unquote(url.path).rstrip("/").rpartition("/")[2]
    if not name or name in {".", ".."} or not name.isprintable():
        raise _wrong(requirement, "it names no file")
    target = folder / name
    scheme = url.scheme.lower()
    if scheme in {"", "file"}:
        _copy_local(requirement, project, target)
    else:
        pieces = _http(requirement, proxy) if scheme in {"http", "https"} else _store(requirement)
        _write(requirement, pieces, target, max_bytes)
    _check_digest(requirement, target)
    return target


def _wrong(requirement: Requirement, reason: str) -> ProjectError:
    return ProjectError(f"cannot take '{requirement.source}' for requirement '{requirement.name}' of '{REQUIREMENTS}': {reason}")


def _copy_local(requirement: Requirement, project: Path, target: Path) -> None:
    url = urlsplit(requirement.source)
    if url.netloc not in {"", "localhost"}:
        raise _wrong(
            requirement, f"'{url.netloc}' stands where a host would; expected file:///folder/file, or a path in the project"
        )
    source = project / unquote(url.path)
    if source.is_dir():
        shutil.copytree(source, target)
    elif source.is_file():
        shutil.copyfile(source, target)
    else:
        raise _wrong(requirement, "there is no such file or folder")


def _http(requirement: Requirement, proxy: str | None) -> Iterator[bytes]:
    import httpx  # noqa: PLC0415 - for the few projects that need it

    try:
        with (
            httpx.Client(proxy=proxy, follow_redirects=True, timeout=_TIMEOUT_SECONDS) as client,
            client.stream("GET", requirement.source) as answer,
        ):
            if answer.status_code in _NOT_THERE:
                raise _wrong(requirement, f"the server answers with status {answer.status_code}")
            answer.raise_for_status()
            yield from answer.iter_bytes(_CHUNK)
    except httpx.HTTPError as error:
        raise StoreUnavailable(f"cannot read '{requirement.source}': {error or type(error).__name__}") from error
    except httpx.InvalidURL as error:
        raise _wrong(requirement, f"it is no valid URL ({error})") from error


def _store(requirement: Requirement) -> Iterator[bytes]:
    import obstore  # noqa: PLC0415 - for the few projects that need it
    from obstore.exceptions import BaseError, NotFoundError  # noqa: PLC0415 - as above
    from obstore.store import GCSStore, S3Store  # noqa: PLC0415 - as above

    scheme, _, rest = requirement.source.partition("://")
    bucket, _, key = rest.partition("/")
    kind = {"s3": S3Store, "gs": GCSStore}[scheme.lower()]
    try:
        store = kind(bucket, retry_config={"max_retries": _RETRIES, "retry_timeout": timedelta(seconds=_TIMEOUT_SECONDS)})
        for piece in obstore.get(store, key).stream(min_chunk_size=_CHUNK):
            yield bytes(piece)
    except (NotFoundError, FileNotFoundError) as error:
        raise _wrong(requirement, "there is no such object") from error
    except (BaseError, OSError) as error:
        raise StoreUnavailable(f"cannot read '{requirement.source}': {str(error).splitlines()[0]}") from error


def _write(requirement: Requirement, pieces: Iterable[bytes], target: Path, max_bytes: int) -> None:
    written = 0
    with target.open("wb") as file:
        for piece in pieces:
            written += len(piece)
            if written > max_bytes:
                raise _wrong(requirement, f"it has more than {max_bytes} bytes")
            file.write(piece)


def _check_digest(requirement: Requirement, target: Path) -> None:
    if requirement.sha256 is None:
        return
    if target.is_dir():
        raise _wrong(requirement, "a folder has no sha256; leave the field out")
    with target.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != requirement.sha256:
        raise _wrong(requirement, f"its sha256 is '{digest}', expected '{requirement.sha256}'")

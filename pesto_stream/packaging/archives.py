"""Archives unpacked as if their author were hostile: nothing outside the folder, no links out of it, no devices, and limits."""

from __future__ import annotations

import stat
import tarfile
import zipfile
import zlib
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Final

from pesto_stream.errors import ProjectError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ENDINGS: Final = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar", ".zip")
GIB: Final = 1 << 30
_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """`max_bytes`: of all files together, unpacked. `max_files`: files and folders."""

    max_bytes: int = 32 * GIB
    max_files: int = 200_000


class _Unsafe(Exception):
    """Why an archive is refused."""


def is_archive(name: str) -> bool:
    """By its ending, as PESTO tells archives."""
    return name.lower().endswith(ENDINGS)


def unpack(archive: Path, into: Path, shown: str, limits: ArchiveLimits) -> None:
    """Unpack `archive` into the new folder `into`. `shown` is how messages name it.

    Raises ProjectError where it is damaged, over a limit, or has an entry that would land elsewhere.
    """
    into.mkdir(parents=True)
    try:
        if zipfile.is_zipfile(archive):
            _unpack_zip(archive, into, limits)
        else:
            _unpack_tar(archive, into, limits)
    except _Unsafe as reason:
        raise ProjectError(f"cannot unpack '{shown}': {reason}") from None
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        raise ProjectError(f"cannot unpack '{shown}': {error}; expected one of {', '.join(ENDINGS)}") from error


def _unpack_tar(archive: Path, into: Path, limits: ArchiveLimits) -> None:
    with tarfile.open(archive) as tar:
        tar.extractall(into, members=_counted(tar, limits), filter="data")


def _counted(tar: tarfile.TarFile, limits: ArchiveLimits) -> Iterator[tarfile.TarInfo]:
    """The members, until a limit is passed. A member's size is known before it is written, and no more than that is written."""
    count = size = 0
    for member in tar:
        count, size = count + 1, size + member.size
        _check(count, size, limits)
        yield member


def _unpack_zip(archive: Path, into: Path, limits: ArchiveLimits) -> None:
    written = 0
    with zipfile.ZipFile(archive) as bundle:
        members = bundle.infolist()
        _check(len(members), sum(member.file_size for member in members), limits)
        for member in members:
            target = _zip_target(member, into)
            if member.is_dir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with bundle.open(member) as source, target.open("wb") as file:
                written = _copy(source, file, written, limits)


def _zip_target(member: zipfile.ZipInfo, into: Path) -> Path:
    """Where a member goes. Links are refused: the library would write them as files."""
    mode = member.external_attr >> 16
    if stat.S_IFMT(mode) not in {0, stat.S_IFREG, stat.S_IFDIR}:
        raise _Unsafe(f"'{member.filename}' is a link or a device")
    parts = member.filename.replace("\\", "/").split("/")
    if member.filename.startswith(("/", "\\")) or ".." in parts or ":" in parts[0]:
        raise _Unsafe(f"'{member.filename}' would land outside its folder")
    return into.joinpath(*(part for part in parts if part))


def _copy(source: IO[bytes], file: IO[bytes], written: int, limits: ArchiveLimits) -> int:
    """Counts what really comes out: a header may lie."""
    while chunk := source.read(_CHUNK):
        written += len(chunk)
        _check(0, written, limits)
        file.write(chunk)
    return written


def _check(count: int, size: int, limits: ArchiveLimits) -> None:
    if count > limits.max_files:
        raise _Unsafe(f"it has more than {limits.max_files} files")
    if size > limits.max_bytes:
        raise _Unsafe(f"it has more than {limits.max_bytes} bytes unpacked")

"""Files below the folders that are allowed: after links are resolved, regular files only."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from pesto_stream.converters.image import Whole
from pesto_stream.errors import FetchRefused
from pesto_stream.fetch.reading import Extents

if TYPE_CHECKING:
    from pesto_stream.converters.image import RandomAccess
    from pesto_stream.fetch.policy import Policy, Target
    from pesto_stream.fetch.reading import Budget


class LocalFiles:
    """Opener for file://."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    def read(self, target: Target, budget: Budget) -> RandomAccess:
        """The whole file. Raises FetchRefused."""
        handle, size = self._open(target)
        try:
            budget.expect(size)
            return Whole(self._read(handle, 0, size, budget))
        finally:
            os.close(handle)

    def open(self, target: Target, budget: Budget) -> RandomAccess:
        """The file, to be read piece by piece. Raises FetchRefused."""
        handle, size = self._open(target)
        os.close(handle)
        return Extents(size, lambda offset, length: self._piece(target, offset, length, budget))

    def _piece(self, target: Target, offset: int, length: int, budget: Budget) -> bytes:
        """Opened anew for each piece: no handle stays open when decoding fails, and each open is checked."""
        handle, _ = self._open(target)
        try:
            return self._read(handle, offset, length, budget)
        finally:
            os.close(handle)

    def _read(self, handle: int, offset: int, length: int, budget: Budget) -> bytes:
        data = bytearray()
        while len(data) < length and (chunk := os.pread(handle, length - len(data), offset + len(data))):
            data += chunk
            budget.spend(len(chunk))
        return bytes(data)

    def _open(self, target: Target) -> tuple[int, int]:
        """Descriptor and size. The links are resolved first; then no link may be at the end of the path."""
        real = os.path.realpath(target.path)
        if not any(_inside(real, os.path.realpath(folder)) for folder in self._policy.folders()):
            raise FetchRefused(f"cannot read '{target.masked}': it is a link out of the folders in urls.allow")
        try:
            handle = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise FetchRefused(f"cannot read '{target.masked}': {os.strerror(error.errno or 0).lower()}") from error
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            os.close(handle)
            raise FetchRefused(f"cannot read '{target.masked}': it is not a regular file")
        return handle, status.st_size


def _inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")

"""Which files of a folder were opened, told by the kernel (inotify): the proof that nobody looked at a file."""

from __future__ import annotations

import ctypes
import os
import struct
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

IN_OPEN = 0x20
IN_NONBLOCK = os.O_NONBLOCK
HEADER = struct.Struct("iIII")


@contextmanager
def opened_files(folder: Path) -> Iterator[list[str]]:
    """The list is filled when the block ends: one name for each time that a file in `folder` was opened."""
    libc = ctypes.CDLL(None, use_errno=True)
    handle = libc.inotify_init1(IN_NONBLOCK)
    assert handle >= 0
    assert libc.inotify_add_watch(handle, bytes(folder), IN_OPEN) >= 0
    names: list[str] = []
    try:
        yield names
        names.extend(_names(handle))
    finally:
        os.close(handle)


def _names(handle: int) -> Iterator[str]:
    try:
        data = os.read(handle, 1 << 16)
    except BlockingIOError:
        return
    position = 0
    while position < len(data):
        *_, length = HEADER.unpack_from(data, position)
        position += HEADER.size
        yield data[position : position + length].rstrip(b"\0").decode()
        position += length

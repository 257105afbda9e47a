"""One window of a TIFF without the rest: the blocks that it touches, made into a small TIFF of their own.

GDAL then decodes that small file from memory as any other. So range requests are few, planned and bounded, no foreign code calls back
into ours while it decodes, and a hostile file cannot make GDAL ask for anything.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from pesto_stream.converters import image_tiff as tiff
from pesto_stream.errors import ImageError
from pesto_stream.model.tile import Window

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pesto_stream.converters.image_tiff import Directory, Layout
    from pesto_stream.converters.limits import Limits

# What a decoder needs to make pixels of a block, and what places them on Earth; no pointers to other directories, no metadata.
KEPT: Final = frozenset(
    (
        258,
        259,
        262,
        266,
        277,
        284,
        292,
        293,
        317,
        320,
        338,
        339,
        347,
        529,
        530,
        532,
        33550,
        33922,
        34264,
        34735,
        34736,
        34737,
        42113,
        50674,
    )
)
MERGE_GAP: Final = 64 << 10
MERGE_LIMIT: Final = 8 << 20
LONG: Final = 4
LONG8: Final = 16


@dataclass(frozen=True, slots=True)
class Cut:
    """A TIFF file that holds `region` of the image (whole blocks around the window)."""

    data: bytes
    region: Window


def cut(directory: Directory, layout: Layout, window: Window, limits: Limits) -> Cut:
    """The blocks under `window`. Raises ImageError where they are over a limit or outside of the file."""
    region = _region(layout, window)
    listed = list(_blocks(directory, layout, region))
    total = sum(count for _, count in listed)
    if total > limits.max_encoded_bytes:
        raise ImageError(
            f"cannot read window '{_text(window)}': its blocks take {total} bytes, more than the limit of {limits.max_encoded_bytes}"
        )
    blocks = _read(directory, listed)
    return Cut(_write(directory, layout, region, [blocks[block] for block in listed]), region)


def _text(window: Window) -> str:
    return " ".join(str(n) for n in window)


def _region(layout: Layout, window: Window) -> Window:
    left = window.column // layout.block_width * layout.block_width
    top = window.row // layout.block_height * layout.block_height
    right = min(layout.width, -(-(window.column + window.width) // layout.block_width) * layout.block_width)
    bottom = min(layout.height, -(-(window.row + window.height) // layout.block_height) * layout.block_height)
    return Window(left, top, right - left, bottom - top)


def _blocks(directory: Directory, layout: Layout, region: Window) -> Iterator[tuple[int, int]]:
    """(offset, bytes) of each block of the region, plane by plane, row by row. (0, 0) is a block of zeros that is not stored."""
    tags = (tiff.TILE_OFFSETS, tiff.TILE_COUNTS) if layout.tiled else (tiff.STRIP_OFFSETS, tiff.STRIP_COUNTS)
    first = region.column // layout.block_width
    last = first + -(-region.width // layout.block_width)
    top = region.row // layout.block_height
    rows = range(top, top + -(-region.height // layout.block_height))
    for plane in range(layout.planes):
        for row in rows:
            start = (plane * layout.down + row) * layout.across
            offsets, counts = (directory.values(tag, start + first, start + last) for tag in tags)
            if len(offsets) != last - first or len(counts) != last - first:
                raise ImageError(
                    f"cannot read TIFF image: row '{row}' of its blocks lists '{len(counts)}', expected {last - first}"
                )
            yield from zip(offsets.tolist(), counts.tolist(), strict=True)


def _read(directory: Directory, listed: list[tuple[int, int]]) -> dict[tuple[int, int], bytes]:
    """The blocks' bytes; neighbours in the file come in one read."""
    found: dict[tuple[int, int], bytes] = {block: b"" for block in listed if block[1] == 0}
    for group in _merged(sorted({block for block in listed if block[1] > 0})):
        start, end = group[0][0], max(offset + count for offset, count in group)
        if end > directory.file.size:
            raise ImageError(f"cannot read TIFF image: it is truncated, its pixels end at byte '{end}' of {directory.file.size}")
        data = directory.file.read_at(start, end - start)
        for offset, count in group:
            found[offset, count] = data[offset - start : offset - start + count]
    return found


def _merged(blocks: list[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    group: list[tuple[int, int]] = []
    for offset, count in blocks:
        if group and (offset - sum(group[-1]) > MERGE_GAP or offset + count - group[0][0] > MERGE_LIMIT):
            yield group
            group = []
        group.append((offset, count))
    if group:
        yield group


def _write(directory: Directory, layout: Layout, region: Window, blocks: list[bytes]) -> bytes:
    """A TIFF in the byte order and kind (classic or BigTIFF) of the source, its pixels behind its directory."""
    word, code = ("Q", LONG8) if directory.big else ("I", LONG)
    numbers = _numbers(layout, region)
    tables = (tiff.TILE_OFFSETS, tiff.TILE_COUNTS) if layout.tiled else (tiff.STRIP_OFFSETS, tiff.STRIP_COUNTS)
    counts = np.array([len(block) for block in blocks], directory.order + TYPE_OF[word])
    fields: dict[int, tuple[int, int, bytes]] = {
        tag: (entry.type, entry.count, directory.raw(tag)) for tag, entry in directory.entries.items() if tag in KEPT
    }
    fields |= {tag: (code, 1, struct.pack(directory.order + word, value)) for tag, value in numbers.items()}
    fields |= {tag: (code, len(blocks), bytes(counts.nbytes)) for tag in tables}
    head = len(_directory(directory.order, directory.big, fields))
    ends = np.cumsum(counts, dtype="u8") + head
    offsets = np.where(counts > 0, ends - counts, 0).astype(counts.dtype)
    fields[tables[0]] = (code, len(blocks), offsets.tobytes())
    fields[tables[1]] = (code, len(blocks), counts.tobytes())
    return _directory(directory.order, directory.big, fields) + b"".join(blocks)


TYPE_OF: Final = {"I": "u4", "Q": "u8"}


def _numbers(layout: Layout, region: Window) -> dict[int, int]:
    size = {tiff.WIDTH: region.width, tiff.HEIGHT: region.height}
    if layout.tiled:
        return size | {tiff.TILE_WIDTH: layout.block_width, tiff.TILE_HEIGHT: layout.block_height}
    return size | {tiff.ROWS_PER_STRIP: layout.block_height}


def _directory(order: str, big: bool, fields: dict[int, tuple[int, int, bytes]]) -> bytes:  # noqa: FBT001 - the file's kind
    """Header, directory and the values that do not fit into it."""
    word, inline, count = ("Q", 8, "Q") if big else ("I", 4, "H")
    mark = b"II" if order == "<" else b"MM"
    head = mark + (struct.pack(order + "HHHQ", 43, 8, 0, 16) if big else struct.pack(order + "HI", 42, 8))
    start = len(head) + struct.calcsize("=" + count) + len(fields) * (20 if big else 12) + inline
    table, tail = [], bytearray()
    for tag, (kind, n, raw) in sorted(fields.items()):
        field = raw.ljust(inline, b"\0")
        if len(raw) > inline:
            field = struct.pack(order + word, start + len(tail))
            tail += raw + b"\0" * (len(raw) % 2)
        table.append(struct.pack(order + "HH" + word, tag, kind, n) + field)
    return head + struct.pack(order + count, len(fields)) + b"".join(table) + bytes(inline) + bytes(tail)

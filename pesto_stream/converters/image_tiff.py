"""TIFF's first directory, read without GDAL: what an image claims to be, before anything is built from it.

Sources: TIFF revision 6.0, sections 2, 8 and 15; BigTIFF (http://bigtiff.org, "Design"); OGC GeoTIFF 1.1 for the georeference tags.
"""

from __future__ import annotations

import html
import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from pesto_stream.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pesto_stream.converters.limits import Limits

WIDTH: Final = 256
HEIGHT: Final = 257
BITS: Final = 258
COMPRESSION: Final = 259
STRIP_OFFSETS: Final = 273
SAMPLES: Final = 277
ROWS_PER_STRIP: Final = 278
STRIP_COUNTS: Final = 279
PLANAR: Final = 284
TILE_WIDTH: Final = 322
TILE_HEIGHT: Final = 323
TILE_OFFSETS: Final = 324
TILE_COUNTS: Final = 325
SAMPLE_FORMAT: Final = 339
PIXEL_SCALE: Final = 33550
TIE_POINTS: Final = 33922
MATRIX: Final = 34264
GEO_KEYS: Final = (34735, 34736, 34737)
GDAL_METADATA: Final = 42112

TYPES: Final = {1: "u1", 2: "S1", 3: "u2", 4: "u4", 5: "u8", 6: "i1", 7: "u1", 8: "i2", 9: "i4", 10: "i8", 11: "f4", 12: "f8"}
TYPES_BIG: Final = {**TYPES, 16: "u8", 17: "i8", 18: "u8"}
SIZES: Final = {code: np.dtype(name).itemsize for code, name in TYPES_BIG.items()}
HEADER_BYTES: Final = 16
MAX_ENTRIES: Final = 1024
MAX_VALUE_BYTES: Final = 16 << 20
MAX_METADATA_BYTES: Final = 256 << 10
MAX_NAME_CHARACTERS: Final = 256
BAND_NAME: Final = re.compile(rb'<Item name="DESCRIPTION" sample="(\d{1,5})" role="description">([^<]{1,1024})</Item>')


class RandomAccess(Protocol):
    """Bytes that can be read in any order, at a price."""

    @property
    def size(self) -> int: ...

    def read_at(self, offset: int, length: int) -> bytes:
        """`length` bytes from `offset`; fewer only where the file ends."""


@dataclass(frozen=True, slots=True)
class Whole:
    """A file that is in memory already."""

    data: bytes

    @property
    def size(self) -> int:
        return len(self.data)

    def read_at(self, offset: int, length: int) -> bytes:
        return self.data[offset : offset + length]


@dataclass(frozen=True, slots=True)
class Entry:
    """One tag: TIFF type code, count of values, and the field that holds them or, where they do not fit, their offset."""

    type: int
    count: int
    field: bytes


@dataclass(frozen=True, slots=True)
class Directory:
    """The first directory of a file. `order` is struct's sign for the byte order; `big` says BigTIFF."""

    file: RandomAccess
    order: str
    big: bool
    entries: Mapping[int, Entry]

    def values(self, tag: int, start: int = 0, stop: int | None = None) -> np.ndarray[Any, Any]:
        """Values `start` to `stop` of a tag, empty where it is absent. Raises ImageError where they lie outside of the file."""
        entry = self.entries.get(tag)
        if entry is None:
            return np.empty(0, "u8")
        return np.frombuffer(self._raw(tag, entry, start, stop), dtype=self.order + TYPES_BIG[entry.type])

    def raw(self, tag: int) -> bytes:
        """All values of a tag as they are in the file."""
        entry = self.entries.get(tag)
        return b"" if entry is None else self._raw(tag, entry, 0, None)

    def number(self, tag: int, default: int) -> int:
        values = self.values(tag, 0, 1)
        return int(values[0]) if len(values) and values.dtype.kind in "ui" else default

    def _raw(self, tag: int, entry: Entry, start: int, stop: int | None) -> bytes:
        size = SIZES[entry.type]
        first, last = start * size, (entry.count if stop is None else min(stop, entry.count)) * size
        if last - first > MAX_VALUE_BYTES:
            raise ImageError(
                f"cannot read TIFF image: tag {tag} has '{entry.count}' values, expected at most {MAX_VALUE_BYTES // size}"
            )
        if entry.count * size <= len(entry.field):
            return entry.field[first:last]
        offset = struct.unpack(self.order + ("Q" if self.big else "I"), entry.field)[0]
        if offset + entry.count * size > self.file.size:
            raise ImageError(
                f"cannot read TIFF image: tag {tag} ends at byte '{offset + entry.count * size}' of a file of {self.file.size} bytes"
            )
        return self.file.read_at(offset + first, last - first)


def read_directory(file: RandomAccess) -> Directory:
    """The first directory; further ones (overviews, masks) are not followed. Raises ImageError."""
    head = file.read_at(0, HEADER_BYTES)
    order = "<" if head[:2] == b"II" else ">"
    if len(head) < HEADER_BYTES:
        raise ImageError(f"cannot read TIFF image: it ends after '{len(head)}' bytes, within its header")
    big = struct.unpack(order + "H", head[2:4])[0] == 43  # noqa: PLR2004 - BigTIFF's version number
    offset = struct.unpack(order + "Q", head[8:16])[0] if big else struct.unpack(order + "I", head[4:8])[0]
    prefix, form, width = ("Q", "HHQ8s", 20) if big else ("H", "HHI4s", 12)
    start = offset + struct.calcsize(prefix)
    counted = file.read_at(offset, start - offset) if start <= file.size else b""
    if len(counted) < start - offset:
        raise ImageError(f"cannot read TIFF image: its directory is at byte '{offset}' of a file of {file.size} bytes")
    count = struct.unpack(order + prefix, counted)[0]
    if not 0 < count <= MAX_ENTRIES or start + count * width > file.size:
        raise ImageError(
            f"cannot read TIFF image: its directory has '{count}' entries, expected 1 to {MAX_ENTRIES} inside the file"
        )
    known = TYPES_BIG if big else TYPES
    table = file.read_at(start, count * width)
    entries = {tag: Entry(kind, n, field) for tag, kind, n, field in struct.iter_unpack(order + form, table) if kind in known}
    return Directory(file, order, big, entries)


@dataclass(frozen=True, slots=True)
class Layout:
    """Size of the image and of the blocks (tiles or strips) that it is stored in, in pixels. `planes` is 1 where the bands of
    a pixel are stored together, else the number of bands.
    """

    width: int
    height: int
    bands: int
    bits: int
    tiled: bool
    block_width: int
    block_height: int
    planes: int

    @property
    def across(self) -> int:
        return -(-self.width // self.block_width)

    @property
    def down(self) -> int:
        return -(-self.height // self.block_height)

    @property
    def blocks(self) -> int:
        return self.across * self.down * self.planes

    @property
    def block_bytes(self) -> int:
        """Bytes of one decoded block."""
        together = self.bands if self.planes == 1 else 1
        return self.block_width * self.block_height * together * -(-self.bits // 8)


def layout_of(directory: Directory) -> Layout:
    """What the directory claims. Raises ImageError where it claims nothing sensible."""
    width, height = directory.number(WIDTH, 0), directory.number(HEIGHT, 0)
    bands = directory.number(SAMPLES, 1)
    tiled = TILE_WIDTH in directory.entries
    block_width = directory.number(TILE_WIDTH, 0) if tiled else width
    block_height = directory.number(TILE_HEIGHT, 0) if tiled else min(directory.number(ROWS_PER_STRIP, height), height)
    if min(width, height, bands, block_width, block_height) < 1:
        raise ImageError(
            f"cannot read TIFF image: it declares '{width} x {height}' pixels, '{bands}' bands and blocks of "
            f"'{block_width} x {block_height}', expected 1 or more of each"
        )
    planes = bands if directory.number(PLANAR, 1) == 2 else 1  # noqa: PLR2004 - PlanarConfiguration: separate
    return Layout(width, height, bands, directory.number(BITS, 1), tiled, block_width, block_height, planes)


def check_blocks(directory: Directory, layout: Layout, limits: Limits) -> None:
    """Refuse what would make a decoder build more than the image: blocks over the limit, or more of them than are listed."""
    if layout.block_bytes > limits.max_decoded_bytes:
        raise ImageError(
            f"cannot read TIFF image: one block of '{layout.block_width} x {layout.block_height}' pixels takes {layout.block_bytes} "
            f"bytes, more than the limit of {limits.max_decoded_bytes} for the image"
        )
    offsets = directory.entries.get(TILE_OFFSETS if layout.tiled else STRIP_OFFSETS)
    listed = offsets.count if offsets else 0
    if listed < layout.blocks:
        raise ImageError(
            f"cannot read TIFF image: it declares '{layout.blocks}' blocks but lists '{listed}'; the file is damaged"
        )


def check_complete(directory: Directory, layout: Layout) -> None:
    """Refuse a file that ends before its last block does."""
    offsets = directory.values(TILE_OFFSETS if layout.tiled else STRIP_OFFSETS)
    counts = directory.values(TILE_COUNTS if layout.tiled else STRIP_COUNTS)
    if len(offsets) == len(counts) and len(offsets):
        end = int((offsets.astype("u8") + counts.astype("u8")).max())
        if end > directory.file.size:
            raise ImageError(f"cannot read TIFF image: it is truncated, its pixels end at byte '{end}' of {directory.file.size}")


def band_names(directory: Directory, bands: int) -> tuple[str | None, ...]:
    """The descriptions of the bands, None for a band without; empty where there are none.

    They are in a small XML text of GDAL's (tag 42112, https://gdal.org/en/stable/drivers/raster/gtiff.html, "Metadata"), which is searched
    for these items and not parsed: it comes from anywhere.
    """
    entry = directory.entries.get(GDAL_METADATA)
    if entry is None or entry.count > MAX_METADATA_BYTES or SIZES[entry.type] != 1:
        return ()
    try:
        text = directory.raw(GDAL_METADATA)
    except ImageError:  # outside of the file; the pixels may be all there, and are judged by themselves
        return ()
    found = {int(number): name for number, name in BAND_NAME.findall(text)}
    names = [found.get(number) for number in range(bands)] if found else []
    return tuple(None if name is None else _unescaped(name) for name in names)


def _unescaped(name: bytes) -> str:
    """GDAL escapes an item's text once by itself, and once more when it writes the XML."""
    return html.unescape(html.unescape(name.decode("utf-8", "replace")))[:MAX_NAME_CHARACTERS]

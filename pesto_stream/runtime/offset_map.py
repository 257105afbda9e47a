"""The settled offsets above a committed one, as text for the commit's metadata. Pure.

A tile that takes long holds the committed offset back while those behind it are done. What is done travels beside the offset, so that
whoever takes the partition over does not run it again. The broker keeps at most 4 096 bytes of metadata per partition.

Format: `P1`, then the kind, then base64 (RFC 4648) of the bytes. Positions count from the committed offset, which is itself not settled.

* `b`: a bitset. Bit i of byte j (least significant first) is position 8j + i + 1.
* `r`: run lengths as LEB128 numbers, in turn of unsettled and settled positions, beginning with unsettled from position 1.

The shorter of both is taken. Text of others (another version, another program) is not ours to read and means: nothing is known.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

MAX_CHARACTERS: Final = 4000
"""Below the broker's default of 4 096 (`offset.metadata.max.bytes`)."""

_VERSION: Final = "P1"
_BITSET, _RUNS = "b", "r"
_LARGEST_POSITION: Final = 1 << 20
"""Beyond this a map is not ours: no partition has so many records in flight."""


def encode(committed: int, settled: Collection[int]) -> str | None:
    """The text for offsets above `committed`; "" for none, None where it would be longer than `MAX_CHARACTERS`."""
    if not settled:
        return ""
    positions = sorted(offset - committed for offset in settled)
    shortest = min((_text(_RUNS, _runs(positions)), _text(_BITSET, _bitset(positions))), key=len)
    return shortest if len(shortest) <= MAX_CHARACTERS else None


def decode(committed: int, text: str) -> frozenset[int]:
    """The offsets; empty for text that is not ours, or broken."""
    if len(text) > MAX_CHARACTERS or not text.startswith(_VERSION):
        return frozenset()
    kind, body = text[2:3], text[3:]
    try:
        data = base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        return frozenset()
    positions = _from_bitset(data) if kind == _BITSET else _from_runs(data) if kind == _RUNS else None
    return frozenset() if positions is None else frozenset(committed + position for position in positions)


def _text(kind: str, data: bytes) -> str:
    return _VERSION + kind + base64.b64encode(data).decode("ascii")


def _bitset(positions: list[int]) -> bytes:
    data = bytearray((positions[-1] + 7) // 8)
    for position in positions:
        data[(position - 1) // 8] |= 1 << ((position - 1) % 8)
    return bytes(data)


def _from_bitset(data: bytes) -> list[int]:
    return [8 * index + bit + 1 for index, byte in enumerate(data) for bit in range(8) if byte >> bit & 1]


def _runs(positions: list[int]) -> bytes:
    lengths: list[int] = []
    following = 1
    for first, last in _ranges(positions):
        lengths += [first - following, last - first + 1]
        following = last + 1
    return b"".join(_leb128(length) for length in lengths)


def _ranges(positions: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Consecutive positions as (first, last)."""
    first = last = -1
    for position in positions:
        if first >= 0 and position != last + 1:
            yield first, last
            first = -1
        if first < 0:
            first = position
        last = position
    if first >= 0:
        yield first, last


def _from_runs(data: bytes) -> list[int] | None:
    positions: list[int] = []
    following, settled = 1, False
    for length in _numbers(data):
        if length is None or following + length > _LARGEST_POSITION:
            return None
        if settled:
            positions.extend(range(following, following + length))
        following += length
        settled = not settled
    return positions


def _leb128(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:  # noqa: PLR2004 - seven bits a byte
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _numbers(data: bytes) -> Iterator[int | None]:
    """LEB128 numbers; None where the data breaks off."""
    number = shift = 0
    for byte in data:
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:  # noqa: PLR2004 - LEB128's mark of the last byte
            yield number
            number = shift = 0
    if shift:
        yield None

"""What all readers share: the deadline of one image, the bytes that it may cost, and random access by few requests."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pesto_stream.errors import FetchRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from pesto_stream.clock import Clock

HEAD_BYTES: Final = 64 << 10
"""First read of a file whose window is wanted: most directories fit into it."""
AHEAD_BYTES: Final = 32 << 10
KEPT_BYTES: Final = 1 << 20
KEPT_EXTENTS: Final = 16


@dataclass(slots=True)
class Budget:
    """Time and bytes that one image may take. `seconds`: urls.timeout_seconds; `limit`: the largest encoded image."""

    clock: Clock
    seconds: float
    limit: int
    shown: str
    spent: int = 0
    end: float = field(init=False)

    def __post_init__(self) -> None:
        self.end = self.clock.now() + self.seconds

    def remaining(self) -> float:
        """Seconds left. Raises FetchRefused where there are none."""
        left = self.end - self.clock.now()
        if left <= 0:
            raise self.too_slow()
        return left

    def too_slow(self) -> FetchRefused:
        return FetchRefused(
            f"cannot read '{self.shown}': {self.spent} bytes came in {self.seconds:g} s; the server is too slow (urls.timeout_seconds)"
        )

    def spend(self, count: int) -> None:
        """Count bytes that came. Raises FetchRefused over either limit."""
        self.spent += count
        if self.spent > self.limit:
            raise self.too_large(self.spent, "so far")
        self.remaining()

    def expect(self, size: int) -> None:
        """Raises FetchRefused where `size` more bytes are over the limit."""
        if self.spent + size > self.limit:
            raise self.too_large(size, "announced")

    def too_large(self, size: int, when: str) -> FetchRefused:
        return FetchRefused(
            f"cannot read '{self.shown}': {size} bytes {when}, the limit is {self.limit} (limits.max_encoded_mib)"
        )


@dataclass(slots=True)
class Extents:
    """Random access over `read_range(offset, length)`: small reads are rounded up and kept, large ones pass through."""

    size: int
    read_range: Callable[[int, int], bytes]
    kept: list[tuple[int, bytes]] = field(default_factory=list)

    def read_at(self, offset: int, length: int) -> bytes:
        length = max(0, min(length, self.size - offset))
        for start, data in self.kept:
            if start <= offset and offset + length <= start + len(data):
                return data[offset - start : offset - start + length]
        if length >= KEPT_BYTES:
            return self.read_range(offset, length)
        data = self.read_range(offset, min(max(length, AHEAD_BYTES), self.size - offset))
        self.kept.append((offset, data))
        del self.kept[1 : max(1, len(self.kept) - KEPT_EXTENTS)]  # the first extent is the file's head
        return data[:length]

"""When to try again: exponential back-off with full jitter, and the list of what waits for its next try. Pure."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`attempts` tries in all; the n-th back-off is `initial_seconds * 2**(n-1)`, at most `max_seconds`, half of it random."""

    attempts: int
    initial_seconds: float
    max_seconds: float

    def exhausted(self, attempts: int) -> bool:
        return attempts >= self.attempts

    def backoff(self, attempts: int, random: Callable[[], float]) -> float:
        """Seconds to wait after `attempts` failed tries; `random` gives [0, 1)."""
        ceiling = min(self.max_seconds, self.initial_seconds * 2.0 ** min(attempts - 1, 62))
        return ceiling / 2 + ceiling / 2 * random()


class Waiting(Generic[T]):
    """Things with a due time, earliest first."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, T]] = []
        self._order = count()

    def add(self, due: float, thing: T) -> None:
        heapq.heappush(self._heap, (due, next(self._order), thing))

    def due(self, now: float) -> list[T]:
        ready: list[T] = []
        while self._heap and self._heap[0][0] <= now:
            ready.append(heapq.heappop(self._heap)[2])
        return ready

    def remove(self, chosen: Callable[[T], bool]) -> list[T]:
        gone = [entry[2] for entry in self._heap if chosen(entry[2])]
        self._heap = [entry for entry in self._heap if not chosen(entry[2])]
        heapq.heapify(self._heap)
        return gone

    def __len__(self) -> int:
        return len(self._heap)

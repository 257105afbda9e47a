"""Which record may run now, so that those of one key or partition keep their order. Pure.

A lane holds what must stay in order; its head runs, the others wait for it. A record without a key is in no lane.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from pesto_stream.model.record import ConsumerRecord

T = TypeVar("T")
Ordering = Literal["none", "key", "partition"]


def lane_of(ordering: Ordering, record: ConsumerRecord) -> Hashable | None:
    """The lane of a record. Keys keep their order inside a partition, as on Kafka itself."""
    if ordering == "partition":
        return record.topic_partition
    if ordering == "key" and record.key is not None:
        return (record.topic, record.partition, record.key)
    return None


class Lanes(Generic[T]):
    def __init__(self) -> None:
        self._lanes: dict[Hashable, deque[T]] = {}

    def enter(self, lane: Hashable | None, thing: T) -> bool:
        """True: it may run now. False: it waits until `leave` hands it out."""
        if lane is None:
            return True
        waiting = self._lanes.get(lane)
        if waiting is None:
            self._lanes[lane] = deque()
            return True
        waiting.append(thing)
        return False

    def leave(self, lane: Hashable | None) -> T | None:
        """The head of the lane is done: the next one, which may run now, or None."""
        if lane is None:
            return None
        waiting = self._lanes[lane]
        if waiting:
            return waiting.popleft()
        del self._lanes[lane]
        return None

    def remove(self, chosen: Callable[[T], bool]) -> list[T]:
        """Take out what waits (not the heads, which run)."""
        gone: list[T] = []
        for lane, waiting in self._lanes.items():
            gone += [thing for thing in waiting if chosen(thing)]
            self._lanes[lane] = deque(thing for thing in waiting if not chosen(thing))
        return gone

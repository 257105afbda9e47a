"""The acknowledgement ledger: which offset may be committed. Pure: no client, no clock, no thread.

A partition that is assigned gets a `PartitionLedger` of its own with a new epoch; it dies with the assignment. A record is *received*
once per assignment, *in flight* until it is *settled* (result delivered, dead letter delivered, or filtered), and the *committable*
offset is the lowest one that is not settled. Offsets need not be contiguous (compaction, transaction markers): what counts is what was
received. Results of a dead ledger are stale, whatever they say.

Only the loop's thread calls these methods; workers read `live` and `taking`, which change once, from True to False.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pesto_stream.model.record import TopicPartition


class LedgerError(AssertionError):
    """A broken rule inside the runtime, never a record's or a user's fault."""


class PartitionLedger:
    """The ledger of one partition in one assignment (`epoch`)."""

    __slots__ = ("_committed", "_last_received", "_open", "_order", "epoch", "live", "partition", "taking")

    def __init__(self, partition: TopicPartition, epoch: int, committed: int | None = None) -> None:
        self.partition = partition
        self.epoch = epoch
        self.live = True
        self.taking = True
        self._committed = committed
        self._last_received = -1
        self._order: deque[int] = deque()
        self._open: set[int] = set()

    def receive(self, offset: int) -> None:
        """Note a record; offsets come in growing order.

        Raises LedgerError for one that was received before in this assignment: settling it twice would hide a gap.
        """
        if offset <= self._last_received:
            raise LedgerError(f"{self.partition}: offset {offset} after {self._last_received}")
        self._last_received = offset
        self._order.append(offset)
        self._open.add(offset)

    def settle(self, offset: int) -> bool:
        """Note a final outcome. False: this assignment is over, so nothing was noted.

        Raises LedgerError for an offset that is not in flight.
        """
        if not self.live:
            return False
        if offset not in self._open:
            raise LedgerError(f"{self.partition}: offset {offset} is not in flight")
        self._open.remove(offset)
        while self._order and self._order[0] not in self._open:
            self._order.popleft()
        return True

    @property
    def last_received(self) -> int:
        """-1 before the first record."""
        return self._last_received

    @property
    def in_flight(self) -> int:
        return len(self._open)

    @property
    def settled_above(self) -> frozenset[int]:
        """Offsets that are settled above the committable one."""
        return frozenset(self._order).difference(self._open)

    @property
    def committable(self) -> int | None:
        """The next offset for the group to read: the lowest unsettled one, or the one after the last received."""
        if self._order:
            return self._order[0]
        return self._last_received + 1 if self._last_received >= 0 else None

    @property
    def uncommitted(self) -> int | None:
        """The committable offset where it is ahead of what was committed, else None."""
        at = self.committable
        return None if not self.live or at is None or at == self._committed else at

    @property
    def committed(self) -> int | None:
        return self._committed

    def note_committed(self, offset: int | None) -> None:
        """None: a commit failed, so what stands at the broker is not known, and the next commit says it again."""
        self._committed = offset

    def stop_taking(self) -> None:
        """Work that has not begun is no longer wanted; what has begun may still be settled."""
        self.taking = False

    def end(self) -> None:
        """The assignment is over: whatever comes now is stale."""
        self.taking = False
        self.live = False


class Ledger:
    """All partitions that are assigned now."""

    def __init__(self) -> None:
        self._partitions: dict[TopicPartition, PartitionLedger] = {}
        self._epoch = 0

    def assign(self, partition: TopicPartition, committed: int | None = None) -> PartitionLedger:
        """A new epoch for a partition; one that was still assigned ends."""
        if (old := self._partitions.get(partition)) is not None:
            old.end()
        self._epoch += 1
        self._partitions[partition] = PartitionLedger(partition, self._epoch, committed)
        return self._partitions[partition]

    def get(self, partition: TopicPartition) -> PartitionLedger | None:
        return self._partitions.get(partition)

    def end(self, partitions: Iterable[TopicPartition]) -> None:
        for partition in partitions:
            if (ledger := self._partitions.pop(partition, None)) is not None:
                ledger.end()

    def uncommitted(self, partitions: Iterable[TopicPartition] | None = None) -> dict[TopicPartition, int]:
        """Offsets to commit, by partition, for those that moved since the last commit."""
        chosen = self._partitions if partitions is None else [tp for tp in partitions if tp in self._partitions]
        offsets = {tp: self._partitions[tp].uncommitted for tp in chosen}
        return {tp: offset for tp, offset in offsets.items() if offset is not None}

    def note_committed(self, offsets: dict[TopicPartition, int]) -> None:
        for partition, offset in offsets.items():
            if (ledger := self._partitions.get(partition)) is not None:
                ledger.note_committed(offset)

    def forget_committed(self, partitions: Iterable[TopicPartition] | None = None) -> None:
        """What stands at the broker is not known (a commit failed somewhere, or may yet): say it again, for these or for all."""
        for partition in self._partitions if partitions is None else partitions:
            if (ledger := self._partitions.get(partition)) is not None:
                ledger.note_committed(None)

    @property
    def in_flight(self) -> int:
        return sum(ledger.in_flight for ledger in self._partitions.values())

    @property
    def partitions(self) -> tuple[TopicPartition, ...]:
        return tuple(self._partitions)

    def __iter__(self) -> Iterator[PartitionLedger]:
        return iter(tuple(self._partitions.values()))

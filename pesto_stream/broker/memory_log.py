"""The log of one partition in memory."""

from __future__ import annotations

import zlib
from bisect import bisect_left
from operator import attrgetter
from typing import TYPE_CHECKING

from pesto_stream.model.record import ConsumerRecord

if TYPE_CHECKING:
    from pesto_stream.model.record import ProducerRecord, TopicPartition


class PartitionLog:
    """Records in the order of their offsets; `end` is the offset of the next one. Offsets may have gaps."""

    def __init__(self, partition: TopicPartition) -> None:
        self.partition = partition
        self.records: list[ConsumerRecord] = []
        self.end = 0

    def append(self, record: ProducerRecord, timestamp_ms: int) -> ConsumerRecord:
        written = ConsumerRecord(*self.partition, self.end, record.key, record.value, record.headers, timestamp_ms)
        self.records.append(written)
        self.end += 1
        return written

    def read(self, offset: int) -> ConsumerRecord | None:
        """The first record at `offset` or above."""
        index = bisect_left(self.records, offset, key=attrgetter("offset"))
        return self.records[index] if index < len(self.records) else None


def partition_for(key: bytes | None, partitions: int, turn: int) -> int:
    """The same key always goes to the same partition; records without a key go round by `turn`."""
    return turn % partitions if key is None else zlib.crc32(key) % partitions

"""Where a partition is read from: the group's committed position, the range that the broker holds, and the rule without a commit."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Any

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, KafkaException
from confluent_kafka import TopicPartition as _TopicPartition

from pesto_stream.broker.base import Position
from pesto_stream.broker.kafka_errors import translate
from pesto_stream.errors import BrokerUnavailable
from pesto_stream.model.record import TopicPartition

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from confluent_kafka import Consumer


class StartPolicy(IntEnum):
    """Where a group without a commit starts, as the client's logical offsets."""

    EARLIEST = OFFSET_BEGINNING
    LATEST = OFFSET_END

    @classmethod
    def of(cls, properties: Mapping[str, Any]) -> StartPolicy:
        """From the client's property, under each of its names for the end."""
        return cls.LATEST if properties.get("auto.offset.reset") in ("latest", "largest", "end") else cls.EARLIEST

    def first(self, committed: Position | None) -> int:
        return self.value if committed is None else committed.offset


def to_client(partition: TopicPartition, offset: int, metadata: str = "") -> _TopicPartition:
    return _TopicPartition(partition.topic, partition.partition, offset, metadata)


def read_positions(
    client: Consumer, partitions: Iterable[TopicPartition], timeout_seconds: float
) -> dict[TopicPartition, Position | None]:
    """The group's committed positions; None where there is none. Raises what `translate` gives: no answer is not "no commit"."""
    asked = [_TopicPartition(*tp) for tp in partitions]
    if not asked:
        return {}
    try:
        answer = client.committed(asked, timeout=timeout_seconds)
    except KafkaException as failure:
        raise translate(failure.args[0], "read committed offsets") from failure
    for p in answer:
        if p.error is not None:
            raise translate(p.error, f"read the committed offset of {p.topic}[{p.partition}]")
    return {TopicPartition(p.topic, p.partition): Position(p.offset, p.metadata or "") if p.offset >= 0 else None for p in answer}


def unlike(wanted: Mapping[TopicPartition, Position], found: Mapping[TopicPartition, Position | None]) -> list[TopicPartition]:
    """Partitions whose committed position is not the wanted one."""
    return [tp for tp, at in wanted.items() if found.get(tp) != at]


def read_range(client: Consumer, partition: TopicPartition, timeout_seconds: float) -> tuple[int, int]:
    """First offset that the broker holds, and the one after the last. Raises BrokerUnavailable, AuthorizationFailed."""
    try:
        answer = client.get_watermark_offsets(_TopicPartition(*partition), timeout=timeout_seconds)
    except KafkaException as failure:
        raise translate(failure.args[0], f"read the range of {partition}") from failure
    if answer is None:
        raise BrokerUnavailable(f"cannot read the range of {partition}: no answer within {timeout_seconds:g} s")
    return int(answer[0]), int(answer[1])

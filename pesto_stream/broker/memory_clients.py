"""The clients of the broker in memory. See `memory`."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Literal

from pesto_stream.broker.base import DeliveryReport, RecordTooLarge
from pesto_stream.errors import BrokerUnavailable, PestoStreamError
from pesto_stream.model.record import TopicPartition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pesto_stream.broker.base import Position, RebalanceListener
    from pesto_stream.broker.memory import Group, MemoryBroker
    from pesto_stream.model.record import ConsumerRecord, ProducerRecord

Start = Literal["earliest", "latest"]


class MemoryConsumer:
    """A member of a group. See `base.Consumer`."""

    def __init__(
        self, broker: MemoryBroker, group: Group, start: Start, on_commit_failed: Callable[[str], None] | None = None
    ) -> None:
        self._on_commit_failed = on_commit_failed
        self.owned: set[TopicPartition] = set()
        self.target: set[TopicPartition] = set()
        self._broker = broker
        self._group = group
        self._start = start
        self._topics: tuple[str, ...] = ()
        self._listener: RebalanceListener | None = None
        self._next: dict[TopicPartition, int] = {}
        self._first: dict[TopicPartition, int] = {}
        self._paused: set[TopicPartition] = set()
        self._lost: list[TopicPartition] = []
        self._expired = False
        self._unstored: dict[TopicPartition, Position] = {}
        self._turn = 0

    @property
    def connected(self) -> bool:
        return self._broker.reachable

    def wanted(self, broker: MemoryBroker) -> list[TopicPartition]:
        return [TopicPartition(topic, number) for topic in self._topics for number in range(broker.partitions(topic))]

    def subscribe(self, topics: Sequence[str], listener: RebalanceListener) -> None:
        with self._broker.changed:
            self._topics = tuple(topics)
            self._listener = listener
            self._join()

    def poll(self, timeout_seconds: float, max_records: int = 1, max_bytes: int = 1 << 62) -> list[ConsumerRecord]:
        """See `base.Consumer.poll`."""
        deadline = self._broker.clock.now() + timeout_seconds
        while True:
            self._broker.check("poll")
            self._follow_rebalance()
            with self._broker.changed:
                records = self._take(max_records, max_bytes)
                remaining = deadline - self._broker.clock.now()
                if records or remaining <= 0 or not self._broker.waits:
                    return records
                if not self._has_to_follow():
                    self._broker.changed.wait(remaining)

    def commit(self, positions: Mapping[TopicPartition, Position], *, wait: bool) -> None:
        """See `base.Consumer.commit`. A partition that this member does not own is refused, as by a broker's fencing."""
        with self._broker.changed:
            wanted = {**self._unstored, **positions}
            try:
                self._broker.check("commit")
                self._refuse_foreign(wanted)
            except PestoStreamError as failure:
                if wait:
                    raise
                if self._on_commit_failed is not None:
                    self._on_commit_failed(str(failure))
                self._unstored = {tp: at for tp, at in wanted.items() if tp in self.owned}
                return
            self._unstored = {}
            self._group.committed.update(wanted)

    def _refuse_foreign(self, positions: Mapping[TopicPartition, Position]) -> None:
        foreign = [str(tp) for tp in positions if tp not in self.owned]
        if foreign:
            raise BrokerUnavailable(f"cannot commit offsets of '{', '.join(foreign)}': not assigned to this member")

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        with self._broker.changed:
            self._paused.update(self.owned.intersection(partitions))

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        with self._broker.changed:
            self._paused.difference_update(partitions)

    def lag(self) -> dict[TopicPartition, int]:
        with self._broker.changed:
            return {tp: self._broker.log(tp).end - self._read_up_to(tp) for tp in self.owned}

    def _read_up_to(self, partition: TopicPartition) -> int:
        at = self._group.committed.get(partition)
        return at.offset if at is not None else self._first[partition]

    def close(self) -> None:
        """Leave the group; what is owned is revoked first."""
        self._give_up(sorted(self.owned))
        with self._broker.changed:
            self.vanish()

    def vanish(self) -> None:
        """Be no member any more, without callbacks."""
        if self in self._group.members:
            self._group.members.remove(self)
        self._forget(self.owned)
        self.target = set()
        self._group.rebalance(self._broker)
        self._broker.changed.notify_all()

    def lose_all(self) -> None:
        """Be thrown out of the group; the next poll tells the listener and joins again."""
        self._lost.extend(sorted(self.owned))
        self._expired = True
        self.vanish()

    def _join(self) -> None:
        if self not in self._group.members:
            self._group.members.append(self)
        self._group.rebalance(self._broker)

    def _has_to_follow(self) -> bool:
        return bool(self._expired or self.owned - self.target or self._free())

    def _free(self) -> list[TopicPartition]:
        return sorted(tp for tp in self.target - self.owned if self._group.owner(tp) is None)

    def _follow_rebalance(self) -> None:
        with self._broker.changed:
            lost, self._lost = self._lost, []
            expired, self._expired = self._expired, False
        if lost and self._listener is not None:
            self._listener.on_lost(lost)
        if expired:
            with self._broker.changed:
                self._join()
        self._give_up(sorted(self.owned - self.target))
        self._take_over()

    def _give_up(self, partitions: list[TopicPartition]) -> None:
        if not partitions:
            return
        try:
            if self._listener is not None:
                self._listener.on_revoked(partitions)
        finally:
            with self._broker.changed:
                self._forget(partitions)
                self._broker.changed.notify_all()

    def _take_over(self) -> None:
        with self._broker.changed:
            positions = {tp: self._group.committed.get(tp) for tp in self._free()}
            self.owned.update(positions)
            self._first.update({tp: self._first_offset(tp) if at is None else at.offset for tp, at in positions.items()})
            self._next.update({tp: self._first[tp] for tp in positions})
        if positions and self._listener is not None:
            self._listener.on_assigned(positions)

    def _first_offset(self, partition: TopicPartition) -> int:
        return 0 if self._start == "earliest" else self._broker.log(partition).end

    def _forget(self, partitions: Iterable[TopicPartition]) -> None:
        gone = set(partitions)
        self.owned -= gone
        self._paused -= gone
        for partition in gone:
            self._next.pop(partition, None)
            self._unstored.pop(partition, None)

    def _take(self, max_records: int, max_bytes: int) -> list[ConsumerRecord]:
        records: list[ConsumerRecord] = []
        taken = 0
        while len(records) < max_records and taken < max_bytes and (record := self._take_one()) is not None:
            records.append(record)
            taken += record.size
        return records

    def _take_one(self) -> ConsumerRecord | None:
        """The next record, partition by partition in turn."""
        ready = sorted(self.owned - self._paused)
        for step in range(len(ready)):
            partition = ready[(self._turn + step) % len(ready)]
            record = self._broker.log(partition).read(self._next[partition])
            if record is not None:
                self._turn += step + 1
                self._next[partition] = record.offset + 1
                return record
        return None


class MemoryProducer:
    """See `base.Producer`. A record is written by `send`; its report waits for `poll` or `flush`."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker
        self._due: deque[tuple[Callable[[DeliveryReport], None], DeliveryReport]] = deque()

    def partitions(self, topic: str, timeout_seconds: float) -> int:
        """See `base.Producer.partitions`. Never waits."""
        if not self._broker.reachable:
            raise BrokerUnavailable(
                f"cannot look up topic '{topic}' within {timeout_seconds} s: the broker in memory is unreachable"
            )
        return self._broker.partitions(topic)

    def send(self, record: ProducerRecord, on_delivery: Callable[[DeliveryReport], None]) -> None:
        """See `base.Producer.send`."""
        self._broker.check("send")
        if record.size > self._broker.client_limit:
            raise RecordTooLarge(f"{record.size} bytes are over the client's limit of {self._broker.client_limit}")
        with self._broker.changed:
            self._due.append((on_delivery, DeliveryReport(record, self._write(record))))
            self._broker.changed.notify_all()

    def _write(self, record: ProducerRecord) -> PestoStreamError | None:
        try:
            self._broker.check("report")
            if record.size > self._broker.topic_limit:
                return _refused_by_topic(record, self._broker.topic_limit)
            self._broker.append(record)
        except PestoStreamError as failure:
            return failure
        return None

    def poll(self, timeout_seconds: float) -> int:
        """See `base.Producer.poll`. Reports run outside the lock."""
        with self._broker.changed:
            if self._broker.waits and timeout_seconds > 0:
                self._broker.changed.wait_for(self._any_due, timeout_seconds)
            due = list(self._due) if self._any_due() else []
            for _ in due:
                self._due.popleft()
        for on_delivery, report in due:
            on_delivery(report)
        return len(due)

    def flush(self, timeout_seconds: float) -> int:
        if self._due:
            self.poll(timeout_seconds)
        return len(self._due)

    def close(self) -> None:
        self._due.clear()

    def _any_due(self) -> bool:
        return bool(self._due) and not self._broker.holding_reports


def _refused_by_topic(record: ProducerRecord, limit: int) -> PestoStreamError:
    error = BrokerUnavailable(f"cannot send to topic '{record.topic}': {record.size} bytes are over the topic's limit of {limit}")
    error.__cause__ = RecordTooLarge(str(error))
    return error

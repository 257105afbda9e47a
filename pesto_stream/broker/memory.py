"""The ports of `base` in memory: a broker with topics, groups and rebalances, for tests of the runtime.

One lock guards everything (callbacks run outside it), and nothing happens in the background: a rebalance, a delivery report, a record
is seen by whoever calls `poll` next. So a test that uses it from one thread is deterministic, and several threads may use it too.
"""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from typing import TYPE_CHECKING, Literal

from pesto_stream.broker.memory_clients import MemoryConsumer, MemoryProducer, Start
from pesto_stream.broker.memory_log import PartitionLog, partition_for
from pesto_stream.clock import SystemClock
from pesto_stream.errors import BrokerUnavailable
from pesto_stream.model.record import TopicPartition

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pesto_stream.broker.base import Position
    from pesto_stream.clock import Clock
    from pesto_stream.errors import PestoStreamError
    from pesto_stream.model.record import ConsumerRecord, ProducerRecord

Call = Literal["poll", "commit", "send", "report"]
"""What can be made to fail: a call, or the delivery of a record (`report`: it is not written, and its report carries the error)."""


class MemoryBroker:
    """Topics and groups. `client_limit` and `topic_limit` are record sizes in bytes: `send` refuses a record over the first, a report
    one over the second.

    With `waits=False` a `poll` that finds nothing returns at once, for simulations that move a clock by hand.
    """

    def __init__(
        self,
        topics: Mapping[str, int] | None = None,
        *,
        client_limit: int = 1 << 62,
        topic_limit: int = 1 << 62,
        clock: Clock | None = None,
        waits: bool = True,
    ) -> None:
        self.client_limit = client_limit
        self.topic_limit = topic_limit
        self.waits = waits
        self.reachable = True
        self.clock = clock or SystemClock()
        self.changed = threading.Condition(threading.RLock())
        self.holding_reports = False
        self._topics: dict[str, list[PartitionLog]] = {}
        self._groups: defaultdict[str, Group] = defaultdict(Group)
        self._failures: dict[Call, deque[PestoStreamError]] = defaultdict(deque)
        self._unkeyed = 0
        for name, partitions in (topics or {}).items():
            self.create_topic(name, partitions)

    def create_topic(self, name: str, partitions: int) -> None:
        with self.changed:
            self._topics.setdefault(name, [PartitionLog(TopicPartition(name, number)) for number in range(partitions)])
            self._rebalance_all()

    def consumer(
        self, group: str, *, start: Start = "earliest", on_commit_failed: Callable[[str], None] | None = None
    ) -> MemoryConsumer:
        """`on_commit_failed` is given the reason of each `commit(wait=False)` that failed."""
        return MemoryConsumer(self, self._groups[group], start, on_commit_failed)

    def producer(self) -> MemoryProducer:
        return MemoryProducer(self)

    # -- what tests look at and stir

    def records(self, topic: str) -> list[ConsumerRecord]:
        """All records of a topic, partition after partition."""
        with self.changed:
            return [record for log in self._topics.get(topic, []) for record in log.records]

    def append(self, record: ProducerRecord, partition: int | None = None) -> ConsumerRecord:
        """Write one record as a foreign producer would."""
        with self.changed:
            log = self._log_for(record, partition)
            written = log.append(record, int(self.clock.utc().timestamp() * 1000))
            self.changed.notify_all()
            return written

    def skip_offsets(self, partition: TopicPartition, count: int) -> None:
        """Leave a gap in the offsets, as compaction and transaction markers do."""
        with self.changed:
            self.log(partition).end += count

    def committed(self, group: str, partition: TopicPartition) -> Position | None:
        with self.changed:
            return self._groups[group].committed.get(partition)

    def fail_next(self, call: Call, error: PestoStreamError, times: int = 1) -> None:
        """The next `times` calls of that kind fail with `error`."""
        with self.changed:
            self._failures[call].extend([error] * times)

    def hold_reports(self) -> None:
        """From now on no delivery report becomes due."""
        with self.changed:
            self.holding_reports = True

    def release_reports(self) -> None:
        with self.changed:
            self.holding_reports = False
            self.changed.notify_all()

    def crash(self, consumer: MemoryConsumer) -> None:
        """The member is gone without a word: no callback, no commit; others take its partitions over."""
        with self.changed:
            consumer.vanish()

    def expire(self, consumer: MemoryConsumer) -> None:
        """The member was silent for too long: others take its partitions over; it hears so (`on_lost`) at its next poll, and rejoins."""
        with self.changed:
            consumer.lose_all()

    # -- used by the clients below

    def check(self, call: Call) -> None:
        """Raise what was put there by `fail_next`, or BrokerUnavailable while the broker is not reachable."""
        with self.changed:
            if self._failures[call]:
                raise self._failures[call].popleft()
            if not self.reachable:
                raise BrokerUnavailable(f"cannot {call}: the broker in memory was made unreachable")

    def partitions(self, topic: str) -> int:
        with self.changed:
            return len(self._topics.get(topic, ()))

    def log(self, partition: TopicPartition) -> PartitionLog:
        return self._topics[partition.topic][partition.partition]

    def _log_for(self, record: ProducerRecord, partition: int | None) -> PartitionLog:
        logs = self._topics.get(record.topic)
        if not logs:
            raise BrokerUnavailable(f"cannot send to topic '{record.topic}': there is no such topic")
        if partition is None:
            self._unkeyed += record.key is None
            partition = partition_for(record.key, len(logs), self._unkeyed)
        return logs[partition]

    def _rebalance_all(self) -> None:
        for group in self._groups.values():
            group.rebalance(self)
        self.changed.notify_all()


class Group:
    """The members of one group, in the order they joined, with what each should own and what each still owns."""

    def __init__(self) -> None:
        self.members: list[MemoryConsumer] = []
        self.committed: dict[TopicPartition, Position] = {}

    def rebalance(self, broker: MemoryBroker) -> None:
        """Set every member's `target`: even shares, and a member keeps what it has as far as its share goes."""
        partitions = sorted({tp for member in self.members for tp in member.wanted(broker)})
        if not self.members:
            return
        share, extra = divmod(len(partitions), len(self.members))
        left = set(partitions)
        for number, member in enumerate(self.members):
            room = share + (number < extra)
            member.target = set(sorted(member.owned & left)[:room])
            left -= member.target
        for number, member in enumerate(self.members):
            room = share + (number < extra) - len(member.target)
            given = sorted(left)[:room]
            member.target.update(given)
            left.difference_update(given)
        broker.changed.notify_all()

    def owner(self, partition: TopicPartition) -> MemoryConsumer | None:
        return next((member for member in self.members if partition in member.owned), None)

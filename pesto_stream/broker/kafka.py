"""The ports of `base` on confluent-kafka (librdkafka). Measured behaviour that shaped it is said where it binds."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import orjson
from confluent_kafka import Consumer as _Consumer
from confluent_kafka import KafkaError, KafkaException, Message
from confluent_kafka import Producer as _Producer
from confluent_kafka import TopicPartition as _TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic as _NewTopic

from pesto_stream.broker.base import DeliveryReport, Position, RecordTooLarge
from pesto_stream.broker.kafka_errors import kind_of, translate
from pesto_stream.clock import SystemClock
from pesto_stream.errors import BrokerUnavailable, FatalError
from pesto_stream.model.record import ConsumerRecord, ProducerRecord, TopicPartition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pesto_stream.broker.base import RebalanceListener
    from pesto_stream.clock import Clock
    from pesto_stream.errors import PestoStreamError

_log = logging.getLogger("pesto_stream.broker")

_COMMITTED_TIMEOUT_SECONDS = 10.0
_QUEUE_FULL_WAIT_SECONDS = 0.005


class KafkaConsumer:
    """A group member. Offsets are committed by hand only; partitions come and go incrementally."""

    def __init__(self, properties: Mapping[str, Any], *, on_commit_failed: Callable[[str], None] | None = None) -> None:
        self._on_commit_failed = on_commit_failed
        self._connected = False
        self._ends: dict[TopicPartition, int] = {}
        self._committed: dict[TopicPartition, int] = {}
        self._owned: set[TopicPartition] = set()
        self._pending: PestoStreamError | None = None
        self._listener: RebalanceListener | None = None
        settings = {"statistics.interval.ms": 1000, **properties}
        settings |= {"error_cb": self._on_error, "stats_cb": self._on_stats, "on_commit": self._on_commit}
        self._client = _Consumer(settings, logger=_log)

    @property
    def connected(self) -> bool:
        return self._connected

    def subscribe(self, topics: Sequence[str], listener: RebalanceListener) -> None:
        self._listener = listener
        self._client.subscribe(list(topics), on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost)

    def poll(self, timeout_seconds: float, max_records: int = 1, max_bytes: int = 1 << 62) -> list[ConsumerRecord]:
        """See `base.Consumer.poll`. One by one: `consume(n, t)` would wait for n records or the whole time-out."""
        records: list[ConsumerRecord] = []
        self._raise_pending()
        taken = 0
        while len(records) < max_records and taken < max_bytes:
            message = self._poll_one(0 if records else timeout_seconds)
            if message is None:
                break
            if (error := message.error()) is not None:
                self._note(error)
                if not records:
                    self._raise_pending()
                break
            record = _record(message)
            records.append(record)
            taken += record.size
        if records:
            self._connected = True
        return records

    def commit(self, positions: Mapping[TopicPartition, Position], *, wait: bool) -> None:
        offsets = [_TopicPartition(tp.topic, tp.partition, at.offset, at.metadata) for tp, at in positions.items()]
        try:
            if wait:
                self._check_committed(self._client.commit(offsets=offsets, asynchronous=False))
            else:
                self._client.commit(offsets=offsets, asynchronous=True)
        except KafkaException as failure:
            self._commit_refused(failure)
        else:
            self._committed.update({tp: at.offset for tp, at in positions.items()})

    def _commit_refused(self, failure: KafkaException) -> None:
        error = failure.args[0]
        if kind_of(error) != "harmless":
            raise translate(error, "commit offsets") from failure

    def _check_committed(self, answer: Iterable[_TopicPartition]) -> None:
        for partition in answer:
            if partition.error is not None and kind_of(partition.error) != "harmless":
                raise translate(partition.error, f"commit offset {partition.offset} of {partition.topic}[{partition.partition}]")

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        self._client.pause([_TopicPartition(*tp) for tp in partitions if tp in self._owned])

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        self._client.resume([_TopicPartition(*tp) for tp in partitions if tp in self._owned])

    def lag(self) -> dict[TopicPartition, int]:
        known = {tp: self._ends[tp] for tp in self._owned if tp in self._ends}
        return {tp: max(0, end - self._committed.get(tp, 0)) for tp, end in known.items()}

    def close(self) -> None:
        self._client.close()
        self._owned.clear()
        self._connected = False

    def _poll_one(self, timeout_seconds: float) -> Message | None:
        try:
            return self._client.poll(timeout_seconds)
        except KafkaException as failure:
            raise translate(failure.args[0], "poll") from failure

    def _note(self, error: KafkaError) -> None:
        kind = kind_of(error)
        if kind in ("authorization", "fatal"):
            self._pending = translate(error, "read")
        elif kind != "harmless":
            _log.warning("consumer error: %s (%s)", error.str(), error.name())

    def _raise_pending(self) -> None:
        if self._pending is not None:
            error, self._pending = self._pending, None
            raise error

    # -- rebalance callbacks: run inside poll and close, in the thread that polls

    def _assigned(self, client: _Consumer, partitions: list[_TopicPartition]) -> None:
        positions = self._read_positions(client, partitions)
        self._owned.update(positions)
        self._committed.update({tp: at.offset for tp, at in positions.items() if at is not None})
        if self._listener is not None:
            self._listener.on_assigned(positions)
        client.incremental_assign(partitions)

    def _read_positions(self, client: _Consumer, partitions: list[_TopicPartition]) -> dict[TopicPartition, Position | None]:
        if not partitions:
            return {}
        try:
            committed = client.committed(partitions, timeout=_COMMITTED_TIMEOUT_SECONDS)
        except KafkaException as failure:
            _log.warning("cannot read committed positions: %s", failure)
            committed = partitions
        return {
            TopicPartition(p.topic, p.partition): Position(p.offset, p.metadata or "") if p.offset >= 0 else None
            for p in committed
        }

    def _revoked(self, client: _Consumer, partitions: list[_TopicPartition]) -> None:
        gone = [TopicPartition(p.topic, p.partition) for p in partitions]
        if self._listener is not None:
            self._listener.on_revoked(gone)
        self._forget(gone)
        client.incremental_unassign(partitions)

    def _lost(self, client: _Consumer, partitions: list[_TopicPartition]) -> None:
        gone = [TopicPartition(p.topic, p.partition) for p in partitions]
        if self._listener is not None:
            self._listener.on_lost(gone)
        self._forget(gone)
        client.incremental_unassign(partitions)

    def _forget(self, partitions: Iterable[TopicPartition]) -> None:
        for partition in partitions:
            self._owned.discard(partition)
            self._committed.pop(partition, None)
            self._ends.pop(partition, None)

    # -- client callbacks: run inside poll

    def _on_error(self, error: KafkaError) -> None:
        if error.name() == "_ALL_BROKERS_DOWN":
            self._connected = False
        self._note(error)

    def _on_commit(self, error: KafkaError | None, _partitions: list[_TopicPartition]) -> None:
        if error is not None and kind_of(error) != "harmless" and self._on_commit_failed is not None:
            self._on_commit_failed(error.name())

    def _on_stats(self, text: str) -> None:
        stats = orjson.loads(text)
        self._connected = any(b["state"] in ("UP", "UPDATE") for b in stats["brokers"].values() if b["nodeid"] >= 0)
        for topic, details in stats["topics"].items():
            for number, partition in details["partitions"].items():
                if partition["hi_offset"] >= 0:
                    self._ends[TopicPartition(topic, int(number))] = partition["hi_offset"]


def _record(message: Any) -> ConsumerRecord:
    """Without an error, a message has a topic, a partition and an offset."""
    return ConsumerRecord(
        message.topic(),
        message.partition(),
        message.offset(),
        message.key(),
        message.value(),
        tuple(message.headers() or ()),
        max(0, message.timestamp()[1]),
    )


class KafkaProducer:
    """An idempotent producer, `acks=all`. A fatal client error makes it dead: every later call raises FatalError."""

    def __init__(self, properties: Mapping[str, Any], clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._client = _Producer({**properties, "error_cb": self._on_error}, logger=_log)
        self._queue_timeout = float(properties.get("delivery.timeout.ms", 120_000)) / 1000
        self._max_bytes = int(properties.get("message.max.bytes", 1_000_000))
        self._dead: FatalError | None = None

    def send(self, record: ProducerRecord, on_delivery: Callable[[DeliveryReport], None]) -> None:
        """See `base.Producer.send`. The client copies the value once, under the GIL, and takes only bytes."""
        deadline = self._clock.now() + self._queue_timeout
        while not self._enqueue(record, on_delivery):
            if self._clock.now() > deadline:
                raise BrokerUnavailable(f"cannot send to topic '{record.topic}': the client's queue stayed full")
            self.poll(_QUEUE_FULL_WAIT_SECONDS)

    def _enqueue(self, record: ProducerRecord, on_delivery: Callable[[DeliveryReport], None]) -> bool:
        self._check_alive()

        def report(error: KafkaError | None, _message: Message) -> None:
            problem = None if error is None else translate(error, f"send to topic '{record.topic}'")
            on_delivery(DeliveryReport(record, problem))

        try:
            self._client.produce(record.topic, record.value, record.key, headers=list(record.headers), on_delivery=report)
        except BufferError:
            return False
        except KafkaException as failure:
            error = failure.args[0]
            if kind_of(error) == "too_large":
                raise RecordTooLarge(f"{record.size} bytes are over the client's limit of {self._max_bytes}") from failure
            raise translate(error, f"send to topic '{record.topic}'") from failure
        return True

    def poll(self, timeout_seconds: float) -> int:
        try:
            return int(self._client.poll(timeout_seconds))
        except (KafkaException, SystemError) as failure:
            raise self._die(failure) from failure

    def flush(self, timeout_seconds: float) -> int:
        try:
            return int(self._client.flush(timeout_seconds))
        except (KafkaException, SystemError) as failure:
            raise self._die(failure) from failure

    def close(self) -> None:
        """Drop what is still queued; call `flush` first to wait for it."""
        self._client.purge(in_flight=True, in_queue=True)

    def _die(self, failure: BaseException) -> FatalError:
        """A fatal error is raised by poll and may swallow delivery reports: nothing after it can be trusted."""
        self._dead = FatalError(f"the producer failed for good: {failure}")
        return self._dead

    def _check_alive(self) -> None:
        if self._dead is not None:
            raise self._dead

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            self._dead = FatalError(f"the producer failed for good: {error.str()} ({error.name()})")
        else:
            _log.debug("producer: %s (%s)", error.str(), error.name())


class KafkaAdmin:
    """What the runtime asks of the cluster before it joins."""

    def __init__(self, properties: Mapping[str, Any]) -> None:
        self._client = AdminClient(dict(properties), logger=_log)

    def topics(self, timeout_seconds: float) -> dict[str, int]:
        """Names and partition counts. Raises BrokerUnavailable, AuthorizationFailed."""
        try:
            found = self._client.list_topics(timeout=timeout_seconds).topics
        except KafkaException as failure:
            raise translate(failure.args[0], "reach the broker") from failure
        return {name: len(topic.partitions) for name, topic in found.items()}

    def create_topic(self, name: str, partitions: int, *, timeout_seconds: float = 30.0) -> None:
        """Create a topic with the broker's default replication; one that exists is left as it is."""
        future = self._client.create_topics([_NewTopic(name, partitions)])[name]
        try:
            future.result(timeout_seconds)
        except KafkaException as failure:
            if failure.args[0].name() != "TOPIC_ALREADY_EXISTS":
                raise translate(failure.args[0], f"create topic '{name}'") from failure

"""The ports to a broker. Only the adapters beside this file know a client library."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pesto_stream.errors import PestoStreamError
    from pesto_stream.model.record import ConsumerRecord, ProducerRecord, TopicPartition


class Position(NamedTuple):
    """What is committed for a partition: the next offset to read, and our metadata text beside it."""

    offset: int
    metadata: str = ""


class RebalanceListener(Protocol):
    """Called inside `Consumer.poll`, in the thread that polls."""

    def on_assigned(self, partitions: Mapping[TopicPartition, Position | None]) -> None:
        """New partitions with their committed position (None: none yet). Fetching starts after the return."""

    def on_revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """Still ours until the return: settle and commit here."""

    def on_lost(self, partitions: Sequence[TopicPartition]) -> None:
        """No longer ours: commit nothing."""


class Consumer(Protocol):
    """A member of a consumer group. One thread polls; `commit`, `pause` and `resume` are called by the same thread."""

    def subscribe(self, topics: Sequence[str], listener: RebalanceListener) -> None: ...

    def poll(self, timeout_seconds: float, max_records: int = 1, max_bytes: int = 1 << 62) -> list[ConsumerRecord]:
        """Up to `max_records`, ending with the one that reaches `max_bytes`; waits for the first at most `timeout_seconds`,
        never for the others.

        Raises BrokerUnavailable (all brokers down: may pass), AuthorizationFailed, FatalError.
        """

    def commit(self, positions: Mapping[TopicPartition, Position], *, wait: bool) -> None:
        """Store positions. `wait=False` returns at once; a failure is then only counted and the next commit makes up for it.

        Raises BrokerUnavailable with `wait=True` when the broker refused or did not answer.
        """

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        """Give no records of these until `resume`, or until they are assigned anew."""

    def resume(self, partitions: Iterable[TopicPartition]) -> None: ...

    def lag(self) -> dict[TopicPartition, int]:
        """Records between the committed position and the end, by assigned partition, from cached figures. Never waits."""

    @property
    def connected(self) -> bool:
        """Whether a broker answers, as far as the client knows. Never waits."""

    def close(self) -> None:
        """Leave the group. Revocation callbacks may run inside."""


class DeliveryReport(NamedTuple):
    """What became of one `send`: `error` is None when the broker has confirmed the record."""

    record: ProducerRecord
    error: PestoStreamError | None


class RecordTooLarge(Exception):
    """The record is over the client's or the topic's size limit."""


class Producer(Protocol):
    """An idempotent producer. `send` and `partitions` may be called by any thread. Reports are called inside `poll`, `flush`, and a
    `send` that waits, in the thread that called it: they must be quick and thread-safe.
    """

    def partitions(self, topic: str, timeout_seconds: float) -> int:
        """How many partitions a topic has; 0 where there is no such topic (and the broker creates none by being asked).

        Raises BrokerUnavailable when no broker answers in time, AuthorizationFailed.
        """

    def send(self, record: ProducerRecord, on_delivery: Callable[[DeliveryReport], None]) -> None:
        """Queue one record; waits while the client's queue is full.

        Raises RecordTooLarge at once for a record over the client's limit; a limit of the broker comes as a report whose error
        has RecordTooLarge as its cause. Raises BrokerUnavailable when the queue stays full.
        """

    def poll(self, timeout_seconds: float) -> int:
        """Run due delivery reports; returns how many."""

    def flush(self, timeout_seconds: float) -> int:
        """Wait for outstanding reports; returns how many are still out."""

    def close(self) -> None:
        """Drop what is still queued, without a wait; call `flush` first to have it delivered. No report comes afterwards."""

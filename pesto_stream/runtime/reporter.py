"""Tells of what the loop does: each thing that happens to a record is counted, and logged where it is not the ordinary course.

Promise 4 lives here: nothing disappears without a counter and a log line with topic, partition, offset and reason.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING

from pesto_stream.log import get_logger
from pesto_stream.model.outcome import Outcome
from pesto_stream.model.snapshot import PartitionSnapshot, RunState
from pesto_stream.runtime.rates import Rates

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pesto_stream.broker.base import Consumer
    from pesto_stream.clock import Clock
    from pesto_stream.errors import FatalError, TransientError
    from pesto_stream.metrics import Metrics
    from pesto_stream.model.record import ConsumerRecord, TopicPartition
    from pesto_stream.runtime.board import Board
    from pesto_stream.runtime.flow import Budget
    from pesto_stream.runtime.job import Job
    from pesto_stream.runtime.ledger import Ledger

_log = get_logger(__name__)

_PUBLISH_SECONDS = 0.5


class Reporter:
    def __init__(self, board: Board, metrics: Metrics, clock: Clock) -> None:
        self._board = board
        self._metrics = metrics
        self._clock = clock
        self._rates = Rates(clock.now())
        self._settled: Counter[str] = Counter()
        self._publish_due = clock.now()
        self.timed_out = False

    def enter(self, state: RunState) -> None:
        self._board.enter(state)
        _log.info("state", state=str(state))
        for each in RunState:
            self._metrics.set("pesto_state", float(each is state), state=str(each))

    def turned(self) -> None:
        self._board.turned()

    def failed(self, error: FatalError | TransientError) -> None:
        self._board.publish(failure=f"{type(error).__name__}: {error}")
        self._board.note_error(error, "runtime")
        _log.error("stopping", error_type=type(error).__name__, reason=str(error))

    # -- records

    def received(self, record: ConsumerRecord) -> None:
        self._metrics.count("pesto_records_received_total")
        self._metrics.count("pesto_received_bytes_total", record.size)
        self._rates.count("received", self._clock.now())

    def settled(self, job: Job, outcome: Outcome, result_bytes: int) -> None:
        self._settled[outcome] += 1
        self._metrics.count("pesto_records_settled_total", outcome=outcome)
        self._rates.count(outcome, self._clock.now())
        if outcome is Outcome.DELIVERED:
            self._metrics.count("pesto_result_bytes_total", result_bytes)
            self._metrics.observe("pesto_tile_age_seconds", max(0.0, self._clock.utc().timestamp() - event_time(job.record)))
        if outcome is Outcome.DEAD_LETTER and job.error is not None:
            self._board.note_error(job.error, job.error.stage, job.record.position)

    def filtered(self, record: ConsumerRecord, reason: str) -> None:
        _log.info("filtered", topic=record.topic, partition=record.partition, offset=record.offset, reason=reason)

    def stale(self, job: Job, stage: str) -> None:
        self._settled[Outcome.STALE] += 1
        self._metrics.count("pesto_stale_records_total", stage=stage)
        record = job.record
        _log.info(
            "stale",
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            epoch=job.ledger.epoch,
            stage=stage,
            reason="the partition was taken away; whoever has it now does this record",
        )

    def interrupted(self, job: Job, error: TransientError) -> None:
        self._metrics.count("pesto_retries_total", error_type=type(error).__name__)
        self._board.note_error(error, "retry", job.record.position)
        record = job.record
        _log.warning(
            "interrupted",
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            attempts=job.attempts,
            error_type=type(error).__name__,
            reason=str(error),
        )

    def over_time(self, job: Job) -> None:
        self.timed_out = True
        self._board.publish(timed_out=job.record.position)

    # -- group and offsets

    def lost(self, partition: TopicPartition, first: int, end: int) -> None:
        """The broker no longer has the offsets [first, end)."""
        self._metrics.count("pesto_lost_records_total", end - first)
        _log.error(
            "lost",
            topic=partition.topic,
            partition=partition.partition,
            offset=first,
            records=end - first,
            reason="the topic's retention removed them before they were read; raise retention.ms or retention.bytes",
        )

    def rebalanced(self, event: str, partitions: Iterable[TopicPartition]) -> None:
        self._metrics.count("pesto_rebalances_total", event=event)
        _log.info("rebalanced", change=event, partitions=[str(tp) for tp in partitions])
        self._publish_due = self._clock.now()

    def committed(self, partitions: int) -> None:
        self._metrics.count("pesto_commits_total", result="sent")
        _log.debug("committed", partitions=partitions)

    def commit_refused(self, reason: str) -> None:
        self._metrics.count("pesto_commits_total", result="refused")
        _log.warning(
            "commit_refused", reason=reason, effect="said again with the next commit; after a revocation the records run again"
        )

    # -- the snapshot

    def publish_if_due(self, now: float, ledger: Ledger, budget: Budget, consumer: Consumer, *, paused: bool) -> None:
        if now < self._publish_due:
            return
        self._publish_due = now + _PUBLISH_SECONDS
        lag = consumer.lag()
        partitions = tuple(
            PartitionSnapshot(p.partition.topic, p.partition.partition, p.in_flight, p.committed, lag.get(p.partition))
            for p in ledger
        )
        self._board.publish(
            broker_connected=consumer.connected,
            partitions=partitions,
            in_flight_records=ledger.in_flight,
            in_flight_bytes=budget.bytes,
            in_flight_limit_bytes=budget.limit_bytes,
            paused=paused,
            settled={str(outcome): number for outcome, number in self._settled.items()},
            rates_per_second=self._rates.per_second(now),
        )
        self._set_gauges(partitions, ledger, budget, paused=paused)

    def _set_gauges(self, partitions: tuple[PartitionSnapshot, ...], ledger: Ledger, budget: Budget, *, paused: bool) -> None:
        self._metrics.set("pesto_assigned_partitions", len(partitions))
        self._metrics.set("pesto_in_flight_records", ledger.in_flight)
        self._metrics.set("pesto_in_flight_bytes", budget.bytes)
        self._metrics.set("pesto_in_flight_limit_bytes", budget.limit_bytes)
        self._metrics.set("pesto_paused", float(paused))
        self._metrics.forget("pesto_consumer_lag_records")
        for p in partitions:
            if p.lag is not None:
                self._metrics.set("pesto_consumer_lag_records", p.lag, topic=p.topic, partition=str(p.partition))


def event_time(record: ConsumerRecord) -> float:
    """Seconds since 1970 of `ce_time` (RFC 3339), where there is a readable one, else of the record's own timestamp."""
    for name, value in record.headers:
        if name == "ce_time" and value is not None:
            try:
                return datetime.fromisoformat(value.decode("ascii")).timestamp()
            except ValueError:
                break
    return record.timestamp_ms / 1000

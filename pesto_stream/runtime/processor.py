"""The loop: one thread that polls the broker and owns the ledger.

Each turn asks pure objects what to do and does it, in this order: delivery reports and what workers tell (they make room and move
offsets), retries that are due, tiles over their time, new records, commit. Nothing here decodes, computes or encodes, and nothing waits
for a worker except a revocation, which is bounded.

The promises that this file keeps: 1 (commit only what is settled), 2 (nothing of an older epoch), 3 (a dead letter that cannot be written
stops the runtime), 5 (polling goes on while the algorithm works), 6 (revocation settles inside the callback), 8 (trouble outside backs off
and stops).
"""

from __future__ import annotations

import random
from queue import Empty
from typing import TYPE_CHECKING

from pesto_stream.errors import AlgorithmTimeout, BrokerUnavailable, FatalError, TransientError
from pesto_stream.log import get_logger
from pesto_stream.model.outcome import Outcome
from pesto_stream.model.snapshot import RunState
from pesto_stream.runtime.commits import Commits
from pesto_stream.runtime.flow import Intake
from pesto_stream.runtime.job import Broken, CommitRefused, Delivered, Dropped, Interrupted, Job, Undelivered
from pesto_stream.runtime.ordering import lane_of
from pesto_stream.runtime.pipeline import ALGORITHM, too_large
from pesto_stream.runtime.sender import broken_by, refused_for_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from queue import SimpleQueue

    from pesto_stream.broker.base import Consumer, Position, Producer
    from pesto_stream.clock import Clock
    from pesto_stream.model.record import ConsumerRecord, TopicPartition
    from pesto_stream.runtime.job import Event
    from pesto_stream.runtime.reporter import Reporter
    from pesto_stream.runtime.rules import Rules, State
    from pesto_stream.runtime.workers import Workers

_log = get_logger(__name__)

_MAX_RECORDS_PER_POLL = 500
_IDLE_POLL_SECONDS = 0.2
_BUSY_POLL_SECONDS = 0.01
_HOLD_SECONDS = 0.01
_FLUSH_SECONDS = 5.0
_JOIN_SECONDS = 2.0


class StreamProcessor:
    """A member at work. `run` is called once, by one thread, which alone touches the state. A drain waits for `requests` as well."""

    def __init__(
        self,
        consumer: Consumer,
        producer: Producer,
        workers: Workers,
        state: State,
        rules: Rules,
        events: SimpleQueue[Event],
        clock: Clock,
        reporter: Reporter,
        jitter: Callable[[], float] = random.random,
        requests: Callable[[], Iterable[Job]] = tuple,
    ) -> None:
        self._consumer = consumer
        self._producer = producer
        self._workers = workers
        self._ledger, self._lanes, self._waiting = state.ledger, state.lanes, state.waiting
        self._budget, self._flow = state.budget, state.flow
        self._rules = rules
        self._events = events
        self._clock = clock
        self._reporter = reporter
        self._jitter, self._requests = jitter, requests
        self._open: set[Job] = set()
        self._paused: frozenset[TopicPartition] = frozenset()
        self._stops = 0
        self._closing = False
        self._hopeless = False
        self.hung = False
        """After `run`: whether some thread still works, so that the process can only be ended from outside."""
        self._failure: FatalError | TransientError | None = None
        self._commits = Commits(consumer, state.ledger, reporter, self._fail, rules.commit_interval_seconds, clock.now())
        self._connected_at = clock.now()

    # -- life

    def run(self) -> None:
        """Work until a stop is asked for. Raises what made it stop: FatalError, or TransientError for trouble that lasted too long."""
        self._connected_at = self._clock.now()
        try:
            self._consumer.subscribe([self._rules.input_topic], self)
            self._workers.start()
            self._reporter.enter(RunState.RUNNING)
            while self._stops == 0 and self._failure is None:
                self._turn()
            self._drain()
        except Exception as bug:  # noqa: BLE001 - the outermost handler of the loop: it ends as a failure that says so
            self._break(bug)
        finally:
            self._close()
        if self._failure is not None:
            raise self._failure

    def request_stop(self) -> None:
        """The first call drains, a second one aborts. May be called by a signal handler."""
        self._stops += 1

    def _turn(self) -> None:
        now = self._clock.now()
        self._reporter.turned()
        self._hear()
        self._retry_due(now)
        self._watch_time()
        self._take(now)
        self._commits.if_due(now)
        self._report(now)

    def _drain(self) -> None:
        """Finish what is in flight within the budget of time; after a tile that ran over its time, only what the algorithm has begun."""
        if not self._hopeless:
            self._reporter.enter(RunState.DRAINING)
            if failed := self._failure is not None:
                self._stop_taking(frozenset(self._ledger.partitions))
            jobs = self._requests  # asked at each turn, as the open ones are
            self._pump(lambda: (*self._open, *jobs()), self._rules.drain_seconds, self._poll_only, begun_only=failed)
        if (left := len(self._open)) > 0:
            _log.warning("left_in_flight", records=left, reason="stopped before they were settled; they stay uncommitted")

    def _close(self) -> None:
        self._closing = True
        self._workers.stop()
        self._stop_taking(frozenset(self._ledger.partitions))
        if self._ledger.partitions and self._reachable():
            self._guard(lambda: self._producer.flush(_FLUSH_SECONDS))
            self._hear()
            self._commits.settle()
        self._ledger.end(self._ledger.partitions)
        self._producer.close()  # before the join: it frees a worker that waits for room in the client's queue
        self.hung = not self._workers.join(_JOIN_SECONDS)
        self._leave()
        self._reporter.enter(RunState.STOPPED)

    def _leave(self) -> None:
        try:
            self._consumer.close()
        except TransientError as trouble:
            self._reporter.commit_refused(str(trouble))  # all that leaving still does for us is to make up for commits
        except FatalError as failure:
            self._fail(failure)

    def _reachable(self) -> bool:
        """Whether a final flush and commit may be tried without waiting for a broker that is known to be away."""
        return not isinstance(self._failure, BrokerUnavailable) and self._consumer.connected

    def _fail(self, error: FatalError | TransientError, *, hopeless: bool = True) -> None:
        """The first failure ends the run. `hopeless`: nothing that is in flight can be settled any more, so nothing waits for it."""
        self._hopeless = self._hopeless or hopeless
        if self._failure is None:
            self._failure = error
            self._reporter.failed(error)

    def _break(self, bug: Exception) -> None:
        """What a bug has left in the ledger cannot be trusted: nothing more is committed."""
        _log.exception("bug_in_the_loop", reason=repr(bug))
        self._ledger.end(self._ledger.partitions)
        failure = FatalError(f"bug in the loop: {bug!r}")
        failure.__cause__ = bug
        self._fail(failure)

    def _guard(self, serve: Callable[[], object]) -> None:
        """A call that serves delivery reports; a client that fails in it has failed for good."""
        try:
            serve()
        except (FatalError, TransientError) as failure:
            self._fail(failure)

    def _wait_for_reports(self, seconds: float = _HOLD_SECONDS) -> None:
        self._guard(lambda: self._producer.poll(seconds))

    # -- new records

    def _take(self, now: float) -> None:
        intake = self._flow.decide(now)
        self._set_paused(pause=intake is Intake.PAUSE)
        if intake is Intake.HOLD:
            self._wait_for_reports()
            return
        for record in self._poll(_BUSY_POLL_SECONDS if self._open else _IDLE_POLL_SECONDS):
            self._accept(record, now)

    def _poll(self, timeout_seconds: float) -> Sequence[ConsumerRecord]:
        try:
            records = self._consumer.poll(timeout_seconds, _MAX_RECORDS_PER_POLL, max(1, self._budget.free_bytes))
        except TransientError as trouble:
            _log.warning("poll_failed", reason=str(trouble))
            self._watch_connection(answered=False)
            self._wait_for_reports(_IDLE_POLL_SECONDS)  # or trouble that is told at once would make the loop spin
        except FatalError as failure:
            self._fail(failure)
        else:
            self._watch_connection(answered=self._consumer.connected)
            return records
        return ()

    def _poll_only(self) -> None:
        """Stay a member without taking: a drain may outlast the group's patience. What an assignment still brings is left unread."""
        self._set_paused(pause=True)
        self._poll(_HOLD_SECONDS)

    def _watch_connection(self, *, answered: bool) -> None:
        """Trouble that a poll tells counts as no answer, even from a broker that is there."""
        now = self._clock.now()
        if answered:
            self._connected_at = now
        elif now - self._connected_at > self._rules.unavailable_timeout_seconds:
            away = f"no broker has answered for {self._rules.unavailable_timeout_seconds:g} s"
            self._fail(BrokerUnavailable(f"{away} (kafka.unavailable_timeout_seconds)"))

    def _accept(self, record: ConsumerRecord, now: float) -> None:
        ledger = self._ledger.get(record.topic_partition)
        if ledger is None:
            return  # revoked inside the poll that returned it: whoever has it now reads it again
        if record.offset <= ledger.last_received:
            _log.warning("offsets_went_back", position=record.position, last_received=ledger.last_received)
            ledger = self._ledger.assign(record.topic_partition)
        ledger.receive(record.offset)
        self._reporter.received(record)
        job = Job(record, ledger, lane_of(self._rules.ordering, record), now, charged_bytes=record.size)
        self._open.add(job)
        self._budget.change(job.charged_bytes)
        if record.value is None:
            self._reporter.filtered(record, "tombstone")
            job.lane = None  # it has no result whose order could matter
            self._settle(job, Outcome.FILTERED, 0)
        elif self._lanes.enter(job.lane, job):
            self._start(job)

    def _start(self, job: Job) -> None:
        if job.ledger.taking:
            self._workers.submit(job)
        else:
            self._drop(job, "queue")

    def _set_paused(self, *, pause: bool) -> None:
        wanted = frozenset(self._ledger.partitions) if pause else frozenset()
        if wanted != self._paused:
            self._consumer.pause(wanted - self._paused)
            self._consumer.resume(self._paused - wanted)
            self._paused = wanted

    # -- what workers and the client tell

    def _hear(self) -> None:
        """Serve delivery reports and everything that was told since."""
        self._wait_for_reports(0)
        try:
            while True:
                self._handle(self._events.get_nowait())
        except Empty:
            return

    def _handle(self, event: Event) -> None:
        match event:
            case Delivered():
                self._settle(event.job, event.outcome, event.bytes)
            case Dropped():
                self._drop(event.job, event.stage)
            case Undelivered():
                self._undelivered(event)
            case Interrupted():
                self._interrupted(event.job, event.error)
            case CommitRefused():
                self._reporter.commit_refused(event.reason)
                self._ledger.forget_committed()
            case Broken():
                self._fail(event.error)

    def _settle(self, job: Job, outcome: Outcome, size: int) -> None:
        if job.ledger.settle(job.record.offset):
            self._reporter.settled(job, outcome, size)
        else:
            self._reporter.stale(job, "delivery")
        self._finish(job)

    def _drop(self, job: Job, stage: str) -> None:
        self._reporter.stale(job, stage)
        self._finish(job)

    def _finish(self, job: Job) -> None:
        """The next one of its lane may begin. Those that are not wanted any more go in a loop: a lane may be long."""
        self._forget(job)
        while (following := self._lanes.leave(job.lane)) is not None:
            if following.ledger.taking:
                return self._workers.submit(following)
            self._reporter.stale(following, "queue")
            self._forget(following)
        return None

    def _forget(self, job: Job) -> None:
        self._open.discard(job)
        self._budget.change(-job.charged_bytes, unfolded=-job.unfolded)
        job.charged_bytes = job.unfolded = 0

    def _undelivered(self, event: Undelivered) -> None:
        if refused_for_size(event):
            limit = "the topic's max.message.bytes or the broker's message.max.bytes"
            self._workers.reject(event.job, too_large(event.record, limit))
        else:
            self._fail(broken_by(event).error)

    def _interrupted(self, job: Job, error: TransientError) -> None:
        job.attempts += 1
        job.begun = job.settling = False
        self._reporter.interrupted(job, error)
        if not job.ledger.taking:
            self._drop(job, "retry")
        elif self._rules.retry.exhausted(job.attempts):
            self._fail(error)
        else:
            self._waiting.add(self._clock.now() + self._rules.retry.backoff(job.attempts, self._jitter), job)

    def _retry_due(self, now: float) -> None:
        for job in self._waiting.due(now):
            self._start(job)

    def _watch_time(self) -> None:
        """A thread cannot be ended: its tile becomes a dead letter, and this process ends for its supervisor to start afresh."""
        limit = self._rules.algorithm_timeout_seconds
        if limit is None:
            return
        for job, since in self._workers.running(ALGORITHM):
            if self._clock.now() - since > limit and self._workers.give_up(job):
                over = AlgorithmTimeout(f"the algorithm did not return within {limit:g} s (algorithm.timeout_seconds)")
                self._workers.reject(job, over)
                self._reporter.over_time(job)
                afresh = FatalError(f"{over}; tile {job.record.position} is a dead letter, the process starts afresh")
                self._fail(afresh, hopeless=False)

    # -- rebalance: called inside consumer.poll and close

    def on_assigned(self, partitions: Mapping[TopicPartition, Position | None]) -> None:
        self._reporter.rebalanced("assigned", partitions)
        self._paused -= partitions.keys()  # one that was paused before comes back without its pause
        for partition, position in partitions.items():
            self._ledger.assign(partition, None if position is None else position.offset)

    def on_revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """Stop taking, finish what the algorithm has begun within the budget of time, commit, and forget the rest."""
        self._reporter.rebalanced("revoked", partitions)
        chosen = frozenset(partitions)
        self._stop_taking(chosen)
        if not self._closing:
            mine = _of(chosen)
            self._pump(lambda: filter(mine, self._open), self._rules.revoke_seconds, self._wait_for_reports)
        self._commits.settle(partitions)
        self._ledger.end(partitions)

    def on_lost(self, partitions: Sequence[TopicPartition]) -> None:
        """Others may have them already: commit nothing."""
        self._reporter.rebalanced("lost", partitions)
        self._ledger.end(partitions)
        self._stop_taking(frozenset(partitions))

    def _stop_taking(self, partitions: frozenset[TopicPartition]) -> None:
        for partition in partitions:
            if (ledger := self._ledger.get(partition)) is not None:
                ledger.stop_taking()
        for job in self._lanes.remove(_of(partitions)):
            self._reporter.stale(job, "queue")
            self._forget(job)
        for job in self._waiting.remove(_of(partitions)):
            self._drop(job, "retry")

    def _pump(
        self, jobs: Callable[[], Iterable[Job]], seconds: float, wait: Callable[[], None], *, begun_only: bool = True
    ) -> None:
        """Serve reports until those jobs are settled (or only those that the algorithm has begun), or the time is over."""
        deadline = self._clock.now() + seconds
        while not self._hopeless and self._stops < 2 and self._clock.now() < deadline:  # noqa: PLR2004 - a second stop aborts
            self._reporter.turned()
            self._hear()
            if not any(job.begun or not begun_only for job in jobs()):
                return
            now = self._clock.now()
            self._retry_due(now)
            self._watch_time()
            self._commits.if_due(now)
            wait()

    # -- what others see

    def _report(self, now: float) -> None:
        self._reporter.publish_if_due(now, self._ledger, self._budget, self._consumer, paused=bool(self._paused))


def _of(partitions: frozenset[TopicPartition]) -> Callable[[Job], bool]:
    return lambda job: job.record.topic_partition in partitions

"""Requests from elsewhere, done by the same stages as records: a request is a job like others, but for its two ends.

It waits its turn in the same queues, holds its share of the same budget, and obeys the same limits. It has no offset, so the ledger and
the broker never hear of it, and its answer comes back through a future. A fatal error of a request is one of the runtime.
"""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from itertools import count
from threading import Lock
from typing import TYPE_CHECKING

from pesto_stream.errors import NotServing, PestoStreamError, TooManyRequests
from pesto_stream.log import get_logger
from pesto_stream.model.record import ConsumerRecord, TopicPartition
from pesto_stream.runtime.job import Dropped, Interrupted, Job
from pesto_stream.runtime.ledger import PartitionLedger
from pesto_stream.runtime.way import Way

if TYPE_CHECKING:
    from collections.abc import Callable

    from pesto_stream.clock import Clock
    from pesto_stream.errors import RecordError
    from pesto_stream.metrics import Metrics
    from pesto_stream.model.record import Headers, ProducerRecord
    from pesto_stream.runtime.flow import Budget
    from pesto_stream.runtime.job import Event
    from pesto_stream.runtime.pipeline import Pipeline

_log = get_logger(__name__)

PLACE = TopicPartition("http", 0)
"""Stands for topic and partition in what is logged of a request."""
BODIES_SHARE = 0.25
"""Of the budget: what the bodies of requests may hold together, so that records are never kept out for good."""


@dataclass(frozen=True, slots=True)
class GatewayLimits:
    """`max_requests`: at once, from the first byte of the body to the last of the answer."""

    max_requests: int


class Gateway:
    """Any thread may call it. `serving` says whether the runtime takes work now; `submit` is that of the workers."""

    def __init__(
        self,
        pipeline: Pipeline,
        submit: Callable[[Job], None],
        budget: Budget,
        clock: Clock,
        metrics: Metrics,
        limits: GatewayLimits,
        serving: Callable[[], bool],
    ) -> None:
        self.pipeline = pipeline
        self.submit = submit
        self.clock = clock
        self._budget = budget
        self._metrics = metrics
        self._limits = limits
        self._serving = serving
        self._lock = Lock()
        self._open: set[Exchange] = set()
        self._bodies = 0
        self._offsets = count()
        self.closed = False

    def admit(self) -> Exchange:
        """Raises TooManyRequests, NotServing."""
        if not self._serving():
            self._count("refused")
            raise NotServing("this member takes no requests now: it is starting, or about to stop")
        exchange = Exchange(self, next(self._offsets))
        with self._lock:
            full = len(self._open) >= self._limits.max_requests
            if not full and not self.closed:
                self._open.add(exchange)
                self._metrics.set("pesto_open_requests", len(self._open))
                return exchange
        self._count("refused")
        if full:
            raise TooManyRequests(
                f"{self._limits.max_requests} requests are being worked on, as many as http.max_requests lets in"
            )
        raise NotServing("this member has stopped")

    @property
    def jobs(self) -> list[Job]:
        """Those that the stages still work on, for a drain to wait for."""
        with self._lock:
            return [exchange.job for exchange in self._open if exchange.job is not None and exchange.in_work]

    def close(self) -> None:
        """Nothing works any more: whoever still waits is told."""
        with self._lock:
            self.closed = True
            left = [exchange for exchange in self._open if exchange.in_work]
        for exchange in left:
            exchange.give_up()

    def hold(self, amount: int) -> None:
        """Raises TooManyRequests where the bodies hold too much together; `amount` counts all the same."""
        self._budget.change(amount)
        with self._lock:
            self._bodies += amount
            over = amount > 0 and self._bodies > self._budget.limit_bytes * BODIES_SHARE
        if over:
            self._count("refused")
            raise TooManyRequests("the requests that are being worked on hold as much memory as they may (memory.in_flight_mib)")

    def forget(self, exchange: Exchange, body_bytes: int) -> None:
        """Done on both sides: give back what it held."""
        job = exchange.job
        if job is None:
            self._budget.change(-body_bytes)
        else:
            self._budget.change(-job.charged_bytes, unfolded=-job.unfolded)
            job.charged_bytes = job.unfolded = 0
        with self._lock:
            self._bodies -= body_bytes
            self._open.discard(exchange)
            self._metrics.set("pesto_open_requests", len(self._open))

    def ended(self, job: Job, error: PestoStreamError | None) -> None:
        self._count("answered" if error is None else "dropped" if isinstance(error, NotServing) else "failed")
        if error is not None:
            about = {"position": job.record.position, "error_type": type(error).__name__, "reason": str(error)}
            _log.warning("request_failed", correlationid=_correlation_id(job.record), **about)

    def _count(self, outcome: str) -> None:
        self._metrics.count("pesto_requests_total", outcome=outcome)


class Exchange:
    """One request that was let in. `end` must be called once, whatever happens; then it holds nothing as soon as the stages are done."""

    def __init__(self, gateway: Gateway, number: int) -> None:
        self._gateway = gateway
        self._number = number
        self._lock = Lock()
        self._answer: Future[bytes] = Future()
        self._body_bytes = 0
        self._ended = False
        self.job: Job | None = None
        self.in_work = False

    def take(self, amount: int) -> None:
        """Note bytes of the body as they come. Raises TooManyRequests."""
        self._body_bytes += amount
        self._gateway.hold(amount)

    def submit(self, body: bytes, headers: Headers) -> Future[bytes]:
        """The result's value. The future fails with a RecordError, a TransientError (try again) or NotServing."""
        self._answer.set_running_or_notify_cancel()
        now, utc = self._gateway.clock.now(), self._gateway.clock.utc()
        record = ConsumerRecord(*PLACE, self._number, None, body, headers, int(utc.timestamp() * 1000))
        way = Way(self._gateway.pipeline, self, self.tell)
        # a ledger of its own, which nothing commits: the stages ask it whether the job is still wanted
        self.job = Job(record, PartitionLedger(PLACE, 0), None, now, charged_bytes=self._body_bytes, way=way)
        self.in_work = True
        self._gateway.submit(self.job)
        if self._gateway.closed:  # meanwhile: nobody takes it from the queue
            self.give_up()
        return self._answer

    def end(self) -> None:
        """The answer was sent, or nobody wants it any more: what the algorithm has not begun is dropped."""
        with self._lock:
            first, self._ended = not self._ended, True
            done = not self.in_work
        if self.job is not None:
            self.job.ledger.end()
        if first and done:
            self._gateway.forget(self, self._body_bytes)

    def give_up(self) -> None:
        """The stages have stopped, with or without it."""
        self._fail(NotServing("this member stopped before the request was done"))

    # -- what the stages call

    def result(self, _job: Job, record: ProducerRecord) -> None:
        self._settle(record.value or b"", None)

    def dead_letter(self, _job: Job, error: RecordError) -> None:
        self._fail(error)

    def tell(self, event: Event) -> None:
        match event:
            case Interrupted():
                self._fail(event.error)
            case Dropped():
                self._fail(NotServing(f"dropped before stage '{event.stage}': nobody waits for the answer any more"))

    def _fail(self, error: PestoStreamError) -> None:
        self._settle(b"", error)

    def _settle(self, value: bytes, error: PestoStreamError | None) -> None:
        with self._lock:
            if not self.in_work or self.job is None:
                return  # it was answered before: a time-out and the stop of the runtime may both tell it
            self.in_work = False
            ended = self._ended
        self._gateway.ended(self.job, error)
        if error is None:
            self._answer.set_result(value)
        else:
            self._answer.set_exception(error)
        if ended:
            self._gateway.forget(self, self._body_bytes)


def _correlation_id(record: ConsumerRecord) -> str:
    return next((value.decode() for name, value in record.headers if name == "ce_correlationid" and value is not None), "")

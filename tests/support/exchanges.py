"""The processing API without a runtime behind it: an engine that tests answer by hand, and the pages' needs around it."""

from __future__ import annotations

from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from pesto_stream.clock import SystemClock
from pesto_stream.service.jobs import JobLimits, JobStore
from pesto_stream.service.processing import Processing, ProcessingLimits
from support.builders import IMAGE, IMAGES

if TYPE_CHECKING:
    from pesto_stream.clock import Clock
    from pesto_stream.errors import PestoStreamError

PROPERTIES = {
    "mask": IMAGE,
    "tiles": IMAGES,
    "coverage": {"type": "number"},
    "label": {"type": "string"},
    "zone": {"type": "object"},
}


class Asked:
    """A request that was let in, for a test to look at and to answer."""

    def __init__(self) -> None:
        self.answer: Future[bytes] = Future()
        self.body = b""
        self.headers: dict[str, str] = {}
        self.taken = 0
        self.ends = 0
        self.full: PestoStreamError | None = None

    def take(self, amount: int) -> None:
        self.taken += amount
        if self.full is not None:
            raise self.full

    def submit(self, body: bytes, headers: Any) -> Future[bytes]:
        self.body, self.headers = body, {name: value.decode() for name, value in headers}
        self.answer.set_running_or_notify_cancel()
        return self.answer

    def end(self) -> None:
        self.ends += 1


class HandEngine:
    """`respond` answers a request as soon as it is submitted; without it a test does, through `asked`."""

    def __init__(self, respond: Any = None) -> None:
        self.asked: list[Asked] = []
        self.refuse: PestoStreamError | None = None
        self.full: PestoStreamError | None = None
        self._respond = respond

    def admit(self) -> Asked:
        if self.refuse is not None:
            raise self.refuse
        one = Asked()
        one.full = self.full
        self.asked.append(one)
        if self._respond is not None:
            submit = one.submit

            def answered(body: bytes, headers: Any) -> Future[bytes]:
                future = submit(body, headers)
                outcome = self._respond(one)
                (future.set_exception if isinstance(outcome, BaseException) else future.set_result)(outcome)
                return future

            one.submit = answered
        return one


def a_processing(
    engine: Any = None,
    *,
    asynchronous: bool = False,
    clock: Clock | None = None,
    public_url: str | None = None,
    job_limits: JobLimits | None = None,
    **limits: Any,
) -> Processing:
    clock = clock or SystemClock()
    bounds = {"max_body_bytes": 1 << 20, "timeout_seconds": 30.0, "transfer_seconds": 30.0, **limits}
    store = JobStore(job_limits or JobLimits(10, 1 << 20, 3600.0), clock.now) if asynchronous else None
    return Processing(
        engine=lambda: engine,
        limits=ProcessingLimits(**bounds),
        properties=PROPERTIES,
        config={"zoom": 3},
        clock=clock,
        jobs=store,
        public_url=public_url,
    )

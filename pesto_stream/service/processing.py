"""PESTO's processing API over HTTP: one request through the runtime, answered at once or as a job.

Nothing here waits in a way that keeps the server's other pages waiting: the work is done elsewhere, and its end comes as a future.
"""

from __future__ import annotations

import asyncio
import logging
import re
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from starlette.concurrency import run_in_threadpool

from pesto_stream.errors import (
    DecodeError,
    EnvelopeError,
    NotServing,
    PestoStreamError,
    RequestRefused,
    TooManyRequests,
    TransientError,
    UnexpectedError,
)
from pesto_stream.model.envelope import JSON
from pesto_stream.service.body import HttpRefused, grant, read_body
from pesto_stream.service.links import API, base_url
from pesto_stream.service.replies import CORRELATION, PiecewiseReply, error_reply, json_reply
from pesto_stream.service.results import results_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Future

    from starlette.requests import Request
    from starlette.responses import Response

    from pesto_stream.clock import Clock
    from pesto_stream.model.record import Headers
    from pesto_stream.model.spec import Schema
    from pesto_stream.service.jobs import JobStore, StoredJob

log = logging.getLogger(__name__)

RETRY_SECONDS: Final = 1
_CORRELATION_ID: Final = re.compile(r"[\x21-\x7e]{1,200}\Z")


class Exchange(Protocol):
    """One request that was let in; `runtime.gateway` has it. `end` is called once, whatever happens."""

    def take(self, amount: int) -> None:
        """Note bytes of the body as they come. Raises TooManyRequests."""

    def submit(self, body: bytes, headers: Headers) -> Future[bytes]:
        """The result's value. The future fails with a RecordError, TransientError, RequestRefused."""

    def end(self) -> None: ...


class Engine(Protocol):
    def admit(self) -> Exchange:
        """Raises RequestRefused."""


@dataclass(frozen=True, slots=True)
class ProcessingLimits:
    """`timeout_seconds`: until the answer of a synchronous request. `transfer_seconds`: for a body, and for an answer."""

    max_body_bytes: int
    timeout_seconds: float
    transfer_seconds: float


@dataclass(frozen=True, slots=True)
class Processing:
    """What the processing pages need. `engine` gives None while the runtime starts; `jobs` is there for an asynchronous project;
    `properties` are those of the output, `config` the project's own.
    """

    engine: Callable[[], Engine | None]
    limits: ProcessingLimits
    properties: Mapping[str, Schema]
    config: Mapping[str, Any]
    clock: Clock
    jobs: JobStore | None = None
    public_url: str | None = None


class ProcessPage:
    """`POST /api/v1/process`."""

    def __init__(self, processing: Processing) -> None:
        self._is = processing
        self._tasks: set[asyncio.Task[None]] = set()

    async def answer(self, request: Request) -> Response:
        given = request.headers.get(CORRELATION, "")
        correlation = given if _CORRELATION_ID.match(given) else str(uuid.uuid4())
        try:
            exchange = self._admitted(request)
        except (HttpRefused, RequestRefused) as error:
            return self._refusal(error, correlation)
        reply = None
        try:
            reply = await self._answered(request, exchange, correlation)
        except (HttpRefused, PestoStreamError) as error:
            return self._refusal(error, correlation)
        finally:
            if reply is None:
                exchange.end()
        return reply

    def _admitted(self, request: Request) -> Exchange:
        _check_content_type(request)
        engine = self._is.engine()
        if engine is None:
            raise NotServing("this member is starting: the algorithm is not loaded, or no broker was reached yet")
        return engine.admit()

    async def _answered(self, request: Request, exchange: Exchange, correlation: str) -> Response:
        limits = self._is.limits
        body = await read_body(request, exchange.take, limits.max_body_bytes, limits.transfer_seconds)
        headers = _record_headers(request, correlation)
        if self._is.jobs is not None:
            return self._begun(self._is.jobs, request, exchange, (body, headers), correlation)
        grant(request, limits.timeout_seconds + limits.transfer_seconds)
        value = await self._awaited(request, exchange.submit(body, headers))
        grant(request, limits.transfer_seconds)
        return PiecewiseReply(value, JSON, exchange.end, {CORRELATION: correlation})

    async def _awaited(self, request: Request, answer: Future[bytes]) -> bytes:
        """The answer, unless it takes too long or its client goes away."""
        waiting = asyncio.wrap_future(answer)
        gone = asyncio.ensure_future(_disconnected(request))
        either: set[asyncio.Future[Any]] = {waiting, gone}
        try:
            await asyncio.wait(either, timeout=self._is.limits.timeout_seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
        if waiting.done():
            return waiting.result()
        raise HttpRefused(504, f"no result within {self._is.limits.timeout_seconds:g} s (http.timeout_seconds)")

    # -- jobs

    def _begun(
        self, jobs: JobStore, request: Request, exchange: Exchange, asked: tuple[bytes, Headers], correlation: str
    ) -> Response:
        """PESTO's link to the job's status. The job has its exchange from here on."""
        job = jobs.add()
        answer = exchange.submit(*asked)
        task = asyncio.ensure_future(self._work(jobs, job, answer))
        job.cancel = task.cancel
        self._tasks.add(task)
        task.add_done_callback(lambda task: self._ended(task, jobs, job, exchange))
        root = f"{base_url(request, self._is.public_url)}{API}/jobs"
        return json_reply({"link": f"{root}/{job.id}/status"}, headers={CORRELATION: correlation})

    async def _work(self, jobs: JobStore, job: StoredJob, answer: Future[bytes]) -> None:
        try:
            value = await asyncio.wrap_future(answer)
        except PestoStreamError as error:
            jobs.fail(job, error)
        else:
            jobs.finish(job, await run_in_threadpool(results_of, value, self._is.properties))

    def _ended(self, task: asyncio.Task[None], jobs: JobStore, job: StoredJob, exchange: Exchange) -> None:
        """Called however the task ended, also where it was cancelled before it began."""
        self._tasks.discard(task)
        exchange.end()
        if not task.cancelled() and (bug := task.exception()) is not None:
            log.error("bug in the results of job %s", job.id, exc_info=bug)
            jobs.fail(job, UnexpectedError(f"unexpected {type(bug).__name__} in the results: {bug}", "encode"))

    def _refusal(self, error: HttpRefused | PestoStreamError, correlation: str) -> Response:
        return refusal(error, correlation, self._is.clock)


def refusal(error: HttpRefused | PestoStreamError, correlation: str | None, clock: Clock) -> Response:
    """The answer that an error of a request becomes."""
    status = status_of(error)
    headers = {CORRELATION: correlation} if correlation else {}
    if status in (429, 503):
        headers["retry-after"] = str(RETRY_SECONDS)
    if isinstance(error, HttpRefused):
        headers["connection"] = "close"  # what is left of the body is not read
    stamp = clock.utc().isoformat(timespec="milliseconds").replace("+00:00", "Z")
    hint = None if isinstance(error, HttpRefused) else type(error).__name__
    return error_reply(str(error), status, headers=headers, hint=hint, correlationId=correlation, timestamp=stamp)


def status_of(error: HttpRefused | PestoStreamError) -> int:
    """400: the request's own fault. 429, 503: try again. 500: the algorithm's or ours."""
    match error:
        case HttpRefused():
            return error.status
        case EnvelopeError() | DecodeError():
            return 400
        case TooManyRequests():
            return 429
        case RequestRefused() | TransientError():
            return 503
        case _:
            return 500


def _check_content_type(request: Request) -> None:
    """JSON only. A page in somebody's browser may send other kinds of text anywhere without being asked for leave."""
    given = request.headers.get("content-type", "")
    if given.partition(";")[0].strip().lower() != JSON:
        raise HttpRefused(415, f"cannot read content type '{given[:100]}': expected '{JSON}'")


def _record_headers(request: Request, correlation: str) -> Headers:
    trace = request.headers.get("traceparent")
    known = (("content-type", JSON.encode()), ("ce_correlationid", correlation.encode()))
    return (*known, ("traceparent", trace.encode("latin-1"))) if trace and _CORRELATION_ID.match(trace) else known


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass

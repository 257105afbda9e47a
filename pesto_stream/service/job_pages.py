"""PESTO's pages of asynchronous jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import Response
from starlette.routing import Route

from pesto_stream.service.body import grant
from pesto_stream.service.jobs import JobState, JobStore, StoredJob
from pesto_stream.service.links import API, base_url
from pesto_stream.service.processing import refusal
from pesto_stream.service.replies import HEADERS, PiecewiseReply, error_reply, json_reply

if TYPE_CHECKING:
    from starlette.requests import Request

    from pesto_stream.service.processing import Processing, ProcessPage

JOBS = f"{API}/jobs"
_NO_CONTENT = 204
_SHOWN = 60


class JobPages:
    def __init__(self, processing: Processing, store: JobStore) -> None:
        self._is = processing
        self._store = store

    def routes(self, process: ProcessPage) -> list[Route]:
        one, results = f"{JOBS}/{{job}}", f"{JOBS}/{{job}}/results"
        return [
            Route(JOBS, self._list, methods=["GET"]),
            Route(JOBS, process.answer, methods=["POST"]),
            Route(one, self._delete, methods=["DELETE"]),
            Route(f"{one}/status", self._status, methods=["GET"]),
            Route(results, self._results, methods=["GET"]),
            Route(f"{results}/{{name}}", self._result, methods=["GET"]),
            Route(f"{results}/{{name}}", self._delete_result, methods=["DELETE"]),
        ]

    async def _list(self, request: Request) -> Response:
        root = self._root(request)
        return json_reply({job: {"link": f"{root}/{job}/status"} for job in self._store.ids()})

    async def _status(self, request: Request) -> Response:
        job = self._job(request)
        return _unknown(request) if job is None else json_reply(job.status(self._root(request)))

    async def _results(self, request: Request) -> Response:
        job = self._job(request)
        return _unknown(request) if job is None else self._unready(job) or json_reply(job.links(self._root(request)))

    async def _result(self, request: Request) -> Response:
        job = self._job(request)
        if job is None:
            return _unknown(request)
        if (unready := self._unready(job)) is not None:
            return unready
        part = job.results.parts.get(request.path_params["name"])
        if part is None:
            return _no_result(request)
        grant(request, self._is.limits.transfer_seconds)
        return PiecewiseReply(part.body, part.media_type, lambda: None)

    async def _delete(self, request: Request) -> Response:
        job = self._job(request)
        if job is None:
            return _unknown(request)
        self._store.remove(job)
        return Response(status_code=_NO_CONTENT, headers=HEADERS)

    async def _delete_result(self, request: Request) -> Response:
        job = self._job(request)
        if job is None:
            return _unknown(request)
        if not self._store.remove_part(job, request.path_params["name"]):
            return _no_result(request)
        return json_reply({})  # as PESTO answers it

    def _job(self, request: Request) -> StoredJob | None:
        return self._store.get(request.path_params["job"])

    def _root(self, request: Request) -> str:
        return f"{base_url(request, self._is.public_url)}{JOBS}"

    def _unready(self, job: StoredJob) -> Response | None:
        if job.state is JobState.RUNNING:
            return error_reply(f"job '{job.id}' is still running: ask for its status until it says DONE", 404)
        return None if job.error is None else refusal(job.error, None, self._is.clock)


def _unknown(request: Request) -> Response:
    return error_reply(f"no job is called '{request.path_params['job'][:_SHOWN]}'; it may have been forgotten to make room", 404)


def _no_result(request: Request) -> Response:
    return error_reply(f"the job has no result '{request.path_params['name'][:_SHOWN]}'", 404)

"""The sidecar's pages, as an ASGI application. Without processing every page is a GET (or HEAD), and none changes anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Route

from pesto_stream.service import health
from pesto_stream.service.job_pages import JobPages
from pesto_stream.service.links import API, base_url, with_links
from pesto_stream.service.processing import ProcessPage
from pesto_stream.service.replies import error_reply, json_reply, text_reply
from pesto_stream.service.status import status

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from starlette.requests import Request
    from starlette.responses import Response

    from pesto_stream.metrics import Metrics
    from pesto_stream.model.snapshot import Snapshot
    from pesto_stream.service.processing import Processing

    Page = Callable[[Request], Response]
    Endpoint = Callable[[Request], Awaitable[Response]]

Document = Mapping[str, Any] | Callable[[], Mapping[str, Any]]
"""A JSON object, or what gives one when it is asked for."""

METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
"""Prometheus exposition formats, "Text-based format"."""


@dataclass(frozen=True, slots=True)
class Documents:
    """What the pages of these names below /api/v1 answer; `_links` in the first become absolute."""

    describe: Document
    version: Document
    openapi: Document
    asyncapi: Document


def application(
    snapshot: Callable[[], Snapshot], metrics: Metrics, documents: Documents, processing: Processing | None = None
) -> Starlette:
    """`snapshot` is called in the server's thread for each request that needs one: it must be quick and safe to call there."""
    pages = _pages(snapshot, metrics, documents, None if processing is None else processing.public_url)
    routes = [Route(path, _endpoint(page), methods=["GET"]) for path, page in pages.items()]
    app = Starlette(
        routes=[*routes, *(() if processing is None else _processing_routes(processing))],
        exception_handlers={HTTPException: _refused, Exception: _failed},
    )
    app.router.redirect_slashes = False  # a redirect would repeat a Host header that anybody may choose
    return app


def _pages(snapshot: Callable[[], Snapshot], metrics: Metrics, documents: Documents, public_url: str | None) -> dict[str, Page]:
    return {
        f"{API}/health": lambda _: text_reply(b"OK", "text/plain; charset=utf-8"),
        f"{API}/describe": lambda asked: json_reply(with_links(_value(documents.describe), base_url(asked, public_url))),
        f"{API}/version": lambda _: json_reply(_value(documents.version)),
        f"{API}/openapi": lambda _: json_reply(_value(documents.openapi)),
        f"{API}/asyncapi": lambda _: json_reply(_value(documents.asyncapi)),
        f"{API}/status": lambda _: json_reply(status(snapshot())),
        "/healthz/startup": lambda _: _verdict(health.startup(snapshot())),
        "/healthz/live": lambda _: _verdict(health.live(snapshot())),
        "/healthz/ready": lambda _: _verdict(health.ready(snapshot())),
        "/metrics": lambda _: text_reply(metrics.exposition(), METRICS_TYPE),
    }


def _processing_routes(processing: Processing) -> list[Route]:
    process = ProcessPage(processing)
    jobs = [] if processing.jobs is None else JobPages(processing, processing.jobs).routes(process)
    config = _endpoint(lambda _: json_reply(processing.config))
    return [Route(f"{API}/config", config, methods=["GET"]), Route(f"{API}/process", process.answer, methods=["POST"]), *jobs]


def _endpoint(page: Page) -> Endpoint:
    async def endpoint(request: Request) -> Response:  # async: a plain function would cost a thread per request
        return page(request)

    return endpoint


def _value(document: Document) -> Mapping[str, Any]:
    return document() if callable(document) else document


def _verdict(verdict: health.Verdict) -> Response:
    body = {"status": "ok" if verdict.ok else "unavailable", "reasons": verdict.reasons}
    return json_reply(body, 200 if verdict.ok else 503)


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # Starlette gives a handler the kind that it is registered for
    return error_reply(error.detail.lower(), error.status_code, headers=error.headers)


async def _failed(_: Request, __: Exception) -> Response:
    # Starlette raises the error again, for the log, and the server then closes the connection: the client should know
    return error_reply("internal error; the log says more", 500, headers={"connection": "close"})

"""The sidecar's pages, as an ASGI application. Every page is a GET (or HEAD) and none changes anything."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from pesto_stream.service import health
from pesto_stream.service.status import status

if TYPE_CHECKING:
    from starlette.requests import Request

    from pesto_stream.metrics import Metrics
    from pesto_stream.model.snapshot import Snapshot

Document = Mapping[str, Any] | Callable[[], Mapping[str, Any]]
"""A JSON object, or what gives one when it is asked for."""

METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
"""Prometheus exposition formats, "Text-based format"."""

_HEADERS: Final = {"cache-control": "no-store", "x-content-type-options": "nosniff"}

Endpoint = Callable[["Request"], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Documents:
    """What /api/v1/describe, /api/v1/version and /api/v1/openapi answer."""

    describe: Document
    version: Document
    openapi: Document


def application(snapshot: Callable[[], Snapshot], metrics: Metrics, documents: Documents) -> Starlette:
    """`snapshot` is called in the server's thread for each request that needs one: it must be quick and safe to call there."""
    pages: dict[str, Callable[[], Response]] = {
        "/api/v1/health": lambda: _text(b"OK", "text/plain; charset=utf-8"),
        "/api/v1/describe": lambda: _json(_value(documents.describe)),
        "/api/v1/version": lambda: _json(_value(documents.version)),
        "/api/v1/openapi": lambda: _json(_value(documents.openapi)),
        "/api/v1/status": lambda: _json(status(snapshot())),
        "/healthz/startup": lambda: _verdict(health.startup(snapshot())),
        "/healthz/live": lambda: _verdict(health.live(snapshot())),
        "/healthz/ready": lambda: _verdict(health.ready(snapshot())),
        "/metrics": lambda: _text(metrics.exposition(), METRICS_TYPE),
    }
    app = Starlette(
        routes=[Route(path, _endpoint(page), methods=["GET"]) for path, page in pages.items()],
        exception_handlers={HTTPException: _refused, Exception: _failed},
    )
    app.router.redirect_slashes = False  # a redirect would repeat a Host header that anybody may choose
    return app


def _endpoint(page: Callable[[], Response]) -> Endpoint:
    async def endpoint(_: Request) -> Response:  # async: a plain function would cost a thread per request
        return page()

    return endpoint


def _value(document: Document) -> Mapping[str, Any]:
    return document() if callable(document) else document


def _verdict(verdict: health.Verdict) -> Response:
    body = {"status": "ok" if verdict.ok else "unavailable", "reasons": verdict.reasons}
    return _json(body, 200 if verdict.ok else 503)


def _json(value: Mapping[str, Any], status_code: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    body = orjson.dumps(value, default=dict, option=orjson.OPT_NON_STR_KEYS)
    return Response(body, status_code, {**_HEADERS, **(headers or {})}, "application/json")


def _text(body: bytes, media_type: str) -> Response:
    return Response(body, 200, {**_HEADERS, "content-type": media_type})


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # Starlette gives a handler the kind that it is registered for
    return _json({"error": error.detail.lower()}, error.status_code, error.headers)


async def _failed(_: Request, __: Exception) -> Response:
    # Starlette raises the error again, for the log, and the server then closes the connection: the client should know
    return _json({"error": "internal error; the log says more"}, 500, {"connection": "close"})

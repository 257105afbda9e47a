"""The OpenAPI document of the sidecar itself. Pure; the one list of its paths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

_JSON: Final = "application/json"
_TEXT: Final = "text/plain"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A path, what a GET of it answers, and the media type. `verdict`: it answers 503 when the verdict is no."""

    path: str
    summary: str
    media_type: str = _JSON
    verdict: bool = False


ENDPOINTS: Final = (
    Endpoint("/api/v1/health", "`OK` while the process serves. Says nothing more, as in PESTO; see /healthz for more.", _TEXT),
    Endpoint("/api/v1/describe", "What the algorithm is, takes and gives."),
    Endpoint("/api/v1/version", "Versions of the algorithm and of the runtime."),
    Endpoint("/api/v1/openapi", "This document."),
    Endpoint("/api/v1/status", "State, assignment, lag, bytes in flight, stages, rates, last errors."),
    Endpoint("/healthz/startup", "Whether the algorithm was loaded and a broker was reached.", verdict=True),
    Endpoint("/healthz/live", "Whether the process makes progress; if not, only a restart helps.", verdict=True),
    Endpoint("/healthz/ready", "Whether the process takes records, or would if it had partitions.", verdict=True),
    Endpoint("/metrics", "Metrics in Prometheus' text format.", _TEXT),
)

_VERDICT: Final = {
    "type": "object",
    "required": ["status", "reasons"],
    "properties": {
        "status": {"type": "string", "enum": ["ok", "unavailable"]},
        "reasons": {"type": "array", "items": {"type": "string"}},
    },
}


def document(title: str, version: str, description: str = "") -> dict[str, Any]:
    """OpenAPI 3.1. Tiles do not travel over HTTP, so there is no path that takes one."""
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version, "description": description},
        "paths": {endpoint.path: {"get": _operation(endpoint)} for endpoint in ENDPOINTS},
        "components": {"schemas": {"Verdict": _VERDICT}},
    }


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    schema = _schema(endpoint)
    responses = {"200": _response("as asked", endpoint.media_type, schema)}
    if endpoint.verdict:
        responses["503"] = _response("no; `reasons` says why", endpoint.media_type, schema)
    name = endpoint.path.strip("/").removeprefix("api/v1/").replace("/", "_")
    return {"operationId": name, "summary": endpoint.summary, "responses": responses}


def _schema(endpoint: Endpoint) -> dict[str, Any]:
    if endpoint.verdict:
        return {"$ref": "#/components/schemas/Verdict"}
    return {"type": "object" if endpoint.media_type == _JSON else "string"}


def _response(description: str, media_type: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {media_type: {"schema": schema}}}

"""The OpenAPI document of the sidecar itself. Pure; the one list of its paths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pesto_stream.contract.refs import component_definitions, component_names, component_schema

if TYPE_CHECKING:
    from pesto_stream.model.spec import AlgorithmSpec

_JSON: Final = "application/json"
_TEXT: Final = "text/plain"
_API: Final = "/api/v1"


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
    Endpoint("/api/v1/asyncapi", "What travels over Kafka, as an AsyncAPI document."),
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
_ERROR: Final = {
    "type": "object",
    "required": ["message"],
    "properties": {
        "message": {"type": "string"},
        "hint": {"type": "string", "description": "The kind of error."},
        "correlationId": {"type": "string"},
        "timestamp": {"type": "string", "format": "date-time"},
    },
}
_LINK: Final = {"type": "object", "required": ["link"], "properties": {"link": {"type": "string", "format": "uri"}}}
_STATUS: Final = {
    "type": "object",
    "required": ["status", "progress"],
    "properties": {
        "status": {"type": "string", "enum": ["RUNNING", "DONE", "FAILED"]},
        "progress": {"type": "integer", "minimum": 0, "maximum": 100},
        "link": {"type": "string", "format": "uri"},
        "message": {"type": "string"},
    },
}
_OWN: Final = {"Verdict": _VERDICT, "Error": _ERROR, "Link": _LINK, "Status": _STATUS}
"""Our schemas are called `sidecar.<name>`, so that an algorithm's definitions may have any name."""
_CORRELATION: Final = {"name": "X-Correlation-ID", "in": "header", "schema": {"type": "string"}}
_ERRORS: Final = {
    "400": "the input is not what the algorithm declares",
    "408": "the body did not come in time",
    "413": "the body is too large",
    "415": "the body is not declared as JSON",
    "429": "as many requests as are taken at once; try again",
    "500": "the algorithm failed",
    "503": "starting, stopping, or trouble outside; try again",
    "504": "no result in time",
}


def document(
    title: str, version: str, description: str = "", *, process: AlgorithmSpec | None = None, asynchronous: bool = False
) -> dict[str, Any]:
    """OpenAPI 3.1. `process` is the algorithm whose processing API is served as well; without it, there is no path that takes a tile."""
    paths: dict[str, Any] = {endpoint.path: {"get": _get(endpoint)} for endpoint in ENDPOINTS}
    schemas = {f"sidecar.{name}": schema for name, schema in _OWN.items()}
    if process is not None:
        paths |= _processing(asynchronous=asynchronous)
        schemas |= _algorithm(process)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version, "description": description},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _algorithm(spec: AlgorithmSpec) -> dict[str, Any]:
    names = component_names(spec.input, spec.output)
    sides = {"sidecar.Input": component_schema(spec.input, names), "sidecar.Output": component_schema(spec.output, names)}
    return {**component_definitions(names, spec.input, spec.output), **sides}


def _get(endpoint: Endpoint) -> dict[str, Any]:
    schema = _schema(endpoint)
    responses = {"200": _response("as asked", schema, endpoint.media_type)}
    if endpoint.verdict:
        responses["503"] = _response("no; `reasons` says why", schema, endpoint.media_type)
    name = endpoint.path.strip("/").removeprefix("api/v1/").replace("/", "_")
    return {"operationId": name, "summary": endpoint.summary, "responses": responses}


def _schema(endpoint: Endpoint) -> dict[str, Any]:
    if endpoint.verdict:
        return _ref("Verdict")
    return {"type": "object" if endpoint.media_type == _JSON else "string"}


def _processing(*, asynchronous: bool) -> dict[str, Any]:
    paths: dict[str, Any] = {
        f"{_API}/config": {"get": _operation("config", "The project's configuration.", {"200": _response("as asked", _OBJECT)})},
        f"{_API}/process": {"post": _process("process", asynchronous=asynchronous)},
    }
    return paths | _jobs() if asynchronous else paths


_OBJECT: Final = {"type": "object"}


def _process(name: str, *, asynchronous: bool) -> dict[str, Any]:
    done = _response("the job's status", _ref("Link")) if asynchronous else _response("the outputs by name", _ref("Output"))
    errors = {
        code: _response(meaning, _ref("Error")) for code, meaning in _ERRORS.items() if not (asynchronous and code == "504")
    }
    operation = _operation(name, "Process one request.", {"200": done, **errors})
    body = {"required": True, "content": {_JSON: {"schema": _ref("Input")}}}
    return {**operation, "parameters": [_CORRELATION], "requestBody": body}


def _jobs() -> dict[str, Any]:
    job = {"name": "job", "in": "path", "required": True, "schema": {"type": "string", "format": "uuid"}}
    name = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}
    missing = {"404": _response("no such job or result, or none yet", _ref("Error"))}
    links = {"type": "object", "additionalProperties": {"type": ["string", "array"]}}
    listed = {"type": "object", "additionalProperties": _ref("Link")}
    result = {"200": {"description": "the output: an image file, a text, or JSON", "content": {"*/*": {}}}, **missing}
    root = f"{_API}/jobs"
    return {
        root: {
            "get": _operation("jobs", "All jobs that are remembered.", {"200": _response("links by job", listed)}),
            "post": _process("begin_job", asynchronous=True),
        },
        f"{root}/{{job}}": {
            "parameters": [job],
            "delete": _operation("delete_job", "Cancel and forget a job.", {"204": {"description": "forgotten"}, **missing}),
        },
        f"{root}/{{job}}/status": {
            "parameters": [job],
            "get": _operation("job_status", "How far a job is.", {"200": _response("the status", _ref("Status")), **missing}),
        },
        f"{root}/{{job}}/results": {
            "parameters": [job],
            "get": _operation("job_results", "Links to its outputs.", {"200": _response("links by output", links), **missing}),
        },
        f"{root}/{{job}}/results/{{name}}": {
            "parameters": [job, name],
            "get": _operation("job_result", "One output.", result),
            "delete": _operation("delete_result", "Forget one output.", {"200": _response("forgotten", _OBJECT), **missing}),
        },
    }


def _operation(name: str, summary: str, responses: dict[str, Any]) -> dict[str, Any]:
    return {"operationId": name, "summary": summary, "responses": responses}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/sidecar.{name}"}


def _response(description: str, schema: dict[str, Any], media_type: str = _JSON) -> dict[str, Any]:
    return {"description": description, "content": {media_type: {"schema": schema}}}

"""The processing API, put together: the gateway into a runtime's stages, and what the sidecar's pages need."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pesto_stream.config.model import MIB, SchemaRegistry
from pesto_stream.model.envelope import JSON
from pesto_stream.model.snapshot import RunState
from pesto_stream.runtime.gateway import Gateway, GatewayLimits
from pesto_stream.runtime.pipeline import Pipeline
from pesto_stream.service.jobs import JobLimits, JobStore
from pesto_stream.service.processing import Processing, ProcessingLimits
from pesto_stream.wiring.algorithm import addressing_of, converters_of
from pesto_stream.wiring.documents import asynchronous
from pesto_stream.wiring.parts import topics_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from pesto_stream.algorithms.base import Algorithm
    from pesto_stream.algorithms.project import Project
    from pesto_stream.clock import Clock
    from pesto_stream.config.model import Settings
    from pesto_stream.converters.base import ImageSource
    from pesto_stream.metrics import Metrics
    from pesto_stream.runtime.board import Board
    from pesto_stream.runtime.flow import Budget
    from pesto_stream.runtime.workers import Workers


def request_pipeline(settings: Settings, project: Project, algorithm: Algorithm, source: ImageSource, clock: Clock) -> Pipeline:
    """As the records' but for the answer: always JSON, as PESTO's clients expect it."""
    as_json = settings.output.model_copy(update={"content_type": JSON})
    changed = settings.model_copy(update={"output": as_json, "schema_registry": SchemaRegistry()})
    topics = topics_of(settings)
    converters = converters_of(changed, project, source, topics)
    return Pipeline(converters, algorithm, addressing_of(changed, project, topics), clock)


def gateway(
    settings: Settings, pipeline: Pipeline, workers: Workers, budget: Budget, clock: Clock, metrics: Metrics, board: Board
) -> Gateway:
    limits = GatewayLimits(settings.http.max_requests)
    return Gateway(pipeline, workers.submit, budget, clock, metrics, limits, lambda: board.state is RunState.RUNNING)


def processing(project: Project, settings: Settings, engine: Callable[[], Gateway | None], clock: Clock) -> Processing:
    http = settings.http
    jobs = JobLimits(http.max_jobs, int(http.jobs_mib * MIB), http.jobs_seconds)
    return Processing(
        engine=engine,
        limits=ProcessingLimits(int(http.max_body_mib * MIB), http.timeout_seconds, http.transfer_seconds),
        properties=project.spec.output.properties,
        config=project.config,
        clock=clock,
        jobs=JobStore(jobs, clock.now) if asynchronous(project) else None,
        public_url=http.public_url,
    )

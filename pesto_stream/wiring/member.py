"""A member of the group: settings and a project -> a running whole."""

from __future__ import annotations

from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from pesto_stream import __version__
from pesto_stream.algorithms.binding import load_algorithm
from pesto_stream.algorithms.describe import version_document
from pesto_stream.broker.kafka_admin import KafkaAdmin
from pesto_stream.broker.kafka_check import check_properties
from pesto_stream.broker.kafka_consumer import KafkaConsumer
from pesto_stream.broker.kafka_producer import KafkaProducer
from pesto_stream.broker.kafka_properties import admin_properties, consumer_properties, in_flight_limit_bytes, producer_properties
from pesto_stream.clock import SystemClock
from pesto_stream.errors import PestoStreamError
from pesto_stream.fetch.source import UrlImageSource
from pesto_stream.log import get_logger
from pesto_stream.metrics import Metrics
from pesto_stream.model.snapshot import RunState
from pesto_stream.runtime.board import Board
from pesto_stream.runtime.flow import Budget, FlowControl
from pesto_stream.runtime.job import CommitRefused
from pesto_stream.runtime.ledger import Ledger
from pesto_stream.runtime.ordering import Lanes
from pesto_stream.runtime.pipeline import ALGORITHM, DECODE, ENCODE, Pipeline
from pesto_stream.runtime.processor import StreamProcessor
from pesto_stream.runtime.reporter import Reporter
from pesto_stream.runtime.retry import RetryPolicy, Waiting
from pesto_stream.runtime.rules import Rules, State
from pesto_stream.runtime.sender import Sender
from pesto_stream.runtime.startup import Stopped, await_topics
from pesto_stream.runtime.workers import Workers
from pesto_stream.service.http import Documents, Sidecar
from pesto_stream.wiring.algorithm import addressing_of, converters_of
from pesto_stream.wiring.documents import asyncapi, describe, openapi
from pesto_stream.wiring.parts import limits_of, settled, topics_of
from pesto_stream.wiring.processing import gateway, processing, request_pipeline
from pesto_stream.wiring.sizes import warn_of_sizes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pesto_stream.algorithms.base import Algorithm
    from pesto_stream.algorithms.project import Project
    from pesto_stream.clock import Clock
    from pesto_stream.config.model import Settings
    from pesto_stream.runtime.gateway import Gateway
    from pesto_stream.runtime.job import Event, Job

_log = get_logger(__name__)

_ASK_SECONDS = 5.0


class Runtime:
    """One member of the group around one algorithm. `run` is called once; `request_stop` may be called by a signal handler."""

    def __init__(self, settings: Settings, project: Project, clock: Clock | None = None) -> None:
        self.settings = settled(settings, project)
        self.project = project
        self.metrics = Metrics()
        self._clock = clock or SystemClock()
        self._topics = topics_of(self.settings)
        self._limits = limits_of(self.settings)
        self._source = UrlImageSource(self.settings.urls, self._limits, self.metrics, self._clock)
        self._converters = converters_of(self.settings, project, self._source, self._topics)
        self.board = Board(self._clock, loop_stuck_after_seconds=self.settings.health.loop_stuck_seconds)
        self._processor: StreamProcessor | None = None
        self._gateway: Gateway | None = None
        self._stops = 0
        self.hung = False
        """After `run`: whether a thread never came back, so that only `os._exit` ends the process."""
        for properties, role in ((self._consumer_properties(), "consumer"), (self._producer_properties(), "producer")):
            check_properties(properties, role)  # type: ignore[arg-type]
        self.metrics.set("pesto_build_info", 1, algorithm=project.name, algorithm_version=project.version, version=__version__)

    # -- life

    def run(self) -> None:
        """From nothing to a drained stop. Raises ConfigurationError, FatalError, TransientError."""
        sidecar = self._start_sidecar()
        algorithm: Algorithm | None = None
        try:
            algorithm = load_algorithm(self.project, without_gpu=self.settings.algorithm.without_gpu)
            algorithm.on_start()
            self.board.publish(algorithm_loaded=True)
            for note in self.project.notes:
                _log.warning("project", reason=note)
            _log.info("algorithm_loaded", algorithm=self.project.name, version=self.project.version)
            self._work(algorithm)
        except Stopped:
            _log.info("stopped", reason="asked for before the start was complete")
        finally:
            try:
                self._end(algorithm)
            finally:
                if sidecar is not None:
                    sidecar.stop()

    def request_stop(self) -> None:
        """The first call drains, a second one aborts. Raises KeyboardInterrupt for a second one before the loop runs: user code that
        loads a model, say, is interrupted no other way.
        """
        self._stops += 1
        if self._processor is not None:
            self._processor.request_stop()
        elif self._stops > 1:
            raise KeyboardInterrupt

    def _work(self, algorithm: Algorithm) -> None:
        producer = KafkaProducer(self._producer_properties(), self._clock)
        topics = self._topics
        await_topics(
            producer,
            (topics.input, topics.output, topics.dead_letter),
            self._clock,
            timeout_seconds=self.settings.kafka.startup_timeout_seconds,
            waiting_for=lambda what: self.board.publish(waiting_for=what),
            stopping=lambda: self._stops > 0,
        )
        self.board.publish(broker_connected=True)
        self._look_at_sizes()
        self._processor = self._build_processor(algorithm, producer)
        for _ in range(self._stops):
            self._processor.request_stop()
        self._processor.run()

    def _look_at_sizes(self) -> None:
        topics = self._topics
        admin = KafkaAdmin(admin_properties(self.settings, self._client_id()))
        warn_of_sizes(admin.largest_records((topics.input, topics.dead_letter), _ASK_SECONDS), topics.input, topics.dead_letter)

    def _end(self, algorithm: Algorithm | None) -> None:
        if self._processor is not None:
            self.hung = self._processor.hung
        if self._gateway is not None:
            self._gateway.close()
        if algorithm is not None and not self.hung:
            _stop_algorithm(algorithm)
        self._source.close()
        if self.board.state is not RunState.STOPPED:
            self.board.enter(RunState.STOPPED)

    # -- parts

    def _build_processor(self, algorithm: Algorithm, producer: KafkaProducer) -> StreamProcessor:
        events: SimpleQueue[Event] = SimpleQueue()
        reporter = Reporter(self.board, self.metrics, self._clock)
        budget = Budget(in_flight_limit_bytes(self.settings))
        pipeline = Pipeline(self._converters, algorithm, addressing_of(self.settings, self.project, self._topics), self._clock)
        sender = Sender(producer, pipeline, self.metrics, events.put)
        workers = self._build_workers(pipeline, sender, budget, events, algorithm)
        consumer = KafkaConsumer(
            self._consumer_properties(),
            on_commit_failed=lambda reason: events.put(CommitRefused(reason)),
            on_records_lost=reporter.lost,
        )
        state = State(Ledger(), Lanes(), Waiting(), budget, FlowControl(budget))
        self.board.watch(workers.oldest_seconds, workers.queued)
        self.board.publish(stuck_after_seconds=self._stuck_after(), in_flight_limit_bytes=budget.limit_bytes)
        if self.settings.http.process:
            requests = request_pipeline(self.settings, self.project, algorithm, self._source, self._clock)
            self._gateway = gateway(self.settings, requests, workers, budget, self._clock, self.metrics, self.board)
        return StreamProcessor(
            consumer, producer, workers, state, self._rules(), events, self._clock, reporter, requests=self._requests
        )

    def _requests(self) -> Sequence[Job]:
        return () if self._gateway is None else self._gateway.jobs

    def _build_workers(
        self, pipeline: Pipeline, sender: Sender, budget: Budget, events: SimpleQueue[Event], algorithm: Algorithm
    ) -> Workers:
        cap = algorithm.max_concurrency
        wanted = self.settings.algorithm.concurrency
        if cap is not None and cap < wanted:
            _log.warning("concurrency_capped", wanted=wanted, max_concurrency=cap, reason="the algorithm's own class attribute")
        return Workers(
            pipeline,
            sender,
            budget,
            self._clock,
            self.metrics,
            events.put,
            decode_threads=self.settings.stages.decode_threads,
            algorithm_threads=wanted if cap is None else min(cap, wanted),
            encode_threads=self.settings.stages.encode_threads,
        )

    def _rules(self) -> Rules:
        settings = self.settings
        retry = settings.retry
        return Rules(
            input_topic=self._topics.input,
            ordering=settings.ordering,
            retry=RetryPolicy(retry.attempts, retry.initial_seconds, retry.max_seconds),
            commit_interval_seconds=settings.commit.interval_seconds,
            drain_seconds=settings.shutdown.drain_seconds,
            revoke_seconds=settings.shutdown.revoke_seconds,
            unavailable_timeout_seconds=settings.kafka.unavailable_timeout_seconds,
            algorithm_timeout_seconds=settings.algorithm.timeout_seconds,
        )

    def _stuck_after(self) -> dict[str, float | None]:
        stuck = self.settings.health.stuck_seconds
        return {DECODE: stuck, ALGORITHM: self.settings.algorithm.timeout_seconds, ENCODE: stuck}

    def _client_id(self) -> str:
        return f"pesto-stream-{self.project.name}"

    def _consumer_properties(self) -> dict[str, Any]:
        return consumer_properties(self.settings, self._client_id())

    def _producer_properties(self) -> dict[str, Any]:
        return producer_properties(self.settings, self._client_id())

    def _start_sidecar(self) -> Sidecar | None:
        http = self.settings.http
        if not http.enabled:
            return None
        documents = Documents(
            describe=describe(self.project, self.settings),
            version=version_document(self.project, __version__),
            openapi=openapi(self.project, self.settings),
            asyncapi=asyncapi(self.project, self.settings),
        )
        api = processing(self.project, self.settings, lambda: self._gateway, self._clock) if http.process else None
        sidecar = Sidecar(
            http.host, http.port, snapshot=self.board.snapshot, metrics=self.metrics, documents=documents, processing=api
        )
        sidecar.start()
        return sidecar


def _stop_algorithm(algorithm: Algorithm) -> None:
    """All is settled by then: what goes wrong here is told, and does not hide why the runtime ends."""
    try:
        algorithm.on_stop()
    except PestoStreamError as failure:
        _log.error("on_stop_failed", error_type=type(failure).__name__, reason=str(failure))

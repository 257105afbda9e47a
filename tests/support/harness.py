"""A whole runtime on the broker in memory: the real loop, ledger, stages, pipeline and converters around a function.

with Runtime(lambda invocation: {"value": 2 * invocation.inputs["value"]}) as runtime:
    runtime.send({"value": 1})
    runtime.until(lambda: runtime.results())
"""

from __future__ import annotations

from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, Self

import orjson

from pesto_stream.broker.memory import MemoryBroker
from pesto_stream.clock import SystemClock
from pesto_stream.converters.limits import Limits
from pesto_stream.converters.registry import Converters
from pesto_stream.errors import FetchRefused, PestoStreamError
from pesto_stream.metrics import Metrics
from pesto_stream.model.record import ConsumerRecord, ProducerRecord, TopicPartition
from pesto_stream.model.spec import AlgorithmSpec
from pesto_stream.runtime.board import Board
from pesto_stream.runtime.flow import Budget, FlowControl
from pesto_stream.runtime.job import CommitRefused
from pesto_stream.runtime.ledger import Ledger
from pesto_stream.runtime.ordering import Lanes
from pesto_stream.runtime.pipeline import Addressing, Pipeline
from pesto_stream.runtime.processor import StreamProcessor
from pesto_stream.runtime.reporter import Reporter
from pesto_stream.runtime.retry import RetryPolicy, Waiting
from pesto_stream.runtime.rules import Rules, State
from pesto_stream.runtime.sender import Sender
from pesto_stream.runtime.workers import Workers
from support.builders import IMAGE, an_interface
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from pesto_stream.broker.memory_clients import MemoryConsumer
    from pesto_stream.model.invocation import Invocation
    from pesto_stream.model.tile import Tile, Window

INPUT, OUTPUT, DEAD = "tiles", "results", "tiles.dead-letter"
GROUP = "doublers"
JSON_HEADERS = (("content-type", b"application/json"),)

SPEC = AlgorithmSpec(
    name="doubler",
    version="1.0",
    input=an_interface(value={"type": "number"}, image=IMAGE, required=("value",)),
    output=an_interface(value={"type": "number"}),
)


class FunctionAlgorithm:
    """An `Algorithm` around a function of the invocation."""

    max_concurrency = None

    def __init__(self, function: Callable[[Invocation], dict[str, Any]], spec: AlgorithmSpec = SPEC) -> None:
        self.spec = spec
        self._function = function

    def on_start(self) -> None: ...

    def process(self, invocation: Invocation) -> dict[str, Any]:
        return self._function(invocation)

    def on_stop(self) -> None: ...


class NoImages:
    """An image source that refuses everything, or raises what it is told to."""

    def __init__(self, error: PestoStreamError | None = None) -> None:
        self.error = error
        self.reads = 0

    def read(self, url: str, window: Window | None = None) -> tuple[Tile, str]:
        self.reads += 1
        raise self.error or FetchRefused(f"'{url}' may not be read")


class Runtime:
    def __init__(
        self,
        function: Callable[[Invocation], dict[str, Any]],
        broker: MemoryBroker | None = None,
        *,
        partitions: int = 1,
        threads: int = 1,
        limit_bytes: int = 64 << 20,
        source: NoImages | None = None,
        hold_seconds: float = 0.2,
        **rules: Any,
    ) -> None:
        self.broker = broker or MemoryBroker({INPUT: partitions, OUTPUT: 1, DEAD: 1})
        self.clock = SystemClock()
        self.metrics = Metrics()
        self.board = Board(self.clock, loop_stuck_after_seconds=60.0)
        self.reporter = Reporter(self.board, self.metrics, self.clock)
        self.budget = Budget(limit_bytes)
        self.ledger = Ledger()
        self.failure: BaseException | None = None
        self._turns: list[int] | None = None
        events: SimpleQueue = SimpleQueue()
        self.consumer: MemoryConsumer = self.broker.consumer(
            GROUP, on_commit_failed=lambda reason: events.put(CommitRefused(reason))
        )
        converters = Converters(SPEC, Limits(), source or NoImages())
        addressing = Addressing(OUTPUT, DEAD, "pesto.result", "/pesto/doubler/1.0", "doubler/1.0")
        pipeline = self.pipeline = Pipeline(converters, FunctionAlgorithm(function), addressing, self.clock)
        producer = self.broker.producer()
        sender = Sender(producer, pipeline, self.metrics, events.put)
        self.workers = Workers(pipeline, sender, self.budget, self.clock, self.metrics, events.put, algorithm_threads=threads)
        state = State(self.ledger, Lanes(), Waiting(), self.budget, FlowControl(self.budget, hold_seconds))
        self.processor = StreamProcessor(
            self.consumer, producer, self.workers, state, a_rulebook(**rules), events, self.clock, self.reporter
        )
        self._thread = Thread(target=self._run, name="loop")

    def _run(self) -> None:
        try:
            self.processor.run()
        except BaseException as failure:  # noqa: BLE001 - handed to the test
            self.failure = failure

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.broker.release_reports()
        self.processor.request_stop()
        if exc[0] is not None:
            self.processor.request_stop()
        self._thread.join(60.0)
        assert not self._thread.is_alive(), "the loop did not end"

    def ended(self) -> BaseException | None:
        """Wait for the loop to end by itself; what it raised."""
        self._thread.join(60.0)
        assert not self._thread.is_alive(), "the loop did not end"
        return self.failure

    def send(
        self, value: Any, *, key: bytes | None = None, partition: int | None = 0, headers: Any = JSON_HEADERS
    ) -> ConsumerRecord:
        payload = value if isinstance(value, bytes | None) else orjson.dumps(value)
        return self.broker.append(ProducerRecord(INPUT, key, payload, headers), partition)

    def results(self) -> list[float]:
        """The values of the results, in the order in which they were published."""
        return [orjson.loads(record.value)["value"] for record in self.broker.records(OUTPUT)]

    def dead_letters(self) -> list[dict[str, str]]:
        """The headers of the dead letters."""
        return [{n: v.decode() for n, v in record.headers if v is not None} for record in self.broker.records(DEAD)]

    def committed(self, partition: int = 0) -> int:
        """The committed offset: the records below it are settled. 0 also where nothing was committed."""
        at = self.broker.committed(GROUP, TopicPartition(INPUT, partition))
        return 0 if at is None else at.offset

    def until(self, condition: Callable[[], object], what: str) -> None:
        wait_until(lambda: condition() or self._check_alive(), what)

    def _check_alive(self) -> bool:
        if self.failure is not None:
            raise AssertionError("the loop ended") from self.failure
        return False

    def processor_turns(self) -> int:
        """How often the loop has turned since the first time this was asked."""
        if self._turns is None:
            self._turns = []
            original = self.reporter.turned

            def counted() -> None:
                self._turns.append(1)
                original()

            self.reporter.turned = counted
        return len(self._turns)

    def stale(self) -> float:
        samples = self.metrics.registry.collect()
        return sum(s.value for m in samples for s in m.samples if s.name == "pesto_stale_records_total")


def a_rulebook(**changed: Any) -> Rules:
    usual: dict[str, Any] = {
        "input_topic": INPUT,
        "ordering": "none",
        "retry": RetryPolicy(attempts=3, initial_seconds=0.01, max_seconds=0.05),
        "commit_interval_seconds": 0.02,
        "drain_seconds": 30.0,
        "revoke_seconds": 30.0,
        "unavailable_timeout_seconds": 30.0,
    }
    return Rules(**{**usual, **changed})


def quietly(action: Callable[[], object]) -> None:
    with suppress(PestoStreamError):
        action()

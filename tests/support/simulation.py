"""Whole members on the broker in memory, where everything that happens, and in which order, is drawn from a seed.

The loop and the stages are the real ones; each of their threads is a fiber, which stops wherever a thread could be held up: around every
call of a client, while a URL is read, inside the algorithm. One of them at a time is chosen to go on, the clock moves a little, now and
then something goes wrong, and after each step the rules are checked.
"""

from __future__ import annotations

import random
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from pesto_stream.broker.memory import MemoryBroker
from pesto_stream.clock import ManualClock
from pesto_stream.converters.limits import Limits
from pesto_stream.converters.registry import Converters
from pesto_stream.errors import FatalError, FetchRefused, StoreUnavailable, TransientError
from pesto_stream.metrics import Metrics
from pesto_stream.model.record import ProducerRecord, TopicPartition
from pesto_stream.model.tile import Tile
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
from pesto_stream.runtime.stages import Stage
from pesto_stream.runtime.workers import Workers
from support.fibers import Fiber, FiberQueue, Killed, pause
from support.harness import DEAD, GROUP, INPUT, JSON_HEADERS, OUTPUT, SPEC, FunctionAlgorithm

if TYPE_CHECKING:
    from collections.abc import Callable

    from pesto_stream.broker.base import DeliveryReport
    from pesto_stream.model.record import ConsumerRecord

PARTITIONS = [TopicPartition(INPUT, number) for number in range(3)]
LIMIT_BYTES = 2000
LARGEST_RECORD = 200
LARGEST_TILE = 400
SLOW_SECONDS = 1.5
DECODERS, RUNNERS, ENCODERS = 2, 2, 1

KINDS = ("good",) * 12 + ("image",) * 5 + ("tombstone", "not json", "raises", "slow", "refused", "interrupted", "interrupted")
DECODE_FAILURES: dict[str, set[str]] = {"tombstone": set(), "not json": {"DecodeError"}, "refused": {"FetchRefused"}}
"""The error types of what never gets to the algorithm."""


class World:
    """The broker, the store, the clock, the inputs with what is known of each, and the members."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.clock = ManualClock(1000.0)
        self.broker = MemoryBroker({INPUT: len(PARTITIONS), OUTPUT: 1, DEAD: 1}, clock=self.clock, waits=False)
        self.store_down = False
        self.ordering = self.random.choice(["none", "key", "partition"])
        self.times_out = self.random.random() < 0.5
        self.kinds: list[str] = []
        self.interruptions: dict[int, int] = {}
        self.confirmed: set[tuple[int, int]] = set()
        self.floor = dict.fromkeys(PARTITIONS, 0)
        self.members: list[Member] = []
        self.sizes_refused = False
        self.converters = Converters(SPEC, Limits(), self)

    # -- inputs

    def add_input(self) -> None:
        number, kind = len(self.kinds), self.random.choice(KINDS)
        self.kinds.append(kind)
        self.interruptions[number] = self.random.randint(1, 2) if kind == "interrupted" else 0
        value: bytes | None = orjson.dumps(
            {"value": number} | ({"image": f"http://store/{kind}"} if kind in ("image", "refused") else {})
        )
        if kind in ("tombstone", "not json"):
            value = None if kind == "tombstone" else b"{"
        key = self.random.choice([None, b"a", b"b"])
        headers = (*JSON_HEADERS, ("number", b"%d" % number), ("filler", b"x" * self.random.randint(0, 100)))
        self.broker.append(ProducerRecord(INPUT, key, value, headers), self.random.randrange(len(PARTITIONS)))

    def read(self, url: str, window: Any = None) -> tuple[Tile, str]:
        """The store, as an image source."""
        pause()
        if self.store_down:
            raise StoreUnavailable("the store is down")
        if url.endswith("refused"):
            raise FetchRefused("not there")
        return Tile(np.zeros((1, 1, self.random.randint(1, LARGEST_TILE)), np.uint8)), "image/tiff"

    def input(self, partition: int, offset: int) -> ConsumerRecord:
        record = self.broker.log(TopicPartition(INPUT, partition)).read(offset)
        assert record is not None
        assert record.offset == offset
        return record

    def number_of(self, record: ConsumerRecord) -> int:
        return int(dict(record.headers)["number"])

    # -- members

    def start_member(self) -> Member:
        self.members.append(Member(self, len(self.members)))
        return self.members[-1]

    @property
    def running(self) -> list[Member]:
        return [member for member in self.members if not member.over]

    def step(self) -> None:
        """One fiber goes on to its next pause, and the clock moves."""
        ready = [fiber for member in self.running for fiber in member.fibers if fiber.ready]
        if ready:
            self.random.choice(ready).resume()
        self.clock.advance(self.random.choice((0.0, 0.001, 0.005, 0.02, 0.1)))
        for member in self.running:
            member.check()
        self.check()

    # -- the rules

    def check(self) -> None:
        """Promise 1 over all members: no offset is committed while it or a lower one has no confirmed outcome."""
        for partition in PARTITIONS:
            at = self.broker.committed(GROUP, partition)
            lowest = self._lowest_without_outcome(partition)
            assert at is None or at.offset <= lowest, f"{partition}: {at.offset} is committed, and {lowest} has no outcome"

    def _lowest_without_outcome(self, partition: TopicPartition) -> int:
        log = self.broker.log(partition)
        while (record := log.read(self.floor[partition])) is not None:
            if record.value is not None and (record.partition, record.offset) not in self.confirmed:
                return record.offset
            self.floor[partition] = record.offset + 1
        return log.end

    def all_committed(self) -> bool:
        return all(
            not (log := self.broker.log(tp)).records
            or ((at := self.broker.committed(GROUP, tp)) is not None and at.offset == log.records[-1].offset + 1)
            for tp in PARTITIONS
        )

    def check_outcomes(self) -> None:
        """Every input has an outcome, of a sort that it may have."""
        found = {number: set[str]() for number in range(len(self.kinds))}
        for record in self.broker.records(OUTPUT):
            number = self.number_of(self.input(*source(record)))
            assert orjson.loads(record.value or b"") == {"value": 2 * number}
            found[number].add("result")
        for record in self.broker.records(DEAD):
            found[self.number_of(self.input(*source(record)))].add(dict(record.headers)["pesto_error_type"].decode())
        for number, kind in enumerate(self.kinds):
            assert found[number] or kind == "tombstone", f"{kind} {number} has no outcome"
            assert found[number] <= self._allowed(kind), f"{kind} {number} ended as {found[number]}"

    def _allowed(self, kind: str) -> set[str]:
        if kind in DECODE_FAILURES:
            return DECODE_FAILURES[kind]
        late = {"AlgorithmTimeout"} if self.times_out else set()
        too_large = {"EncodeError"} if self.sizes_refused else set()
        return late | ({"UnexpectedError"} if kind == "raises" else too_large | {"result"})


class Member:
    """One process: the real loop and workers around simulated clients, each of its threads a fiber."""

    def __init__(self, world: World, number: int) -> None:
        self.world = world
        self.dead = self.over = False
        self.fibers: list[Fiber] = []
        self.lanes: set[Any] = set()
        self.metrics = Metrics()
        events: SimpleQueue[Any] = SimpleQueue()
        self.consumer = SimulatedConsumer(self, lambda reason: events.put(CommitRefused(reason)))
        self.producer = SimulatedProducer(self)
        self.budget = PatientBudget(LIMIT_BYTES)
        addressing = Addressing(OUTPUT, DEAD, "pesto.result", "/pesto/doubler/1.0", "doubler/1.0")
        pipeline = Pipeline(world.converters, FunctionAlgorithm(self.algorithm), addressing, world.clock)
        workers = Workers(
            pipeline,
            Sender(self.producer, pipeline, self.metrics, events.put),
            self.budget,
            world.clock,
            self.metrics,
            events.put,
            decode_threads=DECODERS,
            algorithm_threads=RUNNERS,
            encode_threads=ENCODERS,
            stage=self.stage,
        )
        state = State(Ledger(), Lanes(), Waiting(), self.budget, FlowControl(self.budget, hold_seconds=0.05))
        reporter = Reporter(Board(world.clock, loop_stuck_after_seconds=60.0), self.metrics, world.clock)
        self.processor = StreamProcessor(
            self.consumer, self.producer, workers, state, self.rules(), events, world.clock, reporter, world.random.random
        )
        self.loop = self.spawn(f"{number}-loop", self.processor.run)

    def rules(self) -> Rules:
        return Rules(
            input_topic=INPUT,
            ordering=self.world.ordering,
            retry=RetryPolicy(attempts=4, initial_seconds=0.01, max_seconds=0.1),
            commit_interval_seconds=self.world.random.choice((0.0, 0.1, 1.0)),
            drain_seconds=2.0,
            revoke_seconds=1.0,
            unavailable_timeout_seconds=3.0,
            algorithm_timeout_seconds=1.0 if self.world.times_out else None,
        )

    def spawn(self, name: str, action: Callable[[], None]) -> Fiber:
        self.fibers.append(Fiber(name, action))
        return self.fibers[-1]

    def stage(self, name: str, work: Callable[..., None], threads: int, clock: Any) -> Stage:
        return SimulatedStage(self, name, work, threads, clock)

    def algorithm(self, invocation: Any) -> dict[str, Any]:
        number = invocation.inputs["value"]
        lane = self.enter_lane(number)
        try:
            for _ in range(self.world.random.randint(0, 2)):
                pause()
            self.behave(self.world.kinds[number], number)
        finally:
            self.lanes.discard(lane)
        return {"value": 2 * number}

    def behave(self, kind: str, number: int) -> None:
        if kind == "raises":
            raise ValueError("as it was told")
        if kind == "slow":
            began = self.world.clock.now()
            pause(lambda: self.world.clock.now() > began + SLOW_SECONDS)
        if kind == "interrupted" and self.world.interruptions[number] > 0:
            self.world.interruptions[number] -= 1
            raise StoreUnavailable("the algorithm's own store")

    def enter_lane(self, number: int) -> Any:
        """With an ordering, the records of a lane run one at a time."""
        job = next(j for j in self.processor._open if self.world.number_of(j.record) == number and j.begun)
        assert job.lane is None or job.lane not in self.lanes, f"two records of lane {job.lane} run at once"
        self.lanes.add(job.lane)
        return job.lane

    # -- ends

    def crash(self) -> None:
        self.world.broker.crash(self.consumer.inner)
        self.end()

    def end(self) -> None:
        """The process is gone, and its threads with it."""
        self.dead = self.over = True
        for fiber in self.fibers:
            fiber.kill()

    def check(self) -> None:
        """What must hold for a member at any moment, and how it may end."""
        jobs = self.processor._open
        records = sum(job.record.size for job in jobs)
        tiles = sum(job.invocation.decoded_bytes for job in jobs if job.invocation is not None)
        # a partition that is assigned while all are paused gives one record before it is paused as well
        assert records <= self.budget.intake_bytes + 5 * LARGEST_RECORD, f"records of {records} bytes"
        assert tiles <= LIMIT_BYTES + DECODERS * LARGEST_TILE, f"tiles of {tiles} bytes"
        assert self.budget.bytes == sum(job.charged_bytes for job in jobs) >= records + tiles
        assert self.budget._unfolded == sum(job.unfolded for job in jobs)
        if self.loop.done:
            self.check_counts()
            failure = self.loop.failure
            assert failure is None or isinstance(failure, FatalError | TransientError), repr(failure)
            assert "bug" not in str(failure), repr(failure)
            self.end()

    def check_counts(self) -> None:
        """Promise 4: each record that was received is settled, stale, or was left in flight."""
        counts: dict[str, float] = {}
        for metric in self.metrics.registry.collect():
            for sample in metric.samples:
                counts[sample.name] = counts.get(sample.name, 0) + sample.value
        accounted = counts.get("pesto_records_settled_total", 0) + counts.get("pesto_stale_records_total", 0)
        assert counts["pesto_records_received_total"] == accounted + len(self.processor._open)

    def idle(self) -> bool:
        """Nothing in flight, and not about to end."""
        processor = self.processor
        ending = processor._stops or processor._failure or self.producer.fenced
        return not (ending or processor._open or processor._lanes._lanes or len(processor._waiting))

    def check_idle(self) -> None:
        assert self.budget.bytes == 0
        assert self.budget._unfolded == 0


class PatientBudget(Budget):
    def wait_for_room(self, timeout_seconds: float) -> bool:
        pause()
        return super().wait_for_room(0.0)


class SimulatedStage(Stage):
    def __init__(self, member: Member, name: str, work: Callable[..., None], threads: int, clock: Any) -> None:
        super().__init__(name, work, threads, clock)
        self._queue = FiberQueue()
        self._member = member
        self._fibers: list[Fiber] = []

    def start(self) -> None:
        self._fibers = [
            self._member.spawn(f"{self.name}-{slot}", lambda slot=slot: self._serve(slot)) for slot in range(len(self._running))
        ]

    def join(self, timeout_seconds: float) -> bool:
        deadline = self._clock.now() + timeout_seconds
        pause(lambda: all(fiber.done for fiber in self._fibers) or self._clock.now() >= deadline)
        return all(fiber.done for fiber in self._fibers)


class SimulatedConsumer:
    """The consumer in memory, with a pause before each poll."""

    def __init__(self, member: Member, on_commit_failed: Callable[[str], None]) -> None:
        self._member = member
        self.inner = member.world.broker.consumer(GROUP, on_commit_failed=on_commit_failed)

    @property
    def connected(self) -> bool:
        return not self._member.dead and self.inner.connected

    def poll(self, timeout_seconds: float, max_records: int = 1, max_bytes: int = 1 << 62) -> list[ConsumerRecord]:
        pause()
        return self._alive().poll(timeout_seconds, max_records, max_bytes)

    def close(self) -> None:
        self._alive().close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._alive(), name)

    def _alive(self) -> Any:
        if self._member.dead:
            raise Killed
        return self.inner


class SimulatedProducer:
    """The producer in memory, with a pause before and after each record, and a note of what was confirmed."""

    def __init__(self, member: Member) -> None:
        self._member = member
        self._inner = member.world.broker.producer()
        self.fenced = False

    def send(self, record: ProducerRecord, on_delivery: Callable[[DeliveryReport], None]) -> None:
        def heard(report: DeliveryReport) -> None:
            if report.error is None:
                self._member.world.confirmed.add(source(record))
            on_delivery(report)

        pause()
        self._alive().send(record, heard)
        pause()

    def poll(self, timeout_seconds: float) -> int:
        if timeout_seconds > 0:
            pause()
        return self._alive().poll(timeout_seconds)

    def flush(self, timeout_seconds: float) -> int:
        return self._alive().flush(timeout_seconds)

    def close(self) -> None:
        self._inner.close()

    def _alive(self) -> Any:
        if self._member.dead:
            raise Killed
        if self.fenced:
            raise FatalError("the producer is fenced")
        return self._inner


def source(record: ProducerRecord | ConsumerRecord) -> tuple[int, int]:
    """Partition and offset of the input that a result or dead letter is about."""
    headers = dict(record.headers)
    return int(headers["pesto_source_partition"] or b""), int(headers["pesto_source_offset"] or b"")

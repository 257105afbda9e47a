"""The steps of the work, each branch of the error tree in each of them, and what they hold of the budget."""

from __future__ import annotations

import threading

import pytest
from support.builders import a_record, an_envelope
from support.waiting import wait_until

from pesto_stream.broker.memory import MemoryBroker
from pesto_stream.clock import SystemClock
from pesto_stream.errors import AlgorithmError, AlgorithmTimeout, DeviceLost, EncodeError, ImageError, StoreUnavailable
from pesto_stream.metrics import Metrics
from pesto_stream.model.invocation import Invocation, TileContext
from pesto_stream.model.outcome import Outcome
from pesto_stream.model.record import ProducerRecord, TopicPartition
from pesto_stream.runtime.flow import Budget
from pesto_stream.runtime.job import Broken, Delivered, Dropped, Interrupted, Job
from pesto_stream.runtime.ledger import PartitionLedger
from pesto_stream.runtime.sender import Sender
from pesto_stream.runtime.workers import Workers

TILE_BYTES = 100
STAGES = ("decode", "run", "encode")


class Script:
    """A pipeline whose steps do what a test tells them: raise an error, or call something."""

    def __init__(self) -> None:
        self.told: dict[str, object] = {}
        self.seen: list[str] = []

    def decode(self, record):
        self._play("decode")
        return Invocation(an_envelope(), {}, TileContext(), decoded_bytes=TILE_BYTES)

    def run(self, record, invocation):
        self._play("run")
        return {"value": 1}

    def encode(self, record, invocation, outputs):
        self._play("encode")
        return ProducerRecord("results", record.key, b"result")

    def dead_letter(self, record, error, attempts):
        self._play("dead_letter")
        return ProducerRecord("dead", record.key, record.value, (("pesto_error_type", type(error).__name__.encode()),))

    def _play(self, step):
        self.seen.append(step)
        does = self.told.get(step)
        if isinstance(does, BaseException):
            raise does
        if callable(does):
            does()


class Bench:
    """Workers at work, and what they tell."""

    def __init__(self, limit_bytes: int = 10_000) -> None:
        self.broker = MemoryBroker({"results": 1, "dead": 1})
        self.script = Script()
        self.events: list = []
        self.budget = Budget(limit_bytes)
        self.producer = self.broker.producer()
        metrics = Metrics()
        sender = Sender(self.producer, self.script, metrics, self.events.append)
        self.workers = Workers(self.script, sender, self.budget, SystemClock(), metrics, self.events.append)
        self.workers.start()

    def job(self, offset: int = 0) -> Job:
        return Job(a_record(offset=offset), PartitionLedger(TopicPartition("tiles", 2), 1), None, 0.0)

    def told(self, count: int = 1) -> list:
        def enough():
            self.producer.poll(0)
            return len(self.events) >= count

        wait_until(enough, f"{count} events")
        return self.events


@pytest.fixture
def bench():
    benches = []

    def make(**settings):
        benches.append(Bench(**settings))
        return benches[-1]

    yield make
    for each in benches:
        each.workers.stop()
        assert each.workers.join(30.0)


def test_a_record_goes_through_the_stages_and_only_its_result_is_left_on_the_budget(bench):
    at = bench()
    job = at.job()
    at.workers.submit(job)

    (event,) = at.told()
    assert isinstance(event, Delivered)
    assert at.script.seen == ["decode", "run", "encode"]
    assert at.budget.bytes == job.charged_bytes == at.broker.records("results")[0].size
    assert job.unfolded == 1
    assert (job.invocation, job.outputs) == (None, None)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(
    "error", [ImageError("no"), AlgorithmError("no"), EncodeError("no")], ids=lambda error: type(error).__name__
)
def test_a_records_error_in_any_stage_is_a_dead_letter_and_gives_its_tile_back(bench, stage, error):
    at = bench()
    at.script.told[stage] = error
    job = at.job()
    at.workers.submit(job)

    (event,) = at.told()
    assert (event.job, event.outcome) == (job, Outcome.DEAD_LETTER)
    assert job.begun, "a revocation waits for its confirmation"
    assert at.budget.bytes == job.unfolded == 0


@pytest.mark.parametrize("stage", STAGES)
def test_trouble_outside_in_any_stage_is_told_for_another_try_and_gives_the_tile_back(bench, stage):
    at = bench()
    error = StoreUnavailable("away")
    at.script.told[stage] = error
    job = at.job()
    at.workers.submit(job)

    assert at.told() == [Interrupted(job, error)]
    assert at.budget.bytes == job.unfolded == 0
    assert at.broker.records("dead") == []


@pytest.mark.parametrize("stage", STAGES)
def test_a_fatal_error_in_any_stage_breaks_the_runtime(bench, stage):
    at = bench()
    error = DeviceLost("gone")
    at.script.told[stage] = error
    at.workers.submit(at.job())

    assert at.told() == [Broken(error)]


@pytest.mark.parametrize("stage", [*STAGES, "dead_letter"])
@pytest.mark.parametrize("bug", [ValueError("a bug"), SystemExit(1), KeyboardInterrupt()], ids=lambda bug: type(bug).__name__)
def test_a_thread_never_dies_unheard_whatever_is_raised_in_it(bench, stage, bug):
    at = bench()
    at.script.told[stage] = bug
    if stage == "dead_letter":
        at.script.told["run"] = AlgorithmError("no")
    at.workers.submit(at.job(7))

    (event,) = at.told()
    assert isinstance(event, Broken)
    assert "tiles[2]@7" in str(event.error)
    at.script.told.clear()
    at.workers.submit(at.job(8))
    assert isinstance(at.told(2)[1], Delivered)


def test_a_record_of_a_partition_that_is_being_taken_away_is_dropped_before_it_is_decoded(bench):
    at = bench()
    job = at.job()
    job.ledger.stop_taking()
    at.workers.submit(job)

    assert at.told() == [Dropped(job, "decode")]
    assert at.script.seen == []


def test_a_decoded_tile_whose_partition_is_being_taken_away_is_dropped_before_the_algorithm(bench):
    at = bench()
    job = at.job()
    at.script.told["decode"] = job.ledger.stop_taking
    at.workers.submit(job)

    assert at.told() == [Dropped(job, "algorithm")]
    assert at.script.seen == ["decode"]
    assert not job.begun
    assert at.budget.bytes == job.unfolded == 0


def test_what_the_algorithm_has_begun_is_finished_while_its_partition_is_being_taken_away(bench):
    at = bench()
    job = at.job()
    at.script.told["run"] = job.ledger.stop_taking
    at.workers.submit(job)

    assert isinstance(at.told()[0], Delivered)


@pytest.mark.parametrize("ends_in", ["run", "encode"])
def test_the_result_of_an_assignment_that_is_over_is_not_sent(bench, ends_in):
    at = bench()
    job = at.job()
    at.script.told[ends_in] = job.ledger.end
    at.workers.submit(job)

    assert at.told() == [Dropped(job, "encode")]
    assert at.broker.records("results") == []
    assert at.budget.bytes == job.unfolded == 0


def test_the_dead_letter_of_an_assignment_that_is_over_is_not_sent(bench):
    at = bench()
    job = at.job()

    def fail():
        job.ledger.end()
        raise AlgorithmError("no")

    at.script.told["run"] = fail
    at.workers.submit(job)

    assert at.told() == [Dropped(job, "algorithm")]
    assert at.broker.records("dead") == []


def test_a_decoder_without_room_waits_until_its_record_is_not_wanted_any_more(bench):
    at = bench(limit_bytes=1000)
    at.budget.change(1000, unfolded=1)
    job = at.job()
    at.workers.submit(job)
    wait_until(lambda: at.workers.running("decode"), "the decoder to begin")
    assert at.script.seen == []
    job.ledger.stop_taking()

    assert at.told() == [Dropped(job, "decode")]


def test_a_decoder_without_room_goes_on_when_results_are_delivered(bench):
    at = bench(limit_bytes=1000)
    at.budget.change(1000, unfolded=1)
    at.workers.submit(at.job())
    wait_until(lambda: at.workers.running("decode"), "the decoder to begin")
    at.budget.change(-1000, unfolded=-1)

    assert isinstance(at.told()[0], Delivered)


class Running:
    """A job inside the algorithm, until it is let go."""

    def __init__(self, at: Bench, *, ends_with: BaseException | None = None) -> None:
        self.leave = threading.Event()
        self.job = at.job()
        at.script.told["run"] = lambda: self._wait(ends_with)
        at.workers.submit(self.job)
        wait_until(lambda: self.job.begun, "the algorithm to begin")

    def _wait(self, ends_with):
        assert self.leave.wait(60)
        if ends_with is not None:
            raise ends_with


@pytest.mark.parametrize("late", [None, AlgorithmError("late"), StoreUnavailable("late")], ids=["result", "error", "trouble"])
def test_what_comes_of_a_tile_that_was_given_up_is_dropped_and_its_dead_letter_is_the_only_outcome(bench, late):
    at = bench()
    running = Running(at, ends_with=late)
    assert at.workers.give_up(running.job)
    at.workers.reject(running.job, AlgorithmTimeout("too late"))
    at.told()
    running.leave.set()
    wait_until(lambda: not at.workers.running("algorithm"), "the algorithm to return")

    assert [event.outcome for event in at.events] == [Outcome.DEAD_LETTER]
    assert at.broker.records("results") == []
    assert at.budget.bytes == running.job.unfolded == 0


def test_a_tile_that_has_just_returned_cannot_be_given_up(bench):
    at = bench()
    job = at.job()
    at.workers.submit(job)
    at.told()

    assert not at.workers.give_up(job)


def test_a_tile_that_waits_for_its_next_try_cannot_be_given_up(bench):
    """Its thread may still be seen in the algorithm when the loop has heard of the trouble already."""
    at = bench()
    at.script.told["run"] = StoreUnavailable("away")
    job = at.job()
    at.workers.submit(job)
    at.told()
    job.begun = job.settling = False  # as the loop does for the next try

    assert not at.workers.give_up(job)


def test_the_age_of_the_oldest_job_and_the_length_of_the_queues_can_be_seen(bench):
    at = bench()
    running = Running(at)
    at.workers.submit(at.job(1))
    at.workers.submit(at.job(2))
    wait_until(lambda: at.workers.queued()["algorithm"] == 2, "two waiting")
    wait_until(lambda: at.workers.oldest_seconds()["algorithm"] > 0, "some age")

    assert at.workers.oldest_seconds()["encode"] == 0.0
    running.leave.set()
    at.told(3)

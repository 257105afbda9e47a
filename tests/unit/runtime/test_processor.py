"""The loop where it is bent: clients that fail in every place, tiles over their time, long lanes, and how a run ends.

The promises themselves are in test_promises.py.
"""

from __future__ import annotations

import logging
import threading
from queue import SimpleQueue

import numpy as np
import pytest
from support.harness import DEAD, GROUP, INPUT, OUTPUT, NoImages, Runtime, quietly
from support.waiting import wait_until

from pesto_stream.broker.base import Position
from pesto_stream.broker.memory import MemoryBroker
from pesto_stream.errors import AuthorizationFailed, BrokerUnavailable, DeadLetterUnavailable, FatalError, StoreUnavailable
from pesto_stream.model.record import TopicPartition
from pesto_stream.model.snapshot import RunState
from pesto_stream.model.tile import Tile
from pesto_stream.runtime.retry import RetryPolicy

PARTITION = TopicPartition(INPUT, 0)
HOURS = 7200.0


class Gate:
    """An algorithm that doubles, and waits for leave with the values that it is told to wait with."""

    def __init__(self, *waits_with: float) -> None:
        self.waits_with = set(waits_with)
        self.begun: list[float] = []
        self._open = threading.Event()

    def __call__(self, invocation):
        value = invocation.inputs["value"]
        self.begun.append(value)
        if value in self.waits_with:
            assert self._open.wait(60)
        return {"value": 2 * value}

    def open(self):
        self._open.set()


class Other:
    """A member that takes over what it is given, and commits nothing."""

    def __init__(self, broker: MemoryBroker, *partitions: TopicPartition) -> None:
        self.consumer = broker.consumer(GROUP)
        self.assigned: dict[TopicPartition, Position | None] = {}
        self.consumer.subscribe([INPUT], self)
        self.consumer.target = set(partitions)

    def on_assigned(self, partitions):
        self.assigned.update(partitions)

    def on_revoked(self, partitions): ...

    def on_lost(self, partitions): ...

    def poll(self):
        self.consumer.poll(0.0, 100)
        return self.assigned


def hand_over(runtime: Runtime, *partitions: TopicPartition) -> Other:
    """Another member that is to have those partitions."""
    with runtime.broker.changed:
        other = Other(runtime.broker, *partitions)
        runtime.consumer.target = runtime.consumer.owned - set(partitions)
        runtime.broker.changed.notify_all()
    quietly(other.poll)
    return other


def double(invocation):
    return {"value": 2 * invocation.inputs["value"]}


def failing_from(thing, name, error):
    """From now on, a method of `thing` raises `error`."""

    def fail(*_args, **_kwargs):
        raise error

    setattr(thing, name, fail)


# -- a client that fails


@pytest.mark.parametrize("call", ["poll", "flush"])
def test_a_producer_that_failed_for_good_ends_the_run_which_commits_what_is_settled_and_leaves_the_group(call):
    with Runtime(double, commit_interval_seconds=HOURS) as runtime:
        producer = runtime.processor._producer
        runtime.send({"value": 1})
        runtime.until(lambda: runtime.ledger.in_flight == 0 and runtime.results() == [2], "the result")
        failing_from(producer, call, FatalError("fenced"))
        runtime.processor.request_stop()

        assert str(runtime.ended()) == "fenced"

    assert runtime.committed() == 1
    assert runtime.broker._groups[GROUP].members == []
    assert runtime.board.state is RunState.STOPPED


def test_a_producer_that_fails_inside_a_revocation_does_not_keep_the_settled_offsets_from_being_committed():
    gate = Gate(1)
    with Runtime(gate, commit_interval_seconds=HOURS) as runtime:
        runtime.send({"value": 0})
        runtime.send({"value": 1})
        runtime.until(lambda: gate.begun == [0, 1] and runtime.ledger.in_flight == 1, "the first to be settled")
        old = runtime.ledger.get(PARTITION)
        hand_over(runtime, PARTITION)
        runtime.until(lambda: not old.taking, "the revocation")
        failing_from(runtime.processor._producer, "poll", FatalError("fenced"))

        assert str(runtime.ended()) == "fenced"
        gate.open()

    assert runtime.committed() == 1
    assert not old.live


@pytest.mark.parametrize("error", [FatalError("fenced"), AuthorizationFailed("not you")])
def test_a_commit_that_can_never_succeed_ends_the_run_from_inside_a_revocation_too(error):
    with Runtime(double, commit_interval_seconds=HOURS) as runtime:
        runtime.send({"value": 0})
        runtime.until(lambda: runtime.results() == [0] and runtime.ledger.in_flight == 0, "the result")
        old = runtime.ledger.get(PARTITION)
        runtime.broker.fail_next("commit", error)
        hand_over(runtime, PARTITION)

        assert runtime.ended() is error

    assert not old.live
    assert runtime.committed() == 0


def test_a_refused_access_to_the_input_ends_the_run_with_what_was_refused():
    refusal = AuthorizationFailed("not you")
    with Runtime(double) as runtime:
        runtime.until(lambda: runtime.board.state is RunState.RUNNING, "the start")
        runtime.broker.fail_next("poll", refusal)

        assert runtime.ended() is refusal


def test_trouble_that_every_poll_tells_stops_the_runtime_even_where_a_broker_answers():
    with Runtime(double, unavailable_timeout_seconds=0.2) as runtime:
        failing_from(runtime.consumer, "poll", BrokerUnavailable("the coordinator is away"))

        failure = runtime.ended()

    assert runtime.broker.reachable
    assert isinstance(failure, BrokerUnavailable)
    assert "kafka.unavailable_timeout_seconds" in str(failure)


def test_trouble_that_a_poll_tells_at_once_does_not_make_the_loop_spin():
    with Runtime(double, unavailable_timeout_seconds=HOURS) as runtime:
        waits = []
        runtime.processor._producer.poll = lambda seconds: waits.append(seconds) or 0
        failing_from(runtime.consumer, "poll", BrokerUnavailable("not now"))
        runtime.until(lambda: any(seconds >= 0.1 for seconds in waits), "a pause between two polls")


@pytest.mark.parametrize(("error", "ends_with"), [(BrokerUnavailable("no answer"), None), (FatalError("fenced"), FatalError)])
def test_trouble_with_leaving_is_no_failure_of_the_run_unless_it_is_fatal(error, ends_with):
    with Runtime(double) as runtime:
        failing_from(runtime.consumer, "close", error)
        runtime.processor.request_stop()
        failure = runtime.ended()

    assert failure is None if ends_with is None else isinstance(failure, ends_with)
    assert runtime.board.state is RunState.STOPPED


def test_a_bug_in_the_loop_ends_the_run_with_its_name_and_commits_nothing_more(caplog):
    caplog.set_level(logging.CRITICAL)
    with Runtime(double, commit_interval_seconds=HOURS) as runtime:
        runtime.send({"value": 1})
        runtime.until(lambda: runtime.results() == [2] and runtime.ledger.in_flight == 0, "the result")
        failing_from(runtime.reporter, "received", KeyError("surprise"))
        runtime.send({"value": 2})

        failure = runtime.ended()

    assert isinstance(failure, FatalError)
    assert "KeyError('surprise')" in str(failure)
    assert isinstance(failure.__cause__, KeyError)
    assert runtime.committed() == 0
    assert runtime.broker._groups[GROUP].members == []
    assert "surprise" in runtime.board.snapshot().failure


def test_with_a_broker_that_is_away_the_end_waits_for_no_flush_and_tries_no_commit():
    with Runtime(double, unavailable_timeout_seconds=0.2, commit_interval_seconds=HOURS) as runtime:
        runtime.send({"value": 1})
        runtime.until(lambda: runtime.results() == [2] and runtime.ledger.in_flight == 0, "the result")
        calls: list[str] = []
        runtime.consumer.commit = lambda *_args, **_more: calls.append("commit")
        runtime.processor._producer.flush = lambda _seconds: calls.append("flush")
        runtime.broker.reachable = False

        assert isinstance(runtime.ended(), BrokerUnavailable)

    assert calls == []


# -- the end


def test_a_drain_goes_on_polling_and_takes_nothing_so_that_a_long_one_costs_no_membership():
    gate = Gate(0)
    with Runtime(gate) as runtime:
        runtime.send({"value": 0})
        runtime.until(lambda: gate.begun == [0], "the algorithm to begin")
        runtime.processor.request_stop()
        runtime.until(lambda: runtime.board.state is RunState.DRAINING, "the drain")
        polls = []
        original = runtime.consumer.poll
        runtime.consumer.poll = lambda *args: polls.append(args) or original(*args)
        runtime.send({"value": 1})

        runtime.until(lambda: len(polls) > 5, "polls while draining")
        gate.open()
        assert runtime.ended() is None

    assert runtime.results() == [0]
    assert runtime.committed() == 1


def test_another_member_gets_its_partitions_while_this_one_drains():
    gate = Gate(1)
    broker = MemoryBroker({INPUT: 2, OUTPUT: 1, DEAD: 1})
    with Runtime(gate, broker, drain_seconds=HOURS) as runtime:
        runtime.send({"value": 1}, partition=1)
        runtime.until(lambda: gate.begun == [1], "the algorithm to begin")
        runtime.processor.request_stop()
        runtime.until(lambda: runtime.board.state is RunState.DRAINING, "the drain")
        other = hand_over(runtime, PARTITION)

        runtime.until(other.poll, "the other member's assignment")
        gate.open()


def test_a_dead_letter_that_cannot_be_written_ends_a_drain_at_once():
    gate = Gate(0)
    with Runtime(gate, drain_seconds=HOURS) as runtime:
        runtime.send({"value": 0})
        runtime.until(lambda: gate.begun == [0], "the algorithm to begin")
        runtime.broker.hold_reports()
        runtime.broker.fail_next("report", BrokerUnavailable("no room"))
        runtime.send(b"{")
        runtime.until(
            lambda: runtime.metrics.value("pesto_dead_letters_total", stage="decode", error_type="DecodeError"), "the letter"
        )
        runtime.processor.request_stop()
        runtime.until(lambda: runtime.board.state is RunState.DRAINING, "the drain")
        runtime.broker.release_reports()

        assert isinstance(runtime.ended(), DeadLetterUnavailable)
        gate.open()

    assert runtime.committed() == 0


def test_a_second_stop_aborts_the_drain():
    gate = Gate(0)
    with Runtime(gate, drain_seconds=HOURS) as runtime:
        runtime.send({"value": 0})
        runtime.until(lambda: gate.begun == [0], "the algorithm to begin")
        runtime.processor.request_stop()
        runtime.until(lambda: runtime.board.state is RunState.DRAINING, "the drain")
        runtime.processor.request_stop()

        assert runtime.ended() is None
        assert runtime.processor.hung
        gate.open()

    assert runtime.committed() == 0


def test_two_stops_before_the_start_end_the_run_before_its_first_record():
    runtime = Runtime(double)
    runtime.send({"value": 0})
    runtime.processor.request_stop()
    runtime.processor.request_stop()
    with runtime:
        assert runtime.ended() is None

    assert runtime.results() == []
    assert not runtime.processor.hung


def test_a_worker_that_waits_for_room_in_the_clients_queue_does_not_keep_the_process_from_its_end():
    with Runtime(double, drain_seconds=0.1) as runtime:
        producer, waiting, closed = runtime.processor._producer, threading.Event(), threading.Event()

        def full(_record, _report):
            waiting.set()
            assert closed.wait(60)
            raise FatalError("closed")

        original = producer.close
        producer.send, producer.close = full, lambda: closed.set() or original()
        runtime.send({"value": 1})
        runtime.until(waiting.is_set, "the worker to wait")
        runtime.processor.request_stop()
        runtime.ended()

    assert not runtime.processor.hung
    assert runtime.committed() == 0


# -- tiles over their time


def test_a_tile_over_its_time_is_a_dead_letter_the_others_that_have_begun_are_settled_and_the_run_ends_as_a_failure():
    gate = Gate(0, 1)
    with Runtime(gate, threads=2, algorithm_timeout_seconds=0.3, drain_seconds=HOURS) as runtime:
        runtime.send({"value": 0})
        runtime.until(lambda: gate.begun == [0], "the first to begin")
        wait_until(lambda: runtime.workers.oldest_seconds()["algorithm"] > 0.2, "most of its time")
        runtime.send({"value": 1})
        runtime.until(lambda: gate.begun == [0, 1], "the second to begin")
        wait_until(runtime.dead_letters, "the dead letter")
        gate.open()
        failure = runtime.ended()

    assert isinstance(failure, FatalError)
    assert f"{INPUT}[0]@0" in str(failure)
    assert [(letter["pesto_error_type"], letter["pesto_source_offset"]) for letter in runtime.dead_letters()] == [
        ("AlgorithmTimeout", "0")
    ]
    assert runtime.results() == [2], "the second came in time, the first too late to count"
    assert runtime.committed() == 2
    assert runtime.board.snapshot().timed_out == f"{INPUT}[0]@0"
    assert runtime.budget.bytes == 0


def test_a_thread_that_never_returns_is_told_so_that_the_process_can_be_ended_from_outside():
    gate = Gate(0)
    with Runtime(gate, algorithm_timeout_seconds=0.05) as runtime:
        runtime.send({"value": 0})
        failure = runtime.ended()
        gate.open()

    assert isinstance(failure, FatalError)
    assert runtime.processor.hung
    assert runtime.committed() == 1


# -- lanes


def test_the_next_record_of_a_key_waits_for_the_retries_of_the_one_before():
    source = NoImages(StoreUnavailable("away"))
    policy = RetryPolicy(attempts=10_000, initial_seconds=0.01, max_seconds=0.01)
    with Runtime(double, source=source, retry=policy, ordering="key") as runtime:
        runtime.send({"value": 1, "image": "http://127.0.0.1:1/a.tif"}, key=b"k")
        runtime.send({"value": 2}, key=b"k")
        runtime.send({"value": 3}, key=b"other")
        runtime.until(lambda: source.reads > 3 and runtime.results() == [6], "the other key's result")
        source.error = None
        runtime.until(lambda: runtime.committed() == 3, "all")

    assert runtime.results() == [6, 4]
    assert len(runtime.dead_letters()) == 1


def test_a_lane_goes_on_after_its_head_was_lost_during_a_retry():
    source = NoImages(StoreUnavailable("away"))
    policy = RetryPolicy(attempts=10_000, initial_seconds=0.01, max_seconds=0.01)
    with Runtime(double, source=source, retry=policy, ordering="partition") as runtime:
        runtime.send({"value": 1, "image": "http://127.0.0.1:1/a.tif"})
        runtime.send({"value": 2})
        runtime.until(lambda: source.reads > 3, "some tries")
        runtime.broker.expire(runtime.consumer)
        runtime.until(lambda: runtime.stale() >= 2, "the loss")
        source.error = None
        runtime.until(lambda: runtime.committed() == 2, "all")

    assert runtime.results() == [4]
    assert runtime.budget.bytes == 0


def test_what_waits_for_its_next_try_is_let_go_with_its_partition_and_not_only_when_it_is_due():
    policy = RetryPolicy(attempts=10, initial_seconds=HOURS, max_seconds=HOURS)
    with Runtime(double, source=NoImages(StoreUnavailable("away")), retry=policy, drain_seconds=0.1) as runtime:
        runtime.send({"value": 1, "image": "http://127.0.0.1:1/a.tif"})
        runtime.until(lambda: len(runtime.processor._waiting) == 1, "the record to wait")
        runtime.broker.expire(runtime.consumer)

        runtime.until(lambda: runtime.stale() == 1, "the record to be let go")


def test_a_lane_of_thousands_that_are_not_wanted_any_more_is_let_go_and_counted():
    gate = Gate(0)
    records = 1000
    with Runtime(gate, ordering="partition", drain_seconds=0.1) as runtime:
        for value in range(records):
            runtime.send({"value": value})
        runtime.until(lambda: gate.begun == [0] and runtime.ledger.in_flight == records, "all to be received")
        with runtime.broker.changed:
            runtime.consumer._next[PARTITION] = 0  # the client starts the partition again by itself
        runtime.until(lambda: runtime.metrics.value("pesto_records_received_total") == 2 * records, "all of them again")
        gate.open()
        runtime.until(lambda: runtime.committed() > 0, "the first of the second round")

    assert runtime.failure is None
    assert runtime.stale() >= records


def test_a_stop_with_a_long_lane_commits_what_is_settled_and_leaves_the_rest():
    gate = Gate(1)
    with Runtime(gate, ordering="partition", drain_seconds=0.1) as runtime:
        for value in range(2000):
            runtime.send({"value": value})
        runtime.until(lambda: gate.begun == [0, 1] and runtime.ledger.in_flight == 1999, "all to be received")
        runtime.processor.request_stop()

        assert runtime.ended() is None
        gate.open()

    assert runtime.committed() == 1


def test_what_waits_in_a_lane_is_let_go_with_its_partition_and_not_only_when_the_head_returns():
    gate = Gate(0)
    with Runtime(gate, ordering="partition") as runtime:
        for value in range(10):
            runtime.send({"value": value})
        runtime.until(lambda: gate.begun == [0] and runtime.ledger.in_flight == 10, "all to be received")
        runtime.broker.expire(runtime.consumer)

        runtime.until(lambda: runtime.stale() == 9, "the nine that wait")
        assert gate.begun == [0]
        gate.open()
        runtime.until(lambda: runtime.committed() == 10, "all")


# -- rebalances


def test_a_partition_that_comes_back_while_the_runtime_is_paused_is_paused_as_well():
    gate = Gate(*range(1000))
    with Runtime(gate, limit_bytes=1000, hold_seconds=0.01) as runtime:
        for value in range(200):
            runtime.send({"value": value})
        runtime.until(lambda: runtime.board.snapshot().paused, "the pause")
        runtime.broker.expire(runtime.consumer)
        runtime.until(lambda: PARTITION in runtime.consumer._paused, "the pause after the new assignment")
        runtime.until(lambda: runtime.processor_turns() > 50, "some turns of the loop")

        assert runtime.budget.bytes < 2 * 1000
        gate.open()
        runtime.until(lambda: runtime.committed() == 200, "all the rest")


def test_what_was_committed_without_a_wait_is_said_again_in_a_revocation():
    """The answer to the first may be a refusal that comes when the partition, and all that was known of it, is gone."""
    with Runtime(double) as runtime:
        runtime.send({"value": 1})
        runtime.until(lambda: runtime.committed() == 1, "the commit")
        commits = []
        original = runtime.consumer.commit
        runtime.consumer.commit = lambda positions, *, wait: commits.append((positions, wait)) or original(positions, wait=wait)
        other = hand_over(runtime, PARTITION)
        runtime.until(other.poll, "the other member's assignment")

    assert ({PARTITION: Position(1)}, True) in commits


def test_a_record_of_a_lost_partition_that_fails_for_the_last_time_does_not_stop_the_runtime():
    tries: SimpleQueue = SimpleQueue()
    gate = threading.Event()

    def fail_once(invocation):
        tries.put(invocation)
        if tries.qsize() == 1:
            assert gate.wait(60)
            raise StoreUnavailable("away")
        return {"value": 2 * invocation.inputs["value"]}

    with Runtime(fail_once, retry=RetryPolicy(attempts=1, initial_seconds=0.01, max_seconds=0.01)) as runtime:
        runtime.send({"value": 1})
        runtime.until(lambda: tries.qsize() == 1, "the algorithm to begin")
        old = runtime.ledger.get(PARTITION)
        runtime.broker.expire(runtime.consumer)
        runtime.until(lambda: not old.live and runtime.ledger.in_flight == 1, "the new assignment")
        gate.set()
        runtime.until(lambda: runtime.committed() == 1, "the second run")

    assert runtime.failure is None
    assert runtime.stale() == 1


# -- sizes


def test_promise_7_what_records_unfold_to_is_bounded_as_well():
    """A few bytes of URL become a tile; decoders wait while the tiles before fill the budget."""
    tile_bytes, limit = 100_000, 350_000
    read: list[str] = []

    class Tiles:
        def read(self, url, window=None):
            read.append(url)
            return Tile(np.zeros((1, 1, tile_bytes), np.uint8)), "image/tiff"

    gate = Gate(0)
    with Runtime(gate, limit_bytes=limit, source=Tiles()) as runtime:
        for value in range(30):
            runtime.send({"value": value, "image": "http://store/tile"})
        runtime.until(lambda: runtime.ledger.in_flight == 30 and runtime.budget.bytes >= limit, "the budget to be full")
        runtime.until(lambda: runtime.processor_turns() > 50, "some turns of the loop")

        assert len(read) == 4, "the fourth is begun below the limit, the fifth waits"
        gate.open()
        runtime.until(lambda: runtime.committed() == 30, "all")

    assert runtime.budget.bytes == 0


def test_a_result_over_the_topics_limit_is_a_dead_letter_that_says_so():
    broker = MemoryBroker({INPUT: 1, OUTPUT: 1, DEAD: 1})
    with Runtime(double, broker) as runtime:
        refused = runtime.processor._producer
        original = refused._write

        def write(record):
            broker.topic_limit = 0 if record.topic == OUTPUT else 1 << 62
            return original(record)

        refused._write = write
        runtime.send({"value": 1})
        runtime.until(lambda: runtime.committed() == 1, "the commit")

    assert [letter["pesto_error_type"] for letter in runtime.dead_letters()] == ["EncodeError"]
    assert "max.message.bytes" in runtime.dead_letters()[0]["pesto_error_message"]
    assert runtime.budget.bytes == 0

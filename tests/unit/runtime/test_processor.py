"""How a run ends: clients that fail in every place, drains, tiles over their time.

The promises themselves are in test_promises.py.
"""

from __future__ import annotations

import logging
import threading

import pytest
from support.gate import Gate, double, hand_over
from support.harness import DEAD, GROUP, INPUT, OUTPUT, NoImages, Runtime
from support.waiting import wait_until

from pesto_stream.broker.memory import MemoryBroker
from pesto_stream.errors import AuthorizationFailed, BrokerUnavailable, DeadLetterUnavailable, FatalError, StoreUnavailable
from pesto_stream.model.record import TopicPartition
from pesto_stream.model.snapshot import RunState
from pesto_stream.runtime.retry import RetryPolicy

PARTITION = TopicPartition(INPUT, 0)
HOURS = 7200.0


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


def test_a_drain_goes_on_with_the_tries_of_what_was_interrupted():
    source = NoImages(StoreUnavailable("away"))
    policy = RetryPolicy(attempts=10_000, initial_seconds=0.01, max_seconds=0.01)
    with Runtime(double, source=source, retry=policy, drain_seconds=HOURS) as runtime:
        runtime.send({"value": 1, "image": "http://127.0.0.1:1/a.tif"})
        runtime.until(lambda: source.reads > 3, "some tries")
        runtime.processor.request_stop()
        runtime.until(lambda: runtime.board.state is RunState.DRAINING, "the drain")
        source.error = None

        assert runtime.ended() is None

    assert runtime.committed() == 1


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
        wait_until(
            lambda: runtime.dead_letters() and runtime.board.state is RunState.DRAINING,
            "the dead letter, and the wait for the second",
        )
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

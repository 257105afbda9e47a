"""The eight promises, each broken open on the broker in memory: what a user is told must be what happens.

The same promises are tried on a real Kafka in tests/stories.
"""

from __future__ import annotations

import logging

import pytest
from support.gate import Gate, double, hand_over
from support.harness import DEAD, INPUT, OUTPUT, NoImages, Runtime

from pesto_stream.broker.base import Position
from pesto_stream.broker.memory import MemoryBroker
from pesto_stream.errors import BrokerUnavailable, DeadLetterUnavailable, FatalError, StoreUnavailable
from pesto_stream.model.record import TopicPartition
from pesto_stream.model.snapshot import RunState

PARTITION = TopicPartition(INPUT, 0)


# -- promise 1


def test_promise_1_an_offset_is_committed_only_when_it_and_all_lower_ones_are_settled():
    gate = Gate(0)
    with Runtime(gate, threads=2) as runtime:
        for value in range(5):
            runtime.send({"value": value})
        runtime.until(lambda: sorted(runtime.results()) == [2, 4, 6, 8], "the others' results")
        runtime.send({"value": 5})
        runtime.until(lambda: 10 in runtime.results(), "one more turn of the loop")
        assert runtime.committed() == 0

        gate.open()
        runtime.until(lambda: runtime.committed() == 6, "the commit")


def test_promise_1_an_offset_is_not_committed_before_its_result_is_confirmed():
    with Runtime(double) as runtime:
        runtime.broker.hold_reports()
        runtime.send({"value": 1})
        runtime.until(lambda: runtime.results() == [2], "the result")
        turns = runtime.metrics.value("pesto_commits_total", result="sent")
        runtime.until(lambda: runtime.processor_turns() > 50, "some turns of the loop")
        assert runtime.committed() == 0
        assert runtime.metrics.value("pesto_commits_total", result="sent") == turns

        runtime.broker.release_reports()
        runtime.until(lambda: runtime.committed() == 1, "the commit")


def test_promise_1_a_dead_letter_is_confirmed_before_its_offset_is_committed():
    with Runtime(double) as runtime:
        runtime.broker.hold_reports()
        runtime.send(b"{")
        runtime.until(runtime.dead_letters, "the dead letter")
        runtime.until(lambda: runtime.processor_turns() > 50, "some turns of the loop")
        assert runtime.committed() == 0

        runtime.broker.release_reports()
        runtime.until(lambda: runtime.committed() == 1, "the commit")


def test_promise_1_a_refused_commit_is_said_again():
    with Runtime(double) as runtime:
        runtime.broker.fail_next("commit", BrokerUnavailable("not now"), times=2)
        runtime.send({"value": 1})

        runtime.until(lambda: runtime.committed() == 1, "the commit")


# -- promise 2


def test_promise_2_work_of_an_older_epoch_is_dropped_and_counted_and_never_committed():
    gate = Gate(0)
    with Runtime(gate) as runtime:
        runtime.send({"value": 0})
        runtime.until(lambda: gate.begun == [0], "the algorithm to begin")
        old = runtime.ledger.get(PARTITION)

        runtime.broker.expire(runtime.consumer)
        runtime.until(lambda: not old.live, "the loss")
        runtime.until(lambda: runtime.ledger.get(PARTITION) not in (None, old), "the new assignment")
        assert runtime.results() == []
        gate.open()

        runtime.until(lambda: runtime.committed() == 1, "the record's second run")
        assert gate.begun == [0, 0]
        assert runtime.results() == [0]
        assert runtime.stale() == 1


# -- promise 3


@pytest.mark.parametrize("call", ["send", "report"])
def test_promise_3_a_dead_letter_that_cannot_be_written_stops_the_runtime(call):
    with Runtime(double) as runtime:
        runtime.send({"value": 1})
        runtime.until(lambda: runtime.committed() == 1, "the first record")
        runtime.broker.fail_next(call, BrokerUnavailable("no room"))
        runtime.send(b"{")

        failure = runtime.ended()

    assert isinstance(failure, DeadLetterUnavailable | BrokerUnavailable)
    assert "no room" in str(failure)
    assert runtime.committed() == 1
    assert runtime.broker.records(DEAD) == []


def test_promise_3_a_dead_letter_over_a_size_limit_stops_the_runtime_and_names_the_record():
    broker = MemoryBroker({INPUT: 1, OUTPUT: 1, DEAD: 1})
    with Runtime(double, broker) as runtime:
        broker.client_limit = 1000
        runtime.send(b"{" * 2000)

        failure = runtime.ended()

    assert isinstance(failure, DeadLetterUnavailable)
    assert "tiles[0]@0" in str(failure)
    assert runtime.committed() == 0


# -- promise 4


def test_promise_4_a_dead_letter_has_a_counter_and_a_log_line(caplog):
    caplog.set_level(logging.DEBUG)
    with Runtime(Gate()) as runtime:
        runtime.send({"value": 13})
        runtime.until(lambda: runtime.committed() == 1, "the commit")

    line = logged(caplog, "dead_letter")[0]
    assert (line["topic"], line["partition"], line["offset"]) == (INPUT, 0, 0)
    assert "thirteen" in line["reason"]
    assert runtime.metrics.value("pesto_records_settled_total", outcome="dead_letter") == 1


def test_promise_4_a_tombstone_is_filtered_with_a_counter_and_a_log_line(caplog):
    caplog.set_level(logging.DEBUG)
    with Runtime(double) as runtime:
        runtime.send(None, key=b"k")
        runtime.until(lambda: runtime.committed() == 1, "the commit")

    line = logged(caplog, "filtered")[0]
    assert (line["topic"], line["partition"], line["offset"], line["reason"]) == (INPUT, 0, 0, "tombstone")
    assert runtime.metrics.value("pesto_records_settled_total", outcome="filtered") == 1
    assert runtime.results() == []
    assert runtime.dead_letters() == []


def test_promise_4_a_stale_record_has_a_counter_and_a_log_line(caplog):
    caplog.set_level(logging.DEBUG)
    gate = Gate(0)
    with Runtime(gate) as runtime:
        runtime.send({"value": 0})
        runtime.send({"value": 1})
        runtime.until(lambda: gate.begun == [0], "the algorithm to begin")
        runtime.broker.expire(runtime.consumer)
        runtime.until(lambda: gate.begun == [0] and runtime.ledger.in_flight == 2, "the new assignment")
        gate.open()
        runtime.until(lambda: runtime.committed() == 2, "the second run")

    lines = logged(caplog, "stale")
    assert {(line["topic"], line["partition"], line["offset"]) for line in lines} == {(INPUT, 0, 0), (INPUT, 0, 1)}
    assert all(line["reason"] for line in lines)
    assert runtime.stale() == 2


def test_promise_4_every_record_received_is_settled_or_stale_by_the_counters():
    with Runtime(Gate(), partitions=3, threads=2) as runtime:
        for value in range(60):
            payload = None if value % 10 == 0 else (b"{" if value % 7 == 0 else {"value": 13 if value % 11 == 0 else value})
            runtime.send(payload, partition=value % 3)
        runtime.until(lambda: [runtime.committed(p) for p in range(3)] == [20, 20, 20], "all commits")

    total = sum(runtime.metrics.value("pesto_records_settled_total", outcome=o) for o in ("delivered", "dead_letter", "filtered"))
    assert total + runtime.stale() == runtime.metrics.value("pesto_records_received_total") == 60
    assert len(runtime.results()) == runtime.metrics.value("pesto_records_settled_total", outcome="delivered")
    assert len(runtime.dead_letters()) == runtime.metrics.value("pesto_records_settled_total", outcome="dead_letter")


# -- promise 5


def test_promise_5_polling_goes_on_while_the_algorithm_works():
    gate = Gate(0)
    with Runtime(gate) as runtime:
        polls = count_calls(runtime.consumer, "poll")
        runtime.send({"value": 0})
        runtime.until(lambda: gate.begun == [0], "the algorithm to begin")
        before = len(polls)

        runtime.until(lambda: len(polls) > before + 20, "twenty polls during one tile")
        assert runtime.results() == []
        gate.open()


def test_promise_5_polling_goes_on_while_the_bytes_in_flight_are_at_their_limit():
    gate = Gate(0)
    with Runtime(gate, limit_bytes=1000, hold_seconds=0.01) as runtime:
        for value in range(50):
            runtime.send({"value": value})
        runtime.until(lambda: runtime.budget.full, "the budget to be full")
        polls = count_calls(runtime.consumer, "poll")

        runtime.until(lambda: len(polls) > 20, "twenty polls while paused")
        assert runtime.results() == []
        gate.open()
        runtime.until(lambda: runtime.committed() == 50, "all the rest")


# -- promise 6


def test_promise_6_a_revoked_partition_is_settled_and_committed_inside_the_callback():
    gate = Gate(0)
    broker = MemoryBroker({INPUT: 1, OUTPUT: 1, DEAD: 1})
    with Runtime(gate, broker, commit_interval_seconds=3600.0) as runtime:
        for value in range(5):
            runtime.send({"value": value})
        runtime.until(lambda: gate.begun == [0], "the algorithm to begin")
        other = hand_over(runtime, PARTITION)
        runtime.until(lambda: not runtime.ledger.get(PARTITION).taking, "the revocation")
        assert other.assigned == {}

        gate.open()
        runtime.until(lambda: other.poll() and other.assigned, "the other member's assignment")

    assert other.assigned == {PARTITION: Position(1)}
    assert runtime.results() == [0]
    assert [record.offset for record in other.records] == [1, 2, 3, 4]


def test_promise_6_a_tile_that_does_not_end_within_the_budget_is_given_up_uncommitted():
    gate = Gate(0)
    broker = MemoryBroker({INPUT: 1, OUTPUT: 1, DEAD: 1})
    with Runtime(gate, broker, revoke_seconds=0.05) as runtime:
        runtime.send({"value": 0})
        runtime.until(lambda: gate.begun == [0], "the algorithm to begin")
        other = hand_over(runtime, PARTITION)

        runtime.until(lambda: other.poll() and other.records, "the record at the other member")
        gate.open()
        runtime.until(lambda: runtime.stale() == 1, "the late result to be dropped")

    assert other.assigned in ({PARTITION: None}, {PARTITION: Position(0)})
    assert runtime.results() == []
    assert runtime.committed() == 0


def test_promise_6_on_lost_partitions_nothing_is_committed():
    gate = Gate(1)
    with Runtime(gate, commit_interval_seconds=3600.0) as runtime:
        runtime.send({"value": 0})
        runtime.send({"value": 1})
        runtime.until(lambda: gate.begun == [0, 1] and runtime.ledger.in_flight == 1, "the first to be settled")
        commits = count_calls(runtime.consumer, "commit")
        old = runtime.ledger.get(PARTITION)

        runtime.broker.expire(runtime.consumer)
        runtime.until(lambda: not old.live, "the loss")

        assert commits == []
        assert runtime.committed() == 0
        gate.open()


# -- promise 7


def test_promise_7_memory_is_bounded_by_bytes_in_flight():
    gate = Gate(0)
    record_bytes, limit = 100_000, 2_000_000
    with Runtime(gate, limit_bytes=limit, hold_seconds=0.01) as runtime:
        for value in range(100):
            runtime.send(b'{"value": %d}' % value + b" " * record_bytes)
        runtime.until(lambda: runtime.board.snapshot().paused, "the pause")
        assert runtime.budget.bytes <= limit
        assert runtime.ledger.in_flight < 100

        gate.open()
        runtime.until(lambda: runtime.committed() == 100, "all records")

    assert runtime.budget.bytes == 0


def test_promise_7_nothing_is_left_on_the_budget_whatever_became_of_the_records():
    gate = Gate(0)
    with Runtime(gate, partitions=2) as runtime:
        for value, payload in enumerate([{"value": 0}, b"{", {"value": 13}, None, {"value": 4}, {"value": "text"}]):
            runtime.send(payload, partition=value % 2, key=b"k")
        runtime.until(lambda: gate.begun == [0], "the algorithm to begin")
        runtime.broker.expire(runtime.consumer)
        gate.open()
        runtime.until(lambda: (runtime.committed(0), runtime.committed(1)) == (3, 3), "all records")
        runtime.until(lambda: not runtime.processor._open, "the stale ones to come back")

    assert runtime.budget.bytes == 0


# -- promise 8


def test_promise_8_an_object_store_that_is_down_is_retried_and_then_stops_the_runtime_without_dead_letters():
    source = NoImages(StoreUnavailable("the store at 'http://127.0.0.1:1/' does not answer"))
    with Runtime(double, source=source) as runtime:
        runtime.send({"value": 1, "image": "http://127.0.0.1:1/a.tif"})

        failure = runtime.ended()

    assert isinstance(failure, StoreUnavailable)
    assert source.reads == 3
    assert runtime.dead_letters() == []
    assert runtime.committed() == 0
    assert runtime.metrics.value("pesto_retries_total", error_type="StoreUnavailable") == 3


def test_promise_8_a_store_that_comes_back_costs_no_record():
    source = NoImages(StoreUnavailable("away"))
    with Runtime(double, source=source, retry=patient()) as runtime:
        runtime.send({"value": 1, "image": "http://127.0.0.1:1/a.tif"})
        runtime.until(lambda: source.reads >= 3, "some tries")
        source.error = None  # now it refuses the image, which is an answer
        runtime.until(lambda: runtime.committed() == 1, "the commit")

    assert [letter["pesto_error_type"] for letter in runtime.dead_letters()] == ["FetchRefused"]
    assert int(runtime.dead_letters()[0]["pesto_attempts"]) >= 4


def test_promise_8_a_broker_that_does_not_take_results_stops_the_runtime_with_nothing_committed():
    with Runtime(double) as runtime:
        runtime.broker.fail_next("report", BrokerUnavailable("timed out"))
        runtime.send({"value": 1})

        failure = runtime.ended()

    assert isinstance(failure, BrokerUnavailable)
    assert runtime.committed() == 0
    assert runtime.dead_letters() == []


def test_promise_8_a_broker_that_is_away_for_too_long_stops_the_runtime():
    with Runtime(double, unavailable_timeout_seconds=0.2) as runtime:
        runtime.until(lambda: runtime.board.state is RunState.RUNNING, "the start")
        runtime.broker.reachable = False

        failure = runtime.ended()

    assert isinstance(failure, BrokerUnavailable)
    assert "kafka.unavailable_timeout_seconds" in str(failure)


def test_promise_8_a_lost_device_stops_the_runtime_without_a_dead_letter():
    from pesto_stream.errors import DeviceLost

    def broken_device(_invocation):
        raise DeviceLost("CUDA error: device lost")

    with Runtime(broken_device) as runtime:
        runtime.send({"value": 1})
        failure = runtime.ended()

    assert isinstance(failure, FatalError)
    assert runtime.dead_letters() == []
    assert runtime.committed() == 0


# -- helpers


def logged(caplog, event):
    return [record.msg for record in caplog.records if isinstance(record.msg, dict) and record.msg["event"] == event]


def patient():
    from pesto_stream.runtime.retry import RetryPolicy

    return RetryPolicy(attempts=10_000, initial_seconds=0.01, max_seconds=0.01)


def count_calls(thing, name):
    """A list that grows with each call of a method, which goes on as before."""
    calls = []
    original = getattr(thing, name)

    def counted(*args, **kwargs):
        calls.append(args)
        return original(*args, **kwargs)

    setattr(thing, name, counted)
    return calls

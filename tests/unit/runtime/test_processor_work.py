"""The loop between poll and commit: lanes, retries, partitions that come and go, sizes.

How a run ends is in test_processor.py, the promises are in test_promises.py.
"""

from __future__ import annotations

import threading
from queue import SimpleQueue

import numpy as np
from support.gate import Gate, double, hand_over
from support.harness import DEAD, INPUT, OUTPUT, NoImages, Runtime

from pesto_stream.broker.base import Position
from pesto_stream.broker.memory import MemoryBroker
from pesto_stream.errors import StoreUnavailable
from pesto_stream.model.record import TopicPartition
from pesto_stream.model.tile import Tile
from pesto_stream.runtime.retry import RetryPolicy

PARTITION = TopicPartition(INPUT, 0)
HOURS = 7200.0


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

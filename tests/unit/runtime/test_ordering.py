from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pesto_stream.model.record import ConsumerRecord, TopicPartition
from pesto_stream.runtime.ordering import Lanes, lane_of


def record(key: bytes | None, partition: int = 0) -> ConsumerRecord:
    return ConsumerRecord("tiles", partition, 0, key, b"v")


def test_without_ordering_no_record_has_a_lane():
    assert lane_of("none", record(b"k")) is None


def test_with_partition_ordering_the_partition_is_the_lane():
    assert lane_of("partition", record(b"k", 3)) == TopicPartition("tiles", 3)


def test_with_key_ordering_a_key_of_one_partition_is_a_lane_and_a_record_without_key_has_none():
    assert lane_of("key", record(b"k", 1)) == ("tiles", 1, b"k")
    assert lane_of("key", record(None)) is None


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=60))
def test_one_thing_of_a_lane_runs_at_a_time_and_in_the_order_of_coming(steps):
    lanes: Lanes[int] = Lanes()
    running: dict[str, int] = {}
    seen: dict[str, list[int]] = {"a": [], "b": [], "c": []}
    entered: dict[str, list[int]] = {"a": [], "b": [], "c": []}
    for number, (lane, enters) in enumerate(steps):
        if enters:
            entered[lane].append(number)
            if lanes.enter(lane, number):
                assert lane not in running
                running[lane] = number
        elif lane in running:
            seen[lane].append(running.pop(lane))
            following = lanes.leave(lane)
            if following is not None:
                running[lane] = following
    for lane, done in seen.items():
        assert done == entered[lane][: len(done)]


def test_what_waits_can_be_taken_out_and_the_head_goes_on():
    lanes: Lanes[int] = Lanes()
    assert lanes.enter("a", 1)
    assert not lanes.enter("a", 2)
    assert not lanes.enter("a", 3)

    assert lanes.remove(lambda n: n == 2) == [2]
    assert lanes.leave("a") == 3
    assert lanes.leave("a") is None
    assert lanes.enter("a", 4)

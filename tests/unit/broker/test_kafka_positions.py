"""What a client answers about positions, in our words. The client is a stand-in: no broker errs for one partition on demand."""

from types import SimpleNamespace

import pytest
from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, OFFSET_INVALID, KafkaError

from pesto_stream.broker.base import Position
from pesto_stream.broker.kafka_positions import StartPolicy, read_positions, read_range, unlike
from pesto_stream.errors import AuthorizationFailed, BrokerUnavailable
from pesto_stream.model.record import TopicPartition

P0, P1 = TopicPartition("t", 0), TopicPartition("t", 1)


def answering(*offsets: int, error: KafkaError | None = None, metadata: str | None = None) -> SimpleNamespace:
    parts = [
        SimpleNamespace(topic="t", partition=n, offset=offset, metadata=metadata, error=None) for n, offset in enumerate(offsets)
    ]
    parts[-1].error = error
    return SimpleNamespace(committed=lambda *_, **__: parts)


def test_a_partition_without_a_commit_has_no_position():
    assert read_positions(answering(5, OFFSET_INVALID), [P0, P1], 1) == {P0: Position(5), P1: None}


def test_metadata_is_read():
    assert read_positions(answering(5, metadata="m"), [P0], 1) == {P0: Position(5, "m")}


@pytest.mark.parametrize(
    ("code", "expected"),
    [(KafkaError.UNSTABLE_OFFSET_COMMIT, BrokerUnavailable), (KafkaError.TOPIC_AUTHORIZATION_FAILED, AuthorizationFailed)],
)
def test_an_error_of_one_partition_is_not_taken_for_no_commit(code, expected):
    with pytest.raises(expected, match=r"committed offset of t\[1\]"):
        read_positions(answering(5, OFFSET_INVALID, error=KafkaError(code)), [P0, P1], 1)


def test_no_partitions_need_no_question():
    assert read_positions(None, [], 1) == {}


def test_no_answer_about_the_range_is_trouble():
    with pytest.raises(BrokerUnavailable, match="no answer within 1 s"):
        read_range(SimpleNamespace(get_watermark_offsets=lambda *_, **__: None), P0, 1)


def test_positions_differ_by_offset_or_metadata():
    wanted = {P0: Position(1, "a"), P1: Position(1, "a")}
    assert unlike(wanted, {P0: Position(1, "a"), P1: Position(1, "b")}) == [P1]
    assert unlike(wanted, {P0: Position(2, "a"), P1: None}) == [P0, P1]


@pytest.mark.parametrize(("name", "first"), [("earliest", OFFSET_BEGINNING), ("latest", OFFSET_END), ("end", OFFSET_END)])
def test_the_start_counts_only_without_a_commit(name, first):
    policy = StartPolicy.of({"auto.offset.reset": name})
    assert policy.first(None) == first
    assert policy.first(Position(7)) == 7

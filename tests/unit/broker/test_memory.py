"""What the broker in memory does beyond the contract: faults on demand, and a rebalance that a test can follow step by step."""

import pytest
from support.group_member import GroupMember

from pesto_stream.broker.base import DeliveryReport, Position
from pesto_stream.broker.memory import MemoryBroker
from pesto_stream.clock import ManualClock
from pesto_stream.errors import BrokerUnavailable
from pesto_stream.model.record import ProducerRecord, TopicPartition

P0, P1 = TopicPartition("t", 0), TopicPartition("t", 1)


@pytest.fixture
def broker() -> MemoryBroker:
    return MemoryBroker({"t": 2}, clock=ManualClock(), waits=False)


def join(broker: MemoryBroker, group: str = "g") -> GroupMember:
    member = GroupMember(broker.consumer(group), "t")
    member.turn()
    return member


def fill(broker: MemoryBroker, count: int, partition: int = 0) -> None:
    for number in range(count):
        broker.append(ProducerRecord("t", None, str(number).encode()), partition)


def test_a_partition_goes_over_only_when_its_owner_has_given_it_up(broker):
    one = join(broker)
    two = join(broker)
    assert (one.owned, two.owned) == ({P0, P1}, set())
    one.turn()
    assert (one.owned, two.owned) == ({P0}, set())
    two.turn()
    assert two.owned == {P1}


def test_what_a_member_commits_while_revoked_is_where_the_next_one_starts(broker):
    fill(broker, 3, partition=1)
    one = join(broker)
    one.while_revoked = lambda partitions: one.consumer.commit({tp: Position(2, "m") for tp in partitions}, wait=True)
    two = join(broker)
    one.turn()
    two.turn()
    assert two.positions == {P1: Position(2, "m")}
    assert [record.offset for record in two.records] == [2]


def test_a_crashed_member_commits_nothing_and_is_replaced(broker):
    fill(broker, 2)
    one, two = join(broker), join(broker)
    one.turn()
    broker.crash(one.consumer)
    two.turn()
    assert two.owned == {P0, P1}
    assert [event for event, _ in one.events] == ["assigned", "revoked"]
    assert broker.committed("g", P0) is None


def test_a_member_that_was_silent_loses_its_partitions_and_rejoins(broker):
    one = join(broker)
    broker.expire(one.consumer)
    with pytest.raises(BrokerUnavailable, match="not assigned"):
        one.consumer.commit({P0: Position(1)}, wait=True)
    one.turn()
    assert [event for event, _ in one.events] == ["assigned", "lost", "assigned"]
    assert one.owned == {P0, P1}


def test_reports_are_held_until_they_are_released(broker):
    producer = broker.producer()
    reports: list[DeliveryReport] = []
    broker.hold_reports()
    producer.send(ProducerRecord("t", None, b"x"), reports.append)
    assert (producer.poll(0), producer.flush(0), reports) == (0, 1, [])
    broker.release_reports()
    assert (producer.poll(0), producer.flush(0), len(reports)) == (1, 0, 1)


def test_a_record_whose_report_fails_is_not_there(broker):
    producer = broker.producer()
    reports: list[DeliveryReport] = []
    failure = BrokerUnavailable("on purpose")
    broker.fail_next("report", failure)
    for value in (b"lost", b"there"):
        producer.send(ProducerRecord("t", b"k", value), reports.append)
    producer.flush(1)
    assert [report.error for report in reports] == [failure, None]
    assert [record.value for record in broker.records("t")] == [b"there"]


@pytest.mark.parametrize("call", ["send", "poll", "commit"])
def test_a_call_fails_as_often_as_asked(broker, call):
    one, producer = join(broker), broker.producer()
    calls = {
        "send": lambda: producer.send(ProducerRecord("t", None, b"x"), lambda _: None),
        "poll": lambda: one.consumer.poll(0),
        "commit": lambda: one.consumer.commit({P0: Position(0)}, wait=True),
    }
    broker.fail_next(call, BrokerUnavailable("on purpose"), times=2)
    for _ in range(2):
        with pytest.raises(BrokerUnavailable, match="on purpose"):
            calls[call]()
    calls[call]()


def test_a_commit_that_nobody_waited_for_is_made_up_by_the_next(broker):
    one = join(broker)
    broker.fail_next("commit", BrokerUnavailable("on purpose"))
    one.consumer.commit({P0: Position(1)}, wait=False)
    assert broker.committed("g", P0) is None
    one.consumer.commit({P1: Position(1)}, wait=True)
    assert broker.committed("g", P0) == Position(1)


def test_gaps_in_the_offsets_are_read_over(broker):
    fill(broker, 1)
    broker.skip_offsets(P0, 5)
    fill(broker, 1)
    one = join(broker)
    assert [record.offset for record in one.records] == [0, 6]
    assert one.consumer.lag() == {P0: 7, P1: 0}


def test_a_new_topic_is_handed_out(broker):
    member = GroupMember(broker.consumer("g"), "t", "later")
    member.turn()
    broker.create_topic("later", 1)
    member.turn()
    assert TopicPartition("later", 0) in member.owned

"""What every implementation of the broker ports keeps: in memory, the embedded broker, a real Apache Kafka with both group protocols."""

import contextlib
import time
from collections.abc import Callable, Iterator

import pytest
from support.group_member import GroupMember, drive
from support.places import (
    CLIENT_LIMIT,
    LIMIT_OF_TOPIC,
    QUICK_CLASSIC,
    TOPIC_LIMIT,
    Embedded,
    EmbeddedClassic,
    InMemory,
    Place,
    RealKafka,
)
from support.topics import unique_name
from support.waiting import wait_until

from pesto_stream.broker.base import DeliveryReport, Position, Producer, RecordTooLarge
from pesto_stream.errors import BrokerUnavailable
from pesto_stream.model.record import ProducerRecord, TopicPartition

PLACES: dict[str, Callable[[pytest.FixtureRequest], Place]] = {
    "memory": lambda _: InMemory(),
    "embedded": lambda request: Embedded(request.getfixturevalue("embedded")),
    "embedded-classic": lambda request: EmbeddedClassic(request.getfixturevalue("embedded")),
    "kafka-classic": lambda request: _real(request, QUICK_CLASSIC),
    "kafka-consumer": lambda request: _real(request, {"group.protocol": "consumer"}),
}
MARKS = {"memory": (), "embedded": (pytest.mark.embedded,), "kafka": (pytest.mark.real_kafka,)}


def _real(request: pytest.FixtureRequest, properties: dict[str, object]) -> Place:
    return RealKafka(request.getfixturevalue("topics"), request.getfixturevalue("kafka"), properties)


@pytest.fixture(params=[pytest.param(name, marks=MARKS[name.split("-")[0]]) for name in PLACES])
def place(request: pytest.FixtureRequest) -> Place:
    return PLACES[request.param](request)


@pytest.fixture
def producer(place: Place) -> Iterator[Producer]:
    client = place.producer()
    yield client
    client.close()


@pytest.fixture
def group() -> str:
    return unique_name("group")


@pytest.fixture
def member(place: Place, group: str) -> Iterator[Callable[..., GroupMember]]:
    """Makes members of the test's group, and has those leave that are still there at its end."""
    members = []

    def join(*topics: str, start: str = "earliest") -> GroupMember:
        members.append(GroupMember(place.consumer(group, start=start), *topics))
        return members[-1]

    yield join
    for one in members:
        one.while_revoked = lambda _: None
        one.consumer.close()


def requires(place: Place, capability: str) -> None:
    if capability in place.gaps:
        pytest.skip(f"not kept here: {capability}: {place.gaps[capability]}")


def send_all(producer: Producer, topic: str, *values: bytes | None, key: bytes | None = b"k") -> list[DeliveryReport]:
    reports: list[DeliveryReport] = []
    for value in values:
        producer.send(ProducerRecord(topic, key, value), reports.append)
    assert producer.flush(30) == 0
    return reports


def commit_all(member: GroupMember, topic: str, offset: int, metadata: str = "") -> None:
    member.consumer.commit({TopicPartition(topic, 0): Position(offset, metadata)}, wait=True)


@pytest.mark.parametrize(
    ("key", "value", "headers"),
    [
        (b"key", b"value", (("a", b"1"), ("b", b""), ("a", b"2"), ("none", None))),
        (None, None, ()),
        (b"", b"", ()),
        (b"\x00\xff", bytes(range(256)), (("ce_id", "é".encode()),)),
    ],
)
def test_a_record_comes_as_it_was_sent(place, producer, member, key, value, headers):
    topic = place.topic()
    producer.send(ProducerRecord(topic, key, value, headers), lambda _: None)
    assert producer.flush(30) == 0
    [record] = member(topic).receive(1)
    assert (record.topic, record.partition, record.offset) == (topic, 0, 0)
    assert (record.key, record.value, record.headers) == (key, value, headers)
    assert abs(record.timestamp_ms / 1000 - time.time()) < 600


def test_a_partition_keeps_its_order_and_a_key_its_partition(place, producer, member):
    topic = place.topic(partitions=3)
    keys = [b"a", b"b", b"c", b"d"]
    for number in range(80):
        producer.send(ProducerRecord(topic, keys[number % 4], str(number).encode()), lambda _: None)
    assert producer.flush(30) == 0
    records = member(topic).receive(80)
    for key in keys:
        mine = [record for record in records if record.key == key]
        assert len({record.partition for record in mine}) == 1
        assert [int(record.value) for record in mine] == sorted(int(record.value) for record in mine)


def test_each_record_sent_has_one_report_from_poll_or_flush(place, producer):
    topic = place.topic()
    reports: list[DeliveryReport] = []
    sent = [ProducerRecord(topic, None, str(number).encode()) for number in range(50)]
    for record in sent:
        producer.send(record, reports.append)
    wait_until(lambda: producer.poll(0.05) >= 0 and len(reports) == 50, "all reports came by polling")
    assert sorted(report.record.value for report in reports) == sorted(record.value for record in sent)
    assert all(report.error is None for report in reports)
    assert producer.flush(5) == 0


def test_a_record_over_the_clients_limit_is_refused_at_once(place, producer):
    topic = place.topic()
    reports: list[DeliveryReport] = []
    with pytest.raises(RecordTooLarge):
        producer.send(ProducerRecord(topic, b"k", bytes(CLIENT_LIMIT + 1)), reports.append)
    assert producer.flush(5) == 0
    assert reports == []


def test_a_record_over_the_topics_limit_is_reported_and_the_others_arrive(place, producer, member):
    requires(place, LIMIT_OF_TOPIC)
    topic = place.topic()
    small, large, last = send_all(producer, topic, b"small", bytes(TOPIC_LIMIT + 1000), b"last")
    by_size = {len(report.record.value): report.error for report in (small, large, last)}
    assert isinstance(by_size[TOPIC_LIMIT + 1000], BrokerUnavailable)
    assert isinstance(by_size[TOPIC_LIMIT + 1000].__cause__, RecordTooLarge)
    assert by_size[5] is None
    assert by_size[4] is None
    assert [record.value for record in member(topic).receive(2)] == [b"small", b"last"]


def test_a_missing_topic_has_no_partitions_and_is_not_created_by_asking(place, producer):
    missing = unique_name("missing")
    assert producer.partitions(place.topic(partitions=3), 10) == 3
    assert producer.partitions(missing, 10) == 0
    assert producer.partitions(missing, 10) == 0


def test_a_member_is_told_its_partitions_before_their_records(place, producer, member):
    topic = place.topic(partitions=2)
    send_all(producer, topic, b"1")
    one = member(topic)
    one.receive(1)
    assert one.owned == {TopicPartition(topic, 0), TopicPartition(topic, 1)}
    assert set(one.positions.values()) == {None}


def test_a_group_goes_on_where_it_committed(place, producer, member):
    topic = place.topic()
    send_all(producer, topic, b"0", b"1", b"2", b"3")
    first = member(topic)
    first.receive(4)
    commit_all(first, topic, 2, "attempts: é")
    first.consumer.close()
    second = member(topic)
    assert [record.offset for record in second.receive(2)] == [2, 3]
    assert second.positions == {TopicPartition(topic, 0): Position(2, "attempts: é")}


def test_metadata_may_change_while_the_offset_stays(place, producer, member):
    topic = place.topic()
    send_all(producer, topic, b"0")
    first = member(topic)
    first.receive(1)
    commit_all(first, topic, 0, "one")
    commit_all(first, topic, 0, "two")
    first.consumer.close()
    second = member(topic)
    second.receive(1)
    assert second.positions == {TopicPartition(topic, 0): Position(0, "two")}


def test_what_was_not_committed_is_read_again(place, producer, member):
    topic = place.topic()
    send_all(producer, topic, b"0", b"1")
    first = member(topic)
    first.receive(2)
    first.consumer.close()
    assert member(topic).receive(2)[0].offset == 0


def test_a_commit_without_waiting_is_stored_too(place, producer, member):
    topic = place.topic()
    send_all(producer, topic, b"0", b"1", b"2")
    first = member(topic)
    first.receive(3)
    first.consumer.commit({TopicPartition(topic, 0): Position(1)}, wait=False)
    first.turn_until(lambda: first.consumer.lag() == {TopicPartition(topic, 0): 2}, "the commit is confirmed")
    first.consumer.close()
    assert member(topic).receive(2)[0].offset == 1


def test_a_commit_of_what_is_not_assigned_is_refused(place, producer, member):
    topic = place.topic()
    send_all(producer, topic, b"0")
    one = member(topic)
    one.receive(1)
    with pytest.raises(BrokerUnavailable, match="not assigned"):
        one.consumer.commit({TopicPartition(topic, 7): Position(1)}, wait=True)
    one.consumer.commit({}, wait=True)


def test_a_group_that_starts_at_the_end_reads_what_comes_later(place, producer, member):
    topic = place.topic()
    send_all(producer, topic, b"before")
    one = member(topic, start="latest")
    one.turn_until(lambda: one.owned, "assigned")
    numbers = iter(range(10_000))

    def another_arrives() -> object:
        send_all(producer, topic, str(next(numbers)).encode())
        one.turn()
        return one.records

    wait_until(another_arrives, "a later record")
    assert b"before" not in one.values


def test_a_paused_partition_gives_nothing_keeps_its_member_and_goes_on(place, producer, member):
    topic = place.topic()
    tp = TopicPartition(topic, 0)
    send_all(producer, topic, *(str(number).encode() for number in range(20)))
    one = member(topic)
    wait_until(lambda: one.consumer.poll(0.05, 1), "a record")
    one.consumer.pause([tp])
    send_all(producer, topic, b"20")
    for _ in range(10):
        one.turn()
    assert one.records == []
    assert one.owned == {tp}
    one.consumer.resume([tp])
    assert [record.offset for record in one.receive(20)] == list(range(1, 21))
    assert [event for event, _ in one.events] == ["assigned"]


def test_a_partition_that_left_while_it_was_paused_comes_back_without_its_pause(place, producer, member):
    topic = place.topic(partitions=2)
    one = member(topic)
    one.turn_until(lambda: len(one.owned) == 2, "both assigned")
    one.consumer.pause(one.owned)
    other = member(topic)
    drive([one, other], lambda: len(one.owned) == len(other.owned) == 1, "one partition each")
    moved = next(iter(other.owned))
    other.consumer.close()
    one.turn_until(lambda: len(one.owned) == 2, "the other's partition")
    for number in range(10):
        send_all(producer, topic, b"any", key=str(number).encode())
    one.turn_until(lambda: one.records, "records of the partition that came back")
    assert {record.topic_partition for record in one.records} == {moved}


def test_pausing_what_is_not_assigned_does_nothing(place, member):
    topic = place.topic()
    one = member(topic)
    one.consumer.pause([TopicPartition(topic, 0), TopicPartition("elsewhere", 3)])
    one.turn_until(lambda: one.owned, "assigned")
    one.consumer.resume([TopicPartition("elsewhere", 3)])


def test_a_poll_takes_no_more_than_its_limits(place, producer, member):
    topic = place.topic()
    send_all(producer, topic, *(bytes(1000) for _ in range(12)))
    one = member(topic)
    few: list[int] = []
    wait_until(lambda: few.append(len(one.consumer.poll(0.05, 2))) or sum(few) == 6, "six records, two at most at a time")
    small: list[int] = []
    wait_until(lambda: small.append(len(one.consumer.poll(0.05, 100, 1500))) or sum(small) == 6, "six more, by bytes")
    assert max(few) == max(small) == 2


def test_a_poll_without_records_returns_in_time(place, member):
    topic = place.topic()
    one = member(topic)
    one.turn_until(lambda: one.owned, "assigned")
    began = time.monotonic()
    assert one.consumer.poll(0.2, 10) == []
    assert one.consumer.poll(0, 10) == []
    assert time.monotonic() - began < 5


def test_two_members_share_the_partitions_and_each_record_goes_to_one(place, producer, member):
    topic = place.topic(partitions=4)
    one = member(topic)
    one.turn_until(lambda: len(one.owned) == 4, "all partitions assigned")
    two = member(topic)
    drive([one, two], lambda: len(one.owned) == len(two.owned) == 2, "two partitions each")
    assert not one.owned & two.owned
    for number in range(40):
        producer.send(ProducerRecord(topic, str(number).encode(), str(number).encode()), lambda _: None)
    assert producer.flush(30) == 0
    drive([one, two], lambda: len(one.records) + len(two.records) >= 40, "all records")
    assert sorted(one.values + two.values) == sorted(str(number).encode() for number in range(40))


def test_what_is_taken_away_is_revoked_inside_poll_and_its_commit_counts(place, producer, member):
    topic = place.topic(partitions=2)
    for number in range(20):
        producer.send(ProducerRecord(topic, str(number).encode(), b"x"), lambda _: None)
    assert producer.flush(30) == 0
    one = member(topic)
    one.receive(20)

    def commit_their_end(partitions) -> None:
        ends = {tp: max((r.offset for r in one.records if r.topic_partition == tp), default=-1) + 1 for tp in partitions}
        one.consumer.commit({tp: Position(end) for tp, end in ends.items()}, wait=True)

    one.while_revoked = commit_their_end
    two = member(topic)
    drive([one, two], lambda: len(one.owned) == len(two.owned) == 1, "one partition each")
    for _ in range(5):
        two.turn()
    assert two.records == []
    assert [event for event, partitions in one.events if partitions] == ["assigned", "revoked"]


def test_leaving_revokes_commits_and_hands_over(place, producer, member):
    topic = place.topic()
    send_all(producer, topic, b"0", b"1")
    one = member(topic)
    one.receive(2)
    one.while_revoked = lambda _: commit_all(one, topic, 1)
    one.consumer.close()
    assert one.events[-1] == ("revoked", (TopicPartition(topic, 0),))
    one.consumer.close()
    assert [record.offset for record in member(topic).receive(1)] == [1]


def test_an_error_of_the_listener_is_raised_by_poll(place, member):
    topic = place.topic()
    one = member(topic)

    def break_down(_partitions) -> None:
        raise BrokerUnavailable("the listener's own")

    one.on_assigned = break_down  # type: ignore[method-assign]
    with pytest.raises(BrokerUnavailable, match="the listener's own"):
        one.turn_until(lambda: False, "the listener's error")


def test_lag_counts_from_the_commit_to_the_end(place, producer, member):
    topic = place.topic()
    tp = TopicPartition(topic, 0)
    send_all(producer, topic, *(b"x" for _ in range(5)))
    one = member(topic)
    one.turn_until(lambda: one.consumer.lag() == {tp: 5}, "lag without a commit")
    commit_all(one, topic, 3)
    assert one.consumer.lag() == {tp: 2}
    send_all(producer, topic, b"y")
    one.turn_until(lambda: one.consumer.lag() == {tp: 3}, "lag of a later record")


def test_a_member_is_connected_while_a_broker_answers(place, member):
    topic = place.topic()
    one = member(topic)
    one.turn_until(lambda: one.owned, "assigned")
    one.turn_until(lambda: one.consumer.connected, "connected")


def test_a_topic_that_is_not_there_yet_is_waited_for(place, producer, member):
    existing, later = place.topic(), unique_name("later")
    send_all(producer, existing, b"x")
    one = member(existing, later)
    assert one.receive(1)[0].topic == existing


def test_a_broker_that_is_not_there_is_no_crash(place):
    consumer, producer = place.unreachable()
    GroupMember(consumer, "t")
    with contextlib.suppress(BrokerUnavailable):
        consumer.poll(0.3)
    assert not consumer.connected
    with pytest.raises(BrokerUnavailable, match="'t'"):
        producer.partitions("t", 0.5)
    producer.close()
    consumer.close()

"""The Kafka adapters when the broker does not do what it is asked, with faults that the embedded broker makes on demand."""

import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from confluent_kafka import TopicPartition as ClientPartition
from support.embedded import ILLEGAL_GENERATION, MSG_SIZE_TOO_LARGE, NOT_ENOUGH_REPLICAS, REBALANCE_IN_PROGRESS, Faults
from support.group_member import GroupMember
from support.topics import unique_name
from support.waiting import wait_until

from pesto_stream.broker.base import DeliveryReport, Position, RecordTooLarge
from pesto_stream.broker.kafka import KafkaConsumer, KafkaProducer
from pesto_stream.broker.kafka_embedded import EMBEDDED_CLIENT_PROPERTIES, EmbeddedBroker
from pesto_stream.errors import BrokerUnavailable
from pesto_stream.model.record import ConsumerRecord, ProducerRecord, TopicPartition

pytestmark = pytest.mark.embedded


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker({"t": 1}) as own:
        yield own


@pytest.fixture
def faults(broker: EmbeddedBroker) -> Faults:
    return Faults(broker)


@pytest.fixture
def producer(broker: EmbeddedBroker) -> Iterator[KafkaProducer]:
    client = KafkaProducer(
        {"bootstrap.servers": broker.bootstrap_servers, "linger.ms": 0, "delivery.timeout.ms": 1500, "log_level": 2}
    )
    yield client
    client.close()


CLASSIC = {"group.protocol": "classic", "session.timeout.ms": 2000, "heartbeat.interval.ms": 100}


def consumer(broker: EmbeddedBroker, group: str, properties: dict[str, object] | None = None, **more) -> KafkaConsumer:
    common = {"bootstrap.servers": broker.bootstrap_servers, "group.id": group, "statistics.interval.ms": 50, "log_level": 2}
    return KafkaConsumer({**common, **EMBEDDED_CLIENT_PROPERTIES, **(properties or {})}, commit_timeout_seconds=1.0, **more)


def send_all(producer: KafkaProducer, *values: bytes, topic: str = "t") -> list[DeliveryReport]:
    reports: list[DeliveryReport] = []
    for value in values:
        producer.send(ProducerRecord(topic, None, value), reports.append)
    wait_until(lambda: producer.poll(0.05) >= 0 and len(reports) == len(values), "all reports")
    return reports


def test_a_commit_that_the_coordinator_refuses_is_raised(broker, faults, producer):
    send_all(producer, b"0")
    failed: list[str] = []
    member = GroupMember(consumer(broker, "g", on_commit_failed=failed.append), "t")
    member.receive(1)
    faults.on_commit(REBALANCE_IN_PROGRESS)
    with pytest.raises(BrokerUnavailable, match=r"offsets of 't\[0\]'.*did not take them"):
        member.consumer.commit({TopicPartition("t", 0): Position(1)}, wait=True)
    member.consumer.commit({TopicPartition("t", 0): Position(1)}, wait=True)
    for _ in range(5):
        member.turn()
    assert failed == []  # what was raised is not told again
    member.consumer.close()


def test_a_commit_that_failed_later_is_counted_once_and_stored_by_itself(broker, faults, producer):
    send_all(producer, b"0", b"1", b"2")
    failed: list[str] = []
    member = GroupMember(consumer(broker, "g", on_commit_failed=failed.append), "t")
    member.receive(3)
    faults.on_commit(REBALANCE_IN_PROGRESS)
    member.consumer.commit({TopicPartition("t", 0): Position(2, "m")}, wait=False)
    member.turn_until(lambda: failed and member.consumer.lag() == {TopicPartition("t", 0): 1}, "made up for")
    assert failed == ["REBALANCE_IN_PROGRESS"]
    member.consumer.close()
    later = GroupMember(consumer(broker, "g"), "t")
    assert later.receive(1)[0].offset == 2
    later.consumer.close()


def test_a_later_commit_is_not_undone_by_one_that_failed(broker, faults, producer):
    send_all(producer, b"0", b"1", b"2")
    member = GroupMember(consumer(broker, "g"), "t")
    member.receive(3)
    faults.on_commit(REBALANCE_IN_PROGRESS)
    member.consumer.commit({TopicPartition("t", 0): Position(1)}, wait=False)
    member.consumer.commit({TopicPartition("t", 0): Position(3)}, wait=True)
    for _ in range(20):
        member.turn()
    assert member.consumer.lag() == {TopicPartition("t", 0): 0}
    member.consumer.close()
    later = GroupMember(consumer(broker, "g"), "t")
    later.turn_until(lambda: later.owned, "assigned")
    assert later.positions == {TopicPartition("t", 0): Position(3)}
    later.consumer.close()


def test_a_failed_commit_is_stored_when_its_partition_is_left(broker, faults, producer):
    send_all(producer, b"0", b"1")
    failed: list[str] = []
    member = GroupMember(consumer(broker, "g", on_commit_failed=failed.append), "t")
    member.receive(2)
    faults.on_commit(REBALANCE_IN_PROGRESS)
    member.consumer.commit({TopicPartition("t", 0): Position(1)}, wait=False)
    member.turn_until(lambda: failed, "the failure is told")
    member.consumer.close()
    later = GroupMember(consumer(broker, "g"), "t")
    assert later.receive(1)[0].offset == 1
    later.consumer.close()


def test_a_member_that_is_thrown_out_hears_so_counts_its_commit_and_comes_back(broker, faults, producer):
    send_all(producer, b"0", b"1")
    failed: list[str] = []
    member = GroupMember(consumer(broker, "g", CLASSIC, on_commit_failed=failed.append), "t")
    member.receive(2)
    faults.on_commit(ILLEGAL_GENERATION)
    member.consumer.commit({TopicPartition("t", 0): Position(1)}, wait=False)
    member.receive(4)
    assert [event for event, _ in member.events] == ["assigned", "lost", "assigned"]
    assert failed == ["ILLEGAL_GENERATION"]
    member.consumer.close()


def test_committed_positions_that_cannot_be_read_are_not_taken_for_none(broker, faults, producer):
    send_all(producer, b"0", b"1", b"2")
    first = GroupMember(consumer(broker, "g"), "t")
    first.receive(3)
    first.consumer.commit({TopicPartition("t", 0): Position(2)}, wait=True)
    first.consumer.close()
    faults.on_reading_positions(ILLEGAL_GENERATION)
    second = GroupMember(consumer(broker, "g"), "t")
    with pytest.raises(BrokerUnavailable, match="committed offset"):
        second.turn_until(lambda: second.events, "assigned")
    assert second.events == []
    assert [record.offset for record in second.receive(1)] == [2]
    assert second.positions == {TopicPartition("t", 0): Position(2)}
    second.consumer.close()


def test_a_broker_that_goes_away_and_comes_back(broker, faults, producer):
    send_all(producer, b"0")
    member = GroupMember(consumer(broker, "g"), "t")
    member.receive(1)
    member.turn_until(lambda: member.consumer.connected, "connected")
    faults.down()
    member.turn_until(lambda: not member.consumer.connected, "not connected")
    began = time.monotonic()
    with pytest.raises(BrokerUnavailable):
        member.consumer.commit({TopicPartition("t", 0): Position(1)}, wait=True)
    assert time.monotonic() - began < 10
    faults.up()
    member.turn_until(lambda: member.consumer.connected, "connected again")
    send_all(producer, b"1")
    assert [record.value for record in member.receive(2)] == [b"0", b"1"]
    member.consumer.commit({TopicPartition("t", 0): Position(2)}, wait=True)
    member.consumer.close()


def test_leaving_a_broker_that_is_away_ends(broker, faults, producer):
    send_all(producer, b"0")
    member = GroupMember(consumer(broker, "g", close_timeout_seconds=0.5), "t")
    member.receive(1)
    faults.down()
    member.turn_until(lambda: not member.consumer.connected, "not connected")
    member.consumer.commit({TopicPartition("t", 0): Position(1)}, wait=False)
    began = time.monotonic()
    member.consumer.close()
    assert time.monotonic() - began < 10
    assert member.events[-1] == ("revoked", (TopicPartition("t", 0),))


def test_the_process_ends_though_its_client_cannot_leave():
    """The thread that waits for the broker must not hold the interpreter up."""
    code = (
        "import sys, logging\nlogging.disable()\nfrom pesto_stream.broker import kafka_consumer as k, kafka_embedded as e\n"
        "from pesto_stream.broker.base import Position\nfrom pesto_stream.model.record import TopicPartition\n"
        "class L:\n    on_assigned = on_revoked = on_lost = lambda self, p: seen.append(p)\n"
        "seen = []\nwith e.EmbeddedBroker({'t': 1}) as b:\n"
        "    c = k.KafkaConsumer({'bootstrap.servers': b.bootstrap_servers, 'group.id': 'g'} | e.EMBEDDED_CLIENT_PROPERTIES, close_timeout_seconds=0.2)\n"
        "    c.subscribe(['t'], L())\n    while not seen: c.poll(0.1)\n    b.request('set_up', up=False)\n"
        "    c.commit({TopicPartition('t', 0): Position(0)}, wait=False)\n    c.close()\nprint('ended')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "ended\n"), done.stderr


def test_a_record_that_the_broker_finds_too_large_is_reported_so(faults, producer):
    faults.on_produce(MSG_SIZE_TOO_LARGE)
    [report] = send_all(producer, b"0")
    assert isinstance(report.error, BrokerUnavailable)
    assert isinstance(report.error.__cause__, RecordTooLarge)


def test_a_record_that_does_not_arrive_in_time_is_reported(faults, producer):
    faults.down()
    [report] = send_all(producer, b"0")
    assert isinstance(report.error, BrokerUnavailable)
    assert report.error.__cause__ is None


def test_trouble_that_passes_is_not_seen_by_the_sender(faults, producer):
    faults.on_produce(NOT_ENOUGH_REPLICAS, NOT_ENOUGH_REPLICAS)
    assert [report.error for report in send_all(producer, b"0")] == [None]


def test_a_full_queue_is_waited_for_and_given_up_in_time(broker, faults):
    small = {"queue.buffering.max.messages": 2, "delivery.timeout.ms": 600, "linger.ms": 0, "log_level": 2}
    producer = KafkaProducer({"bootstrap.servers": broker.bootstrap_servers, **small})
    reports: list[DeliveryReport] = []
    for number in range(50):
        producer.send(ProducerRecord("t", None, str(number).encode()), reports.append)
    producer.flush(10)
    assert [report.error for report in reports] == [None] * 50
    faults.down()
    for _ in range(2):
        producer.send(ProducerRecord("t", None, b"waits"), lambda _: None)
    began = time.monotonic()
    with pytest.raises(BrokerUnavailable, match="queue stayed full"):
        fill(producer)
    assert time.monotonic() - began < 10
    producer.close()


def fill(producer: KafkaProducer) -> None:
    """What waits is given up now and then, which makes room, so one record is not enough."""
    while True:
        producer.send(ProducerRecord("t", None, b"more"), lambda _: None)


def test_closing_a_producer_drops_its_queue_without_a_wait(broker, faults):
    producer = KafkaProducer({"bootstrap.servers": broker.bootstrap_servers, "log_level": 2})
    faults.down()
    reports: list[DeliveryReport] = []
    for _ in range(1000):
        producer.send(ProducerRecord("t", None, bytes(1000)), reports.append)
    began = time.monotonic()
    producer.close()
    assert time.monotonic() - began < 5
    assert reports == []


def test_records_that_the_broker_dropped_unread_are_told_and_reading_goes_on():
    lost: list[tuple[TopicPartition, int, int]] = []
    with EmbeddedBroker({"t": 1}, partition_mib=1) as broker:
        producer = KafkaProducer({"bootstrap.servers": broker.bootstrap_servers, "linger.ms": 0, "log_level": 2})
        first = GroupMember(consumer(broker, "g", on_records_lost=lambda *what: lost.append(what)), "t")
        send_all(producer, b"0", b"1")
        first.receive(2)
        first.consumer.commit({TopicPartition("t", 0): Position(2)}, wait=True)
        first.consumer.close()
        for _ in range(6):
            send_all(producer, bytes(400_000))
        second = GroupMember(consumer(broker, "g", on_records_lost=lambda *what: lost.append(what)), "t")
        second.turn_until(lambda: second.records and second.records[-1].offset == 7, "the last record")
        second.consumer.close()
        producer.close()
    oldest = second.records[0].offset
    assert oldest > 2
    assert lost == [(TopicPartition("t", 0), 2, oldest)]
    assert [record.offset for record in second.records] == list(range(oldest, 8))


def test_a_partition_that_was_made_anew_is_a_new_assignment_from_its_start(broker, producer):
    send_all(producer, *(b"old" for _ in range(5)))
    first = GroupMember(consumer(broker, "g"), "t")
    first.receive(5)
    first.consumer.commit({TopicPartition("t", 0): Position(9)}, wait=True)
    first.consumer.close()
    second = GroupMember(consumer(broker, "g"), "t")
    assert [record.offset for record in second.receive(5)] == [0, 1, 2, 3, 4]
    tp = TopicPartition("t", 0)
    assert second.events == [("assigned", (tp,)), ("lost", (tp,)), ("assigned", (tp,))]
    second.consumer.close()


def test_a_topic_that_is_missing_does_not_end_the_member(broker, producer):
    member = GroupMember(consumer(broker, unique_name("g")), "nowhere", "t")
    send_all(producer, b"0")
    assert member.receive(1)[0].topic == "t"
    member.consumer.close()


def test_no_record_is_returned_of_a_partition_that_left_in_the_same_poll(broker, producer):
    broker.create_topic("two", 2)
    member = GroupMember(consumer(broker, "g"), "two")
    member.turn_until(lambda: len(member.owned) == 2, "both assigned")
    seen: list[int] = []
    poll = member.consumer._poll

    def revoke_before_the_fifth(timeout_seconds: float) -> object:
        """A revocation as the client may run it, between two records of one of our polls."""
        if len(seen) == 4:
            member.consumer._revoked(member.consumer._client, [ClientPartition("two", seen[3])])
        message = poll(timeout_seconds)
        if message is not None:
            seen.append(message.partition())
        return message

    member.consumer._poll = revoke_before_the_fifth
    for number in range(40):
        producer.send(ProducerRecord("two", str(number).encode(), b"x"), lambda _: None)
    assert producer.flush(30) == 0
    batch: list[ConsumerRecord] = []
    while len(member.owned) == 2:
        batch = member.consumer.poll(0.05, 10_000)
    assert seen[3] not in {record.partition for record in batch}
    member.consumer.close()

"""The Kafka adapters where only a real broker will do."""

from collections.abc import Iterator

import pytest
from confluent_kafka import TopicPartition as ClientPartition
from confluent_kafka.admin import AdminClient
from support.group_member import GroupMember
from support.places import QUICK_CLASSIC
from support.topics import Topics, unique_name
from support.waiting import wait_until

from pesto_stream.broker.base import DeliveryReport, Position
from pesto_stream.broker.kafka import KafkaAdmin, KafkaConsumer, KafkaProducer
from pesto_stream.errors import FatalError
from pesto_stream.model.record import ProducerRecord, TopicPartition

PROTOCOLS = [pytest.param(QUICK_CLASSIC, id="classic"), pytest.param({"group.protocol": "consumer"}, id="consumer")]


@pytest.fixture
def producer(kafka: str) -> Iterator[KafkaProducer]:
    client = KafkaProducer({"bootstrap.servers": kafka, "linger.ms": 0, "log_level": 2})
    yield client
    client.close()


def consumer(kafka: str, group: str, properties: dict[str, object], **more) -> KafkaConsumer:
    return KafkaConsumer({"bootstrap.servers": kafka, "group.id": group, "log_level": 2, **properties}, **more)


def send_all(producer: KafkaProducer, topic: str, *values: bytes) -> list[DeliveryReport]:
    reports: list[DeliveryReport] = []
    for value in values:
        producer.send(ProducerRecord(topic, None, value), reports.append)
    assert producer.flush(30) == 0
    return reports


def test_a_topic_is_created_once(kafka):
    admin, name = KafkaAdmin({"bootstrap.servers": kafka, "log_level": 2}), unique_name("made")
    assert admin.create_topic(name, 3, config={"max.message.bytes": "5000"})
    assert not admin.create_topic(name, 1)
    assert admin.topics(10)[name] == 3
    with pytest.raises(FatalError, match="cannot create topic 'no spaces'"):
        admin.create_topic("no spaces", 1)


@pytest.mark.parametrize("properties", PROTOCOLS)
def test_records_that_were_deleted_unread_are_told(kafka, topics: Topics, producer, properties):
    topic, group = topics.create(), unique_name("group")
    tp = TopicPartition(topic, 0)
    send_all(producer, topic, *(str(number).encode() for number in range(10)))
    lost: list[tuple[TopicPartition, int, int]] = []
    first = GroupMember(consumer(kafka, group, properties), topic)
    first.receive(10)
    first.consumer.commit({tp: Position(2)}, wait=True)
    first.consumer.close()
    admin = AdminClient({"bootstrap.servers": kafka, "log_level": 2})
    for future in admin.delete_records([ClientPartition(topic, 0, 6)]).values():
        future.result(30)
    second = GroupMember(consumer(kafka, group, properties, on_records_lost=lambda *what: lost.append(what)), topic)
    assert [record.offset for record in second.receive(4)] == [6, 7, 8, 9]
    assert lost == [(tp, 2, 6)]
    second.consumer.close()


@pytest.mark.parametrize("properties", PROTOCOLS)
def test_a_group_that_starts_where_records_were_deleted_lost_nothing(kafka, topics: Topics, producer, properties):
    topic = topics.create()
    send_all(producer, topic, b"0", b"1", b"2")
    admin = AdminClient({"bootstrap.servers": kafka, "log_level": 2})
    for future in admin.delete_records([ClientPartition(topic, 0, 2)]).values():
        future.result(30)
    lost: list[tuple[TopicPartition, int, int]] = []
    member = GroupMember(
        consumer(kafka, unique_name("group"), properties, on_records_lost=lambda *what: lost.append(what)), topic
    )
    assert [record.offset for record in member.receive(1)] == [2]
    assert lost == []
    member.consumer.close()


def test_a_second_member_with_the_same_instance_id_is_told_what_is_wrong(kafka, topics: Topics):
    topic, group = topics.create(), unique_name("group")
    static = {"group.protocol": "consumer", "group.instance.id": "worker-0"}
    first = GroupMember(consumer(kafka, group, static), topic)
    first.turn_until(lambda: first.owned, "assigned")
    second = GroupMember(consumer(kafka, group, static), topic)
    with pytest.raises(FatalError, match=r"(?i)instance.*worker-0|instance id"):
        second.turn_until(lambda: False, "refused")
    second.consumer.close()
    first.consumer.close()


def test_a_member_that_was_silent_for_too_long_loses_its_partitions_and_comes_back(kafka, topics: Topics, producer):
    topic, group = topics.create(), unique_name("group")
    properties = {
        "group.protocol": "classic",
        "session.timeout.ms": 1500,
        "max.poll.interval.ms": 1500,
        "heartbeat.interval.ms": 200,
    }
    send_all(producer, topic, b"0")
    slow = GroupMember(consumer(kafka, group, properties), topic)
    slow.receive(1)
    other = GroupMember(consumer(kafka, group, properties), topic)
    other.turn_until(lambda: other.owned, "the other has taken over")
    other.consumer.close()
    slow.receive(2)
    assert [event for event, partitions in slow.events if partitions] == ["assigned", "lost", "assigned"]
    slow.consumer.close()


@pytest.mark.slow
def test_a_broker_that_restarts_interrupts_and_loses_nothing(kafka):
    from support.kafka_jars import Missing
    from support.kafka_node import KafkaNode

    try:
        node = KafkaNode()
    except Missing as missing:
        pytest.skip(f"needs a broker of its own to restart: {missing}")
    with node:
        KafkaAdmin({"bootstrap.servers": node.bootstrap_servers}).create_topic("t", 1)
        producer = KafkaProducer({"bootstrap.servers": node.bootstrap_servers, "linger.ms": 0, "log_level": 1})
        member = GroupMember(consumer(node.bootstrap_servers, "g", {"group.protocol": "consumer", "log_level": 1}), "t")
        send_all(producer, "t", b"0")
        member.receive(1)
        node.kill()
        reports: list[DeliveryReport] = []
        producer.send(ProducerRecord("t", None, b"1"), reports.append)
        member.turn_until(lambda: not member.consumer.connected, "not connected")
        node.start()
        wait_until(lambda: producer.poll(0.05) >= 0 and reports, "delivered after the restart", seconds=60)
        assert reports[0].error is None
        assert [record.value for record in member.receive(2)] == [b"0", b"1"]
        member.consumer.commit({TopicPartition("t", 0): Position(2)}, wait=True)
        member.consumer.close()
        producer.close()

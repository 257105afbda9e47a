"""Settings -> librdkafka properties, and that the library which is installed takes them."""

import logging

import pytest
from confluent_kafka import Consumer, Producer
from hypothesis import given, settings
from hypothesis import strategies as st

from pesto_stream.broker.kafka_check import check_properties
from pesto_stream.broker.kafka_properties import (
    _CONSUMER_ONLY,
    _PRODUCER_ONLY,
    LARGEST_RECORD_BYTES,
    MIB,
    admin_properties,
    consumer_properties,
    in_flight_limit_bytes,
    producer_properties,
)
from pesto_stream.config.model import Settings
from pesto_stream.config.refused import REFUSED
from pesto_stream.errors import ConfigurationError

PROTOCOLS = ("classic", "consumer")


def consumer(**kafka) -> dict:
    return consumer_properties(Settings(kafka={"group_id": "g", **kafka}), "me")


def producer(**kafka) -> dict:
    return producer_properties(Settings(kafka=kafka), "me")


def with_bound(mib: float) -> Settings:
    return Settings(memory={"in_flight_mib": mib}, kafka={"group_id": "g"})


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("mib", [0.001, 8, 256, 1_000_000])
def test_real_clients_take_the_properties(protocol, mib):
    given_settings = Settings(memory={"in_flight_mib": mib}, kafka={"group_protocol": protocol, "group_id": "g"})

    check_properties(consumer_properties(given_settings, "me"), "consumer")
    check_properties(producer_properties(given_settings, "me"), "producer")
    check_properties(admin_properties(given_settings, "me"), "producer")


@pytest.mark.parametrize("protocol", ["SASL_PLAINTEXT", "SASL_SSL"])
@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_real_clients_take_the_security_settings(protocol, mechanism):
    secure = Settings(
        kafka={
            "security_protocol": protocol,
            "sasl_mechanism": mechanism,
            "sasl_username": "u",
            "sasl_password": "p",
            "group_id": "g",
        }
    )

    check_properties(consumer_properties(secure, "me"), "consumer")
    check_properties(producer_properties(secure, "me"), "producer")
    assert consumer_properties(secure, "me")["sasl.password"] == "p"
    assert producer_properties(secure, "me").items() >= admin_properties(secure, "me").items()


def test_the_client_commits_nothing_by_itself():
    properties = consumer()

    assert properties["enable.auto.commit"] is False
    assert properties["enable.auto.offset.store"] is False


def test_a_result_is_confirmed_by_all_replicas_and_written_once():
    properties = producer()

    assert properties["acks"] == "all"
    assert properties["enable.idempotence"] is True


def test_records_of_aborted_transactions_are_not_read():
    assert consumer()["isolation.level"] == "read_committed"


@pytest.mark.parametrize("start", ["earliest", "latest"])
def test_a_new_group_starts_where_it_is_told(start):
    assert consumer(start=start)["auto.offset.reset"] == start


def test_partitions_of_a_classic_group_move_one_by_one():
    assert consumer()["partition.assignment.strategy"] == "cooperative-sticky"


def test_with_the_protocol_consumer_the_broker_sets_strategy_session_and_heartbeat():
    properties = consumer(group_protocol="consumer", group_instance_id="one")

    assert properties["group.protocol"] == "consumer"
    assert properties["group.instance.id"] == "one"
    assert not properties.keys() & {"partition.assignment.strategy", "session.timeout.ms", "heartbeat.interval.ms"}


@pytest.mark.parametrize(("seconds", "heartbeat"), [(6, 2000), (45, 3000), (0.9, 300), (3600, 3000)])
def test_a_session_holds_three_heartbeats_and_the_client_takes_it(seconds, heartbeat):
    properties = consumer(session_timeout_seconds=seconds)

    assert (properties["session.timeout.ms"], properties["heartbeat.interval.ms"]) == (seconds * 1000, heartbeat)
    check_properties(properties, "consumer")


def test_a_revocation_budget_of_any_length_is_inside_the_poll_interval():
    long = Settings(shutdown={"revoke_seconds": 900})

    assert consumer_properties(long, "me")["max.poll.interval.ms"] >= 910_000
    assert consumer()["max.poll.interval.ms"] == 300_000


@settings(max_examples=50, deadline=None)
@given(st.floats(32, 16_000))
def test_what_is_fetched_and_what_is_in_flight_stay_under_the_bound(mib):
    bound = with_bound(mib)
    properties = consumer_properties(bound, "me")
    fetched = properties["queued.max.messages.kbytes"] * 1024 + properties["fetch.max.bytes"]
    held_twice = 2 * in_flight_limit_bytes(bound)

    assert 0.6 * mib * MIB < fetched + held_twice <= mib * MIB


def test_a_full_queue_does_not_stop_fetching_for_a_second():
    assert consumer()["fetch.queue.backoff.ms"] == 10


def test_a_record_of_any_size_can_be_read_and_sent_as_a_dead_letter():
    small = with_bound(8)
    reading, writing = consumer_properties(small, "me"), producer_properties(small, "me")

    assert reading["receive.message.max.bytes"] >= LARGEST_RECORD_BYTES + 512
    assert writing["message.max.bytes"] == LARGEST_RECORD_BYTES
    assert writing["queue.buffering.max.kbytes"] * 1024 >= LARGEST_RECORD_BYTES


def test_a_real_producer_takes_a_record_larger_than_the_memory_bound():
    client = Producer({**producer_properties(with_bound(1), "me"), "bootstrap.servers": ""}, logger=silent())

    client.produce("t", bytes(4 * MIB))  # BufferError, for ever, where the queue is smaller than the record

    assert len(client) >= 1
    client.purge()
    client.flush(5)


def test_properties_of_the_user_are_passed_on_as_text():
    given_properties = {"log.connection.close": False, "client.rack": "r1", "socket.timeout.ms": 5000, "linger.ms": 2.5}

    assert (
        producer(properties=given_properties).items()
        >= {
            "log.connection.close": "false",
            "client.rack": "r1",
            "socket.timeout.ms": "5000",
            "linger.ms": "2.5",
        }.items()
    )


def test_each_property_goes_to_the_client_that_knows_it():
    both = {"linger.ms": "1", "fetch.wait.max.ms": "2", "client.rack": "r"}
    admin = admin_properties(Settings(kafka={"properties": both}), "me")

    assert "linger.ms" not in consumer(properties=both)
    assert "fetch.wait.max.ms" not in producer(properties=both)
    assert consumer(properties=both)["fetch.wait.max.ms"] == "2"
    assert producer(properties=both)["linger.ms"] == "1"
    assert admin.keys() & both.keys() == {"client.rack"}


def test_a_property_of_the_user_is_over_tuning_and_under_promises():
    wild = {"client.id": "mine", "linger.ms": "0", "partitioner": "random", "acks": "0", "enable.auto.commit": "true"}

    assert (
        producer(properties=wild).items()
        >= {"client.id": "mine", "linger.ms": "0", "partitioner": "random", "acks": "all"}.items()
    )
    assert consumer(properties=wild)["enable.auto.commit"] is False


def test_no_property_is_both_refused_and_passed_on():
    assert not (_CONSUMER_ONLY | _PRODUCER_ONLY) & REFUSED.keys()


VALUES = {
    "compression.level": "1",
    "queue.buffering.backpressure.threshold": "1",
    "enable.gapless.guarantee": "false",
    "check.crcs": "true",
    "allow.auto.create.topics": "true",
    "produce.offset.report": "true",
    "partitioner": "random",
    "group.remote.assignor": "uniform",
    "max.poll.interval.ms": "400000",
}


def test_no_client_warns_of_a_property_that_is_not_its_own(caplog):
    mine = {name: VALUES.get(name, "100") for name in _CONSUMER_ONLY | _PRODUCER_ONLY}
    both = Settings(kafka={"properties": mine, "group_protocol": "consumer", "group_id": "g"})
    logger = logging.getLogger("test.librdkafka")
    with caplog.at_level(logging.DEBUG, logger.name):
        reading = Consumer({**consumer_properties(both, "me"), "bootstrap.servers": ""}, logger=logger)
        reading.poll(0.1)
        reading.close()
        writing = Producer({**producer_properties(both, "me"), "bootstrap.servers": ""}, logger=logger)
        writing.poll(0.1)

    assert [record.getMessage() for record in caplog.records if "will be ignored" in record.getMessage()] == []


def test_an_unknown_property_is_named():
    with pytest.raises(ConfigurationError, match=r"^kafka\.properties\.linger\.mss: librdkafka .* has no such property$"):
        check_properties(producer(properties={"linger.mss": 5}), "producer")


@pytest.mark.parametrize("properties", [{"linger.ms": "soon"}, {"socket.keepalive.enable": "perhaps"}, {"fetch.wait.max.ms": -1}])
def test_a_wrong_value_is_answered_in_librdkafkas_words(properties):
    with pytest.raises(ConfigurationError, match="librdkafka refuses the properties"):
        check_properties(consumer(properties=properties) | producer(properties=properties), "consumer")


def test_certificates_that_are_not_there_are_found_before_any_connection():
    with pytest.raises(ConfigurationError, match=r"ssl\.ca\.location"):
        check_properties(consumer(security_protocol="SSL", ssl_ca_location="/does/not/exist.pem"), "consumer")


def test_a_check_connects_to_nobody(capfd):
    check_properties(consumer(bootstrap_servers="127.0.0.1:1"), "consumer")
    check_properties(producer(bootstrap_servers="127.0.0.1:1"), "producer")

    assert capfd.readouterr() == ("", "")


def silent() -> logging.Logger:
    logger = logging.getLogger("test.librdkafka.silent")
    logger.disabled = True
    return logger

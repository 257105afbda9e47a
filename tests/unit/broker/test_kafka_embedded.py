import os
import signal
import subprocess
import sys

import pytest
from confluent_kafka import Consumer, TopicPartition
from support.topics import unique_name
from support.waiting import wait_until

from pesto_stream.broker import kafka_mock
from pesto_stream.broker.kafka import KafkaProducer
from pesto_stream.broker.kafka_embedded import EmbeddedBroker
from pesto_stream.errors import BrokerUnavailable, ConfigurationError
from pesto_stream.model.record import ProducerRecord

pytestmark = pytest.mark.embedded


def test_topics_have_the_partitions_asked_for(embedded):
    name = unique_name("seven")
    embedded.create_topic(name, 7)
    embedded.create_topic(name, 7)
    producer = KafkaProducer({"bootstrap.servers": embedded.bootstrap_servers})
    assert producer.partitions(name, 10) == 7
    producer.close()


@pytest.mark.parametrize(("name", "partitions"), [("no spaces", 1), ("", 1), ("none", 0), ("x" * 250, 1)])
def test_a_topic_that_a_real_broker_would_refuse_is_refused(embedded, name, partitions):
    with pytest.raises(ConfigurationError, match="cannot create topic"):
        embedded.create_topic(name, partitions)


def test_an_unknown_command_is_refused(embedded):
    with pytest.raises(ConfigurationError):
        embedded.request("fly")
    assert embedded.alive


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the limit can be lifted on Linux only")
def test_a_partition_keeps_more_than_the_librarys_five_mebibytes(embedded):
    assert embedded.retention_patched
    name = unique_name("much")
    embedded.create_topic(name, 1)
    producer = KafkaProducer({"bootstrap.servers": embedded.bootstrap_servers})
    for _ in range(12):
        producer.send(ProducerRecord(name, None, bytes(900_000)), lambda _: None)
    assert producer.flush(30) == 0
    producer.close()
    consumer = Consumer({"bootstrap.servers": embedded.bootstrap_servers, "group.id": "g"})
    assert consumer.get_watermark_offsets(TopicPartition(name, 0), timeout=10) == (0, 12)
    consumer.close()


def test_the_limit_stays_where_its_constants_are_not_found_once(monkeypatch):
    """In this process, whose library is not to be changed: the search alone."""
    monkeypatch.setattr(kafka_mock, "_RETENTION", bytes(16))
    monkeypatch.setattr(kafka_mock, "_overwrite", lambda *_: pytest.fail("overwritten"))
    _, path = kafka_mock.load_library()
    assert kafka_mock._patch_retention(path, 1) is False


def test_a_library_without_the_functions_is_a_clear_error(monkeypatch):
    monkeypatch.setitem(kafka_mock._FUNCTIONS, "rd_kafka_mock_fly", (None, []))
    with pytest.raises(ConfigurationError, match="'rd_kafka_mock_fly'"):
        kafka_mock.load_library()


def test_the_broker_ends_with_its_context():
    with EmbeddedBroker({"t": 1}) as broker:
        process = broker._process
        assert broker.alive
    assert process is not None
    assert process.poll() == 0
    with pytest.raises(BrokerUnavailable):
        broker.create_topic("t", 1)


def test_the_broker_ends_when_whoever_started_it_is_killed():
    code = (
        "import sys\nfrom pesto_stream.broker.kafka_embedded import EmbeddedBroker\n"
        "with EmbeddedBroker() as broker:\n    print(broker._process.pid, flush=True)\n    sys.stdin.read()\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        owner.kill()
    wait_until(lambda: not _runs(pid), "the broker's process is gone")


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_broker_that_died_is_told():
    with EmbeddedBroker() as broker:
        assert broker._process is not None
        broker._process.kill()
        broker._process.wait()
        assert not broker.alive
        with pytest.raises(BrokerUnavailable, match="has ended"):
            broker.create_topic("t", 1)


def test_serving_prints_the_address_and_ends_with_a_signal():
    code = "import sys\nfrom pesto_stream.broker.kafka_embedded import serve\nserve({'tiles': 3}, sys.stdout)\nprint('stopped')\n"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        address = server.stdout.readline().strip()
        producer = KafkaProducer({"bootstrap.servers": address, "log_level": 2})
        assert producer.partitions("tiles", 10) == 3
        producer.close()
        server.send_signal(signal.SIGTERM)
        assert server.stdout.readline() == "stopped\n"
        assert server.wait(30) == 0

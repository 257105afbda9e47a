"""The places that the broker contract is tried in: a broker, and how to get clients of it. What one is known not to keep is in `gaps`."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pesto_stream.broker.base import Consumer, Producer
from pesto_stream.broker.kafka import KafkaConsumer, KafkaProducer
from pesto_stream.broker.kafka_embedded import EMBEDDED_CLIENT_PROPERTIES, EmbeddedBroker
from pesto_stream.broker.memory import MemoryBroker
from support.topics import Topics, unique_name

CLIENT_LIMIT = 2_000_000
TOPIC_LIMIT = 1_000_000

LIMIT_OF_TOPIC = "a topic has a size limit of its own"

QUICK_CLASSIC = {"group.protocol": "classic", "session.timeout.ms": 6000, "heartbeat.interval.ms": 200}


class Place:
    """One implementation of the ports, with its broker. `gaps`: what it does not keep, each with the reason."""

    gaps: Mapping[str, str] = MappingProxyType({})

    def topic(self, partitions: int = 1) -> str:
        """A new topic that takes records up to TOPIC_LIMIT."""
        raise NotImplementedError

    def consumer(self, group: str, **more: Any) -> Consumer:
        raise NotImplementedError

    def producer(self) -> Producer:
        """Takes records up to CLIENT_LIMIT."""
        raise NotImplementedError

    def unreachable(self) -> tuple[Consumer, Producer]:
        """Clients of a broker that is not there."""
        raise NotImplementedError


class InMemory(Place):
    def __init__(self) -> None:
        self.broker = MemoryBroker(client_limit=CLIENT_LIMIT, topic_limit=TOPIC_LIMIT)

    def topic(self, partitions: int = 1) -> str:
        name = unique_name("contract")
        self.broker.create_topic(name, partitions)
        return name

    def consumer(self, group: str, **more: Any) -> Consumer:
        return self.broker.consumer(group, **more)

    def producer(self) -> Producer:
        return self.broker.producer()

    def unreachable(self) -> tuple[Consumer, Producer]:
        gone = MemoryBroker({"t": 1})
        gone.reachable = False
        return gone.consumer("g"), gone.producer()


class _Kafka(Place):
    def __init__(self, bootstrap_servers: str, consumer_properties: dict[str, Any]) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._consumer_properties = consumer_properties

    def consumer(self, group: str, start: str = "earliest") -> Consumer:
        return self._consumer(self._bootstrap_servers, group, start)

    def _consumer(self, bootstrap_servers: str, group: str, start: str) -> Consumer:
        common = {"bootstrap.servers": bootstrap_servers, "group.id": group, "auto.offset.reset": start, "log_level": 2}
        return KafkaConsumer({**common, "statistics.interval.ms": 100, **self._consumer_properties})

    def producer(self) -> Producer:
        return self._producer(self._bootstrap_servers)

    def _producer(self, bootstrap_servers: str) -> Producer:
        return KafkaProducer(
            {"bootstrap.servers": bootstrap_servers, "message.max.bytes": CLIENT_LIMIT, "linger.ms": 0, "log_level": 2}
        )

    def unreachable(self) -> tuple[Consumer, Producer]:
        nowhere = "127.0.0.1:1"
        return self._consumer(nowhere, "g", "earliest"), self._producer(nowhere)


class Embedded(_Kafka):
    gaps: Mapping[str, str] = MappingProxyType({LIMIT_OF_TOPIC: "the mock cluster takes records of any size"})

    def __init__(self, broker: EmbeddedBroker, properties: dict[str, Any] | None = None) -> None:
        super().__init__(broker.bootstrap_servers, EMBEDDED_CLIENT_PROPERTIES | (properties or {}))
        self._broker = broker

    def topic(self, partitions: int = 1) -> str:
        name = unique_name("contract")
        self._broker.create_topic(name, partitions)
        return name


class EmbeddedClassic(Embedded):
    def __init__(self, broker: EmbeddedBroker) -> None:
        # a rebalance takes the session's time-out less one second
        super().__init__(broker, {"group.protocol": "classic", "session.timeout.ms": 1500, "heartbeat.interval.ms": 100})


class RealKafka(_Kafka):
    def __init__(self, topics: Topics, bootstrap_servers: str, properties: dict[str, Any]) -> None:
        super().__init__(bootstrap_servers, properties)
        self._topics = topics

    def topic(self, partitions: int = 1) -> str:
        return self._topics.create(partitions, label="contract", config={"max.message.bytes": str(TOPIC_LIMIT)})

"""Looking at a cluster's topics and creating them, for commands rather than for the runtime."""

from __future__ import annotations

import logging
from concurrent.futures import TimeoutError as FutureTimeout
from typing import TYPE_CHECKING, Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.cimpl import NewTopic

from pesto_stream.broker.kafka_errors import translate
from pesto_stream.errors import BrokerUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_log = logging.getLogger("pesto_stream.broker")


class KafkaAdmin:
    """Not for the embedded broker, which creates topics by itself only (`EmbeddedBroker.create_topic`)."""

    def __init__(self, properties: Mapping[str, Any]) -> None:
        self._client = AdminClient(dict(properties), logger=_log)

    def topics(self, timeout_seconds: float) -> dict[str, int]:
        """Names and partition counts. Raises BrokerUnavailable, AuthorizationFailed."""
        try:
            found = self._client.list_topics(timeout=timeout_seconds).topics
        except KafkaException as failure:
            raise translate(failure.args[0], "list topics") from failure
        return {name: len(topic.partitions) for name, topic in found.items()}

    def create_topic(
        self, name: str, partitions: int, *, config: Mapping[str, str] | None = None, timeout_seconds: float = 30.0
    ) -> bool:
        """Create a topic with the broker's own replication. False: there was one, and it is left as it is.

        Raises BrokerUnavailable, AuthorizationFailed, FatalError (a name or setting that the broker refuses).
        """
        topic = NewTopic(name, partitions, config=dict(config or {}))
        future = self._client.create_topics([topic], request_timeout=timeout_seconds)[name]
        try:
            future.result(timeout_seconds)
        except KafkaException as failure:
            if failure.args[0].name() == "TOPIC_ALREADY_EXISTS":
                return False
            raise translate(failure.args[0], f"create topic '{name}'") from failure
        except FutureTimeout:
            raise BrokerUnavailable(f"cannot create topic '{name}': no answer within {timeout_seconds:g} s") from None
        return True

    def largest_records(self, topics: Iterable[str], timeout_seconds: float) -> dict[str, int]:
        """`max.message.bytes` by topic, without those of which it cannot be known (no right to ask, a broker that does not say)."""
        asked = [ConfigResource(ConfigResource.Type.TOPIC, topic) for topic in topics]
        found = self._client.describe_configs(asked, request_timeout=timeout_seconds)
        sizes: dict[str, int] = {}
        for resource, future in found.items():
            try:
                sizes[resource.name] = int(future.result(timeout_seconds)["max.message.bytes"].value)
            except (KafkaException, FutureTimeout, KeyError, ValueError) as unknown:
                _log.debug("the largest record of topic '%s' is not known: %s", resource.name, unknown)
        return sizes

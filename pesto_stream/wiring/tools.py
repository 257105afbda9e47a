"""Broker clients for the commands that are no runtime: a second, small composition root, so that they load no algorithm and no server."""

from __future__ import annotations

import difflib
import uuid
from typing import TYPE_CHECKING, Any, Final

from pesto_stream.broker.kafka import KafkaAdmin, KafkaConsumer, KafkaProducer
from pesto_stream.broker.kafka_check import check_properties
from pesto_stream.broker.kafka_properties import MIB, admin_properties, consumer_properties, producer_properties
from pesto_stream.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pesto_stream.broker.base import Consumer, Producer
    from pesto_stream.config.model import Settings

_QUEUE_BYTES: Final = 64 * MIB
_TOPICS_TIMEOUT_SECONDS: Final = 30.0


def tool_producer(settings: Settings, client_id: str) -> Producer:
    """A producer that refuses what is over `kafka.max_record_mib`, and whose queue holds 64 MiB or one record."""
    largest = int(settings.kafka.max_record_mib * MIB)
    bounds = {"message.max.bytes": largest, "queue.buffering.max.kbytes": max(_QUEUE_BYTES, largest) // 1024 + 1}
    properties = producer_properties(settings, client_id) | bounds
    check_properties(properties, "producer")
    return KafkaProducer(properties)


def tool_consumer(settings: Settings, client_id: str, group_id: str | None = None) -> Consumer:
    """A member of `group_id`; without one, of a group that nobody else is in, which reads all there is."""
    own = {"group_id": group_id or f"{client_id}-{uuid.uuid4().hex}", "group_instance_id": None, "start": "earliest"}
    kafka = settings.kafka.model_copy(update=own)
    properties: dict[str, Any] = consumer_properties(settings.model_copy(update={"kafka": kafka}), client_id)
    check_properties(properties, "consumer")
    return KafkaConsumer(properties)


def require_topics(settings: Settings, client_id: str, names: Iterable[str]) -> None:
    """Raises ConfigurationError where a topic does not exist, BrokerUnavailable where no broker answers, AuthorizationFailed."""
    known = KafkaAdmin(admin_properties(settings, client_id)).topics(_TOPICS_TIMEOUT_SECONDS)
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean '{near[0]}'?" if near else "; create it first"
            raise ConfigurationError(f"cannot read topic '{name}': there is no such topic{hint}")

"""Whether librdkafka takes a set of properties: asked of the library itself, without a connection."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any, Literal

from confluent_kafka import Consumer, KafkaException, Producer, libversion

from pesto_stream.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

_UNKNOWN = re.compile(r'No such configuration property: "(?P<name>[^"]*)"')

_silent = logging.getLogger("pesto_stream.broker.check")
_silent.disabled = True  # the client's remarks on a construction without brokers are of no interest


def check_properties(properties: Mapping[str, Any], role: Literal["consumer", "producer"]) -> None:
    """Build a client of that role with no broker to connect to, and drop it.

    Raises ConfigurationError that names an unknown property, or carries librdkafka's words about a wrong value.
    """
    alone = {name: value for name, value in properties.items() if name != "bootstrap.servers"}
    try:
        if role == "consumer":
            Consumer({"group.id": "check", **alone}, logger=_silent).close()
        else:
            Producer(alone, logger=_silent)
    except (KafkaException, TypeError, ValueError) as failure:
        raise ConfigurationError(_explained(failure)) from failure


def _explained(failure: Exception) -> str:
    error = failure.args[0]
    text = error.str() if isinstance(failure, KafkaException) else str(error)
    if unknown := _UNKNOWN.search(text):
        return f"kafka.properties.{unknown['name']}: librdkafka {libversion()[0]} has no such property"
    return f"kafka: librdkafka refuses the properties: {text.strip()}"

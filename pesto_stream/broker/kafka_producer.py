"""The producer port on confluent-kafka (librdkafka)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from confluent_kafka import KafkaError, KafkaException, Message
from confluent_kafka import Producer as _Producer

from pesto_stream.broker.base import DeliveryReport, RecordTooLarge
from pesto_stream.broker.kafka_errors import kind_of, translate
from pesto_stream.clock import SystemClock
from pesto_stream.errors import AuthorizationFailed, BrokerUnavailable, FatalError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pesto_stream.clock import Clock
    from pesto_stream.model.record import ProducerRecord

_log = logging.getLogger("pesto_stream.broker")

_QUEUE_FULL_WAIT_SECONDS: Final = 0.005


class KafkaProducer:
    """An idempotent producer, `acks=all`. See `base.Producer`. A fatal client error makes it dead: every later call raises FatalError."""

    def __init__(self, properties: Mapping[str, Any], clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._queue_timeout = float(properties.get("delivery.timeout.ms", 120_000)) / 1000
        self._max_bytes = int(properties.get("message.max.bytes", 1_000_000))
        self._dead: str | None = None
        self._last_error: KafkaError | None = None
        fixed = {"enable.idempotence": True, "acks": "all", "error_cb": self._on_error}
        self._client = _Producer({**properties, **fixed}, logger=_log)

    def partitions(self, topic: str, timeout_seconds: float) -> int:
        """See `base.Producer.partitions`. Asks for all topics: asked for one by name, a broker may create it."""
        self._check_alive()
        try:
            found = self._client.list_topics(timeout=timeout_seconds).topics
        except KafkaException as failure:
            raise self._unreachable(failure.args[0], topic) from failure
        return len(found[topic].partitions) if topic in found else 0

    def _unreachable(self, error: KafkaError, topic: str) -> BrokerUnavailable | AuthorizationFailed:
        """The call's own error is no more than a time-out; the cause was told to the error callback."""
        cause = self._last_error or error
        text = f"cannot look up topic '{topic}': {cause.str()} ({cause.name()})"
        if cause.name() in ("_AUTHENTICATION", "_SSL"):
            return AuthorizationFailed(f"{text}; check the security settings under 'kafka'")
        return BrokerUnavailable(text)

    def send(self, record: ProducerRecord, on_delivery: Callable[[DeliveryReport], None]) -> None:
        """See `base.Producer.send`. The client copies the value once, under the GIL."""
        if self._enqueue(record, on_delivery):
            return
        deadline = self._clock.now() + self._queue_timeout
        while not self._enqueue(record, on_delivery):
            if self._clock.now() > deadline:
                raise BrokerUnavailable(f"cannot send to topic '{record.topic}': the client's queue stayed full")
            self.poll(_QUEUE_FULL_WAIT_SECONDS)

    def _enqueue(self, record: ProducerRecord, on_delivery: Callable[[DeliveryReport], None]) -> bool:
        """False: the client's queue is full."""
        if self._dead is not None:
            self._check_alive()
        topic, key, value, headers = record

        def report(error: KafkaError | None, _message: Message) -> None:
            on_delivery(DeliveryReport(record, None if error is None else translate(error, f"send to topic '{topic}'")))

        try:
            self._client.produce(topic, value, key, on_delivery=report, headers=list(headers) if headers else None)
        except BufferError:
            return False
        except KafkaException as failure:
            error = failure.args[0]
            if kind_of(error) == "too_large":
                raise RecordTooLarge(f"{record.size} bytes are over the client's limit of {self._max_bytes}") from failure
            raise translate(error, f"send to topic '{topic}'") from failure
        return True

    def poll(self, timeout_seconds: float) -> int:
        self._check_alive()
        try:
            return int(self._client.poll(timeout_seconds))
        except (KafkaException, SystemError) as failure:
            raise self._die(failure) from failure

    def flush(self, timeout_seconds: float) -> int:
        self._check_alive()
        try:
            return int(self._client.flush(timeout_seconds))
        except (KafkaException, SystemError) as failure:
            raise self._die(failure) from failure

    def close(self) -> None:
        """See `base.Producer.close`."""
        self._dead = self._dead or "it was closed"
        self._client.purge(in_queue=True, in_flight=True, blocking=False)

    def _die(self, failure: BaseException) -> FatalError:
        """A fatal error is raised by poll, and delivery reports that were due in it are lost: nothing after it can be trusted."""
        self._dead = f"the client failed for good: {failure}"
        return FatalError(f"cannot use the producer: {self._dead}")

    def _check_alive(self) -> None:
        if self._dead is not None:
            raise FatalError(f"cannot use the producer: {self._dead}")

    def _on_error(self, error: KafkaError) -> None:
        if error.name() != "_ALL_BROKERS_DOWN":
            self._last_error = error
        if error.fatal():
            self._dead = f"the client failed for good: {error.str()} ({error.name()})"
        else:
            _log.debug("producer: %s (%s)", error.str(), error.name())

"""Records sent and their reports counted: nothing is called sent before the broker has confirmed it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pesto_stream.broker.base import RecordTooLarge
from pesto_stream.errors import BrokerUnavailable, ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pesto_stream.broker.base import DeliveryReport, Producer
    from pesto_stream.clock import Clock
    from pesto_stream.errors import PestoStreamError
    from pesto_stream.model.record import ProducerRecord

_TOPIC_TIMEOUT_SECONDS: Final = 30.0
_FLUSH_SECONDS: Final = 0.2
_STALL_SECONDS: Final = 180.0
"""Longest time without any report: above the client's own delivery timeout, so only a client that hangs reaches it."""


class Delivery:
    """Sends to one topic, from one thread. `sent` records were queued, `delivered` of them are confirmed, `failed` are refused."""

    def __init__(self, producer: Producer, topic: str, clock: Clock) -> None:
        self._producer = producer
        self._topic = topic
        self._clock = clock
        self._first_error: PestoStreamError | None = None
        self.sent = 0
        self.delivered = 0
        self.failed = 0

    def check_topic(self) -> None:
        """Raises ConfigurationError where the topic does not exist, BrokerUnavailable where no broker answers."""
        if self._producer.partitions(self._topic, _TOPIC_TIMEOUT_SECONDS) == 0:
            raise ConfigurationError(f"cannot send to topic '{self._topic}': there is no such topic; create it first")

    def send(self, record: ProducerRecord) -> None:
        """Queue one record; waits while the client's queue is full.

        Raises ConfigurationError for a record over the client's size limit, else what `Producer.send` raises.
        """
        try:
            self._producer.send(record, self._report)
        except RecordTooLarge as refusal:
            remedy = "send smaller tiles, or raise 'kafka.max_record_mib' here and 'max.message.bytes' of the topic"
            raise ConfigurationError(f"cannot send a record to topic '{self._topic}': {refusal}; {remedy}") from refusal
        self.sent += 1
        self._producer.poll(0)

    def finish(self, on_progress: Callable[[], None] = lambda: None) -> None:
        """Wait for the reports of all that was sent.

        Raises BrokerUnavailable, with the count and the first reason, where one was not delivered.
        """
        self.settle(on_progress)
        if self._first_error is not None:
            lost = self.sent - self.delivered
            raise BrokerUnavailable(
                f"{lost} of {self.sent} records were not delivered to topic '{self._topic}'; the first: {self._first_error}"
            ) from self._first_error

    def settle(self, on_progress: Callable[[], None] = lambda: None) -> None:
        """Wait for reports, good or bad. Raises BrokerUnavailable where they do not come."""
        seen, since = self._reported, self._clock.now()
        while self._reported < self.sent:
            self._producer.flush(_FLUSH_SECONDS)
            on_progress()
            if self._reported > seen:
                seen, since = self._reported, self._clock.now()
            elif self._clock.now() - since > _STALL_SECONDS:
                waiting = self.sent - self._reported
                raise BrokerUnavailable(f"the delivery of {waiting} records to topic '{self._topic}' was not reported in time")

    @property
    def _reported(self) -> int:
        return self.delivered + self.failed

    def _report(self, report: DeliveryReport) -> None:
        if report.error is None:
            self.delivered += 1
        else:
            self.failed += 1
            self._first_error = self._first_error or report.error

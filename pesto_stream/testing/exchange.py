"""One request at a time over a broker: sent, and its result or dead letter awaited."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pesto_stream.errors import FatalError, RecordError
from pesto_stream.scene.deliver import Delivery

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pesto_stream.broker.base import Consumer, Position, Producer
    from pesto_stream.clock import Clock
    from pesto_stream.model.record import ConsumerRecord, ProducerRecord, TopicPartition

REQUESTS: Final = "requests"
RESULTS: Final = "results"
DEAD_LETTERS: Final = "requests.dead-letter"
TOPICS: Final[Mapping[str, int]] = {REQUESTS: 1, RESULTS: 1, DEAD_LETTERS: 1}
_POLL_SECONDS: Final = 0.2


class Exchange:
    """`check_alive` is called while an answer is waited for, and raises where none can come any more."""

    def __init__(
        self,
        producer: Producer,
        consumer: Consumer,
        clock: Clock,
        *,
        timeout_seconds: float,
        check_alive: Callable[[], None] = lambda: None,
    ) -> None:
        self._producer = producer
        self._consumer = consumer
        self._clock = clock
        self._timeout_seconds = timeout_seconds
        self._check_alive = check_alive
        consumer.subscribe([RESULTS, DEAD_LETTERS], _Bystander())

    def ask(self, request: ProducerRecord) -> ConsumerRecord:
        """The result of a request, which has a `ce_correlationid` of its own.

        Raises RecordError for a dead letter, with its reason; FatalError where no answer comes in time; what `Delivery` raises.
        """
        delivery = Delivery(self._producer, REQUESTS, self._clock)
        delivery.send(request)
        delivery.finish()
        wanted = _header(request, "ce_correlationid")
        deadline = self._clock.now() + self._timeout_seconds
        while True:
            for record in self._consumer.poll(_POLL_SECONDS):
                if _header(record, "ce_correlationid") == wanted:
                    return _result(record)
            self._check_alive()
            if self._clock.now() > deadline:
                raise FatalError(f"no result within {self._timeout_seconds:g} s; a slow algorithm needs a longer --timeout")


def _result(record: ConsumerRecord) -> ConsumerRecord:
    if record.topic != DEAD_LETTERS:
        return record
    kind, message = (_header(record, f"pesto_error_{name}") for name in ("type", "message"))
    raise RecordError(f"{kind}: {message}")


def _header(record: ConsumerRecord | ProducerRecord, name: str) -> str | None:
    return next((value.decode("utf-8", "replace") for key, value in record.headers if key == name and value is not None), None)


class _Bystander:
    """Nothing is committed, so assignments may come and go."""

    def on_assigned(self, partitions: Mapping[TopicPartition, Position | None]) -> None: ...

    def on_revoked(self, partitions: Sequence[TopicPartition]) -> None: ...

    def on_lost(self, partitions: Sequence[TopicPartition]) -> None: ...

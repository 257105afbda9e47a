"""Writes results and dead letters, and turns the client's answers into events for the loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pesto_stream.broker.base import RecordTooLarge
from pesto_stream.errors import BrokerUnavailable, DeadLetterUnavailable, FatalError, TransientError
from pesto_stream.log import get_logger
from pesto_stream.model.outcome import Outcome
from pesto_stream.runtime.job import Broken, Delivered, Undelivered
from pesto_stream.runtime.pipeline import too_large

if TYPE_CHECKING:
    from collections.abc import Callable

    from pesto_stream.broker.base import DeliveryReport, Producer
    from pesto_stream.errors import RecordError
    from pesto_stream.metrics import Metrics
    from pesto_stream.model.record import ProducerRecord
    from pesto_stream.runtime.job import Event, Job
    from pesto_stream.runtime.pipeline import Pipeline

_log = get_logger(__name__)


class Sender:
    """Any thread may call it. `tell` takes events for the loop; it must be quick, and is called by whoever polls the client."""

    def __init__(self, producer: Producer, pipeline: Pipeline, metrics: Metrics, tell: Callable[[Event], None]) -> None:
        self._producer = producer
        self._pipeline = pipeline
        self._metrics = metrics
        self._tell = tell

    def result(self, job: Job, record: ProducerRecord) -> None:
        """Send a result; one that the client refuses for its size becomes a dead letter."""
        try:
            self._send(job, record, Outcome.DELIVERED)
        except RecordTooLarge as refusal:
            self.dead_letter(job, too_large(record, f"a limit of the client: {refusal}"))

    def dead_letter(self, job: Job, error: RecordError) -> None:
        """Send the record as it came, with the error in its headers."""
        _log.warning(
            "dead_letter",
            position=job.record.position,
            topic=job.record.topic,
            partition=job.record.partition,
            offset=job.record.offset,
            stage=error.stage,
            error_type=type(error).__name__,
            reason=str(error),
        )
        self._metrics.count("pesto_dead_letters_total", stage=error.stage, error_type=type(error).__name__)
        job.error = error
        letter = self._pipeline.dead_letter(job.record, error, job.attempts + 1)
        try:
            self._send(job, letter, Outcome.DEAD_LETTER)
        except RecordTooLarge as refusal:
            self._tell(Broken(DeadLetterUnavailable(f"cannot write the dead letter of {job.record.position}: {refusal}")))

    def _send(self, job: Job, record: ProducerRecord, outcome: Outcome) -> None:
        def report(answer: DeliveryReport) -> None:
            if answer.error is None:
                self._tell(Delivered(job, outcome, record.size))
            else:
                self._tell(Undelivered(job, outcome, record, answer.error))

        try:
            self._producer.send(record, report)
        except (FatalError, TransientError) as failure:
            self._tell(Broken(failure))


def broken_by(undelivered: Undelivered) -> Broken:
    """What it means that the broker did not take a record for another reason than its size: the runtime stops, and keeps the offset."""
    position, error = undelivered.job.record.position, undelivered.error
    if undelivered.outcome is Outcome.DEAD_LETTER:
        return Broken(DeadLetterUnavailable(f"cannot write the dead letter of {position}: {error}"))
    if isinstance(error, FatalError | TransientError):
        return Broken(error)
    return Broken(BrokerUnavailable(f"cannot write the result of {position}: {error}"))


def refused_for_size(undelivered: Undelivered) -> bool:
    """Whether the topic's own limit refused a result: the client's limit answers in `send`, the topic's in the report."""
    return undelivered.outcome is Outcome.DELIVERED and isinstance(undelivered.error.__cause__, RecordTooLarge)

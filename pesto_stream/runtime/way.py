"""How a job is done and who hears of its end: records go to the broker, requests back to who asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from pesto_stream.errors import RecordError
    from pesto_stream.model.record import ProducerRecord
    from pesto_stream.runtime.job import Event, Job
    from pesto_stream.runtime.pipeline import Pipeline


class Outbox(Protocol):
    """Takes the ends of jobs. Called by the stages' threads; the stages are done with the job then."""

    def result(self, job: Job, record: ProducerRecord) -> None: ...

    def dead_letter(self, job: Job, error: RecordError) -> None:
        """The job's own fault, or its algorithm's."""


@dataclass(frozen=True, slots=True)
class Way:
    """`tell` hears of jobs that were dropped or interrupted, and may be called by any thread."""

    pipeline: Pipeline
    outbox: Outbox
    tell: Callable[[Event], None]

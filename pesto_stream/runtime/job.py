"""One record on its way through the stages, and what workers and the client tell the loop about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Hashable

    from pesto_stream.errors import FatalError, PestoStreamError, RecordError, TransientError
    from pesto_stream.model.invocation import Invocation
    from pesto_stream.model.outcome import Outcome
    from pesto_stream.model.record import ConsumerRecord, ProducerRecord
    from pesto_stream.runtime.ledger import PartitionLedger
    from pesto_stream.runtime.way import Way


@dataclass(slots=True, eq=False)
class Job:
    """A record in flight.

    One thread at a time works on it, and hands it on through a queue. `charged_bytes` is what it holds of the budget, `unfolded` how many
    things are among that which it will give back by itself: its decoded tiles, its result. `begun` says that
    the algorithm was called: such a job is waited for on revocation, others are left to the next owner. `settling` says that its fate is
    decided (a time-out and a late result cannot both decide it). `way` is how it is done, None: as records are.
    """

    record: ConsumerRecord
    ledger: PartitionLedger
    lane: Hashable | None
    entered_at: float
    charged_bytes: int = 0
    unfolded: int = 0
    attempts: int = 0
    begun: bool = False
    settling: bool = False
    invocation: Invocation | None = None
    outputs: dict[str, Any] | None = None
    error: RecordError | None = None
    way: Way | None = None


@dataclass(frozen=True, slots=True)
class Delivered:
    """The broker has confirmed the job's result or dead letter."""

    job: Job
    outcome: Outcome
    bytes: int


@dataclass(frozen=True, slots=True)
class Undelivered:
    """The broker did not take the job's result (`outcome` DELIVERED) or dead letter."""

    job: Job
    outcome: Outcome
    record: ProducerRecord
    error: PestoStreamError


@dataclass(frozen=True, slots=True)
class Dropped:
    """The job's partition is being, or was, taken away: nothing was sent for it."""

    job: Job
    stage: str


@dataclass(frozen=True, slots=True)
class Interrupted:
    """Trouble outside stopped the job; it is to be tried again."""

    job: Job
    error: TransientError


@dataclass(frozen=True, slots=True)
class Broken:
    """The runtime cannot go on."""

    error: FatalError | TransientError


@dataclass(frozen=True, slots=True)
class CommitRefused:
    """An offset commit failed at the broker; the next one says the same again."""

    reason: str


Event = CommitRefused | Delivered | Undelivered | Dropped | Interrupted | Broken

"""What the loop is given besides its collaborators: the settings that it goes by, and the pure objects that it asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pesto_stream.runtime.flow import Budget, FlowControl
    from pesto_stream.runtime.job import Job
    from pesto_stream.runtime.ledger import Ledger
    from pesto_stream.runtime.ordering import Lanes, Ordering
    from pesto_stream.runtime.retry import RetryPolicy, Waiting


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings that the loop goes by; all times in seconds."""

    input_topic: str
    ordering: Ordering
    retry: RetryPolicy
    commit_interval_seconds: float
    drain_seconds: float
    revoke_seconds: float
    unavailable_timeout_seconds: float
    algorithm_timeout_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class State:
    """The pure objects that the loop asks."""

    ledger: Ledger
    lanes: Lanes[Job]
    waiting: Waiting[Job]
    budget: Budget
    flow: FlowControl

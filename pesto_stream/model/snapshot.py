"""What a runtime is doing at one moment: a value that the sidecar reads, so that it never touches the engine."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class RunState(StrEnum):
    STARTING = "starting"
    """Loading the algorithm, or waiting for a broker and its topics."""
    RUNNING = "running"
    DRAINING = "draining"
    """No new records; what is in flight is finished."""
    STOPPED = "stopped"


class StageStatus(StrEnum):
    DECODE = "decode"
    ALGORITHM = "algorithm"
    ENCODE = "encode"


@dataclass(frozen=True, slots=True)
class PartitionSnapshot:
    topic: str
    partition: int
    in_flight: int
    committed: int | None
    lag: int | None


@dataclass(frozen=True, slots=True)
class RecentError:
    """One of the last failures. `position` is `topic[partition]@offset`, "" where the failure is about no record."""

    at: str
    type: str
    stage: str
    message: str
    position: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Times are seconds. `oldest_seconds` is, by stage, how long its oldest running job has been there; `stuck_after_seconds` is, by
    stage, the limit above which that is not live any more (None: none). `loop_idle_seconds` is the time since the loop last turned.
    """

    state: RunState
    state_since: str
    algorithm_loaded: bool
    broker_connected: bool
    loop_idle_seconds: float
    loop_stuck_after_seconds: float
    waiting_for: str | None = None
    failure: str | None = None
    """Why the process is about to end non-zero, None while all is well."""
    timed_out: str | None = None
    """The tile that ran over `algorithm.timeout_seconds` in a thread that cannot be ended."""
    partitions: tuple[PartitionSnapshot, ...] = ()
    in_flight_records: int = 0
    in_flight_bytes: int = 0
    in_flight_limit_bytes: int = 0
    paused: bool = False
    oldest_seconds: Mapping[str, float] = field(default_factory=dict)
    stuck_after_seconds: Mapping[str, float | None] = field(default_factory=dict)
    queued: Mapping[str, int] = field(default_factory=dict)
    """Jobs waiting for a stage."""
    settled: Mapping[str, int] = field(default_factory=dict)
    """Records settled since the start, by outcome."""
    rates_per_second: Mapping[str, float] = field(default_factory=dict)
    """Results, dead letters and received records per second over the last minute."""
    recent_errors: tuple[RecentError, ...] = ()

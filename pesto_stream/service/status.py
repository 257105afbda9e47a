"""A snapshot as the JSON object of /api/v1/status. Pure.

The page is open to whoever reaches the port, so of an error it shows a shortened message, without the user and the query of a URL
(where signatures and tokens are), and never a payload.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from pesto_stream.model.snapshot import StageStatus

if TYPE_CHECKING:
    from pesto_stream.model.snapshot import PartitionSnapshot, RecentError, Snapshot

MAX_MESSAGE_CHARACTERS: Final = 300
_URL_USER: Final = re.compile(r"(?<=://)[^\s/?#'\"]*@")
_URL_QUERY: Final = re.compile(r"(?<=\S)\?[^\s'\"]*=[^\s'\"]*")


def status(snapshot: Snapshot) -> dict[str, Any]:
    """State, assignment, lag, bytes in flight, stages, rates and last errors, as plain JSON values."""
    return {
        "state": snapshot.state.value,
        "since": snapshot.state_since,
        "waiting_for": _shown(snapshot.waiting_for),
        "failure": _shown(snapshot.failure),
        "timed_out": _shown(snapshot.timed_out),
        "algorithm_loaded": snapshot.algorithm_loaded,
        "broker_connected": snapshot.broker_connected,
        "paused": snapshot.paused,
        "assignment": [_partition(partition) for partition in snapshot.partitions],
        "lag": _lag(snapshot),
        "in_flight": _in_flight(snapshot),
        "loop": {"idle_seconds": snapshot.loop_idle_seconds, "stuck_after_seconds": snapshot.loop_stuck_after_seconds},
        "stages": {stage.value: _stage(snapshot, stage.value) for stage in StageStatus},
        "settled": dict(snapshot.settled),
        "rates_per_second": dict(snapshot.rates_per_second),
        "errors": [_error(error) for error in snapshot.recent_errors],
    }


def _partition(partition: PartitionSnapshot) -> dict[str, Any]:
    return {
        "topic": partition.topic,
        "partition": partition.partition,
        "in_flight": partition.in_flight,
        "committed": partition.committed,
        "lag": partition.lag,
    }


def _lag(snapshot: Snapshot) -> int | None:
    """Over all partitions; None while it is not known of each."""
    lags = [partition.lag for partition in snapshot.partitions]
    return None if None in lags else sum(lag for lag in lags if lag is not None)


def _in_flight(snapshot: Snapshot) -> dict[str, int]:
    return {
        "records": snapshot.in_flight_records,
        "bytes": snapshot.in_flight_bytes,
        "limit_bytes": snapshot.in_flight_limit_bytes,
    }


def _stage(snapshot: Snapshot, stage: str) -> dict[str, Any]:
    return {
        "queued": snapshot.queued.get(stage, 0),
        "oldest_seconds": snapshot.oldest_seconds.get(stage),
        "stuck_after_seconds": snapshot.stuck_after_seconds.get(stage),
    }


def _error(error: RecentError) -> dict[str, Any]:
    return {
        "at": error.at,
        "type": error.type,
        "stage": error.stage,
        "message": _shown(error.message),
        "position": error.position,
    }


def _shown(text: str | None) -> str | None:
    if text is None:
        return None
    text = _URL_QUERY.sub("?…", _URL_USER.sub("…@", text[: MAX_MESSAGE_CHARACTERS * 8]))
    text = text.encode("utf-8", "replace").decode("utf-8")  # a lone surrogate is no JSON
    return text if len(text) <= MAX_MESSAGE_CHARACTERS else text[: MAX_MESSAGE_CHARACTERS - 1] + "…"

"""Three questions about one snapshot, each with its reasons. Pure.

The questions are Kubernetes': *startup* (has it come up once?), *live* (would only a restart help?), *ready* (does it do its work?).
A spare member, without partitions, is ready: it takes over when another one goes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pesto_stream.model.snapshot import RunState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pesto_stream.model.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Verdict:
    """`reasons` says, for people, why it is not `ok`; empty exactly when it is."""

    ok: bool
    reasons: tuple[str, ...] = ()


def startup(snapshot: Snapshot) -> Verdict:
    """Once the algorithm is loaded and the broker was reached. A broker that goes away later does not undo it."""
    return _verdict(_not_started(snapshot))


def live(snapshot: Snapshot) -> Verdict:
    """Unless a stage or the loop is stuck over its limit, or a timed-out tile holds a thread that cannot be ended."""
    return _verdict(_not_live(snapshot))


def ready(snapshot: Snapshot) -> Verdict:
    """While it takes records, or would if it had partitions."""
    return _verdict(_not_ready(snapshot))


def _verdict(reasons: Iterator[str]) -> Verdict:
    found = tuple(reasons)
    return Verdict(not found, found)


def _not_started(snapshot: Snapshot) -> Iterator[str]:
    if not snapshot.algorithm_loaded:
        yield "the algorithm is not loaded"
    if snapshot.state is not RunState.RUNNING and not snapshot.broker_connected:
        yield "no broker was reached"
    if snapshot.state is RunState.STARTING:
        yield _starting(snapshot)


def _not_live(snapshot: Snapshot) -> Iterator[str]:
    for stage, seconds in snapshot.oldest_seconds.items():
        limit = snapshot.stuck_after_seconds.get(stage)
        if limit is not None and seconds > limit:
            yield f"stage '{stage}' has been busy with one tile for {seconds:.1f} s, over its limit of {limit:.1f} s"
    if snapshot.loop_idle_seconds > snapshot.loop_stuck_after_seconds:
        limit = snapshot.loop_stuck_after_seconds
        yield f"the loop has not turned for {snapshot.loop_idle_seconds:.1f} s, over its limit of {limit:.1f} s"
    if snapshot.timed_out is not None:
        yield f"tile '{snapshot.timed_out}' ran over its time in a thread that cannot be ended"


def _not_ready(snapshot: Snapshot) -> Iterator[str]:
    if snapshot.failure is not None:
        yield f"about to end: {snapshot.failure}"
    if not snapshot.algorithm_loaded:
        yield "the algorithm is not loaded"
    if not snapshot.broker_connected:
        yield "no broker answers"
    if snapshot.state is RunState.STARTING:
        yield _starting(snapshot)
    elif snapshot.state is not RunState.RUNNING:
        yield f"the runtime is {snapshot.state.value}"


def _starting(snapshot: Snapshot) -> str:
    return f"starting, waiting for {snapshot.waiting_for}" if snapshot.waiting_for else "starting"

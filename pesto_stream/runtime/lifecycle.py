"""The states of a runtime and which may follow which. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pesto_stream.model.snapshot import RunState

if TYPE_CHECKING:
    from collections.abc import Mapping

NEXT: Mapping[RunState, frozenset[RunState]] = {
    RunState.STARTING: frozenset({RunState.RUNNING, RunState.STOPPED}),
    RunState.RUNNING: frozenset({RunState.DRAINING, RunState.STOPPED}),
    RunState.DRAINING: frozenset({RunState.STOPPED}),
    RunState.STOPPED: frozenset(),
}


class LifecycleError(AssertionError):
    """A transition that no runtime may make: a bug of ours."""


def transition(now: RunState, to: RunState) -> RunState:
    """`to`, where it may follow `now` (or is the same). Raises LifecycleError otherwise."""
    if to is not now and to not in NEXT[now]:
        raise LifecycleError(f"a runtime that is {now} cannot become {to}")
    return to

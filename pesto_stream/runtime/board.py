"""What others may see of the runtime: the loop publishes, the sidecar reads, and neither waits for the other."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING, Any

from pesto_stream.model.snapshot import RecentError, RunState, Snapshot
from pesto_stream.runtime.lifecycle import transition

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pesto_stream.clock import Clock

_KEPT_ERRORS = 20


class Board:
    """`watch` gives what is asked at each reading: by stage, how long its oldest running job has been there, and how many wait."""

    def __init__(self, clock: Clock, *, loop_stuck_after_seconds: float) -> None:
        self._clock = clock
        self._lock = Lock()
        self._turned_at = clock.now()
        self._errors: deque[RecentError] = deque(maxlen=_KEPT_ERRORS)
        self._oldest_seconds: Callable[[], Mapping[str, float]] = dict
        self._queued: Callable[[], Mapping[str, int]] = dict
        self._snapshot = Snapshot(
            state=RunState.STARTING,
            state_since=self._stamp(),
            algorithm_loaded=False,
            broker_connected=False,
            loop_idle_seconds=0.0,
            loop_stuck_after_seconds=loop_stuck_after_seconds,
        )

    @property
    def state(self) -> RunState:
        return self._snapshot.state

    def enter(self, state: RunState) -> None:
        if state is not self._snapshot.state:
            self.publish(state=transition(self._snapshot.state, state), state_since=self._stamp(), waiting_for=None)
            self.turned()

    def turned(self) -> None:
        """The loop is alive."""
        self._turned_at = self._clock.now()

    def publish(self, **fields: Any) -> None:
        """Set fields of the snapshot."""
        with self._lock:
            self._snapshot = replace(self._snapshot, **fields)

    def watch(self, oldest_seconds: Callable[[], Mapping[str, float]], queued: Callable[[], Mapping[str, int]]) -> None:
        self._oldest_seconds = oldest_seconds
        self._queued = queued

    def note_error(self, error: BaseException, stage: str, position: str = "") -> None:
        self._errors.appendleft(RecentError(self._stamp(), type(error).__name__, stage, str(error), position))

    def snapshot(self) -> Snapshot:
        """As last published, with the times as they are now. Before the loop runs and after it ended, it cannot be stuck."""
        looping = self._snapshot.state in (RunState.RUNNING, RunState.DRAINING)
        return replace(
            self._snapshot,
            loop_idle_seconds=self._clock.now() - self._turned_at if looping else 0.0,
            oldest_seconds=self._oldest_seconds(),
            queued=self._queued(),
            recent_errors=tuple(self._errors),
        )

    def _stamp(self) -> str:
        return self._clock.utc().isoformat(timespec="milliseconds").replace("+00:00", "Z")

"""Memory bounded by bytes in flight: the budget, and when to stop asking for records. Pure but for the budget's lock."""

from __future__ import annotations

import threading
from enum import Enum, auto


class Budget:
    """Bytes in flight: records between poll and delivery, with their decoded tiles and encoded results.

    Any thread may change it. `unfolded` counts the decoded tiles and the results that are not yet done with: when there are any, a decoder
    waits for room before it begins another, so that the bound holds for what records grow into as well.
    """

    INTAKE_SHARE = 0.6
    """Records are taken up to this share of the limit; the rest is for what they unfold to."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.intake_bytes = int(limit_bytes * self.INTAKE_SHARE)
        self._bytes = 0
        self._unfolded = 0
        self._room = threading.Condition()

    @property
    def bytes(self) -> int:
        return self._bytes

    @property
    def full(self) -> bool:
        """Whether no more records are taken."""
        return self._bytes >= self.intake_bytes

    @property
    def free_bytes(self) -> int:
        """Bytes of records that may still be taken."""
        return max(0, self.intake_bytes - self._bytes)

    def change(self, amount: int, *, unfolded: int = 0) -> None:
        with self._room:
            self._bytes += amount
            self._unfolded += unfolded
            if amount < 0 or unfolded < 0:
                self._room.notify_all()

    def wait_for_room(self, timeout_seconds: float) -> bool:
        """Until there is room, or nothing is left that could make any. False after the time-out."""
        with self._room:
            return self._room.wait_for(lambda: self._bytes < self.limit_bytes or self._unfolded <= 0, timeout_seconds)


class Intake(Enum):
    """What the loop does about new records."""

    TAKE = auto()
    HOLD = auto()
    """Ask for none, and wait for completions: room usually comes within milliseconds."""
    PAUSE = auto()
    """Pause the partitions and go on polling, for membership."""


class FlowControl:
    """Hold first, pause later: a pause makes the client throw away what it has fetched, so it is for slow algorithms only.

    Resumes when the bytes in flight are down to half of the limit, so that a resume is worth its fetch.
    """

    RESUME_SHARE = 0.5

    def __init__(self, budget: Budget, hold_seconds: float = 0.2) -> None:
        self._budget = budget
        self._hold_seconds = hold_seconds
        self._full_since: float | None = None
        self._paused = False

    @property
    def paused(self) -> bool:
        return self._paused

    def decide(self, now: float) -> Intake:
        if self._paused:
            self._paused = self._budget.bytes > self._budget.intake_bytes * self.RESUME_SHARE
            return Intake.PAUSE if self._paused else Intake.TAKE
        if not self._budget.full:
            self._full_since = None
            return Intake.TAKE
        if self._full_since is None:
            self._full_since = now
        self._paused = now - self._full_since >= self._hold_seconds
        if self._paused:
            self._full_since = None
        return Intake.PAUSE if self._paused else Intake.HOLD

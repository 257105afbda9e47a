"""The fate of a record: a closed set, all of them final. A retry is not an outcome."""

from __future__ import annotations

from enum import StrEnum


class Outcome(StrEnum):
    DELIVERED = "delivered"
    """The result is on the output topic, confirmed by the broker."""
    DEAD_LETTER = "dead_letter"
    """The dead letter is on its topic, confirmed by the broker."""
    FILTERED = "filtered"
    """Nothing to do (a tombstone)."""
    STALE = "stale"
    """The partition was taken away meanwhile; whoever has it now does the work. Never committed by us."""

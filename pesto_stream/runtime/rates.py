"""How many of something happened per second lately. Pure."""

from __future__ import annotations

from collections import Counter, deque


class Rates:
    """Counts by name over a sliding window, in slots of `slot_seconds`."""

    def __init__(self, started: float, window_seconds: float = 60.0, slot_seconds: float = 2.0) -> None:
        self._started = started
        self._window_seconds = window_seconds
        self._slot_seconds = slot_seconds
        self._slots: deque[tuple[float, Counter[str]]] = deque(maxlen=int(window_seconds / slot_seconds) + 1)

    def count(self, name: str, now: float, amount: int = 1) -> None:
        if not self._slots or now - self._slots[-1][0] >= self._slot_seconds:
            self._slots.append((now, Counter()))
        self._slots[-1][1][name] += amount

    def per_second(self, now: float) -> dict[str, float]:
        """Over the window, or the time since the start where that is shorter."""
        total: Counter[str] = Counter()
        for began, counts in tuple(self._slots):
            if now - began <= self._window_seconds:
                total.update(counts)
        span = max(1.0, min(self._window_seconds, now - self._started))
        return {name: round(number / span, 3) for name, number in total.items()}

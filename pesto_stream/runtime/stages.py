"""One stage of the work: a queue and the threads that serve it.

A stage knows nothing of records and brokers: it is given the function that does the work, which may not raise.
"""

from __future__ import annotations

from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from pesto_stream.clock import Clock
    from pesto_stream.runtime.job import Job


class Running(NamedTuple):
    """A job that a thread works on, and since when (the clock's `now`)."""

    job: Job
    since: float


class Stage:
    """Jobs are begun in the order in which they came; each is worked on by one of `threads` threads."""

    def __init__(self, name: str, work: Callable[[Job], None], threads: int, clock: Clock) -> None:
        self.name = name
        self._work = work
        self._clock = clock
        self._queue: SimpleQueue[Job | None] = SimpleQueue()
        self._running: list[Running | None] = [None] * threads
        self._threads = [
            # daemons, so that a thread that never returns cannot keep the process from ending
            Thread(target=self._serve, args=(slot,), name=f"{name}-{slot}", daemon=True)
            for slot in range(threads)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def put(self, job: Job) -> None:
        self._queue.put(job)

    @property
    def queued(self) -> int:
        """Jobs that wait, as an estimate."""
        return self._queue.qsize()

    def running(self) -> list[Running]:
        return [entry for entry in self._running if entry is not None]

    def stop(self) -> None:
        """No job that still waits is begun; threads end after the one they work on."""
        self._discard()
        for _ in self._threads:
            self._queue.put(None)

    def join(self, timeout_seconds: float) -> bool:
        """Wait for the threads to end; False: some thread has not."""
        deadline = self._clock.now() + timeout_seconds
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(0.0, deadline - self._clock.now()))
        return not any(thread.is_alive() for thread in self._threads)

    def _discard(self) -> None:
        try:
            while True:
                self._queue.get_nowait()
        except Empty:
            return

    def _serve(self, slot: int) -> None:
        while (job := self._queue.get()) is not None:
            self._running[slot] = Running(job, self._clock.now())
            self._work(job)
            self._running[slot] = None
            del job  # or the last tile would be kept until the next one comes

"""Calls that stop where they say `pause()` and go on when they are told: threads of which exactly one runs at a time.

Who runs next is decided by whoever calls `resume`, so a test that decides it from a seed runs the same way every time.
"""

from __future__ import annotations

from collections import deque
from queue import Empty
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_now_running: list[Fiber] = []


class Killed(BaseException):
    """Raised by `pause` in a fiber that is to end, and by all that it touches on its way out."""


class Fiber:
    def __init__(self, name: str, action: Callable[[], None]) -> None:
        self.name = name
        self.done = False
        self.failure: BaseException | None = None
        self._action = action
        self._killed = False
        self._until: Callable[[], bool] = _always
        self._go, self._back = Lock(), Lock()
        self._go.acquire()
        self._back.acquire()
        self._thread = Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def ready(self) -> bool:
        return not self.done and self._until()

    def resume(self) -> None:
        """Let it run until it pauses or ends."""
        _now_running.append(self)
        self._go.release()
        self._back.acquire()
        _now_running.pop()

    def kill(self) -> None:
        """End it where it is, as the end of a process would: whatever it still calls must not reach outside."""
        self._killed = True
        while not self.done:
            self.resume()
        self._thread.join()

    def pause(self, until: Callable[[], bool]) -> None:
        self._until = until
        if not self._killed:
            self._back.release()
            self._go.acquire()
        if self._killed:
            raise Killed
        self._until = _always

    def _run(self) -> None:
        self._go.acquire()
        try:
            if not self._killed:
                self._action()
        except Killed:
            pass
        except BaseException as failure:  # noqa: BLE001 - looked at by the test
            self.failure = failure
        self.done = True
        self._back.release()


def _always() -> bool:
    return True


def pause(until: Callable[[], bool] = _always) -> None:
    """Give way; go on when chosen, which is not before `until()`. Does nothing outside of fibers."""
    if _now_running:
        _now_running[-1].pause(until)


class FiberQueue:
    """What a stage uses of a SimpleQueue; `get` pauses while there is nothing."""

    def __init__(self) -> None:
        self._items: deque[Any] = deque()

    def put(self, item: Any) -> None:
        self._items.append(item)

    def get(self) -> Any:
        pause(lambda: bool(self._items))
        return self._items.popleft()

    def get_nowait(self) -> Any:
        if not self._items:
            raise Empty
        return self._items.popleft()

    def qsize(self) -> int:
        return len(self._items)

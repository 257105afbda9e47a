"""An end to a call of the client that has none: `close`, while a commit waits for a coordinator that is away."""

from __future__ import annotations

import threading
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class TookTooLong(Exception):
    """The call goes on in the background; what it does or raises there is seen by nobody."""


def within(seconds: float, call: Callable[[], T]) -> T:
    """`call()` in a thread of its own, waited for. Raises TookTooLong after `seconds`, else what the call raises."""
    done: SimpleQueue[tuple[T | None, BaseException | None]] = SimpleQueue()

    def run() -> None:
        try:
            done.put((call(), None))
        except BaseException as failure:  # noqa: BLE001 - raised again by the caller's thread
            done.put((None, failure))

    threading.Thread(target=run, name="kafka-call", daemon=True).start()
    try:
        result, failure = done.get(timeout=seconds)
    except Empty:
        raise TookTooLong from None
    if failure is not None:
        raise failure
    return result  # type: ignore[return-value] # a call that returned put its result

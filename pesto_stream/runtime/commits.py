"""Offsets to the broker: now and then without a wait, and for good where a partition is given up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pesto_stream.broker.base import Position
from pesto_stream.errors import FatalError, TransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from pesto_stream.broker.base import Consumer
    from pesto_stream.model.record import TopicPartition
    from pesto_stream.runtime.ledger import Ledger
    from pesto_stream.runtime.reporter import Reporter


class Commits:
    """Says to the broker what the ledger says, and nothing else. Used by the loop's thread only.

    A refused commit is counted and said again with the next one; `fail` is told what makes the next one useless as well.
    """

    def __init__(
        self,
        consumer: Consumer,
        ledger: Ledger,
        reporter: Reporter,
        fail: Callable[[FatalError], None],
        interval_seconds: float,
        first_due: float,
    ) -> None:
        self._consumer = consumer
        self._ledger = ledger
        self._reporter = reporter
        self._fail = fail
        self._interval_seconds = interval_seconds
        self._due = first_due

    def if_due(self, now: float) -> None:
        if now >= self._due:
            self._due = now + self._interval_seconds
            self._commit(None, wait=False)

    def settle(self, partitions: Collection[TopicPartition] | None = None) -> None:
        """Commit, and wait for the answer. What was sent before without a wait is said again: it may have been refused unheard."""
        self._ledger.forget_committed(partitions)
        self._commit(partitions, wait=True)

    def _commit(self, partitions: Collection[TopicPartition] | None, *, wait: bool) -> None:
        offsets = self._ledger.uncommitted(partitions)
        if not offsets:
            return
        try:
            self._consumer.commit({tp: Position(offset) for tp, offset in offsets.items()}, wait=wait)
        except TransientError as trouble:
            self._reporter.commit_refused(str(trouble))
        except FatalError as failure:
            self._fail(failure)
        else:
            self._ledger.note_committed(offsets)
            self._reporter.committed(len(offsets))

"""Offsets to the broker: when they are said, and when they are said again."""

from __future__ import annotations

import pytest

from pesto_stream.broker.base import Position
from pesto_stream.clock import ManualClock
from pesto_stream.errors import AuthorizationFailed, BrokerUnavailable
from pesto_stream.metrics import Metrics
from pesto_stream.model.record import TopicPartition
from pesto_stream.runtime.board import Board
from pesto_stream.runtime.commits import Commits
from pesto_stream.runtime.ledger import Ledger
from pesto_stream.runtime.reporter import Reporter

ONE, TWO = TopicPartition("tiles", 0), TopicPartition("tiles", 1)


class Committing:
    """Takes commits, or refuses them with `error`."""

    def __init__(self) -> None:
        self.commits: list[tuple[dict, bool]] = []
        self.error: Exception | None = None

    def commit(self, positions, *, wait):
        self.commits.append((dict(positions), wait))
        if self.error is not None:
            raise self.error


class Parts:
    def __init__(self) -> None:
        self.consumer, self.ledger, self.failures = Committing(), Ledger(), []
        clock = ManualClock()
        self.metrics = Metrics()
        reporter = Reporter(Board(clock, loop_stuck_after_seconds=60.0), self.metrics, clock)
        self.commits = Commits(self.consumer, self.ledger, reporter, self.failures.append, 5.0, 0.0)
        for partition in (ONE, TWO):
            self.ledger.assign(partition)

    def settle(self, partition: TopicPartition, offset: int) -> None:
        ledger = self.ledger.get(partition)
        ledger.receive(offset)
        ledger.settle(offset)


@pytest.fixture
def parts() -> Parts:
    return Parts()


def test_offsets_are_said_once_per_interval_for_the_partitions_that_moved(parts):
    parts.settle(ONE, 0)
    parts.commits.if_due(0.0)
    parts.settle(ONE, 1)
    parts.commits.if_due(4.9)
    parts.settle(TWO, 0)
    parts.commits.if_due(5.0)
    parts.commits.if_due(10.0)

    assert parts.consumer.commits == [({ONE: Position(1)}, False), ({ONE: Position(2), TWO: Position(1)}, False)]


def test_a_refused_commit_is_counted_and_said_again_with_the_next(parts):
    parts.settle(ONE, 0)
    parts.consumer.error = BrokerUnavailable("a rebalance")
    parts.commits.if_due(0.0)
    parts.consumer.error = None
    parts.commits.if_due(5.0)

    assert parts.consumer.commits == [({ONE: Position(1)}, False)] * 2
    assert parts.metrics.value("pesto_commits_total", result="refused") == 1
    assert parts.metrics.value("pesto_commits_total", result="sent") == 1
    assert parts.failures == []


def test_a_settlement_waits_and_says_again_what_was_sent_without_a_wait(parts):
    parts.settle(ONE, 0)
    parts.settle(TWO, 0)
    parts.commits.if_due(0.0)
    parts.commits.settle([ONE])

    assert parts.consumer.commits[1:] == [({ONE: Position(1)}, True)]


def test_a_settlement_without_partitions_is_one_of_all(parts):
    parts.settle(ONE, 0)
    parts.settle(TWO, 7)
    parts.commits.settle()

    assert parts.consumer.commits == [({ONE: Position(1), TWO: Position(8)}, True)]


def test_where_nothing_was_received_nothing_is_said(parts):
    parts.commits.if_due(0.0)
    parts.commits.settle()

    assert parts.consumer.commits == []


def test_a_refusal_for_good_is_a_failure_and_not_counted_as_sent(parts):
    parts.settle(ONE, 0)
    parts.consumer.error = AuthorizationFailed("not you")
    parts.commits.settle()

    assert parts.failures == [parts.consumer.error]
    assert parts.metrics.value("pesto_commits_total", result="sent") == 0

"""Waiting for a broker and its topics."""

from __future__ import annotations

import pytest

from pesto_stream.broker.memory import MemoryBroker
from pesto_stream.clock import ManualClock
from pesto_stream.errors import AuthorizationFailed, BrokerUnavailable, ConfigurationError
from pesto_stream.runtime.startup import Stopped, await_topics


class Waiting:
    """Calls `await_topics`; `then` happens when it has slept for the n-th time."""

    def __init__(self, broker: MemoryBroker, *, seconds: float = 60.0) -> None:
        self.clock = ManualClock()
        self.finder = broker.producer()
        self.told: list[str] = []
        self.slept: list[float] = []
        self.stopping = False
        self.then: dict[int, object] = {}
        self._seconds = seconds
        self._sleep, self.clock.sleep = self.clock.sleep, self.sleep

    def sleep(self, seconds: float) -> None:
        self._sleep(seconds)
        self.slept.append(seconds)
        self.then.get(len(self.slept), lambda: None)()

    def run(self) -> None:
        await_topics(
            self.finder,
            ("tiles", "results"),
            self.clock,
            timeout_seconds=self._seconds,
            waiting_for=self.told.append,
            stopping=lambda: self.stopping,
        )


def test_topics_that_are_there_cost_no_wait():
    waiting = Waiting(MemoryBroker({"tiles": 2, "results": 1}))
    waiting.run()

    assert (waiting.slept, waiting.told) == ([], [])


def test_a_broker_that_comes_up_later_is_waited_for_and_what_is_missing_is_told():
    broker = MemoryBroker({"tiles": 2, "results": 1})
    broker.reachable = False
    waiting = Waiting(broker)
    waiting.then[3] = lambda: setattr(broker, "reachable", True)
    waiting.run()

    assert len(waiting.told) == 3
    assert "kafka.bootstrap_servers" in waiting.told[0]
    assert waiting.slept == sorted(waiting.slept), "the pauses grow"


def test_a_broker_that_stays_away_is_an_error_when_the_time_is_over():
    broker = MemoryBroker()
    broker.reachable = False
    waiting = Waiting(broker, seconds=60.0)

    with pytest.raises(BrokerUnavailable, match=r"kafka\.bootstrap_servers"):
        waiting.run()
    assert 50 <= waiting.clock.now() <= 60
    assert max(waiting.slept) <= 5.0


def test_a_topic_that_is_missing_is_named_with_the_command_that_creates_it():
    broker = MemoryBroker({"tiles": 1})
    waiting = Waiting(broker)

    with pytest.raises(ConfigurationError, match=r"'results'.*--create --topic results"):
        waiting.run()


def test_a_topic_that_is_created_meanwhile_is_found():
    broker = MemoryBroker({"tiles": 1})
    waiting = Waiting(broker)
    waiting.then[2] = lambda: broker.create_topic("results", 1)
    waiting.run()

    assert len(waiting.slept) == 2


def test_a_refusal_is_not_waited_for():
    class Refusing:
        def partitions(self, topic, timeout_seconds):
            raise AuthorizationFailed("not you")

    waiting = Waiting(MemoryBroker())
    waiting.finder = Refusing()

    with pytest.raises(AuthorizationFailed):
        waiting.run()
    assert waiting.slept == []


def test_a_stop_that_is_asked_for_ends_the_wait():
    broker = MemoryBroker()
    broker.reachable = False
    waiting = Waiting(broker)
    waiting.then[2] = lambda: setattr(waiting, "stopping", True)

    with pytest.raises(Stopped):
        waiting.run()
    assert len(waiting.slept) == 2

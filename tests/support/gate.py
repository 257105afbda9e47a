"""An algorithm that waits for leave, and a second member that takes partitions over."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from support.harness import GROUP, INPUT, Runtime, quietly

if TYPE_CHECKING:
    from pesto_stream.broker.base import Position
    from pesto_stream.broker.memory import MemoryBroker
    from pesto_stream.model.record import ConsumerRecord, TopicPartition


class Gate:
    """An algorithm that doubles, and waits for leave with the values that it is told to wait with. 13 it cannot double."""

    def __init__(self, *waits_with: float) -> None:
        self.waits_with = set(waits_with)
        self.begun: list[float] = []
        self._open = threading.Event()

    def __call__(self, invocation):
        value = invocation.inputs["value"]
        self.begun.append(value)
        if value in self.waits_with:
            assert self._open.wait(60)
        if value == 13:
            raise ValueError("thirteen")
        return {"value": 2 * value}

    def open(self):
        self._open.set()


class Other:
    """A member that takes over what it is given, and commits nothing."""

    def __init__(self, broker: MemoryBroker, *partitions: TopicPartition) -> None:
        self.consumer = broker.consumer(GROUP)
        self.assigned: dict[TopicPartition, Position | None] = {}
        self.records: list[ConsumerRecord] = []
        self.consumer.subscribe([INPUT], self)
        self.consumer.target = set(partitions)

    def on_assigned(self, partitions):
        self.assigned.update(partitions)

    def on_revoked(self, partitions): ...

    def on_lost(self, partitions): ...

    def poll(self):
        self.records += self.consumer.poll(0.0, 100)
        return self.assigned


def hand_over(runtime: Runtime, *partitions: TopicPartition) -> Other:
    """Another member that is to have those partitions."""
    with runtime.broker.changed:
        other = Other(runtime.broker, *partitions)
        runtime.consumer.target = runtime.consumer.owned - set(partitions)
        runtime.broker.changed.notify_all()
    quietly(other.poll)
    return other


def double(invocation):
    return {"value": 2 * invocation.inputs["value"]}

"""A consumer with a listener that notes what it is told: a member of a group as a test drives it."""

from collections.abc import Callable, Mapping, Sequence

from pesto_stream.broker.base import Consumer, Position
from pesto_stream.model.record import ConsumerRecord, TopicPartition
from support.waiting import wait_until

POLL_SECONDS = 0.05


class GroupMember:
    """`events` holds what the listener was told, in order. `while_revoked` is called inside on_revoked."""

    def __init__(self, consumer: Consumer, *topics: str) -> None:
        self.consumer = consumer
        self.records: list[ConsumerRecord] = []
        self.events: list[tuple[str, tuple[TopicPartition, ...]]] = []
        self.owned: set[TopicPartition] = set()
        self.positions: dict[TopicPartition, Position | None] = {}
        self.while_revoked: Callable[[Sequence[TopicPartition]], None] = lambda _: None
        consumer.subscribe(topics, self)

    def on_assigned(self, partitions: Mapping[TopicPartition, Position | None]) -> None:
        self.events.append(("assigned", tuple(partitions)))
        self.positions.update(partitions)
        self.owned.update(partitions)

    def on_revoked(self, partitions: Sequence[TopicPartition]) -> None:
        self.events.append(("revoked", tuple(partitions)))
        self.while_revoked(partitions)
        self.owned.difference_update(partitions)

    def on_lost(self, partitions: Sequence[TopicPartition]) -> None:
        self.events.append(("lost", tuple(partitions)))
        self.owned.difference_update(partitions)

    @property
    def values(self) -> list[bytes | None]:
        return [record.value for record in self.records]

    def turn(self, max_records: int = 100) -> None:
        self.records += self.consumer.poll(POLL_SECONDS, max_records)

    def turn_until(self, condition: Callable[[], object], what: str) -> None:
        drive([self], condition, what)

    def receive(self, count: int) -> list[ConsumerRecord]:
        """Poll until `count` records have come in all."""
        self.turn_until(lambda: len(self.records) >= count, f"{count} records received")
        return self.records


def drive(members: Sequence[GroupMember], condition: Callable[[], object], what: str) -> None:
    """Poll all members in turn until the condition holds."""

    def turn_all() -> object:
        if condition():
            return True
        for member in members:
            member.turn()
        return condition()

    wait_until(turn_all, what)

"""The other ends of the wire, as somebody else would write them: plain confluent-kafka, nothing of ours."""

import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Self

from confluent_kafka import Consumer, Producer, TopicPartition

from support.waiting import wait_until

Headers = Sequence[tuple[str, bytes | str]]


class ForeignProducer:
    def __init__(self, bootstrap_servers: str, **properties: Any) -> None:
        self._client = Producer(
            {"bootstrap.servers": bootstrap_servers, "message.max.bytes": 67_000_000, "log_level": 2, **properties}
        )
        self.failures: list[Any] = []

    def send(
        self, topic: str, value: bytes | None, headers: Headers = (), *, key: bytes | None = None, partition: int | None = None
    ) -> None:
        where = {} if partition is None else {"partition": partition}
        while True:
            try:
                self._client.produce(topic, value, key=key, headers=list(headers), on_delivery=self._note, **where)
            except BufferError:
                self._client.poll(0.1)
            else:
                self._client.poll(0)
                return

    def flush(self) -> None:
        assert self._client.flush(60) == 0
        assert not self.failures

    def _note(self, error: Any, _message: Any) -> None:
        if error is not None:
            self.failures.append(error)


class ForeignConsumer:
    """Reads topics from their beginning, in a group of its own."""

    def __init__(self, bootstrap_servers: str, *topics: str, **properties: Any) -> None:
        settings = {
            "bootstrap.servers": bootstrap_servers,
            "group.id": f"reader-{uuid.uuid4().hex}",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "log_level": 2,
        }
        self._client = Consumer({**settings, **properties})
        self._client.subscribe(list(topics))
        self.messages: list[Any] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._client.close()

    def poll(self) -> None:
        message = self._client.poll(0.2)
        while message is not None:
            if message.error() is None:
                self.messages.append(message)
            message = self._client.poll(0)

    def until(self, enough: Callable[[list[Any]], bool], what: str, *, seconds: float = 60) -> list[Any]:
        def look() -> bool:
            self.poll()
            return enough(self.messages)

        wait_until(look, what, seconds=seconds)
        return self.messages

    def read_to_end(self) -> None:
        """Everything that is in the topics now."""
        ends = {
            (at.topic, at.partition): self._client.get_watermark_offsets(at, timeout=30)[1] for at in self._client.assignment()
        }

        def there() -> bool:
            self.poll()
            seen = {(m.topic(), m.partition()): m.offset() + 1 for m in self.messages}
            return all(seen.get(place, 0) >= end for place, end in ends.items())

        wait_until(there, "the end of the topics")

    def read(self, count: int, *, seconds: float = 60) -> list[Any]:
        return self.until(lambda got: len(got) >= count, f"{count} records", seconds=seconds)


def headers_of(message: Any) -> dict[str, str]:
    return {name: value.decode() for name, value in message.headers() or () if value is not None}


def source_of(message: Any) -> tuple[int, int]:
    """Partition and offset of the request that a result or dead letter came from."""
    headers = headers_of(message)
    return int(headers["pesto_source_partition"]), int(headers["pesto_source_offset"])


def committed(bootstrap_servers: str, group: str, topic: str, partitions: Iterable[int]) -> dict[int, int]:
    """The group's committed offsets; 0 where there is none."""
    client = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": group, "log_level": 2})
    try:
        answer = client.committed([TopicPartition(topic, number) for number in partitions], timeout=30)
    finally:
        client.close()
    return {at.partition: max(0, at.offset) for at in answer}

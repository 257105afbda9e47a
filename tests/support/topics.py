"""Topics of a test's own on a real broker."""

import itertools
import uuid
from collections.abc import Mapping

from confluent_kafka.admin import AdminClient, NewTopic

_numbers = itertools.count()
_session = uuid.uuid4().hex[:8]


class Topics:
    """Makes topics with names that nobody else has. `delete_all` removes them."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._admin = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 2})
        self._made: list[str] = []

    def create(
        self, partitions: int = 1, *, label: str = "t", name: str | None = None, config: Mapping[str, str] | None = None
    ) -> str:
        """A new topic; returns its name when the broker has it. `name` only where it cannot be chosen."""
        name = name or unique_name(label)
        futures = self._admin.create_topics([NewTopic(name, partitions, 1, config=dict(config or {}))])
        futures[name].result(30)
        self._made.append(name)
        return name

    def delete_all(self) -> None:
        if self._made:
            for future in self._admin.delete_topics(self._made).values():
                future.result(30)
        self._made.clear()


def unique_name(label: str) -> str:
    """For topics, groups and the like: unique over tests, processes and runs."""
    return f"{label}-{_session}-{next(_numbers)}"

"""Somebody else who sends requests to a runtime and reads what becomes of each."""

from typing import Any, Self

from support.foreign import ForeignConsumer, ForeignProducer, committed, headers_of
from support.topics import Topics, unique_name


class Conversation:
    """Topics of its own for input, output and dead letters (one partition each), and a group for the members on them."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._made = Topics(bootstrap_servers)
        self.topics = tuple(self._made.create(label=label) for label in ("in", "out", "dead"))
        self.group = unique_name("group")
        self._producer = ForeignProducer(bootstrap_servers)
        self._consumer = ForeignConsumer(bootstrap_servers, *self.topics[1:])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._consumer.__exit__()
        self._made.delete_all()

    def send(self, value: bytes, content_type: str, **headers: str) -> str:
        """Returns the mark by which `answer` knows what became of it."""
        mark = unique_name("mark")
        self._producer.send(
            self.topics[0], value, [("content-type", content_type), ("ce_correlationid", mark), *headers.items()], key=b"k"
        )
        self._producer.flush()
        return mark

    def answers(self, mark: str, *, seconds: float = 60) -> list[Any]:
        """All that has come for one request so far, at least one."""
        mine = lambda got: [m for m in got if headers_of(m).get("ce_correlationid") == mark]  # noqa: E731
        return mine(self._consumer.until(lambda got: bool(mine(got)), f"an answer to '{mark}'", seconds=seconds))

    def result(self, mark: str) -> Any:
        """The one result of a request."""
        (answer,) = self.answers(mark)
        assert answer.topic() == self.topics[1], headers_of(answer)
        return answer

    def dead_letter(self, mark: str) -> dict[str, str]:
        """The headers of the one dead letter of a request."""
        (answer,) = self.answers(mark)
        assert answer.topic() == self.topics[2], headers_of(answer)
        return headers_of(answer)

    def everything(self) -> list[Any]:
        """All results and dead letters that there are."""
        self._consumer.read_to_end()
        return self._consumer.messages

    def committed(self) -> int:
        """How many requests are committed as settled."""
        return committed(self._bootstrap_servers, self.group, self.topics[0], [0])[0]

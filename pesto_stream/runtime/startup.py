"""What must be there before the first poll: a broker that answers, and the topics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from pesto_stream.errors import BrokerUnavailable, ConfigurationError, TransientError
from pesto_stream.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pesto_stream.clock import Clock

_log = get_logger(__name__)

_ASK_SECONDS = 5.0
_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 5.0


class TopicFinder(Protocol):
    def partitions(self, topic: str, timeout_seconds: float) -> int:
        """How many partitions a topic has, 0 where it does not exist. Raises BrokerUnavailable, AuthorizationFailed."""


class Stopped(Exception):
    """A stop was asked for before the runtime had begun; not an error."""


def await_topics(
    finder: TopicFinder,
    topics: Iterable[str],
    clock: Clock,
    *,
    timeout_seconds: float,
    waiting_for: Callable[[str], None],
    stopping: Callable[[], bool],
) -> None:
    """Return when the broker knows all topics; ask again with growing pauses until then.

    Raises BrokerUnavailable where no broker answered in time, ConfigurationError where it knows no such topic,
    AuthorizationFailed at once, Stopped when `stopping()`.
    """
    deadline = clock.now() + timeout_seconds
    pause = _FIRST_PAUSE_SECONDS
    while (problem := _missing(finder, topics)) is not None:
        waiting_for(str(problem))
        _log.warning("waiting", reason=str(problem))
        if clock.now() + pause > deadline:
            raise problem
        if stopping():
            raise Stopped
        clock.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)


def _missing(finder: TopicFinder, topics: Iterable[str]) -> BrokerUnavailable | ConfigurationError | None:
    try:
        for topic in topics:
            if finder.partitions(topic, _ASK_SECONDS) == 0:
                return ConfigurationError(
                    f"topic '{topic}' does not exist; create it (kafka-topics.sh --create --topic {topic} --partitions 8) "
                    "or correct topics.input, topics.output, topics.dead_letter"
                )
    except TransientError as trouble:
        return BrokerUnavailable(f"{trouble}; check kafka.bootstrap_servers and that the broker is up")
    return None

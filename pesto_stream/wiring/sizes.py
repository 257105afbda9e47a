"""A look at the topics' limits before the first poll: what one of them takes, another may have to hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pesto_stream.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Mapping

_log = get_logger(__name__)

HEADROOM_BYTES: Final = 16 << 10
"""What the headers of a dead letter take at most beside the record that it carries."""


def dead_letter_warning(sizes: Mapping[str, int], input_topic: str, dead_letter_topic: str) -> str | None:
    """What to tell where the dead-letter topic could refuse a record that the input topic took. `sizes` are `max.message.bytes` by
    topic; a topic that is not in it is not judged.
    """
    taken, held = sizes.get(input_topic), sizes.get(dead_letter_topic)
    if taken is None or held is None or held >= taken + HEADROOM_BYTES:
        return None
    return (
        f"topic '{dead_letter_topic}' takes records of {held} bytes and '{input_topic}' of {taken}: a large record that cannot be "
        f"processed could not be written there, and would stop the runtime; set max.message.bytes of '{dead_letter_topic}' to "
        f"{taken + HEADROOM_BYTES} or more (a multiple of that where senders compress)"
    )


def warn_of_sizes(sizes: Mapping[str, int], input_topic: str, dead_letter_topic: str) -> None:
    if (warning := dead_letter_warning(sizes, input_topic, dead_letter_topic)) is not None:
        _log.warning("dead_letter_topic_is_small", reason=warning)

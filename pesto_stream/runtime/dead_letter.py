"""The dead letter of a record: the record as it came, and why it could not be processed. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pesto_stream.model.record import ConsumerRecord, ProducerRecord

if TYPE_CHECKING:
    from datetime import datetime

    from pesto_stream.errors import RecordError

MAX_MESSAGE_CHARACTERS = 2000


def dead_letter(
    record: ConsumerRecord, error: RecordError, *, topic: str, attempts: int, at: datetime, component: str
) -> ProducerRecord:
    """Key, value and headers untouched, ours after them: the error's type, message and stage, the source position, the number of
    attempts, the time (UTC, RFC 3339) and the component (`name/version` of the algorithm and of this software).
    """
    ours = {
        "pesto_error_type": type(error).__name__,
        "pesto_error_message": _short(str(error)),
        "pesto_error_stage": error.stage,
        "pesto_source_topic": record.topic,
        "pesto_source_partition": str(record.partition),
        "pesto_source_offset": str(record.offset),
        "pesto_attempts": str(attempts),
        "pesto_failed_at": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "pesto_component": component,
    }
    headers = record.headers + tuple((name, value.encode("utf-8", "replace")) for name, value in ours.items())
    return ProducerRecord(topic, record.key, record.value, headers)


def _short(message: str) -> str:
    """One line of bounded length. Messages quote what senders and algorithms wrote: nothing in it may act on a terminal."""
    cut = message if len(message) <= MAX_MESSAGE_CHARACTERS else message[: MAX_MESSAGE_CHARACTERS - 1] + "…"
    shown = cut if cut.isprintable() else "".join(one if one.isprintable() else ascii(one)[1:-1] for one in cut)
    return shown if len(shown) <= MAX_MESSAGE_CHARACTERS else shown[: MAX_MESSAGE_CHARACTERS - 1] + "…"

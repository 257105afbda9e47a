"""Lifecycle, rates, event time, dead letters."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pesto_stream.errors import ImageError
from pesto_stream.model.record import ConsumerRecord
from pesto_stream.model.snapshot import RunState
from pesto_stream.runtime.dead_letter import MAX_MESSAGE_CHARACTERS, dead_letter
from pesto_stream.runtime.lifecycle import LifecycleError, transition
from pesto_stream.runtime.rates import Rates
from pesto_stream.runtime.reporter import event_time


def test_a_stopped_runtime_never_starts_again():
    for state in RunState:
        if state is not RunState.STOPPED:
            with pytest.raises(LifecycleError, match="stopped cannot become"):
                transition(RunState.STOPPED, state)


def test_a_draining_runtime_takes_no_records_again():
    with pytest.raises(LifecycleError):
        transition(RunState.DRAINING, RunState.RUNNING)
    assert transition(RunState.DRAINING, RunState.DRAINING) is RunState.DRAINING


def test_rates_count_the_last_minute_only():
    rates = Rates(started=0.0)
    for second in range(120):
        rates.count("received", float(second), amount=10 if second >= 60 else 1000)

    assert rates.per_second(119.0)["received"] == pytest.approx(10, rel=0.05)


def test_rates_of_a_young_runtime_are_over_its_own_time():
    rates = Rates(started=0.0)
    rates.count("received", 1.0, amount=30)

    assert rates.per_second(10.0) == {"received": 3.0}


def with_headers(*headers: tuple[str, bytes | None]) -> ConsumerRecord:
    return ConsumerRecord("tiles", 2, 41, b"key", b"value", headers, timestamp_ms=5000)


def test_the_event_time_is_the_events_own_and_else_the_records():
    assert event_time(with_headers(("ce_time", b"1970-01-01T00:01:40Z"))) == 100.0
    assert event_time(with_headers(("ce_time", b"yesterday"))) == 5.0
    assert event_time(with_headers(("ce_time", b"\xff\xfe"))) == 5.0
    assert event_time(with_headers()) == 5.0


def test_a_dead_letter_is_the_record_untouched_with_its_error_after_it():
    record = with_headers(("ce_id", b"7"), ("binary", b"\xff\x00"), ("none", None))
    at = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)

    letter = dead_letter(
        record, ImageError("no such image"), topic="dead", attempts=2, at=at, component="clouds/1 pesto-stream/2"
    )

    assert (letter.topic, letter.key, letter.value) == ("dead", b"key", b"value")
    assert letter.headers[:3] == record.headers
    assert dict(letter.headers[3:]) == {
        "pesto_error_type": b"ImageError",
        "pesto_error_message": b"no such image",
        "pesto_error_stage": b"decode",
        "pesto_source_topic": b"tiles",
        "pesto_source_partition": b"2",
        "pesto_source_offset": b"41",
        "pesto_attempts": b"2",
        "pesto_failed_at": b"2026-01-02T03:04:05.678Z",
        "pesto_component": b"clouds/1 pesto-stream/2",
    }


def test_the_message_of_a_dead_letter_is_bounded():
    letter = dead_letter(
        with_headers(), ImageError("x" * 100_000), topic="dead", attempts=1, at=datetime(2026, 1, 1, tzinfo=UTC), component="c"
    )

    assert len(dict(letter.headers)["pesto_error_message"].decode()) == MAX_MESSAGE_CHARACTERS

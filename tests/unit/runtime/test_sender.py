"""What the client's answers mean to the loop."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from support.builders import a_record

from pesto_stream.broker.base import RecordTooLarge
from pesto_stream.broker.memory import MemoryBroker
from pesto_stream.errors import AuthorizationFailed, BrokerUnavailable, DeadLetterUnavailable, FatalError, ImageError
from pesto_stream.metrics import Metrics
from pesto_stream.model.outcome import Outcome
from pesto_stream.model.record import ProducerRecord, TopicPartition
from pesto_stream.runtime.dead_letter import dead_letter
from pesto_stream.runtime.job import Broken, Delivered, Job, Undelivered
from pesto_stream.runtime.ledger import PartitionLedger
from pesto_stream.runtime.sender import Sender, broken_by, refused_for_size

RESULT = ProducerRecord("results", b"key", b"x" * 50)
AT = datetime(2026, 1, 1, tzinfo=UTC)


class Letters:
    """The part of a pipeline that writes dead letters."""

    def dead_letter(self, record, error, attempts):
        return dead_letter(record, error, topic="dead", attempts=attempts, at=AT, component="c")


class Parts:
    def __init__(self, **limits: int) -> None:
        self.broker = MemoryBroker({"results": 1, "dead": 1}, **limits)
        self.events: list = []
        self.metrics = Metrics()
        self.producer = self.broker.producer()
        self.sender = Sender(self.producer, Letters(), self.metrics, self.events.append)
        self.job = Job(a_record(), PartitionLedger(TopicPartition("tiles", 2), 1), None, 0.0)


def test_a_result_is_told_as_delivered_only_when_its_report_is_served():
    parts = Parts()
    parts.sender.result(parts.job, RESULT)
    assert parts.events == []

    parts.producer.poll(0)

    assert parts.events == [Delivered(parts.job, Outcome.DELIVERED, RESULT.size)]


def test_a_result_over_the_clients_limit_becomes_a_dead_letter_with_the_sizes_in_its_message():
    parts = Parts(client_limit=2000)
    parts.sender.result(parts.job, ProducerRecord("results", b"key", b"x" * 5000))
    parts.producer.poll(0)

    assert [event.outcome for event in parts.events] == [Outcome.DEAD_LETTER]
    assert parts.job.error.stage == "encode"
    message = dict(parts.broker.records("dead")[0].headers)["pesto_error_message"].decode()
    assert "5003 bytes" in message
    assert "2000" in message


def test_a_dead_letter_tells_how_often_the_record_was_tried():
    parts = Parts()
    parts.job.attempts = 2
    parts.sender.dead_letter(parts.job, ImageError("broken"))

    assert dict(parts.broker.records("dead")[0].headers)["pesto_attempts"] == b"3"
    assert parts.metrics.value("pesto_dead_letters_total", stage="decode", error_type="ImageError") == 1


def test_a_dead_letter_over_the_clients_limit_breaks_the_runtime():
    parts = Parts(client_limit=10)
    parts.sender.dead_letter(parts.job, ImageError("broken"))

    (event,) = parts.events
    assert isinstance(event, Broken)
    assert isinstance(event.error, DeadLetterUnavailable)
    assert parts.job.record.position in str(event.error)


@pytest.mark.parametrize(
    "error", [BrokerUnavailable("the queue stays full"), AuthorizationFailed("not you"), FatalError("fenced")]
)
def test_a_send_that_fails_breaks_the_runtime_with_its_own_error(error):
    parts = Parts()
    parts.broker.fail_next("send", error)
    parts.sender.result(parts.job, RESULT)

    assert parts.events == [Broken(error)]


def undelivered(outcome: Outcome, error) -> Undelivered:
    return Undelivered(Parts().job, outcome, RESULT, error)


def too_large() -> BrokerUnavailable:
    error = BrokerUnavailable("too large")
    error.__cause__ = RecordTooLarge("too large")
    return error


def test_a_dead_letter_that_the_broker_does_not_take_breaks_the_runtime_whatever_the_reason():
    for error in (BrokerUnavailable("timed out"), FatalError("fenced"), too_large()):
        refused = undelivered(Outcome.DEAD_LETTER, error)
        assert not refused_for_size(refused)
        assert isinstance(broken_by(refused).error, DeadLetterUnavailable)
        assert refused.job.record.position in str(broken_by(refused).error)


def test_only_a_result_can_be_refused_for_its_size():
    assert refused_for_size(undelivered(Outcome.DELIVERED, too_large()))
    assert not refused_for_size(undelivered(Outcome.DELIVERED, BrokerUnavailable("timed out")))


def test_a_result_that_the_broker_does_not_take_is_never_a_records_fault():
    error = AuthorizationFailed("not you")

    assert broken_by(undelivered(Outcome.DELIVERED, error)).error is error
    assert isinstance(broken_by(undelivered(Outcome.DELIVERED, ImageError("odd"))).error, BrokerUnavailable)

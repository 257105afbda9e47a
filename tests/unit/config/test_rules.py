"""Rules across settings."""

import pytest

from pesto_stream.config.model import Settings
from pesto_stream.config.refused import REFUSED, refusal, table
from pesto_stream.config.rules import check_for_run, violations
from pesto_stream.errors import ConfigurationError

SASL = {"sasl_mechanism": "PLAIN", "sasl_username": "u", "sasl_password": "p"}


def broken(**settings) -> list[str]:
    return [violation.key for violation in violations(Settings(**settings))]


def test_the_defaults_break_no_rule():
    assert broken() == []


@pytest.mark.parametrize("delivery", ["exactly-once", "queue"])
def test_a_delivery_mode_that_is_not_there_is_refused_by_name(delivery):
    (violation,) = violations(Settings(delivery=delivery))

    assert violation == ("delivery", f"'{delivery}' is not available in this version; use 'at-least-once'")


@pytest.mark.parametrize("name", ["output", "dead_letter"])
def test_what_is_written_may_not_be_read_again(name):
    assert broken(topics={"input": "tiles", name: "tiles"}) == [f"topics.{name}"]


def test_the_dead_letter_topic_is_beside_the_input_topic_unless_it_is_set():
    assert Settings(topics={"input": "tiles"}).dead_letter_topic == "tiles.dead-letter"
    assert Settings(topics={"input": "tiles", "dead_letter": "lost"}).dead_letter_topic == "lost"
    assert Settings().dead_letter_topic is None


def test_a_run_needs_both_topics():
    with pytest.raises(ConfigurationError, match=r"topics.input \(--input-topic\) and topics.output \(--output-topic\)"):
        check_for_run(Settings())
    with pytest.raises(ConfigurationError, match=r"set topics.output"):
        check_for_run(Settings(topics={"input": "tiles"}))
    check_for_run(Settings(topics={"input": "tiles", "output": "results"}))


@pytest.mark.parametrize("name", sorted({*REFUSED, "error_cb", "oauthbearer_token_refresh_cb", "test.mock.num.brokers"}))
def test_a_property_that_would_break_a_promise_is_refused_with_the_reason(name):
    (violation,) = violations(Settings(kafka={"properties": {name: "x"}}))

    assert violation.key == f"kafka.properties.{name}"
    assert violation.text == f"may not be set: {refusal(name)}"


PROMISES = """acks auto.offset.reset bootstrap.servers compression.type delivery.timeout.ms dr_cb enable.auto.commit
enable.auto.offset.store enable.idempotence fetch.max.bytes fetch.message.max.bytes fetch.queue.backoff.ms group.id
group.instance.id group.protocol isolation.level max.in.flight max.in.flight.requests.per.connection max.partition.fetch.bytes
message.max.bytes message.timeout.ms metadata.broker.list partition.assignment.strategy plugin.library.paths
queue.buffering.max.kbytes queued.max.messages.kbytes queued.min.messages receive.message.max.bytes request.required.acks
sasl.password session.timeout.ms ssl.ca.location ssl.engine.location sasl.kerberos.kinit.cmd transactional.id"""


@pytest.mark.parametrize("name", PROMISES.split())
def test_the_properties_that_promises_stand_on_are_among_the_refused(name):
    assert refusal(name)


@pytest.mark.parametrize("name", ["linger.ms", "fetch.wait.max.ms", "client.rack", "ssl.key.location", "debug", "partitioner"])
def test_other_properties_may_be_set(name):
    assert broken(kafka={"properties": {name: "x"}}) == []


def test_the_session_timeout_is_the_brokers_with_the_protocol_consumer():
    kafka = {"session_timeout_seconds": 10}

    assert broken(kafka=kafka) == []
    assert broken(kafka={**kafka, "group_protocol": "consumer"}) == ["kafka.session_timeout_seconds"]


@pytest.mark.parametrize("missing", sorted(SASL))
def test_sasl_is_complete_or_absent(missing):
    rest = {name: value for name, value in SASL.items() if name != missing}

    assert broken(kafka={**rest, "security_protocol": "SASL_SSL"}) == [f"kafka.{missing}"]
    assert broken(kafka={**SASL, "security_protocol": "SASL_PLAINTEXT"}) == []
    assert broken(kafka=SASL) == ["kafka.sasl_mechanism", "kafka.sasl_username", "kafka.sasl_password"]


@pytest.mark.parametrize(("protocol", "wrong"), [("PLAINTEXT", True), ("SSL", False)])
def test_certificates_without_tls_are_refused(protocol, wrong):
    assert bool(broken(kafka={"ssl_ca_location": "/ca.pem", "security_protocol": protocol})) is wrong


@pytest.mark.parametrize(("milliseconds", "wrong"), [("19999", True), ("20000", False), ("soon", True), (300_000, False)])
def test_a_poll_interval_holds_the_revocation_budget_and_a_commit(milliseconds, wrong):
    assert bool(broken(kafka={"properties": {"max.poll.interval.ms": milliseconds}})) is wrong


def test_an_s3_key_alone_is_refused():
    assert broken(urls={"s3_access_key_id": "a"}) == ["urls.s3_secret_access_key"]
    assert broken(urls={"s3_secret_access_key": "a"}) == ["urls.s3_access_key_id"]
    assert broken(urls={"s3_access_key_id": "a", "s3_secret_access_key": "b"}) == []


def test_the_table_of_refused_properties_holds_them_all():
    text = "\n".join(table())

    assert all(f"`{name}`" in text for name in REFUSED)

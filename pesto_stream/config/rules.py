"""Rules that one field cannot say alone. Pure: settings in, broken rules out."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pesto_stream.config.keys import PROPERTIES
from pesto_stream.config.refused import refusal
from pesto_stream.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pesto_stream.config.model import Settings

COMMIT_MARGIN_SECONDS = 10.0
"""What a revocation may take beyond its budget, for the commit inside it."""


class Violation(NamedTuple):
    key: str
    text: str


def violations(settings: Settings) -> list[Violation]:
    """All broken rules, for any use of the settings."""
    rules = (_delivery, _topics, _properties, _group_protocol, _sasl, _ssl, _poll_interval, _object_store)
    return [violation for rule in rules for violation in rule(settings)]


def check_for_run(settings: Settings) -> None:
    """Raises ConfigurationError where a setting is missing that only a running member needs."""
    missing = [name for name in ("input", "output") if getattr(settings.topics, name) is None]
    if missing:
        flags = " and ".join(f"topics.{name} (--{name}-topic)" for name in missing)
        raise ConfigurationError(f"cannot run without a topic: set {flags}")


def _delivery(settings: Settings) -> Iterator[Violation]:
    if settings.delivery != "at-least-once":
        yield Violation("delivery", f"'{settings.delivery}' is not available in this version; use 'at-least-once'")


def _topics(settings: Settings) -> Iterator[Violation]:
    topics = settings.topics
    if topics.input is None:
        return
    for name, topic in (("output", topics.output), ("dead_letter", settings.dead_letter_topic)):
        if topic == topics.input:
            yield Violation(f"topics.{name}", f"'{topic}' is the input topic, too: what is written would be read again")


def _properties(settings: Settings) -> Iterator[Violation]:
    for name in settings.kafka.properties:
        if reason := refusal(name):
            yield Violation(f"{PROPERTIES}.{name}", f"may not be set: {reason}")


def _group_protocol(settings: Settings) -> Iterator[Violation]:
    if settings.kafka.group_protocol == "consumer" and settings.kafka.session_timeout_seconds is not None:
        text = "with kafka.group_protocol 'consumer' it is the broker's (group.consumer.session.timeout.ms); leave it out"
        yield Violation("kafka.session_timeout_seconds", text)


def _sasl(settings: Settings) -> Iterator[Violation]:
    kafka = settings.kafka
    with_sasl = kafka.security_protocol.startswith("SASL")
    for name in ("sasl_mechanism", "sasl_username", "sasl_password"):
        given = getattr(kafka, name) is not None
        if with_sasl and not given:
            yield Violation(f"kafka.{name}", f"needed by kafka.security_protocol '{kafka.security_protocol}'")
        if given and not with_sasl:
            text = f"has no effect with kafka.security_protocol '{kafka.security_protocol}'; use SASL_SSL or SASL_PLAINTEXT"
            yield Violation(f"kafka.{name}", text)


def _ssl(settings: Settings) -> Iterator[Violation]:
    kafka = settings.kafka
    if kafka.ssl_ca_location is not None and not kafka.security_protocol.endswith("SSL"):
        text = f"has no effect with kafka.security_protocol '{kafka.security_protocol}'; use SSL or SASL_SSL"
        yield Violation("kafka.ssl_ca_location", text)


def _poll_interval(settings: Settings) -> Iterator[Violation]:
    """A revocation holds the polling thread; over the poll interval the broker would throw the member out."""
    key = "max.poll.interval.ms"
    given = settings.kafka.properties.get(key)
    if given is None:
        return
    needed = (settings.shutdown.revoke_seconds + COMMIT_MARGIN_SECONDS) * 1000
    try:
        enough = float(given) >= needed
    except ValueError:
        yield Violation(f"{PROPERTIES}.{key}", f"'{given}'; expected milliseconds")
        return
    if not enough:
        text = f"'{given}' is too short for shutdown.revoke_seconds and a commit; expected at least {needed:.0f}"
        yield Violation(f"{PROPERTIES}.{key}", text)


def _object_store(settings: Settings) -> Iterator[Violation]:
    pair = {name: getattr(settings.urls, name) is None for name in ("s3_access_key_id", "s3_secret_access_key")}
    if len(set(pair.values())) > 1:
        missing = next(name for name, absent in pair.items() if absent)
        yield Violation(f"urls.{missing}", "missing: the S3 access key and the secret key go together")

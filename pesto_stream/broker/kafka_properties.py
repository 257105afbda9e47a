"""Settings -> librdkafka properties. Pure: nothing here knows the client, only its names.

The one bound, `memory.in_flight_mib`, is divided here: a quarter for what the client has fetched and we have not taken (its queue,
and one response that may arrive on top), the rest for what is in flight with us, which is counted half: a result is held by us
until its delivery is confirmed, and once more by the client's queue.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pesto_stream.config.model import Settings

MIB: Final = 1 << 20
LARGEST_RECORD_BYTES: Final = 1_000_000_000
"""librdkafka's own maximum of `message.max.bytes`."""

FETCH_QUEUE_SHARE: Final = 3 / 16
FETCH_RESPONSE_SHARE: Final = 1 / 16
IN_FLIGHT_SHARE: Final = (1 - FETCH_QUEUE_SHARE - FETCH_RESPONSE_SHARE) / 2

_LARGEST_RESPONSE_BYTES: Final = 50 * MIB
_LARGEST_FETCH_QUEUE_KIB: Final = 2_097_151
_QUEUED_RECORDS: Final = 1000
"""Per partition: records of few bytes cost the client more than their bytes, which its queue's limit does not see."""
_POLL_INTERVAL_SECONDS: Final = 300.0
_REVOKE_MARGIN_SECONDS: Final = 60.0
_HEARTBEAT_SECONDS: Final = 3.0

_CONSUMER_ONLY: Final = frozenset(
    {
        "allow.auto.create.topics",
        "check.crcs",
        "consume.callback.max.messages",
        "coordinator.query.interval.ms",
        "fetch.error.backoff.ms",
        "fetch.min.bytes",
        "fetch.wait.max.ms",
        "group.remote.assignor",
        "max.poll.interval.ms",
    }
)
"""Properties that librdkafka takes from a consumer alone, without those that are refused. A producer would warn of each."""

_PRODUCER_ONLY: Final = frozenset(
    {
        "batch.num.messages",
        "batch.size",
        "compression.level",
        "enable.gapless.guarantee",
        "linger.ms",
        "partitioner",
        "produce.offset.report",
        "queue.buffering.backpressure.threshold",
        "queue.buffering.max.messages",
        "queue.buffering.max.ms",
        "request.timeout.ms",
        "sticky.partitioning.linger.ms",
    }
)
"""The same for a producer."""


def in_flight_limit_bytes(settings: Settings) -> int:
    """Bytes of records, tiles and results that may be in flight with us, before no more are taken."""
    return int(settings.memory.in_flight_mib * MIB * IN_FLIGHT_SHARE)


def consumer_properties(settings: Settings, client_id: str) -> dict[str, Any]:
    """For a member of the group `kafka.group_id`, which the caller has settled."""
    kafka = settings.kafka
    tuning = {"client.id": client_id, "max.poll.interval.ms": _poll_interval_ms(settings)}
    return {
        **tuning,
        **_passed_on(settings, without=_PRODUCER_ONLY),
        **_connection(settings),
        **_membership(settings),
        **_fetching(settings),
        "auto.offset.reset": kafka.start,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "enable.partition.eof": False,
        "isolation.level": "read_committed",
    }


def producer_properties(settings: Settings, client_id: str) -> dict[str, Any]:
    """For an idempotent producer. Keys land in the partitions where Java's producer puts them."""
    kafka = settings.kafka
    tuning = {"client.id": client_id, "linger.ms": 5, "partitioner": "murmur2_random"}
    return {
        **tuning,
        **_passed_on(settings, without=_CONSUMER_ONLY),
        **_connection(settings),
        "acks": "all",
        "enable.idempotence": True,
        "compression.type": kafka.compression,
        "delivery.timeout.ms": _milliseconds(kafka.delivery_timeout_seconds),
        # A dead letter goes out as it came in, whatever its size. Results are held to kafka.max_record_mib before they are sent.
        "message.max.bytes": LARGEST_RECORD_BYTES,
        # A record larger than the queue would be refused for ever. What waits here is bounded by the bytes in flight.
        "queue.buffering.max.kbytes": max(LARGEST_RECORD_BYTES, in_flight_limit_bytes(settings)) // 1024 + 1,
    }


def admin_properties(settings: Settings, client_id: str) -> dict[str, Any]:
    passed_on = _passed_on(settings, without=_CONSUMER_ONLY | _PRODUCER_ONLY)
    return {"client.id": client_id, **passed_on, **_connection(settings)}


def _passed_on(settings: Settings, without: frozenset[str]) -> dict[str, str]:
    """The user's own properties, as the text that librdkafka reads."""
    chosen = {name: value for name, value in settings.kafka.properties.items() if name not in without}
    return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in chosen.items()}


def _connection(settings: Settings) -> dict[str, Any]:
    kafka = settings.kafka
    given = {
        "bootstrap.servers": kafka.bootstrap_servers,
        "security.protocol": kafka.security_protocol,
        "sasl.mechanism": kafka.sasl_mechanism,
        "sasl.username": kafka.sasl_username,
        "sasl.password": kafka.sasl_password.get_secret_value() if kafka.sasl_password else None,
        "ssl.ca.location": kafka.ssl_ca_location,
    }
    return _given(given)


def _membership(settings: Settings) -> dict[str, Any]:
    """With the protocol `consumer` the broker sets session, heartbeat and strategy, and the client refuses them."""
    kafka = settings.kafka
    common = _given(
        {"group.id": kafka.group_id, "group.protocol": kafka.group_protocol, "group.instance.id": kafka.group_instance_id}
    )
    if kafka.group_protocol == "consumer":
        return common
    return {**common, "partition.assignment.strategy": "cooperative-sticky", **_session(kafka.session_timeout_seconds)}


def _session(timeout_seconds: float | None) -> dict[str, int]:
    """Three heartbeats to a session at least, as Kafka advises."""
    if timeout_seconds is None:
        return {}
    heartbeat = min(_HEARTBEAT_SECONDS, timeout_seconds / 3)
    return {"session.timeout.ms": _milliseconds(timeout_seconds), "heartbeat.interval.ms": _milliseconds(heartbeat)}


def _fetching(settings: Settings) -> dict[str, int]:
    bound = settings.memory.in_flight_mib * MIB
    response = min(_LARGEST_RESPONSE_BYTES, max(MIB, int(bound * FETCH_RESPONSE_SHARE)))
    queue_kib = max(1024, int(bound * FETCH_QUEUE_SHARE) // 1024)
    return {
        "queued.max.messages.kbytes": min(_LARGEST_FETCH_QUEUE_KIB, queue_kib),
        "queued.min.messages": _QUEUED_RECORDS,
        # A full queue stops fetching for this long; the client's default of a second costs 90 % of the rate.
        "fetch.queue.backoff.ms": 10,
        "fetch.max.bytes": response,
        "max.partition.fetch.bytes": response,
        # Not a bound on memory: a larger record would be asked for again and again, and never arrive.
        "receive.message.max.bytes": LARGEST_RECORD_BYTES + MIB,
    }


def _poll_interval_ms(settings: Settings) -> int:
    """A revocation holds the polling thread for its budget and a commit; the client refuses less than the session's time-out."""
    session = settings.kafka.session_timeout_seconds or 0
    return _milliseconds(max(_POLL_INTERVAL_SECONDS, session, settings.shutdown.revoke_seconds + _REVOKE_MARGIN_SECONDS))


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))


def _given(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in properties.items() if value is not None}

"""librdkafka properties that `kafka.properties` may not set, each with the reason. Pure data.

Names and aliases are those of librdkafka's CONFIGURATION.md (https://github.com/confluentinc/librdkafka).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_COMMITS = "offsets are committed by the runtime alone, after the result's delivery is confirmed"
_MEMORY = "derived from one bound; set memory.in_flight_mib"
_CONFIRMED = "a result counts as delivered when all in-sync replicas have it, once"
_REPORTS = "an offset is committed on the delivery report of its result"
_CALLBACK = "set by the runtime"
_CODE = "it loads or runs foreign code"

_GROUPS: Final[dict[str, tuple[str, ...]]] = {
    _COMMITS: (
        "enable.auto.commit",
        "auto.commit.enable",
        "auto.commit.interval.ms",
        "enable.auto.offset.store",
        "offset.store.method",
        "offset.store.path",
        "offset.store.sync.interval.ms",
    ),
    _CONFIRMED: (
        "acks",
        "request.required.acks",
        "enable.idempotence",
        "max.in.flight",
        "max.in.flight.requests.per.connection",
        "message.send.max.retries",
        "retries",
        "queuing.strategy",
    ),
    _REPORTS: ("delivery.report.only.error", "dr_cb", "dr_msg_cb"),
    _MEMORY: (
        "fetch.max.bytes",
        "fetch.message.max.bytes",
        "fetch.queue.backoff.ms",
        "max.partition.fetch.bytes",
        "queue.buffering.max.kbytes",
        "queued.max.messages.kbytes",
        "queued.min.messages",
        "receive.message.max.bytes",
    ),
    "transactions belong to delivery 'exactly-once', which this version does not have": (
        "transactional.id",
        "transaction.timeout.ms",
    ),
    "partitions come and go one by one (cooperative-sticky), so that a rebalance does not stop the others": (
        "partition.assignment.strategy",
    ),
    "records of transactions that were aborted may not be processed": ("isolation.level",),
    "health and lag are read from the client's statistics": ("statistics.interval.ms",),
    "the end of a partition is no record": ("enable.partition.eof",),
    "set kafka.bootstrap_servers": ("bootstrap.servers", "metadata.broker.list"),
    "set kafka.group_id": ("group.id",),
    "set kafka.group_protocol": ("group.protocol", "group.protocol.type"),
    "set kafka.group_instance_id": ("group.instance.id",),
    "set kafka.start": ("auto.offset.reset",),
    "set kafka.max_record_mib": ("message.max.bytes",),
    "set kafka.compression": ("compression.codec", "compression.type"),
    "set kafka.delivery_timeout_seconds": ("delivery.timeout.ms", "message.timeout.ms"),
    "set kafka.security_protocol": ("security.protocol",),
    "set kafka.sasl_mechanism": ("sasl.mechanism", "sasl.mechanisms"),
    "set kafka.sasl_username": ("sasl.username",),
    "set kafka.sasl_password": ("sasl.password",),
    "set kafka.ssl_ca_location": ("ssl.ca.location",),
    "set kafka.session_timeout_seconds, from which both are derived": ("heartbeat.interval.ms", "session.timeout.ms"),
    _CODE: ("plugin.library.paths", "sasl.kerberos.kinit.cmd", "ssl.engine.location", "ssl.providers"),
    _CALLBACK: (
        "enabled_events",
        "interceptors",
        "log.queue",
        "logger",
        "on_commit",
        "on_delivery",
        "opaque",
        "default.topic.config",
    ),
}

REFUSED: Final[dict[str, str]] = {name: reason for reason, names in _GROUPS.items() for name in names}


def refusal(name: str) -> str | None:
    """Why a property may not be set; None where it may."""
    if name.endswith("_cb"):
        return REFUSED.get(name, _CALLBACK)
    if name.startswith("test.mock."):
        return "it replaces the brokers by the client's own mock; use the embedded broker"
    return REFUSED.get(name)


def table() -> Iterator[str]:
    """The docs' table of refused properties, as Markdown lines."""
    yield "| property | why it is refused |"
    yield "|---|---|"
    for reason, names in _GROUPS.items():
        yield f"| {', '.join(f'`{name}`' for name in names)} | {reason} |"
    yield f"| names that end in `_cb` | {_CALLBACK} |"
    yield f"| names that begin with `test.mock.` | {refusal('test.mock.')} |"

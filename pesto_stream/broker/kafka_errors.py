"""The client's errors in our words: one table, and a rule for what is not in it.

`kind_of` answers what an error means to the runtime, not what the client calls it. Whatever is not in a table is
trouble outside (`transient`): retried by the client or by us, then the runtime stops. A test lists the codes of the
client that is installed, so a new one is looked at before it falls under that rule.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pesto_stream.broker.base import RecordTooLarge
from pesto_stream.errors import AuthorizationFailed, BrokerUnavailable, FatalError, PestoStreamError

if TYPE_CHECKING:
    from confluent_kafka import KafkaError

Kind = Literal["harmless", "too_large", "authorization", "configuration", "fatal", "transient"]

HARMLESS = frozenset({"NO_ERROR", "_NO_OFFSET", "_PARTITION_EOF", "_NOOP", "_MAX_POLL_EXCEEDED"})
"""_NO_OFFSET: a commit had nothing new. _MAX_POLL_EXCEEDED: the member rejoins by itself; `on_lost` tells us."""

TOO_LARGE = frozenset({"MSG_SIZE_TOO_LARGE", "RECORD_LIST_TOO_LARGE", "INVALID_MSG_SIZE"})

AUTHORIZATION = frozenset(
    {
        "CLUSTER_AUTHORIZATION_FAILED",
        "DELEGATION_TOKEN_AUTHORIZATION_FAILED",
        "DELEGATION_TOKEN_AUTH_DISABLED",
        "DELEGATION_TOKEN_OWNER_MISMATCH",
        "DELEGATION_TOKEN_REQUEST_NOT_ALLOWED",
        "GROUP_AUTHORIZATION_FAILED",
        "ILLEGAL_SASL_STATE",
        "PRINCIPAL_DESERIALIZATION_FAILURE",
        "SASL_AUTHENTICATION_FAILED",
        "TOPIC_AUTHORIZATION_FAILED",
        "TRANSACTIONAL_ID_AUTHORIZATION_FAILED",
        "UNACCEPTABLE_CREDENTIAL",
        "UNSUPPORTED_SASL_MECHANISM",
    }
)

CONFIGURATION = frozenset(
    {
        "INCONSISTENT_GROUP_PROTOCOL",
        "INVALID_CONFIG",
        "INVALID_GROUP_ID",
        "INVALID_PARTITIONS",
        "INVALID_PRINCIPAL_TYPE",
        "INVALID_RECORD",
        "INVALID_REGULAR_EXPRESSION",
        "INVALID_REPLICATION_FACTOR",
        "INVALID_REPLICA_ASSIGNMENT",
        "INVALID_REQUEST",
        "INVALID_REQUIRED_ACKS",
        "INVALID_SESSION_TIMEOUT",
        "INVALID_TIMESTAMP",
        "INVALID_TRANSACTION_TIMEOUT",
        "MISMATCHED_ENDPOINT_TYPE",
        "OFFSET_METADATA_TOO_LARGE",
        "POLICY_VIOLATION",
        "SECURITY_DISABLED",
        "STREAMS_INVALID_TOPOLOGY",
        "TOPIC_DELETION_DISABLED",
        "TOPIC_EXCEPTION",
        "UNSUPPORTED_ASSIGNOR",
        "UNSUPPORTED_COMPRESSION_TYPE",
        "UNSUPPORTED_ENDPOINT_TYPE",
        "UNSUPPORTED_FOR_MESSAGE_FORMAT",
        "UNSUPPORTED_VERSION",
        "_INVALID_ARG",
        "_NOT_CONFIGURED",
        "_NOT_IMPLEMENTED",
        "_UNSUPPORTED_FEATURE",
    }
)
"""INVALID_RECORD: the topic's own rules, as a compacted topic that wants keys."""

FATAL = frozenset({"_FATAL", "_FENCED", "_LOG_TRUNCATION", "FENCED_INSTANCE_ID", "PRODUCER_FENCED", "_DESTROY"})

_KINDS: tuple[tuple[Kind, frozenset[str]], ...] = (
    ("harmless", HARMLESS),
    ("too_large", TOO_LARGE),
    ("authorization", AUTHORIZATION),
    ("configuration", CONFIGURATION),
    ("fatal", FATAL),
)


def kind_of(error: KafkaError) -> Kind:
    if error.fatal():
        return "fatal"
    name = error.name()
    return next((kind for kind, names in _KINDS if name in names), "transient")


def translate(error: KafkaError, doing: str) -> PestoStreamError:
    """The error of our tree for a client error met while `doing` something ("commit", "send to topic 'x'")."""
    text = f"cannot {doing}: {error.str()} ({error.name()})"
    kind = kind_of(error)
    if kind == "authorization":
        return AuthorizationFailed(f"{text}; grant this client the access listed in docs/security.md")
    if kind == "too_large":
        answer = BrokerUnavailable(text)
        answer.__cause__ = RecordTooLarge(text)
        return answer
    if kind in ("fatal", "configuration"):
        return FatalError(text)
    return BrokerUnavailable(text)

import pytest
from confluent_kafka import KafkaError

from pesto_stream.broker.base import RecordTooLarge
from pesto_stream.broker.kafka_errors import AUTHORIZATION, CONFIGURATION, FATAL, HARMLESS, TOO_LARGE, kind_of, translate
from pesto_stream.errors import AuthorizationFailed, BrokerUnavailable, FatalError

TABLES = (HARMLESS, TOO_LARGE, AUTHORIZATION, CONFIGURATION, FATAL)

TRANSIENT = {
    "BROKER_NOT_AVAILABLE",
    "CONCURRENT_TRANSACTIONS",
    "COORDINATOR_LOAD_IN_PROGRESS",
    "COORDINATOR_NOT_AVAILABLE",
    "DELEGATION_TOKEN_EXPIRED",
    "DELEGATION_TOKEN_NOT_FOUND",
    "DUPLICATE_RESOURCE",
    "DUPLICATE_SEQUENCE_NUMBER",
    "DUPLICATE_VOTER",
    "ELECTION_NOT_NEEDED",
    "ELIGIBLE_LEADERS_NOT_AVAILABLE",
    "FEATURE_UPDATE_FAILED",
    "FENCED_LEADER_EPOCH",
    "FENCED_MEMBER_EPOCH",
    "FENCED_STATE_EPOCH",
    "FETCH_SESSION_ID_NOT_FOUND",
    "GROUP_ID_NOT_FOUND",
    "GROUP_MAX_SIZE_REACHED",
    "GROUP_SUBSCRIBED_TO_TOPIC",
    "ILLEGAL_GENERATION",
    "INCONSISTENT_TOPIC_ID",
    "INCONSISTENT_VOTER_SET",
    "INVALID_COMMIT_OFFSET_SIZE",
    "INVALID_FETCH_SESSION_EPOCH",
    "INVALID_MSG",
    "INVALID_PRODUCER_EPOCH",
    "INVALID_PRODUCER_ID_MAPPING",
    "INVALID_RECORD_STATE",
    "INVALID_REGISTRATION",
    "INVALID_SHARE_SESSION_EPOCH",
    "INVALID_TXN_STATE",
    "INVALID_UPDATE_VERSION",
    "INVALID_VOTER_KEY",
    "KAFKA_STORAGE_ERROR",
    "LEADER_NOT_AVAILABLE",
    "LISTENER_NOT_FOUND",
    "LOG_DIR_NOT_FOUND",
    "MEMBER_ID_REQUIRED",
    "NETWORK_EXCEPTION",
    "NON_EMPTY_GROUP",
    "NOT_CONTROLLER",
    "NOT_COORDINATOR",
    "NOT_ENOUGH_REPLICAS",
    "NOT_ENOUGH_REPLICAS_AFTER_APPEND",
    "NOT_LEADER_FOR_PARTITION",
    "NO_REASSIGNMENT_IN_PROGRESS",
    "OFFSET_NOT_AVAILABLE",
    "OFFSET_OUT_OF_RANGE",
    "OPERATION_NOT_ATTEMPTED",
    "OUT_OF_ORDER_SEQUENCE_NUMBER",
    "PREFERRED_LEADER_NOT_AVAILABLE",
    "REASSIGNMENT_IN_PROGRESS",
    "REBALANCE_IN_PROGRESS",
    "REBOOTSTRAP_REQUIRED",
    "REPLICA_NOT_AVAILABLE",
    "REQUEST_TIMED_OUT",
    "RESOURCE_NOT_FOUND",
    "SHARE_SESSION_LIMIT_REACHED",
    "SHARE_SESSION_NOT_FOUND",
    "STALE_BROKER_EPOCH",
    "STALE_CTRL_EPOCH",
    "STALE_MEMBER_EPOCH",
    "STREAMS_INVALID_TOPOLOGY_EPOCH",
    "STREAMS_TOPOLOGY_FENCED",
    "TELEMETRY_TOO_LARGE",
    "THROTTLING_QUOTA_EXCEEDED",
    "TOPIC_ALREADY_EXISTS",
    "TRANSACTION_ABORTABLE",
    "TRANSACTION_COORDINATOR_FENCED",
    "UNKNOWN",
    "UNKNOWN_CONTROLLER_ID",
    "UNKNOWN_LEADER_EPOCH",
    "UNKNOWN_MEMBER_ID",
    "UNKNOWN_PRODUCER_ID",
    "UNKNOWN_SUBSCRIPTION_ID",
    "UNKNOWN_TOPIC_ID",
    "UNKNOWN_TOPIC_OR_PART",
    "UNRELEASED_INSTANCE_ID",
    "UNSTABLE_OFFSET_COMMIT",
    "VOTER_NOT_FOUND",
    "_ALL_BROKERS_DOWN",
    "_APPLICATION",
    "_ASSIGNMENT_LOST",
    "_ASSIGN_PARTITIONS",
    "_AUTHENTICATION",
    "_AUTO_OFFSET_RESET",
    "_BAD_COMPRESSION",
    "_BAD_MSG",
    "_CONFLICT",
    "_CRIT_SYS_RESOURCE",
    "_DESTROY_BROKER",
    "_EXISTING_SUBSCRIPTION",
    "_FAIL",
    "_FS",
    "_GAPLESS_GUARANTEE",
    "_INCONSISTENT",
    "_INTR",
    "_INVALID_DIFFERENT_RECORD",
    "_INVALID_TYPE",
    "_IN_PROGRESS",
    "_ISR_INSUFF",
    "_KEY_DESERIALIZATION",
    "_KEY_SERIALIZATION",
    "_MSG_TIMED_OUT",
    "_NODE_UPDATE",
    "_NOENT",
    "_OUTDATED",
    "_PARTIAL",
    "_PREV_IN_PROGRESS",
    "_PURGE_INFLIGHT",
    "_PURGE_QUEUE",
    "_QUEUE_FULL",
    "_READ_ONLY",
    "_RESOLVE",
    "_RETRY",
    "_REVOKE_PARTITIONS",
    "_SSL",
    "_STATE",
    "_TIMED_OUT",
    "_TIMED_OUT_QUEUE",
    "_TRANSPORT",
    "_UNDERFLOW",
    "_UNKNOWN_BROKER",
    "_UNKNOWN_GROUP",
    "_UNKNOWN_PARTITION",
    "_UNKNOWN_PROTOCOL",
    "_UNKNOWN_TOPIC",
    "_VALUE_DESERIALIZATION",
    "_VALUE_SERIALIZATION",
    "_WAIT_CACHE",
    "_WAIT_COORD",
}
"""Looked at one by one: trouble that may pass, or that no call of ours can get."""


def codes_of_the_client() -> set[str]:
    return {name for name in dir(KafkaError) if name.strip("_").isupper() and not name.startswith("__")}


def test_every_code_of_the_installed_client_was_looked_at():
    assert codes_of_the_client() - set.union(TRANSIENT, *TABLES) == set()


def test_the_tables_name_only_codes_that_exist():
    assert set.union(TRANSIENT, *TABLES) - codes_of_the_client() == set()


def test_no_code_is_in_two_tables():
    named = [name for names in (TRANSIENT, *TABLES) for name in names]
    assert len(named) == len(set(named))


@pytest.mark.parametrize("name", sorted(codes_of_the_client()))
def test_a_code_is_translated_by_its_kind(name):
    error = KafkaError(getattr(KafkaError, name))
    answer = translate(error, "do it")
    assert str(answer).startswith("cannot do it: ")
    expected = {"authorization": AuthorizationFailed, "fatal": FatalError, "configuration": FatalError}.get(
        kind_of(error), BrokerUnavailable
    )
    assert type(answer) is expected


def test_a_fatal_error_is_fatal_whatever_its_code():
    error = KafkaError(KafkaError._TRANSPORT, "gone", fatal=True)
    assert kind_of(error) == "fatal"
    assert isinstance(translate(error, "send"), FatalError)


def test_a_size_limit_of_the_broker_is_told_apart():
    answer = translate(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE), "send to topic 't'")
    assert isinstance(answer, BrokerUnavailable)
    assert isinstance(answer.__cause__, RecordTooLarge)

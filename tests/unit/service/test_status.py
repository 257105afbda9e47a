from dataclasses import replace
from types import MappingProxyType

import orjson
from hypothesis import example, given
from hypothesis import strategies as st

from pesto_stream.model.snapshot import PartitionSnapshot, RecentError, RunState, Snapshot
from pesto_stream.service.status import MAX_MESSAGE_CHARACTERS, status

SNAPSHOT = Snapshot(
    state=RunState.RUNNING,
    state_since="2026-01-01T00:00:00Z",
    algorithm_loaded=True,
    broker_connected=True,
    loop_idle_seconds=0.5,
    loop_stuck_after_seconds=600.0,
    partitions=(
        PartitionSnapshot("tiles", 0, in_flight=1, committed=7, lag=3),
        PartitionSnapshot("tiles", 1, in_flight=0, committed=None, lag=4),
    ),
    in_flight_records=1,
    in_flight_bytes=1000,
    in_flight_limit_bytes=2000,
    oldest_seconds={"algorithm": 2.5},
    stuck_after_seconds=MappingProxyType({"decode": 600.0, "algorithm": None}),
    queued={"decode": 4},
    settled={"delivered": 10},
    rates_per_second={"received": 1.5},
    recent_errors=(RecentError("2026-01-01T00:00:01Z", "ImageError", "decode", "cannot read", "tiles[0]@6"),),
)


def failed(message):
    return replace(SNAPSHOT, recent_errors=(RecentError("t", "FetchRefused", "decode", message),))


def message(snapshot):
    return status(snapshot)["errors"][0]["message"]


def test_the_status_says_all_that_the_snapshot_knows():
    assert status(SNAPSHOT) == {
        "state": "running",
        "since": "2026-01-01T00:00:00Z",
        "waiting_for": None,
        "failure": None,
        "timed_out": None,
        "algorithm_loaded": True,
        "broker_connected": True,
        "paused": False,
        "assignment": [
            {"topic": "tiles", "partition": 0, "in_flight": 1, "committed": 7, "lag": 3},
            {"topic": "tiles", "partition": 1, "in_flight": 0, "committed": None, "lag": 4},
        ],
        "lag": 7,
        "in_flight": {"records": 1, "bytes": 1000, "limit_bytes": 2000},
        "loop": {"idle_seconds": 0.5, "stuck_after_seconds": 600.0},
        "stages": {
            "decode": {"queued": 4, "oldest_seconds": None, "stuck_after_seconds": 600.0},
            "algorithm": {"queued": 0, "oldest_seconds": 2.5, "stuck_after_seconds": None},
            "encode": {"queued": 0, "oldest_seconds": None, "stuck_after_seconds": None},
        },
        "settled": {"delivered": 10},
        "rates_per_second": {"received": 1.5},
        "errors": [
            {
                "at": "2026-01-01T00:00:01Z",
                "type": "ImageError",
                "stage": "decode",
                "message": "cannot read",
                "position": "tiles[0]@6",
            }
        ],
    }


def test_the_lag_is_unknown_while_one_partition_s_is():
    unknown = PartitionSnapshot("tiles", 2, in_flight=0, committed=None, lag=None)
    assert status(replace(SNAPSHOT, partitions=(*SNAPSHOT.partitions, unknown)))["lag"] is None


def test_a_spare_member_has_no_lag():
    assert status(replace(SNAPSHOT, partitions=()))["lag"] == 0


def test_the_signature_of_a_url_is_not_shown():
    shown = message(failed("cannot read 'https://store/a.tif?X-Amz-Credential=k&X-Amz-Signature=abc': status 403"))
    assert shown == "cannot read 'https://store/a.tif?…': status 403"


def test_the_user_of_a_url_is_not_shown():
    shown = message(failed("cannot read 'https://me:secret@store/a.tif': status 403"))
    assert shown == "cannot read 'https://…@store/a.tif': status 403"


def test_a_failure_is_shown_without_secrets():
    assert "secret" not in str(status(replace(SNAPSHOT, failure="gone: http://u:secret@h/", timed_out="http://h/?k=secret")))


def test_a_payload_quoted_in_a_message_is_cut():
    shown = message(failed("not an image: '" + "A" * 1_000_000 + "'"))
    assert len(shown) == MAX_MESSAGE_CHARACTERS
    assert shown.endswith("…")


@example(text="\ud800")
@given(text=st.text())
def test_any_message_is_json(text):
    snapshot = replace(failed(text), failure=text, timed_out=text, waiting_for=text)
    assert orjson.loads(orjson.dumps(status(snapshot)))

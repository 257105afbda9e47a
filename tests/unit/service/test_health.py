from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pesto_stream.model.snapshot import PartitionSnapshot, RunState, Snapshot
from pesto_stream.service import health

RUNNING = Snapshot(
    state=RunState.RUNNING,
    state_since="2026-01-01T00:00:00Z",
    algorithm_loaded=True,
    broker_connected=True,
    loop_idle_seconds=0.1,
    loop_stuck_after_seconds=600.0,
    partitions=(PartitionSnapshot("tiles", 0, in_flight=1, committed=7, lag=3),),
)
STARTING = replace(RUNNING, state=RunState.STARTING, algorithm_loaded=False, broker_connected=False, partitions=())

seconds = st.floats(0, 1e6)
stages = st.sampled_from(["decode", "algorithm", "encode"])
snapshots = st.builds(
    Snapshot,
    state=st.sampled_from(RunState),
    state_since=st.just("2026-01-01T00:00:00Z"),
    algorithm_loaded=st.booleans(),
    broker_connected=st.booleans(),
    loop_idle_seconds=seconds,
    loop_stuck_after_seconds=seconds,
    waiting_for=st.none() | st.text(),
    failure=st.none() | st.text(),
    timed_out=st.none() | st.text(),
    oldest_seconds=st.dictionaries(stages, seconds),
    stuck_after_seconds=st.dictionaries(stages, st.none() | seconds),
)


@pytest.mark.parametrize("question", [health.startup, health.live, health.ready])
@given(snapshot=snapshots)
def test_a_verdict_has_reasons_exactly_when_it_is_no(question, snapshot):
    verdict = question(snapshot)
    assert verdict.ok == (not verdict.reasons)
    assert all(reason.strip() for reason in verdict.reasons)


@given(snapshot=snapshots)
def test_ready_means_running_loaded_connected_and_not_failing(snapshot):
    expected = snapshot.state is RunState.RUNNING and snapshot.algorithm_loaded and snapshot.broker_connected
    assert health.ready(snapshot).ok == (expected and snapshot.failure is None)


@given(snapshot=snapshots)
def test_what_is_ready_has_started(snapshot):
    if health.ready(snapshot).ok:
        assert health.startup(snapshot).ok


@pytest.mark.parametrize("question", [health.startup, health.live, health.ready])
def test_a_running_member_is_well(question):
    assert question(RUNNING) == health.Verdict(ok=True)


def test_a_spare_member_without_partitions_is_ready():
    assert health.ready(replace(RUNNING, partitions=())).ok


def test_a_stage_over_its_limit_is_not_live_and_the_reason_names_it():
    verdict = health.live(replace(RUNNING, oldest_seconds={"decode": 601.5}, stuck_after_seconds={"decode": 600.0}))
    assert verdict.reasons == ("stage 'decode' has been busy with one tile for 601.5 s, over its limit of 600.0 s",)


def test_a_stage_at_its_limit_is_live():
    assert health.live(replace(RUNNING, oldest_seconds={"decode": 600.0}, stuck_after_seconds={"decode": 600.0})).ok


@pytest.mark.parametrize("limits", [{}, {"algorithm": None}])
def test_a_stage_without_a_limit_may_take_for_ever(limits):
    assert health.live(replace(RUNNING, oldest_seconds={"algorithm": 1e9}, stuck_after_seconds=limits)).ok


def test_each_stuck_stage_has_a_reason():
    stuck = {"decode": 2.0, "encode": 3.0}
    verdict = health.live(replace(RUNNING, oldest_seconds=stuck, stuck_after_seconds={"decode": 1.0, "encode": 1.0}))
    assert len(verdict.reasons) == 2


def test_a_loop_that_does_not_turn_is_not_live():
    verdict = health.live(replace(RUNNING, loop_idle_seconds=700.0))
    assert verdict.reasons == ("the loop has not turned for 700.0 s, over its limit of 600.0 s",)


def test_a_timed_out_tile_in_a_thread_is_not_live():
    verdict = health.live(replace(RUNNING, timed_out="tiles[0]@17"))
    assert not verdict.ok
    assert "'tiles[0]@17'" in verdict.reasons[0]


def test_a_member_without_an_algorithm_is_live_but_not_ready():
    snapshot = replace(RUNNING, algorithm_loaded=False)
    assert health.live(snapshot).ok
    assert health.ready(snapshot).reasons == ("the algorithm is not loaded",)


def test_a_member_that_lost_its_broker_is_live_and_has_started_but_is_not_ready():
    snapshot = replace(RUNNING, broker_connected=False)
    assert health.live(snapshot).ok
    assert health.startup(snapshot).ok
    assert health.ready(snapshot).reasons == ("no broker answers",)


def test_a_starting_member_says_what_it_waits_for():
    snapshot = replace(STARTING, algorithm_loaded=True, waiting_for="topic 'tiles'")
    assert health.startup(snapshot).reasons == ("no broker was reached", "starting, waiting for topic 'tiles'")
    assert health.ready(snapshot).reasons == ("no broker answers", "starting, waiting for topic 'tiles'")


@pytest.mark.parametrize("state", [RunState.DRAINING, RunState.STOPPED])
def test_a_member_that_stops_is_live_but_not_ready(state):
    snapshot = replace(RUNNING, state=state)
    assert health.live(snapshot).ok
    assert health.ready(snapshot).reasons == (f"the runtime is {state}",)


def test_a_member_about_to_fail_is_not_ready_and_says_why():
    verdict = health.ready(replace(RUNNING, failure="dead-letter topic 'd' is gone"))
    assert verdict.reasons == ("about to end: dead-letter topic 'd' is gone",)


def test_a_member_that_never_reached_a_broker_has_not_started_even_when_it_stops():
    assert not health.startup(replace(STARTING, state=RunState.STOPPED, algorithm_loaded=True)).ok

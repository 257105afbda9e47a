"""What others may see of the runtime."""

from __future__ import annotations

import pytest

from pesto_stream.clock import ManualClock
from pesto_stream.errors import ImageError
from pesto_stream.model.snapshot import RunState
from pesto_stream.runtime.board import Board
from pesto_stream.runtime.lifecycle import LifecycleError


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def board(clock: ManualClock) -> Board:
    return Board(clock, loop_stuck_after_seconds=60.0)


def test_a_loop_that_does_not_turn_is_seen_as_idle_for_as_long_as_that_is(board, clock):
    board.enter(RunState.RUNNING)
    board.turned()
    clock.advance(7.0)

    assert board.snapshot().loop_idle_seconds == 7.0
    board.turned()
    assert board.snapshot().loop_idle_seconds == 0.0


@pytest.mark.parametrize("states", [(), (RunState.RUNNING, RunState.STOPPED)])
def test_before_it_runs_and_after_its_end_a_loop_is_never_stuck(board, clock, states):
    for state in states:
        board.enter(state)
    clock.advance(3600.0)

    assert board.snapshot().loop_idle_seconds == 0.0


def test_a_state_carries_the_time_at_which_it_was_entered(board, clock):
    clock.advance(5.0)
    board.enter(RunState.RUNNING)
    clock.advance(5.0)
    board.enter(RunState.RUNNING)

    assert board.snapshot().state_since == "1970-01-01T00:00:05.000Z"


def test_nothing_is_waited_for_any_more_once_the_next_state_is_entered(board):
    board.publish(waiting_for="a broker")
    board.enter(RunState.RUNNING)

    assert board.snapshot().waiting_for is None


def test_a_state_that_may_not_follow_is_refused_and_not_shown(board):
    board.enter(RunState.STOPPED)
    with pytest.raises(LifecycleError):
        board.enter(RunState.RUNNING)

    assert board.snapshot().state is RunState.STOPPED


def test_the_last_errors_are_kept_newest_first_with_where_they_came_from(board):
    for number in range(30):
        board.note_error(ImageError(f"broken {number}"), "decode", f"tiles[0]@{number}")

    errors = board.snapshot().recent_errors
    assert [error.message for error in errors] == [f"broken {number}" for number in range(29, 9, -1)]
    assert (errors[0].type, errors[0].stage, errors[0].position) == ("ImageError", "decode", "tiles[0]@29")


def test_what_is_watched_is_asked_at_each_reading(board):
    queued = {"decode": 1}
    board.watch(lambda: {"algorithm": 2.5}, lambda: dict(queued))
    before = board.snapshot()
    queued["decode"] = 4

    assert before.queued == {"decode": 1}
    assert board.snapshot().queued == {"decode": 4}
    assert board.snapshot().oldest_seconds == {"algorithm": 2.5}


def test_a_snapshot_does_not_change_when_more_is_published(board):
    before = board.snapshot()
    board.publish(broker_connected=True, paused=True)

    assert not before.broker_connected
    assert board.snapshot().broker_connected

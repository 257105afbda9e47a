from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pesto_stream.runtime.retry import RetryPolicy, Waiting


def test_the_back_off_doubles_up_to_its_maximum():
    policy = RetryPolicy(attempts=9, initial_seconds=0.5, max_seconds=3.0)

    assert [policy.backoff(n, lambda: 1.0) for n in (1, 2, 3, 4, 5)] == [0.5, 1.0, 2.0, 3.0, 3.0]


@given(attempts=st.integers(1, 10_000), jitter=st.floats(0, 1, exclude_max=True))
def test_the_back_off_is_between_half_and_all_of_its_ceiling(attempts, jitter):
    policy = RetryPolicy(attempts=3, initial_seconds=0.5, max_seconds=30.0)

    assert 0.25 <= policy.backoff(attempts, lambda: jitter) <= 30.0


def test_the_policy_is_exhausted_after_its_attempts():
    policy = RetryPolicy(attempts=3, initial_seconds=0.5, max_seconds=30.0)

    assert [policy.exhausted(n) for n in (1, 2, 3)] == [False, False, True]


def test_things_are_due_in_the_order_of_their_time_then_of_their_coming():
    waiting: Waiting[str] = Waiting()
    for due, thing in ((2.0, "late"), (1.0, "first"), (1.0, "second")):
        waiting.add(due, thing)

    assert waiting.due(0.9) == []
    assert waiting.due(1.0) == ["first", "second"]
    assert len(waiting) == 1


def test_removed_things_are_not_due_any_more():
    waiting: Waiting[int] = Waiting()
    for n in range(6):
        waiting.add(float(-n), n)

    assert sorted(waiting.remove(lambda n: n % 2 == 0)) == [0, 2, 4]
    assert waiting.due(0.0) == [5, 3, 1]

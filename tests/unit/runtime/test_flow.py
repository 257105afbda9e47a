"""Bytes in flight: when records are taken, when not, and what a decoder waits for."""

from __future__ import annotations

from threading import Thread

from pesto_stream.runtime.flow import Budget, FlowControl, Intake


def test_records_are_taken_up_to_the_intake_share_of_the_limit():
    budget = Budget(1000)
    budget.change(599)
    assert not budget.full
    assert budget.free_bytes == 1

    budget.change(1)
    assert budget.full
    assert budget.free_bytes == 0


def test_a_short_fill_holds_and_only_a_lasting_one_pauses():
    budget = Budget(1000)
    flow = FlowControl(budget, hold_seconds=0.2)
    budget.change(600)

    assert flow.decide(0.0) is Intake.HOLD
    assert flow.decide(0.1) is Intake.HOLD
    assert flow.decide(0.2) is Intake.PAUSE


def test_a_pause_ends_only_at_half_of_the_intake_so_that_a_refetch_is_worth_it():
    budget = Budget(1000)
    flow = FlowControl(budget, hold_seconds=0.2)
    budget.change(600)
    flow.decide(0.0)
    flow.decide(0.2)

    budget.change(-200)
    assert flow.decide(0.3) is Intake.PAUSE

    budget.change(-100)
    assert flow.decide(0.4) is Intake.TAKE


def test_room_that_comes_while_holding_begins_a_new_hold_later():
    budget = Budget(1000)
    flow = FlowControl(budget, hold_seconds=0.2)
    budget.change(600)
    flow.decide(0.0)
    budget.change(-1)
    assert flow.decide(0.15) is Intake.TAKE
    budget.change(1)

    assert flow.decide(0.25) is Intake.HOLD


def test_a_decoder_may_go_on_over_the_limit_when_no_decoded_tile_could_make_room():
    budget = Budget(1000)
    budget.change(5000)

    assert budget.wait_for_room(0.0)


def test_a_decoder_waits_while_decoded_tiles_fill_the_budget():
    budget = Budget(1000)
    budget.change(1000, unfolded=1)

    assert not budget.wait_for_room(0.0)


def test_a_waiting_decoder_wakes_when_a_tile_is_released():
    budget = Budget(1000)
    budget.change(1000, unfolded=1)
    answers = []
    waiter = Thread(target=lambda: answers.append(budget.wait_for_room(60.0)))
    waiter.start()

    budget.change(-1000, unfolded=-1)
    waiter.join(60.0)

    assert answers == [True]

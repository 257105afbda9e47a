"""The ledger against a naive model, and the rules that it refuses to break."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pesto_stream.model.record import TopicPartition
from pesto_stream.runtime.ledger import Ledger, LedgerError, PartitionLedger

TP = TopicPartition("tiles", 0)


def test_nothing_is_committable_before_the_first_record():
    assert PartitionLedger(TP, 1).committable is None


def test_the_committable_offset_stops_at_the_lowest_unsettled_record():
    ledger = PartitionLedger(TP, 1)
    for offset in (5, 6, 7):
        ledger.receive(offset)
    ledger.settle(6)
    ledger.settle(7)

    assert ledger.committable == 5
    assert ledger.settled_above == {6, 7}

    ledger.settle(5)

    assert ledger.committable == 8
    assert ledger.settled_above == frozenset()


def test_gaps_in_the_offsets_do_not_hold_the_commit_back():
    ledger = PartitionLedger(TP, 1)
    for offset in (3, 10, 11):
        ledger.receive(offset)
        ledger.settle(offset)

    assert ledger.committable == 12


def test_settling_in_an_ended_assignment_is_told_and_changes_nothing():
    ledger = PartitionLedger(TP, 1)
    ledger.receive(0)
    ledger.end()

    assert ledger.settle(0) is False
    assert ledger.uncommitted is None


@pytest.mark.parametrize("offset", [4, 5])
def test_an_offset_received_again_is_refused(offset):
    ledger = PartitionLedger(TP, 1)
    ledger.receive(5)

    with pytest.raises(LedgerError, match="after 5"):
        ledger.receive(offset)


def test_an_offset_settled_twice_is_refused():
    ledger = PartitionLedger(TP, 1)
    ledger.receive(5)
    ledger.settle(5)

    with pytest.raises(LedgerError, match="not in flight"):
        ledger.settle(5)


def test_a_committed_offset_is_not_committed_again_until_it_is_forgotten():
    ledger = Ledger()
    partition = ledger.assign(TP, committed=0)
    partition.receive(0)
    partition.settle(0)
    assert ledger.uncommitted() == {TP: 1}

    ledger.note_committed({TP: 1})
    assert ledger.uncommitted() == {}

    ledger.forget_committed()
    assert ledger.uncommitted() == {TP: 1}


def test_assigning_again_begins_a_new_epoch_and_ends_the_old_one():
    ledger = Ledger()
    old = ledger.assign(TP)
    new = ledger.assign(TP)

    assert new.epoch > old.epoch
    assert not old.live
    assert ledger.get(TP) is new


class LedgerAgainstModel(RuleBasedStateMachine):
    """One partition: offsets received with gaps, settled in any order, revoked and assigned again.

    The model keeps every offset with its fate, and finds the committable one by looking at all of them.
    """

    def __init__(self):
        super().__init__()
        self.ledger = Ledger()
        self.next_offset = 0
        self.stale: list[PartitionLedger] = []
        self.assign()

    def assign(self):
        self.partition = self.ledger.assign(TP, committed=None)
        self.received: dict[int, bool] = {}

    @rule(gap=st.integers(0, 3))
    def receive(self, gap):
        offset = self.next_offset + gap
        self.partition.receive(offset)
        self.received[offset] = False
        self.next_offset = offset + 1

    @precondition(lambda self: not all(self.received.values()))
    @rule(data=st.data())
    def settle(self, data):
        offset = data.draw(st.sampled_from([o for o, done in self.received.items() if not done]))
        assert self.partition.settle(offset)
        self.received[offset] = True

    @rule()
    def reassign(self):
        """Whatever is not committed comes again."""
        self.stale.append(self.partition)
        self.next_offset = self.expected() if self.expected() is not None else self.next_offset
        self.assign()

    @precondition(lambda self: self.stale)
    @rule(data=st.data())
    def settle_in_an_old_epoch(self, data):
        old = data.draw(st.sampled_from(self.stale))
        assert old.settle(data.draw(st.integers(0, 50))) is False

    def expected(self):
        open_ones = [offset for offset, done in self.received.items() if not done]
        if open_ones:
            return min(open_ones)
        return max(self.received) + 1 if self.received else None

    @invariant()
    def committable_is_the_lowest_unsettled(self):
        assert self.partition.committable == self.expected()

    @invariant()
    def settled_above_is_what_would_run_again(self):
        low = self.expected()
        done = {o for o, is_done in self.received.items() if is_done and low is not None and o > low}
        assert self.partition.settled_above == done

    @invariant()
    def in_flight_counts_the_unsettled(self):
        assert self.ledger.in_flight == sum(not done for done in self.received.values())


LedgerAgainstModel.TestCase.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
TestLedgerAgainstModel = LedgerAgainstModel.TestCase

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pesto_stream.runtime.offset_map import MAX_CHARACTERS, decode, encode

offsets = st.integers(0, 1 << 40)


@given(offsets, st.sets(st.integers(1, 3000)))
def test_what_is_encoded_is_decoded(committed, positions):
    settled = {committed + position for position in positions}
    text = encode(committed, settled)

    assert text is not None
    assert text.isascii()
    assert decode(committed, text) == settled


def test_nothing_settled_is_no_text():
    assert encode(7, ()) == ""
    assert decode(7, "") == frozenset()


def test_one_slow_record_among_thousands_takes_a_few_characters():
    text = encode(100, range(101, 20_000))

    assert len(text) < 12
    assert decode(100, text) == frozenset(range(101, 20_000))


def test_scattered_offsets_take_a_bit_each():
    scattered = range(2, 4000, 2)

    assert len(encode(0, scattered)) < 4000 / 8 * 4 / 3 + 10


def test_a_map_that_the_broker_would_refuse_is_not_made():
    assert encode(0, range(2, 100_000, 2)) is None


@pytest.mark.parametrize(
    "text", ["P2rAQE=", "P1xAQE=", "P1b!!!", "P1r/w==", "P1b" + "A" * MAX_CHARACTERS, "hello", "\x01\x02", "P1rgICAgICAgICAAQ=="]
)
def test_foreign_or_broken_metadata_means_that_nothing_is_known(text):
    assert decode(5, text) == frozenset()


@given(st.text(max_size=200) | st.binary(max_size=60).map(lambda data: "P1r" + __import__("base64").b64encode(data).decode()))
@example("P1r")
def test_no_metadata_is_a_crash_or_large(text):
    assert len(decode(0, text)) <= 1 << 20

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pesto_stream.errors import DecodeError, EncodeError
from pesto_stream.serde.json_text import dumps, loads


def read(data, max_bytes=1 << 20, max_depth=64):
    return loads(data, "payload", max_bytes=max_bytes, max_depth=max_depth)


@pytest.mark.parametrize("levels", [65, 1000, 1025, 10_000])
def test_deep_nesting_is_refused_at_any_depth(levels):
    with pytest.raises(DecodeError, match=r"nested .* levels deep: expected at most 64"):
        read(b"[" * levels + b"]" * levels)
    with pytest.raises(DecodeError, match="levels deep"):
        read(b'{"a":' * levels + b"1" + b"}" * levels)


def test_the_allowed_depth_is_read():
    value = read(b"[" * 64 + b"]" * 64)
    assert isinstance(value, list)


def test_size_is_checked_before_parsing():
    with pytest.raises(DecodeError, match="JSON of 11 bytes: expected at most 10"):
        read(b"not json at"[:11], max_bytes=10)


@pytest.mark.parametrize(
    "data", [b"", b"{", b'{"a":NaN}', b'{"a":Infinity}', b'{"a":1e999}', b'"\xff"', b"\xef\xbb\xbf{}", b"'a'", b'"\\ud800"']
)
def test_what_is_no_json_is_refused(data):
    with pytest.raises(DecodeError, match="payload is not valid JSON"):
        read(data)


def test_of_equal_keys_the_last_counts():
    assert read(b'{"a":1,"a":2}') == {"a": 2}


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_a_decode_error(data):
    with contextlib.suppress(DecodeError):
        read(data)


def test_text_that_is_no_unicode_cannot_be_written():
    with pytest.raises(EncodeError, match="outputs cannot be written as JSON"):
        dumps({"a": "\ud800"}, "outputs")


@pytest.mark.parametrize("text", [b"[" + b"[]," * 300_000 + b"[]]", "[" + "{}," * 300_000 + "{}]"])
def test_a_text_of_very_many_values_is_refused_before_it_is_parsed(text):
    with pytest.raises(DecodeError, match=r"payload is JSON of about \d{6} values: expected at most 500000"):
        loads(text, "payload", max_bytes=1 << 24, max_depth=64)

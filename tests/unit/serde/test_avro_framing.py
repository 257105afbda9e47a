import pytest
from hypothesis import given
from hypothesis import strategies as st

from pesto_stream.errors import DecodeError
from pesto_stream.serde.avro_framing import confluent_header, fingerprint, single_object_header, unframe
from pesto_stream.serde.avro_schema import image_records

EMPTY = 0xC15D213AA4D7A795


def crc64(data: bytes) -> int:
    """Rabin fingerprint as the Avro specification's appendix computes it, bit by bit."""
    value = EMPTY
    for byte in data:
        low = (value ^ byte) & 0xFF
        for _ in range(8):
            low = (low >> 1) ^ (EMPTY & -(low & 1))
        value = (value >> 8) ^ low
    return value


@pytest.mark.parametrize(
    ("schema", "canonical"),
    [
        ("null", '"null"'),
        ({"type": "string", "pestoType": "json"}, '"string"'),
        (
            {"type": "record", "name": "R", "namespace": "n", "doc": "d", "fields": [{"name": "a", "type": ["null", "long"], "default": None, "pestoName": "ä"}]},
            '{"name":"n.R","type":"record","fields":[{"name":"a","type":["null","long"]}]}',
        ),
    ],
)  # fmt: skip
def test_the_fingerprint_is_the_specifications_of_the_canonical_form(schema, canonical):
    assert fingerprint(schema) == crc64(canonical.encode())


def test_the_fingerprint_of_null_is_the_published_one():
    assert fingerprint("null") == 0x63DD24E7CC258F8A


def test_the_header_holds_the_fingerprint_little_endian():
    assert single_object_header(0x63DD24E7CC258F8A) == bytes.fromhex("c3018a8f25cce724dd63")


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1))
def test_both_framings_are_told_apart_by_their_first_bytes(number, schema_id):
    assert unframe(single_object_header(number) + b"x") == (10, number, None)
    assert unframe(confluent_header(schema_id) + b"x") == (5, None, schema_id)


@pytest.mark.parametrize(
    "data", [b"\xc3", b"\xc3\x01" + b"1" * 7, b"\xc3\x02" + b"1" * 20, b"\x00\x00\x00\x01", b"{}", b"Obj\x01"]
)
def test_bytes_in_neither_framing_are_refused(data):
    with pytest.raises(DecodeError, match="expected single-object encoding"):
        unframe(data)


def test_the_image_records_have_a_fingerprint_that_does_not_change():
    assert [f"{fingerprint(one):016x}" for one in image_records()] == FINGERPRINTS


FINGERPRINTS = ["4e0c9a110cc75010", "25410bd2183666b0", "8b8ad18865da0cd8"]

import contextlib
import io
import struct

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.builders import IMAGE, a_spec, an_interface

from pesto_stream.errors import DecodeError, EncodeError, FatalError, StoreUnavailable
from pesto_stream.serde import avro_codec
from pesto_stream.serde.avro_codec import AvroReader, AvroWriter
from pesto_stream.serde.avro_framing import confluent_header, fingerprint, single_object_header
from pesto_stream.serde.avro_schema import avro_schemas

SCHEMA = avro_schemas(
    a_spec(
        an_interface(image=IMAGE, xs={"type": "array", "items": {"type": "number"}}, n={"type": "integer"}, required=["image"])
    )
)["input"]
VALUE = {"image": {"data": b"abc", "media_type": "image/png"}, "xs": [1.5, 2.0], "n": None}


class Registry:
    """A registry in memory."""

    def __init__(self, *schemas):
        self.schemas = dict(enumerate(schemas, 1))
        self.asked = []

    def schema_by_id(self, schema_id):
        self.asked.append(schema_id)
        if schema_id not in self.schemas:
            raise DecodeError(f"schema id '{schema_id}' is not there")
        return self.schemas[schema_id]

    def register(self, subject, schema):
        self.asked.append(subject)
        return 7


def written(schema, value):
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, fastavro.parse_schema(schema), value)
    return stream.getvalue()


def varint(number):
    number = (number << 1) ^ (number >> 63)
    out = bytearray()
    number &= 2**64 - 1
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def single(datum, schema=SCHEMA):
    return single_object_header(fingerprint(schema)) + datum


def test_a_single_object_payload_is_read_back():
    value, written_by = AvroReader(SCHEMA).read(single(written(SCHEMA, VALUE)))
    assert value == VALUE
    assert written_by == f"fingerprint {fingerprint(SCHEMA):016x}"


def test_a_foreign_fingerprint_is_refused_naming_it_and_ours():
    other = avro_schemas(a_spec(name="other"))["input"]
    with pytest.raises(DecodeError, match=f"{fingerprint(other):016x}.*expected '{fingerprint(SCHEMA):016x}'"):
        AvroReader(SCHEMA).read(single(b"", other))


def test_a_known_other_writer_is_resolved_against_our_schema():
    old = {**SCHEMA, "fields": [*SCHEMA["fields"][:1], {"name": "gone", "type": "string"}]}
    payload = single(written(old, {"image": ("pesto.EncodedImage", VALUE["image"]), "gone": "x"}), old)
    value, _ = AvroReader(SCHEMA, known_writers=[old]).read(payload)
    assert value == {"image": VALUE["image"], "xs": None, "n": None}


def test_confluent_framing_reads_with_the_registrys_schema_and_asks_once():
    old = {**SCHEMA, "fields": SCHEMA["fields"][:1]}
    registry = Registry(old)
    reader = AvroReader(SCHEMA, registry)
    for _ in range(3):
        value, written_by = reader.read(confluent_header(1) + written(old, {"image": VALUE["image"]}))
    assert value["image"] == VALUE["image"]
    assert written_by == "registry id 1"
    assert registry.asked == [1]


def test_confluent_framing_without_a_registry_says_what_to_set():
    with pytest.raises(DecodeError, match=r"schema id '9' and no schema registry is configured: set 'schema_registry\.url'"):
        AvroReader(SCHEMA).read(confluent_header(9) + b"x")


def test_an_id_that_the_registry_does_not_know_is_the_records_fault():
    with pytest.raises(DecodeError, match="'9' is not there"):
        AvroReader(SCHEMA, Registry()).read(confluent_header(9) + b"x")


def test_a_registry_that_is_down_is_not_the_records_fault():
    class Down(Registry):
        def schema_by_id(self, schema_id):
            raise StoreUnavailable("down")

    with pytest.raises(StoreUnavailable):
        AvroReader(SCHEMA, Down()).read(confluent_header(9) + b"x")


def test_the_cache_of_writer_schemas_is_bounded(monkeypatch):
    monkeypatch.setattr(avro_codec, "MAX_CACHED_WRITERS", 2)
    registry = Registry(*[SCHEMA] * 5)
    reader = AvroReader(SCHEMA, registry)
    for schema_id in (1, 2, 3, 1):
        reader.read(confluent_header(schema_id) + written(SCHEMA, VALUE))
    assert registry.asked == [1, 2, 3, 1]
    assert len(reader._by_id) == 2


def test_a_writer_that_cannot_be_resolved_is_refused():
    other = {**SCHEMA, "fields": [{"name": "image", "type": "long"}]}
    with pytest.raises(DecodeError, match="registry id 1"):
        AvroReader(SCHEMA, Registry(other)).read(confluent_header(1) + varint(4))


@pytest.mark.parametrize("cut", range(1, len(written(SCHEMA, VALUE))))
def test_a_datum_cut_anywhere_is_refused(cut):
    with pytest.raises(DecodeError, match=r"ends within the datum|cannot be read"):
        AvroReader(SCHEMA).read(single(written(SCHEMA, VALUE)[:-cut]))


def test_bytes_after_the_datum_are_refused():
    with pytest.raises(DecodeError, match="has 2 bytes after the datum"):
        AvroReader(SCHEMA).read(single(written(SCHEMA, VALUE)) + b"xy")


@pytest.mark.parametrize("length", [-1, -5, -(2**63), 2**30, 2**40, 2**60, 2**63 - 1])
@pytest.mark.parametrize("place", ["bytes", "string", "array", "union", "endless varint"])
def test_lengths_and_counts_that_lie_are_refused(place, length):
    encoded = varint(0)
    datum = {
        "bytes": encoded + varint(length) + b"abc",
        "string": encoded + varint(3) + b"abc" + varint(length) + b"image/png",
        "array": encoded + varint(3) + b"abc" + varint(9) + b"image/png" + varint(1) + varint(length),
        "union": varint(length),
        "endless varint": b"\xff" * 5000,
    }[place]
    with pytest.raises(DecodeError):
        AvroReader(SCHEMA).read(single(datum))


@given(st.binary(max_size=300))
def test_any_bytes_are_a_value_or_a_decode_error(data):
    with contextlib.suppress(DecodeError):
        AvroReader(SCHEMA).read(single(data))


def test_a_writer_without_registry_makes_single_object_encoding():
    assert AvroWriter(SCHEMA).write(VALUE)[:10] == b"\xc3\x01" + struct.pack("<Q", fingerprint(SCHEMA))


def test_a_writer_with_registry_registers_once_and_frames_with_the_id():
    registry = Registry()
    writer = AvroWriter(SCHEMA, registry, "out-value")
    assert [writer.write(VALUE)[:5] for _ in range(2)] == [b"\0\0\0\0\7"] * 2
    assert registry.asked == ["out-value"]


def test_a_registry_that_refuses_the_schema_stops_the_runtime():
    class Refusing(Registry):
        def register(self, subject, schema):
            raise FatalError("not compatible")

    with pytest.raises(FatalError):
        AvroWriter(SCHEMA, Refusing(), "out-value").write(VALUE)


def test_a_value_that_the_schema_cannot_hold_is_an_encode_error():
    with pytest.raises(EncodeError, match="outputs cannot be written as Avro"):
        AvroWriter(SCHEMA).write({**VALUE, "n": "x"})

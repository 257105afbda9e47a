import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.builders import IMAGE, a_spec, an_interface

from pesto_stream.errors import DecodeError
from pesto_stream.serde.avro_schema import avro_schemas
from pesto_stream.serde.avro_writer import harmless


def record(name, *types, **more):
    return {"type": "record", "name": name, "fields": [{"name": f"f{i}", "type": one} for i, one in enumerate(types)], **more}


def doubling(levels):
    """A record that unfolds to 2**levels parts."""
    schema = record("R0", "long")
    for level in range(1, levels):
        schema = record(f"R{level}", schema, f"R{level - 1}")
    return schema


def nested(levels):
    schema = "long"
    for _ in range(levels):
        schema = {"type": "array", "items": schema}
    return record("R", schema)


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        (record("N", ["null", "N"]), "contains itself at 'N'"),
        (record("A", {"type": "array", "items": record("B", ["null", "A"])}), "contains itself at 'A'"),
        (record("A", {"type": "map", "values": "A"}), "contains itself"),
        (record("A", {"type": "array", "items": "null"}), "items take no bytes"),
        (record("A", {"type": "array", "items": {"type": "fixed", "name": "F", "size": 0}}), "size '0'"),
        (record("A", {"type": "fixed", "name": "F", "size": -1}), "size '-1'|not a valid"),
        (record("A", {"type": "array", "items": record("E")}), "items take no bytes"),
        (record("A", "long", "null"), "a field that takes no bytes in 'A'"),
        (record("A", record("E")), "a field that takes no bytes"),
        (doubling(14), "more than 10000 types"),
        (nested(40), "deeper than 32"),
        (record("A", *["long"] * 20_000), "more than 10000 parts"),
        (record("A", "Nowhere"), "not a valid Avro schema"),
        ({"type": "record", "name": "A", "fields": [7]}, "a field is not an object"),
        ({"type": "record", "name": "A", "fields": 7}, "not a valid Avro schema"),
        ({"type": {"type": "record"}}, "not a valid Avro schema"),
        ("string", "not an Avro record"),
        ([record("A", "long")], "not an Avro record"),
        (None, "not an Avro record"),
    ],
)
def test_a_schema_that_could_harm_is_refused_with_the_reason(schema, why):
    with pytest.raises(DecodeError, match=f"^registry id '3' .*({why})"):
        harmless(schema, "registry id '3'")


def test_logical_types_and_annotations_are_dropped():
    decimal = {"type": "bytes", "logicalType": "decimal", "precision": 4, "pestoType": "x", "__fastavro_parsed": True}
    plain = harmless(record("A", decimal, doc="d"), "it")
    assert "logicalType" not in str(plain)
    assert "doc" not in plain


def test_our_own_schemas_are_harmless():
    for schema in avro_schemas(a_spec(an_interface(image=IMAGE, xs={"type": "array", "items": {"type": "number"}}))).values():
        harmless(schema, "it")


names = st.sampled_from(["long", "null", "A", "B", "bytes", "record", 7, None])
schemas = st.recursive(
    names,
    lambda inner: st.lists(inner, max_size=3)
    | st.fixed_dictionaries(
        {"type": st.sampled_from(["record", "array", "map", "fixed", "enum"]) | inner},
        optional={"name": names, "items": inner, "values": inner, "size": st.integers(-2, 2), "symbols": st.lists(names, max_size=2),
                  "fields": st.lists(st.fixed_dictionaries({}, optional={"name": names, "type": inner}), max_size=3)},
    ),
    max_leaves=12,
)  # fmt: skip


@given(schemas)
def test_any_json_is_a_schema_or_a_decode_error(schema):
    with contextlib.suppress(DecodeError):
        harmless(schema, "it")

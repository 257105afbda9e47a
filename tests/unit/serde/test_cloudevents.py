import contextlib
import json
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.builders import a_record, a_spec, an_event, headers

from pesto_stream.errors import DecodeError, EnvelopeError, RecordError
from pesto_stream.model.invocation import EncodedPayload
from pesto_stream.serde.cloudevents import MAX_HEADERS, attributes_of, parse, result_id, result_record

NOW = datetime(2026, 3, 4, 5, 6, 7, 89000, UTC)
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SCHEMAS = Path(__file__).parents[3] / "schemas" / "v1"


def result(record, payload=None, spec=None):
    payload = payload or EncodedPayload(b"out", "image/png", (("pesto_score", b"0.5"),))
    spec = spec or a_spec()
    return result_record(
        parse(record, None), record, payload, spec, topic="out", event_type="pesto.result", source="/pesto/x", time=NOW
    )


def test_an_event_gives_its_attributes_extensions_and_parameters():
    record = a_record(
        headers=an_event(
            ce_time="2026-01-01T00:00:00Z",
            ce_subject="s",
            ce_sceneid="S2A",
            ce_tileindex="3",
            pesto_threshold="0.5",
            traceparent=TRACE,
        )
    )
    envelope = parse(record, None)
    assert (envelope.id, envelope.source, envelope.type, envelope.subject) == ("event-1", "/sensor", "tile", "s")
    assert envelope.extensions == {"sceneid": "S2A", "tileindex": "3"}
    assert envelope.parameters == {"threshold": "0.5"}
    assert envelope.traceparent == TRACE
    assert envelope.is_cloud_event
    assert attributes_of(envelope)["sceneid"] == "S2A"


@pytest.mark.parametrize("missing", ["ce_id", "ce_source", "ce_type"])
@pytest.mark.parametrize("empty", [True, False])
def test_an_event_without_id_source_or_type_is_refused(missing, empty):
    event = dict(an_event())
    event.pop(missing)
    given_headers = (*event.items(), (missing, b"")) if empty else tuple(event.items())
    with pytest.raises(EnvelopeError, match=missing):
        parse(a_record(headers=given_headers), None)


@pytest.mark.parametrize("version", [b"", b"0.3", b"2.0", b"1", b"1.x", b"1.0 ", b"1." + b"9" * 4000, b"\xff", None])
def test_an_event_of_another_version_is_refused(version):
    with pytest.raises(EnvelopeError):
        parse(a_record(headers=(("ce_specversion", version), *an_event()[1:])), None)


def test_a_later_minor_version_is_read():
    assert parse(a_record(headers=an_event(ce_specversion="1.1")), None).is_cloud_event


def test_a_record_without_specversion_is_no_event_but_its_extensions_are_read():
    record = a_record(headers=headers(ce_id="x", ce_sceneid="S", ce_traceparent=TRACE, content_type="application/json"))
    envelope = parse(record, None)
    assert not envelope.is_cloud_event
    assert envelope.id == "tiles/2/41"
    assert envelope.extensions == {"sceneid": "S"}
    assert envelope.traceparent == TRACE


def test_a_plain_traceparent_goes_before_the_attribute():
    other = TRACE.replace("0af7", "1111")
    assert parse(a_record(headers=an_event(ce_traceparent=other, traceparent=TRACE)), None).traceparent == TRACE


def test_of_equal_headers_the_last_counts():
    record = a_record(headers=(*an_event(ce_sceneid="old"), ("ce_sceneid", b"new"), ("content-type", b"image/png")))
    envelope = parse(record, None)
    assert envelope.extensions["sceneid"] == "new"
    assert envelope.content_type == "image/png"


@pytest.mark.parametrize("given_type", ["Application/JSON", "application/json; charset=utf-8", " application/json ;x=y"])
def test_content_types_are_lower_case_and_without_parameters(given_type):
    assert parse(a_record(headers=an_event(content_type=given_type)), None).content_type == "application/json"


def test_the_content_type_header_may_be_written_in_any_case():
    record = a_record(headers=(("Content-Type", b"image/png"),))
    assert parse(record, "application/json").content_type == "image/png"


def test_the_default_content_type_is_for_records_without_one():
    assert parse(a_record(headers=()), "Image/TIFF").content_type == "image/tiff"
    with pytest.raises(EnvelopeError, match=r"input\.content_type"):
        parse(a_record(headers=()), None)


def test_ce_datacontenttype_is_not_the_content_type_and_not_passed_on():
    record = a_record(headers=an_event(ce_datacontenttype="image/png", ce_dataschema="x"))
    envelope = parse(record, None)
    assert envelope.content_type == "application/json"
    assert envelope.extensions == {}


def test_an_unknown_content_type_is_refused_naming_those_accepted():
    with pytest.raises(EnvelopeError, match=r"'text/xml'.*application/json, application/avro, image/tiff") as caught:
        parse(a_record(headers=an_event(content_type="text/xml")), None)
    assert caught.value.stage == "envelope"
    with pytest.raises(EnvelopeError, match="binary mode"):
        parse(a_record(headers=an_event(content_type="application/cloudevents+json")), None)


@pytest.mark.parametrize("value", [b"", None])
def test_an_empty_value_is_refused_as_undecodable(value):
    with pytest.raises(DecodeError, match="empty value"):
        parse(a_record(value=value), None)


@pytest.mark.parametrize("name", ["ce_sceneid", "ce_id", "pesto_threshold", "content-type", "traceparent"])
def test_a_header_that_is_no_utf8_is_refused_by_name(name):
    with pytest.raises(EnvelopeError, match=f"'{name}' is not UTF-8"):
        parse(a_record(headers=(*an_event(), (name, b"\xff\xfe"))), None)


def test_control_characters_in_an_attribute_are_refused():
    with pytest.raises(EnvelopeError, match="control characters"):
        parse(a_record(headers=an_event(ce_sceneid="a\nb")), None)


@pytest.mark.parametrize("name", ["ce_Scene", "ce_scene-id", "ce_", "ce_é"])
def test_an_attribute_name_that_is_none_is_refused_in_an_event_and_skipped_elsewhere(name):
    with pytest.raises(EnvelopeError, match="lower-case"):
        parse(a_record(headers=(*an_event(), (name, b"x"))), None)
    assert parse(a_record(headers=(("content-type", b"image/png"), (name, b"x"))), None).extensions == {}


def test_too_many_headers_are_refused():
    with pytest.raises(EnvelopeError, match=f"10005 headers: expected at most {MAX_HEADERS}"):
        parse(a_record(headers=(*an_event(), *(("x", b""),) * 10_000)), None)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["ce_specversion", "ce_id", "ce_x", "content-type", "pesto_a", "ce_\u20ac"]), st.none() | st.binary()
        )
    )
)
def test_hostile_headers_end_in_an_error_of_the_record_or_an_envelope(pairs):
    with contextlib.suppress(RecordError):
        parse(a_record(headers=tuple(pairs)), "application/json")


def test_a_result_carries_identity_place_and_trace():
    record = a_record(headers=an_event(ce_subject="s", ce_sceneid="S", ce_tileindex="3", ce_other="o", ce_traceparent=TRACE))
    made = result(record)
    values = {name: value.decode() for name, value in made.headers}
    assert (made.topic, made.key, made.value) == ("out", b"key", b"out")
    assert values["ce_specversion"] == "1.0"
    assert values["ce_source"] == "/pesto/x"
    assert values["ce_type"] == "pesto.result"
    assert values["ce_time"] == "2026-03-04T05:06:07.089Z"
    assert (values["ce_subject"], values["ce_sceneid"], values["ce_tileindex"], values["ce_other"]) == ("s", "S", "3", "o")
    assert values["traceparent"] == TRACE
    assert "ce_traceparent" not in values
    assert values["content-type"] == "image/png"
    assert [values[f"pesto_source_{part}"] for part in ("topic", "partition", "offset")] == ["tiles", "2", "41"]
    assert values["pesto_score"] == "0.5"
    assert len(values) == len(made.headers)


def test_a_result_can_be_read_as_the_next_request():
    made = result(a_record(headers=an_event(ce_sceneid="S")))
    envelope = parse(a_record(headers=made.headers, value=made.value), None)
    assert envelope.is_cloud_event
    assert envelope.extensions == {"sceneid": "S"}


def test_the_result_id_depends_on_the_event_and_the_algorithm_alone():
    spec = a_spec()
    record = a_record()
    first = result_id(parse(record, None), record, spec)
    moved = a_record(offset=99, partition=0, timestamp_ms=5, headers=an_event(ce_subject="other"))
    assert len(first) == 32
    assert first == result_id(parse(moved, None), moved, spec)
    for other in (a_spec(version="1.2.1"), a_spec(name="cloud")):
        assert result_id(parse(record, None), record, other) != first
    changed = a_record(headers=an_event(ce_source="/sensor2"))
    assert result_id(parse(changed, None), changed, spec) != first


def test_the_result_id_of_a_plain_record_depends_on_its_position():
    plain = a_record(headers=headers(content_type="image/png"))
    ids = {
        result_id(parse(one, None), one, a_spec())
        for one in (plain, plain._replace(offset=42), plain._replace(partition=3), plain._replace(topic="t"))
    }
    assert len(ids) == 4


def test_the_parts_of_an_identity_cannot_be_shifted_into_each_other():
    one = a_record(headers=an_event(ce_source="ab", ce_id="c"))
    two = a_record(headers=an_event(ce_source="a", ce_id="bc"))
    assert result_id(parse(one, None), one, a_spec()) != result_id(parse(two, None), two, a_spec())


def test_result_headers_fit_the_shipped_schema_and_a_bad_event_does_not():
    schema = json.loads((SCHEMAS / "headers.schema.json").read_text())
    validator = jsonschema.Draft202012Validator(schema)
    made = result(a_record(headers=an_event(ce_tilewindow="0 256 256 256")))
    assert list(validator.iter_errors({name: value.decode() for name, value in made.headers})) == []
    assert list(validator.iter_errors({"ce_specversion": "1.0", "content-type": "image/png"}))
    assert list(validator.iter_errors({"content-type": "text/xml"}))

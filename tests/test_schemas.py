"""The schemas of what travels: samples beside each, and the promise that a version never changes under its readers.

tests/golden/schemas holds the versions as they were published. A change to one of those files is only right together with a new version.
"""

import copy
import io
import json
from pathlib import Path

import fastavro
import jsonschema
import pytest
from fastavro._read_common import SchemaResolutionError
from fastavro.validation import ValidationError
from support.json_compat import breaks

from pesto_stream.contract.wire import problems, schema

ROOT = Path(__file__).parents[1]
SCHEMAS = ROOT / "schemas" / "v1"
GOLDEN = ROOT / "tests" / "golden" / "schemas" / "v1"
JSON = sorted(path.name.removesuffix(".schema.json") for path in SCHEMAS.glob("*.schema.json"))
AVRO = sorted(path.name.removesuffix(".json") for path in SCHEMAS.glob("*.avro.json"))
SAMPLES = sorted(SCHEMAS.glob("samples/*/*/*.json"), key=str)


def load(path):
    return json.loads(path.read_text("utf-8"))


def samples(kind, *, avro):
    chosen = [path for path in SAMPLES if path.parent.name == kind and (path.parts[-3] in AVRO) == avro]
    return [pytest.param(path.parts[-3], load(path), id=f"{path.parts[-3]}-{path.stem}") for path in chosen]


def written(parsed, datum, name="?"):
    """Avro's JSON form of a datum, with its bytes as text of code points below 256, as bytes. Raises what fastavro raises."""
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, parsed, _with_bytes(datum), strict_allow_default=True)
    return buffer.getvalue()


def _with_bytes(value):
    if isinstance(value, dict):
        return {
            key: one.encode("latin-1") if key in BYTES and isinstance(one, str) else _with_bytes(one)
            for key, one in value.items()
        }
    if isinstance(value, list):
        pair = len(value) == 2 and isinstance(value[0], str) and value[0].startswith("pesto.")
        return (value[0], _with_bytes(value[1])) if pair else [_with_bytes(one) for one in value]
    return value


BYTES = {"data", "payload", "key", "value"}


def read(data, writer, reader):
    return fastavro.schemaless_reader(io.BytesIO(data), writer, reader)


def test_every_schema_has_valid_and_invalid_samples():
    have = {(path.parts[-3], path.parts[-2]) for path in SAMPLES}
    assert have == {(name, kind) for name in (*JSON, *AVRO) for kind in ("valid", "invalid")}


@pytest.mark.parametrize("name", JSON)
def test_a_json_schema_is_one_of_2020_12(name):
    document = schema(name)
    assert document["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert document["title"]
    jsonschema.Draft202012Validator.check_schema(document)


@pytest.mark.parametrize(("name", "sample"), samples("valid", avro=False))
def test_a_valid_sample_is_valid(name, sample):
    assert problems(name, sample) == []


@pytest.mark.parametrize(("name", "wrong"), samples("invalid", avro=False))
def test_an_invalid_sample_is_refused_for_its_reason_alone(name, wrong):
    found = problems(name, wrong["sample"])
    assert len(found) == 1
    assert wrong["reason"] in found[0]


@pytest.mark.parametrize(("name", "sample"), samples("valid", avro=True))
def test_a_valid_avro_sample_survives_a_round_trip(name, sample):
    parsed = fastavro.parse_schema(load(SCHEMAS / f"{name}.json"))
    data = written(parsed, sample)
    assert written(parsed, fastavro.schemaless_reader(io.BytesIO(data), parsed, None, return_record_name=True)) == data


@pytest.mark.parametrize(("name", "wrong"), samples("invalid", avro=True))
def test_an_invalid_avro_sample_is_refused_for_its_reason(name, wrong):
    document, sample = load(SCHEMAS / f"{name}.json"), wrong["sample"]
    if isinstance(document, list):  # the branch that the sample names, so that the refusal is about what is in it
        document, sample = next(one for one in document if one["name"] == sample[0]), sample[1]
    with pytest.raises(ValidationError) as refusal:
        fastavro.validate(_with_bytes(sample), fastavro.parse_schema(document))
    assert wrong["reason"] in str(refusal.value).split(" is <", 1)[0]


CAPABILITIES = ("imageCapabilities", "inputCapabilities")


@pytest.mark.parametrize("name", CAPABILITIES)
def test_capabilities_that_avro_takes_are_valid_as_json_and_are_read_back_as_they_were(name):
    parsed = fastavro.parse_schema(load(SCHEMAS / f"{name}.avro.json"))
    for path in SCHEMAS.glob(f"samples/{name}.avro/valid/*.json"):
        sample = load(path)
        assert problems(name, sample) == []
        assert without_null(read(written(parsed, sample), parsed, None)) == sample


def without_null(value):
    if isinstance(value, dict):
        return {key: without_null(one) for key, one in value.items() if one is not None}
    return value


def test_the_capabilities_of_an_input_are_those_of_an_image():
    of_image, of_input = (load(SCHEMAS / f"{name}.avro.json") for name in CAPABILITIES)
    assert of_input == {"type": "map", "values": of_image}


def test_avro_capabilities_restrict_whatever_json_capabilities_do():
    fields = {field["name"]: field["type"][1] for field in load(SCHEMAS / "imageCapabilities.avro.json")["fields"]}
    properties = schema("imageCapabilities")["properties"]
    assert set(fields) == set(properties)
    for name in ("dimensions", "type", "acquisition", "regionOfInterest"):
        assert {field["name"] for field in fields[name]["fields"]} == set(properties[name]["properties"])
    angles = properties["ephemeris"]["anyOf"][1]["propertyNames"]["enum"]
    assert [field["name"] for field in fields["ephemeris"]["fields"]] == angles


# -- what was published stays


def test_what_was_published_is_still_there():
    assert {path.name for path in GOLDEN.iterdir()} <= {path.name for path in SCHEMAS.iterdir()}


@pytest.mark.parametrize("name", JSON)
def test_a_json_schema_breaks_nobody_who_has_the_published_one(name):
    published = GOLDEN / f"{name}.schema.json"
    assert published.is_file(), f"a new schema: copy it to {published.relative_to(ROOT)}"
    assert list(breaks(load(published), schema(name))) == []


@pytest.mark.parametrize("name", AVRO)
def test_an_avro_schema_reads_what_the_published_one_wrote_and_the_other_way_round(name):
    published = GOLDEN / f"{name}.json"
    assert published.is_file(), f"a new schema: copy it to {published.relative_to(ROOT)}"
    old, new = (fastavro.parse_schema(load(path)) for path in (published, SCHEMAS / f"{name}.json"))
    for path in SCHEMAS.glob(f"samples/{name}/valid/*.json"):
        for writer, reader in ((old, new), (new, old)):
            assert written(reader, as_written(read(written(writer, load(path)), writer, reader), load(path)))


def as_written(value, sample):
    """A union's branch is not told by its value alone."""
    return [sample[0], _as_text(value)] if isinstance(sample, list) else _as_text(value)


def _as_text(value):
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, dict):
        return {key: _as_text(one) for key, one in value.items()}
    return [_as_text(one) for one in value] if isinstance(value, list) else value


def changed(name, change):
    document = copy.deepcopy(schema(name))
    change(document)
    return list(breaks(schema(name), document))


@pytest.mark.parametrize(
    ("name", "change", "found"),
    [
        ("result", lambda s: s["required"].remove("payload"), "/required"),
        ("image", lambda s: s["properties"].pop("resolution"), "/properties/resolution: gone"),
        ("image", lambda s: s["properties"]["resolution"].update(maximum=100), "/properties/resolution/maximum: new"),
        ("image", lambda s: s["properties"]["resolution"].update(type="string"), "/properties/resolution/type"),
        ("image", lambda s: s.update(required=["image"]), "/required: new"),
        ("image", lambda s: s.update(additionalProperties=False), "/additionalProperties: new"),
        ("deadLetterHeaders", lambda s: s["properties"]["pesto_error_stage"]["enum"].append("x"), "/enum"),
        ("deadLetterHeaders", lambda s: s["properties"].update(new={}), "/properties/new"),
        ("headers", lambda s: s["properties"]["ce_specversion"].update(pattern="x"), "/properties/ce_specversion/pattern"),
        ("imageCapabilities", lambda s: s["$defs"].pop("numberRange"), "/$defs/numberRange: gone"),
    ],
)
def test_a_change_that_can_break_somebody_is_found(name, change, found):
    assert [line for line in changed(name, change) if found in line]


def test_words_for_people_and_a_new_property_of_an_open_object_are_no_break():
    def change(document):
        document["description"] = "other words"
        document["properties"]["cloudCover"] = {"type": "number"}

    assert changed("image", change) == []


@pytest.mark.parametrize("field", [{"name": "new", "type": "string"}, {"name": "new", "type": "string", "default": ""}])
def test_an_avro_field_without_a_default_is_found(field):
    old = load(SCHEMAS / "event.avro.json")
    new = {**old, "fields": [*old["fields"], field]}
    data = written(fastavro.parse_schema(copy.deepcopy(old)), {"topic": "t", "headers": []})
    writer, reader = fastavro.parse_schema(copy.deepcopy(old)), fastavro.parse_schema(copy.deepcopy(new))
    if "default" in field:
        assert read(data, writer, reader)["new"] == ""
    else:
        with pytest.raises(SchemaResolutionError):
            read(data, writer, reader)

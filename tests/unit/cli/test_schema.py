"""`pesto-stream schema`: what travels, for those who write the other end."""

import io
import json

import fastavro
import jsonschema
import pytest
from support.projects import IMAGES, METADATA, a_project

from pesto_stream.cli.app import main


@pytest.fixture
def schema(capsys):
    def _schema(*arguments):
        with pytest.raises(SystemExit) as end:
            main(["schema", *map(str, arguments)])
        return (end.value.code, *capsys.readouterr())

    return _schema


def test_the_avro_schemas_are_what_another_avro_library_reads_and_writes(schema, tmp_path):
    code, out, err = schema(a_project(tmp_path), "--avro")
    schemas = json.loads(out)

    assert (code, err) == (0, "")
    assert set(schemas) == {"input", "output"}
    datum = {"image": ("pesto.EncodedImage", {"data": b"II*\0", "media_type": "image/tiff"}), "threshold": 0.5}
    assert round_trip(schemas["input"], datum)["threshold"] == 0.5
    assert round_trip(schemas["output"], {"mask": datum["image"], "coverage": 0.1})["coverage"] == 0.1


def round_trip(schema, datum):
    parsed, buffer = fastavro.parse_schema(schema), io.BytesIO()
    fastavro.schemaless_writer(buffer, parsed, datum)
    buffer.seek(0)
    return fastavro.schemaless_reader(buffer, parsed, None)


def test_the_json_schemas_are_complete_with_their_definitions(schema, tmp_path):
    code, out, _ = schema(a_project(tmp_path, inputs={"images": IMAGES, "about": METADATA}, required=["images"]), "--json")
    schemas = json.loads(out)

    assert code == 0
    check = jsonschema.Draft6Validator(schemas["input"]).is_valid
    assert check({"images": ["aGVsbG8="], "about": {"a": 1}})
    assert not check({"images": "aGVsbG8="})
    assert not check({"about": {}})


def test_the_schemas_follow_the_profiles(schema, tmp_path):
    project = a_project(tmp_path, files={"pesto/api/input_schema.wide.json": {"width": {"type": "integer"}}})

    assert "width" not in json.loads(schema(project, "--json")[1])["input"]["properties"]
    assert "width" in json.loads(schema(project, "--json", "-p", "wide")[1])["input"]["properties"]


@pytest.mark.parametrize("flags", [[], ["--avro", "--json"], ["--asyncapi", "--openapi"], ["--avro", "--register"]])
def test_exactly_one_has_to_be_asked_for(schema, tmp_path, flags):
    code, out, err = schema(a_project(tmp_path), *flags)

    assert (code, out) == (2, "")
    assert "use one of --avro, --json, --asyncapi, --openapi, --register" in err


def test_the_asyncapi_document_names_the_topics_of_the_settings(schema, tmp_path):
    code, out, _ = schema(a_project(tmp_path), "--asyncapi", "--input-topic", "tiles", "--output-topic", "masks")
    channels = json.loads(out)["channels"]

    assert code == 0
    assert [channel["address"] for channel in channels.values()] == ["tiles", "masks", "tiles.dead-letter"]


def test_the_openapi_document_has_the_processing_api_where_it_is_served(schema, tmp_path):
    project = a_project(tmp_path, description={"asynchronous": True})

    assert "/api/v1/process" not in json.loads(schema(project, "--openapi")[1])["paths"]
    assert "/api/v1/jobs" in json.loads(schema(project, "--openapi", "--set", "http.process=true")[1])["paths"]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--input-topic", "a", "--output-topic", "b"], "give schema_registry.url"),
        (["--set", "schema_registry.url=http://127.0.0.1:1"], "give --input-topic and --output-topic"),
    ],
)
def test_what_registration_lacks_is_named(schema, tmp_path, flags, said):
    code, out, err = schema(a_project(tmp_path), "--register", *flags)

    assert (code, out) == (2, "")
    assert said in err


def test_a_registry_that_does_not_answer_is_trouble_outside(schema, tmp_path):
    flags = ["--input-topic", "a", "--output-topic", "b", "--set", "schema_registry.url=http://127.0.0.1:1"]
    code, out, err = schema(a_project(tmp_path), "--register", *flags)

    assert (code, out) == (4, "")
    assert "the schema registry does not answer" in err

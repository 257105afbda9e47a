"""The AsyncAPI document, read by the AsyncAPI project's own parser (npm packages in tests/asyncapi)."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from support.builders import IMAGE, a_spec, an_interface

from pesto_stream.contract.asyncapi import Traffic, asyncapi_document
from pesto_stream.contract.wire import header_schemas
from pesto_stream.serde.avro_schema import avro_schemas
from pesto_stream.serde.cloudevents import CONTENT_TYPES

FOLDER = Path(__file__).parents[2] / "asyncapi"
ERROR = 0
SPEC = a_spec(
    an_interface(
        image=IMAGE,
        zone={"$ref": "#/definitions/Zone of interest"},
        polygon={"$ref": "#/definitions/Polygon"},
        mode={"type": "string", "enum": ["fast", "exact"]},
        threshold={"type": "number", "minimum": 0, "exclusiveMinimum": 0},
        options={
            "type": "object",
            "properties": {"a": {"type": "integer"}, "b": {"type": "array", "items": {"type": "boolean"}}},
        },
        required=("image",),
        definitions={"Zone of interest": {"type": "object", "properties": {"name": {"type": "string"}}}},
    ),
    an_interface(mask=IMAGE, coverage={"type": "number"}),
)


def a_document(spec=SPEC):
    avro = avro_schemas(spec)
    traffic = Traffic(
        input_topic="tiles",
        output_topic="masks",
        dead_letter_topic="tiles.dead-letter",
        group_id="clouds",
        content_types=CONTENT_TYPES,
        avro_input=avro["input"],
        avro_output=avro["output"],
        headers=header_schemas(),
    )
    return asyncapi_document(spec, traffic)


@pytest.fixture(scope="session")
def parse():
    """What the parser says of a document, and what it reads in it. Without node or npm: skipped; failed where CI is set."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        missing("node and npm are not installed")
    if not (FOLDER / "node_modules" / "@asyncapi" / "parser" / "package.json").is_file():
        quiet = ("--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts")
        done = subprocess.run(["npm", "install", *quiet], cwd=FOLDER, capture_output=True, text=True, timeout=250, check=False)
        if done.returncode != 0:
            missing(f"npm install failed: {done.stderr[-500:]}")

    def _parse(document):
        command = ["node", "check.mjs"]
        done = subprocess.run(
            command, cwd=FOLDER, input=json.dumps(document), capture_output=True, text=True, timeout=120, check=True
        )
        return json.loads(done.stdout)

    return _parse


def missing(reason):
    (pytest.fail if os.environ.get("CI") else pytest.skip)(f"no AsyncAPI parser: {reason}")


def test_the_document_is_valid_and_says_what_travels_where(parse):
    found = parse(a_document())
    assert [said for said in found["said"] if said["severity"] == ERROR] == []
    read = found["read"]
    assert (read["version"], read["channels"]) == ("3.0.0", ["tiles", "masks", "tiles.dead-letter"])
    assert read["operations"] == [["receiveRequest", "receive"], ["sendResult", "send"], ["sendDeadLetter", "send"]]
    types = {
        kind: {content for name, content, _ in read["messages"] if name.startswith(f"{kind}.")} for kind in ("request", "result")
    }
    assert types == {"request": set(CONTENT_TYPES), "result": set(CONTENT_TYPES)}
    avro = {name for name, _, schema in read["messages"] if schema.startswith("application/vnd.apache.avro")}
    assert avro == {"request.avro", "result.avro"}


@pytest.mark.parametrize("change", ["action", "reference", "avro", "schema"])
def test_the_parser_would_find_a_mistake(parse, change):
    document = json.loads(json.dumps(a_document()))
    messages = document["components"]["messages"]
    if change == "action":
        document["operations"]["sendResult"]["action"] = "publish"
    elif change == "reference":
        document["operations"]["sendResult"]["channel"]["$ref"] = "#/channels/nowhere"
    elif change == "avro":
        messages["request.avro"]["payload"]["schema"]["fields"][0]["type"] = "picture"
        messages["request.avro"]["payload"]["schema"]["fields"][0].pop("name")
    else:
        document["components"]["schemas"]["pesto.input"]["required"] = "image"
    assert [said for said in parse(document)["said"] if said["severity"] == ERROR]


def test_kafkas_bindings_name_group_topics_and_key():
    document = a_document()
    assert document["channels"]["input"]["bindings"]["kafka"]["topic"] == "tiles"
    assert document["operations"]["receiveRequest"]["bindings"]["kafka"]["groupId"]["enum"] == ["clouds"]
    assert document["components"]["messages"]["result.json"]["bindings"]["kafka"]["key"]["type"] == "string"


def test_payloads_are_the_algorithms_own_schemas():
    document = a_document()
    schemas = document["components"]["schemas"]
    assert document["components"]["messages"]["request.json"]["payload"] == {"$ref": "#/components/schemas/pesto.input"}
    assert schemas["pesto.input"]["required"] == ["image"]
    assert schemas["pesto.input"]["properties"]["zone"] == {"$ref": "#/components/schemas/Zone_of_interest"}
    assert schemas["pesto.resultHeaders"]["required"][:2] == ["ce_specversion", "ce_id"]


def test_the_avro_schema_means_the_same_as_the_one_that_is_printed():
    import fastavro
    from fastavro.schema import to_parsing_canonical_form

    shown = a_document()["components"]["messages"]["request.avro"]["payload"]["schema"]
    assert to_parsing_canonical_form(fastavro.parse_schema(shown)) == to_parsing_canonical_form(avro_schemas(SPEC)["input"])

import json

import jsonschema
import pytest
from support.projects import IMAGE, METADATA, NUMBER, a_loaded_project

from pesto_stream.algorithms.describe import KafkaDescription, describe_document, version_document

DESCRIPTION = {
    "title": "Clouds",
    "description": "finds them",
    "family": "detection",
    "template": "segmentation",
    "keywords": ["cloud"],
    "resources": {"cpu": 4, "gpu": 0, "ram": 8},
    "asynchronous": False,
    "batched": True,
    "organization": "o",
    "email": "e@example.com",
    "licence": "private",
}
CONFIG_SCHEMA = {"type": "object", "properties": {"zoom": NUMBER}}
ALL_LINKS = {"self", "execution", "config", "version", "health"}
KAFKA = KafkaDescription(
    input_topic="tiles",
    output_topic="masks",
    dead_letter_topic="tiles.dead-letter",
    group_id="clouds",
    delivery="at-least-once",
    content_types=("application/json", "image/tiff"),
    avro_input={"type": "record"},
)


def described(tmp_path, **parts):
    return a_loaded_project(tmp_path, description=DESCRIPTION, files={"pesto/api/config_schema.json": CONFIG_SCHEMA}, **parts)


def test_the_document_has_pestos_fields_and_no_others(tmp_path):
    document = describe_document(described(tmp_path), base_url="http://host:4000", links=ALL_LINKS)
    shown = {key: value for key, value in DESCRIPTION.items() if key != "licence"}
    assert {key: document[key] for key in shown} == shown
    assert set(document) == {*shown, "name", "version", "config", "input", "output", "_links"}
    assert document["config"] == CONFIG_SCHEMA


def test_input_and_output_are_schemas_of_pestos_form(tmp_path):
    definitions = {"Zone": {"type": "object"}}
    document = describe_document(described(tmp_path, definitions=definitions, required_outputs=[]))
    fields = ["$schema", "title", "type", "description", "definition", "definitions", "properties", "required"]
    assert list(document["input"]) == fields
    assert list(document["output"]) == fields[:-1]
    assert document["input"]["required"] == ["image"]
    assert document["input"]["properties"] == {"image": IMAGE, "threshold": NUMBER}
    assert {"Image", "Images", "Polygon", "Polygons", "Metadata", "Metadatas", "Zone"} == set(document["output"]["definitions"])
    jsonschema.Draft6Validator(document["input"]).validate({"image": "file:///a.tif", "threshold": 1})


def test_a_schema_files_own_words_about_the_whole_are_shown(tmp_path):
    document = {"title": "t", "description": "d", "content": "image/png", "definition": {"a": 1}, "m": METADATA}
    project = a_loaded_project(tmp_path, files={"pesto/api/output_schema.json": document})
    output = describe_document(project)["output"]
    assert (output["title"], output["description"], output["content"], output["definition"]) == ("t", "d", "image/png", {"a": 1})
    assert output["properties"] == {"m": METADATA}


def test_only_links_that_are_served_are_named(tmp_path):
    document = describe_document(described(tmp_path), base_url="http://host:4000/")
    assert document["_links"] == {
        "self": {
            "relation": "Access to describe resource",
            "href": "http://host:4000/api/v1/describe",
            "type": "application/json",
            "method": "GET",
        },
        "version": {
            "relation": "Processing version",
            "href": "http://host:4000/api/v1/version",
            "type": "application/json",
            "method": "GET",
        },
        "health": {
            "relation": "Processing health",
            "href": "http://host:4000/api/v1/health",
            "type": "text/plain",
            "method": "GET",
        },
    }
    execution = describe_document(described(tmp_path), links=ALL_LINKS)["_links"]["execution"]
    assert (execution["href"], execution["method"]) == ("/api/v1/process", "POST")


def test_kafka_is_described_beside_it(tmp_path):
    document = describe_document(described(tmp_path), KAFKA)
    assert document["kafka"] == {
        "topics": {"input": "tiles", "output": "masks", "dead_letter": "tiles.dead-letter"},
        "group_id": "clouds",
        "delivery": "at-least-once",
        "content_types": {"input": ["application/json", "image/tiff"], "output": "same"},
        "avro": {"input": {"type": "record"}, "output": None},
    }


def test_the_documents_are_json_and_leave_the_project_as_it_is(tmp_path):
    project = described(tmp_path)
    first = json.dumps(describe_document(project, KAFKA))
    assert json.dumps(describe_document(project, KAFKA)) == first


def test_name_and_version_are_there_even_where_the_description_lacks_them(tmp_path):
    project = a_loaded_project(tmp_path, files={"pesto/api/description.json": {}})
    assert (describe_document(project)["name"], describe_document(project)["version"]) == ("an-algorithm", "1.2.3")


def test_the_version_document_is_version_json_and_what_runs_it(tmp_path):
    project = a_loaded_project(tmp_path, files={"pesto/api/version.json": {"other": "x"}})
    assert version_document(project, "0.1.0") == {"version": "1.2.3", "other": "x", "__packaging": "PESTO Stream 0.1.0"}
    project = a_loaded_project(tmp_path, files={"pesto/api/version.json": {"version": "own"}})
    assert version_document(project, "0.1.0")["version"] == "own"


@pytest.mark.parametrize(
    ("content", "media_type"),
    [(None, "Complex type, see output in describe content for more information"), ("image/png", "image/png")],
)
def test_the_link_to_process_has_the_media_type_that_the_output_schema_names(tmp_path, content, media_type):
    outputs = {"mask": IMAGE, **({"content": content} if content else {})}
    project = a_loaded_project(tmp_path, outputs=outputs, required_outputs=["mask"])
    assert describe_document(project, links=["execution"])["_links"]["execution"]["type"] == media_type

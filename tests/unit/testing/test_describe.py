"""What of the describe document is compared with expected_describe.json, and what is not."""

import copy

import pytest
from support.projects import IMAGE, a_loaded_project

from pesto_stream.algorithms.describe import KafkaDescription, describe_document
from pesto_stream.testing.describe import compare_describe, updated


@pytest.fixture
def document(tmp_path):
    project = a_loaded_project(tmp_path, inputs={"image": IMAGE, "second": IMAGE}, description={"keywords": ["a", "b"]})
    kafka = KafkaDescription("tiles", "masks", None, "group", "at-least-once", ("application/json",))
    return describe_document(project, kafka, base_url="http://localhost:4000")


def changed(document, change):
    other = copy.deepcopy(document)
    change(other)
    return other


def said(expected, actual):
    return [str(one) for one in compare_describe(expected, actual)]


@pytest.mark.parametrize(
    "change",
    [
        lambda it: it.pop("_links"),
        lambda it: it.update(_links={"execution": {"href": "http://elsewhere"}}),
        lambda it: it.pop("kafka"),
        lambda it: it["input"]["definitions"]["Image"].update(description="Another text"),
        lambda it: it["output"]["definitions"]["Polygon"].update(title="Another text", description="x"),
        lambda it: it["input"]["required"].reverse(),
    ],
    ids=["no links", "other links", "no kafka", "text of Image", "texts of Polygon", "order of required"],
)
def test_what_differs_by_nature_is_not_compared(document, change):
    assert said(changed(document, change), document) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda it: it.update(version="9"), "version: '1.2.3', expected '9'"),
        (lambda it: it.update(organization="me"), "organization: missing from the result"),
        (lambda it: it.pop("title"), "title: not expected: 'an-algorithm'"),
        (lambda it: it.update(keywords=["b", "a"]), "keywords[0]: 'a', expected 'b'"),
        (
            lambda it: it["input"]["properties"]["image"].update(description="x"),
            "input.properties.image.description: missing from the result",
        ),
        (
            lambda it: it["input"]["definitions"]["Image"].update(type="object"),
            "input.definitions.Image.type: 'string', expected 'object'",
        ),
        (lambda it: it["input"]["definitions"].update(own={}), "input.definitions.own: missing from the result"),
        (lambda it: it["input"].update(required=["image"]), "input.required: 2 elements, expected 1"),
    ],
)
def test_everything_else_is(document, change, message):
    assert message in said(changed(document, change), document)


def test_an_updated_document_is_equal_and_keeps_the_old_ones_own_parts(document):
    old = changed(document, lambda it: it.update(version="0", _links={"self": {"href": "http://localhost:4000"}}))
    old["input"]["definitions"]["Image"]["description"] = "As PESTO has it"
    old.pop("kafka")
    new = updated(old, document)
    assert said(new, document) == []
    assert new["version"] == "1.2.3"
    assert new["_links"] == old["_links"]
    assert new["input"]["definitions"]["Image"]["description"] == "As PESTO has it"
    assert "kafka" not in new


def test_a_document_from_nothing_holds_no_address(document):
    new = updated(None, document)
    assert said(new, document) == []
    assert not new.keys() & {"_links", "kafka"}

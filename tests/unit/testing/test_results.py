"""results.json in PESTO's form, and JUnit's XML."""

import xml.etree.ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from pesto_stream.converters.limits import Limits
from pesto_stream.testing.compare import compare
from pesto_stream.testing.difference import Difference, Tolerance
from pesto_stream.testing.results import junit_document, results_document
from pesto_stream.testing.session import Report


def failed(expected, actual, name="test_1"):
    return Report(name, "failed", 0.25, tuple(compare(expected, actual, Tolerance(), Limits())))


def test_passed_skipped_and_without_a_result():
    reports = [Report("describe", "skipped", note="why"), Report("test_1", "passed"), Report("test_2", "failed", error="boom")]
    assert results_document(reports) == {
        "describe": {"Skipped": "why"},
        "test_1": {"NoDifference": True},
        "test_2": {"Error": "boom"},
    }


def test_differences_have_pestos_keys_at_every_level():
    expected = {"a": 1, "gone": 2, "inner": {"b": 1, "gone": {}}, "list": [1, 2]}
    actual = {"a": 2, "new": 3, "inner": {"b": 2, "new": 1}, "list": [1, 3]}
    assert results_document([failed(expected, actual)])["test_1"] == {
        "KeysMissing": ["gone"],
        "KeysNotExpected": ["new"],
        "KeysNotEqual": {
            "a": {"expected": 1, "actual": 2, "difference": "a: 2, expected 1"},
            "inner": {
                "KeysMissing": ["gone"],
                "KeysNotExpected": ["new"],
                "KeysNotEqual": {"b": {"expected": 1, "actual": 2, "difference": "inner.b: 2, expected 1"}},
            },
            "list": {"expected": 2, "actual": 3, "difference": "list[1]: 3, expected 2"},
        },
    }


def test_several_differences_in_an_array_are_listed():
    (found,) = results_document([failed({"list": [1, {"a": 1}]}, {"list": [2, {"a": 2}]})])["test_1"]["KeysNotEqual"].values()
    assert found == {"differences": ["list[0]: 2, expected 1", "list[1].a: 2, expected 1"]}


def test_junit_counts_and_names_what_failed():
    reports = [
        Report("describe", "skipped", note="why"),
        Report("test_1", "passed", 1.5),
        failed({"a": 1, "b": 1}, {"a": 2, "b": 2}, "test_2"),
    ]
    suite = ET.fromstring(junit_document("my-project", reports)).find("testsuite")
    assert (suite.get("name"), suite.get("tests"), suite.get("failures"), suite.get("skipped"), suite.get("time")) == (
        "my-project",
        "3",
        "1",
        "1",
        "1.750",
    )
    assert [case.get("name") for case in suite] == ["describe", "test_1", "test_2"]
    failure = suite[2].find("failure")
    assert failure.get("message") == "a: 2, expected 1"
    assert failure.text == "a: 2, expected 1\nb: 2, expected 1"


@given(st.text())
def test_any_text_makes_well_formed_xml(text):
    report = Report("test_1", "failed", 0.0, (Difference(("a", text), f"{text}<&>"),))
    ET.fromstring(junit_document(text, [report]))

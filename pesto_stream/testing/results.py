"""The results as documents: results.json in the form that PESTO 1.7.2's `test` writes, and JUnit's XML. Pure."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pesto_stream.testing.difference import Difference
    from pesto_stream.testing.session import Report

_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 does not have (section 2.2)."""


def results_document(reports: Iterable[Report]) -> dict[str, Any]:
    """PESTO's `{"NoDifference": true}`, or its KeysMissing, KeysNotExpected and KeysNotEqual, by test. Ours beside them: `Error` for a
    test without a result, `Skipped`, and `difference`, the sentence, in a pair of expected and actual.
    """
    return {report.name: _result(report) for report in reports}


def _result(report: Report) -> dict[str, Any]:
    if report.error is not None:
        return {"Error": report.error}
    if report.verdict == "skipped":
        return {"Skipped": report.note}
    return _nested(report.differences, 0) if report.differences else {"NoDifference": True}


def _nested(differences: Sequence[Difference], depth: int) -> dict[str, Any]:
    """The differences of one object. As in PESTO, an array is one value."""
    result: dict[str, Any] = {}
    changed: dict[str, list[Difference]] = {}
    for difference in differences:
        key = str(difference.path[depth])
        last = depth == len(difference.path) - 1
        if last and difference.kind != "changed":
            name = "KeysMissing" if difference.kind == "missing" else "KeysNotExpected"
            result.setdefault(name, []).append(key)
        else:
            changed.setdefault(key, []).append(difference)
    if changed:
        result["KeysNotEqual"] = {key: _changed(inner, depth) for key, inner in changed.items()}
    return result


def _changed(differences: Sequence[Difference], depth: int) -> dict[str, Any]:
    if all(len(one.path) > depth + 1 and isinstance(one.path[depth + 1], str) for one in differences):
        return _nested(differences, depth + 1)
    if len(differences) == 1:
        (one,) = differences
        return {"expected": one.expected, "actual": one.actual, "difference": str(one)}
    return {"differences": [str(one) for one in differences]}


def junit_document(suite: str, reports: Sequence[Report]) -> bytes:
    """One suite with a case for each test, in the form that CI servers read."""
    root = ET.Element("testsuites")
    failed, skipped = (sum(report.verdict == verdict for report in reports) for verdict in ("failed", "skipped"))
    seconds = sum(report.seconds for report in reports)
    counts = {"tests": len(reports), "failures": failed, "errors": 0, "skipped": skipped}
    attributes = {"name": _plain(suite), **{key: str(value) for key, value in counts.items()}, "time": f"{seconds:.3f}"}
    element = ET.SubElement(root, "testsuite", attributes)
    for report in reports:
        _case(element, suite, report)
    ET.indent(root)
    text: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _case(element: ET.Element, suite: str, report: Report) -> None:
    named = {"classname": _plain(suite), "name": _plain(report.name), "time": f"{report.seconds:.3f}"}
    case = ET.SubElement(element, "testcase", named)
    if report.verdict == "skipped":
        ET.SubElement(case, "skipped", {"message": _plain(report.note or "")})
    elif report.verdict == "failed":
        lines = [_plain(line) for line in failure_lines(report)]
        failure = ET.SubElement(case, "failure", {"message": lines[0]})
        failure.text = "\n".join(lines)


def failure_lines(report: Report) -> list[str]:
    """What failed, a line each."""
    return [report.error] if report.error is not None else [str(difference) for difference in report.differences]


def _plain(text: str) -> str:
    return _NOT_XML.sub("?", text)

"""The describe document against expected_describe.json.

Compared is what PESTO's own test compares, but for what differs by nature: `_links` (addresses, and only what is served), `kafka` (not
PESTO's), and of the definitions that PESTO brings itself the texts for people.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pesto_stream.algorithms.definitions import BUILT_IN
from pesto_stream.converters.limits import Limits
from pesto_stream.testing.compare import compare
from pesto_stream.testing.difference import Tolerance

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pesto_stream.testing.difference import Difference

EXPECTED: Final = "expected_describe.json"
NOT_COMPARED: Final = ("_links", "kafka")
_SIDES: Final = ("input", "output")
_FOR_PEOPLE: Final = frozenset({"description", "title", "$schema", "$comment", "examples"})


def compare_describe(expected: Mapping[str, Any], actual: Mapping[str, Any]) -> list[Difference]:
    """All differences. The order of keys does not count, nor, as in JSON Schema, that of `required`."""
    return compare(_comparable(expected), _comparable(actual), Tolerance(0.0, 0.0), Limits())


def updated(expected: Mapping[str, Any] | None, actual: Mapping[str, Any]) -> dict[str, Any]:
    """What expected_describe.json should hold: the actual document, with the old one's parts where these are not compared."""
    old = expected or {}
    document = {key: value for key, value in actual.items() if key not in NOT_COMPARED}
    for side in _SIDES:
        if isinstance(document.get(side), dict):
            document[side] = _with_old_definitions(old.get(side), document[side])
    return document | {key: old[key] for key in NOT_COMPARED if key in old}


def _with_old_definitions(old: Any, new: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(old, dict) or not isinstance(old.get("definitions"), dict):
        return new
    before, now = old["definitions"], new.get("definitions", {})
    kept = {
        name: before[name]
        for name in BUILT_IN
        if name in before and name in now and _without_texts(before[name]) == _without_texts(now[name])
    }
    return {**new, "definitions": {**now, **kept}}


def _comparable(document: Mapping[str, Any]) -> dict[str, Any]:
    shown = {key: value for key, value in document.items() if key not in NOT_COMPARED}
    return {key: _side(value) if key in _SIDES and isinstance(value, dict) else value for key, value in shown.items()}


def _side(side: dict[str, Any]) -> dict[str, Any]:
    result = dict(side)
    definitions = side.get("definitions")
    if isinstance(definitions, dict):
        result["definitions"] = {
            name: _without_texts(value) if name in BUILT_IN else value for name, value in definitions.items()
        }
    required = side.get("required")
    if isinstance(required, list) and all(isinstance(name, str) for name in required):
        result["required"] = sorted(required)
    return result


def _without_texts(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_texts(one) for key, one in value.items() if key not in _FOR_PEOPLE}
    return [_without_texts(one) for one in value] if isinstance(value, list) else value

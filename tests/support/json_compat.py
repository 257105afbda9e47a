"""A conservative rule for JSON Schemas of what travels: which changes can break somebody who has the older one.

Allowed is what neither a reader nor a writer of the older schema can notice: words for people, and a new property that may be left out,
where the older one allowed properties that it does not know. Everything else is a break, harmless or not: such a change belongs into a
new version.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

WORDS = {"title", "description", "$comment", "examples", "default", "deprecated"}
NAMED = {"properties", "$defs", "patternProperties"}
UNORDERED = {"required", "enum"}


def breaks(old: Any, new: Any, place: str = "") -> Iterator[str]:
    """What may break, place first."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted((old.keys() | new.keys()) - WORDS):
            yield from _keyword(key, old, new, f"{place}/{key}")
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, pair in enumerate(zip(old, new, strict=True)):
            yield from breaks(*pair, f"{place}/{index}")
    elif old != new:
        yield f"{place or '/'}: {old!r} became {new!r}"


def _keyword(key: str, old: dict[str, Any], new: dict[str, Any], at: str) -> Iterator[str]:
    if key in NAMED:
        yield from _members(key, old, new, at)
    elif key not in new:
        yield f"{at}: gone"
    elif key not in old:
        yield f"{at}: new"
    elif key in UNORDERED:
        yield from breaks(sorted(old[key], key=str), sorted(new[key], key=str), at)
    else:
        yield from breaks(old[key], new[key], at)


def _members(key: str, old: dict[str, Any], new: dict[str, Any], at: str) -> Iterator[str]:
    before, after = old.get(key, {}), new.get(key, {})
    for name in sorted(before):
        if name in after:
            yield from breaks(before[name], after[name], f"{at}/{name}")
        else:
            yield f"{at}/{name}: gone"
    closed = old.get("additionalProperties", True) is not True
    for name in sorted(after.keys() - before.keys()):
        if key == "patternProperties" or (key == "properties" and closed):
            yield f"{at}/{name}: new where other properties had a rule"

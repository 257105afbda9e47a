"""The definitions that every PESTO project may refer to, and the resolution of such references.

Names and constraints are those of PESTO 1.7.2 (draft-06); `Image` stands for an array (C, H, W) and travels as a string.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pesto_stream.model.spec import Schema

DRAFT_06 = "http://json-schema.org/draft-06/schema#"
PREFIX = "#/definitions/"

_NUMBER = {"type": "number"}
_POLYGON: Schema = {
    "$schema": DRAFT_06,
    "title": "Polygon",
    "description": "Polygon of GeoJSON (RFC 7946)",
    "type": "object",
    "required": ["type", "coordinates"],
    "properties": {
        "type": {"type": "string", "enum": ["Polygon"]},
        "coordinates": {
            "type": "array",
            "items": {"type": "array", "minItems": 4, "items": {"type": "array", "minItems": 2, "items": _NUMBER}},
        },
        "bbox": {"type": "array", "minItems": 4, "items": _NUMBER},
    },
}

BUILT_IN: Mapping[str, Schema] = {
    "Image": {"$schema": DRAFT_06, "description": "An image: its URL, or the bytes of its file in base64", "type": "string"},
    "Images": {"type": "array", "items": {"$ref": PREFIX + "Image"}},
    "Polygon": _POLYGON,
    "Polygons": {"type": "array", "items": {"$ref": PREFIX + "Polygon"}},
    "Metadata": {"type": "object"},
    "Metadatas": {"type": "array", "items": {"$ref": PREFIX + "Metadata"}},
}

_VALUE_KEYWORDS = frozenset({"const", "default", "enum", "examples"})
"""Keywords whose values are data, not schemas: a `$ref` in there refers to nothing."""
_NAME_KEYWORDS = frozenset({"definitions", "dependencies", "patternProperties", "properties"})
"""Keywords that map names of the author's choice to schemas: a key in there is no keyword."""


def references(schema: Any, *, names: bool = False) -> Iterator[str]:
    """All `$ref` values of a schema, at any depth. `names`: the keys of `schema` are names, not keywords."""
    if isinstance(schema, list):
        for item in schema:
            yield from references(item)
    elif isinstance(schema, dict):
        for key, value in schema.items():
            if names:
                yield from references(value)
            elif key == "$ref" and isinstance(value, str):
                yield value
            elif key not in _VALUE_KEYWORDS:
                yield from references(value, names=key in _NAME_KEYWORDS)


def resolves(reference: str, definitions: Mapping[str, Any]) -> bool:
    """Whether a reference leads into `definitions` (RFC 6901 pointers)."""
    if not reference.startswith(PREFIX):
        return False
    place: Any = definitions
    for part in reference.removeprefix(PREFIX).split("/"):
        step = part.replace("~1", "/").replace("~0", "~")
        if isinstance(place, dict) and step in place:
            place = place[step]
        elif isinstance(place, list) and step.isdecimal() and int(step) < len(place):
            place = place[int(step)]
        else:
            return False
    return True


def endless_reference(definitions: Mapping[str, Any]) -> list[str] | None:
    """A chain of definitions that are nothing but references to each other, and so describe nothing; None where there is none.

    A definition that holds itself further down (a tree whose nodes have children) is not endless: a value has an end.
    """
    for start in definitions:
        chain = [start]
        while (target := _alias_of(definitions.get(chain[-1]))) is not None:
            if target in chain:
                return [*chain[chain.index(target) :], target]
            chain.append(target)
    return None


def _alias_of(schema: Any) -> str | None:
    reference = schema.get("$ref") if isinstance(schema, dict) else None
    return reference.removeprefix(PREFIX) if isinstance(reference, str) and reference.startswith(PREFIX) else None

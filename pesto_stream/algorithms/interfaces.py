"""PESTO's schema files to interfaces, every mistake named.

A schema file is not a JSON Schema itself: it maps property name -> schema, with sibling keys that speak of the whole (`required`, `title`,
...). A form with these properties under a key `properties` occurs as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jsonschema
from jsonschema.validators import validator_for

from pesto_stream.algorithms.definitions import BUILT_IN, PREFIX, endless_reference, references, resolves
from pesto_stream.algorithms.files import did_you_mean, json_type
from pesto_stream.errors import ProjectError
from pesto_stream.model.spec import Interface

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pesto_stream.model.spec import Schema

_WHOLE: Mapping[str, type] = {
    "$schema": str,
    "title": str,
    "type": str,
    "description": str,
    "content": str,
    "required": list,
    "definition": dict,
    "definitions": dict,
}
"""Sibling keys that speak of the whole, by the type that tells them from a property of the same name."""


def merged_definitions(user_definitions: Mapping[str, Any], local: Mapping[str, Any]) -> dict[str, Schema]:
    """Built-in definitions, then the project's, then those of the schema file itself. As in PESTO, the earlier one wins."""
    return {**local, **user_definitions, **BUILT_IN}


def whole_fields(document: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a schema file that speak of the whole, not of one property."""
    kinds = {key: kind for key, kind in _WHOLE.items() if key in document}
    return {key: document[key] for key, kind in kinds.items() if isinstance(document[key], kind)}


def properties_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """Property name -> what should be its schema, in the order of the file."""
    if isinstance(document.get("properties"), dict):
        return dict(document["properties"])
    whole = whole_fields(document)
    return {name: schema for name, schema in document.items() if name not in whole}


def interface_of(document: Mapping[str, Any], file: str, user_definitions: Mapping[str, Any]) -> Interface:
    """The interface that a schema file declares. Raises ProjectError naming file, property and remedy."""
    definitions = merged_definitions(user_definitions, whole_fields(document).get("definitions", {}))
    properties = properties_of(document)
    dialect = whole_fields(document).get("$schema")
    for name, schema in properties.items():
        _check_is_schema(schema, f"property '{name}' of '{file}'", dialect)
        _check_references(schema, f"property '{name}' of '{file}'", definitions)
    return Interface(properties, _required(document, file, properties), definitions)


def check_definitions(definitions: Mapping[str, Any], file: str) -> None:
    """Raises ProjectError where user definitions are no schemas, refer to what is not there, or go in circles."""
    known = merged_definitions(definitions, {})
    for name, schema in definitions.items():
        _check_is_schema(schema, f"definition '{name}' of '{file}'", None)
        _check_references(schema, f"definition '{name}' of '{file}'", known)
    chain = endless_reference(known)
    if chain is not None:
        raise ProjectError(
            f"definitions of '{file}' refer to each other without end: {' -> '.join(chain)}; give one of them a type"
        )


def redefined(definitions: Iterable[str]) -> list[str]:
    """Names of user definitions that PESTO's own definitions hide."""
    return sorted(set(definitions) & set(BUILT_IN))


def _required(document: Mapping[str, Any], file: str, properties: Mapping[str, Any]) -> frozenset[str]:
    required = whole_fields(document).get("required", [])
    for name in required:
        if not isinstance(name, str):
            raise ProjectError(f"'required' of '{file}' holds {json_type(name)}; expected names of properties")
        if name not in properties:
            raise ProjectError(
                f"'required' of '{file}' names '{name}', which is no property of it{did_you_mean(name, properties)}"
            )
    return frozenset(required)


def _check_is_schema(schema: Any, where: str, dialect: str | None) -> None:
    if not isinstance(schema, dict):
        raise ProjectError(f'{where} is {json_type(schema)}; expected a schema, as in {{"type": "number"}}')
    kind = validator_for({"$schema": dialect} if dialect else schema, default=jsonschema.Draft6Validator)
    try:
        kind.check_schema(schema)
    except jsonschema.SchemaError as error:
        place = "/".join(str(part) for part in error.absolute_path)
        inside = f" at '{place}'" if place else ""
        raise ProjectError(f"{where} is not a valid JSON Schema{inside}: {error.message}") from None


def _check_references(schema: Any, where: str, definitions: Mapping[str, Any]) -> None:
    for reference in references(schema):
        if resolves(reference, definitions):
            continue
        if not reference.startswith("#"):
            raise ProjectError(
                f"{where} refers to '{reference}', which is not read; copy it into 'pesto/api/user_definitions.json'"
            )
        name = reference.removeprefix(PREFIX).partition("/")[0]
        raise ProjectError(
            f"{where} refers to '{reference}', which is not defined{did_you_mean(name, definitions)}; "
            f"defined are {', '.join(sorted(definitions))}"
        )

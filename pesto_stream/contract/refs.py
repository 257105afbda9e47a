"""PESTO's schemas inside of a larger document: their definitions move, and the references with them. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pesto_stream.model.spec import Interface, Schema

_DEFINITIONS: Final = "#/definitions/"
COMPONENTS: Final = "#/components/schemas/"
"""Where OpenAPI and AsyncAPI documents keep schemas."""
_NOT_IN_A_KEY: Final = re.compile(r"[^A-Za-z0-9._-]")
"""OpenAPI 3.1 and AsyncAPI 3.0, "Components Object": what a component's key may not hold."""


def component_schema(interface: Interface, names: Mapping[str, str]) -> Schema:
    """The interface's own schema, with references into `#/components/schemas`; `names` are of `component_names`."""
    whole = interface.json_schema()
    del whole["definitions"]
    moved: Schema = _moved(whole, names)
    return moved


def component_definitions(names: Mapping[str, str], *interfaces: Interface) -> dict[str, Schema]:
    """All definitions of the interfaces under their component names. An interface's definition of a name is that of all."""
    found = {name: schema for interface in interfaces for name, schema in interface.definitions.items()}
    return {names[name]: _moved(schema, names) for name, schema in found.items()}


def component_names(*interfaces: Interface) -> dict[str, str]:
    """A component's key for every definition; different names stay different."""
    names: dict[str, str] = {}
    for name in dict.fromkeys(name for interface in interfaces for name in interface.definitions):
        key = _NOT_IN_A_KEY.sub("_", name) or "_"
        while key in names.values():
            key += "_"
        names[name] = key
    return names


def _moved(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _reference(one, names) if key == "$ref" else _moved(one, names) for key, one in value.items()}
    return [_moved(one, names) for one in value] if isinstance(value, list) else value


def _reference(target: Any, names: Mapping[str, str]) -> Any:
    if not isinstance(target, str) or not target.startswith(_DEFINITIONS):
        return _moved(target, names)  # a property that happens to be called `$ref`, or a reference to somewhere else
    first, slash, rest = target.removeprefix(_DEFINITIONS).partition("/")
    name = first.replace("~1", "/").replace("~0", "~")
    return f"{COMPONENTS}{names.get(name, name)}{slash}{rest}"

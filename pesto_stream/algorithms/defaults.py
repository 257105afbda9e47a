"""Defaults that an algorithm's own schema refuses: such a value would pass unseen, since only requests are checked."""

from __future__ import annotations

import dataclasses
from inspect import Parameter
from typing import TYPE_CHECKING, Any

import jsonschema
from jsonschema.validators import validator_for
from referencing import Registry

from pesto_stream.errors import ProjectError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pesto_stream.algorithms.signature import Shape
    from pesto_stream.model.spec import Interface

_PLAIN = (bool, int, float, str, list, dict)


def check_defaults(shape: Shape, inputs: Interface) -> None:
    """Raises ProjectError for a default of the signature, of class Input or of the schema itself that its schema refuses.

    None is no value but the lack of one. Defaults that are no JSON (an array, an object of the project's) are left alone.
    """
    holder = "process of 'algorithm/process.py'" if shape.input_class is None else "class Input of 'algorithm/input_output.py'"
    for name, default in _defaults(shape).items():
        _check(name, default, inputs, holder, "leave it out, set it to None, or correct one of the two")
    for name, schema in inputs.properties.items():
        if "default" in schema:
            _check(name, schema["default"], inputs, "'pesto/api/input_schema.json'", "correct it, or the schema beside it")


def _defaults(shape: Shape) -> dict[str, Any]:
    if shape.input_class is None or not dataclasses.is_dataclass(shape.input_class):
        return dict(shape.defaults)
    made = {
        each.name: each.default_factory()
        for each in dataclasses.fields(shape.input_class)
        if each.name in shape.defaults and each.default_factory is not dataclasses.MISSING
    }
    return {**shape.defaults, **made}


def _check(name: str, default: Any, inputs: Interface, holder: str, remedy: str) -> None:
    if default is None or default is Parameter.empty or not isinstance(default, _PLAIN):
        return
    error = _first_error(default, inputs.properties[name], inputs.definitions)
    if error is not None:
        raise ProjectError(
            f"{holder} gives '{name}' the default '{default}', which its schema in 'pesto/api/input_schema.json' refuses: {error}; {remedy}"
        )


def _first_error(value: Any, schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str | None:
    document = {"allOf": [schema], "definitions": dict(definitions)}
    validator = validator_for(schema, default=jsonschema.Draft6Validator)(document, registry=Registry())
    found = next(validator.iter_errors(value), None)
    return None if found is None else found.message

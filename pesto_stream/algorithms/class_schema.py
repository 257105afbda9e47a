"""From a dataclass to the schema of its fields, in the form that PESTO's own `schemagen` writes (1.7.2), and for more types than it knows.

PESTO's: `str`, `int`, `float`, the built-in definitions as references, user definitions written in place with the field's description.
Ours as well: `bool`, `T | None`, lists, enumerations, `Literal`, dict, arrays without a `definition`, nested dataclasses, defaults.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import typing
from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np

from pesto_stream.algorithms.annotations import annotations_of, item_of, without_none
from pesto_stream.algorithms.class_docs import ClassText
from pesto_stream.algorithms.compat.fields import Param
from pesto_stream.algorithms.definitions import BUILT_IN, PREFIX
from pesto_stream.algorithms.files import did_you_mean
from pesto_stream.errors import ProjectError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pesto_stream.model.spec import Schema

_SCALARS: Mapping[Any, str] = {str: "string", int: "integer", float: "number", bool: "boolean"}
_EXPECTED = (
    "str, int, float, bool, dict, numpy.ndarray, an Enum, a Literal, a dataclass, a list of these, 'T | None', or a field made with "
    "definition(...) or user_definition(...)"
)


class SchemaMaker:
    """`file` is how messages name the classes' file; `texts` are the docstrings of its classes by name."""

    def __init__(self, file: str, user_definitions: Mapping[str, Schema], texts: Mapping[str, ClassText]) -> None:
        self._file = file
        self._definitions = user_definitions
        self._texts = texts

    def properties(self, kind: Any) -> dict[str, Schema]:
        """Field name -> schema, in the order of the fields. Raises ProjectError naming class, field and remedy."""
        return self._properties(kind, (kind,))

    def required(self, kind: Any) -> list[str]:
        """The fields that say so themselves: PESTO's rule, by which all others may be left out."""
        return [each.name for each in dataclasses.fields(kind) if each.metadata.get(Param.required)]

    def description(self, kind: Any) -> str:
        return self._text(kind).description

    def _text(self, kind: Any) -> ClassText:
        return self._texts.get(kind.__name__, ClassText())

    def _properties(self, kind: Any, inside: tuple[Any, ...]) -> dict[str, Schema]:
        annotations = annotations_of(kind)
        return {
            each.name: self._property(each, annotations.get(each.name, each.type), inside) for each in dataclasses.fields(kind)
        }

    def _property(self, field: Any, annotation: Any, inside: tuple[Any, ...]) -> Schema:
        place = f"field '{field.name}' of class {inside[-1].__name__} in '{self._file}'"
        declared = field.metadata.get(Param.type)
        schema = self._declared(declared, place) if declared is not None else self._annotated(annotation, place, inside)
        description = str(field.metadata.get(Param.description) or "").strip() or self._text(inside[-1]).fields.get(
            field.name, ""
        )
        if description:
            schema["description"] = description
        elif isinstance(declared, str):
            schema.pop("description", None)
        return schema | self._default(field, place)

    def _declared(self, declared: Any, place: str) -> Schema:
        if isinstance(declared, Enum) and declared.name in BUILT_IN:
            return {"$ref": PREFIX + declared.name}
        if declared in self._definitions:
            return copy.deepcopy(self._definitions[declared])
        raise ProjectError(
            f"{place} is of the definition '{declared}', which 'pesto/api/user_definitions.json' does not have"
            f"{did_you_mean(str(declared), self._definitions)}"
        )

    def _annotated(self, annotation: Any, place: str, inside: tuple[Any, ...]) -> Schema:
        plain, _ = without_none(annotation)
        if plain in _SCALARS:
            return {"type": _SCALARS[plain]}
        if plain in (np.array, np.ndarray) or typing.get_origin(plain) is np.ndarray:
            return {"$ref": PREFIX + "Image"}
        if dict in (plain, typing.get_origin(plain)):
            return {"$ref": PREFIX + "Metadata"}
        if (item := item_of(plain)) is not None:
            return self._listed(item, place, inside)
        return self._named(plain, place, inside)

    def _named(self, kind: Any, place: str, inside: tuple[Any, ...]) -> Schema:
        if typing.get_origin(kind) is typing.Literal:
            return _enumerated(list(typing.get_args(kind)), place)
        if isinstance(kind, type) and issubclass(kind, Enum):
            return _enumerated([member.value for member in kind], place)
        if isinstance(kind, type) and dataclasses.is_dataclass(kind):
            return self._nested(kind, place, inside)
        shown = kind if isinstance(kind, str) else getattr(kind, "__name__", str(kind))
        raise ProjectError(f"{place} has the type '{shown}', of which no schema can be made; expected {_EXPECTED}")

    def _listed(self, item: Any, place: str, inside: tuple[Any, ...]) -> Schema:
        items = self._annotated(item, place, inside)
        if items == {"$ref": PREFIX + "Image"}:
            return {"$ref": PREFIX + "Images"}
        if items == {"$ref": PREFIX + "Metadata"}:
            return {"$ref": PREFIX + "Metadatas"}
        return {"type": "array", "items": items}

    def _nested(self, kind: Any, place: str, inside: tuple[Any, ...]) -> Schema:
        if kind in inside:
            raise ProjectError(f"{place} holds its own class {kind.__name__}; write it as a user_definition(...)")
        properties = self._properties(kind, (*inside, kind))
        annotations = annotations_of(kind)
        required = [each.name for each in dataclasses.fields(kind) if _is_needed(each, annotations.get(each.name))]
        schema: Schema = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
        text = self._text(kind).description
        return {"description": text, **schema} if text else schema

    def _default(self, field: Any, place: str) -> Schema:
        default = field.default.value if isinstance(field.default, Enum) else field.default
        if default is None or default is dataclasses.MISSING:
            return {}
        try:
            json.dumps(default, allow_nan=False)
        except (TypeError, ValueError):
            raise ProjectError(
                f"{place} has the default '{default}', which JSON cannot say; use default_factory, or None"
            ) from None
        return {"default": default}


def _is_needed(field: Any, annotation: Any) -> bool:
    """Of a nested object, which is no PESTO type: what has neither a default nor None among its types."""
    has_default = field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
    return bool(field.metadata.get(Param.required)) or not (has_default or without_none(annotation)[1])


def _enumerated(values: list[Any], place: str) -> Schema:
    kinds = {_SCALARS.get(type(value)) for value in values}
    if len(kinds) != 1 or None in kinds:
        raise ProjectError(f"{place} has the values {values}; expected texts, or numbers of one type")
    return {"type": kinds.pop(), "enum": values}

"""What a declared value looks like on the wire: an `Interface` compiled once into a small tree.

Avro schemas are derived from this tree, and values are walked along it, so that both agree on what is an image, what has a static
shape, and what is free-form. JSON Schema says more (ranges, patterns); that part is left to a validator of JSON Schema.

An image inside something that has no static shape (`oneOf` of several, `additionalProperties`, a recursive definition) could not be
found in a value without guessing: `ConfigurationError`, at load.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pesto_stream.errors import ConfigurationError
from pesto_stream.model.spec import IMAGE_REF, IMAGES_REF

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pesto_stream.model.spec import Interface, Schema

ScalarKind = Literal["string", "integer", "number", "boolean"]

_PREFIX = "#/definitions/"
_FREE_FORM_REFS = frozenset({_PREFIX + "Polygon", _PREFIX + "Metadata"})
_LISTS_OF_FREE_FORM = frozenset({_PREFIX + "Polygons", _PREFIX + "Metadatas"})
_COMBINERS = ("anyOf", "oneOf", "allOf")


@dataclass(frozen=True, slots=True)
class ImageShape:
    """An image: URL or base64 text in JSON, the image union in Avro, `Tile` in memory."""


@dataclass(frozen=True, slots=True)
class ScalarShape:
    """`symbols` are the texts of an enumeration of strings, in their order."""

    kind: ScalarKind
    symbols: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ArrayShape:
    items: Shape


@dataclass(frozen=True, slots=True)
class RecordShape:
    """An object with declared properties. `definition` is the name of the definition it came from, None where it was written in place."""

    fields: Mapping[str, FieldShape]
    definition: str | None = None


@dataclass(frozen=True, slots=True)
class FreeShape:
    """Any JSON value; travels as JSON text in Avro."""


Shape = ImageShape | ScalarShape | ArrayShape | RecordShape | FreeShape


@dataclass(frozen=True, slots=True)
class FieldShape:
    """`optional`: may be left out. `nullable`: its own schema allows null."""

    shape: Shape
    optional: bool
    nullable: bool = False


def shape_of(interface: Interface, what: str) -> RecordShape:
    """The tree of an interface; `what` ("input", "output") starts the path in messages.

    Raises ConfigurationError for a reference that is not under `#/definitions/` or not there, and for an image that cannot be found.
    """
    compiler = _Compiler(interface.definitions)
    fields = {
        name: compiler.field(schema, f"{what} '{name}'", optional=name not in interface.required)
        for name, schema in interface.properties.items()
    }
    return RecordShape(fields)


def has_image(shape: Shape) -> bool:
    match shape:
        case ImageShape():
            return True
        case ArrayShape(items):
            return has_image(items)
        case RecordShape(fields):
            return any(has_image(field.shape) for field in fields.values())
        case _:
            return False


@dataclass(slots=True)
class _Compiler:
    definitions: Mapping[str, Schema]
    open: list[str] = field(default_factory=list)
    """References that are being followed, to find a definition that contains itself."""

    def field(self, schema: Any, path: str, *, optional: bool) -> FieldShape:
        plain, nullable = _without_null(schema)
        return FieldShape(self.shape(plain, path), optional=optional, nullable=nullable)

    def shape(self, schema: Any, path: str) -> Shape:
        """One schema; null among its types is the business of the field it is in."""
        if not isinstance(schema, dict):
            return FreeShape()
        if "$ref" in schema:
            return self._referenced(schema["$ref"], path)
        schema = _unwrapped(schema)
        if "$ref" in schema:
            return self._referenced(schema["$ref"], path)
        return self._inline(schema, path)

    def _referenced(self, ref: Any, path: str) -> Shape:
        if ref == IMAGE_REF:
            return ImageShape()
        if ref == IMAGES_REF:
            return ArrayShape(ImageShape())
        if ref in _FREE_FORM_REFS:
            return FreeShape()
        if ref in _LISTS_OF_FREE_FORM:
            return ArrayShape(FreeShape())
        name, definition = self._definition(ref, path)
        if name in self.open:
            return self._free(definition, path)
        self.open.append(name)
        try:
            shape = self.shape(definition, path)
        finally:
            self.open.pop()
        return RecordShape(shape.fields, name) if isinstance(shape, RecordShape) and shape.definition is None else shape

    def _definition(self, ref: Any, path: str) -> tuple[str, Schema]:
        """(name, schema) of a reference: a JSON pointer (RFC 6901) into the definitions."""
        name = ref.removeprefix(_PREFIX) if isinstance(ref, str) and ref.startswith(_PREFIX) else ""
        place: Any = self.definitions
        for part in name.split("/"):
            step = part.replace("~1", "/").replace("~0", "~")
            place = place[step] if isinstance(place, Mapping) and step in place else None
        if not isinstance(place, dict):
            known = ", ".join(f"'{known}'" for known in sorted(self.definitions)) or "none"
            raise ConfigurationError(
                f"{path} refers to '{ref}': expected '{_PREFIX}<name>' of a definition that is there ({known})"
            )
        return name, place

    def _inline(self, schema: Schema, path: str) -> Shape:
        kind = schema.get("type")
        if any(key in schema for key in _COMBINERS):
            return self._free(schema, path)
        if kind in ("string", "integer", "number", "boolean"):
            return ScalarShape(kind, _symbols(schema) if kind == "string" else ())
        if kind is None and "enum" in schema and (symbols := _symbols(schema)):
            return ScalarShape("string", symbols)
        if kind == "array" and isinstance(schema.get("items"), dict):
            return self._array(schema["items"], path)
        if kind in ("object", None) and schema.get("properties") and not _is_open(schema):
            return self._record(schema, path)
        return self._free(schema, path)

    def _array(self, items: Schema, path: str) -> Shape:
        plain, nullable = _without_null(items)
        return self._free(items, path) if nullable else ArrayShape(self.shape(plain, f"{path} items"))

    def _record(self, schema: Schema, path: str) -> Shape:
        required = frozenset(schema.get("required", ()))
        fields = {
            name: self.field(inner, f"{path} property '{name}'", optional=name not in required)
            for name, inner in schema["properties"].items()
        }
        return RecordShape(fields)

    def _free(self, schema: Any, path: str) -> Shape:
        if self._names_image(schema, set()):
            raise ConfigurationError(
                f"{path} holds an image whose place cannot be told from the schema: expected a property of its own, "
                "an array of images, or an object with declared properties"
            )
        return FreeShape()

    def _names_image(self, schema: Any, seen: set[str]) -> bool:
        for ref in _references(schema):
            if ref in (IMAGE_REF, IMAGES_REF):
                return True
            name = ref.removeprefix(_PREFIX).partition("/")[0]
            if name in self.definitions and name not in seen:
                seen.add(name)
                if self._names_image(self.definitions[name], seen):
                    return True
        return False


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(ref := schema.get("$ref"), str):
            yield ref
        for value in schema.values():
            yield from _references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _references(value)


def _symbols(schema: Schema) -> tuple[str, ...]:
    symbols = schema.get("enum", ())
    return tuple(symbols) if symbols and all(isinstance(symbol, str) for symbol in symbols) else ()


def _is_open(schema: Schema) -> bool:
    """Whether the author asks for properties beyond the declared ones (saying nothing is not asking)."""
    return bool(schema.get("additionalProperties")) or "patternProperties" in schema


def _unwrapped(schema: Schema) -> Schema:
    """The one alternative of a combiner that has just one."""
    for key in _COMBINERS:
        alternatives = schema.get(key)
        if isinstance(alternatives, list) and len(alternatives) == 1 and isinstance(alternatives[0], dict):
            return {**{k: v for k, v in schema.items() if k != key}, **alternatives[0]}
    return schema


def _without_null(schema: Any) -> tuple[Any, bool]:
    """The schema less its null type, and whether it had one: `type: [T, "null"]`, or `anyOf`/`oneOf` with `type: "null"`."""
    if not isinstance(schema, dict):
        return schema, False
    kinds = schema.get("type")
    if isinstance(kinds, list):
        others = [kind for kind in kinds if kind != "null"]
        return {**schema, "type": others[0] if len(others) == 1 else others}, "null" in kinds
    for key in ("anyOf", "oneOf"):
        alternatives = schema.get(key)
        if isinstance(alternatives, list) and {"type": "null"} in alternatives:
            return {**schema, key: [one for one in alternatives if one != {"type": "null"}]}, True
    return schema, False

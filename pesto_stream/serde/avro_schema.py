"""Avro schemas derived from what an algorithm declares.

| declared | Avro |
|---|---|
| Image | union of `pesto.EncodedImage`, `pesto.ImageReference`, `pesto.Raster` |
| Images, arrays | `array` |
| number, integer, boolean, string | `double`, `long`, `boolean`, `string` |
| enumeration of strings | `enum` where each text is an Avro name, else `string` |
| object with declared properties | `record`, named by its definition, or by its place (`Input_options`) |
| Polygon, Metadata, free-form objects, alternatives, recursive definitions | `string` holding JSON text, marked `"pestoType": "json"` |
| may be left out or null | union with `null` in front, default `null` |

Root records are `pesto.<algorithm>.Input` and `.Output`. The algorithm's name is part of the fingerprint, so a record made for
another algorithm is told apart; its version is not, so a new version with the same interface reads what was written for the old one.

A name that is no Avro name (letters, digits, `_`, no digit in front) is escaped: each other character becomes `_x<hex>_`, and so
does a `_` that looks like the start of such an escape, or would once its neighbours are escaped; `original_name` turns it back. The
declared name is also kept beside the field as `pestoName`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pesto_stream.errors import ConfigurationError
from pesto_stream.serde.shapes import ArrayShape, FieldShape, FreeShape, ImageShape, RecordShape, ScalarShape, Shape, shape_of

if TYPE_CHECKING:
    from pesto_stream.model.spec import AlgorithmSpec

AvroSchema = dict[str, Any]

NAMESPACE = "pesto"
ENCODED_IMAGE = "pesto.EncodedImage"
IMAGE_REFERENCE = "pesto.ImageReference"
WINDOW = "pesto.Window"
RASTER = "pesto.Raster"

_AVRO_TYPES = {"string": "string", "integer": "long", "number": "double", "boolean": "boolean"}
_AVRO_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_ESCAPE = re.compile(r"_x([0-9a-f]+)_")
_TO_ESCAPE = re.compile(r"_(?=x[0-9a-f]+(?:_|[^A-Za-z0-9_]))|[^A-Za-z0-9_]|\A[0-9]")


def image_records() -> list[AvroSchema]:
    """The three records of the image union; `pesto.Window` is inside the second. Fresh objects at each call."""
    window = _record(WINDOW, [_plain(name, "long") for name in ("column", "row", "width", "height")])
    return [
        _record(ENCODED_IMAGE, [_plain("data", "bytes"), _plain("media_type", "string")]),
        _record(IMAGE_REFERENCE, [_plain("url", "string"), _nullable("window", window)]),
        _record(
            RASTER,
            [
                _plain("dtype", "string"),
                _plain("shape", {"type": "array", "items": "long"}),
                _plain("data", "bytes"),
                _nullable("crs", "string"),
                _nullable("transform", {"type": "array", "items": "double"}),
                _nullable("nodata", "double"),
            ],
        ),
    ]


def avro_schemas(spec: AlgorithmSpec) -> dict[str, AvroSchema]:
    """`{"input": ..., "output": ...}`, as `pesto-stream schema --avro` prints it. Raises ConfigurationError (see `shape_of`)."""
    return {
        "input": avro_schema(shape_of(spec.input, "input"), spec.name, "Input"),
        "output": avro_schema(shape_of(spec.output, "output"), spec.name, "Output"),
    }


def avro_schema(shape: RecordShape, algorithm: str, root: str) -> AvroSchema:
    """The record schema of a whole input or output."""
    namespace = f"{NAMESPACE}.{_namespace_part(algorithm)}"
    schema = _Deriver(namespace, {root}).record(f"{namespace}.{root}", root, shape)
    return {**schema, "pestoName": algorithm}


def avro_name(name: str) -> str:
    """The Avro name of a declared name; different names stay different. Raises ConfigurationError for an empty one."""
    if not name:
        raise ConfigurationError("a property has the empty name '': Avro cannot carry it, give it a name")
    return _TO_ESCAPE.sub(lambda match: f"_x{ord(match[0]):x}_", name)


def original_name(name: str) -> str:
    """The declared name that `avro_name` made `name` of."""
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), name)


def is_avro_name(name: str) -> bool:
    return _AVRO_NAME.match(name) is not None


def is_avro_enum(shape: ScalarShape) -> bool:
    """Whether an enumeration of strings becomes an Avro `enum`."""
    return bool(shape.symbols) and all(map(is_avro_name, shape.symbols)) and len(set(shape.symbols)) == len(shape.symbols)


def _namespace_part(algorithm: str) -> str:
    part = re.sub(r"[^A-Za-z0-9_]", "_", algorithm) or "algorithm"
    return f"_{part}" if part[0].isdigit() else part


@dataclass(slots=True)
class _Deriver:
    """One document: a named type is written out where it is met first, and named after that (Avro's rule)."""

    namespace: str
    taken: set[str]
    written: dict[str, str] = field(default_factory=dict)
    """Full names by definition."""
    images_written: bool = False

    def record(self, full_name: str, place: str, shape: RecordShape) -> AvroSchema:
        fields = [self._field(name, f"{place}_{avro_name(name)}", inner) for name, inner in shape.fields.items()]
        return _record(full_name, fields)

    def _field(self, name: str, place: str, inner: FieldShape) -> AvroSchema:
        schema = self._type(inner.shape, place)
        made = _nullable(avro_name(name), schema) if inner.optional or inner.nullable else _plain(avro_name(name), schema)
        return made if made["name"] == name else {**made, "pestoName": name}

    def _type(self, shape: Shape, place: str) -> Any:
        match shape:
            case ImageShape():
                return self._image()
            case ScalarShape(kind):
                return self._enum(shape, place) if is_avro_enum(shape) else _AVRO_TYPES[kind]
            case ArrayShape(items):
                return {"type": "array", "items": self._type(items, place)}
            case RecordShape():
                return self._nested(shape, place)
            case FreeShape():
                return {"type": "string", "pestoType": "json"}

    def _image(self) -> list[Any]:
        if self.images_written:
            return [ENCODED_IMAGE, IMAGE_REFERENCE, RASTER]
        self.images_written = True
        return list(image_records())

    def _enum(self, shape: ScalarShape, place: str) -> AvroSchema:
        return {"type": "enum", "name": self._named(place), "symbols": list(shape.symbols)}

    def _nested(self, shape: RecordShape, place: str) -> AvroSchema | str:
        if shape.definition in self.written:
            return self.written[shape.definition]
        name = self._named(avro_name(shape.definition) if shape.definition else place)
        if shape.definition:
            self.written[shape.definition] = name
        return self.record(name, name.rpartition(".")[2], shape)

    def _named(self, wanted: str) -> str:
        """A full name that is not taken in this document."""
        name = wanted
        while name in self.taken:
            name += "_"
        self.taken.add(name)
        return f"{self.namespace}.{name}"


def _record(name: str, fields: list[AvroSchema]) -> AvroSchema:
    return {"type": "record", "name": name, "fields": fields}


def _plain(name: str, schema: Any) -> AvroSchema:
    return {"name": name, "type": schema}


def _nullable(name: str, schema: Any) -> AvroSchema:
    return {"name": name, "type": ["null", *(schema if isinstance(schema, list) else [schema])], "default": None}

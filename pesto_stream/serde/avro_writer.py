"""A foreign writer schema, made safe to read with.

A schema from a registry was written by others. Measured with fastavro 1.13: a schema that contains itself lets 100 KB of data overflow
the C stack (the process dies, no exception); an array of items without bytes lets 10 bytes make a list of 2^50; records that repeat
each other by name unfold exponentially. With values that take no bytes refused, the work of reading is bounded by the bytes there are.
Logical types are dropped: nothing of ours has one, and a `decimal` of megabytes is slow.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import fastavro

from pesto_stream.errors import DecodeError

if TYPE_CHECKING:
    from pesto_stream.serde.avro_schema import AvroSchema

MAX_DEPTH = 32
MAX_NODES = 10_000
"""Types of a schema with every name written out."""
_KEPT = ("type", "name", "namespace", "symbols", "size", "items", "values", "fields")
_PRIMITIVES = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})


def harmless(schema: Any, what: str) -> AvroSchema:
    """The schema as fastavro parsed it, without logical types and annotations; `what` names it in messages.

    Raises DecodeError when it is no Avro record, contains itself, is too deep or too large, or has values that take no bytes
    (outside of a union).
    """
    checker = _Checker(what)
    if not isinstance(schema, dict):
        raise checker.refused("is not an Avro record")
    plain = checker.plain(schema, 0)
    try:
        parsed = cast("AvroSchema", fastavro.parse_schema(plain))
    except Exception as error:  # the library's parser raises whatever a malformed schema runs into
        raise checker.refused(f"is not a valid Avro schema: {error}") from error
    _Measure(checker, parsed.get("__named_schemas", {})).size(parsed, ())
    return parsed


@dataclass(slots=True)
class _Checker:
    what: str
    nodes: int = 0

    def refused(self, why: str) -> DecodeError:
        return DecodeError(f"{self.what} {why[:300]}")

    def plain(self, schema: Any, depth: int) -> Any:
        """A copy with only the attributes that have a meaning for reading; bounded on the way."""
        self.nodes += 1
        if depth > MAX_DEPTH:
            raise self.refused(f"is nested deeper than {MAX_DEPTH} levels")
        if self.nodes > MAX_NODES:
            raise self.refused(f"has more than {MAX_NODES} parts")
        if isinstance(schema, list):
            return [self.plain(one, depth + 1) for one in schema]
        if isinstance(schema, dict):
            return {key: self._part(key, schema[key], depth) for key in _KEPT if key in schema}
        return schema

    def _part(self, key: str, value: Any, depth: int) -> Any:
        if key == "fields" and isinstance(value, list):
            return [self._field(one, depth) for one in value]
        return self.plain(value, depth + 1) if key in ("type", "items", "values") else value

    def _field(self, one: Any, depth: int) -> Any:
        if not isinstance(one, dict):
            raise self.refused("is not a valid Avro schema: a field is not an object")
        return self.plain(one, depth)


@dataclass(slots=True)
class _Measure:
    """Walks a parsed schema with every name followed."""

    checker: _Checker
    named: dict[str, Any]
    known: dict[str, tuple[int, int]] = field(default_factory=dict)

    def size(self, schema: Any, inside: tuple[str, ...]) -> tuple[int, int]:
        """(number of types, fewest bytes of a datum)."""
        types, fewest = self._measure(schema, inside)
        if types > MAX_NODES:
            raise self.checker.refused(f"has more than {MAX_NODES} types when its names are written out")
        return types, fewest

    def _measure(self, schema: Any, inside: tuple[str, ...]) -> tuple[int, int]:
        if isinstance(schema, list):
            return 1 + sum(self.size(one, inside)[0] for one in schema), 1
        if isinstance(schema, str):
            return self._by_name(schema, inside)
        kind = schema["type"]
        if kind in ("array", "map"):
            return self._repeated(schema["items" if kind == "array" else "values"], kind, inside)
        if kind in ("record", "error"):
            return self._record(schema, inside)
        if kind == "fixed":
            return 1, self._fixed(schema["size"])
        return (1, 1) if kind == "enum" else self.size(kind, inside)

    def _by_name(self, name: str, inside: tuple[str, ...]) -> tuple[int, int]:
        if name in _PRIMITIVES:
            return 1, {"null": 0, "float": 4, "double": 8}.get(name, 1)
        if name not in self.known:
            self.known[name] = self.size(self.named[name], inside)
        return self.known[name]

    def _repeated(self, items: Any, kind: str, inside: tuple[str, ...]) -> tuple[int, int]:
        types, fewest = self.size(items, inside)
        if fewest == 0 and kind == "array":
            raise self.checker.refused("has an array whose items take no bytes")
        return types + 1, 1

    def _fixed(self, size: Any) -> int:
        if not isinstance(size, int) or size < 1:
            raise self.checker.refused(f"has a fixed type of size '{size}'")
        return size

    def _record(self, schema: AvroSchema, inside: tuple[str, ...]) -> tuple[int, int]:
        name = schema["name"]
        if name in inside:
            raise self.checker.refused(f"contains itself at '{name}'")
        sizes = [self.size(one["type"], (*inside, name)) for one in schema["fields"]]
        if any(fewest == 0 for _, fewest in sizes):
            raise self.checker.refused(f"has a field that takes no bytes in '{name}'")
        self.known[name] = 1 + sum(types for types, _ in sizes), sum(fewest for _, fewest in sizes)
        return self.known[name]

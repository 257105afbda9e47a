"""JSON from and to bytes, strictly: UTF-8, no NaN, bounded in size and depth.

Of two equal keys in an object the last one counts, as in PESTO's parser and most others (RFC 8259 leaves it open). An integer outside
64 bits is read as a double by the parser; where an integer is declared, that is an error at its place.
"""

from __future__ import annotations

from typing import Any

import orjson

from pesto_stream.errors import DecodeError, EncodeError

PARSER_DEPTH = 1024
"""orjson's own limit, so that parsing cannot overflow the stack whatever ours is."""

MAX_VALUES = 500_000
"""Brackets, commas and colons of one text. A value takes some 80 bytes of memory once it is parsed, and as few as two or three as text:
without this bound a text of many empty lists would unfold to thirty times its size.
"""


def loads(data: bytes | bytearray | memoryview | str, what: str, *, max_bytes: int, max_depth: int) -> Any:
    """The value; `what` names it in messages ("input 'roi'", "payload").

    Raises DecodeError for what is no JSON, is larger than `max_bytes`, has more than MAX_VALUES values or is nested deeper than
    `max_depth` levels.
    """
    if len(data) > max_bytes:
        raise DecodeError(f"{what} is JSON of {len(data)} bytes: expected at most {max_bytes}")
    values = _marks(data)
    if values > MAX_VALUES:
        raise DecodeError(f"{what} is JSON of about {values} values: expected at most {MAX_VALUES}")
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        if "depth limit" in str(error):
            raise _too_deep(what, f"more than {PARSER_DEPTH}", max_depth) from None
        raise DecodeError(f"{what} is not valid JSON: {error}") from None
    depth = _depth(value, max_depth)
    if depth > max_depth:
        raise _too_deep(what, f"{depth} or more", max_depth)
    return value


def dumps(value: Any, what: str) -> bytes:
    """JSON text of plain values (see `converters.outputs` for what is plain). Raises EncodeError for text that is no Unicode."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError as error:
        raise EncodeError(f"{what} cannot be written as JSON: {error}") from None


def _too_deep(what: str, depth: str, limit: int) -> DecodeError:
    return DecodeError(f"{what} is JSON nested {depth} levels deep: expected at most {limit}")


def _marks(data: bytes | bytearray | memoryview | str) -> int:
    """A bound on the number of values, without parsing: what stands inside of texts is counted as well."""
    if isinstance(data, str):
        return sum(map(data.count, ("[", "{", ",", ":")))
    text = bytes(data) if isinstance(data, memoryview) else data
    return sum(map(text.count, (b"[", b"{", b",", b":")))


def _depth(value: Any, limit: int) -> int:
    """Levels of nesting; stops counting above `limit`. Level by level, so no recursion."""
    level = [value] if isinstance(value, (dict, list)) else []
    depth = 0
    while level and depth <= limit:
        depth += 1
        level = [inner for outer in level for inner in _inner(outer) if isinstance(inner, (dict, list))]
    return depth


def _inner(value: Any) -> Any:
    return value.values() if isinstance(value, dict) else value

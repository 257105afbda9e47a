"""The settings as a flat list of dotted keys: what a layer may set, and in which words a wrong value is answered."""

from __future__ import annotations

import difflib
import types
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from pesto_stream.config.model import Section, Settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

PROPERTIES = "kafka.properties"
"""The one key that is open: names below it are librdkafka's own, dots included."""

_WORDS: Mapping[Any, str] = {bool: "true or false", int: "integer", float: "number", str: "text", SecretStr: "text (secret)"}


@dataclass(frozen=True, slots=True)
class Key:
    """One setting. `expected` says its type and range in words; `takes_text`: its value is the text itself, not to be parsed."""

    name: str
    expected: str
    default: Any
    sentence: str
    optional: bool
    secret: bool
    takes_text: bool


@cache
def keys() -> Mapping[str, Key]:
    """All settings by dotted name, in the model's order."""
    return types.MappingProxyType({key.name: key for key in _walk(Settings, "")})


@cache
def sections() -> frozenset[str]:
    """Dotted names of the objects that hold settings."""
    return frozenset(name.rpartition(".")[0] for name in keys() if "." in name)


def is_property(name: str) -> bool:
    """Whether a dotted name is a librdkafka property below `kafka.properties`."""
    return name.startswith(f"{PROPERTIES}.") and len(name) > len(PROPERTIES) + 1


def did_you_mean(name: str) -> str:
    """The nearest key as a question to append to a message; empty where none is near."""
    near = difflib.get_close_matches(name.lower(), [*keys(), *sections()], n=1, cutoff=0.6) or _same_last_part(name)
    return f"; did you mean '{near[0]}'?" if near else ""


def _same_last_part(name: str) -> list[str]:
    """`in_flight_mib` or `runtime.in_flight_mib`, where the section is missing or wrong."""
    last = name.lower().rpartition(".")[2]
    return [key for key in keys() if key.rpartition(".")[2] == last]


def _walk(section: type[Section], prefix: str) -> Iterator[Key]:
    for name, field in section.model_fields.items():
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, Section):
            yield from _walk(annotation, f"{prefix}{name}.")
        else:
            yield _key(f"{prefix}{name}", field)


def _key(name: str, field: FieldInfo) -> Key:
    kinds = tuple(_kinds(field.annotation))
    return Key(
        name=name,
        expected=expected(field.annotation, (field, *field.metadata)),
        default=field.get_default(call_default_factory=True),
        sentence=field.description or "",
        optional=type(None) in kinds,
        secret=SecretStr in kinds,
        takes_text=any(kind in (str, SecretStr, Literal) for kind in kinds),
    )


def _kinds(annotation: Any) -> Iterator[Any]:
    """The plain types of a union; for a choice `Literal`, for a collection its own type."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _kinds(get_args(annotation)[0])
    elif origin in (Union, types.UnionType):
        for part in get_args(annotation):
            yield from _kinds(part)
    else:
        yield origin or annotation


def expected(annotation: Any, metadata: Iterable[Any] = ()) -> str:
    """Type and range of a value in words: 'number > 0', 'one of a, b', 'none or text'."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return expected(arguments[0], arguments[1:])
    if origin in (Union, types.UnionType):
        parts = [expected(part) for part in arguments if part is not type(None)]
        return " or ".join((["none"] if type(None) in arguments else []) + parts)
    if origin is Literal:
        return f"one of {', '.join(arguments)}"
    if origin is list:
        return f"list of {expected(arguments[0])}"
    if origin is dict:
        return "object of librdkafka's properties"
    return _title(metadata) or f"{_WORDS[annotation]}{_bounds(metadata)}"


def _title(metadata: Iterable[Any]) -> str | None:
    return next((item.title for item in metadata if isinstance(item, FieldInfo) and item.title), None)


def _bounds(metadata: Iterable[Any]) -> str:
    rules = [rule for item in metadata for rule in (item.metadata if isinstance(item, FieldInfo) else (item,))]
    signs = {"gt": ">", "ge": ">=", "le": "<="}
    found = {sign: getattr(rule, name) for rule in rules for name, sign in signs.items() if getattr(rule, name, None) is not None}
    return " and".join(f" {sign} {limit}" for sign, limit in found.items())

"""Plain values of a request to the classes that a project's dataclasses name, and back.

PESTO hands out plain values only, so nothing changes for fields that PESTO knows: those of a `definition` or `user_definition`, texts,
numbers, lists and dicts of them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from enum import Enum
from typing import Any

from pesto_stream.algorithms.annotations import annotations_of, item_of, without_none
from pesto_stream.algorithms.compat.fields import Param

Maker = Callable[[Any], Any]

DEEPEST = 100
"""Levels of nesting that are looked into; results that are deeper are refused when they are encoded."""


def makers_of(kind: type) -> dict[str, Maker]:
    """Field -> what makes its value of a plain one, for the fields where it is not the same."""
    if not dataclasses.is_dataclass(kind):
        return {}
    annotations = annotations_of(kind)
    own = (each for each in dataclasses.fields(kind) if Param.type not in each.metadata)
    found = ((each.name, _maker(annotations.get(each.name), (kind,))) for each in own)
    return {name: maker for name, maker in found if maker is not None}


def _maker(annotation: Any, inside: tuple[type, ...]) -> Maker | None:
    plain_annotation, _ = without_none(annotation)
    item = item_of(plain_annotation)
    if item is not None:
        one = _maker(item, inside)
        return None if one is None else lambda values: [one(value) for value in values] if isinstance(values, list) else values
    if isinstance(plain_annotation, type) and issubclass(plain_annotation, Enum):
        return plain_annotation
    if isinstance(plain_annotation, type) and dataclasses.is_dataclass(plain_annotation) and plain_annotation not in inside:
        return _object_maker(plain_annotation, inside)
    return None


def _object_maker(kind: type, inside: tuple[type, ...]) -> Maker:
    annotations = annotations_of(kind)
    makers = {name: _maker(annotation, (*inside, kind)) for name, annotation in annotations.items()}

    def make(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        given = {name: one for name, one in value.items() if one is not None or name not in _with_default(kind)}
        return kind(
            **{name: maker(one) if (maker := makers.get(name)) and one is not None else one for name, one in given.items()}
        )

    return make


def _with_default(kind: Any) -> set[str]:
    missing = dataclasses.MISSING
    return {each.name for each in dataclasses.fields(kind) if each.default is not missing or each.default_factory is not missing}


def plain(value: Any, depth: int = 0) -> Any:
    """`value`, dataclasses in it as dicts and members of enumerations as their values. Stops at `DEEPEST` levels."""
    if isinstance(value, Enum):
        return value.value
    if depth >= DEEPEST:
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {each.name: plain(getattr(value, each.name), depth + 1) for each in dataclasses.fields(value)}
    if isinstance(value, (list, tuple)) and any(_may_hold(one) for one in value):
        return [plain(one, depth + 1) for one in value]
    if isinstance(value, dict) and any(_may_hold(one) for one in value.values()):
        return {key: plain(one, depth + 1) for key, one in value.items()}
    return value


def _may_hold(value: Any) -> bool:
    return isinstance(value, (Enum, list, tuple, dict)) or dataclasses.is_dataclass(value)

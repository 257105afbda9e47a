"""What the annotations of a project's dataclasses say, taken apart; names that cannot be resolved stay text."""

from __future__ import annotations

import types
import typing
from typing import Any


def annotations_of(kind: type) -> dict[str, Any]:
    """Field name -> annotation. All of them stay as they were written where one of them cannot be resolved."""
    try:
        return typing.get_type_hints(kind)
    except (NameError, AttributeError, TypeError, SyntaxError):
        return dict(kind.__annotations__)


def without_none(annotation: Any) -> tuple[Any, bool]:
    """(T, True) for `T | None` and `Optional[T]`, else (annotation, False). A union of several stays one."""
    if typing.get_origin(annotation) not in (typing.Union, types.UnionType):
        return annotation, False
    others = [each for each in typing.get_args(annotation) if each is not type(None)]
    if len(others) == len(typing.get_args(annotation)):
        return annotation, False
    return (others[0] if len(others) == 1 else typing.Union[tuple(others)]), True  # noqa: UP007 - made at run time


def item_of(annotation: Any) -> Any | None:
    """T for `list[T]`, `List[T]`, `Sequence[T]` and `tuple[T, ...]`; None for anything else."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:  # noqa: PLR2004 - (T, ...)
        return arguments[0]
    is_list = isinstance(origin, type) and issubclass(origin, typing.Sequence) and origin is not tuple
    return arguments[0] if is_list and len(arguments) == 1 else None

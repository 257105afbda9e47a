"""What is not as expected, at one place of a document."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

Path = tuple[str | int, ...]
"""Keys and indexes from the top of a document."""

_SHOWN: Final = 60


@dataclass(frozen=True, slots=True)
class Difference:
    """`message` says it without the place. `drawing` is a PNG of an image's difference."""

    path: Path
    message: str
    kind: Literal["missing", "unexpected", "changed"] = "changed"
    expected: Any = None
    actual: Any = None
    drawing: bytes | None = field(default=None, repr=False)

    @property
    def place(self) -> str:
        """`areas[0].coordinates`; empty for the whole."""
        return place_of(self.path)

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.path else self.message


@dataclass(frozen=True, slots=True)
class Tolerance:
    """`relative` and `absolute` are for floats, in JSON and in images: equal where |a - b| is at most absolute, or relative times the
    expected value. `pixels` is how far a pixel of an integer image may be off, in its own unit.
    """

    relative: float = 1e-6
    absolute: float = 1e-9
    pixels: float = 0.0


def place_of(path: Iterable[str | int]) -> str:
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


def shown(value: Any) -> str:
    """A value as messages show it: texts in quotes, cut, nothing that acts on a terminal; of lists and objects what they are."""
    if isinstance(value, str):
        return repr(value) if len(value) <= _SHOWN else f"{value[:_SHOWN]!r}... ({len(value)} characters)"
    if isinstance(value, dict):
        return f"an object of {len(value)}"
    if isinstance(value, list):
        return f"an array of {len(value)}"
    return {None: "null", True: "true", False: "false"}[value] if value is None or isinstance(value, bool) else repr(value)

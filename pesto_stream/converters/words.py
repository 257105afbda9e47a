"""Words for messages about values that others sent: short, whatever the value is."""

from __future__ import annotations

import difflib
import reprlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST_VALUE = 60
_LONGEST_NAME = 80

_short = reprlib.Repr()
_short.maxstring = _short.maxother = LONGEST_VALUE
_short.maxlist = _short.maxdict = _short.maxtuple = 4
_short.maxlevel = 3


def shortened(value: Any) -> str:
    """The value in single quotes, cut where it is long."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "'true'" if value else "'false'"
    text = value if isinstance(value, str) else _short.repr(value)
    return f"'{text}'" if len(text) <= LONGEST_VALUE else f"'{text[: LONGEST_VALUE - 1]}…'"


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the nearest of `names`, else `; expected one of ...`."""
    known = list(names)
    near = difflib.get_close_matches(name[:_LONGEST_NAME], known, n=1)
    if near:
        return f"; did you mean '{near[0]}'?"
    listed = ", ".join(f"'{one}'" for one in known)
    return f": expected one of {listed}" if known else ": none is declared"

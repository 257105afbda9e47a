"""PESTO's way to name profiles, `-p gpu stateful`: several after one `-p`, which the option parser does not know."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_OPTIONS: Final = ("-p", "--profile")


def spread(arguments: Sequence[str]) -> list[str]:
    """`-p a b` as `-p a -p b`. A word that is a path of this machine ends the profiles: it is the project."""
    return list(_spread(arguments))


def _spread(arguments: Sequence[str]) -> Iterator[str]:
    option = ""
    named = False
    for word in arguments:
        if word.startswith("-"):
            option, named = (word, False) if word in _OPTIONS else ("", False)
        elif option and named:
            if Path(word).exists():
                option = ""
            else:
                yield option
        else:
            named = True
        yield word

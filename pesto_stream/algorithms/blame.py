"""What went wrong in user code, in the user's own lines and without this machine's paths."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

LONGEST_TEXT = 500
MOST_LINES = 4
_SITE = "site-packages"


class Blame:
    """Knows which files are the user's: those below `roots`, environments inside them apart."""

    def __init__(self, code_path: Path, python_path: Sequence[Path] = ()) -> None:
        self._roots = [code_path / "algorithm", code_path, *python_path]

    def message(self, error: BaseException) -> str:
        """`ZeroDivisionError: division by zero (process.py:12 in process)`, the innermost of the user's lines first."""
        head = f"{type(error).__name__}: {self.text(error)}".removesuffix(": ")
        lines = self._lines(error)
        return f"{head} ({', from '.join(lines[:MOST_LINES])})" if lines else head

    def text(self, error: BaseException) -> str:
        """What the exception says: one line, of bounded length, the paths of the project and of Python shortened."""
        text = error.msg if isinstance(error, SyntaxError) else said(error)
        for root in self._roots:
            text = text.replace(f"{root}/", "")
        for prefix, shown in ((sys.prefix, "<python>"), (sys.base_prefix, "<python>"), (str(Path.home()), "~")):
            text = text.replace(f"{prefix}/", f"{shown}/") if len(prefix) > 1 else text
        text = " ".join(text.split())
        return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}..."

    def notes(self, error: BaseException) -> str:
        """The user's lines with their source, outermost first, as a traceback has them; "" where none is the user's."""
        frames = [(self.relative(frame.filename), frame) for frame in traceback.extract_tb(error.__traceback__)]
        return "\n".join(f"  {name}:{frame.lineno} in {frame.name}\n    {frame.line}" for name, frame in frames if name)

    def relative(self, filename: str) -> str | None:
        """A file's name below the algorithm package, the project or a requirement; None where it is not the user's."""
        path = Path(filename)
        for root in self._roots:
            if path.is_relative_to(root) and _SITE not in path.relative_to(root).parts:
                return path.relative_to(root).as_posix()
        return None

    def _lines(self, error: BaseException) -> list[str]:
        frames = reversed(traceback.extract_tb(error.__traceback__))
        named = [(self.relative(frame.filename), frame) for frame in frames]
        lines = [f"{name}:{frame.lineno} in {frame.name}" for name, frame in named if name]
        if isinstance(error, SyntaxError) and error.filename and (name := self.relative(error.filename)):
            lines.insert(0, f"{name}:{error.lineno}")
        return lines


def said(error: BaseException) -> str:
    """The text of an exception of foreign code, whatever its `__str__` does."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - a __str__ of the user's may do anything, and its failure says nothing about the tile
        return "<its text cannot be shown>"

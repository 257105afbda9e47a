"""Test resources on disk: `pesto/tests/resources/test_*/input` and `output`, one file or folder for each key. Source: PESTO 1.7.2.

The name without its ending is the key; the ending says what the file holds. A folder whose entries are all numbered is an array in the
order of the numbers, any other folder an object. Hidden files are passed over.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pesto_stream.algorithms.files import did_you_mean
from pesto_stream.converters.limits import Limits
from pesto_stream.errors import DecodeError, ProjectError
from pesto_stream.serde import json_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

RESOURCES: Final = "pesto/tests/resources"
PREFIX: Final = "test_"
TEXTS: Final = (".string",)
FLOATS: Final = (".float", ".number")
INTEGERS: Final = (".int", ".integer")
DOCUMENTS: Final = (".json", ".geojson")
IMAGES: Final = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".jp2", ".npy")
DEEPEST: Final = 32
"""Folders in folders; a link to a folder above ends here."""
_NUMBER: Final = re.compile(r"[0-9]+")


@dataclass(frozen=True, slots=True)
class File:
    """A file whose content is not looked into here: an image, or anything else that only its URL stands for."""

    path: Path

    @property
    def is_image(self) -> bool:
        return self.path.suffix.lower() in IMAGES


@dataclass(frozen=True, slots=True)
class Case:
    """One test. `expected` is None where the folder has no `output`. Images are `File`."""

    name: str
    folder: Path
    inputs: dict[str, Any]
    expected: dict[str, Any] | None

    @property
    def output(self) -> Path:
        return self.folder / "output"


def read_cases(project: Path, only: Sequence[str] = ()) -> list[Case]:
    """The tests of a project in the order of their names; `only` those named. Raises ProjectError."""
    root = project / RESOURCES
    folders = sorted(path for path in root.glob(f"{PREFIX}*") if path.is_dir()) if root.is_dir() else []
    if not folders:
        raise ProjectError(f"'{project}' has no tests: expected folders '{RESOURCES}/{PREFIX}<name>' with 'input' and 'output'")
    known = [folder.name for folder in folders]
    for name in only:
        if name not in known:
            raise ProjectError(f"there is no test '{name}' in '{root}'{did_you_mean(name, known)}")
    return [_case(folder) for folder in folders if not only or folder.name in only]


def _case(folder: Path) -> Case:
    if not (folder / "input").is_dir():
        raise ProjectError(f"test '{folder.name}' has no folder 'input'; create '{folder / 'input'}' with a file for each input")
    output = folder / "output"
    return Case(folder.name, folder, read_values(folder / "input"), read_values(output) if output.is_dir() else None)


def read_values(folder: Path) -> dict[str, Any]:
    """The values of a folder by key; the folder itself is an object whatever its entries are called. Raises ProjectError."""
    return _object(_entries(folder), 0)


def _value(path: Path, depth: int) -> Any:
    if not path.is_dir():
        return _file_value(path)
    if depth >= DEEPEST:
        raise ProjectError(f"cannot read '{path}': folders are nested deeper than {DEEPEST} levels")
    entries = _entries(path)
    return _array(entries, depth) if all(_NUMBER.fullmatch(key_of(entry)) for entry in entries) else _object(entries, depth)


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise ProjectError(f"cannot read '{folder}': {error.strerror}") from error


def _array(entries: list[Path], depth: int) -> list[Any]:
    numbered = {int(key_of(entry)): entry for entry in reversed(entries)}
    if len(numbered) < len(entries):
        raise ProjectError(f"cannot read '{entries[0].parent}': two of its entries have the same number")
    return [_value(numbered[number], depth + 1) for number in sorted(numbered)]


def _object(entries: list[Path], depth: int) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for entry in entries:
        key = key_of(entry)
        if not key.isprintable():
            raise ProjectError(f"cannot read {str(entry)!a}: its name is no printable text, which a key has to be")
        if key in values:
            raise ProjectError(f"cannot read '{entry.parent}': two of its entries are called '{key}'")
        values[key] = _value(entry, depth + 1)
    return values


def key_of(path: Path) -> str:
    """A file's name without its last ending; a folder's whole name."""
    return path.name if path.is_dir() else path.stem


def _file_value(path: Path) -> Any:
    ending = path.suffix.lower()
    if ending in TEXTS:
        return _text(path)
    if ending in FLOATS:
        return _number(path, float)
    if ending in INTEGERS:
        return _number(path, int)
    return _json(path) if ending in DOCUMENTS else File(path)


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except OSError as error:
        raise ProjectError(f"cannot read '{path}': {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ProjectError(f"cannot read '{path}': byte {error.start} is not UTF-8") from error


def _number(path: Path, kind: type[float]) -> float:
    text = _text(path)
    try:
        number = kind(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        what = "a whole number" if kind is int else "a finite number"
        raise ProjectError(f"cannot read '{path}': it holds '{text[:40].strip()}', expected {what}")
    return number


def _json(path: Path) -> Any:
    limits = Limits()
    try:
        return json_text.loads(_text(path), f"'{path}'", max_bytes=limits.max_json_bytes, max_depth=limits.max_json_depth)
    except DecodeError as error:
        raise ProjectError(f"cannot read a test resource: {error}") from error

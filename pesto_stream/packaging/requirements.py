"""`pesto/build/requirements.json`, checked: what goes into an image beside the code. Pure.

Source of the form: PESTO 1.7.2, `{"environments": {...}, "requirements": {name: {"from", "to", "type"}}, "dockerBaseImage"}`.
Ours: an optional `sha256` of the file, and a text file (`requirements.txt`) as a requirement of type pip.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from pesto_stream.algorithms.files import did_you_mean, json_type
from pesto_stream.algorithms.project import REQUIREMENTS
from pesto_stream.errors import ProjectError
from pesto_stream.packaging.names import check_reference

if TYPE_CHECKING:
    from collections.abc import Mapping

PIP: Final = "pip"
PYTHON: Final = "python"
DATA: Final = "none"

SCHEMES: Final = ("", "file", "http", "https", "s3", "gs")
OLDEST_PYTHON: Final = (3, 11)

_KINDS: Final = (PIP, PYTHON, DATA)
_KEYS: Final = ("from", "to", "type", "sha256")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TARGET: Final = re.compile(r"/[A-Za-z0-9._@+/-]+")
_TAKEN: Final = ("/opt/pesto", "/app/project", "/proc", "/sys", "/dev", "/tmp")  # noqa: S108 - a place in the image that is not kept
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_PYTHON_IMAGE: Final = re.compile(r"(?:.*/)?python:(\d+)\.(\d+)(?:[.-].*)?")


@dataclass(frozen=True, slots=True)
class Requirement:
    """`source` is a URL, or a path relative to the project. `target` is its place in the image, "" for pip. A target that ends with `/`
    is a folder that the file is put into.
    """

    name: str
    source: str
    target: str
    kind: str
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Requirements:
    environment: Mapping[str, str]
    items: tuple[Requirement, ...]
    base_image: str | None = None
    """Image to start from, where the project names one that can be used."""
    notes: tuple[str, ...] = ()

    def of_kind(self, *kinds: str) -> tuple[Requirement, ...]:
        return tuple(item for item in self.items if item.kind in kinds)


def parse_requirements(document: Mapping[str, Any]) -> Requirements:
    """Raises ProjectError that names file, requirement, field and remedy."""
    environment = _object(document, "environments")
    items = _object(document, "requirements")
    base, notes = _base_image(document.get("dockerBaseImage"))
    return Requirements(
        environment={name: _variable(name, value) for name, value in environment.items()},
        items=tuple(_requirement(name, value) for name, value in items.items()),
        base_image=base,
        notes=notes,
    )


def _object(document: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = document.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ProjectError(f"'{key}' of '{REQUIREMENTS}' is {json_type(value)}; expected an object")
    return value


def _variable(name: str, value: Any) -> str:
    if not _VARIABLE.fullmatch(name):
        raise ProjectError(
            f"'environments' of '{REQUIREMENTS}' has '{name}', which is no name of a variable; expected letters, digits and '_'"
        )
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str | int | float) or "\0" in str(value):
        raise ProjectError(f"variable '{name}' of '{REQUIREMENTS}' is {json_type(value)}; expected a text or a number")
    return str(value)


def _requirement(name: str, value: Any) -> Requirement:
    if not isinstance(value, dict):
        raise ProjectError(f"requirement '{name}' of '{REQUIREMENTS}' is {json_type(value)}; expected {{from, to, type}}")
    for key in value:
        if key not in _KEYS:
            raise ProjectError(
                f"requirement '{name}' of '{REQUIREMENTS}' has a field '{key}'{did_you_mean(key, _KEYS)}; it has {', '.join(_KEYS)}"
            )
    kind = _kind(name, value.get("type"))
    return Requirement(
        name=name,
        source=_source(name, value.get("from")),
        target="" if kind == PIP else _target(name, value.get("to")),
        kind=kind,
        sha256=_digest(name, value.get("sha256")),
    )


def _kind(name: str, value: Any) -> str:
    kind = DATA if value is None or value == "" else value
    if kind not in _KINDS:
        raise ProjectError(
            f"'type' of requirement '{name}' of '{REQUIREMENTS}' is '{value}'; expected 'python', 'pip' or 'none' (or left out)"
        )
    return str(kind)


def _source(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ProjectError(f"requirement '{name}' of '{REQUIREMENTS}' has no 'from'; expected the URL or path of a file")
    if urlsplit(value).scheme.lower() not in SCHEMES:
        raise ProjectError(
            f"'from' of requirement '{name}' of '{REQUIREMENTS}' is '{value}'; expected file, http, https, s3, gs, or a path in the project"
        )
    return value


def _target(name: str, value: Any) -> str:
    shown = f"'to' of requirement '{name}' of '{REQUIREMENTS}'"
    if not isinstance(value, str) or not value:
        raise ProjectError(f"{shown} is missing; expected its absolute path in the image, such as '/opt/model'")
    if not _TARGET.fullmatch(value) or any(part in {"..", "."} for part in value.split("/")):
        raise ProjectError(f"{shown} is '{value}'; expected an absolute path of letters, digits and '._@+-', without '..'")
    path = PurePosixPath(value)
    if any(path.is_relative_to(taken) or PurePosixPath(taken).is_relative_to(path) for taken in _TAKEN):
        raise ProjectError(f"{shown} is '{value}', which the runtime or the system needs; use another, such as '/opt/{name}'")
    return value


def _digest(name: str, value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not _DIGEST.fullmatch(value):
        raise ProjectError(f"'sha256' of requirement '{name}' of '{REQUIREMENTS}' is '{value}'; expected 64 hexadecimal digits")
    return value


def _base_image(value: Any) -> tuple[str | None, tuple[str, ...]]:
    """The image named, unless it is one of Python's own that is too old for the runtime: PESTO's template names Python 3.8."""
    if value is None or value == "":
        return None, ()
    if not isinstance(value, str):
        raise ProjectError(f"'dockerBaseImage' of '{REQUIREMENTS}' is {json_type(value)}; expected the name of an image")
    check_reference(value)
    found = _PYTHON_IMAGE.fullmatch(value)
    if found and (int(found[1]), int(found[2])) < OLDEST_PYTHON:
        note = (
            f"'dockerBaseImage' of '{REQUIREMENTS}' is '{value}'; the runtime needs Python 3.11 or newer, so its own base is used"
        )
        return None, (note,)
    return value, ()

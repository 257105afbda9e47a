"""Documents on disk: shipped profiles, a project's `pesto/stream/*.json`, a `--config` file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

import pesto_stream
from pesto_stream.config.layers import Entry, document_entries
from pesto_stream.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

BASE = "base"
"""The shipped profile that is always laid first."""

_PROFILED_FOLDERS = ("api", "build", "stream")
"""PESTO's folders, and ours, whose files F.json have overlays F.<profile>.json."""


def read_document(path: Path, shown: str) -> dict[str, Any]:
    """The object in a JSON or YAML file (by its suffix, `.json` or any other); empty for an empty YAML file.

    Raises ConfigurationError that names the file as `shown` and the place in it.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        document = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except OSError as error:
        raise ConfigurationError(f"cannot read '{shown}': {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"cannot read '{shown}': byte {error.start} is not UTF-8") from error
    except (json.JSONDecodeError, yaml.YAMLError, RecursionError) as error:
        raise ConfigurationError(f"cannot read '{shown}': {_place(error)}") from error
    if document is None and path.suffix != ".json":
        return {}
    if not isinstance(document, dict):
        raise ConfigurationError(f"cannot read '{shown}': expected an object of settings, found {type(document).__name__}")
    return {str(key): value for key, value in document.items()}


def _place(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
    mark = getattr(error, "problem_mark", None)
    where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    return f"not YAML: {getattr(error, 'problem', None) or 'malformed'}{where}"


def config_file_entries(path: Path) -> Iterator[Entry]:
    """Of a `--config` file."""
    return document_entries(read_document(path, str(path)), f"file {path}")


def profiles_folder() -> Path:
    """Where the shipped profiles are: inside the installed package, or beside it in a source tree."""
    package = Path(pesto_stream.__file__).parent
    installed = package / "_data" / "profiles"
    return installed if installed.is_dir() else package.parent / "profiles"


def shipped_profiles() -> frozenset[str]:
    """Names that `-p` takes without any file in the project."""
    return frozenset(path.stem for path in profiles_folder().glob("*.json")) - {BASE}


def shipped_entries(profiles: Sequence[str]) -> Iterator[Entry]:
    """Of the base profile and of those asked for that are shipped, in order."""
    for name in (BASE, *profiles):
        path = profiles_folder() / f"{name}.json"
        if name == BASE or name in shipped_profiles():
            yield from document_entries(read_document(path, f"profile '{name}'"), f"profile '{name}'")


def project_profiles(project: Path) -> frozenset[str]:
    """Names that the project's own overlay files F.<profile>.json carry."""
    overlays = (file for folder in _PROFILED_FOLDERS for file in (project / "pesto" / folder).glob("*.*.json"))
    return frozenset(file.name.removesuffix(".json").partition(".")[2] for file in overlays)


def project_entries(project: Path, profiles: Sequence[str]) -> Iterator[Entry]:
    """Of `pesto/stream/`: each F.json, then its F.<profile>.json in the order of the profiles; files in sorted order."""
    folder = project / "pesto" / "stream"
    stems = sorted({file.name.partition(".")[0] for file in folder.glob("*.json")})
    for name in (f"{stem}{suffix}.json" for stem in stems for suffix in ("", *(f".{profile}" for profile in profiles))):
        if (folder / name).is_file():
            shown = f"pesto/stream/{name}"
            yield from document_entries(read_document(folder / name, shown), f"project {shown}")

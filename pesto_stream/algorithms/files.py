"""The JSON files of a PESTO project: read, and merged with the files of the profiles asked for."""

from __future__ import annotations

import difflib
import json
from typing import TYPE_CHECKING, Any

from pesto_stream.errors import ProjectError
from pesto_stream.model.merge import merged

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from pathlib import Path

PROFILED_FOLDERS = ("pesto/api", "pesto/build", "pesto/stream")


def read_object(path: Path, shown: str) -> dict[str, Any]:
    """The JSON object in a file. `shown` is how messages name the file."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ProjectError(f"cannot read '{shown}': the file is missing; create it as PESTO's project layout has it") from None
    except UnicodeDecodeError as error:
        raise ProjectError(f"cannot read '{shown}': byte {error.start} is not UTF-8; save the file as UTF-8") from None
    except OSError as error:
        raise ProjectError(f"cannot read '{shown}': {error.strerror or error}") from error
    return _parsed(text, shown)


def _parsed(text: str, shown: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise ProjectError(f"'{shown}' is not JSON: {error.msg} at line {error.lineno} column {error.colno}") from None
    except RecursionError:
        raise ProjectError(f"'{shown}' is nested too deeply to be read") from None
    if not isinstance(value, dict):
        raise ProjectError(f"'{shown}' holds {json_type(value)}; expected a JSON object {{...}}")
    return value


def read_profiled(root: Path, name: str, profiles: Sequence[str]) -> dict[str, Any]:
    """`name` (relative to `root`), with `F.<profile>.json` of each profile laid over it in order. The base file must exist."""
    content = read_object(root / name, name)
    stem = name.removesuffix(".json")
    for profile in profiles:
        overlay = f"{stem}.{profile}.json"
        if (root / overlay).is_file():
            content = merged(content, read_object(root / overlay, overlay))
    return content


def read_optional(root: Path, name: str, profiles: Sequence[str]) -> dict[str, Any]:
    """As `read_profiled`; an empty object stands for a base file that is not there."""
    if (root / name).is_file():
        return read_profiled(root, name, profiles)
    stem = name.removesuffix(".json")
    content: dict[str, Any] = {}
    for overlay in (f"{stem}.{profile}.json" for profile in profiles):
        if (root / overlay).is_file():
            content = merged(content, read_object(root / overlay, overlay))
    return content


def profiles_in(roots: Iterable[Path]) -> set[str]:
    """The names of the profiles that any `F.<profile>.json` below these project folders belongs to."""
    files = (file for root in roots for folder in PROFILED_FOLDERS for file in (root / folder).glob("*.*.json"))
    return {file.name.removesuffix(".json").partition(".")[2] for file in files}


def check_profiles(profiles: Sequence[str], existing: Collection[str]) -> None:
    """Raises ProjectError for a profile that no file belongs to: it would change nothing, in silence."""
    for profile in profiles:
        if profile not in existing:
            have = ", ".join(f"'{name}'" for name in sorted(existing)) or "none"
            hint = did_you_mean(profile, existing)
            raise ProjectError(
                f"profile '{profile}' has no file F.{profile}.json in the project{hint}; profiles that exist: {have}"
            )


def did_you_mean(name: str, candidates: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the nearest candidate, "" where none is near."""
    near = difflib.get_close_matches(name, sorted(candidates), n=1)
    return f"; did you mean '{near[0]}'?" if near else ""


def json_type(value: object) -> str:
    """What JSON calls the type of a value, with its article."""
    names = {bool: "a boolean", dict: "an object", list: "an array", str: "a string", int: "a number", float: "a number"}
    return names.get(type(value), "null")

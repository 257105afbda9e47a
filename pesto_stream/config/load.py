"""The layers, lowest first: defaults < shipped profiles < the project's pesto/stream/*.json < --config < environment < flags."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from pesto_stream.config import rules
from pesto_stream.config.files import config_file_entries, project_entries, project_profiles, shipped_entries, shipped_profiles
from pesto_stream.config.keys import PROPERTIES, did_you_mean, is_property, keys, sections
from pesto_stream.config.layers import Entry, environment_entries
from pesto_stream.config.model import Settings
from pesto_stream.config.secrets import MASK, is_secret, without_secrets
from pesto_stream.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Loaded:
    """`provenance` says for every key (and every librdkafka property) where its value came from."""

    settings: Settings
    provenance: Mapping[str, str]


def load(
    project: Path | None = None,
    profiles: Sequence[str] = (),
    *,
    config_file: Path | None = None,
    environ: Mapping[str, str] | None = None,
    flags: Iterable[Entry] = (),
) -> Loaded:
    """All layers merged and checked; `environ` is the process's own where none is given.

    Raises ConfigurationError with every unknown key, wrong value and broken rule at once, each with its source.
    """
    check_profiles(profiles, project)
    layers: list[Iterable[Entry]] = [
        shipped_entries(profiles),
        project_entries(project, profiles) if project else (),
        config_file_entries(config_file) if config_file else (),
        environment_entries(os.environ if environ is None else environ),
        flags,
    ]
    chosen = {entry.key: entry for entry in chain.from_iterable(layers)}
    settings = _settings(chosen)
    provenance = dict.fromkeys(keys(), DEFAULT) | {key: entry.source for key, entry in chosen.items()}
    broken = [_from(name, text, provenance) for name, text in rules.violations(settings)]
    _raise_all(broken)
    return Loaded(settings, provenance)


def check_profiles(profiles: Sequence[str], project: Path | None = None) -> None:
    """Raises ConfigurationError for a profile that neither the package nor the project has."""
    known = shipped_profiles() | (project_profiles(project) if project else frozenset())
    for name in profiles:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean '{near[0]}'? " if near else ""
            raise ConfigurationError(f"unknown profile '{name}'; {hint}known: {', '.join(sorted(known))}")


def _settings(chosen: Mapping[str, Entry]) -> Settings:
    misplaced = {key: problem for key, entry in chosen.items() if (problem := _misplaced(entry))}
    problems = list(misplaced.values())
    document: dict[str, Any] = {}
    for entry in (entry for entry in chosen.values() if entry.key not in misplaced):
        try:
            _place(document, entry.key, _value(entry))
        except ConfigurationError as error:
            problems.append(str(error))
    try:
        settings = Settings.model_validate(document)
    except ValidationError as error:
        problems += _wrong_values(error, chosen)
    _raise_all(problems)
    return settings


def _misplaced(entry: Entry) -> str:
    """What is wrong with the key itself; empty when nothing is."""
    if entry.key in sections() or entry.key == PROPERTIES:
        inside = "librdkafka's properties" if entry.key == PROPERTIES else f"settings, such as {_first_key(entry.key)}"
        return f"{entry.key}: {_shown(entry)} from {entry.source}; expected an object of {inside}"
    if entry.key in keys() or is_property(entry.key):
        return ""
    return f"{entry.key}: unknown key, from {entry.source}{did_you_mean(entry.key)}"


def _first_key(section: str) -> str:
    return next(key for key in keys() if key.startswith(f"{section}."))


def _place(document: dict[str, Any], key: str, value: Any) -> None:
    """Put a value into the nested document that the model reads."""
    *path, last = key.split(".", PROPERTIES.count(".") + 1)
    for name in path:
        document = document.setdefault(name, {})
    document[last] = value


def _value(entry: Entry) -> Any:
    """The entry's value; of a secret given as {"file": PATH}, the file's text without the line end."""
    known = keys().get(entry.key)
    if known is None or not known.secret or not isinstance(entry.value, Mapping):
        return entry.value
    path = entry.value.get("file")
    if set(entry.value) != {"file"} or not isinstance(path, str):
        raise ConfigurationError(f'{entry.key}: {MASK} from {entry.source}; expected text or {{"file": PATH}}')
    try:
        return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{entry.key}: cannot read the file '{path}' named by {entry.source}: {error}") from error


def _wrong_values(error: ValidationError, chosen: Mapping[str, Entry]) -> Iterator[str]:
    for key in dict.fromkeys(_key_at(problem["loc"], chosen) for problem in error.errors(include_url=False, include_input=False)):
        known = keys().get(key)
        expectation = known.expected if known else "text, number or true/false"
        yield f"{key}: {_shown(chosen[key])} from {chosen[key].source}; expected {expectation}"


def _key_at(location: tuple[int | str, ...], chosen: Mapping[str, Entry]) -> str:
    """The entry that a place in the model belongs to: places go on into unions and lists."""
    names = [".".join(map(str, location[:length])) for length in range(len(location), 0, -1)]
    return next(name for name in names if name in chosen)


def _shown(entry: Entry) -> str:
    return MASK if is_secret(entry.key) else f"'{without_secrets(str(entry.value))}'"


def _from(key: str, text: str, provenance: Mapping[str, str]) -> str:
    source = provenance.get(key, DEFAULT)
    return f"{key}: {text}" if source == DEFAULT else f"{key}: {text} (from {source})"


def _raise_all(problems: Sequence[str]) -> None:
    if len(problems) == 1:
        raise ConfigurationError(problems[0])
    if problems:
        raise ConfigurationError("\n".join((f"{len(problems)} settings are wrong", *(f"  {problem}" for problem in problems))))

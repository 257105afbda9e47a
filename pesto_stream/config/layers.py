"""What one layer sets: a flat sequence of entries, so that each value keeps the name of the place that it came from.

Laying entries over each other by key is PESTO's merge (objects recursively, everything else overwritten) for any document whose
objects are the model's sections; `tests/unit/config/test_layers.py` holds the two side by side.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from pesto_stream.config.keys import PROPERTIES, is_property, keys, sections
from pesto_stream.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ENVIRONMENT_PREFIX = "PESTO_STREAM__"


class Entry(NamedTuple):
    """One value for one dotted key (which may be unknown), and where it came from, in words."""

    key: str
    value: Any
    source: str


def document_entries(document: Mapping[str, Any], source: str) -> Iterator[Entry]:
    """Of a JSON or YAML document. A section without content (`memory:` alone in YAML) sets nothing."""
    return _flat(document, "", source)


def _flat(document: Mapping[str, Any], prefix: str, source: str) -> Iterator[Entry]:
    for name, value in document.items():
        key = f"{prefix}{name}"
        if key in sections() or key == PROPERTIES:
            if isinstance(value, Mapping):
                yield from _flat(value, f"{key}.", source)
            elif value is not None:
                yield Entry(key, value, source)
        else:
            yield Entry(key, value, source)


def text_entries(key: str, text: str, source: str) -> Iterator[Entry]:
    """Of one text from the environment or a flag, read as the key's type: text stays as it is, the rest is YAML (so JSON, too).

    Empty text is none, for a key that may be none. A section's text is an object.
    """
    value = _parsed(key, text)
    if key in sections() or key == PROPERTIES:
        return document_entries({key: value}, source)
    return iter((Entry(key, value, source),))


def _parsed(key: str, text: str) -> Any:
    known = keys().get(key)
    if known is not None and known.optional and not text:
        return None
    if is_property(key) or (known is not None and known.takes_text):
        return text
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def environment_entries(environ: Mapping[str, str]) -> Iterator[Entry]:
    """Of the variables `PESTO_STREAM__SECTION__KEY`, in any case. Below KAFKA__PROPERTIES a name is librdkafka's, with `_` for `.`
    where dots are not to be had: `PESTO_STREAM__KAFKA__PROPERTIES__LINGER_MS`.
    """
    for variable, text in sorted(environ.items()):
        if variable.upper().startswith(ENVIRONMENT_PREFIX):
            key = _key_of(variable[len(ENVIRONMENT_PREFIX) :])
            yield from text_entries(key, text, f"environment {variable}")


def _key_of(name: str) -> str:
    key = name.lower().replace("__", ".")
    if is_property(key):
        return f"{PROPERTIES}.{key.removeprefix(f'{PROPERTIES}.').replace('_', '.')}"
    return key


def assignment_entries(assignments: Iterable[str]) -> Iterator[Entry]:
    """Of `--set KEY=VALUE` flags. Raises ConfigurationError for one without `=`."""
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not key.strip():
            raise ConfigurationError(f"cannot read --set '{key}': expected KEY=VALUE, such as memory.in_flight_mib=512")
        yield from text_entries(key.strip(), text, "flag --set")

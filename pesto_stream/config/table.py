"""The settings as tables: for the docs (Markdown) and for `pesto-stream config` (effective values with their sources)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import SecretStr

from pesto_stream.config.keys import PROPERTIES, Key, keys
from pesto_stream.config.secrets import MASK, is_secret, without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pesto_stream.config.load import Loaded
    from pesto_stream.config.model import Settings


class Row(NamedTuple):
    """One effective setting, fit to be shown: `value` is plain data and holds no secret."""

    key: str
    value: Any
    source: str


def rows(loaded: Loaded) -> Iterator[Row]:
    """Every setting in the model's order, librdkafka's properties one by one."""
    for name in keys():
        if name == PROPERTIES and (properties := loaded.settings.kafka.properties):
            for prop, value in sorted(properties.items()):
                key = f"{PROPERTIES}.{prop}"
                yield Row(key, _shown(key, value), loaded.provenance[key])
        else:
            yield Row(name, _shown(name, _get(loaded.settings, name)), loaded.provenance[name])


def _get(settings: Settings, name: str) -> Any:
    value: Any = settings
    for part in name.split("."):
        value = getattr(value, part)
    return value


def _shown(key: str, value: Any) -> Any:
    if isinstance(value, SecretStr) or is_secret(key):
        return None if value is None else MASK
    if isinstance(value, list):
        return [without_secrets(item) for item in value]
    return without_secrets(value) if isinstance(value, str) else value


def table() -> Iterator[str]:
    """The docs' table of all settings, as Markdown lines."""
    yield "| key | value | default | meaning |"
    yield "|---|---|---|---|"
    for key in keys().values():
        yield f"| `{key.name}` | {key.expected} | {_default(key)} | {key.sentence} |"


def _default(key: Key) -> str:
    if key.default is None:
        return "none"
    return f"`{text_of(key.default)}`"


def text_of(value: Any) -> str:
    """A value as a user would write it: `true`, `16`, `[]`."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "none" if value is None else str(value)

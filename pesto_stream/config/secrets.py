"""Which settings are secret, and text with its secrets masked. Pure."""

from __future__ import annotations

import re
from typing import Final

from pesto_stream.config.keys import is_property, keys

MASK: Final = "***"

_SECRET_PROPERTY: Final = re.compile(r"password|secret|passphrase|\.pem$|token|sasl\.oauthbearer\.config|assertion")
_USER_INFO: Final = re.compile(r"(?<=://)[^/\s@]+(?=@)")


def is_secret(key: str) -> bool:
    """Whether the value of a setting, or of a librdkafka property below `kafka.properties`, may never be shown."""
    known = keys().get(key)
    return known.secret if known else is_property(key) and bool(_SECRET_PROPERTY.search(key))


def without_secrets(text: str) -> str:
    """Text with the user information of URLs masked."""
    return _USER_INFO.sub(MASK, text)

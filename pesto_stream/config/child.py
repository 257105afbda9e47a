"""The environment of child processes."""

from __future__ import annotations

import os


def child_environment(**extra: str) -> dict[str, str]:
    """This process's variables, with `extra` over them."""
    return {**os.environ, **extra}

"""Test resources as the body of PESTO's POST /process: JSON, in which an image is a URL or base64."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from pesto_stream.errors import ProjectError
from pesto_stream.testing.resources import File

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def payload_of(values: Mapping[str, Any], *, embedded: bool) -> dict[str, Any]:
    """With `embedded`, images are base64; else each file is a file:// URL, as is, either way, a file that is no image.

    Raises ProjectError for a file that cannot be read.
    """
    return {name: _plain(value, embedded=embedded) for name, value in values.items()}


def _plain(value: Any, *, embedded: bool) -> Any:
    if isinstance(value, File):
        return _base64(value.path) if embedded and value.is_image else value.path.absolute().as_uri()
    if isinstance(value, dict):
        return payload_of(value, embedded=embedded)
    return [_plain(one, embedded=embedded) for one in value] if isinstance(value, list) else value


def _base64(path: Path) -> str:
    try:
        return base64.b64encode(path.read_bytes()).decode("ascii")
    except OSError as error:
        raise ProjectError(f"cannot read '{path}': {error.strerror}") from error


def folder_url(folder: Path) -> str:
    """The entry of urls.allow that lets a runtime read below `folder`."""
    return folder.absolute().as_uri().rstrip("/") + "/"

"""Rewriting what is expected, from what the algorithm answered. Files that are as expected stay as they are."""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING, Any, Final

from pesto_stream.errors import ProjectError
from pesto_stream.model import envelope
from pesto_stream.testing.answer import Picture
from pesto_stream.testing.resources import DOCUMENTS, FLOATS, INTEGERS, TEXTS, key_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pesto_stream.testing.resources import Case
    from pesto_stream.testing.session import Report

_ENDINGS: Final = {
    envelope.TIFF: ".tif",
    envelope.PNG: ".png",
    envelope.JPEG: ".jpg",
    envelope.JP2: ".jp2",
    envelope.NPY: ".npy",
}
_NO_FILE_NAME: Final = re.compile(r"[/\\\x00-\x1f\x7f]|^\.|^$")
_NUMBER: Final = re.compile(r"[0-9]+")
_LONGEST_NAME: Final = 200


def update_case(case: Case, report: Report) -> list[str]:
    """Write the outputs that differ. A line for each file or folder that was written or removed.

    Raises ProjectError for an output that no file can hold, or that cannot be written; nothing is written then.
    """
    if report.answer is None or report.verdict == "passed":
        return []
    names = _changed(case, report)
    planned = {name: list(_files(case.output, name, report.answer[name], case)) for name in names if name in report.answer}
    try:
        case.output.mkdir(exist_ok=True)
        lines = [line for name in names for line in _rewrite(case, name, planned.get(name))]
    except OSError as error:
        raise ProjectError(f"cannot write '{error.filename}': {error.strerror}") from error
    return lines


def _changed(case: Case, report: Report) -> list[str]:
    if case.expected is None:
        return sorted(report.answer or {})
    return list(dict.fromkeys(str(difference.path[0]) for difference in report.differences))


def _rewrite(case: Case, name: str, files: list[tuple[Path, bytes | None]] | None) -> Iterator[str]:
    before = [path for path in case.output.iterdir() if not path.name.startswith(".") and key_of(path) == name]
    for path in before:
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    shown = ", ".join(f"'{path.name}'" for path in before)
    if files is None:
        yield f"no {shown}"
        return
    for path, content in files:
        path.mkdir(parents=True) if content is None else path.write_bytes(content)
    (top, *_) = files
    yield f"'{top[0].name}'" + (f" in place of {shown}" if shown and shown != f"'{top[0].name}'" else "")


def _files(folder: Path, key: str, value: Any, case: Case) -> Iterator[tuple[Path, bytes | None]]:
    """The files of a value; a folder, with None for its content, comes before what is in it."""
    if _NO_FILE_NAME.search(key) or len(key) > _LONGEST_NAME:
        raise ProjectError(f"cannot write output '{key}' of test '{case.name}': its name is no name for a file")
    if isinstance(value, Picture):
        yield folder / f"{key}{_ENDINGS[value.media_type]}", value.data
    elif _has_picture(value):
        inner = _folder_items(key, value, case)
        yield folder / key, None
        for name, one in inner.items():
            yield from _files(folder / key, name, one, case)
    else:
        yield _plain_file(folder, key, value)


def _folder_items(key: str, value: Any, case: Case) -> Mapping[str, Any]:
    if isinstance(value, list):
        return {str(index): one for index, one in enumerate(value)}
    if all(_NUMBER.fullmatch(name) for name in value):
        raise ProjectError(f"cannot write output '{key}' of test '{case.name}': a folder of numbered images is an array")
    return dict(value)


def _has_picture(value: Any) -> bool:
    if isinstance(value, Picture):
        return True
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(_has_picture(one) for one in inner)


def _plain_file(folder: Path, key: str, value: Any) -> tuple[Path, bytes]:
    if isinstance(value, str):
        return folder / f"{key}{TEXTS[0]}", value.encode("utf-8", "surrogatepass")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        ending = FLOATS[0] if isinstance(value, float) else INTEGERS[0]
        return folder / f"{key}{ending}", f"{value!r}\n".encode()
    return folder / f"{key}{DOCUMENTS[0]}", document_bytes(value)


def document_bytes(value: Any) -> bytes:
    """JSON for people."""
    return json.dumps(value, indent=2, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"

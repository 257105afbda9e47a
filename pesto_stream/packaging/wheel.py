"""The runtime itself, as something that an image can be made of: its source tree, or a wheel of what is installed.

Source of the wheel's form: the binary distribution format of packaging.python.org (wheel 1.0).
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import shutil
import tomllib
import zipfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pesto_stream
from pesto_stream.errors import ConfigurationError

if TYPE_CHECKING:
    from importlib.metadata import Distribution

DISTRIBUTION: Final = "pesto-stream"
DOCKERFILES: Final = ("Dockerfile.cpu", "Dockerfile.gpu")
SOURCES: Final = (
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "constraints.txt",
    *DOCKERFILES,
    "pesto_stream",
    "schemas",
    "profiles",
    "examples",
)
"""What a wheel is made of, in a source tree."""

_NOT_PACKED: Final = ("INSTALLER", "REQUESTED", "RECORD", "direct_url.json", "WHEEL")
_WHEEL: Final = "Wheel-Version: 1.0\nGenerator: pesto-stream\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
"""The same time for all files, so that the same files are the same wheel, and the image's layers are found again."""


def source_tree() -> Path | None:
    """The folder that this package runs from, where it is a source tree."""
    root = Path(pesto_stream.__file__).parents[1]
    try:
        project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8")).get("project", {})
    except (OSError, tomllib.TOMLDecodeError):
        return None
    return root if project.get("name") == DISTRIBUTION else None


def docker_file(name: str) -> Path:
    """A file for images that the package ships: `Dockerfile.cpu`, `Dockerfile.gpu`, `constraints.txt`."""
    installed = Path(pesto_stream.__file__).parent / "_data" / "docker" / name
    return installed if installed.is_file() else Path(pesto_stream.__file__).parents[1] / name


def write_runtime(folder: Path) -> None:
    """Write into `folder` what a base image is built from: the source tree's files, or a wheel and `constraints.txt`.

    Raises ConfigurationError where the package is neither installed nor in a source tree.
    """
    root = source_tree()
    if root is None:
        write_wheel(folder)
        shutil.copyfile(docker_file("constraints.txt"), folder / "constraints.txt")
        return
    for name in SOURCES:
        source = root / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.py[cod]"))
        elif source.is_file():
            shutil.copyfile(source, folder / name)


def write_wheel(folder: Path, installed: Distribution | None = None) -> Path:
    """A wheel of the installed distribution: this package's where none is given. Raises ConfigurationError."""
    try:
        found = installed or distribution(DISTRIBUTION)
    except PackageNotFoundError:
        raise ConfigurationError(
            f"cannot pack the runtime: '{DISTRIBUTION}' is not installed, and this is no source tree"
        ) from None
    files = _files(found)
    info = f"pesto_stream-{found.version}.dist-info"
    files[f"{info}/WHEEL"] = _WHEEL.encode()
    files[f"{info}/RECORD"] = _record(files, f"{info}/RECORD")
    target = folder / f"pesto_stream-{found.version}-py3-none-any.whl"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, content in files.items():
            bundle.writestr(zipfile.ZipInfo(name, _EPOCH), content, zipfile.ZIP_DEFLATED)
    return target


def _files(found: Distribution) -> dict[str, bytes]:
    """What the distribution installed below site-packages; scripts are made anew from the entry points."""
    packed = {}
    for file in sorted(found.files or (), key=str):
        path = file.as_posix()
        if path.startswith("..") or path.endswith((".pyc", ".pth")) or (".dist-info/" in path and file.name in _NOT_PACKED):
            continue
        packed[path] = Path(str(file.locate())).read_bytes()
    if "pesto_stream/__init__.py" not in packed:
        raise ConfigurationError(
            f"cannot pack the runtime: the installed '{DISTRIBUTION}' holds no files of its own; install it anew"
        )
    return packed


def _record(files: dict[str, bytes], own: str) -> bytes:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    for name, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        rows.writerow((name, f"sha256={digest}", len(content)))
    rows.writerow((own, "", ""))
    return text.getvalue().encode()

"""PESTO 1.7.2 itself, in an environment of its own, to make projects with; and the test resources of such a project.

The environment is kept in tests/.cache between sessions: making it takes a package index and about ten seconds.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

VERSION = "1.7.2"
PACKAGES = (f"processing-factory=={VERSION}", "six")
"""`six` is imported by PESTO 1.7.2 and declared by none of its dependencies."""
CACHE = Path(__file__).parents[1] / ".cache"
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
SECONDS = 240
IMAGES = (".tif", ".tiff", ".png", ".jpg", ".jpeg")


class NoPesto(Exception):
    """PESTO cannot be installed here."""


def pesto_environment() -> Path:
    """The folder of a virtual environment with PESTO's command line. Raises NoPesto with the reason."""
    ready = CACHE / f"pesto-{VERSION}-python{PYTHON}"
    if (ready / "bin" / "pesto").is_file():
        return ready
    CACHE.mkdir(exist_ok=True)
    making = Path(tempfile.mkdtemp(dir=CACHE))
    try:
        _run([sys.executable, "-m", "venv", str(making)])
        pip = [str(making / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _run([*pip, *PACKAGES])
        (making / "bin" / "pesto").write_text(_LAUNCHER)
        (making / "bin" / "pesto").chmod(0o755)
        shutil.rmtree(ready, ignore_errors=True)
        making.rename(ready)
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or str(error)
        raise NoPesto(f"cannot install {' and '.join(PACKAGES)}: {str(said).strip()[-500:]}") from error
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return ready


_LAUNCHER = """#!/bin/sh
exec "$(dirname "$0")/python" -c "from pesto.cli.app import main; main()" "$@"
"""
"""pip writes the path of the folder it installs to into its own."""


def pesto(environment: Path, home: Path, *arguments: str | Path) -> str:
    """Run PESTO's command line; what it wrote. `home` is where it leaves files of its own."""
    return _run([str(environment / "bin" / "pesto"), *map(str, arguments)], home)


def _run(command: list[str], home: Path | None = None) -> str:
    environment = {**os.environ, **({} if home is None else {"HOME": str(home)})}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True, env=environment)
    return done.stdout + done.stderr


def resource(path: Path) -> Any:
    """A test resource as a payload has it: images as file URLs, folders as arrays (all names are numbers) or objects."""
    if path.is_dir():
        entries = {entry.stem: resource(entry) for entry in path.iterdir()}
        numbered = all(name.isdecimal() for name in entries)
        return [entries[name] for name in sorted(entries, key=int)] if numbered and entries else entries
    text = "" if path.suffix in IMAGES else path.read_text("utf-8")
    readers = {
        ".string": lambda: text,
        **dict.fromkeys((".float", ".number"), lambda: float(text)),
        **dict.fromkeys((".int", ".integer"), lambda: int(text)),
        **dict.fromkeys((".json", ".geojson"), lambda: json.loads(text)),
        **dict.fromkeys(IMAGES, lambda: f"file://{path}"),
    }
    return readers[path.suffix]()

"""A `docker` that does nothing but write down what it was asked: for what is decided before an engine is needed."""

import sys
from pathlib import Path

_PROGRAM = """#!{python}
import json, sys
with open({log!r}, "a") as log:
    log.write(json.dumps(sys.argv[1:]) + "\\n")
if sys.argv[1] == "--version":
    print("Docker version {version}, build x")
if sys.argv[1] == {fails!r}:
    sys.exit("refused")
if sys.argv[1:3] == ["image", "ls"]:
    print("sha256:1")
if sys.argv[1:3] == ["image", "inspect"]:
    print({images!r})
"""


def stub_docker(folder: Path, *, version: str = "20.10.24", fails: str = "", images: str = "[]") -> Path:
    """Write it into `folder`; it fails at the command `fails`. Returns the file that gets one JSON list of words per call."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "calls"
    log.touch()
    program = folder / "docker"
    program.write_text(_PROGRAM.format(python=sys.executable, log=str(log), version=version, fails=fails, images=images))
    program.chmod(0o755)
    return log

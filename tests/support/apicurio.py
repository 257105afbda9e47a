"""A real schema registry: Apicurio's, in memory, which speaks Confluent's protocol."""

import contextlib
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from support import maven
from support.child import Child
from support.waiting import wait_until

FOLDER = Path(__file__).parents[1] / "registry"
OLDEST_JAVA = 21
READY_SECONDS = 120.0
PATH = "/apis/ccompat/v7"


@contextlib.contextmanager
def real_registry() -> Iterator[str]:
    """The registry's address (`http://127.0.0.1:port`, without `PATH`) while the context lasts. Raises maven.Missing."""
    java, files = maven.java(OLDEST_JAVA), maven.fetched(FOLDER, "unpack-dependencies")

    def command(folder: Path, port: int) -> list[str]:
        flags = ["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", f"-Djava.io.tmpdir={folder}"]
        places = {"quarkus.http.host": "127.0.0.1", "quarkus.http.port": port, "quarkus.management.enabled": "false"}
        return [java, *flags, *(f"-D{key}={value}" for key, value in places.items()), "-jar", str(files / "quarkus-run.jar")]

    server = Child("registry", command, seconds=READY_SECONDS)
    try:
        address = f"http://127.0.0.1:{server.port}"
        wait_until(lambda: _ready(f"{address}{PATH}/subjects"), "the registry to answer", seconds=READY_SECONDS)
        yield address
    finally:
        server.close()


def _ready(url: str) -> bool:
    """It listens before all of it is there."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False

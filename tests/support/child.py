"""A server as a child process on a loopback port, which ends with the process that started it, however that ends."""

import contextlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from support import guarded


class Child:
    """A command under `guarded`, with a folder of its own that is removed at the end."""

    def __init__(self, name: str, command: Callable[[Path, int], Sequence[str]], *, seconds: float) -> None:
        """Starts `command(folder, port)` and waits until it takes connections. Raises RuntimeError where it does not in time."""
        self._name = name
        self._folder = Path(tempfile.mkdtemp(prefix=f"pesto-{name}-"))
        self._log = self._folder / "server.log"
        # bound, never listening, held until close: Linux lets the child listen on it and gives it to nobody else
        self._held = reserved_port()
        self.port: int = self._held.getsockname()[1]
        with self._log.open("wb") as log:
            self._guard = subprocess.Popen(
                [sys.executable, guarded.__file__, str(self._folder), *command(self._folder, self.port)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True, cwd=self._folder,
            )  # fmt: skip
        assert self._guard.stdout is not None
        self._guard.stdout.readline()  # the child's process id: it runs
        try:
            self._wait(time.monotonic() + seconds)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        with contextlib.suppress(BrokenPipeError):  # it has ended by itself
            self._guard.communicate(guarded.KEEP.decode())
        self._held.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _wait(self, deadline: float) -> None:
        while not self._answers():
            if self._guard.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self._name} did not start: {self._log.read_text('utf-8', 'replace')[-2000:]}")
            time.sleep(0.02)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 0.2):
            return True
        return False


def reserved_port() -> socket.socket:
    held = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    return held

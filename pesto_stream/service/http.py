"""The sidecar: a small HTTP server in a thread of its own, with an event loop of its own."""

from __future__ import annotations

import logging
import socket
import sys
import threading
from typing import TYPE_CHECKING, Any, Final, cast

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from pesto_stream.errors import ConfigurationError, FatalError
from pesto_stream.service.app import Document, Documents, application

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from pesto_stream.metrics import Metrics
    from pesto_stream.model.snapshot import Snapshot
    from pesto_stream.service.processing import Processing

__all__ = ["Document", "Documents", "Sidecar"]

MAX_CONNECTIONS: Final = 64
MAX_HEADER_BYTES: Final = 16 << 10
KEEP_ALIVE_SECONDS: Final = 5
EXCHANGE_SECONDS: Final = 10.0
START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 3.0
SWITCH_SECONDS: Final = 0.0005

log = logging.getLogger(__name__)


class Sidecar:
    """Serves what `snapshot`, `metrics` and `documents` say, and with `processing` PESTO's processing API. Installs no signal handlers;
    any thread may start and stop it.

    While it runs, Python's switch interval is at most `SWITCH_SECONDS`. An answer needs the interpreter's lock about ten times, and
    beside an algorithm in pure Python each time costs a whole interval, for every thread that computes.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        snapshot: Callable[[], Snapshot],
        metrics: Metrics,
        documents: Documents,
        processing: Processing | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self._app = application(snapshot, metrics, documents, processing)
        self._server: _Server | None = None
        self._switch_seconds = sys.getswitchinterval()

    @property
    def port(self) -> int:
        """The port that it listens on: after `start` the real one, also where 0 asked for any."""
        return self._port

    def start(self) -> None:
        """Returns when the port is bound and served. Raises ConfigurationError where it cannot be bound, FatalError where the
        server does not come up.
        """
        assert self._server is None, "started twice"
        listener = _bind(self._host, self._port)
        self._port = listener.getsockname()[1]
        self._switch_seconds = sys.getswitchinterval()
        sys.setswitchinterval(min(self._switch_seconds, SWITCH_SECONDS))
        self._server = _Server(self._app, listener)
        self._server.thread.start()
        if not self._server.up.wait(START_SECONDS) or not self._server.started:
            self.stop()
            raise FatalError(f"sidecar on '{self._host}:{self._port}' did not come up; the log says more")
        log.info("sidecar listens on %s:%d", self._host, self._port)

    def stop(self) -> None:
        """Ends the server; a client that does not take its answer is cut off. Returns after a few seconds at most."""
        server, self._server = self._server, None
        if server is None:
            return
        server.end()
        sys.setswitchinterval(self._switch_seconds)


class _Server(uvicorn.Server):
    """With its thread. `up` is set when it serves, or has failed to."""

    def __init__(self, app: Any, listener: socket.socket) -> None:
        super().__init__(_config(app))
        self.up = threading.Event()
        self.thread = threading.Thread(target=self._work, args=(listener,), name="sidecar", daemon=True)

    def _work(self, listener: socket.socket) -> None:
        try:
            with listener:
                self.run([listener])
        finally:
            self.up.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()

    def end(self) -> None:
        self.should_exit = True
        self.thread.join(STOP_SECONDS)
        if self.thread.is_alive():
            self.force_exit = True
            self.thread.join(STOP_SECONDS)
        if self.thread.is_alive():
            log.warning("sidecar did not stop within %.0f s; its thread is left behind", 2 * STOP_SECONDS)


class _Connection(H11Protocol):
    """Drops a client that does not send its request and take the answer within `EXCHANGE_SECONDS`, or the time that a page grants it
    (`state["grant"]` of the ASGI scope); and where there are too many connections the one whose time ends first, so that a probe
    always gets in.
    """

    deadline: asyncio.TimerHandle

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, "grant": self._grant}
        self._begin_exchange()
        if len(self.connections) > MAX_CONNECTIONS:
            slowest = min(cast("set[_Connection]", self.connections), key=lambda connection: connection.deadline.when())
            self.connections.discard(slowest)
            slowest.transport.abort()

    def on_response_complete(self) -> None:
        self.deadline.cancel()
        self._begin_exchange()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self.deadline.cancel()
        super().connection_lost(exc)

    def _grant(self, seconds: float) -> None:
        self.deadline.cancel()
        self.deadline = self.loop.call_later(max(seconds, EXCHANGE_SECONDS), self.transport.abort)

    def _begin_exchange(self) -> None:
        self.deadline = self.loop.call_later(EXCHANGE_SECONDS, self.transport.abort)


def _config(app: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="asyncio",
        http=_Connection,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",  # its warnings are about what clients send: anybody could fill the log
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=MAX_CONNECTIONS,
        h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=1,
    )


def _bind(host: str, port: int) -> socket.socket:
    try:
        candidates = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = candidates[0]
        return _listener(family, kind, protocol, address)
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on '{host}:{port}': {error.strerror or error}; "
            "set http.host to an address of this machine and http.port to a free port (0: any)"
        ) from error


def _listener(family: int, kind: int, protocol: int, address: Any) -> socket.socket:
    """With the protocol's number, not 0: only then does asyncio turn Nagle's algorithm off, which costs 40 ms per answer."""
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(MAX_CONNECTIONS)
    except OSError:
        listener.close()
        raise
    return listener

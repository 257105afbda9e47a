"""A wire that can be cut: a loopback port that passes connections on to another one, counts them, and can go down and come back."""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Iterator
from typing import Any

from support.child import reserved_port

_BLOCK = 1 << 16
_SECONDS = 30.0


class Relay:
    """`url`, `port`: where to go instead of the target's address; `connections`: how many were made so far. All sockets belong to one
    thread, so that none is closed while another thread reads it.
    """

    def __init__(self, target: str) -> None:
        """`target`: `http://127.0.0.1:port` or the like."""
        scheme, _, place = target.partition("://")
        host, _, port = place.partition(":")
        self._target = (host, int(port))
        self._held = reserved_port()
        self.port: int = self._held.getsockname()[1]
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        self.connections = 0
        self._server: asyncio.Server | None = None
        self._passing: set[asyncio.Task[Any]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="relay", daemon=True)
        self._thread.start()

    def up(self) -> None:
        self._do(self._listen())

    def down(self) -> None:
        """Cut what is open, and refuse connections from now on."""
        self._do(self._cut())

    def close(self) -> None:
        self.down()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_SECONDS)
        self._loop.close()
        self._held.close()

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(_SECONDS)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._pass, "127.0.0.1", self.port)

    async def _cut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in self._passing:
            task.cancel()
        await asyncio.gather(*self._passing, return_exceptions=True)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._passing.add(task)
        with contextlib.suppress(OSError, asyncio.CancelledError):  # an end hung up, or the wire was cut
            await self._both_ways(reader, writer)
        self._passing.discard(task)
        writer.transport.abort()

    async def _both_ways(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Until one end closes; what is on the way still arrives."""
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        ways = [asyncio.create_task(_copy(reader, far_writer)), asyncio.create_task(_copy(far_reader, writer))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            writer.close()
            await writer.wait_closed()
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            far_writer.transport.abort()


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while data := await source.read(_BLOCK):
        sink.write(data)
        await sink.drain()


@contextlib.contextmanager
def relaying(target: str) -> Iterator[Relay]:
    relay = Relay(target)
    relay.up()
    try:
        yield relay
    finally:
        relay.close()

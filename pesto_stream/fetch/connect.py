"""Connections for the HTTP reader: to addresses that were checked, and no longer than the image's time.

The name is resolved once, every address that it has is checked, and the connection goes to one of those: a name that resolves to
another address a moment later gains nothing.
"""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Any

import httpcore

from pesto_stream.errors import StoreUnavailable

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable

    from pesto_stream.fetch.policy import Policy
    from pesto_stream.fetch.reading import Budget


class Current(threading.local):
    """The budget of the image that this thread is reading."""

    budget: Budget | None = None

    def seconds(self, timeout: float | None) -> float | None:
        """`timeout`, or what is left of the image's time where that is less."""
        if self.budget is None:
            return timeout
        left = self.budget.remaining()
        return left if timeout is None else min(timeout, left)


class LimitedStream(httpcore.NetworkStream):
    """A stream whose every operation ends with the budget, so that a server that drips a byte at a time does not outlast it."""

    def __init__(self, stream: httpcore.NetworkStream, current: Current) -> None:
        self._stream, self._current = stream, current

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._current.seconds(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._current.seconds(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> LimitedStream:
        stream = self._stream.start_tls(ssl_context, server_hostname, self._current.seconds(timeout))
        return LimitedStream(stream, self._current)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def resolve(host: str, port: int) -> list[str]:
    """The IP addresses of a host. Raises StoreUnavailable where its name is not known (now)."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise StoreUnavailable(f"cannot resolve host '{host}': {error}") from error
    return list(dict.fromkeys(str(address[4][0]) for address in found))


class CheckedBackend(httpcore.NetworkBackend):
    """Resolves, checks, connects."""

    def __init__(self, policy: Policy, current: Current, resolver: Callable[[str, int], list[str]] = resolve) -> None:
        self._policy, self._current, self._resolve = policy, current, resolver
        self._backend = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> LimitedStream:
        addresses = self._resolve(host, port)
        for address in addresses:
            self._policy.check_address(host, address)
        failure: Exception | None = None
        for address in addresses:
            try:
                stream = self._backend.connect_tcp(address, port, self._current.seconds(timeout), local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return LimitedStream(stream, self._current)
        raise failure or httpcore.ConnectError(f"host '{host}' has no address")

"""A request's body, read within bounds of size and time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request


class HttpRefused(Exception):
    """Of HTTP alone: the answer is `status` and the message, and the connection is closed."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


async def read_body(request: Request, take: Callable[[int], None], max_bytes: int, seconds: float) -> bytes:
    """`take` is told of each piece before it is kept, and may raise. Raises HttpRefused."""
    too_large = HttpRefused(413, f"the body is over http.max_body_mib ({max_bytes} bytes)")
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:20]) > max_bytes:
        raise too_large
    grant(request, 2 * seconds)  # this limit answers first; the server's only hangs up
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for piece in request.stream():
                take(len(piece))
                if len(body) + len(piece) > max_bytes:
                    raise too_large
                body += piece
    except TimeoutError:
        raise HttpRefused(408, f"the body did not come within {seconds:g} s (http.transfer_seconds)") from None
    except ClientDisconnect:
        raise HttpRefused(400, "the client went away before the end of its body") from None
    if not body:
        raise HttpRefused(400, "the body is empty: expected a JSON object of inputs by name")
    return bytes(body)


def grant(request: Request, seconds: float) -> None:
    """More time for this exchange than the server gives by itself, where there is a server."""
    more = request.scope.get("state", {}).get("grant")
    if more is not None:
        more(seconds)

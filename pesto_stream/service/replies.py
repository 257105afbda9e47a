"""The sidecar's answers: JSON, text, errors of geoprocessing-api's form, and bytes that a slow client takes piece by piece."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson
from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.types import Receive, Scope, Send

HEADERS: Final = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
CORRELATION: Final = "x-correlation-id"
MAX_MESSAGE_CHARACTERS: Final = 2000
_PIECE_BYTES: Final = 64 << 10


def json_reply(value: Mapping[str, Any], status_code: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    body = orjson.dumps(value, default=dict, option=orjson.OPT_NON_STR_KEYS)
    return Response(body, status_code, {**HEADERS, **(headers or {})}, "application/json")


def text_reply(body: bytes, media_type: str) -> Response:
    return Response(body, 200, {**HEADERS, "content-type": media_type})


def error_reply(message: str, status_code: int, *, headers: Mapping[str, str] | None = None, **more: str | None) -> Response:
    """`Error` of geoprocessing-api 1.0: `message`, and of `hint`, `correlationId`, `timestamp` what is known."""
    text = message.encode("utf-8", "replace").decode("utf-8")  # a lone surrogate is no JSON
    shown = text if len(text) <= MAX_MESSAGE_CHARACTERS else text[: MAX_MESSAGE_CHARACTERS - 1] + "…"
    return json_reply({"message": shown, **{name: value for name, value in more.items() if value}}, status_code, headers)


class PiecewiseReply(Response):
    """Sends its body in pieces, each when the client has taken the ones before, so that what the server buffers stays small.
    `sent` is called in the end, whether the client has taken everything or gone away.
    """

    def __init__(self, body: bytes, media_type: str, sent: Callable[[], None], headers: Mapping[str, str] | None = None) -> None:
        super().__init__(body, 200, {**HEADERS, **(headers or {}), "content-type": media_type})
        self._sent = sent

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            whole = memoryview(bytes(self.body))
            for start in range(0, len(whole), _PIECE_BYTES):
                piece = bytes(whole[start : start + _PIECE_BYTES])
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            self._sent()

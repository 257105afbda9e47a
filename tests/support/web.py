"""HTTP servers on a loopback port: a file server that knows ranges, and servers that misbehave.

with serving({"/a.tif": data}) as web:
    web.url("/a.tif"), web.requests
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote


@dataclass
class Request:
    """What the server saw. `sent`: bytes of body that it sent."""

    path: str
    headers: dict[str, str]
    sent: int = 0

    @property
    def range(self) -> str | None:
        return self.headers.get("range")


STAMPS = {"ETag": '"1"', "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Web

    def do_GET(self) -> None:
        request = Request(self.path, {name.lower(): value for name, value in self.headers.items()})
        self.server.requests.append(request)
        page = self.server.pages.get(unquote(self.path.partition("?")[0]))
        try:
            if callable(page):
                page(self, request)
            elif page is None:
                self.answer(request, 404, b"no such page")
            else:
                self._file(request, page)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _file(self, request: Request, data: bytes) -> None:
        match = re.fullmatch(r"bytes=(\d+)-(\d+)", request.range or "")
        if match is None or not self.server.ranges:
            self.answer(request, 200, data, STAMPS)
            return
        first, last = int(match.group(1)), min(int(match.group(2)), len(data) - 1)
        self.answer(request, 206, data[first : last + 1], STAMPS | {"Content-Range": f"bytes {first}-{last}/{len(data)}"})

    def answer(self, request: Request, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        request.sent += len(body)

    def start(self, headers: dict[str, str], status: int = 200) -> None:
        """Headers of an answer whose end is the end of the connection."""
        self.close_connection = True
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


Page = bytes | Callable[[Handler, Request], None]


@dataclass
class Web(ThreadingHTTPServer):
    """`pages`: path -> bytes or what answers; `ranges`: whether Range headers are heeded; `closing`: set when the server ends."""

    pages: dict[str, Page]
    ranges: bool = True
    requests: list[Request] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)

    daemon_threads = True
    block_on_close = False

    def __post_init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)

    def __hash__(self) -> int:
        return id(self)

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    @property
    def sent(self) -> int:
        return sum(request.sent for request in self.requests)

    def handle_error(self, *args: object) -> None:
        """A client that hangs up is what many tests are about."""


@contextmanager
def serving(pages: dict[str, Page], *, ranges: bool = True) -> Iterator[Web]:
    web = Web(pages, ranges)
    thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield web
    finally:
        web.closing.set()
        web.shutdown()
        web.server_close()
        thread.join()


def redirect(location: str, status: int = 302) -> Page:
    return lambda handler, request: handler.answer(request, status, b"", {"Location": location})


def status(code: int) -> Page:
    return lambda handler, request: handler.answer(request, code, b"sorry")


def dripping(data: bytes, pause: float = 0.02) -> Page:
    """A byte at a time, for ever (again from the start when `data` ends)."""

    def page(handler: Handler, request: Request) -> None:
        handler.start({"Content-Type": "image/tiff"})
        while True:
            for byte in data:
                handler.wfile.write(bytes([byte]))
                request.sent += 1
                if handler.server.closing.wait(pause):
                    return

    return page


def dripping_headers(pause: float = 0.02) -> Page:
    """An answer whose headers never end."""

    def page(handler: Handler, request: Request) -> None:
        handler.close_connection = True
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        while not handler.server.closing.wait(pause):
            handler.wfile.write(b"x")

    return page


def silent() -> Page:
    """Takes the request and answers nothing."""

    def page(handler: Handler, request: Request) -> None:
        handler.close_connection = True
        handler.server.closing.wait(60)

    return page


def endless(head: bytes = b"") -> Page:
    """A body without an end, as fast as it goes."""

    def page(handler: Handler, request: Request) -> None:
        handler.start({})
        handler.wfile.write(head)
        block = bytes(1 << 16)
        while not handler.server.closing.is_set():
            handler.wfile.write(block)
            request.sent += len(block)

    return page


def lying(data: bytes, announced: int) -> Page:
    """Announces another length than it sends, then hangs up."""

    def page(handler: Handler, request: Request) -> None:
        handler.start({"Content-Length": str(announced)})
        handler.wfile.write(data)
        request.sent += len(data)

    return page


def encoded(data: bytes, coding: str) -> Page:
    return lambda handler, request: handler.answer(request, 200, data, {"Content-Encoding": coding})

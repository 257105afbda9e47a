"""Images over HTTP(S): redirects by hand, each through the policy; ranges for windows; every byte counted.

No proxy, no cookies, no credentials are taken from the environment: a record's URL must reach what the policy checked, and nothing else.
Source: RFC 9110 (ranges: section 14).
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin

import httpcore

from pesto_stream.converters.image import Whole
from pesto_stream.errors import FetchRefused, StoreUnavailable
from pesto_stream.fetch.connect import CheckedBackend, Current, resolve
from pesto_stream.fetch.reading import HEAD_BYTES, Extents
from pesto_stream.fetch.trust import refusal, tls_context

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pesto_stream.config.model import Urls
    from pesto_stream.converters.image import RandomAccess
    from pesto_stream.fetch.policy import Policy, Target
    from pesto_stream.fetch.reading import Budget

REDIRECTS: Final = (301, 302, 303, 307, 308)
OK: Final = 200
PARTIAL: Final = 206
BUSY: Final = (408, 425, 429)
SERVER_ERRORS: Final = range(500, 600)
MEANINGS: Final = {401: "it needs credentials", 403: "access is denied", 404: "it is not there", 410: "it is gone"}
CONTENT_RANGE: Final = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
CONNECTIONS: Final = 32


@dataclass(frozen=True, slots=True)
class Answer:
    """A response with its body. `target` is where the redirects ended."""

    target: Target
    status: int
    headers: dict[str, str]
    body: bytes


class HttpFiles:
    """Opener for http and https: one pool of connections for all threads."""

    def __init__(
        self,
        settings: Urls,
        policy: Policy,
        resolver: Callable[[str, int], list[str]] = resolve,
        trusted: str | None = None,
    ) -> None:
        """`trusted`: certificates of more authorities than the system's, in PEM form."""
        self._settings, self._policy = settings, policy
        self._current = Current()
        self._pool = httpcore.ConnectionPool(
            ssl_context=tls_context(trusted),
            max_connections=CONNECTIONS,
            keepalive_expiry=30,
            network_backend=CheckedBackend(policy, self._current, resolver),
        )

    def close(self) -> None:
        self._pool.close()

    def read(self, target: Target, budget: Budget) -> RandomAccess:
        """The whole body, in memory. Raises FetchRefused, StoreUnavailable."""
        return Whole(self._get(target, budget, None).body)

    def open(self, target: Target, budget: Budget) -> RandomAccess:
        """By ranges; a server that knows none gives the whole body at once. Raises FetchRefused, StoreUnavailable."""
        answer = self._get(target, budget, (0, HEAD_BYTES))
        if answer.status == OK:
            return Whole(answer.body)
        start, end, size = _content_range(answer, budget)
        if start != 0 or end - start != len(answer.body):
            raise FetchRefused(f"cannot read '{budget.shown}': the server answers with another range than the one asked for")
        tag = answer.headers.get("etag", "")

        def piece(offset: int, length: int) -> bytes:
            return self._piece(answer.target, budget, (offset, length), size, tag)

        return Extents(size, piece, [(0, answer.body)])

    def _piece(self, target: Target, budget: Budget, wanted: tuple[int, int], size: int, tag: str) -> bytes:
        answer = self._get(target, budget, wanted)
        if answer.status != PARTIAL or answer.headers.get("etag", "") != tag:
            raise FetchRefused(f"cannot read '{budget.shown}': it changed while it was read")
        if _content_range(answer, budget) != (wanted[0], sum(wanted), size) or len(answer.body) != wanted[1]:
            raise FetchRefused(f"cannot read '{budget.shown}': the server answers with another range than the one asked for")
        return answer.body

    def _get(self, target: Target, budget: Budget, wanted: tuple[int, int] | None) -> Answer:
        """Follow redirects to a body. `wanted`: offset and length."""
        for _ in range(self._settings.max_redirects + 1):
            answer = self._answer(target, budget, wanted)
            if answer.status not in REDIRECTS:
                return answer
            target = self._redirected(answer)
        raise FetchRefused(
            f"cannot read '{budget.shown}': more than {self._settings.max_redirects} redirects (urls.max_redirects)"
        )

    def _redirected(self, answer: Answer) -> Target:
        location = answer.headers.get("location", "")
        if not location:
            raise FetchRefused(f"cannot read '{answer.target.masked}': it answers with a redirect to nowhere")
        try:
            url = urljoin(answer.target.url, location)
        except ValueError as error:
            raise FetchRefused(f"cannot read '{answer.target.masked}': it redirects to what is no URL ({error})") from error
        if not url.lower().startswith(("http://", "https://")):
            raise FetchRefused(f"cannot read '{answer.target.masked}': it redirects to another scheme than http and https")
        try:
            return self._policy.check(url)
        except FetchRefused as error:
            raise FetchRefused(f"cannot follow the redirect of '{answer.target.masked}': {error}") from error

    def _answer(self, target: Target, budget: Budget, wanted: tuple[int, int] | None) -> Answer:
        """One request; a second one where the server closed the connection (a kept one, as a rule) without a proper answer."""
        with self._translated(budget):
            try:
                return self._request(target, budget, wanted)
            except httpcore.RemoteProtocolError:
                return self._request(target, budget, wanted)

    def _request(self, target: Target, budget: Budget, wanted: tuple[int, int] | None) -> Answer:
        headers = {"Host": _host(target), "Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "pesto-stream"}
        if wanted is not None:
            headers["Range"] = f"bytes={wanted[0]}-{sum(wanted) - 1}"
        seconds = budget.remaining()
        timeout = {"connect": self._settings.connect_timeout_seconds, "read": seconds, "write": seconds, "pool": seconds}
        self._current.budget = budget
        try:
            with self._pool.stream("GET", target.url, headers=list(headers.items()), extensions={"timeout": timeout}) as response:
                found = {name.decode("ascii").lower(): value.decode("latin-1") for name, value in response.headers}
                if response.status in REDIRECTS:
                    return Answer(target, response.status, found, b"")
                _check_status(response.status, wanted, budget)
                return Answer(target, response.status, found, _body(response, found, budget))
        finally:
            self._current.budget = None

    @contextmanager
    def _translated(self, budget: Budget) -> Iterator[None]:
        """The client's errors as ours: trouble outside is worth another try, what this server does to this image is not."""
        try:
            yield
        except httpcore.RemoteProtocolError as error:
            raise FetchRefused(
                f"cannot read '{budget.shown}': the server's answer is not valid or ends early ({error})"
            ) from error
        except (httpcore.ReadTimeout, httpcore.WriteTimeout) as error:
            raise budget.too_slow() from error
        except (httpcore.TimeoutException, httpcore.NetworkError) as error:
            if refused := refusal(error):
                raise FetchRefused(f"cannot read '{budget.shown}': {refused}") from error
            raise StoreUnavailable(
                f"cannot read '{budget.shown}': {type(error).__name__}: {error or 'no answer in time'}"
            ) from error
        except (httpcore.ProtocolError, httpcore.UnsupportedProtocol) as error:
            raise FetchRefused(f"cannot read '{budget.shown}': {error}") from error


def _host(target: Target) -> str:
    return target.url.split("/", 3)[2]


def _check_status(status: int, wanted: tuple[int, int] | None, budget: Budget) -> None:
    if status == OK or (status == PARTIAL and wanted is not None):
        return
    if status in SERVER_ERRORS or status in BUSY:
        raise StoreUnavailable(f"cannot read '{budget.shown}': the server answers with status {status}")
    raise FetchRefused(f"cannot read '{budget.shown}': {MEANINGS.get(status, 'the server refuses')} (HTTP status {status})")


def _body(response: httpcore.Response, headers: dict[str, str], budget: Budget) -> bytes:
    """The body, never more than the budget. No coding is undone: one that was not asked for is refused."""
    coding = headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("", "identity"):
        raise FetchRefused(f"cannot read '{budget.shown}': its body is encoded as '{coding[:40]}', expected no Content-Encoding")
    announced = headers.get("content-length", "")
    if announced.isdigit():
        budget.expect(int(announced))
    data = bytearray()
    for chunk in response.iter_stream():
        budget.spend(len(chunk))
        data += chunk
    return bytes(data)


def _content_range(answer: Answer, budget: Budget) -> tuple[int, int, int]:
    """First byte, byte behind the last, size of the file."""
    match = CONTENT_RANGE.fullmatch(answer.headers.get("content-range", "").strip())
    if match is None:
        raise FetchRefused(f"cannot read '{budget.shown}': the server's Content-Range is not valid")
    first, last, size = (int(number) for number in match.groups())
    return first, last + 1, size

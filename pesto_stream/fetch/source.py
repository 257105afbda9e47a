"""Images by URL, for the converters: policy, the scheme's reader, the codec, and what is counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from pesto_stream.converters.image import read_image
from pesto_stream.errors import FetchRefused, ImageError, StoreUnavailable
from pesto_stream.fetch.local import LocalFiles
from pesto_stream.fetch.policy import SCHEMES, STORES, Policy
from pesto_stream.fetch.reading import Budget
from pesto_stream.fetch.trust import authorities

if TYPE_CHECKING:
    from pesto_stream.clock import Clock
    from pesto_stream.config.model import Urls
    from pesto_stream.converters.image import RandomAccess
    from pesto_stream.converters.limits import Limits
    from pesto_stream.fetch.policy import Target
    from pesto_stream.metrics import Metrics
    from pesto_stream.model.tile import Region, Tile, Window

RESULTS: Final = {FetchRefused: "refused", ImageError: "invalid", StoreUnavailable: "unavailable"}


class Opener(Protocol):
    """Reads the targets of one or more schemes. Raises FetchRefused, StoreUnavailable."""

    def read(self, target: Target, budget: Budget) -> RandomAccess:
        """The whole file, in memory."""

    def open(self, target: Target, budget: Budget) -> RandomAccess:
        """The file, to be read piece by piece."""


class UrlImageSource:
    """Implements `converters.base.ImageSource`. Safe to use from several threads. Raises ConfigurationError for `urls.allow` and
    `urls.ca_file` that cannot be used.
    """

    def __init__(self, settings: Urls, limits: Limits, metrics: Metrics, clock: Clock) -> None:
        self._settings, self._limits, self._metrics, self._clock = settings, limits, metrics, clock
        self._policy = Policy(settings.allow, allow_private=settings.allow_private)
        self._trusted = authorities(settings.ca_file)
        self._openers: dict[str, Opener] = {"file": LocalFiles(self._policy)}

    def read(self, url: str, window: Window | Region | None = None) -> tuple[Tile, str]:
        """The image behind `url`, or one window of it, and its media type. The signature says what it is, not the server's
        Content-Type: object stores call most images `application/octet-stream`.

        A window of a TIFF is read without the rest where the server knows ranges. Raises FetchRefused, ImageError, StoreUnavailable.
        """
        scheme = url.partition("://")[0].lower()
        label = scheme if scheme in SCHEMES else "other"
        try:
            result = self._read(url, window)
        except (FetchRefused, ImageError, StoreUnavailable) as error:
            self._metrics.count("pesto_fetched_images_total", scheme=label, result=RESULTS[type(error)])
            raise
        self._metrics.count("pesto_fetched_images_total", scheme=label, result="ok")
        return result

    def _read(self, url: str, window: Window | Region | None) -> tuple[Tile, str]:
        target = self._policy.check(url)
        opener = self._opener(target.scheme)
        budget = Budget(self._clock, self._settings.timeout_seconds, self._limits.max_encoded_bytes, target.masked)
        try:
            file = opener.read(target, budget) if window is None else opener.open(target, budget)
            return read_image(file, None, self._limits, window)
        except ImageError as error:
            raise ImageError(f"{error}, from '{target.masked}'") from error
        finally:
            self._metrics.count("pesto_fetched_bytes_total", budget.spent, scheme=target.scheme)

    def _opener(self, scheme: str) -> Opener:
        if scheme not in self._openers:
            for name, opener in self._build(scheme).items():
                self._openers.setdefault(name, opener)
        return self._openers[scheme]

    def _build(self, scheme: str) -> dict[str, Opener]:
        """Loaded on first use: the object stores' library and the HTTP client take their time to start."""
        if scheme in STORES:
            from pesto_stream.fetch.store import ObjectStores  # noqa: PLC0415

            return dict.fromkeys(STORES, ObjectStores(self._settings, self._trusted))
        from pesto_stream.fetch.http import HttpFiles  # noqa: PLC0415

        return dict.fromkeys(("http", "https"), HttpFiles(self._settings, self._policy, trusted=self._trusted))

    def close(self) -> None:
        """Close idle connections."""
        for opener in self._openers.values():
            getattr(opener, "close", lambda: None)()

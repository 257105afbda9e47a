"""Images in object stores: S3 and Google Cloud Storage, through obstore.

The endpoint and the credentials are the operator's settings; a record only chooses bucket and key within the allow-list.
"""

from __future__ import annotations

import re
import threading
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import obstore
from obstore import exceptions
from obstore.store import GCSStore, S3Store

from pesto_stream.converters.image import Whole
from pesto_stream.errors import FetchRefused, StoreUnavailable
from pesto_stream.fetch.reading import HEAD_BYTES, Extents

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import SecretStr

    from pesto_stream.config.model import Urls
    from pesto_stream.converters.image import RandomAccess
    from pesto_stream.fetch.policy import Target
    from pesto_stream.fetch.reading import Budget

CHUNK_BYTES: Final = 1 << 20
RETRIES: Final = {"max_retries": 1, "retry_timeout": timedelta(seconds=10)}
"""Few: the runtime itself backs off and tries again."""
CERTIFICATE: Final = re.compile(r"InvalidCertificate\(\s*(\w+)")
"""Where the library's trace says why it refused a server's certificate; its first line does not."""


class ObjectStores:
    """Opener for s3 and gs: one client per bucket (the allow-list bounds their number). `trusted`: certificates of more authorities
    than the system's, in PEM form.
    """

    def __init__(self, settings: Urls, trusted: str | None = None) -> None:
        self._settings, self._trusted = settings, trusted
        self._stores: dict[tuple[str, str], Any] = {}
        self._lock = threading.Lock()

    def read(self, target: Target, budget: Budget) -> RandomAccess:
        """The whole object, in memory. Raises FetchRefused, StoreUnavailable."""
        with _translated(budget):
            result = obstore.get(self._store(target), _key(target, budget))
            budget.expect(int(result.meta["size"]))
            return Whole(_collect(result, budget))

    def open(self, target: Target, budget: Budget) -> RandomAccess:
        """By ranges. Raises FetchRefused, StoreUnavailable."""
        with _translated(budget):
            store, key = self._store(target), _key(target, budget)
            result = obstore.get(store, key, options={"range": (0, HEAD_BYTES)})
            size, tag = int(result.meta["size"]), result.meta.get("e_tag")
            head = _collect(result, budget)

        def piece(offset: int, length: int) -> bytes:
            budget.expect(length)
            with _translated(budget):
                found = obstore.get(store, key, options={"range": (offset, offset + length), "if_match": tag})
                return _collect(found, budget)

        return Extents(size, piece, [(0, head)])

    def _store(self, target: Target) -> Any:
        with self._lock:
            key = (target.scheme, target.host)
            if key not in self._stores:
                self._stores[key] = self._s3(target.host) if target.scheme == "s3" else self._gs(target.host)
            return self._stores[key]

    def _client(self, endpoint: str | None) -> dict[str, Any]:
        settings = self._settings
        options = {
            "allow_http": bool(endpoint and endpoint.startswith("http://")),
            "connect_timeout": timedelta(seconds=settings.connect_timeout_seconds),
            "timeout": timedelta(seconds=settings.timeout_seconds),
        }
        return options if self._trusted is None else {**options, "root_certificate": self._trusted}

    def _s3(self, bucket: str) -> S3Store:
        settings = self._settings
        config = {
            "endpoint": settings.s3_endpoint,
            "region": settings.s3_region,
            "access_key_id": _secret(settings.s3_access_key_id),
            "secret_access_key": _secret(settings.s3_secret_access_key),
            "skip_signature": settings.s3_anonymous or None,
        }
        given: Any = {name: value for name, value in config.items() if value is not None}
        return S3Store(bucket, config=given, client_options=self._client(settings.s3_endpoint), retry_config=RETRIES)  # type: ignore[arg-type]

    def _gs(self, bucket: str) -> GCSStore:
        settings = self._settings
        config = {"service_account": settings.gs_service_account_file, "base_url": settings.gs_endpoint}
        given: Any = {name: value for name, value in config.items() if value is not None}
        return GCSStore(bucket, config=given, client_options=self._client(settings.gs_endpoint), retry_config=RETRIES)  # type: ignore[arg-type]


def _secret(value: SecretStr | None) -> str | None:
    return None if value is None else value.get_secret_value()


def _key(target: Target, budget: Budget) -> str:
    if not target.path:
        raise FetchRefused(f"cannot read '{budget.shown}': expected {target.scheme}://bucket/key, the key is missing")
    return target.path


def _collect(result: Any, budget: Budget) -> bytes:
    data = bytearray()
    for chunk in result.stream(min_chunk_size=CHUNK_BYTES):
        budget.spend(len(chunk))
        data += chunk
    return bytes(data)


@contextmanager
def _translated(budget: Budget) -> Iterator[None]:
    try:
        yield
    except (exceptions.NotFoundError, FileNotFoundError) as error:
        raise FetchRefused(f"cannot read '{budget.shown}': it is not there") from error
    except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError) as error:
        raise FetchRefused(f"cannot read '{budget.shown}': access is denied; check the credentials in urls") from error
    except exceptions.PreconditionError as error:
        raise FetchRefused(f"cannot read '{budget.shown}': it changed while it was read") from error
    except exceptions.InvalidPathError as error:
        raise FetchRefused(f"cannot read '{budget.shown}': its key is not valid") from error
    except exceptions.BaseError as error:
        if budget.clock.now() >= budget.end:
            raise budget.too_slow() from error
        raise StoreUnavailable(
            f"cannot read '{budget.shown}': the object store does not answer as it should ({_words(error)})"
        ) from error


def _words(error: BaseException) -> str:
    """The first line: the rest is a trace with the request's URL."""
    text = str(error)
    if refused := CERTIFICATE.search(text):
        return f"its certificate is refused: {refused[1]}; the file of a private authority is named in urls.ca_file"
    return text.strip().splitlines()[0][:200]

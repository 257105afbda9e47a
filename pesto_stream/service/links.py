"""The addresses in the sidecar's documents. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

API: Final = "/api/v1"
_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)(:[0-9]{1,5})?\Z")


def base_url(request: Request, public_url: str | None) -> str:
    """What comes before `/api/v1`: as the client asked, which PESTO's clients expect, or as the operator has set it.

    Of a Host header that is no name or address with a port, the address that the server listens on.
    """
    if public_url is not None:
        return public_url.rstrip("/")
    host = request.headers.get("host", "")
    if not _HOST.match(host):
        name, port = request.scope.get("server") or ("localhost", None)
        host = f"[{name}]:{port}" if ":" in name else f"{name}:{port}"
    return f"{request.url.scheme}://{host}"


def with_links(document: Mapping[str, Any], base: str) -> dict[str, Any]:
    """The document with its `_links` made absolute, as PESTO's are."""
    links = document.get("_links")
    if links is None:
        return dict(document)
    return {**document, "_links": {key: {**link, "href": f"{base}{link['href']}"} for key, link in links.items()}}

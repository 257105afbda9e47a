"""Which URLs may be read: pure decisions on text and addresses.

A URL is brought into one form first, and that form is both what is compared and what is requested: so a server, a proxy or a store
cannot see another path than the one that was allowed. Sources: RFC 3986 section 6 (normalisation), RFC 5952 and RFC 6052 (addresses).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote, urlsplit

from pesto_stream.errors import ConfigurationError, FetchRefused

if TYPE_CHECKING:
    from collections.abc import Iterable

PORTS: Final = {"http": 80, "https": 443}
STORES: Final = ("s3", "gs")
SCHEMES: Final = ("file", "http", "https", "s3", "gs")
MAX_LENGTH: Final = 8192
SHOWN: Final = 300

FORBIDDEN: Final = re.compile(r"[\x00-\x20\x7f\\]")
PERCENT: Final = re.compile(r"%([0-9A-Fa-f]{2})?")
SAFE_PATH: Final = "/!$&'()*+,;=:@-._~%"
SAFE_QUERY: Final = SAFE_PATH + "?"
UNRESERVED: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
HOST: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*")
BUCKET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,221}")

METADATA: Final = (ip_address("168.63.129.16"), ip_address("fd00:ec2::254"))
"""Addresses of cloud platforms' own services that no private range covers (Azure), or that deserve their name (AWS)."""
NAT64: Final = (ip_network("64:ff9b::/96"), ip_network("64:ff9b:1::/48"))


@dataclass(frozen=True, slots=True)
class Target:
    """A URL in its one form. `host` is the bucket for s3 and gs, empty for file; `path` is the key for s3 and gs (taken as it is),
    the file's path for file, percent-encoded path and query for http. `masked` is what may be logged.
    """

    scheme: str
    host: str
    port: int | None
    path: str
    query: str
    masked: str

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        place = host if self.port in (None, PORTS.get(self.scheme)) else f"{host}:{self.port}"
        return f"{self.scheme}://{place}{'' if self.path.startswith('/') else '/'}{self.path}{'?' + self.query if self.query else ''}"


class Policy:
    """`allow`: prefixes scheme://host[:port]/path that may be read. Raises ConfigurationError for one that is none."""

    def __init__(self, allow: Iterable[str], *, allow_private: bool) -> None:
        self.allow_private = allow_private
        self._prefixes = tuple(_prefix(entry) for entry in allow)

    def check(self, url: str) -> Target:
        """The target that `url` names, if it may be read. Raises FetchRefused."""
        target = parse(url)
        if not any(_covers(prefix, target) for prefix in self._prefixes):
            raise FetchRefused(f"cannot read '{target.masked}': it is not allowed; add '{_folder(target)}' to urls.allow")
        return target

    def folders(self) -> tuple[str, ...]:
        """The local folders (or single files) that may be read."""
        return tuple(prefix.path for prefix in self._prefixes if prefix.scheme == "file")

    def check_address(self, host: str, address: str) -> None:
        """Raises FetchRefused where `host` leads to an address that records may not reach."""
        if not self.allow_private and not is_public(address):
            raise FetchRefused(
                f"cannot read from host '{host}': its address '{address}' is private, local or reserved; "
                f"set urls.allow_private to true if records may reach it"
            )


def _prefix(entry: str) -> Target:
    try:
        target = parse(entry)
    except FetchRefused as error:
        raise ConfigurationError(f"urls.allow holds '{masked(entry)}', expected scheme://host[:port]/path ({error})") from error
    if target.query:
        raise ConfigurationError(f"urls.allow holds '{masked(entry)}', expected a prefix without a query")
    return target


def _covers(prefix: Target, target: Target) -> bool:
    if (prefix.scheme, prefix.host, prefix.port) != (target.scheme, target.host, target.port):
        return False
    whole = prefix.path.rstrip("/")
    return target.path == prefix.path or target.path.startswith(whole + "/" if whole else "")


def _folder(target: Target) -> str:
    return Target(target.scheme, target.host, target.port, target.path.rpartition("/")[0] + "/", "", "").url


def parse(url: str) -> Target:
    """`url` in its one form. Raises FetchRefused where it is not a URL of a supported scheme, or is written to be misread."""
    shown = masked(url)
    if len(url) > MAX_LENGTH:
        raise FetchRefused(f"cannot read '{shown}': the URL has {len(url)} characters, expected at most {MAX_LENGTH}")
    if FORBIDDEN.search(url):
        raise FetchRefused(f"cannot read '{shown}': the URL holds a space, a control character or a backslash; percent-encode it")
    scheme, separator, rest = url.partition("://")
    scheme = scheme.lower()
    if not separator or scheme not in SCHEMES:
        raise FetchRefused(
            f"cannot read '{shown}': expected a URL that starts with one of {', '.join(s + '://' for s in SCHEMES)}"
        )
    if scheme in STORES:
        return _parse_store(scheme, rest, shown)
    if scheme == "file":
        return _parse_file(rest, shown)
    return _parse_http(scheme, rest, shown)


def _parse_store(scheme: str, rest: str, shown: str) -> Target:
    """Keys are taken as they are: stores know no escapes and no dot segments."""
    bucket, _, key = rest.partition("/")
    if not BUCKET.fullmatch(bucket):
        raise FetchRefused(f"cannot read '{shown}': '{bucket[:SHOWN]}' is not a bucket's name, expected {scheme}://bucket/key")
    if any(part in (".", "..") for part in key.split("/")) or "//" in key or key.startswith("/"):
        raise FetchRefused(f"cannot read '{shown}': its key has empty, '.' or '..' parts")
    return Target(scheme, bucket, None, key, "", shown)


def _parse_file(rest: str, shown: str) -> Target:
    host, slash, path = rest.partition("/")
    if not slash or host.lower() not in ("", "localhost"):
        raise FetchRefused(f"cannot read '{shown}': expected file:///folder/file, without a host")
    if "?" in path or "#" in path:
        raise FetchRefused(f"cannot read '{shown}': a file URL has no query or fragment; percent-encode '?' and '#'")
    plain = _unquoted(path)
    if plain is None or "\0" in plain:
        raise FetchRefused(f"cannot read '{shown}': its percent-encoding is not valid")
    return Target("file", "", None, _without_dots("/" + re.sub("/+", "/", plain)), "", shown)


def _parse_http(scheme: str, rest: str, shown: str) -> Target:
    try:
        parts = urlsplit(f"{scheme}://{rest}")
        port = parts.port
    except ValueError as error:
        raise FetchRefused(f"cannot read '{shown}': it is not a valid URL ({error})") from error
    if "@" in parts.netloc:
        raise FetchRefused(f"cannot read '{shown}': user names and passwords in URLs are not taken")
    if port == 0:
        raise FetchRefused(f"cannot read '{shown}': port '0' is none")
    if not _valid_escapes(parts.path) or not _valid_escapes(parts.query):
        raise FetchRefused(f"cannot read '{shown}': its percent-encoding is not valid")
    path = _without_dots(_path(parts.path or "/", shown))
    query = quote(parts.query, safe=SAFE_QUERY)
    return Target(scheme, _host(parts.hostname or "", shown), port or PORTS[scheme], path, query, shown)


def _unquoted(path: str) -> str | None:
    """None for escapes that are none, or that are not UTF-8."""
    try:
        return unquote(path, errors="strict") if _valid_escapes(path) else None
    except UnicodeDecodeError:
        return None


def _valid_escapes(text: str) -> bool:
    return all(match.group(1) for match in PERCENT.finditer(text)) and not re.search("%00", text)


def _path(path: str, shown: str) -> str:
    """Escapes of plain characters are undone, all else is escaped once, in upper case."""

    def one(match: re.Match[str]) -> str:
        character = chr(int(match.group(1), 16))
        if character in "/\\":
            raise FetchRefused(f"cannot read '{shown}': an encoded slash or backslash in a path is not taken")
        return character if character in UNRESERVED else match.group(0).upper()

    return quote(PERCENT.sub(one, path), safe=SAFE_PATH)


def _without_dots(path: str) -> str:
    """RFC 3986 section 5.2.4; more '..' than folders end at the root."""
    kept: list[str] = []
    parts = path.split("/")[1:]
    for part in parts:
        if part == "..":
            del kept[-1:]
        elif part != ".":
            kept.append(part)
    folder = "/" if parts[-1] in (".", "..") and kept else ""
    return "/" + "/".join(kept) + folder


def _host(host: str, shown: str) -> str:
    name = host.lower().removesuffix(".")
    if ":" in name:
        return _literal_v6(name, shown)
    if not name.isascii():
        name = _ascii(name, shown)
    if not HOST.fullmatch(name):
        raise FetchRefused(f"cannot read '{shown}': '{host[:SHOWN]}' is not a host name")
    if re.fullmatch(r"0x[0-9a-f]*|[0-9]+", name.rpartition(".")[2]):
        return _literal_v4(name, shown)
    return name


def _literal_v6(name: str, shown: str) -> str:
    try:
        return IPv6Address(name if "%" not in name else "").compressed
    except ValueError as error:
        raise FetchRefused(f"cannot read '{shown}': '{name}' is not an IPv6 address") from error


def _literal_v4(name: str, shown: str) -> str:
    """Only the usual form: 2130706433, 0x7f.1 and 0177.0.0.1 all mean 127.0.0.1 to some resolvers."""
    try:
        return str(IPv4Address(name))
    except ValueError as error:
        raise FetchRefused(f"cannot read '{shown}': '{name}' is not an IPv4 address of four decimal numbers") from error


def _ascii(name: str, shown: str) -> str:
    import idna  # noqa: PLC0415 - tables that only a foreign host name needs

    try:
        return idna.encode(name, uts46=True).decode("ascii")
    except idna.IDNAError as error:
        raise FetchRefused(f"cannot read '{shown}': '{name[:SHOWN]}' is not a host name ({error})") from error


def is_public(address: str) -> bool:
    """Whether an IP address is on the open internet; addresses that carry another one (mapped, NAT64, 6to4, Teredo) count as that."""
    ip = ip_address(address.partition("%")[0])
    if isinstance(ip, IPv6Address):
        inner = _carried(ip)
        if inner is not None:
            return is_public(str(inner))
    private = ip.is_private or ip.is_loopback or ip.is_link_local or ip.is_multicast or ip.is_reserved or ip.is_unspecified
    return ip.is_global and not private and ip not in METADATA


def _carried(ip: IPv6Address) -> IPv4Address | None:
    if ip.ipv4_mapped or ip.sixtofour:
        return ip.ipv4_mapped or ip.sixtofour
    if ip.teredo:
        return ip.teredo[1]
    if any(ip in network for network in NAT64) or int(ip) >> 32 == 0:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return None


def masked(url: str) -> str:
    """`url` as it may be shown: no user, no password, no value of a query (presigned URLs carry their signature there)."""
    text = url[:MAX_LENGTH].partition("#")[0]
    text = re.sub(r"(?<=://)[^/?]*@", "***@", text)
    address, mark, query = text.partition("?")
    names = "&".join(part.partition("=")[0] + "=***" for part in query.split("&")) if mark else ""
    shown = FORBIDDEN.sub("?", address + mark + names)
    return shown if len(shown) <= SHOWN else shown[:SHOWN] + "..."

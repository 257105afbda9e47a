"""Certificates made for a test, and an HTTPS server on a loopback port that shows one.

authority = Authority()
with serving_tls(pages, authority.certificate("localhost")) as web:
    secure(web, "/a.tif")
"""

import datetime as dt
import ipaddress
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from support.web import Page, Web, serving

Key = ec.EllipticCurvePrivateKey
DAY = dt.timedelta(days=1)
VALID = (-1, 30)
_USES = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign", "crl_sign",
    "encipher_only", "decipher_only",
)  # fmt: skip


class Authority:
    """Signs certificates. `pem`: its own, for those who shall trust it."""

    def __init__(self, name: str = "an authority of tests") -> None:
        self._name, self._key = _named(name), ec.generate_private_key(ec.SECP256R1())
        signing = x509.KeyUsage(**dict.fromkeys(_USES, False) | {"key_cert_sign": True})
        unsigned = _unsigned(self._name, self._name, self._key, days=VALID)
        unsigned = unsigned.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        unsigned = unsigned.add_extension(signing, critical=True)
        self.pem = unsigned.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()

    def certificate(self, *names: str, days: tuple[int, int] = VALID) -> bytes:
        """Key and certificate in PEM form for host names or addresses, valid from and to so many days from now."""
        return _leaf(ec.generate_private_key(ec.SECP256R1()), names, days, self._name, self._key)


def self_signed(*names: str) -> bytes:
    """Key and certificate of a server that nobody vouches for but itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    return _leaf(key, names, VALID, _named(names[0]), key)


def _leaf(key: Key, names: tuple[str, ...], days: tuple[int, int], issuer: x509.Name, signer: Key) -> bytes:
    unsigned = _unsigned(_named(names[0]), issuer, key, days=days)
    unsigned = unsigned.add_extension(x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False)
    unsigned = unsigned.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    of_issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    certificate = unsigned.add_extension(of_issuer, critical=False).sign(signer, hashes.SHA256())
    private = key.private_bytes(Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return private + certificate.public_bytes(Encoding.PEM)


def _unsigned(subject: x509.Name, issuer: x509.Name, key: Key, *, days: tuple[int, int]) -> x509.CertificateBuilder:
    now, public = dt.datetime.now(dt.UTC), key.public_key()
    named = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(public)
    dated = named.not_valid_before(now + days[0] * DAY).not_valid_after(now + days[1] * DAY)
    of_subject = x509.SubjectKeyIdentifier.from_public_key(public)
    return dated.serial_number(x509.random_serial_number()).add_extension(of_subject, critical=False)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


@contextmanager
def serving_tls(pages: dict[str, Page], certificate: bytes) -> Iterator[Web]:
    """`support.web.serving` behind TLS: the handshake happens in the connection's own thread."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "server.pem"
        file.write_bytes(certificate)
        context.load_cert_chain(file)
    with serving(pages) as web:
        web.socket = context.wrap_socket(web.socket, server_side=True, do_handshake_on_connect=False)
        yield web


def secure(web: Web, path: str = "/", host: str = "localhost") -> str:
    return "https" + web.url(path, host).removeprefix("http")

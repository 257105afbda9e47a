"""Whose certificates are trusted: the system's authorities (or those that SSL_CERT_FILE names), and those of `urls.ca_file`."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final

from pesto_stream.errors import ConfigurationError

UNKNOWN_ISSUER: Final = (2, 18, 19, 20, 21)
"""OpenSSL's X509_V_ERR codes of a certificate whose authority is not among those that are trusted."""


def authorities(ca_file: str | None) -> str | None:
    """The text of `urls.ca_file`. Raises ConfigurationError where it cannot be read or holds no certificate."""
    if ca_file is None:
        return None
    try:
        text = Path(ca_file).read_text(encoding="ascii", errors="ignore")  # between certificates there may be remarks
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (ssl.SSLError, ValueError) as error:  # the second for an empty file
        raise ConfigurationError(f"cannot use urls.ca_file '{ca_file}': it holds no certificate in PEM form") from error
    except OSError as error:
        raise ConfigurationError(f"cannot read urls.ca_file '{ca_file}': {error.strerror}") from error
    return text


def tls_context(trusted: str | None) -> ssl.SSLContext:
    """`trusted`: more authorities, in PEM form."""
    context = ssl.create_default_context()
    if trusted is not None:
        context.load_verify_locations(cadata=trusted)
    return context


def refusal(error: BaseException) -> str | None:
    """In words, why the certificate of a server was refused; None where that is not what `error` comes from."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLCertVerificationError):
        cause = cause.__cause__ or cause.__context__
    if cause is None:
        return None
    remedy = "; name the file of its authority in urls.ca_file" if cause.verify_code in UNKNOWN_ISSUER else ""
    return f"the server's certificate is refused: {cause.verify_message.rstrip('.')}{remedy}"

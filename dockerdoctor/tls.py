"""TLS as dockerd judges it: Go's trust and Go's rules for names, and the certificates that a server shows, taken apart."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dockerdoctor.host import failure_name

# What Go looks for, in its order (crypto/x509/root_linux.go).
BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate a server showed, as far as it explains a refusal."""

    subject: str
    issuer: str
    names: tuple[str, ...] = ()  # DNS and IP names it is good for
    not_before: str = ""
    not_after: str = ""
    issuer_url: str = ""  # where its issuer's certificate can be fetched: public CAs say so

    def expired(self, now: float) -> bool:
        """Whether its last day is over, in seconds since the epoch."""
        return bool(self.not_after) and ssl.cert_time_to_seconds(self.not_after) < now

    def not_yet(self, now: float) -> bool:
        """Whether its first day is still to come."""
        return bool(self.not_before) and ssl.cert_time_to_seconds(self.not_before) > now


class Refused(Exception):  # noqa: N818 - an answer, not an error
    """A handshake that came to nothing, and why; `verify_code` is OpenSSL's, when it was for the certificate."""

    def __init__(self, outcome: str, verify_code: int = 0) -> None:
        super().__init__(outcome)
        self.outcome, self.verify_code = outcome, verify_code


def handshake(sock: socket.socket, host: str, trust: ssl.SSLContext | None, end: float) -> ssl.SSLSocket:
    """Shake hands until `end`, by the monotonic clock; without `trust`, whatever certificate is shown will do."""
    wrapped = (trust or untrusting()).wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
    try:
        wrapped.settimeout(max(0.05, end - time.monotonic()))
        wrapped.do_handshake()
    except ssl.SSLError as no:
        wrapped.close()
        code = no.verify_code if isinstance(no, ssl.SSLCertVerificationError) else 0
        raise Refused(broken_off(no), code) from None
    except OSError as no:
        wrapped.close()
        raise Refused(failure_name(no)) from None
    return wrapped


def chain_of(sock: socket.socket) -> tuple[Certificate, ...]:
    """The certificates that the other side showed, whoever signed them; empty where this Python cannot tell."""
    # No public way to the unverified chain before Python 3.13; this one is there since 3.10.
    inner = getattr(sock, "_sslobj", None)
    chain = getattr(inner, "get_unverified_chain", lambda: None)()
    return tuple(_certificate(one.get_info()) for one in chain or ())


# OpenSSL's words for a first record that is no TLS: they changed with its versions.
NOT_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE")


def broken_off(no: ssl.SSLError) -> str:
    """Name why TLS came to nothing: "x509: ..." where it was for the server's certificate."""
    return f"x509: {no.verify_message}" if isinstance(no, ssl.SSLCertVerificationError) else tls_failure(no)


def tls_failure(no: ssl.SSLError) -> str:
    """Name why TLS failed, other than for the server's certificate."""
    reason = no.reason or ""
    if isinstance(no, ssl.SSLEOFError):
        return "closed"
    return "not TLS" if reason in NOT_TLS else f"tls: {reason or no}"


def untrusting(own: tuple[str, str] = ("", "")) -> ssl.SSLContext:
    """Look at no certificate, and show our `own`: the files of a certificate and a key."""
    context = _bare()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    _show(context, own)
    return context


def _bare() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # As Go: distributions have OpenSSL refuse keys of 1024 bits, even for ourselves (SECLEVEL of ciphers(1)).
    context.set_ciphers("DEFAULT:@SECLEVEL=1")
    return context


def try_to_show(own: tuple[str, str]) -> None:
    """Find out whether a certificate and its key are of use; raises SSLError or OSError."""
    _load(_bare(), own)


def _load(context: ssl.SSLContext, own: tuple[str, str]) -> None:
    # Without a password given, OpenSSL would ask the terminal for one.
    context.load_cert_chain(*own, password="")


def _show(context: ssl.SSLContext, own: tuple[str, str]) -> None:
    if all(own):
        with contextlib.suppress(OSError):  # an SSLError is one
            _load(context, own)


def trust_store(bundle: str = "", more: Iterable[str] = (), own: tuple[str, str] = ("", "")) -> ssl.SSLContext:
    """
    Trust what a bundle file and further files of CA certificates hold, and nothing else; unreadable ones are left out.

    `own` are the files of a certificate and a key for ourselves.
    """
    context = _bare()
    # As Go since 1.15: a name in the subject alone counts for nothing.
    with contextlib.suppress(AttributeError):
        context.hostname_checks_common_name = False
    # As Go: whatever is in the pool is an anchor, an intermediate or the very leaf too.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    for file in (bundle, *more):
        if file:
            with contextlib.suppress(OSError, ssl.SSLError):
                context.load_verify_locations(file)
    _show(context, own)
    return context


def certificate_in(path: Path) -> Certificate | None:
    """The first certificate of a file in PEM form; None where this Python cannot tell; raises SSLError."""
    # No public way without a server that shows it; the ssl module's own tests use this one, in every version.
    decode = getattr(getattr(ssl, "_ssl", None), "_test_decode_cert", None)
    return _certificate(decode(str(path))) if decode else None


def _certificate(info: Mapping[str, Any]) -> Certificate:
    def name(key: str) -> str:
        return ", ".join(f"{SHORT.get(k, k)}={v}" for group in info.get(key, ()) for k, v in group)

    return Certificate(
        name("subject"),
        name("issuer"),
        tuple(str(value) for _, value in info.get("subjectAltName", ())),
        str(info.get("notBefore", "")),
        str(info.get("notAfter", "")),
        str((info.get("caIssuers") or ("",))[0]),
    )


SHORT = {"commonName": "CN", "organizationName": "O", "organizationalUnitName": "OU", "countryName": "C"}

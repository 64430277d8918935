"""What the client needs for TLS: the files it was told to use, and what the engine's side shows where TLS fails."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http.client import HTTPException

from dockerdoctor.facts.endpoint import ChosenEndpoint, DaemonPing
from dockerdoctor.host import Host, failure_name
from dockerdoctor.measure import Unmeasured, probe
from dockerdoctor.tls import (
    BUNDLES,
    Certificate,
    Refused,
    broken_off,
    certificate_in,
    chain_of,
    handshake,
    trust_store,
    try_to_show,
    untrusting,
)

NOT_ITS_KEY = "is not the key of cert.pem beside it"
# For one of the conversations below.
PATIENCE = 1.0
# OpenSSL's codes for "not yet valid" and "expired".
OUT_OF_DATE = frozenset({9, 10})


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """The files that the client was told to use for TLS."""

    folder: str  # empty where nothing asks for TLS
    problem: str = ""  # why the client goes no further: "/root/.docker/ca.pem: No such file or directory"
    ca: Certificate | None = None
    own: Certificate | None = None  # cert.pem; None where the client goes without
    lacks: tuple[str, ...] = ()  # of cert.pem and key.pem, what is not there


@dataclass(frozen=True, slots=True)
class EngineTls:
    """What the engine's side shows and says, looked at where a TLS endpoint was reached and did not answer."""

    outcome: str  # of a handshake that trusts what the client trusts: "ok", "x509: ...", "not TLS", "timeout"
    now: float  # by this host's clock, seconds since the epoch
    verify_code: int = 0  # OpenSSL's, for the engine's certificate
    chain: tuple[Certificate, ...] = ()  # what the engine showed
    refusal: str = ""  # of our certificate, after the handshake: "tls: TLSV13_ALERT_CERTIFICATE_REQUIRED"
    clock_off: float = 0.0  # seconds that this host's clock is ahead of the engine's, where its dates are in question


@probe()
def tls_files(host: Host, endpoint: ChosenEndpoint) -> TlsFiles:
    """Read them as the client does: by variables it needs a ca.pem, by a context none; the other two may be missing."""
    folder = endpoint.cert_path
    of_context = endpoint.source.startswith("context ")
    if not folder or (of_context and not endpoint.tls):
        return TlsFiles("")
    try:
        ca = _certificate(host, f"{folder}/ca.pem")
    except _Unusable as no:
        if not (of_context and no.missing):
            return TlsFiles(folder, str(no))
        ca = None
    lacks = tuple(name for name in ("cert.pem", "key.pem") if not host.exists(f"{folder}/{name}"))
    if lacks:
        return TlsFiles(folder, "", ca, None, lacks)
    try:
        own = _certificate(host, f"{folder}/cert.pem")
        host.read_bytes(f"{folder}/key.pem", 1)
        try_to_show(_pair(host, folder))
    except _Unusable as no:
        return TlsFiles(folder, str(no), ca)
    except ssl.SSLError as no:
        mismatch, locked = no.reason == "KEY_VALUES_MISMATCH", "ENCRYPTED" in host.text(f"{folder}/key.pem")
        why = "holds no private key that can be read"
        if locked or mismatch:
            why = "is locked with a passphrase, which the client cannot ask for" if locked else NOT_ITS_KEY
        return TlsFiles(folder, f"{folder}/key.pem: {why}", ca, own)
    except OSError as no:
        return TlsFiles(folder, f"{folder}/key.pem: {no.strerror or failure_name(no)}", ca, own)
    return TlsFiles(folder, "", ca, own)


class _Unusable(Exception):  # noqa: N818 - a verdict
    def __init__(self, why: str, *, missing: bool = False) -> None:
        super().__init__(why)
        self.missing = missing


def _certificate(host: Host, path: str) -> Certificate | None:
    try:
        text = host.read(path)
    except OSError as no:
        raise _Unusable(
            f"{path}: {no.strerror or failure_name(no)}", missing=isinstance(no, FileNotFoundError)
        ) from None
    if "-----BEGIN CERTIFICATE-----" not in text:
        raise _Unusable(f"{path}: holds no certificate in PEM form")
    try:
        return certificate_in(host.path(path))
    except ssl.SSLError:
        raise _Unusable(f"{path}: holds a certificate that cannot be read") from None


def _pair(host: Host, folder: str) -> tuple[str, str]:
    return str(host.path(f"{folder}/cert.pem")), str(host.path(f"{folder}/key.pem"))


def client_certificate(host: Host, endpoint: ChosenEndpoint) -> tuple[str, str] | None:
    """The files with which the client shows who it is; with one of them alone it goes without."""
    pair = _pair(host, endpoint.cert_path)
    return pair if all(host.exists(f"{endpoint.cert_path}/{name}") for name in ("cert.pem", "key.pem")) else None


def authorities(host: Host, endpoint: ChosenEndpoint) -> str:
    """The file of those whose signature on the engine's certificate counts: a context may leave that to this host."""
    own = f"{endpoint.cert_path}/ca.pem"
    bundle = own if host.exists(own) else next((b for b in BUNDLES if host.exists(b)), "")
    return str(host.path(bundle)) if bundle else ""


def trust(host: Host, endpoint: ChosenEndpoint) -> ssl.SSLContext:
    """
    Trust what the client trusts, by Go's rules.

    The ssl module's own defaults are stricter since Python 3.13: they refuse most home-made authorities, as in Docker's
    own instructions, for lack of an extension.
    """
    own = client_certificate(host, endpoint) or ("", "")
    return trust_store(authorities(host, endpoint), own=own) if endpoint.verify else untrusting(own)


@probe(deadline=4 * PATIENCE + 1)
def engine_tls(host: Host, endpoint: ChosenEndpoint, ping: DaemonPing) -> EngineTls:
    """Shake hands once as the client does, and where the engine's certificate is refused once more, blindly."""
    if not endpoint.tls or ping.answered or ping.connect != "ok":
        raise Unmeasured("no engine was reached that TLS keeps from answering", skipped=True)
    now, end = host.clock(), time.monotonic() + PATIENCE
    try:
        with _connected(endpoint) as sock, handshake(sock, endpoint.address[0], trust(host, endpoint), end) as safe:
            return EngineTls("ok", now, chain=chain_of(safe), refusal=_refusal(safe))
    except OSError as no:
        return EngineTls(failure_name(no), now)
    except Refused as no:
        if not no.verify_code:
            # With TLS 1.2 the engine refuses our certificate within the handshake.
            return EngineTls(no.outcome, now, refusal=no.outcome if "ALERT" in no.outcome else "")
        outcome, code = no.outcome, no.verify_code
    chain: tuple[Certificate, ...] = ()
    with contextlib.suppress(OSError, Refused), _connected(endpoint) as sock:
        blind = untrusting(client_certificate(host, endpoint) or ("", ""))
        with handshake(sock, endpoint.address[0], blind, time.monotonic() + PATIENCE) as safe:
            chain = chain_of(safe)
    return EngineTls(outcome, now, code, chain, clock_off=_clock_off(host, endpoint) if code in OUT_OF_DATE else 0.0)


def _connected(endpoint: ChosenEndpoint) -> socket.socket:
    return socket.create_connection(endpoint.address, PATIENCE)


def _refusal(safe: ssl.SSLSocket) -> str:
    """Wait for what the other side says of our certificate: since TLS 1.3 that comes after the handshake (RFC 8446, 4.4.2.4)."""
    safe.settimeout(PATIENCE / 2)
    try:
        return "" if safe.recv(1) else "closed"
    except TimeoutError:
        return ""  # it waits for a request
    except ssl.SSLError as no:
        return broken_off(no)
    except OSError as no:
        return failure_name(no)


def _clock_off(host: Host, endpoint: ChosenEndpoint) -> float:
    """Ask the engine for its time, whatever it shows: every answer of HTTP has it."""
    blind = untrusting(client_certificate(host, endpoint) or ("", ""))
    try:
        _, headers, _ = host.tcp_http(*endpoint.address, "/_ping", PATIENCE, 1024, blind)
        told = next(value for name, value in headers.items() if name.lower() == "date")
        return host.clock() - parsedate_to_datetime(told).timestamp()
    except (OSError, HTTPException, ValueError, StopIteration):
        return 0.0

"""Whether anything answers at the chosen endpoint, and behind the other usual sockets."""

from __future__ import annotations

import http.client
import json
import re
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dockerdoctor.facts.client_tls import TlsFiles, trust
from dockerdoctor.facts.endpoint import DEFAULT_SOCKET, ChosenEndpoint, DaemonPing, mask_text
from dockerdoctor.host import Host, failure_name
from dockerdoctor.measure import probe
from dockerdoctor.tls import broken_off

# A ping is answered from memory in milliseconds; three seconds tells a frozen daemon from a busy one.
PING_TIMEOUT = 3.0
# "OK", or an error message; whoever sends more is no engine.
MAX_PING_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class OtherEngines:
    """Sockets other than the chosen one behind which an engine answers."""

    answering: tuple[str, ...]  # "unix:///run/user/1000/docker.sock"
    containers: tuple[int, ...] = ()  # how many each of them has; -1 where it did not say


def ping_unix(host: Host, path: str, timeout: float = PING_TIMEOUT) -> DaemonPing:
    """Ask one Unix socket; connecting and answering are told apart."""
    began = time.monotonic()
    dialled = host.dial_unix(path, timeout)
    if not dialled.ok:
        return DaemonPing(dialled.outcome, answered=False, outcome=dialled.outcome, seconds=dialled.seconds)
    return _asked(lambda: host.unix_http(path, "/_ping", timeout, MAX_PING_BYTES), began)


def _asked(ask: Callable[[], tuple[int, Mapping[str, str], bytes]], began: float) -> DaemonPing:
    """Ask over a connection that is there, and say how that ended; raises ssl.SSLError, which only TLS can explain."""
    try:
        status, headers, body = ask()
    except ssl.SSLError:
        raise
    except ConnectionError as no:  # RemoteDisconnected, an HTTPException too, among them
        return DaemonPing("ok", answered=False, outcome=f"closed without an answer ({failure_name(no)})")
    except (http.client.HTTPException, ValueError) as no:
        return DaemonPing("ok", answered=False, outcome=f"not HTTP: {type(no).__name__}: {no!s:.80}")
    except OSError as no:
        return DaemonPing("ok", answered=False, outcome=failure_name(no), seconds=round(time.monotonic() - began, 3))
    return _judge_ping(status, {k.lower(): v for k, v in headers.items()}, body, time.monotonic() - began)


def _judge_ping(status: int, headers: dict[str, str], body: bytes, seconds: float) -> DaemonPing:
    api = headers.get("api-version", "").strip()
    answered = status == http.client.OK and bool(re.fullmatch(r"\d+\.\d+", api))
    said = body[:200].decode("utf-8", "backslashreplace").strip()
    outcome = "ok" if answered else f"HTTP {status}, API-Version {api[:20]!r}: {said!r}"
    return DaemonPing(
        "ok",
        answered,
        status,
        outcome,
        api,
        headers.get("server", ""),
        round(seconds, 3),
        headers.get("builder-version", ""),
    )


# Twice the ping's own timeout: connecting to a full backlog may take as long as the answer.
@probe(deadline=2 * PING_TIMEOUT + 0.5)
def daemon_ping(host: Host, endpoint: ChosenEndpoint, files: TlsFiles | None) -> DaemonPing:
    """Ask the chosen endpoint for the one answer that needs nothing but a living daemon."""
    problem = endpoint.problem or (files.problem if files else "")
    if problem:
        return DaemonPing("EINVAL", answered=False, outcome=problem)
    if endpoint.socket_path:
        return ping_unix(host, endpoint.socket_path)
    if endpoint.url.startswith("ssh://"):
        return _ping_ssh(host, endpoint)
    return _ping_tcp(host, endpoint)


def _ping_ssh(host: Host, endpoint: ChosenEndpoint) -> DaemonPing:
    """Have the docker command ask: it knows how to log in."""
    # Nobody is asked for a password, in a window neither.
    quiet = {"SSH_ASKPASS_REQUIRE": "never"}
    done = host.run("docker", "-H", endpoint.url, "version", "--format", "{{.Server.APIVersion}}", timeout=5, env=quiet)
    if done.ok:
        return DaemonPing("ok", answered=True, outcome="ok", api_version=done.out.strip())
    # What ssh said, or the docker command of the other host, comes last.
    said = " ".join(done.err.rpartition("stderr=")[2].split())
    return DaemonPing("EIO", answered=False, outcome=mask_text(said)[-300:])


def _ping_tcp(host: Host, endpoint: ChosenEndpoint) -> DaemonPing:
    address, port = endpoint.address
    dialled = host.dial(address, port, PING_TIMEOUT)
    if not dialled.ok:
        return DaemonPing(dialled.outcome, answered=False, outcome=dialled.outcome, seconds=dialled.seconds)
    began = time.monotonic()

    def ask() -> tuple[int, Mapping[str, str], bytes]:
        tls = trust(host, endpoint) if endpoint.tls else None
        return host.tcp_http(address, port, "/_ping", PING_TIMEOUT, MAX_PING_BYTES, tls)

    try:
        return _asked(ask, began)
    except ssl.SSLError as no:
        plain = not isinstance(no, ssl.SSLCertVerificationError) and _speaks_plainly(host, address, port)
        return DaemonPing("ok", answered=False, outcome=PLAIN if plain else broken_off(no))


PLAIN = "plain HTTP, where TLS was asked for"


def _speaks_plainly(host: Host, address: str, port: int) -> bool:
    # A TLS server, told to speak plainly, says "400 Bad Request" at most.
    reply = host.exchange(address, port, b"GET /_ping HTTP/1.0\r\n\r\n", 1.0)
    return isinstance(reply, bytes) and reply.startswith(b"HTTP/1.") and b" 200 " in reply[:20]


@probe(deadline=4)
def other_engines(host: Host, endpoint: ChosenEndpoint, ping: DaemonPing) -> OtherEngines:
    """Look behind the usual sockets, but only when the chosen endpoint is not the default or does not answer."""
    if ping.answered and endpoint.source == "default":
        return OtherEngines(())
    runtime = host.env.get("XDG_RUNTIME_DIR") or f"/run/user/{host.uid}"
    usual = (
        DEFAULT_SOCKET,
        f"{runtime}/docker.sock",
        f"{host.home}/.docker/desktop/docker.sock",
        "/run/snap.docker/docker.sock",
    )
    here = host.path(endpoint.socket_path).resolve() if endpoint.socket_path else None
    others = [s for s in usual if host.is_socket(s) and host.path(s).resolve() != here]
    found = [s for s in others if ping_unix(host, s, 1.0).answered]
    return OtherEngines(tuple(f"unix://{s}" for s in found), tuple(_count_containers(host, s) for s in found))


def _count_containers(host: Host, path: str) -> int:
    try:
        status, _, body = host.unix_http(path, "/containers/json?all=1", 1.0)
        listed = json.loads(body)
    except (OSError, http.client.HTTPException, ValueError, RecursionError):
        return -1
    return len(listed) if status == http.client.OK and isinstance(listed, list) else -1

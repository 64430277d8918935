"""HTTP as dockerd speaks it, by Go's rules for proxies; every answer is a measurement."""

from __future__ import annotations

import base64
import contextlib
import http.client
import ipaddress
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from dockerdoctor.host import failure_name
from dockerdoctor.tls import Certificate, Refused, chain_of, handshake, tls_failure

T = TypeVar("T")

HUB = "registry-1.docker.io"

# A registry or a proxy of use answers within a second; dockerd itself waits fifteen.
PATIENCE = 2.5
DEFAULT_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
# Answers' headers that a check may want to show.
KEPT_HEADERS = frozenset(
    {
        "content-type",
        "date",
        "docker-distribution-api-version",
        "docker-ratelimit-source",
        "location",
        "proxy-authenticate",
        "ratelimit-limit",
        "ratelimit-remaining",
        "retry-after",
        "server",
        "via",
        "www-authenticate",
        "x-squid-error",
    }
)


# -- proxies ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy's URL taken apart; never part of a fact, since it may hold a password."""

    scheme: str  # of the hop to the proxy itself
    host: str
    port: int
    userinfo: str = ""  # as written, percent-encoded
    has_scheme: bool = True

    @property
    def socks(self) -> bool:
        """Whether it is asked for connections, and not for pages."""
        return self.scheme.startswith("socks")

    @property
    def masked(self) -> str:
        """The URL without its password."""
        user = self.userinfo.partition(":")[0]
        secret = f"{user}:***@" if ":" in self.userinfo else ("***@" if self.userinfo else "")
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{secret}{host}:{self.port}"

    @property
    def authorization(self) -> str:
        """The Basic credentials that Go sends; empty without any."""
        if not self.userinfo:
            return ""
        user, _, password = self.userinfo.partition(":")
        return "Basic " + base64.b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode()


def parse_proxy(value: str) -> Proxy | str:
    """
    Read a proxy variable as Go does (golang.org/x/net/http/httpproxy); returns what is wrong with it otherwise.

    Go takes a value without a scheme for http://; many other programs refuse one.
    """
    scheme, sep, rest = value.partition("://")
    has_scheme = bool(sep) and scheme.lower() in DEFAULT_PORTS
    if not has_scheme:
        if sep:
            return f"{scheme}:// is no scheme of a proxy"
        scheme, rest = "http", value
    scheme = scheme.lower()
    if bad := re.search(r"[\s\"<>\\^`{|}]", rest):
        return f"it contains {bad.group(0)!r}"
    authority, *tail = re.split(r"[/?#]", rest, maxsplit=1)
    if tail and "@" in tail[0] and "@" not in authority:
        return "a “/”, “?” or “#” in the password is not percent-encoded"
    userinfo, _, hostport = authority.rpartition("@")
    if re.search(r"%(?![0-9A-Fa-f]{2})", userinfo):
        return "a “%” in the password is not percent-encoded"
    host, port = split_port(hostport)
    if not host:
        return "it names no host"
    if port and not (port.isdigit() and int(port) < 65536):
        return f"the port is {port!r}, not a number"
    return Proxy(scheme, host, int(port) if port else DEFAULT_PORTS[scheme], userinfo, has_scheme)


def split_port(hostport: str) -> tuple[str, str]:
    """Take "host:port" apart; IPv6 addresses stand in brackets."""
    if hostport.startswith("["):
        host, _, rest = hostport[1:].partition("]")
        return host, rest.removeprefix(":")
    host, _, port = hostport.partition(":")
    return host, port


def is_loopback_host(host: str) -> bool:
    """Whether a host means the very machine that asks."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def bypasses(no_proxy: str, host: str, port: int) -> bool:
    """
    Whether Go asks a host directly, in spite of a proxy (golang.org/x/net/http/httpproxy, useProxy).

    "corp.test" means it and its subdomains, ".corp.test" and "*.corp.test" subdomains only; a CIDR matches nothing but
    literal addresses; localhost and loopback addresses are never asked through a proxy.
    """
    host = host.lower().rstrip(".")
    if is_loopback_host(host):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        address = None
    for entry in (e.strip().lower() for e in no_proxy.split(",")):
        if not entry:
            continue
        if entry == "*":
            return True
        if "/" in entry:
            with contextlib.suppress(ValueError):
                if address is not None and address in ipaddress.ip_network(entry, strict=False):
                    return True
            continue
        name, only_port = split_port(entry) if entry.count(":") < 2 or entry.startswith("[") else (entry, "")
        if only_port and only_port != str(port):
            continue
        try:
            if address is not None and ipaddress.ip_address(name) == address:
                return True
        except ValueError:
            pass
        name = name.removeprefix("*")
        own = not name.startswith(".") and host == name
        if name and address is None and (own or host.endswith(f".{name.removeprefix('.')}")):
            return True
    return False


def proxy_for(env: Mapping[str, str], scheme: str, host: str, port: int) -> str:
    """The proxy variable's value that Go uses for a URL; empty for none. Upper case is read first."""

    def either(name: str) -> str:
        return env.get(name) or env.get(name.lower()) or ""

    value = either("HTTPS_PROXY" if scheme == "https" else "HTTP_PROXY")
    return "" if not value or bypasses(either("NO_PROXY"), host, port) else value


# -- one question -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Attempt:
    """One HTTP question: how far it came, and what came back."""

    url: str
    via: str = ""  # the proxy's URL, masked; empty when asked directly
    layer: str = "name"  # the furthest that was tried: "name", "connect", "proxy", "tls", "http"
    outcome: str = ""  # "ok" when an HTTP answer came; else "ECONNREFUSED", "timeout", "x509: …", "not TLS", …
    status: int = 0  # of the answer, the proxy's own when layer is "proxy"
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""
    verify_code: int = 0  # OpenSSL's, when the certificate was refused
    chain: tuple[Certificate, ...] = ()  # what the server showed, when it was refused
    seconds: float = 0.0

    @property
    def answered(self) -> bool:
        """Whether the server itself answered in HTTP."""
        return self.layer == "http" and self.outcome == "ok"

    def header(self, name: str) -> str:
        """One header of the answer; empty when it has none."""
        return dict(self.headers).get(name, "")

    @property
    def words(self) -> str:
        """What happened, in a few words."""
        if self.answered:
            return f"HTTP {self.status}"
        if self.layer == "name":
            return "its name does not resolve" if self.outcome != "timeout" else "its name was not resolved in time"
        said = WORDS.get(self.outcome, self.outcome)
        return f"the proxy {said}" if self.layer == "proxy" else said


WORDS = {
    "ECONNREFUSED": "refuses connections",
    "timeout": "does not answer",
    "EHOSTUNREACH": "cannot be reached (no route to host)",
    "ENETUNREACH": "cannot be reached (network is unreachable)",
    "EADDRNOTAVAIL": "cannot be reached (this host has no address to ask it from)",
    "ECONNRESET": "closes the connection",
    "closed": "closes the connection",
    "silent": "accepts the connection and does not answer",
    "not TLS": "does not speak TLS",
    "ENONAME": "has no address",
}


class _Layered(Exception):  # noqa: N818 - how far a question came
    def __init__(self, layer: str, outcome: str, **more: Any) -> None:
        super().__init__(outcome)
        self.layer, self.outcome, self.more = layer, outcome, more


def ask(
    url: str,
    proxy: Proxy | None = None,
    trust: ssl.SSLContext | None = None,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    patience: float = PATIENCE,
    wait: float = 0.0,
    limit: int = 2000,
) -> Attempt:
    """
    Ask one URL, redirects not followed. Without `trust`, whatever certificate is shown will do.

    `wait` is for who accepts the connection: slow is not dead. Of the body, `limit` bytes are kept.
    """
    began = time.monotonic()
    attempt = Attempt(url, proxy.masked if proxy else "")
    try:
        sock, end = _connection(url, proxy, trust, began + patience, wait)
        with sock:
            layer, status, kept, body = _http(sock, url, proxy, method, dict(headers or {}), end, limit)
        attempt = replace(attempt, layer=layer, outcome="ok", status=status, headers=kept, body=body)
        if layer == "proxy":
            attempt = replace(attempt, outcome=f"answers HTTP {status}")
    except _Layered as far:
        attempt = replace(attempt, layer=far.layer, outcome=far.outcome, **far.more)
    return replace(attempt, seconds=round(time.monotonic() - began, 4))


def _remaining(end: float) -> float:
    return max(0.05, end - time.monotonic())


def _dial(host: str, port: int, layer: str, end: float) -> socket.socket:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as no:
        raise _Layered("proxy" if layer == "proxy" else "name", failure_name(no)) from None
    # Go tries both families side by side (RFC 8305), and whichever answers will do.
    found.sort(key=lambda one: one[0] != socket.AF_INET)
    failure: OSError | None = None
    for left, (_, _, _, _, address) in zip(range(len(found), 0, -1), found, strict=True):
        tried = _open(str(address[0]), port, _remaining(end) / left)
        if isinstance(tried, socket.socket):
            return tried
        failure = failure or tried
    raise _Layered(layer, failure_name(failure or TimeoutError()))


def _open(address: str, port: int, patience: float) -> socket.socket | OSError:
    try:
        return socket.create_connection((address, port), patience)
    except OSError as no:
        return no


def _connection(
    url: str, proxy: Proxy | None, trust: ssl.SSLContext | None, end: float, wait: float = 0.0
) -> tuple[socket.socket, float]:
    """Connect as far as HTTP can be spoken to the server, or to a proxy that speaks it for us; and until when to wait."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or DEFAULT_PORTS[parts.scheme]
    sock = _dial(proxy.host, proxy.port, "proxy", end) if proxy else _dial(host, port, "connect", end)
    end = max(end, time.monotonic() + wait)
    try:
        if proxy:
            if proxy.scheme == "https":
                sock = _shake(sock, proxy.host, None, "proxy", end)
            if proxy.socks:
                _socks(sock, proxy, host, port, end)
            elif parts.scheme == "https":
                _tunnel(sock, proxy, host, port, end)
        if parts.scheme == "https":
            sock = _shake(sock, host, trust, "tls", end)
    except BaseException:
        sock.close()
        raise
    return sock, end


def _tunnel(sock: socket.socket, proxy: Proxy, host: str, port: int, end: float) -> None:
    """Ask the proxy for a tunnel (RFC 9110, section 9.3.6)."""
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    status, headers, body = _exchange(sock, "CONNECT", target, target, _proxy_headers(proxy), "proxy", end)
    if status // 100 != 2:
        raise _Layered("proxy", f"answers HTTP {status}", status=status, headers=headers, body=body)


# Where the proxy itself is well, and did not get through to whom it was to connect to (RFC 1928, section 6).
SOCKS_BEYOND = {3: "ENETUNREACH", 4: "EHOSTUNREACH", 5: "ECONNREFUSED", 6: "timeout"}


def _socks(sock: socket.socket, proxy: Proxy, host: str, port: int, end: float) -> None:
    """Ask a SOCKS proxy for a connection, the name unresolved, as Go does (RFC 1928, RFC 1929)."""

    def say(words: bytes, wanted: int) -> bytes:
        sock.settimeout(_remaining(end))
        sock.sendall(words)
        answer = b""
        while len(answer) < wanted and (more := sock.recv(wanted - len(answer))):
            answer += more
        if len(answer) < wanted or answer[:1] not in {b"\5", b"\1"}:
            raise _Layered("proxy", "not SOCKS" if answer else "closed")
        return answer

    user, password = (unquote(part).encode()[:255] for part in proxy.userinfo.partition(":")[::2])
    name = host.encode("idna")[:255]
    try:
        method = say(b"\5\2\0\2" if user else b"\5\1\0", 2)[1]
        if method == 2 and say(b"\1" + bytes([len(user)]) + user + bytes([len(password)]) + password, 2)[1]:
            raise _Layered("proxy", "refuses the password", status=407)
        if method not in {0, 2}:
            raise _Layered("proxy", "wants a user name and a password", status=407)
        said = say(b"\5\1\0\3" + bytes([len(name)]) + name + port.to_bytes(2, "big"), 4)
        if said[1]:
            beyond = SOCKS_BEYOND.get(said[1])
            raise _Layered("connect", beyond) if beyond else _Layered("proxy", f"says no (SOCKS {said[1]})", status=503)
        # The address that it connected from, of no interest: IPv4, a name with its length, IPv6.
        length = {1: 4, 4: 16}.get(said[3]) or sock.recv(1)[0]
        sock.recv(length + 2)
    except OSError as no:
        name_of = failure_name(no)
        raise _Layered("proxy", "silent" if name_of == "timeout" else name_of) from None


def _proxy_headers(proxy: Proxy) -> dict[str, str]:
    return {"Proxy-Authorization": proxy.authorization} if proxy.authorization else {}


def _http(
    sock: socket.socket, url: str, proxy: Proxy | None, method: str, headers: dict[str, str], end: float, limit: int
) -> tuple[str, int, tuple[tuple[str, str], ...], str]:
    parts = urlsplit(url)
    target = parts.path or "/"
    if parts.query:
        target += f"?{parts.query}"
    plain_proxy = proxy is not None and not proxy.socks and parts.scheme == "http"
    if proxy and plain_proxy:
        target, headers = url, {**headers, **_proxy_headers(proxy)}
    status, kept, body = _exchange(sock, method, target, parts.netloc, headers, "http", end, limit)
    # 407 can be no one's but the proxy's; tinyproxy says 401 to a wrong password, and a registry says who it is.
    proxys_own = status == 407 or (status == 401 and "docker-distribution-api-version" not in dict(kept))
    return "proxy" if plain_proxy and proxys_own else "http", status, kept, body


def _exchange(
    sock: socket.socket,
    method: str,
    target: str,
    host: str,
    headers: Mapping[str, str],
    layer: str,
    end: float,
    limit: int = 2000,
) -> tuple[int, tuple[tuple[str, str], ...], str]:
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", "User-Agent: dockerdoctor"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if method != "CONNECT":
        lines.append("Connection: close")
    try:
        sock.settimeout(_remaining(end))
        sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace"))
        response = http.client.HTTPResponse(sock, method=method)
        response.begin()
        kept = tuple((k.lower(), v) for k, v in response.getheaders() if k.lower() in KEPT_HEADERS)
        body = ""
        if method == "GET" or (method == "CONNECT" and response.status // 100 != 2):
            with contextlib.suppress(OSError, http.client.HTTPException):
                body = response.read(limit).decode("utf-8", "replace")
        return response.status, kept, body
    except http.client.BadStatusLine as no:
        said = "closed" if isinstance(no, http.client.RemoteDisconnected) or not str(no).strip("'") else "not HTTP"
        raise _Layered(layer, said) from None
    except http.client.HTTPException as no:
        raise _Layered(layer, f"not HTTP ({type(no).__name__})") from None
    except ssl.SSLError as no:  # TLS 1.3: that a certificate of ours is missing is said after the handshake
        raise _Layered("tls", tls_failure(no)) from None
    except OSError as no:
        said = failure_name(no)
        raise _Layered(layer, "silent" if said == "timeout" else said) from None


def _shake(sock: socket.socket, host: str, trust: ssl.SSLContext | None, layer: str, end: float) -> ssl.SSLSocket:
    try:
        return handshake(sock, host, trust, end)
    except Refused as no:
        raise _Layered(layer, no.outcome, verify_code=no.verify_code) from None


def shown_chain(url: str, proxy: Proxy | None = None, patience: float = PATIENCE) -> tuple[Certificate, ...]:
    """The certificates a server shows, whoever signed them; empty where this Python cannot tell."""
    end = time.monotonic() + patience
    try:
        sock, _ = _connection(url, proxy, None, end)
    except _Layered:
        return ()
    with sock:
        return chain_of(sock)


def at_once(jobs: Sequence[Callable[[], T]], patience: float) -> list[T | None]:
    """Do everything at once; None for what is late: name resolution takes no timeout of its own."""
    results: list[T | None] = [None] * len(jobs)

    def work(n: int) -> None:
        results[n] = jobs[n]()

    threads = [threading.Thread(target=work, args=(n,), daemon=True) for n in range(len(jobs))]
    for thread in threads:
        thread.start()
    end = time.monotonic() + patience
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    return list(results)

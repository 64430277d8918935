"""Which programs go past a proxy, and for which hosts: NO_PROXY has no standard, and each program has rules of its own."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dockerdoctor.web import bypasses


@dataclass(frozen=True, slots=True)
class Client:
    """How one program, or the library that many are made with, reads the proxy variables."""

    name: str
    past: Callable[[str, str, int], bool]  # whether it asks a host directly: NO_PROXY, host, port
    lower_only: bool = False  # HTTP_PROXY in capitals is not read; HTTPS_PROXY is by curl
    https_upper: bool = True
    all_proxy: bool = False  # ALL_PROXY stands in for the others

    def proxy(self, env: Mapping[str, str], scheme: str, host: str, port: int) -> str:
        """The proxy that it asks for a URL; empty for the direct way."""
        stem = "https_proxy" if scheme == "https" else "http_proxy"
        names = [stem]
        if not self.lower_only or (scheme == "https" and self.https_upper):
            names.append(stem.upper())
        if self.all_proxy:
            names += ["all_proxy", "ALL_PROXY"]
        value = next((env[n] for n in names if env.get(n)), "")
        no_proxy = (
            env.get("no_proxy") or ("" if self.lower_only and not self.https_upper else env.get("NO_PROXY")) or ""
        )
        return "" if not value or self.past(no_proxy, host.lower().rstrip("."), port) else value


def _entries(no_proxy: str) -> list[str]:
    return [entry.strip().lower() for entry in no_proxy.split(",") if entry.strip()]


def address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An address, if it is one and no name."""
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None


def covers(entry: str, host: str) -> bool:
    """Whether an entry is a CIDR in which an address lies."""
    ours = address(host)
    try:
        return "/" in entry and ours is not None and ours in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False


def _below(entry: str, host: str) -> bool:
    return host == entry or host.endswith(f".{entry}")


def _curl(no_proxy: str, host: str, _port: int, *, cidr: bool = True) -> bool:
    """CIDRs since 7.86 (lib/noproxy.c); no ports, and "*" alone only."""
    if no_proxy.strip() == "*":
        return True
    if address(host):
        return any(e == host or (cidr and covers(e, host)) for e in _entries(no_proxy))
    return any(_below(e.removeprefix("."), host) for e in _entries(no_proxy))


def _old_curl(no_proxy: str, host: str, port: int) -> bool:
    return _curl(no_proxy, host, port, cidr=False)


def _urllib(no_proxy: str, host: str, port: int) -> bool:
    """Names with or without a port, and no CIDR (urllib.request.proxy_bypass_environment)."""
    if no_proxy.strip() == "*":
        return True
    entries = [e.removeprefix(".") for e in _entries(no_proxy)]
    return any(_below(e, host) or _below(e, f"{host}:{port}") for e in entries)


def _requests(no_proxy: str, host: str, port: int) -> bool:
    """As urllib, and CIDRs for IPv4 addresses (requests.utils.should_bypass_proxies)."""
    return _urllib(no_proxy, host, port) or any(covers(e, host) for e in _entries(no_proxy) if ":" not in host)


def _wget(no_proxy: str, host: str, _port: int) -> bool:
    """Names and their subdomains, those after a dot subdomains only; no CIDR, no port, no "*" (src/retr.c, sufmatch)."""
    return any(host.endswith(e) if e.startswith(".") else _below(e, host) for e in _entries(no_proxy))


def _apt(no_proxy: str, host: str, port: int) -> bool:
    """As GNU wget, and blanks belong to the name (apt-pkg/contrib/strutl.cc, CheckDomainList)."""
    return _wget(",".join(e for e in no_proxy.split(",") if e == e.strip()), host, port)


def _never(_no_proxy: str, _host: str, _port: int) -> bool:
    """BusyBox has no NO_PROXY at all (networking/wget.c): its only way past is -Y off."""
    return False


GO = Client("Go", bypasses)
CURL = Client("curl", _curl, lower_only=True, all_proxy=True)
OLD_CURL = Client("curl before 7.86", _old_curl, lower_only=True, all_proxy=True)
REQUESTS = Client("Python's requests", _requests, all_proxy=True)
URLLIB = Client("Python's urllib", _urllib)
WGET = Client("GNU wget", _wget, lower_only=True, https_upper=False)
BUSYBOX = Client("BusyBox wget", _never, lower_only=True, https_upper=False)
APT = Client("apt", _apt, lower_only=True, https_upper=False)
# What base images have, and what is written with them; BusyBox asks through the proxy whatever NO_PROXY says.
CLIENTS = (GO, CURL, OLD_CURL, REQUESTS, URLLIB, WGET, APT)


def ways(env: Mapping[str, str], scheme: str, host: str, port: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Name the programs that ask for a URL through a proxy, and those that ask directly though a proxy is set for them."""
    without = {k: v for k, v in env.items() if k.lower() != "no_proxy"}
    astray, straight = [], []
    for client in CLIENTS:
        if client.proxy(env, scheme, host, port):
            astray.append(client.name)
        elif client.proxy(without, scheme, "198.51.100.1", port):
            straight.append(client.name)
    return tuple(astray), tuple(straight)


def meant(no_proxy: str, host: str, addresses: tuple[str, ...] = ()) -> tuple[str, str]:
    """The entry by which somebody meant to exempt a host from the proxy as dockerd does not read it, and why it does not."""
    for entry in _entries(no_proxy):
        bare = entry.partition("://")[2] if "://" in entry else entry
        bare = bare.rstrip("/")
        if any(covers(entry, a) for a in addresses) and not address(host):
            return entry, f"a network counts for addresses alone, and {host} is a name"
        if "://" in entry and _below(bare.partition(":")[0], host):
            return entry, "a scheme belongs to no entry"
        if entry.endswith("/") and _below(bare, host):
            return entry, "it ends with “/”"
        if "*" in bare.removeprefix("*.") and _matches(bare, host):
            return entry, "“*” counts for nothing within a name or an address"
        if host in bare.replace(";", " ").split() and len(bare.replace(";", " ").split()) > 1:
            return entry, "entries are separated by commas"
        if bare in {f".{host}", f"*.{host}"}:
            return entry, f"it means the names below {host}, and not {host} itself"
        if bare.startswith(f"{host}:"):
            return entry, "it is another port"
    return "", ""


def _matches(pattern: str, host: str) -> bool:
    head, _, tail = pattern.partition("*")
    return host.startswith(head) and host.endswith(tail.lstrip("*"))

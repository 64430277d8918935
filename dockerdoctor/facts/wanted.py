"""What containers on this host will want to reach: registries and their mirrors, proxies, nameservers."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from dockerdoctor.facts.daemon_json import DaemonJson
from dockerdoctor.facts.endpoint import ClientConfig, Settings
from dockerdoctor.facts.engine import EngineInfo
from dockerdoctor.facts.proxy import ProxySettings
from dockerdoctor.host import Host
from dockerdoctor.measure import probe
from dockerdoctor.web import DEFAULT_PORTS, HUB, is_loopback_host, parse_proxy

# Shown in a table that people read.
MAX_REGISTRIES = 3


@dataclass(frozen=True, slots=True)
class Wanted:
    """Extra questions for the probe containers; each area adds what its checks judge."""

    names: tuple[str, ...] = ()  # names to ask every nameserver for
    exchanges: tuple[tuple[str, int, str, float], ...] = ()  # host, port, what to send, patience in seconds
    targets: tuple[tuple[str, int, str], ...] = ()  # likewise: what somebody wants reached, and judges nothing else


def host_name(url: str) -> str:
    """The name in a URL, or in a bare "host:port"; empty for an address or for nonsense."""
    try:
        name = urlsplit(url if "://" in url else f"//{url}").hostname or ""
    except ValueError:
        return ""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name
    return ""


def proxy_targets(settings: ProxySettings | None, info: EngineInfo | None) -> tuple[tuple[str, int, str, float], ...]:
    """Where containers must get to: their proxies; without any, the daemon's, and a registry that it guards."""
    if settings is None:
        return ()
    own = [s.value for s in (*settings.client, *settings.dockerfile) if s.kind != "NO_PROXY"]
    daemon = [s.value for k, s in settings.in_daemon.items() if k != "NO_PROXY"]
    theirs = [s.value for s in settings.containers]
    found = [(p.host, p.port) for value in (*(own or daemon), *theirs) if not isinstance(p := parse_proxy(value), str)]
    if daemon and not own:
        for url in (info.mirrors if info else ()) or (f"https://{HUB}",):
            parts = urlsplit(url)
            found.append((parts.hostname or "", parts.port or DEFAULT_PORTS.get(parts.scheme, 443)))
    return tuple((host, port, "", 0.0) for host, port in dict.fromkeys(found))


def mirror_targets(mirrors: list[str]) -> tuple[tuple[str, int, str, float], ...]:
    """Mirrors that are given by address: whether containers get a TCP connection out can be told by them, DNS or no."""
    urls = [url for url in mirrors if not host_name(url)]
    return tuple((p.host, p.port, "", 0.0) for url in urls if not isinstance(p := parse_proxy(url), str))


def registry_targets(info: EngineInfo | None, settings: ProxySettings | None) -> tuple[tuple[str, int, str], ...]:
    """Where images come from, unless a proxy stands between: then nobody has to reach it without."""
    if settings and any(kind != "NO_PROXY" for kind in settings.in_daemon):
        return ()
    urls = (info.mirrors if info else ()) or (f"https://{HUB}",)
    found = [p for url in urls if not isinstance(p := parse_proxy(url), str) and not is_loopback_host(p.host)]
    return tuple((p.host, p.port, "") for p in found[:MAX_REGISTRIES])


@probe()
def wanted(
    host: Host,
    settings: Settings,
    config: DaemonJson | None,
    client: ClientConfig | None,
    proxies: ProxySettings | None,
    info: EngineInfo | None,
) -> Wanted:
    """Gather the questions: a resolver that serves an inside network alone knows these names and no public ones."""
    listed = (config.settings or {}).get("registry-mirrors") if config else ()
    mirrors = [str(u) for u in listed] if isinstance(listed, list) else []
    urls = list(mirrors)
    urls += [url for _, key, url in client.proxies if key in {"httpProxy", "httpsProxy"}] if client else []
    search = [
        word
        for line in host.text("/etc/resolv.conf").splitlines()
        if line.startswith(("search", "domain"))
        for word in line.split()[1:2]
    ]
    exchanges = tuple(dict.fromkeys((*proxy_targets(proxies, info), *mirror_targets(mirrors))))
    return Wanted(
        tuple(dict.fromkeys(n for n in (*map(host_name, urls), *search) if n and n != ".")),
        exchanges,
        tuple(dict.fromkeys((*registry_targets(info, proxies), *(t.question for t in settings.preferences.targets)))),
    )

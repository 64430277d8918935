"""What containers on this host will want to reach: registries and their mirrors, proxies, nameservers."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from dockerdoctor.facts.daemon_json import DaemonJson
from dockerdoctor.facts.endpoint import ClientConfig
from dockerdoctor.host import Host
from dockerdoctor.measure import probe


@dataclass(frozen=True, slots=True)
class Wanted:
    """Extra questions for the probe containers; each area adds what its checks judge."""

    names: tuple[str, ...] = ()  # names to ask every nameserver for
    exchanges: tuple[tuple[str, int, str, float], ...] = ()  # host, port, what to send, patience in seconds


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


@probe()
def wanted(host: Host, config: DaemonJson | None, client: ClientConfig | None) -> Wanted:
    """Gather the questions: a resolver that serves an inside network alone knows these names and no public ones."""
    listed = (config.settings or {}).get("registry-mirrors") if config else ()
    urls = [str(u) for u in listed] if isinstance(listed, list) else []
    urls += [url for _, key, url in client.proxies if key in {"httpProxy", "httpsProxy"}] if client else []
    search = [
        word
        for line in host.text("/etc/resolv.conf").splitlines()
        if line.startswith(("search", "domain"))
        for word in line.split()[1:2]
    ]
    return Wanted(tuple(dict.fromkeys(n for n in (*map(host_name, urls), *search) if n and n != ".")))

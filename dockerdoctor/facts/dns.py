"""Name resolution as the host is set up for it, and the nameservers that stand behind that."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from dockerdoctor.facts.endpoint import ChosenEndpoint
from dockerdoctor.host import DnsAnswer, Host, failure_name
from dockerdoctor.measure import Unmeasured, probe

RESOLV_CONF = "/etc/resolv.conf"
# dockerd hands out this file instead of one that names only the stub (moby/moby, libnetwork/resolvconf).
RESOLVED_CONF = "/run/systemd/resolve/resolv.conf"
RESOLVED_STUB = "127.0.0.53"
# What dockerd gives containers when only loopback servers are left; up to 27.x on every network.
FALLBACK = ("8.8.8.8", "8.8.4.4")
HUB = "registry-1.docker.io"


@dataclass(frozen=True, slots=True)
class ResolvConf:
    """One resolver configuration file (resolv.conf(5))."""

    path: str
    exists: bool  # links followed
    link: str = ""  # target when it is a symbolic link
    problem: str = ""  # "dangling link", "EACCES", "empty"
    nameservers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    modified: float = 0.0


@dataclass(frozen=True, slots=True)
class HostResolver:
    """What the host is configured with, and what dockerd makes of it for containers."""

    etc: ResolvConf
    resolved: ResolvConf  # systemd-resolved's own file, with the real servers

    @property
    def given(self) -> ResolvConf:
        """The file that dockerd starts from."""
        return self.resolved if self.etc.nameservers == (RESOLVED_STUB,) and self.resolved.nameservers else self.etc

    @property
    def for_containers(self) -> tuple[str, ...]:
        """Servers of the host's that a container can use as they are: loopback means another machine in there."""
        return tuple(s for s in self.given.nameservers if not is_loopback(s))


@dataclass(frozen=True, slots=True)
class Candidate:
    """A nameserver that could be given to containers, and who says so."""

    server: str
    source: str  # "/run/systemd/resolve/resolv.conf", "dnsmasq: /etc/dnsmasq.conf:3", "NetworkManager", "DHCP lease"


@dataclass(frozen=True, slots=True)
class Upstreams:
    """The host's real nameservers: those behind systemd-resolved, dnsmasq or NetworkManager; best first."""

    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class HostDns:
    """Every nameserver of interest, asked from the host over both transports with dnspython."""

    answers: tuple[DnsAnswer, ...]
    # getaddrinfo(3) on the host, as dockerd resolves the registries: (name, addresses, outcome)
    lookups: tuple[tuple[str, tuple[str, ...], str], ...]


def is_loopback(address: str) -> bool:
    """Whether an address means "this machine" to whoever uses it; not an address at all counts as no."""
    try:
        return ipaddress.ip_address(address.split("%", maxsplit=1)[0]).is_loopback
    except ValueError:
        return False


def parse_resolv_conf(text: str) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Take nameservers, search domains and options out of a resolv.conf."""
    servers: list[str] = []
    search: tuple[str, ...] = ()
    options: list[str] = []
    for line in text.splitlines():
        fields = re.split(r"[#;]", line, maxsplit=1)[0].split()
        if len(fields) < 2:
            continue
        if fields[0] == "nameserver":
            servers.append(fields[1])
        elif fields[0] in {"search", "domain"}:
            search = tuple(fields[1:])
        elif fields[0] == "options":
            options += fields[1:]
    return tuple(dict.fromkeys(servers)), search, tuple(options)


def read_resolv_conf(host: Host, path: str) -> ResolvConf:
    """Read one file; a broken one is a measurement."""
    link = host.readlink(path)
    try:
        text = host.read(path)
        modified = host.path(path).stat().st_mtime
    except FileNotFoundError:
        return ResolvConf(path, exists=False, link=link, problem="dangling link" if link else "missing")
    except OSError as no:
        return ResolvConf(path, exists=True, link=link, problem=failure_name(no))
    servers, search, options = parse_resolv_conf(text)
    return ResolvConf(path, True, link, "" if servers else "empty", servers, search, options, modified)


@probe()
def host_resolver(host: Host, endpoint: ChosenEndpoint) -> HostResolver:
    """Read both files; which of them dockerd uses is a property of the fact."""
    if not endpoint.local:
        raise Unmeasured("the engine is on another host", skipped=True)
    return HostResolver(read_resolv_conf(host, RESOLV_CONF), read_resolv_conf(host, RESOLVED_CONF))

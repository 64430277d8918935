"""Nameservers that could stand in for the host's own; looked for only where none of those answers."""

from __future__ import annotations

from dataclasses import dataclass

from dockerdoctor.facts.dns import FALLBACK, HostDns, HostResolver, ask_all
from dockerdoctor.facts.routes import Routes
from dockerdoctor.facts.upstreams import find_upstreams
from dockerdoctor.facts.wanted import Wanted
from dockerdoctor.host import DnsAnswer, Host
from dockerdoctor.measure import probe
from dockerdoctor.web import HUB

RESOLVED = "/usr/lib/systemd/systemd-resolved"


@dataclass(frozen=True, slots=True)
class SpareServers:
    """What they said over UDP, best first; empty where the host has a nameserver that answers."""

    answers: tuple[DnsAnswer, ...] = ()
    resolved: bool = False  # systemd-resolved is installed here

    @property
    def best(self) -> str:
        """The first that does its work."""
        return next((a.server for a in self.answers if a.ok), "")


@probe(deadline=6)
def spare_servers(
    host: Host, resolver: HostResolver, dns: HostDns, routes: Routes | None, wanted: Wanted | None
) -> SpareServers:
    """
    Ask what the network announced, what other programs of this host use, and then the router, which often is one.

    Where the host names none at all, Docker's own choice comes last: containers are given it as it is.
    """
    asked = {a.server for a in dns.answers}
    if any(a.ok and a.transport == "udp" for s in resolver.etc.nameservers or ("127.0.0.1",) for a in dns.said(s)):
        return SpareServers()
    found = find_upstreams(host, resolver, routes)
    last = () if resolver.etc.nameservers else FALLBACK
    servers = [s for s in (*(c.server for c in (*found.candidates, *found.gateways)), *last) if s not in asked]
    answers = ask_all(host, servers, (HUB, *(wanted.names if wanted else ())), ("udp",))
    return SpareServers(tuple(a for s in servers for a in answers if a.server == s), host.exists(RESOLVED))

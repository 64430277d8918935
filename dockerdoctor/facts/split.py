"""Domains for which this host asks nameservers of their own: split DNS."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from dockerdoctor.facts.dns import RESOLVED_STUB, HostResolver, is_loopback
from dockerdoctor.facts.upstreams import dnsmasq_settings
from dockerdoctor.host import Host
from dockerdoctor.measure import probe

MAX_DOMAINS = 6


@dataclass(frozen=True, slots=True)
class Routed:
    """One domain that has nameservers of its own."""

    domain: str
    servers: tuple[str, ...]  # as far as they are known
    source: str


@dataclass(frozen=True, slots=True)
class SplitDns:
    """Every such domain; a resolver on the host's loopback is what tells them apart."""

    domains: tuple[Routed, ...]


def of_dnsmasq(value: str, source: str) -> Iterator[Routed]:
    """Read `server=/corp.example/lab.example/10.0.0.1` (dnsmasq(8)); "#" and nothing are no other server."""
    *domains, server = value.strip("/").split("/") if value.startswith("/") else [""]
    address = server.partition("#")[0].partition("@")[0]
    if address:
        yield from (Routed(d.lstrip("*.").lower(), (address,), source) for d in domains if d)


def of_resolvectl(domains: str, servers: str) -> Iterator[Routed]:
    """Read `resolvectl domain` and `resolvectl dns`: "Link 3 (tun0): corp.example ~lab.example"."""
    lines = [re.match(r"(Global|Link \d+ \(.*?\)):(.*)", line) for line in servers.splitlines()]
    known = {m.group(1): tuple(s.partition("#")[0].partition("%")[0] for s in m.group(2).split()) for m in lines if m}
    for line in domains.splitlines():
        match = re.match(r"(Global|Link \d+ \(.*?\)):(.*)", line)
        for word in match.group(2).split() if match else ():
            domain = word.lstrip("~").strip(".").lower()
            if match and domain and not domain.endswith(".arpa"):
                yield Routed(domain, known.get(match.group(1), ()), f"resolvectl, {match.group(1)}")


@probe(deadline=3)
def split_dns(host: Host, resolver: HostResolver) -> SplitDns:
    """Look only where a resolver of the host's own is in use: without one, all names go the same way."""
    found: list[Routed] = []
    if RESOLVED_STUB in resolver.etc.nameservers:
        said = [host.run("resolvectl", "--no-pager", what, timeout=1.5).out for what in ("domain", "dns")]
        found += of_resolvectl(*said)
    elif any(is_loopback(s) for s in resolver.etc.nameservers):
        for key, value, source in dnsmasq_settings(host):
            if key in {"server", "local"}:
                found += of_dnsmasq(value, source)
    first = {routed.domain: routed for routed in reversed(found)}
    return SplitDns(tuple(reversed(first.values()))[:MAX_DOMAINS])

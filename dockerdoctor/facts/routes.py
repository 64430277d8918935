"""Interfaces and routes of the host."""

from __future__ import annotations

import ipaddress
import json
from dataclasses import dataclass

from dockerdoctor.facts.endpoint import ChosenEndpoint
from dockerdoctor.host import Host
from dockerdoctor.measure import Unmeasured, probe


@dataclass(frozen=True, slots=True)
class Route:
    """One IPv4 route of any table but local's."""

    destination: str  # CIDR; "0.0.0.0/0" for the default
    device: str
    gateway: str = ""
    source: str = ""
    mtu: int = 0  # a route's own, when it sets one


@dataclass(frozen=True, slots=True)
class Interface:
    """One network interface."""

    name: str
    mtu: int
    up: bool
    kind: str = ""  # "bridge", "veth", "wireguard", "tun"; empty for hardware
    master: str = ""
    addresses: tuple[str, ...] = ()  # CIDR, both families


@dataclass(frozen=True, slots=True)
class Routes:
    """The host's IPv4 routes and its interfaces."""

    routes: tuple[Route, ...]
    interfaces: tuple[Interface, ...]

    @property
    def defaults(self) -> tuple[Route, ...]:
        """The default routes, the preferred one first."""
        return tuple(r for r in self.routes if r.destination == "0.0.0.0/0")

    @property
    def gateways(self) -> tuple[str, ...]:
        """Next hops of the default routes."""
        return tuple(dict.fromkeys(r.gateway for r in self.defaults if r.gateway))

    @property
    def uplink(self) -> Interface | None:
        """The interface of the preferred default route."""
        return next((i for r in self.defaults for i in self.interfaces if i.name == r.device), None)

    @property
    def leaves(self) -> bool:
        """Whether anything beyond its own networks can be reached; one with a global IPv6 address may."""
        ours = (a.split("/")[0] for i in self.interfaces for a in i.addresses if ":" in a)
        return bool(self.defaults) or any(ipaddress.ip_address(a).is_global for a in ours)

    @property
    def source(self) -> str:
        """The host's own IPv4 address towards the world; empty without a default route."""
        if not self.uplink:
            return ""
        return next((a.split("/")[0] for a in self.uplink.addresses if ":" not in a), "")

    def owns(self, address: str) -> bool:
        """Whether an address is one of this host's."""
        return any(a.split("/")[0] == address for i in self.interfaces for a in i.addresses)


def _cidr(text: str) -> str:
    if text == "default":
        return "0.0.0.0/0"
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        return ""


def parse_routes(text: str) -> tuple[Route, ...]:
    """Read `ip -json route show table all`: the main table first, in which most packets find their way, then policies'."""
    listed = [
        r for r in json.loads(text or "[]") if r.get("table") != "local" and r.get("type", "unicast") == "unicast"
    ]
    found = []
    for r in sorted(listed, key=lambda r: (r.get("table", "main") != "main", int(r.get("metric") or 0))):
        # Of several next hops, which share the packets, the first stands for all.
        hop = next(iter(r.get("nexthops") or ()), r)
        mtu = int((r.get("metrics") or [{}])[0].get("mtu") or 0)
        destination = _cidr(r.get("dst", ""))
        found.append(Route(destination, hop.get("dev", ""), hop.get("gateway", ""), r.get("prefsrc", ""), mtu))
    return tuple(r for r in found if r.destination)


@probe()
def routes(host: Host, endpoint: ChosenEndpoint) -> Routes:
    """Ask ip(8), which knows every table; kernels sort the routes of one by metric, and so are they here."""
    if not endpoint.local:
        raise Unmeasured("the engine is on another host", skipped=True)
    listed = host.run("ip", "-json", "-4", "route", "show", "table", "all")
    links = host.run("ip", "-json", "-details", "address", "show")
    if not (listed.ok and links.ok):
        raise Unmeasured(f"ip: {listed.err.strip() or links.err.strip()}", how="install iproute2")
    found = parse_routes(listed.out)
    interfaces = tuple(
        Interface(
            i.get("ifname", ""),
            int(i.get("mtu") or 0),
            "UP" in (i.get("flags") or ()),
            (i.get("linkinfo") or {}).get("info_kind") or "",
            i.get("master") or "",
            tuple(f"{a['local']}/{a['prefixlen']}" for a in i.get("addr_info") or () if "local" in a),
        )
        for i in json.loads(links.out or "[]")
        if i.get("ifname")
    )
    return Routes(found, interfaces)

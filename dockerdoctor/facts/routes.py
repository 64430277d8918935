"""Interfaces and routes of the host."""

from __future__ import annotations

import ipaddress
import json
import re
from collections import Counter
from dataclasses import dataclass
from itertools import chain

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
    hairpin: bool | None = None  # of a bridge's port: whether it sends a frame back where it came from
    arp: bool = True  # whether it answers who asks for its address
    spanning: bool = (
        False  # of a bridge: whether its ports wait for other bridges' word before they carry anything (STP)
    )
    ports: int = 0  # of a bridge: how many interfaces are connected to it


@dataclass(frozen=True, slots=True)
class Routes:
    """The host's IPv4 routes and its interfaces."""

    routes: tuple[Route, ...]
    interfaces: tuple[Interface, ...]
    chosen: str = ""  # the source address that the kernel takes for the world, rules of all tables considered

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
        """The interface by which packets leave for the world; without the kernel's word, the first default route's."""
        # Two halves of the world are a VPN's way to spare the default route.
        wide = {r.device for r in self.routes if r.destination.endswith(("/0", "/1"))}
        holders = (i for i in self.interfaces if i.name in wide and self.chosen and self._on(i, self.chosen))
        named = (i for r in self.defaults for i in self.interfaces if i.name == r.device)
        return next(chain(holders, named), None)

    @staticmethod
    def _on(interface: Interface, address: str) -> bool:
        return any(a.split("/")[0] == address for a in interface.addresses)

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
        if self.chosen and self._on(self.uplink, self.chosen):
            return self.chosen
        return next((a.split("/")[0] for a in self.uplink.addresses if ":" not in a), "")

    def owns(self, address: str) -> bool:
        """Whether an address is one of this host's."""
        return any(self._on(i, address) for i in self.interfaces)


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
    found: list[Route] = []
    for r in sorted(listed, key=lambda r: (r.get("table", "main") != "main", int(r.get("metric") or 0))):
        mtu = int((r.get("metrics") or [{}])[0].get("mtu") or 0)
        destination = _cidr(r.get("dst", ""))
        # Several next hops share the packets.
        found += [
            Route(destination, hop.get("dev", ""), hop.get("gateway", ""), r.get("prefsrc", ""), mtu)
            for hop in r.get("nexthops") or (r,)
        ]
    return tuple(r for r in found if r.destination)


# Of the ranges that nobody has (RFC 5737): it goes where the world goes, and nothing is sent.
THE_WORLD = "198.51.100.1"
# The time that a starting container's cable is without its bridge; on a busy host several of these.
CONNECTING = 0.3  # seconds
LOOKS = 4
# A veth's host end as Docker names it (moby/moby, libnetwork/drivers/bridge); those of other programs are left alone.
DOCKER_VETH = re.compile(r"veth[0-9a-f]{7}")


def loose(interfaces: tuple[Interface, ...]) -> tuple[str, ...]:
    """Docker's cables that are connected to no bridge."""
    return tuple(i.name for i in interfaces if DOCKER_VETH.fullmatch(i.name) and not i.master)


def _interfaces(host: Host) -> tuple[Interface, ...]:
    links = host.run("ip", "-json", "-details", "address", "show")
    if not links.ok:
        raise Unmeasured(f"ip: {links.err.strip()}", how="install iproute2")
    return parse_interfaces(links.out)


def parse_interfaces(text: str) -> tuple[Interface, ...]:
    """Read `ip -json -details address show`."""
    listed = [i for i in json.loads(text or "[]") if i.get("ifname")]
    masters = Counter(i.get("master") for i in listed)
    return tuple(
        Interface(
            i["ifname"],
            int(i.get("mtu") or 0),
            "UP" in (i.get("flags") or ()),
            (i.get("linkinfo") or {}).get("info_kind") or "",
            i.get("master") or "",
            tuple(f"{a['local']}/{a['prefixlen']}" for a in i.get("addr_info") or () if "local" in a),
            ((i.get("linkinfo") or {}).get("info_slave_data") or {}).get("hairpin"),
            "NOARP" not in (i.get("flags") or ()),
            ((i.get("linkinfo") or {}).get("info_data") or {}).get("stp_state") == 1,
            masters[i["ifname"]],
        )
        for i in listed
    )


@probe()
def routes(host: Host, endpoint: ChosenEndpoint) -> Routes:
    """Ask ip(8), which knows every table; kernels sort the routes of one by metric, and so are they here."""
    if not endpoint.local:
        raise Unmeasured("the engine is on another host", skipped=True)
    listed = host.run("ip", "-json", "-4", "route", "show", "table", "all")
    if not listed.ok:
        raise Unmeasured(f"ip: {listed.err.strip()}", how="install iproute2")
    interfaces = _interfaces(host)
    stays = set(loose(interfaces))
    for _ in range(LOOKS - 1):
        if not stays:
            break
        host.sleep(CONNECTING)  # of a container that is just being started, perhaps
        interfaces = _interfaces(host)
        stays &= set(loose(interfaces))
    # Where one restarts without end, the last look meets another cable that is on its way to the bridge.
    on_its_way = set(loose(interfaces)) - stays
    interfaces = tuple(i for i in interfaces if i.name not in on_its_way)
    return Routes(parse_routes(listed.out), interfaces, host.source_towards(THE_WORLD))

"""The addresses that Docker's networks take, and whose they were."""

from __future__ import annotations

import ipaddress
import re
import shlex
from collections.abc import Iterable, Iterator
from itertools import islice
from urllib.parse import urlsplit

from dockerdoctor.checks.network import IPv4Network, net
from dockerdoctor.checks.reach import RESTART, ipv4, is_address
from dockerdoctor.examine import check, failed, passed, skipped
from dockerdoctor.facts.containers import Containers, Network, Networks
from dockerdoctor.facts.daemon_json import DaemonJson
from dockerdoctor.facts.dns import HostResolver, is_loopback
from dockerdoctor.facts.engine import EngineInfo
from dockerdoctor.facts.inside import Inside
from dockerdoctor.facts.routes import Route, Routes
from dockerdoctor.model import Evidence, Finding, Severity

# Where Docker takes networks from by default (moby/moby, libnetwork/ipamutils).
DEFAULT_POOLS = (
    *((f"172.{n}.0.0/16", 16) for n in range(17, 32)),
    ("192.168.0.0/16", 20),
)
# The bridge of a user-defined network, after the network's id.
LEFT_BRIDGE = re.compile(r"br-[0-9a-f]{12}")
# Ranges to move networks to: private (RFC 1918), and seldom used by companies, home routers or VPNs.
SPARE = (*(f"10.{n}.0.0/16" for n in range(210, 250)), *(f"172.{n}.0.0/16" for n in range(24, 32)))
# More free networks than this need not be looked through to know that one is free.
ENOUGH = 4096
OVERLAP_STEP = "# pick another range if your network uses 10.0.0.0/8 elsewhere; this host has no route into this one"


def foreign_routes(networks: Networks, routes: Routes) -> tuple[Route, ...]:
    """Routes that are not Docker's, but for those that cover half the world."""
    bridges = {n.bridge for n in networks.bridges}
    up = {i.name for i in routes.interfaces if i.up}
    return tuple(
        r for r in routes.routes if r.device not in bridges and r.device in up and net(r.destination).prefixlen > 1
    )


def collision(subnet: IPv4Network, route: Route, routes: Routes) -> bool:
    """Whether a Docker subnet takes packets that another route is there for, or the other way round."""
    other = net(route.destination)
    if not subnet.overlaps(other):
        return False
    # A wide route that leads where the default route leads anyway says nothing about who lives there.
    same_way = any((d.device, d.gateway) == (route.device, route.gateway) for d in routes.defaults)
    return not (same_way and other.prefixlen < subnet.prefixlen)


def proxy_address(url: str) -> str:
    """The host part of a proxy's URL."""
    try:
        return urlsplit(url if "://" in url else f"//{url}").hostname or ""
    except ValueError:
        return ""


def wanted_addresses(
    resolver: HostResolver | None, routes: Routes, config: DaemonJson | None, info: EngineInfo | None
) -> dict[str, str]:
    """Addresses beyond the host that it needs, and what for."""
    found: dict[str, str] = {}
    for gateway in routes.gateways:
        found[gateway] = "the default gateway"
    for file in (resolver.etc, resolver.resolved) if resolver else ():
        found |= {s: f"nameserver in {file.path}" for s in file.nameservers if not is_loopback(s)}
    if config:
        found |= dict.fromkeys(config.dns, f"nameserver in {config.path}")
    if info:
        found |= {proxy_address(u): "the daemon's proxy" for u in (info.http_proxy, info.https_proxy) if u}
    return {a: what for a, what in found.items() if is_address(a) and not routes.owns(a)}


def free_ranges(taken: Iterable[str]) -> Iterator[IPv4Network]:
    """Ranges of /16 that no route, network or needed address lies in."""
    used = [net(t) for t in taken if net(t).prefixlen > 1]
    return (net(s) for s in SPARE if not any(net(s).overlaps(u) for u in used))


@check(
    "network.subnet-overlap",
    title="No Docker network takes addresses of the networks around this host",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/engine/network/#subnet-allocation",
)
def subnet_overlap(
    networks: Networks,
    routes: Routes,
    resolver: HostResolver | None,
    config: DaemonJson | None,
    info: EngineInfo | None,
    containers: Containers | None,
) -> Finding:
    """
    Docker picks private ranges, and so do companies, VPNs and clouds. The more specific route wins.

    Why it matters: a part of your network answers neither this host nor its containers: "no route to host".
    How to fix: move the Docker network to a range that no route of this host covers.
    """
    if why := networks.not_here:
        return skipped(why)
    needed = wanted_addresses(resolver, routes, config, info)
    members = {a.ip for c in containers.all for a in c.networks} if containers else set()
    struck: list[tuple[Network, str, Evidence]] = []
    deserted: dict[str, str] = {}  # bridges that nobody uses any more, by the name of the network that they disturb
    for network in networks.bridges:
        subnet = ipv4(network)
        if not subnet:
            continue
        for route in foreign_routes(networks, routes):
            if collision(net(subnet), route, routes):
                via = f" via {route.gateway}" if route.gateway else ""
                seen = Evidence("ip route show table all", f"{route.destination}{via} dev {route.device}")
                struck.append((network, f"{route.destination} on {route.device}", seen))
                if left_over(route.device, routes):
                    deserted[network.name] = route.device
                break
        else:
            for address, what in needed.items():
                if ipaddress.IPv4Address(address) in net(subnet) and address not in {*members, *network.gateways}:
                    struck.append((network, f"{address}, {what}", Evidence(what, address)))
                    break
    if not struck:
        return passed(f"{', '.join(ipv4(n) for n in networks.bridges if ipv4(n))} overlap with no other route")
    spare = free_ranges(
        (*(r.destination for r in routes.routes), *(ipv4(n) for n in networks.bridges if ipv4(n)), *needed)
    )
    moved = [network for network, _, _ in struck if network.name not in deserted]
    fixes = [
        *(f"ip link delete {bridge}" for bridge in dict.fromkeys(deserted.values())),
        *((OVERLAP_STEP,) if moved else ()),
        *(step for network in moved for step in move(network, next(spare, None), containers, config)),
        # The route that the other bridge had taken is not made again by itself.
        *(route_again(n, routes) for n, _, _ in struck if n.name in deserted),
    ]
    return failed(
        "; ".join(f"network {n.name} ({ipv4(n)}) overlaps with {other}" for n, other, _ in struck),
        *(seen for _, _, seen in struck),
        *(Evidence("GET /networks", f"{n.name}: {ipv4(n)} on {n.bridge}") for n, _, _ in struck),
        cause=f"Docker's network {struck[0][0].name} uses addresses that belong to {struck[0][1]}: packets to them go "
        "to the wrong side."
        + (
            f" {deserted[struck[0][0].name]} was left by a network that is gone."
            if struck[0][0].name in deserted
            else ""
        ),
        fix=fixes,
        impact="containers on these networks are disconnected for a moment, or stop" if moved else "",
    )


def left_over(device: str, routes: Routes) -> bool:
    """Whether an interface is a bridge as Docker names it, of a network that is gone: nothing is connected to it."""
    return bool(LEFT_BRIDGE.fullmatch(device)) and any(
        i.name == device and i.kind == "bridge" and not i.ports for i in routes.interfaces
    )


def route_again(network: Network, routes: Routes) -> str:
    """Give a bridge the way to its containers, whether or not it has it."""
    held = (a.split("/")[0] for i in routes.interfaces if i.name == network.bridge for a in i.addresses if ":" not in a)
    source = next(held, "")
    return f"ip route replace {ipv4(network)} dev {network.bridge}" + (f" src {source}" if source else "")


def move(
    network: Network, to: IPv4Network | None, containers: Containers | None, config: DaemonJson | None
) -> Iterator[str]:
    """Take a network to another range, with the containers on it."""
    if to is None:
        yield "# no private range is free on this host: ask whoever plans your addresses for one"
        return
    if network.name == "bridge":
        path = config.path if config else "/etc/docker/daemon.json"
        key = "fixed-cidr and bip" if config and (config.settings or {}).get("fixed-cidr") else "bip"
        yield f'# in {path}, set {key}: "bip": "{to[1]}/24"'
        yield from RESTART
        return
    subnet = next(to.subnets(new_prefix=24))
    here = [c.name for c in containers.all for a in c.networks if a.network == network.name] if containers else []
    labels = dict(network.labels)
    if project := labels.get("com.docker.compose.project"):
        yield f"# {network.name} is made by Compose: set its subnet there too (networks.*.ipam.config), else it returns; project {project}"
    # Names and labels of networks may be anything, blanks and "$(…)" too.
    called = shlex.quote(network.name)
    yield from (f"docker network disconnect --force {called} {name}" for name in here)
    yield f"docker network rm {called}"
    options = "".join(
        f" --opt {shlex.quote(f'{k}={v}')}" for k, v in network.options if k != "com.docker.network.bridge.name"
    )
    marks = "".join(f" --label {shlex.quote(f'{k}={v}')}" for k, v in network.labels)
    internal = " --internal" if network.internal else ""
    yield f"docker network create --subnet {subnet}{internal}{options}{marks} {called}"
    yield from (f"docker network connect {called} {name}" for name in here)


POOL_ERRORS = ("non-overlapping IPv4 address pool", "predefined address pools have been fully subnetted")


@check(
    "network.address-pools",
    title="A new network finds free addresses",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/engine/network/#subnet-allocation",
    upstream=("network.subnet-overlap",),
)
def address_pools(
    networks: Networks,
    routes: Routes,
    info: EngineInfo,
    inside: Inside | None,
    containers: Containers | None,
    config: DaemonJson | None,
) -> Finding:
    """
    `docker network create` and Compose take a range from the pools; by default there are 31.

    Why it matters: no further network can be made ("could not find an available, non-overlapping IPv4 address pool").
    How to fix: remove networks that nobody uses, or give Docker a wider pool that no route covers.
    """
    # Pools of IPv6 are a matter of their own; where there are no others, the default ones for IPv4 stay in place.
    pools = tuple((base, size) for base, size in info.address_pools if ":" not in base) or DEFAULT_POOLS
    own = [net(ipv4(n)) for n in networks.bridges if ipv4(n)]
    foreign = [net(r.destination) for r in foreign_routes(networks, routes)]
    pooled = [s for base, size in pools for s in islice(net(base).subnets(new_prefix=size), ENOUGH)]
    free = sum(not any(s.overlaps(u) for u in (*own, *foreign)) for s in pooled)
    said = inside.user.error if inside else ""
    exhausted = any(e in said for e in POOL_ERRORS)
    if not exhausted and (free or (inside and inside.user.asked)):
        return passed(f"{free} networks are free in the address pools")
    if not exhausted and networks.elsewhere:
        return skipped(networks.elsewhere)
    bases = (
        ", ".join(f"{base} in /{size}" for base, size in pools) if pools != DEFAULT_POOLS else "Docker's 31 by default"
    )
    taken = sum(any(s.overlaps(u) for u in own) for s in pooled)
    routed = sum(any(s.overlaps(u) for u in foreign) for s in pooled)
    used = {a.network for c in containers.all for a in c.networks} if containers else {n.name for n in networks.all}
    idle = [n.name for n in networks.bridges if n.name not in {*used, "bridge"}]
    spare = next(free_ranges((*(r.destination for r in routes.routes), *map(str, own), *(b for b, _ in pools))), None)
    path = config.path if config else "/etc/docker/daemon.json"
    pool = f'"default-address-pools": [{{"base": "{spare}", "size": 24}}]'
    widen = (f"# in {path}, add a pool that no route of this host covers: {pool}", "# then: systemctl restart docker")
    why = (
        f"{taken} of {len(pooled)} ranges of the pools are in use by Docker's own networks"
        + (f", {routed} are covered by other routes of this host, a VPN's perhaps" if routed else "")
        + "."
    )
    return failed(
        f"no address range is free for a new network: {taken} in use, {routed} covered by routes",
        *((Evidence("docker network create", said),) if exhausted else ()),
        Evidence("address pools", bases),
        *(Evidence("GET /networks, without a container", name) for name in idle[:10]),
        cause=why,
        fix=(*((f"docker network rm {shlex.join(idle)}",) if idle else ()), *(widen if spare and not idle else ())),
        impact="removes networks that no container uses, not even a stopped one" if idle else "restarts dockerd",
    )

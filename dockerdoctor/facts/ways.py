"""Which way the kernel sends packets of containers, and whether it takes what comes back: asked of the kernel itself."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from dockerdoctor.facts.containers import Network, Networks
from dockerdoctor.facts.forwarding import Forwarding, refused_paths
from dockerdoctor.facts.inside import Inside, View
from dockerdoctor.facts.routes import Routes
from dockerdoctor.host import Host
from dockerdoctor.measure import Unmeasured, probe

ENOUGH = 2  # targets that got lost; more would tell the same
# What fib_validate_source says where the answer would leave by another interface, EXDEV; the newest kernels tell EINVAL instead.
CROSSED, UNTOLD = "Invalid cross-device link", "Invalid argument"


@dataclass(frozen=True, slots=True)
class Hop:
    """The kernel's answer to `ip route get`."""

    asked: str  # the command
    device: str = ""
    gateway: str = ""
    error: str = ""

    @property
    def said(self) -> str:
        """As evidence shows it."""
        return self.error or f"{f'via {self.gateway} ' if self.gateway else ''}dev {self.device}"

    def crossed(self, *, strict: bool) -> bool:
        """Whether the kernel refuses such a packet for the interface it comes in by, which is strict or not."""
        return CROSSED in self.error or (strict and UNTOLD in self.error)


@dataclass(frozen=True, slots=True)
class Way:
    """From a container to something beyond the host, and back."""

    target: str
    bridge: str
    mark: str  # that packets are given on their way, perhaps; empty for none
    host: Hop  # how the host's own packets go
    out: Hop
    back: Hop | None = None  # None where there is no way out


@dataclass(frozen=True, slots=True)
class Policy:
    """What IPsec does to packets from somewhere to somewhere (`ip xfrm policy`)."""

    source: str  # CIDR
    destination: str
    direction: str  # "out", "fwd"
    action: str = "allow"  # "block"
    tunnel: str = ""  # "esp": packets are to be transformed

    @property
    def said(self) -> str:
        """As evidence shows it."""
        how = f" {self.tunnel}" if self.tunnel else ""
        return f"src {self.source} dst {self.destination} dir {self.direction} {self.action}{how}"

    def catches(self, source: str, destination: str) -> bool:
        """Whether a packet is for it, and does not simply pass."""
        return (
            (self.action == "block" or bool(self.tunnel))
            and _within(source, self.source)
            and _within(destination, self.destination)
        )


@dataclass(frozen=True, slots=True)
class Ways:
    """Where packets of containers went that got lost."""

    all: tuple[Way, ...] = ()
    refused: int = 0  # packets that came in by an interface where they were not expected, meanwhile
    rules: tuple[str, ...] = ()  # of `ip rule`, the three that every host has left out
    policies: tuple[Policy, ...] = ()  # of IPsec, that catch what was lost or the answer to it


def lost(view: View) -> Iterator[str]:
    """Addresses that a container tried to reach, and from which nothing came back."""
    yield from (p.target for p in view.pings if p.payload == 56 and p.outcome != "ok")
    yield from (e.target.rpartition(":")[0] for e in view.exchanges if e.outcome not in {"ok", "closed"})
    yield from (a.server for a in view.dns if a.silent)


def _ipv4(text: str) -> bool:
    try:
        return not ipaddress.IPv4Address(text).is_loopback
    except ValueError:
        return False


def _hop(host: Host, *words: str) -> Hop:
    done = host.run("ip", "-json", "-4", "route", "get", *words)
    asked = f"ip route get {' '.join(words)}"
    if not done.ok:
        return Hop(asked, error=re.sub(r"^RTNETLINK answers: ", "", done.err.strip()))
    found = json.loads(done.out or "[{}]")[0]
    return Hop(asked, str(found.get("dev") or ""), str(found.get("gateway") or ""))


def read_rules(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Read `ip rule show`: rules that are not every host's, and the marks that they ask for."""
    lines = [" ".join(line.split()) for line in text.splitlines()]
    own = [x for x in lines if not re.fullmatch(r"(0: from all lookup local|\d+: from all lookup (main|default))", x)]
    marks = [
        m[1] for x in own if (m := re.search(r"\bfwmark (0x[0-9a-f]+)", x)) and f"not from all fwmark {m[1]}" not in x
    ]
    return tuple(own), tuple(dict.fromkeys(marks))


def _within(address: str, subnet: str) -> bool:
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(subnet, strict=False)
    except ValueError:
        return False


def read_policies(text: str) -> tuple[Policy, ...]:
    """Read `ip xfrm policy show`: a line of addresses for each, and indented ones about it."""
    found: list[Policy] = []
    for block in re.split(r"^(?=src )", text, flags=re.MULTILINE):
        selector = re.match(r"src (\S+) dst (\S+)", block)
        direction = re.search(r"^\s+dir (out|fwd)\b", block, re.MULTILINE)
        if selector and direction:
            action = "block" if re.search(r"\baction block\b", block) else "allow"
            tunnel = re.search(r"^\s+proto (\w+)", block, re.MULTILINE)
            found.append(Policy(selector[1], selector[2], direction[1], action, tunnel[1] if tunnel else ""))
    return tuple(found)


def _caught(host: Host, targets: list[str], member: str) -> Iterator[Policy]:
    listed = host.run("ip", "-4", "xfrm", "policy", "show")
    for policy in read_policies(listed.out) if listed.ok else ():
        pairs = [(member, t) for t in targets] + [(t, member) for t in targets if policy.direction == "fwd"]
        if any(policy.catches(*pair) for pair in pairs):
            yield policy


def _member(network: Network) -> str:
    """The address of some container."""
    subnet = next((s for s in network.subnets if ":" not in s), "")
    return str(ipaddress.ip_network(subnet, strict=False)[2]) if subnet and not subnet.endswith(("/31", "/32")) else ""


@probe(deadline=4)
def ways(host: Host, inside: Inside, networks: Networks, routes: Routes, before: Forwarding) -> Ways:
    """Ask only about what got lost, and only where rules or interfaces could make a difference to containers."""
    network = next((n for n in networks.bridges if n.name == "bridge"), None)
    refused = refused_paths(host) - before.refused_paths
    targets = [t for t in dict.fromkeys(lost(inside.bridge)) if _ipv4(t) and not routes.owns(t)][:ENOUGH]
    member = _member(network) if network else ""
    if not network or not member or not targets or networks.elsewhere:
        return Ways((), refused)
    listed = host.run("ip", "-4", "rule", "show")
    if not listed.ok:
        raise Unmeasured(f"ip: {listed.err.strip()}", how="install iproute2")
    rules, marks = read_rules(listed.out)

    def way(target: str, mark: str) -> Way:
        marked = ("mark", mark) if mark else ()
        out = _hop(host, target, "from", member, "iif", network.bridge, *marked)
        # What comes back is for the container again by the time it is routed: conntrack has its say before.
        back = _hop(host, member, "from", target, "iif", out.device) if out.device else None
        return Way(target, network.bridge, mark, _hop(host, target), out, back)

    policies = tuple(_caught(host, targets, member))
    return Ways(tuple(way(t, m) for t in targets for m in ("", *marks[:3])), refused, rules, policies)

"""Flows of UDP that concern containers, as the kernel's table of connections holds them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dockerdoctor.facts.containers import Containers
from dockerdoctor.facts.endpoint import ChosenEndpoint
from dockerdoctor.host import Host
from dockerdoctor.measure import Unmeasured, probe

TABLE = "/proc/net/nf_conntrack"
# A table of a hundred thousand connections is read in a quarter of a second, and listed by conntrack(8) in more.
MANY = 100_000
ENOUGH = 500  # flows; those that go wrong look alike
FIELD = re.compile(r"\b(src|dst|sport|dport)=(\S+)")


@dataclass(frozen=True, slots=True)
class Flow:
    """One entry: where packets go, and from where to where answers are expected to."""

    source: str
    sport: int
    destination: str
    port: int
    answering: str  # who is to answer: the container, where the destination is translated
    answered_to: str  # to whom: this host, where the source is translated
    idle: float  # seconds since the last packet, either way
    replied: bool
    text: str

    @property
    def single(self) -> bool:
        """Whether it goes to one host, which may be anywhere: no multicast, no broadcast."""
        to = ipaddress.ip_address(self.destination)
        return not (to.is_multicast or to.is_loopback or to.is_link_local or self.destination == "255.255.255.255")


def within(address: str, subnets: Iterable[str]) -> bool:
    """Whether an address is of one of these subnets."""
    return any(ipaddress.ip_address(address) in ipaddress.ip_network(s, strict=False) for s in subnets if s)


@dataclass(frozen=True, slots=True)
class UdpFlows:
    """Those from containers, and those to published ports."""

    all: tuple[Flow, ...]
    now: float = 0.0  # seconds since the epoch
    source: str = TABLE


def parse(table: str, patience: float, stream: float) -> Iterator[Flow]:
    """Read lines of /proc/net/nf_conntrack, or of `conntrack -L`, which leaves out the family."""
    for line in table.splitlines():
        words = line.split()
        at = 2 if words[:1] == ["ipv4"] else 0
        if words[at : at + 1] != ["udp"] or len(words) < at + 3 or not words[at + 2].isdigit():
            continue
        found = FIELD.findall(line)
        there, back = dict(found[:4]), dict(found[4:])
        if len(there) < 4 or len(back) < 4 or ":" in there["src"]:
            continue
        # The clock of an entry begins anew with each packet (nf_conntrack_proto_udp.c).
        limit = stream if "[ASSURED]" in line else patience
        yield Flow(
            there["src"],
            int(there["sport"]),
            there["dst"],
            int(there["dport"]),
            back["src"],
            back["dst"],
            max(0.0, limit - int(words[at + 2])),
            "[UNREPLIED]" not in line,
            " ".join(words[at:]),
        )


@probe(deadline=4)
def udp_flows(host: Host, endpoint: ChosenEndpoint, containers: Containers) -> UdpFlows:
    """Read the table where a running container may depend on it."""
    if not endpoint.local:
        raise Unmeasured("the engine is on another host", skipped=True)
    ports = {b.host_port for c in containers.running for b in c.ports if b.protocol == "udp"}
    ends = {a.ip for c in containers.running for a in c.networks if a.ip}
    if not ends:
        return UdpFlows(())
    if not host.is_root:
        raise Unmeasured("only root may read the table of connections", how="run as root")
    count = host.sysctl("net.netfilter.nf_conntrack_count")
    if count.isdigit() and int(count) > MANY:
        raise Unmeasured(f"the table of connections is too long to be read ({count})")
    now, source = host.clock(), TABLE
    text = host.text(TABLE)
    if not host.exists(TABLE):
        if not count.isdigit():
            return UdpFlows(())  # nothing is tracked
        source = "conntrack -L -p udp"
        listed = host.run("conntrack", "-L", "-p", "udp")
        if not listed.ok:
            raise Unmeasured("the table of connections cannot be read", how="install conntrack")
        text = listed.out

    def seconds(name: str, otherwise: float) -> float:
        told = host.sysctl(f"net.netfilter.nf_conntrack_udp_{name}")
        return float(told) if told.isdigit() else otherwise

    found = parse(text, seconds("timeout", 30), seconds("timeout_stream", 120))
    return UdpFlows(tuple(f for f in found if f.port in ports or f.source in ends)[:ENOUGH], now, source)

"""Why Docker's resolver does not answer in a container: the rules of that container's own network namespace."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from dockerdoctor.facts.containers import Container, Containers
from dockerdoctor.facts.dns import EMBEDDED, EmbeddedResolvers
from dockerdoctor.facts.firewall import Drop, Firewall, Packet, drops
from dockerdoctor.facts.ruleset import iptables_chains, iptables_flavour, nft_chains
from dockerdoctor.host import Completed, Host
from dockerdoctor.measure import probe

# What it says when it does its work, and when it does so in vain: the rest never came to it.
REACHED = frozenset({"NOERROR", "NXDOMAIN", "SERVFAIL", "REFUSED"})
# 127.0.0.11 as the kernel prints it: /proc/PID/net/udp has addresses in the host's byte order.
EMBEDDED_HEX = "0B00007F"
CLIENT = "127.0.0.1"  # what the kernel chooses as the source of such a question


@dataclass(frozen=True, slots=True)
class Obstacle:
    """What lies between one container and its resolver, which dockerd runs on a high port of 127.0.0.11 in there."""

    container: str
    outcome: str  # of a question to 127.0.0.11:53
    listens: bool  # dockerd's socket is there
    redirected: bool | None  # a rule turns port 53 to it; None: the rules could not be read
    dropped_by: Drop | None = None  # the rule of its own firewall that drops questions or answers


@dataclass(frozen=True, slots=True)
class Obstacles:
    """One for each container that was asked and whose resolver was not reached; looked for only then."""

    all: tuple[Obstacle, ...] = ()


def port_of(sockets: str) -> int:
    """The port that dockerd's resolver has in a /proc/PID/net/udp: the one on 127.0.0.11."""
    for line in sockets.splitlines()[1:]:
        address, _, port = (line.split()[1:2] or [""])[0].partition(":")
        if address == EMBEDDED_HEX:
            return int(port, 16)
    return 0


@probe(deadline=4)
def obstacles(host: Host, containers: Containers, embedded: EmbeddedResolvers) -> Obstacles:
    """Read the rules of those containers only that got no answer."""
    said = dict(embedded.answers)
    sick = [c for c in containers.running if c.pid and said.get(c.name, "NOERROR") not in REACHED]
    # A program that could not be started tells nothing about the network.
    sick = [c for c in sick if not said[c.name].startswith("unable")]
    with ThreadPoolExecutor(max(1, len(sick))) as pool:
        return Obstacles(tuple(pool.map(lambda c: _obstacle(host, c, said[c.name]), sick)))


def _obstacle(host: Host, container: Container, outcome: str) -> Obstacle:
    def inside(*command: str) -> Completed:
        return host.run("nsenter", "--target", str(container.pid), "--net", "--", *command, timeout=2)

    port = port_of(host.text(f"/proc/{container.pid}/net/udp"))
    saved, listed = inside("iptables-save", "-c"), inside("nft", "-j", "list", "ruleset")
    if not saved.ok and not listed.ok:
        return Obstacle(container.name, outcome, bool(port), None)
    return judge(container.name, outcome, port, saved.out, listed.out)


def judge(container: str, outcome: str, port: int, saved: str, listed: str) -> Obstacle:
    """Tell from both listings whether port 53 leads to dockerd, and what drops questions before they get there."""
    chains = iptables_chains(saved)
    known = frozenset((c.table, c.name) for c in chains) if iptables_flavour(saved) == "nf_tables" else frozenset()
    rules = Firewall((*chains, *nft_chains(listed, without=known)))
    redirected = any(
        r.verdict == "DNAT" and any(c.key == "destination" and f"{EMBEDDED}/32" in c.values for c in r.conditions)
        for chain in rules.chains
        for r in chain.rules
    )
    # The nat table turns the port before the filter table sees it; the answer goes the same way over lo.
    asks = Packet("", "lo", "udp", port, CLIENT, EMBEDDED, local=True)
    ways = (("output", asks), ("input", replace(asks, in_interface="lo", out_interface="")))
    found = [d for hook, packet in ways for d in drops(rules, hook, packet) if d.certain]
    first = replace(found[0], chain=replace(found[0].chain, rules=())) if found else None
    return Obstacle(container, outcome, bool(port), redirected, first)

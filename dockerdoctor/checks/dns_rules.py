"""The rules that drop questions to nameservers, named, and the commands that let them pass."""

from __future__ import annotations

from collections.abc import Iterable

from dockerdoctor.checks.firewall import SOME_BRIDGE
from dockerdoctor.checks.reach import default_bridge, somebody
from dockerdoctor.facts.containers import Networks
from dockerdoctor.facts.dns import is_loopback
from dockerdoctor.facts.firewall import Drop, Firewall, Moved, Packet, dropped_on_the_way, drops
from dockerdoctor.facts.inside import BRIDGE, View
from dockerdoctor.facts.routes import Routes
from dockerdoctor.model import Evidence

FIREWALLS = "https://docs.docker.com/engine/network/packet-filtering-firewalls/"
ROOT = "0"  # dockerd's user, and that of whoever may read the rules


def blockers(
    view: View,
    server: str,
    transports: tuple[str, ...],
    routes: Routes,
    firewall: Firewall | None,
    networks: Networks | None,
    moved: Moved | None,
) -> tuple[Drop, ...]:
    """Name the rules that drop questions on their way from one network to one server; nothing without root."""
    if not firewall:
        return ()
    network = default_bridge(networks) if networks and view.place == BRIDGE else None
    bridge = network.bridge if network else SOME_BRIDGE
    local = routes.owns(server)
    found: list[Drop] = []
    maybe: list[Drop] = []
    for protocol in transports:
        source = somebody(network) if network else ""
        out = "" if local or not routes.uplink else routes.uplink.name
        packet = Packet(bridge, out, protocol, 53, source, server, local=local)
        ways = drops(firewall, "input", packet, moved) if local else dropped_on_the_way(firewall, packet, moved)
        # The rules of the network that was made for the questions came and went with it: only what counted is sure.
        found += [d for d in ways if (d.sure if network else d.packets) and not d.dockers][:1]
        maybe += [d for d in ways if network and not d.dockers]
    # A rule whose conditions are beyond us (a set of pairs, a rate) did it where no other could have.
    suspects = dict.fromkeys(maybe)
    alone = len({(d.chain.label, d.rule and d.rule.verdict) for d in suspects}) == 1
    return tuple(dict.fromkeys(found)) or (tuple(suspects) if alone and len(suspects) <= len(transports) else ())


def shown(found: Iterable[Drop]) -> tuple[Evidence, ...]:
    """Rules as evidence, with the packets that they dropped while containers asked."""
    return tuple(
        Evidence(d.chain.label, d.text + (f": {d.packets} packets dropped meanwhile" if d.packets else ""))
        for d in found
    )


def named(found: tuple[Drop, ...]) -> str:
    """Say which rule it is, for a sentence."""
    return f": {found[0].text}" if found else ""


def taken_away(found: tuple[Drop, ...]) -> tuple[str, ...]:
    """Commands that let the questions pass."""
    if found:
        lasting = "# and out of the configuration of whatever wrote it, or it returns"
        return (*dict.fromkeys(d.delete for d in found), lasting)
    return (
        "# find the rule that drops port 53 from Docker's bridges, here or on the way, and let it pass:",
        "iptables-save -c | grep -e DROP -e REJECT",
        "nft list ruleset | grep -e drop -e reject",
    )


def dropped_from_here(
    server: str, routes: Routes | None, firewall: Firewall | None, moved: Moved | None, *, seen: bool
) -> tuple[Drop, ...]:
    """
    Name the rules that drop this host's own questions to a server, or the answers; nothing without root.

    `seen`: the kernel said that it dropped one, so that a rule which may have done it will do.
    """
    if not (firewall and routes):
        return ()
    out = "lo" if is_loopback(server) or routes.owns(server) else (routes.uplink.name if routes.uplink else "")
    asks = Packet("", out, "udp", 53, "", server, local=out == "lo", uid=ROOT)
    found = drops(firewall, "output", asks, moved)
    sure = [d for d in found if d.sure] or (list(found) if seen else [])
    comes = Packet(out, "", "udp", 0, server, "", "ESTABLISHED", local=True)
    return tuple(sure[:1]) or tuple([d for d in drops(firewall, "input", comes, moved) if d.sure][:1])


def admitted(found: tuple[Drop, ...]) -> tuple[str, ...]:
    """Commands that admit questions from Docker's bridges, before the rule that drops them."""
    commands = []
    chains = dict.fromkeys((d.chain.family, d.chain.table, d.path[0]) for d in found if d.chain.backend == "nftables")
    for family, table, chain in chains:
        commands += [
            f"nft insert rule {family} {table} {chain} iifname '\"{bridge}\"' {protocol} dport 53 accept"
            for bridge in ("docker0", "br-*")
            for protocol in ("udp", "tcp")
        ]
    if not chains or any(d.chain.backend != "nftables" for d in found):
        commands += [
            f"iptables -I INPUT -i {bridge} -p {protocol} --dport 53 -j ACCEPT"
            for bridge in ("docker0", "br-+")
            for protocol in ("udp", "tcp")
        ]
    return tuple(commands)

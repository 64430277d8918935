"""What lies between containers and a nameserver that answers the host."""

from __future__ import annotations

from collections.abc import Iterable

from dockerdoctor.checks.dns_answers import (
    CONTAINER_DNS,
    NO_CONNECTION,
    both,
    connected,
    dark,
    given,
    judged,
    matrix,
    silent,
    works,
)
from dockerdoctor.checks.firewall import SOME_BRIDGE
from dockerdoctor.checks.reach import default_bridge, somebody
from dockerdoctor.examine import check, failed, passed, skipped
from dockerdoctor.facts.containers import Networks
from dockerdoctor.facts.daemon_json import DaemonJson
from dockerdoctor.facts.dns import HostDns, HostResolver, is_loopback
from dockerdoctor.facts.firewall import Drop, Firewall, Moved, Packet, dropped_on_the_way, drops
from dockerdoctor.facts.inside import BRIDGE, Inside, View
from dockerdoctor.facts.routes import Routes
from dockerdoctor.model import Evidence, Finding, Severity

FIREWALLS = "https://docs.docker.com/engine/network/packet-filtering-firewalls/"


def blockers(
    view: View,
    server: str,
    transports: Iterable[str],
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
    for protocol in transports:
        source = somebody(network) if network else ""
        out = "" if local or not routes.uplink else routes.uplink.name
        packet = Packet(bridge, out, protocol, 53, source, server, local=local)
        ways = drops(firewall, "input", packet, moved) if local else dropped_on_the_way(firewall, packet, moved)
        # The rules of the network that was made for the questions came and went with it: only what counted is sure.
        found += [d for d in ways if (d.sure if network else d.packets) and not d.chain.dockers][:1]
    return tuple(dict.fromkeys(found))


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


@check(
    "dns.udp-blocked",
    title="UDP reaches nameservers where TCP does",
    severity=Severity.ERROR,
    docs=CONTAINER_DNS,
)
def udp_blocked(
    inside: Inside,
    host: HostDns | None,
    routes: Routes,
    firewall: Firewall | None,
    networks: Networks | None,
    moved: Moved | None,
) -> Finding:
    """
    Names are asked for over UDP first; a firewall may drop it and let TCP to the same server pass.

    Why it matters: look-ups time out although the server is there; `dig +tcp` works and misleads.
    How to fix: let UDP to port 53 pass.
    """
    if unasked := dark(inside):
        return unasked
    for v in inside.views:
        for server in dict.fromkeys(a.server for a in v.dns):
            udp, tcp = v.said(server, "udp"), v.said(server, "tcp")
            host_udp = host is not None and works(host.said(server))
            if not (udp and all(a.outcome == "timeout" for a in udp) and connected(tcp)):
                continue
            if not (works(tcp) or host_udp):
                continue  # nothing shows that this is a nameserver at all
            found = blockers(v, server, ("udp",), routes, firewall, networks, moved)
            where = "on the way from containers" if host_udp else "on the way from this host"
            return failed(
                f"{server} can be reached from the {v.place} over TCP but not over UDP{named(found)}",
                *matrix(server, host, inside),
                *shown(found),
                cause=f"Something drops UDP to port 53 {where}; TCP to the same server passes.",
                fix=taken_away(found),
            )
    return passed("no nameserver can be reached over TCP alone")


@check(
    "dns.input-firewall",
    title="Containers reach a nameserver that runs on this host",
    severity=Severity.ERROR,
    docs=FIREWALLS,
    upstream=("dns.udp-blocked",),
)
def input_firewall(
    inside: Inside,
    host: HostDns,
    routes: Routes,
    firewall: Firewall | None,
    networks: Networks | None,
    moved: Moved | None,
) -> Finding:
    """
    A resolver on the host itself is asked through the INPUT chain, where many firewalls admit only what they know.

    Why it matters: the host resolves, containers time out, and Docker's own rules all look right.
    How to fix: admit port 53 from Docker's bridges.
    """
    if unasked := dark(inside):
        return unasked
    own = [s for s in dict.fromkeys(a.server for v in inside.views for a in v.dns) if routes.owns(s)]
    if not own:
        return skipped("no nameserver of containers runs on this host")
    for server in own:
        for v in inside.views:
            first = v.nameservers[0] if v.nameservers else server
            if first != server and not is_loopback(first) and works(both(v, first)):
                continue  # it is asked only where the first one fails
            if not (
                works(both(host, server)) and both(v, server) and all(a.outcome == "timeout" for a in both(v, server))
            ):
                continue
            found = blockers(v, server, ("udp", "tcp"), routes, firewall, networks, moved)
            return failed(
                f"{server}, a resolver on this host, answers the host but not the {v.place}{named(found)}",
                *matrix(server, host, inside),
                *shown(found),
                cause="The host's firewall drops what containers send to the host itself (hook input); a resolver that "
                "did not listen there would refuse at once instead.",
                fix=(
                    *admitted(found),
                    "# and in the configuration of your firewall, so that it lasts; with ufw: ufw allow in on docker0 to any port 53",
                ),
            )
    return passed(f"{', '.join(own)} answers containers")


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


def beyond(view: View, server: str) -> bool:
    """Whether a container has no IPv6 to reach a server by: Docker then gives it others, or asks from the host."""
    outcomes = {a.outcome for a in both(view, server)}
    return ":" in server and not outcomes - {"ENETUNREACH", "EADDRNOTAVAIL", "EAFNOSUPPORT"}


@check(
    "dns.forward-firewall",
    title="Questions from containers reach the nameservers that answer the host",
    severity=Severity.ERROR,
    docs=FIREWALLS,
    upstream=("dns.udp-blocked", *NO_CONNECTION),
)
def forward_firewall(
    inside: Inside,
    host: HostDns,
    routes: Routes,
    resolver: HostResolver | None,
    config: DaemonJson | None,
    firewall: Firewall | None,
    networks: Networks | None,
    moved: Moved | None,
) -> Finding:
    """
    A resolver beyond the host is asked through the FORWARD chain.

    Why it matters: the host resolves with the very server that containers cannot reach.
    How to fix: let port 53 from Docker's bridges pass.
    """
    if unasked := dark(inside):
        return unasked
    servers, _ = given(config, resolver)
    far = [s for s in servers if not routes.owns(s) and works(both(host, s))]
    if not far:
        return skipped("no nameserver beyond this host answers it")
    for v in judged(inside, config):
        asked = [s for s in far if both(v, s) and not beyond(v, s)]
        blocked = [s for s in asked if silent(both(v, s)) and all(a.outcome != "ECONNREFUSED" for a in both(v, s))]
        if not asked or blocked != asked:
            continue
        found = blockers(v, blocked[0], ("udp", "tcp"), routes, firewall, networks, moved)
        return failed(
            f"{blocked[0]} answers the host but not the {v.place}{named(found)}",
            *matrix(blocked[0], host, inside),
            *shown(found),
            cause="Something between Docker's bridge and the nameserver drops the questions (hook forward).",
            fix=taken_away(found),
        )
    return passed(f"{', '.join(far)} answers containers as it answers the host")

"""Who else drops packets of containers: other firewalls, the user's own rules, a second backend."""

from __future__ import annotations

from collections.abc import Iterator

from dockerdoctor.checks.reach import (
    FILTERING,
    RESTART,
    RESTARTS,
    bridge_cut_off,
    cut_off,
    default_bridge,
    manages_iptables,
    outbound,
    show,
    somebody,
    targets,
)
from dockerdoctor.examine import check, failed, passed, skipped
from dockerdoctor.facts.containers import Containers, Network, Networks
from dockerdoctor.facts.daemon_json import DaemonJson
from dockerdoctor.facts.dns import HostDns
from dockerdoctor.facts.firewall import Drop, Firewall, Moved, Packet, dropped_on_the_way, redirected, untracked
from dockerdoctor.facts.forwarding import Managers
from dockerdoctor.facts.inside import Inside
from dockerdoctor.facts.routes import Routes
from dockerdoctor.model import Evidence, Finding, Severity

# Stands for the bridge of the network that was made for the questions, and is gone again.
SOME_BRIDGE = "br-0123456789ab"
Blocked = tuple[str, Drop]


def blocked_ways(
    firewall: Firewall,
    networks: Networks,
    routes: Routes,
    inside: Inside | None,
    dns: HostDns | None,
    moved: Moved | None,
    containers: Containers | None,
) -> tuple[Blocked, ...]:
    """
    Name the rules that keep containers in: for what was seen not to arrive, or else for any connection.

    What was measured has the last word: where containers reach the world, no rule is to blame for anything.
    """
    network, uplink = default_bridge(networks), routes.uplink
    found: list[Blocked] = []
    if networks.elsewhere or not uplink:
        return ()  # the rules of this host are not those that its packets pass
    if network:
        lost = bridge_cut_off(inside, dns, routes)
        if lost and inside:
            missed = [t for t in targets(inside.bridge, inside, dns, routes) if not t.answered]
            ways = [outbound(network, uplink.name, t) for t in missed]
        else:
            ways = [outbound(network, uplink.name)] if lost is None else []
        for way in ways:
            on_it = dropped_on_the_way(firewall, way, moved)
            # What was lost, and would be if this were the device, is taken for proof.
            here = [d for d in on_it if d.sure] or [d for d in on_it if d.somewhere and lost]
            found += [(network.bridge, d) for d in here][:1]
    if inside and cut_off(inside.user, inside, dns, routes):
        for target in targets(inside.user, inside, dns, routes):
            way = Packet(SOME_BRIDGE, uplink.name, target.protocol, target.port, "", target.address, local=False)
            # The rules that let this network pass came and went with it: of those only what was counted is certain.
            found += [
                (SOME_BRIDGE, d)
                for d in dropped_on_the_way(firewall, way, moved)
                if (d.packets and d.rule) or (d.certain and d.chain.backend == "nftables")
            ][:1]
    for other in in_use(networks, containers):
        # Nobody asked from there. A rule that drops whatever comes from this network needs no question.
        way = Packet(other.bridge, uplink.name, source=somebody(other), local=False)
        found += [(other.bridge, d) for d in dropped_on_the_way(firewall, way) if d.certain and d.rule][:1]
    return tuple(dict.fromkeys((bridge, d) for bridge, d in found if not d.dockers))


def in_use(networks: Networks, containers: Containers | None) -> Iterator[Network]:
    """Networks besides the default one that are to reach the world, and that a running container depends on for it."""
    leaving = [n for n in networks.bridges if not n.internal and n.subnets]
    names = {n.name for n in leaving}
    used = [{a.network for a in c.networks} & names for c in containers.running] if containers else []
    yield from (n for n in leaving if n.name != "bridge" and {n.name} in used)


def kind_of(firewall: Firewall, drop: Drop) -> str:
    """Whose rule it is: "user", "nft", "split" or "forward"."""
    if drop.chain.backend == "iptables-legacy":
        return "split"
    if drop.chain.backend == "nftables":
        # What `iptables-nft` wrote, where the iptables command is the legacy one.
        iptables_nft = drop.chain.family == "ip" and drop.chain.table in {"filter", "mangle", "raw", "security"}
        return "split" if iptables_nft and firewall.flavour == "legacy" and drop.path[0].isupper() else "nft"
    return "user" if "DOCKER-USER" in drop.path else "forward"


def of_kind(kind: str, firewall: Firewall, blocked: tuple[Blocked, ...]) -> tuple[Blocked, ...]:
    """Those of one kind."""
    return tuple(b for b in blocked if kind_of(firewall, b[1]) == kind)


def shown(blocked: tuple[Blocked, ...]) -> tuple[Evidence, ...]:
    """The rules as evidence, each once."""
    lines = [
        Evidence(d.chain.label, d.text + (f": {d.packets} packets dropped meanwhile" if d.packets else ""))
        for _, d in blocked
    ]
    return tuple(dict.fromkeys(lines))


def let_pass(blocked: tuple[Blocked, ...]) -> Iterator[str]:
    """Commands that take the rules away, each once."""
    yield from dict.fromkeys(d.delete for _, d in blocked)


@check(
    "network.forward-drop",
    title="No other firewall drops what containers send",
    severity=Severity.ERROR,
    docs=FILTERING,
    upstream=("network.docker-chains", "network.iptables-off"),
)
def forward_drop(
    firewall: Firewall,
    networks: Networks,
    routes: Routes,
    managers: Managers | None,
    inside: Inside | None,
    dns: HostDns | None,
    moved: Moved | None,
    containers: Containers | None,
    config: DaemonJson | None,
) -> Finding:
    """
    A rule before Docker's in FORWARD, or the policy DROP without Docker's accepts, ends a packet's way.

    Why it matters: the host has its network, containers have none.
    How to fix: take the rule away, or tell the firewall that wrote it to let Docker's bridges pass.
    """
    blocked = of_kind("forward", firewall, blocked_ways(firewall, networks, routes, inside, dns, moved, containers))
    if not blocked:
        return passed("no rule of iptables keeps containers in")
    drop = blocked[0][1]
    if drop.rule is None and drop.chain.hook == "forward" and manages_iptables(config):
        return failed(
            f"FORWARD has the policy DROP, and no rule of Docker's lets {blocked[0][0]} pass",
            *shown(blocked),
            cause="Docker's rules that let containers pass were removed from FORWARD, and its policy drops the rest.",
            fix=RESTART,
            impact=RESTARTS,
        )
    ufw = any(name.startswith("ufw") for name in drop.path)
    firewalld = bool(managers and managers.running("firewalld.service"))
    owner = "ufw" if ufw else "firewalld, or a script," if firewalld else "another firewall or a script"
    lasting = (
        ("# ufw writes its rules again: allow the bridge there too", f"ufw route allow in on {blocked[0][0]}")
        if ufw
        else ("# take it out of the configuration that wrote it too, or it returns",)
    )
    return failed(
        f"{drop.chain.table} {' → '.join(drop.path)} drops what containers send: {drop.text}",
        *shown(blocked),
        cause=f"A rule of {owner} comes before Docker's, and drops packets of containers.",
        fix=(*let_pass(blocked), *lasting),
    )


@check(
    "network.docker-user",
    title="Your own rules in DOCKER-USER let containers out",
    severity=Severity.ERROR,
    docs=FILTERING + "#docker-and-iptables-chains",
)
def docker_user(
    firewall: Firewall,
    networks: Networks,
    routes: Routes,
    inside: Inside | None,
    dns: HostDns | None,
    moved: Moved | None,
    containers: Containers | None,
) -> Finding:
    """
    DOCKER-USER is the chain for your own rules, which are asked before Docker's.

    Why it matters: the rule may be meant, but with it containers do not reach what the host reaches.
    How to fix: put an accept for what should pass before the rule, or take the rule away.
    """
    blocked = of_kind("user", firewall, blocked_ways(firewall, networks, routes, inside, dns, moved, containers))
    if not blocked:
        return passed("DOCKER-USER keeps no container in")
    bridge, drop = blocked[0]
    return failed(
        f"your own rule in DOCKER-USER drops what containers send: {drop.text}",
        *shown(blocked),
        cause="A rule that you, or a tool of yours, put into DOCKER-USER drops it. Docker works as it is told.",
        fix=(
            f"# to let one thing pass, put it before the rule: iptables -I DOCKER-USER -i {bridge} -d ADDRESS -j RETURN",
            "# or take the rule away:",
            *let_pass(blocked),
        ),
        impact="none for containers; what the rule kept out is let in",
    )


@check(
    "network.nft-drop",
    title="No second nftables chain drops what iptables accepted",
    severity=Severity.ERROR,
    docs="https://wiki.nftables.org/wiki-nftables/index.php/Configuring_chains#Base_chain_priority",
)
def nft_drop(
    firewall: Firewall,
    networks: Networks,
    routes: Routes,
    inside: Inside | None,
    dns: HostDns | None,
    moved: Moved | None,
    containers: Containers | None,
) -> Finding:
    """
    Every base chain on a hook has its say: an accept in one does not undo a drop in another.

    Why it matters: `iptables -L` looks right, and packets vanish all the same.
    How to fix: let Docker's bridges pass in that chain too.
    """
    blocked = of_kind("nft", firewall, blocked_ways(firewall, networks, routes, inside, dns, moved, containers))
    if not blocked:
        return passed("no nftables chain beside Docker's keeps containers in")
    drop = blocked[0][1]
    base = drop.chain if drop.chain in firewall.base(drop.chain.hook) else None
    chain = f"{drop.chain.family} {drop.chain.table} {base.name if base else drop.path[0]}"
    bridges = '{ "docker0", "br-*" }'
    lasting = "# put the same lines into the file that makes this chain, or they are gone at its next reload"
    pass_by = (
        f"nft insert rule {chain} iifname '{bridges}' accept",
        f"nft insert rule {chain} oifname '{bridges}' ct state established,related accept",
        f"nft insert rule {chain} oifname '{bridges}' ct status dnat accept",
        lasting,
    )
    # Below IPv4 no connections are known, and a container is a cable's name.
    frames = (*let_pass(blocked), "# and in the file that makes this chain, or it returns at the next reload")
    return failed(
        f"nftables chain {chain} drops what containers send: {drop.text}",
        *shown(blocked),
        cause="Another program's nftables chain on the same hook drops what Docker's rules accept: with nftables the "
        "strictest chain wins.",
        fix=frames if drop.chain.family in {"bridge", "netdev"} else pass_by,
    )


@check(
    "network.iptables-split",
    title="Rules live in one backend of iptables only",
    severity=Severity.ERROR,
    docs=FILTERING,
)
def iptables_split(
    firewall: Firewall,
    networks: Networks,
    routes: Routes,
    inside: Inside | None,
    dns: HostDns | None,
    moved: Moved | None,
    containers: Containers | None,
) -> Finding:
    """
    There are two of iptables, over nftables and "legacy"; the kernel asks both, and each command shows its own rules only.

    Why it matters: packets are dropped by rules that `iptables -S` does not show.
    How to fix: choose one backend, and remove the rules of the other.
    """
    blocked = of_kind("split", firewall, blocked_ways(firewall, networks, routes, inside, dns, moved, containers))
    if not blocked:
        note = "the other backend holds rules too, which drop nothing of containers" if firewall.legacy else ""
        return passed(note or "rules live in one backend")
    drop = blocked[0][1]
    return failed(
        f"{drop.chain.label} drops what containers send, where `iptables` does not show it: {drop.text}",
        *shown(blocked),
        Evidence("iptables --version", firewall.flavour or "unknown"),
        cause="Rules are left in the other backend of iptables, from before a change of alternatives or from a "
        "container that brings its own iptables; the kernel asks both.",
        fix=(
            *let_pass(blocked),
            "# look at what else is left there (iptables-legacy-save), and choose one: update-alternatives --config iptables",
        ),
    )


@check(
    "network.untracked",
    title="Connections of containers are tracked",
    severity=Severity.ERROR,
    docs="https://manpages.debian.org/iptables-extensions.8#CT",
)
def connections_untracked(
    firewall: Firewall, networks: Networks, routes: Routes, inside: Inside | None, dns: HostDns | None
) -> Finding:
    """
    NOTRACK in the table raw spares busy servers the connection table; what is not tracked is not translated either.

    Why it matters: packets leave with the container's own address, published ports lead nowhere: all translation is off.
    How to fix: leave out what containers send and get.
    """
    network, uplink = default_bridge(networks), routes.uplink
    if networks.elsewhere or not network or not uplink:
        return skipped(networks.elsewhere or "no default bridge, or no way out")
    if not bridge_cut_off(inside, dns, routes):
        return passed("containers are not kept from the world")
    way = outbound(network, uplink.name)
    found = (*untracked(firewall, way), *untracked(firewall, way.answer()))
    if not found:
        return passed("no rule keeps packets of containers from being tracked")
    chain, rule = found[0]
    return failed(
        f"{chain.label} keeps packets of containers out of the common table of connections, and so untranslated: {rule.text}",
        *(Evidence(c.label, r.text) for c, r in dict.fromkeys(found)),
        *show(targets(inside.bridge, inside, dns, routes) if inside else (), "default bridge"),
        cause="MASQUERADE and published ports need conntrack, and a rule keeps these packets from it.",
        fix=(
            *dict.fromkeys(Drop(c, r, certain=True, path=(c.name,)).delete for c, r in found),
            "# or let the rule spare Docker's bridges; correct what wrote it too, or it returns",
        ),
    )


@check(
    "network.redirected",
    title="What containers send goes where they send it",
    severity=Severity.ERROR,
    docs="https://manpages.debian.org/iptables-extensions.8#DNAT",
)
def sent_elsewhere(
    firewall: Firewall, networks: Networks, routes: Routes, inside: Inside | None, dns: HostDns | None
) -> Finding:
    """
    A rule with REDIRECT or DNAT hands connections to a transparent proxy, on this host or elsewhere.

    Why it matters: when the proxy is gone, every connection of containers fails, while pings pass and the host is well.
    How to fix: start the proxy again, or take the rule away.
    """
    network, uplink = default_bridge(networks), routes.uplink
    if networks.elsewhere or not network or not uplink:
        return skipped(networks.elsewhere or "no default bridge, or no way out")
    if not inside or not bridge_cut_off(inside, dns, routes):
        return passed("containers are not kept from the world")
    missed = [t for t in targets(inside.bridge, inside, dns, routes) if not t.answered]
    found = [
        (target, hit) for target in missed if (hit := redirected(firewall, outbound(network, uplink.name, target)))
    ]
    if not found:
        return passed("no rule gives packets of containers another destination")
    target, (chain, rule) = found[0]
    return failed(
        f"{chain.label} sends what containers send to {target.address} elsewhere, where nobody answers: {rule.text}",
        *dict.fromkeys(Evidence(c.label, r.text) for _, (c, r) in found),
        *show(targets(inside.bridge, inside, dns, routes), "default bridge"),
        cause="A transparent proxy was set up for containers' connections, and it does not answer.",
        fix=(
            "# start the proxy that the rule leads to; or take the rule away:",
            *dict.fromkeys(Drop(c, r, certain=True, path=(c.name,)).delete for _, (c, r) in found),
            "# and correct what wrote it, or it returns",
        ),
        impact="connections of containers go past the proxy",
    )

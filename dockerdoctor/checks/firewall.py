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
    somebody,
    targets,
)
from dockerdoctor.examine import check, failed, passed, skipped
from dockerdoctor.facts.containers import Container, Containers, Network, Networks
from dockerdoctor.facts.daemon_json import DaemonJson
from dockerdoctor.facts.dns import HostDns
from dockerdoctor.facts.firewall import Drop, Firewall, Moved, Packet, dropped_on_the_way, drops
from dockerdoctor.facts.forwarding import Forwarding, Managers
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
) -> tuple[Blocked, ...]:
    """
    Name the rules that keep containers in: for what was seen not to arrive, or else for any connection.

    What was measured has the last word: where containers reach the world, no rule is to blame for anything.
    """
    network, uplink = default_bridge(networks), routes.uplink
    found: list[Blocked] = []
    if networks.elsewhere:
        return ()  # the rules of this host are not those that its packets pass
    if network and uplink:
        lost = bridge_cut_off(inside, dns, routes)
        if lost and inside:
            missed = [t for t in targets(inside.bridge, inside, dns, routes) if not t.answered]
            ways = [outbound(network, uplink.name, t) for t in missed]
        else:
            ways = [outbound(network, uplink.name)] if lost is None else []
        for way in ways:
            found += [(network.bridge, d) for d in dropped_on_the_way(firewall, way, moved) if d.sure][:1]
    if inside and uplink and cut_off(inside.user, inside, dns, routes):
        for target in targets(inside.user, inside, dns, routes):
            way = Packet(SOME_BRIDGE, uplink.name, target.protocol, target.port, "", target.address, local=False)
            # The rules that let this network pass came and went with it: only what was counted is certain.
            found += [(SOME_BRIDGE, d) for d in dropped_on_the_way(firewall, way, moved) if d.packets and d.rule][:1]
    return tuple(dict.fromkeys((bridge, d) for bridge, d in found if not d.chain.dockers))


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
    config: DaemonJson | None,
) -> Finding:
    """
    A rule before Docker's in FORWARD, or the policy DROP without Docker's accepts, ends a packet's way.

    Why it matters: the host has its network, containers have none.
    How to fix: take the rule away, or tell the firewall that wrote it to let Docker's bridges pass.
    """
    blocked = of_kind("forward", firewall, blocked_ways(firewall, networks, routes, inside, dns, moved))
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
) -> Finding:
    """
    DOCKER-USER is the chain for your own rules, which are asked before Docker's.

    Why it matters: the rule may be meant, but with it containers do not reach what the host reaches.
    How to fix: put an accept for what should pass before the rule, or take the rule away.
    """
    blocked = of_kind("user", firewall, blocked_ways(firewall, networks, routes, inside, dns, moved))
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
) -> Finding:
    """
    Every base chain on a hook has its say: an accept in one does not undo a drop in another.

    Why it matters: `iptables -L` looks right, and packets vanish all the same.
    How to fix: let Docker's bridges pass in that chain too.
    """
    blocked = of_kind("nft", firewall, blocked_ways(firewall, networks, routes, inside, dns, moved))
    if not blocked:
        return passed("no nftables chain beside Docker's keeps containers in")
    drop = blocked[0][1]
    base = next(c for c in firewall.base(drop.chain.hook) if c == drop.chain) if drop.chain.hook else None
    chain = f"{drop.chain.family} {drop.chain.table} {base.name if base else drop.path[0]}"
    bridges = '{ "docker0", "br-*" }'
    return failed(
        f"nftables chain {chain} drops what containers send: {drop.text}",
        *shown(blocked),
        cause="Another program's nftables chain on the same hook drops what Docker's rules accept: with nftables the "
        "strictest chain wins.",
        fix=(
            f"nft insert rule {chain} iifname '{bridges}' accept",
            f"nft insert rule {chain} oifname '{bridges}' ct state established,related accept",
            f"nft insert rule {chain} oifname '{bridges}' ct status dnat accept",
            "# put the same lines into the file that makes this chain, or they are gone at its next reload",
        ),
    )


@check(
    "network.input-drop",
    title="The host's firewall lets containers answer the host",
    severity=Severity.ERROR,
    docs=FILTERING,
)
def input_drop(firewall: Firewall, networks: Networks, inside: Inside | None, moved: Moved | None) -> Finding:
    """
    What a container sends to the host itself, answers included, passes the hook input.

    Why it matters: connections from the host to published ports, and through docker-proxy, never get an answer.
    How to fix: accept established connections first, as every stateful firewall does.
    """
    network = default_bridge(networks)
    if not network or networks.elsewhere:
        return skipped(networks.elsewhere or "no default bridge")
    dead = [p for p in inside.published if p.source == "host" and p.outcome == "timeout"] if inside else []
    # With nothing dead, rules are judged by what they let pass: the measurement has the last word.
    if not dead:
        return passed("containers answer the host")
    gateway = next((g for g in network.gateways if ":" not in g), "")
    answer = Packet(network.bridge, "", "tcp", 0, somebody(network), gateway, "ESTABLISHED", local=True)
    found = [d for d in drops(firewall, "input", answer, moved) if d.sure and not d.chain.dockers][:1]
    if not found:
        return passed("no rule on the hook input drops what containers answer")
    chain = found[0].chain
    accept = (
        f"nft insert rule {chain.family} {chain.table} {found[0].path[0]} ct state established,related accept"
        if chain.backend == "nftables"
        else f"{chain.backend} -I INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT"
    )
    return failed(
        f"{chain.table} {' → '.join(found[0].path)} drops what containers answer the host: {found[0].text}",
        *(Evidence(f"connect {p.target}, from the host", p.outcome) for p in dead),
        *shown(tuple((network.bridge, d) for d in found)),
        cause="The firewall lets the host ask, and drops the answers: it does not accept established connections.",
        fix=(accept, "# and in the configuration of your firewall, so that it lasts"),
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
) -> Finding:
    """
    There are two of iptables, over nftables and "legacy"; the kernel asks both, and each command shows its own rules only.

    Why it matters: packets are dropped by rules that `iptables -S` does not show.
    How to fix: choose one backend, and remove the rules of the other.
    """
    blocked = of_kind("split", firewall, blocked_ways(firewall, networks, routes, inside, dns, moved))
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
    "network.bridge-filter",
    title="Containers on the same bridge reach each other",
    severity=Severity.ERROR,
    docs="https://docs.kernel.org/networking/bridge.html",
    upstream=(
        *("network.docker-chains", "network.iptables-off", "network.forward-drop", "network.docker-user"),
        *("network.nft-drop", "network.iptables-split"),
    ),
)
def bridge_filter(firewall: Firewall, networks: Networks, kernel: Forwarding, config: DaemonJson | None) -> Finding:
    """
    With br_netfilter loaded, frames between two containers on one bridge pass the FORWARD chain too.

    Why it matters: ARP answers, and everything else between neighbours times out.
    How to fix: accept what stays on the bridge.
    """
    if networks.elsewhere:
        return skipped(networks.elsewhere)
    if kernel.bridge_calls_iptables != "1":
        return skipped("bridged packets do not pass iptables")
    struck: list[tuple[Network, Drop]] = []
    for network in networks.bridges:
        if dict(network.options).get("com.docker.network.bridge.enable_icc") == "false":
            continue
        near = Packet(network.bridge, network.bridge, "tcp", 0, somebody(network), somebody(network), local=False)
        found = [d for d in drops(firewall, "forward", near) if d.certain and not d.chain.dockers]
        struck += [(network, found[0])] if found else []
    if not struck:
        return passed("packets that stay on a bridge are accepted")
    handmade = (
        () if manages_iptables(config) else ("# dockerd writes no rules here: put these into your own firewall too",)
    )
    return failed(
        f"containers on {', '.join(n.bridge for n, _ in struck)} do not reach each other: {struck[0][1].text}",
        Evidence("/proc/sys/net/bridge/bridge-nf-call-iptables", kernel.bridge_calls_iptables),
        *(Evidence(d.chain.label, d.text) for _, d in struck),
        cause="br_netfilter sends bridged packets through FORWARD, which drops them.",
        fix=(*(f"iptables -I FORWARD -i {n.bridge} -o {n.bridge} -j ACCEPT" for n, _ in struck), *handmade),
    )


@check(
    "network.published-filter",
    title="The firewall lets connections from outside through to published ports",
    severity=Severity.WARNING,
    docs=FILTERING,
    upstream=(
        *("network.docker-chains", "network.iptables-off", "network.forward-drop", "network.docker-user"),
        *("network.nft-drop", "network.iptables-split"),
    ),
)
def published_filter(
    firewall: Firewall, networks: Networks, routes: Routes, containers: Containers, config: DaemonJson | None
) -> Finding:
    """
    Connections from this host never pass FORWARD; those from outside do. A rule there is invisible from here.

    Why it matters: the port answers on the host and for nobody else. It may be meant: publish on 127.0.0.1 then.
    How to fix: take the rule away, or publish the port on 127.0.0.1 to say what is meant.
    """
    if networks.elsewhere:
        return skipped(networks.elsewhere)
    if not manages_iptables(config) or not routes.uplink:
        return skipped("dockerd writes no rules here, or there is no uplink")
    struck: list[tuple[Container, int, Drop]] = []
    asked = 0
    bridges = {n.name: n for n in networks.bridges}
    for one in containers.running:
        place = next((a for a in one.networks if a.network in bridges and a.ip), None)
        for port in one.ports if place else ():
            if port.host_ip in {"127.0.0.1", "::1"} or ":" in port.host_ip or not place:
                continue
            asked += 1
            bridge = bridges[place.network].bridge
            way = Packet(routes.uplink.name, bridge, port.protocol, port.container_port, "", place.ip, local=False)
            found = [d for d in drops(firewall, "forward", way) if d.certain and not d.chain.dockers]
            struck += [(one, port.host_port, found[0])] if found else []
    if not asked:
        return skipped("no running container publishes a port to the outside")
    if not struck:
        return passed(f"{asked} published ports are open to the outside")
    one, number, drop = struck[0]
    whose = "your own rule in DOCKER-USER" if "DOCKER-USER" in drop.path else f"a rule in {' → '.join(drop.path)}"
    return failed(
        f"port {number} of {one.name} is published, and {whose} drops every connection from outside",
        *(Evidence(d.chain.label, f"{d.text}; port {n} of {c.name}") for c, n, d in struck),
        cause=f"{whose[0].upper()}{whose[1:]} drops what comes in on {routes.uplink.name} for this container.",
        fix=(
            "# if it is meant, publish the port on 127.0.0.1; if not, take the rule away:",
            *dict.fromkeys(d.delete for _, _, d in struck),
        ),
        impact="the port becomes reachable from outside",
    )

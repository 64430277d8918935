"""What the host's own firewall does between the host and its containers: the hooks input and output."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from dockerdoctor.checks.firewall import let_pass, shown
from dockerdoctor.checks.reach import FILTERING, default_bridge, somebody
from dockerdoctor.examine import check, failed, passed, skipped
from dockerdoctor.facts.containers import Container, Containers, Network, Networks
from dockerdoctor.facts.firewall import Drop, Firewall, Moved, Packet, drops
from dockerdoctor.facts.inside import Inside, Published
from dockerdoctor.facts.listeners import Listeners
from dockerdoctor.model import Evidence, Finding, Severity

HOST_GATEWAY = "https://docs.docker.com/reference/cli/docker/container/run/#add-host"
# The names that Docker Desktop gives to the host; elsewhere they exist only where somebody asks for them.
HOST_NAMES = ("host.docker.internal", "gateway.docker.internal")


def dead(inside: Inside | None, outcomes: tuple[str, ...] = ()) -> list[Published]:
    """Published ports that did not answer the host, in one of these ways."""
    tried = [p for p in inside.published if p.source == "host" and p.outcome != "ok"] if inside else []
    return [p for p in tried if not outcomes or p.outcome in outcomes]


def first_gateway(network: Network) -> str:
    """The host's own IPv4 address on a network."""
    return next((g for g in network.gateways if ":" not in g), "")


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
    unanswered = dead(inside, ("timeout",))
    # With nothing dead, rules are judged by what they let pass: the measurement has the last word.
    if not unanswered:
        return passed("containers answer the host")
    answer = Packet(network.bridge, "", "tcp", 0, somebody(network), first_gateway(network), "ESTABLISHED", local=True)
    found = [d for d in drops(firewall, "input", answer, moved) if d.sure and not d.dockers][:1]
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
        *(Evidence(f"connect {p.target}, from the host", p.outcome) for p in unanswered),
        *shown(tuple((network.bridge, d) for d in found)),
        cause="The firewall lets the host ask, and drops the answers: it does not accept established connections.",
        fix=(accept, "# and in the configuration of your firewall, so that it lasts"),
    )


@check(
    "network.output-drop",
    title="The host's firewall lets the host talk to containers",
    severity=Severity.ERROR,
    docs=FILTERING,
)
def output_drop(firewall: Firewall, networks: Networks, inside: Inside | None, moved: Moved | None) -> Finding:
    """
    What the host itself sends to a container, docker-proxy's connections included, passes the hook output.

    Why it matters: published ports do not answer on the host, while other machines may reach them.
    How to fix: let the host's own packets leave towards Docker's bridges.
    """
    network = default_bridge(networks)
    if not network or networks.elsewhere:
        return skipped(networks.elsewhere or "no default bridge")
    unanswered = dead(inside)
    if not unanswered:
        return passed("the host reaches its containers")
    way = Packet("", network.bridge, "tcp", 0, first_gateway(network), somebody(network), local=False)
    found = [d for d in drops(firewall, "output", way, moved) if d.sure and not d.dockers][:1]
    if not found:
        return passed("no rule on the hook output drops what the host sends to containers")
    drop = found[0]
    blocked = tuple((network.bridge, d) for d in found)
    return failed(
        f"{drop.chain.table} {' → '.join(drop.path)} drops what this host sends to containers: {drop.text}",
        *(Evidence(f"connect {p.target}, from the host", p.outcome) for p in unanswered),
        *shown(blocked),
        cause="A rule of the host's firewall keeps the host itself, and with it docker-proxy, from its containers.",
        fix=(
            *(let_pass(blocked) if drop.rule else accept_out(drop)),
            "# and in your firewall's configuration, so that it lasts",
        ),
    )


def accept_out(drop: Drop) -> tuple[str, ...]:
    """Exempt Docker's bridges from a policy, which stays as it is."""
    chain = drop.chain
    if chain.backend == "nftables":
        return (
            f'nft insert rule {chain.family} {chain.table} {chain.name} oifname \'{{ "docker0", "br-*" }}\' accept',
        )
    return tuple(f"{chain.backend} -I OUTPUT -o {name} -j ACCEPT" for name in ("docker0", "br-+"))


@check(
    "network.loopback-drop",
    title="The host's firewall lets the host talk to itself",
    severity=Severity.ERROR,
    docs=FILTERING,
    upstream=("network.input-drop", "network.output-drop"),
)
def loopback_drop(firewall: Firewall, networks: Networks, inside: Inside | None, moved: Moved | None) -> Finding:
    """
    Connections to 127.0.0.1 pass the hooks output and input on the interface lo, which a closed firewall must accept.

    Why it matters: published ports answer other machines and not this one: health checks, reverse proxies, scripts.
    How to fix: accept what comes in by lo, before all else.
    """
    network = default_bridge(networks)
    if not network or networks.elsewhere:
        return skipped(networks.elsewhere or "no default bridge")
    unanswered = [p for p in dead(inside) if p.target.startswith("127.")]
    if not unanswered:
        return passed("a published port answers on 127.0.0.1")
    ways = [
        ("input", Packet("lo", "", "tcp", 0, "127.0.0.1", "127.0.0.1", state, local=True))
        for state in ("NEW", "ESTABLISHED")
    ]
    ways += [("output", Packet("", "lo", "tcp", 0, "127.0.0.1", "127.0.0.1", local=True))]
    found = [d for hook, way in ways for d in drops(firewall, hook, way, moved) if d.sure and not d.dockers][:1]
    if not found:
        return passed("no rule drops what this host sends to itself")
    drop = found[0]
    return failed(
        f"{drop.chain.table} {' → '.join(drop.path)} drops what this host sends to itself: {drop.text}",
        *(Evidence(f"connect {p.target}, from the host", p.outcome) for p in unanswered),
        *shown(((network.bridge, drop),)),
        cause="The host's firewall does not accept what comes in by the interface lo.",
        fix=(accept_lo(drop), "# and in your firewall's configuration, before all other rules, so that it lasts"),
    )


def accept_lo(drop: Drop) -> str:
    """Let the host talk to itself."""
    chain = drop.chain
    way, nft_way = ("-o", "oifname") if chain.hook == "output" or "OUTPUT" in drop.path else ("-i", "iifname")
    if chain.backend == "nftables":
        return f'nft insert rule {chain.family} {chain.table} {drop.path[0]} {nft_way} "lo" accept'
    table = "" if chain.table == "filter" else f"-t {chain.table} "
    return f"{chain.backend} {table}-I {drop.path[0]} {way} lo -j ACCEPT"


# -- containers that want something of the host ------------------------------------------------------------------------


@dataclass(frozen=True)
class HostWish:
    """What a container's settings say of a service on the host."""

    container: Container
    source: str  # the variable
    host: str
    port: int  # 0 where it is not said

    @property
    def evidence(self) -> Evidence:
        """Where the wish is written."""
        return Evidence(f"docker inspect {self.container.name}: {self.source}", self.target)

    @property
    def target(self) -> str:
        """As it is configured."""
        return f"{self.host}:{self.port}" if self.port else self.host


def names_of_host(container: Container, networks: Networks) -> dict[str, bool]:
    """The names and addresses that mean this host in a container, and whether each is known there."""
    gateways = {g for n in networks.all for g in n.gateways}
    given = {e.partition(":")[0]: e.partition(":")[2] for e in container.extra_hosts}
    known = {name: True for name, to in given.items() if to == "host-gateway" or to in gateways}
    return {**dict.fromkeys(HOST_NAMES, False), **dict.fromkeys(given, True), **known, **dict.fromkeys(gateways, True)}


def host_wishes(containers: Containers, networks: Networks) -> Iterator[tuple[HostWish, bool]]:
    """What running containers want of this host, and whether the name they call it by is known to them."""
    for one in containers.running:
        if one.network_mode in {"host", "none"} or one.network_mode.startswith("container:"):
            continue
        env = dict(one.env)
        for host, known in names_of_host(one, networks).items():
            if known and host in {e.partition(":")[0] for e in one.extra_hosts} and not means_host(one, host, networks):
                continue
            for name, value in env.items():
                found = re.search(rf"(?:^|//|@){re.escape(host)}(?::(\d{{1,5}}))?(?:[/?,]|$)", value)
                if not found:
                    continue
                beside = env.get(f"{name.removesuffix('_HOST')}_PORT", "") if name.endswith("_HOST") else ""
                # Redis has a well-known port, and its clients seldom name it.
                usual = "6379" if "REDIS" in name.upper() else ""
                port = found[1] or (beside if beside.isdigit() else usual)
                yield HostWish(one, name, host, int(port or 0)), known


def means_host(container: Container, name: str, networks: Networks) -> bool:
    """Whether --add-host gives a name the host's own address."""
    given = {e.partition(":")[0]: e.partition(":")[2] for e in container.extra_hosts}
    return given.get(name) == "host-gateway" or any(given.get(name) in n.gateways for n in networks.all)


@check(
    "network.host-name",
    title="Containers know the host by the name they call it",
    severity=Severity.WARNING,
    docs=HOST_GATEWAY,
)
def host_name(containers: Containers, networks: Networks) -> Finding:
    """
    “host.docker.internal” is Docker Desktop's: on Linux it exists only where --add-host brings it in.

    Why it matters: "Could not resolve host: host.docker.internal".
    How to fix: add the name when the container is run.
    """
    if networks.elsewhere:
        return skipped(networks.elsewhere)
    # For Redis the name itself is asked for.
    lost = [w for w, known in host_wishes(containers, networks) if not known and "REDIS" not in w.source.upper()]
    if not lost:
        return passed("no container calls the host by a name that it does not have")
    one = lost[0]
    names = ", ".join(dict.fromkeys(w.container.name for w in lost))
    return failed(
        f"{names}: {one.source} names {one.host}, which this container does not know",
        *(w.evidence for w in lost),
        cause=f"On Linux {one.host} exists only in containers that are run with --add-host, unless your DNS server knows it.",
        fix=[
            step
            for w in lost
            for step in (
                f"# replace {w.container.name} by a container that is run with --add-host {w.host}:host-gateway",
                f'# (in Compose: extra_hosts: ["{w.host}:host-gateway"])',
            )
        ],
        impact=f"replaces {names}",
    )


@check(
    "network.host-service-loopback",
    title="What containers want of this host listens where they are",
    severity=Severity.ERROR,
    docs=HOST_GATEWAY,
)
def host_service_loopback(containers: Containers, networks: Networks, listeners: Listeners) -> Finding:
    """
    A container reaches the host at its bridge's address; what listens on 127.0.0.1 hears nothing there.

    Why it matters: "Connection refused", while the service answers on the host.
    How to fix: make the service listen on the bridge's address too, and keep others out by a firewall or a password.
    """
    if networks.elsewhere:
        return skipped(networks.elsewhere)
    deaf = []
    for wish, known in host_wishes(containers, networks):
        on = [x for x in listeners.host if wish.port and (x.protocol, x.port) == ("tcp", wish.port)]
        redis = "REDIS" in wish.source.upper()  # greeted where it is wanted
        if known and on and all(x.loopback for x in on) and not redis:
            deaf.append((wish, on[0]))
    if not deaf:
        return passed("nothing that containers want of this host listens on its loopback only")
    wish, listener = deaf[0]
    return failed(
        f"{wish.container.name} wants {wish.target} of this host, which listens on {listener.where} only",
        *(w.evidence for w, _ in deaf),
        *dict.fromkeys(Evidence("/proc/net/tcp", f"listening: {x.where}") for _, x in deaf),
        cause=f"{listener.where} is the host's own loopback: containers come in by their bridge, where nothing listens.",
        fix=(
            (
                f"# make the service on port {wish.port} listen on 0.0.0.0 or on the address of Docker's bridge, "
                f"{first_gateway(default_bridge(networks) or networks.bridges[0])}"
            ),
            "# and keep strangers out of it, by a firewall or a password",
        ),
    )


@check(
    "network.host-firewall",
    title="The host's firewall lets containers reach what they want of this host",
    severity=Severity.ERROR,
    docs=HOST_GATEWAY,
)
def host_firewall(firewall: Firewall, containers: Containers, networks: Networks) -> Finding:
    """
    A container that connects to the host passes the hook input, which firewalls close by default.

    Why it matters: connections to host.docker.internal, or to the bridge's address, time out.
    How to fix: let the bridges in to that port.
    """
    if networks.elsewhere:
        return skipped(networks.elsewhere)
    struck: list[tuple[HostWish, Network, Drop]] = []
    bridges = {n.name: n for n in networks.bridges}
    home = default_bridge(networks)
    asked = 0
    for wish, known in host_wishes(containers, networks):
        place = next((a for a in wish.container.networks if a.network in bridges and a.ip), None)
        if not known or not place:
            continue
        asked += 1
        network = bridges[place.network]
        there = (
            wish.host if wish.host in {g for n in networks.all for g in n.gateways} else first_gateway(home or network)
        )
        way = Packet(network.bridge, "", "tcp", wish.port, place.ip, there, local=True)
        struck += [(wish, network, d) for d in drops(firewall, "input", way) if d.certain and not d.dockers][:1]
    if not asked:
        return skipped("no container is told of a service on this host")
    if not struck:
        return passed("the firewall lets containers reach what they want of this host")
    wish, _, drop = struck[0]
    return failed(
        f"{wish.container.name} wants {wish.target} of this host, and {' → '.join(drop.path)} drops it: {drop.text}",
        *(w.evidence for w, _, _ in struck),
        *dict.fromkeys(Evidence(d.chain.label, d.text) for _, _, d in struck),
        cause="The host's firewall lets nobody in to this port from Docker's bridges.",
        fix=(
            *dict.fromkeys(let_in(w, n, d) for w, n, d in struck),
            "# and in the configuration of your firewall, so that it lasts (ufw: ufw allow in on BRIDGE to any port PORT)",
        ),
    )


def let_in(wish: HostWish, network: Network, drop: Drop) -> str:
    """Let one network in to one port of this host."""
    chain = drop.chain
    if chain.backend == "nftables":
        port = f"tcp dport {wish.port} " if wish.port else ""
        return f'nft insert rule {chain.family} {chain.table} {drop.path[0]} iifname "{network.bridge}" {port}accept'
    port = f"-p tcp --dport {wish.port} " if wish.port else ""
    table = "" if chain.table == "filter" else f"-t {chain.table} "
    return f"{chain.backend} {table}-I INPUT -i {network.bridge} {port}-j ACCEPT"

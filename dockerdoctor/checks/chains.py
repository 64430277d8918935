"""Docker's own firewall rules: whether they are there, and whether somebody writes them where dockerd does not."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dockerdoctor.checks.ports import strangers
from dockerdoctor.checks.reach import (
    FILTERING,
    RESTART,
    RESTARTS,
    bridge_cut_off,
    default_bridge,
    ipv4,
    manages_iptables,
    outbound,
    show,
    somebody,
    targets,
)
from dockerdoctor.examine import check, failed, passed, skipped, unknown
from dockerdoctor.facts.containers import Container, Containers, Network, Networks
from dockerdoctor.facts.daemon_json import DaemonJson
from dockerdoctor.facts.dns import HostDns
from dockerdoctor.facts.engine import EngineInfo
from dockerdoctor.facts.firewall import Firewall, Packet, dropped_on_the_way, met, translated
from dockerdoctor.facts.forwarding import Managers
from dockerdoctor.facts.inside import Inside
from dockerdoctor.facts.listeners import SETTLED, Listeners
from dockerdoctor.facts.routes import Routes
from dockerdoctor.facts.ruleset import Chain, Rule
from dockerdoctor.model import Evidence, Finding, Severity

MASQUERADE = "com.docker.network.bridge.enable_ip_masquerade"


def missing_chains(firewall: Firewall) -> list[str]:
    """What of Docker's framework of rules is not there, in whichever backend it was written."""

    def there(table: str, name: str) -> bool:
        return any((c.table, c.name) == (table, name) for c in firewall.chains)

    def leads(table: str, name: str) -> bool:
        rules = [r for c in firewall.chains if (c.table, c.name) == (table, name) for r in c.rules]
        return any((r.jump or r.target).startswith("DOCKER") for r in rules)

    gone = [f"chain DOCKER in table {table}" for table in ("filter", "nat") if not there(table, "DOCKER")]
    gone += [] if leads("filter", "FORWARD") else ["the jump from FORWARD to Docker's chains"]
    gone += [] if leads("nat", "PREROUTING") else ["the jump from PREROUTING to Docker's chains"]
    return gone


def wants_nftables(config: DaemonJson | None) -> bool:
    """Whether the engine was told to write its rules with nft (Engine 29)."""
    return bool(config) and (config.settings or {}).get("firewall-backend") == "nftables" if config else False


def gone_from(firewall: Firewall, config: DaemonJson | None) -> list[str]:
    """The same for the backend that the engine was told to use."""
    if wants_nftables(config) or firewall.nftables_backend:
        return [] if firewall.nftables_backend else ["table docker-bridges of nftables"]
    return missing_chains(firewall)


def unseen(firewall: Firewall, config: DaemonJson | None) -> bool:
    """Whether Docker's rules are where this doctor could not look."""
    return not firewall.nft if wants_nftables(config) else not (firewall.iptables or firewall.nftables_backend)


def missing_ports(
    firewall: Firewall, networks: Networks, containers: Containers, listeners: Listeners
) -> list[tuple[Container, str]]:
    """Containers with a published port whose rules are gone: translation, or the accept for what was translated."""
    if firewall.nftables_backend or not firewall.iptables:
        return []
    rules = [r for c in firewall.chains if c.backend != "nftables" for r in c.rules]
    led = {m[1] for r in rules if (m := re.search(r"--to-destination (\S+)", r.text))}
    let_in = {v.partition("/")[0] for r in rules if r.verdict == "ACCEPT" for c in r.conditions for v in c.values}
    plain = {n.name for n in networks.bridges if not routed(n)}
    # Where a process of the host took the port meanwhile, dockerd gave it up: that is no flushed rule.
    taken = {(c.id, b.host_port) for c, b, _ in strangers(containers, listeners)}
    gone = []
    for one in containers.running:
        inner = listeners.within(one)
        ends = {a.ip for a in one.networks if a.network in plain and a.ip}
        # The rules were read before the list: what has just started may not have been there yet.
        if not ends or len(ends) < len(one.networks) or not inner or inner.age < SETTLED:
            continue
        for port in one.ports:
            if ":" in port.host_ip or (one.id, port.host_port) in taken:
                continue
            if not {f"{ip}:{port.container_port}" for ip in ends} & led:
                gone.append((one, f"the rule that leads port {port.host_port} to {one.name} (table nat)"))
            elif not ends & let_in:
                gone.append((one, f"the rule that lets port {port.host_port} through to {one.name} (table filter)"))
    return list(dict.fromkeys(gone))


def not_dockers_business(networks: Networks, info: EngineInfo, config: DaemonJson | None) -> str:
    """Why there need be no rules of Docker's on this host; empty when there must be."""
    if info.rootless:
        return "a rootless engine keeps its rules in a namespace of its own"
    if networks.not_here:
        return networks.not_here
    return "" if manages_iptables(config) else 'dockerd is told to write no rules ("iptables": false)'


@check(
    "network.nft-flush",
    title="Loading nftables' rules leaves Docker's alone",
    severity=Severity.ERROR,
    docs="https://wiki.nftables.org/wiki-nftables/index.php/Scripting",
)
def nft_flush(
    firewall: Firewall, networks: Networks, info: EngineInfo, managers: Managers, config: DaemonJson | None
) -> Finding:
    """
    A rules file that begins with "flush ruleset", as Debian's does, deletes the rules of all programs, Docker's too.

    Why it matters: each reload of nftables takes the network from all containers until dockerd is restarted.
    How to fix: delete only the tables that the file itself makes, then restart dockerd.
    """
    service = managers.service("nftables.service")
    if why := not_dockers_business(networks, info, config):
        return skipped(why)
    if not service or not (managers.flushes or managers.nftables_stop_flushes):
        return passed("no service flushes the whole ruleset")
    if unseen(firewall, config) or not gone_from(firewall, config):
        return passed("Docker's rules are there")
    if service not in managers.since_docker:
        return passed("nftables.service was not loaded or stopped since dockerd started")
    seconds = service.changed - (managers.docker.changed if managers.docker else 0)
    return failed(
        f"nftables.service flushed all rules {seconds:.0f} s after dockerd had written its own",
        *(Evidence(where, "flush ruleset") for where in managers.flushes),
        *((Evidence("nftables.service", "ExecStop=nft flush ruleset"),) if managers.nftables_stop_flushes else ()),
        Evidence("systemctl show nftables.service", f"{service.active}, changed {seconds:.0f} s after docker.service"),
        *(Evidence("iptables-save", f"missing: {what}") for what in gone_from(firewall, config)),
        cause='nftables was started, reloaded or stopped while dockerd ran, and "flush ruleset" deleted Docker\'s rules.',
        fix=(*keep_dockers(managers), *RESTART),
        impact=RESTARTS,
    )


def keep_dockers(managers: Managers) -> Iterator[str]:
    """Make nftables.service delete its own tables only."""
    if managers.flushes:
        path = managers.flushes[0].rpartition(":")[0]
        # Declared first, so that deleting it cannot fail.
        own = "".join(f"table {t}\\ndelete table {t}\\n" for t in managers.nft_tables).removesuffix("\\n")
        yield f"sed -i -E 's/^[[:space:]]*flush ruleset.*$/{own}/' {path}"
    if managers.nftables_stop_flushes:
        drop_in = "/etc/systemd/system/nftables.service.d/keep-docker.conf"
        yield f"mkdir -p {drop_in.rpartition('/')[0]}"
        yield f"printf '[Service]\\nExecStop=\\n' | tee {drop_in}"
        yield "systemctl daemon-reload"


@check(
    "network.docker-chains",
    title="Docker's firewall chains are in place",
    severity=Severity.ERROR,
    docs=FILTERING,
    # A dockerd that is ended and started again and again is seen with half of its rules.
    upstream=("network.nft-flush", "engine.unit-type"),
)
def docker_chains(
    firewall: Firewall,
    networks: Networks,
    info: EngineInfo,
    managers: Managers | None,
    config: DaemonJson | None,
    containers: Containers | None,
    listeners: Listeners | None,
) -> Finding:
    """
    Dockerd writes its chains when it starts and believes that they stay; another firewall's restart removes them.

    Why it matters: ports cannot be published ("No chain/target/match by that name") and containers lose their way out.
    How to fix: restart dockerd, which writes them again; then make the other firewall start before it or spare them.
    """
    if why := not_dockers_business(networks, info, config):
        return skipped(why)
    if unseen(firewall, config):
        return unknown("Docker's rules cannot be listed", how="# install nftables (nft) or iptables, then look again")
    gone = gone_from(firewall, config)
    bare = missing_ports(firewall, networks, containers, listeners) if not gone and containers and listeners else []
    gone += [what for _, what in bare]
    if not gone:
        return passed("Docker's chains and the jumps to them are there")
    again = (f"docker restart {' '.join(dict.fromkeys(c.name for c, _ in bare))}",) if bare else RESTART
    later = managers.since_docker if managers else ()
    since = managers.docker.changed if managers and managers.docker else 0.0
    who = [f"{s.name} ({s.active}) changed {s.changed - since:.0f} s after docker.service started" for s in later]
    flush = managers.flushes if managers else ()
    culprit = later[0].name if later else "a firewall's restart or a script (`iptables -F`, `nft flush ruleset`)"
    return failed(
        f"Docker's firewall rules are gone: {', '.join(gone)}",
        *(Evidence("iptables-save", f"missing: {what}") for what in gone),
        *(Evidence("systemctl show", line) for line in who),
        *(Evidence(where, "flush ruleset: whoever loads this file deletes Docker's rules") for where in flush),
        cause=f"Docker's rules were removed while dockerd runs, by {culprit}.",
        fix=(
            *again,
            f"# so that it does not happen again: start {culprit} before docker.service, or reload it only with dockerd"
            if later
            else "# then find what flushed them, and restart dockerd after it or make it spare the chains named DOCKER*",
        ),
        impact="restarts these containers" if bare else RESTARTS,
    )


@check(
    "network.iptables-off",
    title="Somebody writes the rules that containers need",
    severity=Severity.ERROR,
    docs=FILTERING,
)
def iptables_off(
    networks: Networks,
    routes: Routes,
    config: DaemonJson,
    firewall: Firewall | None,
    inside: Inside | None,
    dns: HostDns | None,
) -> Finding:
    """
    With "iptables": false dockerd writes no rules at all: no masquerading, no way through a closed FORWARD chain.

    Why it matters: containers have no way out, while published ports still answer on the host (docker-proxy).
    How to fix: let dockerd write its rules again, or write all of them yourself.
    """
    if manages_iptables(config):
        return passed("dockerd writes its rules itself")
    network = default_bridge(networks)
    if networks.elsewhere:
        return skipped(networks.elsewhere)
    if not network or not ipv4(network):
        return skipped("no default bridge that needs rules")
    lost = bridge_cut_off(inside, dns, routes)
    uplink = routes.uplink.name if routes.uplink else ""
    way_out = outbound(network, uplink)
    masked = translated(firewall, Packet("", uplink, source=somebody(network))) if firewall else None
    blocked = [d for d in dropped_on_the_way(firewall, way_out) if d.certain] if firewall else []
    if lost is False or (lost is None and masked and not blocked):
        return passed("dockerd writes no rules, and those written by hand do the work")
    if lost is None and firewall is None:
        return unknown("dockerd writes no rules, and whether others did cannot be told", how="# run as root")
    if masked and not blocked:
        return passed("dockerd writes no rules; those written by hand masquerade and let containers pass")
    source = next((f"{config.path}:{n}" for n, x in enumerate(config.text.splitlines(), 1) if '"iptables"' in x), "")
    lines = [] if masked else [f"no rule masquerades {ipv4(network)}"]
    lines += [f"{d.chain.label}: {d.text}" for d in blocked[:3]]
    by_hand = [f"iptables -t nat -A POSTROUTING -s {ipv4(network)} ! -o {network.bridge} -j MASQUERADE"]
    if blocked:
        by_hand += [
            f"iptables -I FORWARD -o {network.bridge} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
            f"iptables -I FORWARD -i {network.bridge} -j ACCEPT",
        ]
    return failed(
        'dockerd writes no rules ("iptables": false), and nobody else does',
        Evidence(source or "dockerd's arguments", "iptables is false"),
        *(Evidence("iptables-save", line) for line in lines),
        *(show(targets(inside.bridge, inside, dns, routes), inside.bridge.place) if inside else ()),
        cause='"iptables": false keeps dockerd from writing rules, and those it would have written are missing.',
        fix=(
            *by_hand,
            f'# these last until the next boot; for good, take "iptables": false out of {config.path} and restart dockerd',
        ),
    )


@check(
    "network.masquerade",
    title="Packets of containers leave with the host's address",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/engine/network/drivers/bridge/#options",
    upstream=("network.docker-chains", "network.iptables-off"),
)
def masquerade(
    firewall: Firewall,
    networks: Networks,
    routes: Routes,
    info: EngineInfo,
    config: DaemonJson | None,
    inside: Inside | None,
    dns: HostDns | None,
) -> Finding:
    """
    Nobody outside knows the way to 172.17.0.0/16, so packets from there must carry the host's address (MASQUERADE).

    Why it matters: packets leave and no answer comes back.
    How to fix: write the rule again, or turn the option back on.
    """
    if not routes.uplink:
        return skipped("no default route: there is no way out to masquerade for")
    if info.rootless or networks.elsewhere:
        return skipped(networks.elsewhere or "a rootless engine keeps its rules in a namespace of its own")
    lost = bridge_cut_off(inside, dns, routes)
    bare: list[Network] = []
    for network in networks.bridges:
        asked_off = dict(network.options).get(MASQUERADE) == "false"
        default = network.name == "bridge"
        # Where the option is off, or nobody but the user writes rules, only a network that was tried can be judged.
        judged = lost is True if default else not asked_off and manages_iptables(config)
        judged = judged or (default and lost is None and not asked_off and manages_iptables(config))
        if network.internal or not ipv4(network) or not judged or routed(network):
            continue
        rule = translated(firewall, Packet("", routes.uplink.name, source=somebody(network)))
        if not rule or (lost and default and strange_source(rule, routes)):
            bare.append(network)
    if firewall.nftables_backend:
        bare = [n for n in bare if n.name == "bridge" and lost]
    if not bare:
        off = [n.name for n in networks.bridges if dict(n.options).get(MASQUERADE) == "false"]
        return passed("every network is masqueraded" + (f", but for {', '.join(off)}, as asked" if off else ""))
    off = [n.name for n in bare if dict(n.options).get(MASQUERADE) == "false"]
    before = in_the_way(firewall, bare[0], routes)
    return failed(
        f"no rule masquerades {', '.join(f'{ipv4(n)} (network {n.name})' for n in bare)}",
        *(Evidence("iptables -t nat -S POSTROUTING", f"no MASQUERADE or SNAT for {ipv4(n)}") for n in bare),
        *(Evidence("GET /networks", f'{name}: {MASQUERADE} is "false"') for name in off),
        *(Evidence(chain.label, f"-A {chain.name} {rule.text}") for chain, rule in before),
        *(show(targets(inside.bridge, inside, dns, routes), inside.bridge.place) if inside and lost else ()),
        cause=f'Masquerading is turned off for {", ".join(off)} ("ip-masq": false, or the network\'s option), and nobody '
        "outside knows the way back."
        if off
        else "Another rule comes before the one that gives packets of containers the host's address, so no answer comes back."
        if before
        else "The rule that gives packets of containers the host's address was removed, so no answer comes back.",
        fix=(
            *(f"iptables -t nat -I POSTROUTING -s {ipv4(n)} ! -o {n.bridge} -j MASQUERADE" for n in bare),
            *(('# for good: take "ip-masq": false out of the daemon\'s configuration and restart it',) if off else ()),
        ),
    )


def strange_source(rule: Rule, routes: Routes) -> bool:
    """Whether a rule gives packets an address that is not this host's."""
    address = re.search(r"(?:--to-source|snat to) ([\d.]+)", rule.text)
    return bool(address) and not routes.owns(address[1]) if address else False


def in_the_way(firewall: Firewall, network: Network, routes: Routes) -> tuple[tuple[Chain, Rule], ...]:
    """The rule before Docker's MASQUERADE that ends a packet's way through the nat table."""
    way = Packet("", routes.uplink.name if routes.uplink else "", source=somebody(network))
    for base in firewall.base("postrouting"):
        for chain, rule, match in met(firewall, base, way):
            if base.table == "nat" and rule.verdict and match:
                return () if rule.verdict == "MASQUERADE" else ((chain, rule),)
    return ()


def routed(network: Network) -> bool:
    """Whether the network is meant to be routed to, not hidden (Engine 27 and newer)."""
    return dict(network.options).get("com.docker.network.bridge.gateway_mode_ipv4") == "routed"

"""Published ports as other machines see them: kept out where they are wanted, let in where nobody expects it."""

from __future__ import annotations

from dataclasses import replace

from dockerdoctor.checks.reach import FILTERING, manages_iptables
from dockerdoctor.examine import check, failed, passed, skipped
from dockerdoctor.facts.containers import Container, Containers, Networks
from dockerdoctor.facts.daemon_json import DaemonJson
from dockerdoctor.facts.firewall import Drop, Firewall, Packet, drops
from dockerdoctor.facts.routes import Routes
from dockerdoctor.model import Evidence, Finding, Severity

# Of the ranges that nobody has (RFC 5737).
STRANGER = "198.51.100.7"


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
            found = [d for d in drops(firewall, "forward", way) if d.certain and not d.dockers]
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


@check(
    "network.ufw-bypass",
    title="ufw keeps out of published ports whom it is told to keep out",
    severity=Severity.WARNING,
    docs=FILTERING + "#docker-and-ufw",
)
def ufw_bypass(
    firewall: Firewall, networks: Networks, routes: Routes, containers: Containers, config: DaemonJson | None
) -> Finding:
    """
    A published port is translated before ufw's rules are asked, which stand on the hook input: Docker's let it in.

    Why it matters: "ufw denies 5432", and the database in the container is open to the internet.
    How to fix: publish on 127.0.0.1, or filter in DOCKER-USER.
    """
    uplink = routes.uplink
    if networks.elsewhere or not uplink or not manages_iptables(config):
        return skipped(networks.elsewhere or "no uplink, or dockerd writes no rules here")
    if not firewall.chain("filter", "ufw-user-input") and not firewall.chain(
        "filter", "ufw-user-input", "iptables-legacy"
    ):
        return skipped("ufw is not active")
    bridges = {n.name: n.bridge for n in networks.bridges}
    open_: list[tuple[Container, int]] = []
    for one in containers.running:
        place = next((a for a in one.networks if a.network in bridges and a.ip), None)
        for port in one.ports if place else ():
            if not place or port.host_ip.startswith("127.") or ":" in port.host_ip:
                continue
            # Somebody from the internet, so that rules for the own network do not count.
            asks = Packet(uplink.name, "", port.protocol, port.host_port, STRANGER, routes.source, local=True)
            way = replace(
                asks, out_interface=bridges[place.network], dport=port.container_port, destination=place.ip, local=False
            )
            denied = any(d.certain for d in drops(firewall, "input", asks))
            if denied and not drops(firewall, "forward", way):
                open_.append((one, port.host_port))
    if not open_:
        return passed("no port is published that ufw would keep closed")
    one, number = open_[0]
    return failed(
        f"port {number} of {one.name} is open to everybody, although ufw denies it",
        *(Evidence(f"docker port {c.name}", f"{n} on every address") for c, n in open_),
        Evidence("iptables -t filter", "ufw's rules on the hook input deny it; FORWARD and DOCKER-USER let it pass"),
        cause="ufw filters what comes to this host; Docker passes published ports on to containers, which ufw does not see.",
        fix=(
            f"# if it is not meant for others, publish it on this host only: -p 127.0.0.1:{number}:…",
            f"# or let in whom you trust, and nobody else: iptables -I DOCKER-USER -i {uplink.name} ! -s NETWORK -j DROP",
        ),
    )

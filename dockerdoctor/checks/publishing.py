"""Whether what running containers ask to publish is published."""

from __future__ import annotations

import ipaddress
import re

from dockerdoctor.checks.ports import PUBLISHING, by, freeing
from dockerdoctor.examine import check, failed, passed, skipped
from dockerdoctor.facts.containers import Container, Containers, Network, Networks, PortBinding
from dockerdoctor.facts.firewall import Drop, Firewall, Packet, in_order
from dockerdoctor.facts.listeners import SETTLED, Listeners, seconds_since
from dockerdoctor.facts.routes import Routes
from dockerdoctor.facts.ruleset import Chain, Rule
from dockerdoctor.model import Evidence, Finding, Severity

# Networks whose containers are reached by other ways, or by none.
UNPUBLISHED = frozenset({"routed", "isolated"})
# What ends a packet's way through the table nat.
LEADING = frozenset({"DNAT", "REDIRECT", "ACCEPT"})


def publishes(network: Network) -> bool:
    """Whether ports of a network's containers are published at all."""
    return (
        not network.internal
        and dict(network.options).get("com.docker.network.bridge.gateway_mode_ipv4") not in UNPUBLISHED
    )


def lost_ports(container: Container, networks: Networks) -> list[PortBinding]:
    """The ports that a container asks for and does not have."""
    bridges = {n.name for n in networks.bridges if publishes(n)}
    attached = {a.network for a in container.networks}
    if not container.inspected or not attached or not attached <= bridges:
        return []
    had = {(b.container_port, b.protocol) for b in container.ports}
    return [b for b in container.wanted_ports if (b.container_port, b.protocol) not in had]


# Where a rule of the nat table sends packets, as iptables and nft write it.
TARGET = re.compile(r"(?:--to-destination|dnat to) ([\d.]+)(?::(\d+))?|--to-ports (\d+)|redirect to :?(\d+)")


def lands(rule: Rule, port: int) -> tuple[str, int] | None:
    """The address (empty: this host's own) and port that a rule gives to packets; None where that cannot be told."""
    to = TARGET.search(rule.text)
    if not to:
        return ("", port) if rule.verdict == "REDIRECT" else None
    return to[1] or "", int(to[2] or to[3] or to[4] or port)


def nobody_there(to: tuple[str, int], containers: Containers, networks: Networks, listeners: Listeners) -> bool:
    """Whether it is sure that nobody takes what is sent there: a port that nobody holds, an address of no container."""
    address, port = to
    if not address:
        return not any(x.protocol == "tcp" and x.port == port for x in listeners.host)
    if any(a.ip == address for c in containers.all for a in c.networks):
        return False
    ranges = [s for n in networks.bridges for s in n.subnets if ":" not in s]
    gateways = {g for n in networks.bridges for g in n.gateways}
    return address not in gateways and any(
        ipaddress.ip_address(address) in ipaddress.ip_network(r, strict=False) for r in ranges
    )


@check(
    "ports.redirected",
    title="Published ports are not led elsewhere first",
    severity=Severity.ERROR,
    docs=PUBLISHING,
    upstream=("network.docker-chains",),
)
def led_elsewhere(
    containers: Containers, networks: Networks, listeners: Listeners, firewall: Firewall, routes: Routes
) -> Finding:
    """
    The first rule of the table nat that fits decides: one of an old set-up, or of a container that is gone, may come first.

    Why it matters: the port answers on this host, where docker-proxy helps, and nobody else reaches the container.
    How to fix: delete the rule.
    """
    if networks.elsewhere:
        return skipped(networks.elsewhere)
    if not routes.uplink:
        return skipped("no way in but from this host itself")
    struck: list[tuple[Container, PortBinding, Chain, Rule]] = []
    for one in containers.running:
        for port in one.ports:
            if port.protocol != "tcp" or ":" in port.host_ip or port.host_ip.startswith("127."):
                continue
            address = port.host_ip if port.host_ip not in {"", "0.0.0.0"} else routes.source  # noqa: S104 - it is read
            way = Packet(routes.uplink.name, "", "tcp", port.host_port, "", address, local=True)
            for base in firewall.base("prerouting"):
                first = next(((c, r) for c, r, m in in_order(firewall, base, way) if r.verdict in LEADING and m), None)
                to = lands(first[1], port.host_port) if first else None
                if first and to and nobody_there(to, containers, networks, listeners):
                    struck.append((one, port, *first))
    if not struck:
        return passed("no rule leads a published port to where nobody is")
    one, port, _, rule = struck[0]
    return failed(
        f"port {port.host_port} of {one.name} is led elsewhere, where nobody answers: {rule.text}",
        *dict.fromkeys(Evidence(c.label, r.text) for _, _, c, r in struck),
        *(
            Evidence(f"docker inspect {c.name}", f"{p.host_port} leads to {p.container_port}/tcp")
            for c, p, _, _ in struck
        ),
        cause="A rule that comes before the container's own takes its connections: of an older set-up, or of a container "
        "that is gone.",
        fix=(
            *dict.fromkeys(Drop(c, r, certain=True, path=(c.name,)).delete for _, _, c, r in struck),
            "# and correct what wrote it, or it returns",
        ),
    )


@check(
    "ports.lost",
    title="Running containers have the ports that they ask for",
    severity=Severity.ERROR,
    docs=PUBLISHING,
)
def lost(containers: Containers, networks: Networks, listeners: Listeners) -> Finding:
    """
    With live-restore containers outlive dockerd; when it comes back and cannot have a port again, they go on without it.

    Why it matters: `docker ps` still shows the port, the container runs, and nobody reaches it.
    How to fix: free the port, and restart the container.
    """
    if networks.elsewhere:
        return skipped(networks.elsewhere)
    bare = [
        (c, ports)
        for c in containers.running
        if seconds_since(c.started, listeners.now) > SETTLED and (ports := lost_ports(c, networks))
    ]
    if not bare:
        return passed("every running container has the ports that it asks for")
    one, ports = bare[0]
    wanted = {(b.protocol, b.host_port) for _, ps in bare for b in ps if b.host_port}
    held = [x for x in listeners.host if (x.protocol, x.port) in wanted and not listeners.proxied(x)]
    numbers = ", ".join(f"{b.host_port or 'of any number'}/{b.protocol}" for b in ports)
    return failed(
        f"{one.name} runs without its port {numbers}: the engine could not publish it",
        *(
            Evidence(
                f"docker inspect {c.name}",
                f"HostConfig.PortBindings: {b.host_port} to {b.container_port}/{b.protocol}; NetworkSettings.Ports: none",
            )
            for c, ps in bare
            for b in ps
        ),
        *(Evidence("/proc/net", f"{x.where}/{x.protocol} held by {by(x.process, containers)}") for x in held),
        cause="dockerd was restarted while the container ran (live-restore), and the port was taken at that moment; it does "
        "not try again.",
        fix=(
            *dict.fromkeys(step for x in held for step in freeing(x, containers)),
            f"docker restart {' '.join(c.name for c, _ in bare)}",
        ),
        impact=f"restarts {', '.join(c.name for c, _ in bare)}" + (", and ends who has the port" if held else ""),
    )

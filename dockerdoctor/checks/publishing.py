"""Whether what running containers ask to publish is published."""

from __future__ import annotations

from dockerdoctor.checks.ports import PUBLISHING, by, freeing
from dockerdoctor.examine import check, failed, passed, skipped
from dockerdoctor.facts.containers import Container, Containers, Network, Networks, PortBinding
from dockerdoctor.facts.listeners import SETTLED, Listeners, seconds_since
from dockerdoctor.model import Evidence, Finding, Severity

# Networks whose containers are reached by other ways, or by none.
UNPUBLISHED = frozenset({"routed", "isolated"})


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

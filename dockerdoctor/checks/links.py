"""Docker's interfaces, and the two settings that stand in for docker-proxy where it is switched off."""

from __future__ import annotations

from dockerdoctor.checks.network import sysctl_name
from dockerdoctor.checks.reach import PUBLISHING, bridge_cut_off, default_bridge, show, targets
from dockerdoctor.examine import check, failed, passed, skipped
from dockerdoctor.facts.containers import Containers, Networks
from dockerdoctor.facts.daemon_json import DaemonJson, flag_values
from dockerdoctor.facts.dns import HostDns
from dockerdoctor.facts.forwarding import Forwarding
from dockerdoctor.facts.inside import Inside
from dockerdoctor.facts.listeners import Listeners
from dockerdoctor.facts.routes import DOCKER_VETH, Routes
from dockerdoctor.model import Evidence, Finding, Severity

BRIDGE = "https://docs.docker.com/engine/network/drivers/bridge/"


@check(
    "network.links-up",
    title="Docker's bridges and cables are up",
    severity=Severity.ERROR,
    docs=BRIDGE,
    upstream=("network.bridge",),
)
def links_up(networks: Networks, routes: Routes) -> Finding:
    """
    Docker brings its interfaces up once; `ip link set … down`, or a network script, is not undone.

    A bridge without containers has no carrier, and is up all the same.

    Why it matters: containers start, and nothing they send gets beyond their own namespace.
    How to fix: bring them up again.
    """
    if why := networks.not_here:
        return skipped(why)
    bridges = {n.bridge for n in networks.bridges}
    cables = {i.name for i in routes.interfaces if DOCKER_VETH.fullmatch(i.name) and i.master in bridges}
    down = [i.name for i in routes.interfaces if i.name in bridges | cables and not i.up]
    if not down:
        return passed("Docker's bridges and cables are up")
    return failed(
        f"{', '.join(down)} is down",
        *(Evidence(f"ip link show {name}", "without the flag UP") for name in down),
        cause=f"Somebody set {down[0]} down: a person, a network script or a network manager.",
        fix=[f"ip link set {name} up" for name in down],
    )


@check(
    "network.arp",
    title="Docker's bridges answer ARP",
    severity=Severity.ERROR,
    docs="https://man7.org/linux/man-pages/man8/ip-link.8.html",
    upstream=("network.bridge",),
)
def arp(networks: Networks, routes: Routes) -> Finding:
    """
    A container finds its gateway, the bridge, by asking who has its address.

    Why it matters: containers start, and neither reach their gateway nor are reached from this host.
    How to fix: turn ARP on again, and find what turned it off: a network script, a template made for tunnels.
    """
    if why := networks.not_here:
        return skipped(why)
    bridges = {n.bridge for n in networks.bridges}
    mute = [i.name for i in routes.interfaces if i.name in bridges and not i.arp]
    if not mute:
        return passed("Docker's bridges answer ARP")
    return failed(
        f"ARP is off on {', '.join(mute)}",
        *(Evidence(f"ip link show {name}", "with the flag NOARP") for name in mute),
        cause=f"Somebody turned ARP off on {mute[0]}: containers on it cannot find their gateway.",
        fix=[f"ip link set {name} arp on" for name in mute],
    )


@check(
    "network.spanning-tree",
    title="Cables of containers carry packets at once",
    severity=Severity.ERROR,
    docs="https://docs.kernel.org/networking/bridge.html",
    upstream=("network.bridge", "network.links-up"),
)
def spanning_tree(networks: Networks, routes: Routes, inside: Inside | None, dns: HostDns | None) -> Finding:
    """
    With the Spanning Tree Protocol a bridge's new port listens for 30 seconds before it carries anything.

    Network managers turn it on for the bridges that they make, which some give to Docker ("bridge" in daemon.json).

    Why it matters: each container is without a network for its first half minute; short ones, and builds, for ever.
    How to fix: turn it off: among containers' cables there are no loops.
    """
    if why := networks.not_here:
        return skipped(why)
    network = default_bridge(networks)
    slow = [i.name for i in routes.interfaces if network and i.name == network.bridge and i.spanning]
    if not slow or not network:
        return passed("the default bridge does not speak the Spanning Tree Protocol")
    if not bridge_cut_off(inside, dns, routes) or not inside:
        return passed(f"{slow[0]} speaks the Spanning Tree Protocol, and new containers are reached all the same")
    return failed(
        f"{slow[0]} lets new containers wait: it speaks the Spanning Tree Protocol",
        Evidence(f"ip -details link show {slow[0]}", "stp_state 1"),
        *show(targets(inside.bridge, inside, dns, routes), "default bridge"),
        cause="A port of this bridge listens and learns for twice its forward delay before it carries packets.",
        fix=(
            f"ip link set {slow[0]} type bridge stp_state 0",
            "# for good, in the configuration of what makes this bridge (NetworkManager: bridge.stp no; netplan: stp: false)",
        ),
    )


def no_proxy(config: DaemonJson | None, listeners: Listeners | None) -> bool:
    """Whether dockerd runs no docker-proxy: it is told so, and none is there from before."""
    if not config or (listeners and listeners.proxies):
        return False
    off = {"false", "0", "f", "F", "FALSE", "False"} & set(flag_values(config.flags, "userland-proxy"))
    return bool(off) or (config.settings or {}).get("userland-proxy") is False


@check(
    "network.route-localnet",
    title="Published ports answer on 127.0.0.1 where no docker-proxy runs",
    severity=Severity.ERROR,
    docs=PUBLISHING,
    upstream=("network.bridge",),
)
def route_localnet(
    kernel: Forwarding,
    networks: Networks,
    routes: Routes,
    config: DaemonJson | None,
    listeners: Listeners | None,
    inside: Inside | None,
) -> Finding:
    """
    Without "userland-proxy" connections to 127.0.0.1 are redirected to containers, which route_localnet allows.

    Why it matters: ports answer on the host's address and time out on 127.0.0.1.
    How to fix: turn the setting on again, and find what turned it off: sysctl.d, a hardening script.
    """
    if networks.not_here or not no_proxy(config, listeners):
        return skipped(networks.not_here or "docker-proxy answers on 127.0.0.1")
    if inside and any(p.target.startswith("127.") and p.outcome == "ok" for p in inside.published):
        return passed("a published port answers on 127.0.0.1")
    there = {i.name for i in routes.interfaces}
    off = [n.bridge for n in networks.bridges if n.bridge in there and not n.internal]
    off = [name for name in off if name not in kernel.localnet and "all" not in kernel.localnet]
    if not off:
        return passed("127.0.0.1 leads to containers")
    return failed(
        f"route_localnet is off for {', '.join(off)}, and no docker-proxy runs",
        *(Evidence(f"/proc/sys/net/ipv4/conf/{name}/route_localnet", "0") for name in off),
        cause='"userland-proxy": false leaves 127.0.0.1 to the kernel, which drops such packets unless route_localnet is on.',
        fix=[f"sysctl -w {sysctl_name(name, 'route_localnet')}=1" for name in off],
    )


@check(
    "network.hairpin",
    title="Containers reach themselves by their published ports where no docker-proxy runs",
    severity=Severity.ERROR,
    docs=PUBLISHING,
    upstream=("network.bridge", "network.managed-interfaces"),
)
def hairpin(
    networks: Networks, routes: Routes, containers: Containers, config: DaemonJson | None, listeners: Listeners | None
) -> Finding:
    """
    Without "userland-proxy" such a packet must leave the bridge by the port it came in: its hairpin mode.

    Why it matters: a container that calls its own public address gets no answer, while everybody else does.
    How to fix: turn the port's hairpin mode on; or call the service by its name.
    """
    if networks.not_here or not no_proxy(config, listeners):
        return skipped(networks.not_here or "docker-proxy takes such connections")
    if not any(c.ports for c in containers.running):
        return skipped("no running container publishes a port")
    bridges = {n.bridge for n in networks.bridges}
    off = [
        i.name
        for i in routes.interfaces
        if i.master in bridges and DOCKER_VETH.fullmatch(i.name) and i.hairpin is False
    ]
    if not off:
        return passed("the bridges' ports are in hairpin mode")
    return failed(
        f"hairpin mode is off for {', '.join(off)}, and no docker-proxy runs",
        *(Evidence(f"bridge -details link show dev {name}", "hairpin off") for name in off),
        cause="A frame is not sent back where it came from, so a container does not reach its own published port.",
        fix=(
            *(f"bridge link set dev {name} hairpin on" for name in off),
            "# or let containers call each other by name, on a network of their own",
        ),
    )


@check(
    "network.internal",
    title="Running containers have a way out",
    severity=Severity.INFO,
    docs=BRIDGE,
)
def internal(networks: Networks, containers: Containers) -> Finding:
    """
    An internal network has no way out, as somebody asked.

    Why it matters: what looks broken in a container may be what was wanted.
    How to fix: if it needs one, attach the container to a second network.
    """
    sealed = {n.name for n in networks.bridges if n.internal}
    inside = [c for c in containers.running if c.networks and {a.network for a in c.networks} <= sealed]
    if not inside:
        return passed("no container is on an internal network alone")
    one = inside[0]
    return failed(
        f"{', '.join(c.name for c in inside)}: on an internal network alone, without a way out",
        *(Evidence(f"GET /networks/{c.networks[0].network}", '"Internal": true') for c in inside),
        cause=f"Network {one.networks[0].network} was made with --internal, which is often meant.",
        fix=(f"# if {one.name} needs a way out: docker network connect NETWORK {one.name}",),
    )


@check(
    "network.icc",
    title="Neighbours on a bridge may talk",
    severity=Severity.INFO,
    docs=BRIDGE,
)
def icc(networks: Networks, containers: Containers) -> Finding:
    """
    With "icc" off the containers of a network do not reach each other, as hardening guides (CIS) ask for.

    Why it matters: connections between them time out, while the world and published ports are reached.
    How to fix: put those that belong together on a user-defined network.
    """
    mute = {n.name for n in networks.bridges if dict(n.options).get("com.docker.network.bridge.enable_icc") == "false"}
    crowded = {m: [c.name for c in containers.running if m in {a.network for a in c.networks}] for m in sorted(mute)}
    crowded = {m: members for m, members in crowded.items() if len(members) > 1}
    if not crowded:
        return passed("no containers share a network that has icc off")
    name, members = next(iter(crowded.items()))
    return failed(
        f"{', '.join(members)} do not reach each other: icc is off on network {name}",
        *(Evidence(f"GET /networks/{m}", "com.docker.network.bridge.enable_icc: false") for m in crowded),
        cause=f'"icc": false, or the option of network {name}, keeps its containers apart, which is often meant.',
        fix=(
            "# if they belong together, give them a network of their own:",
            "# docker network create together",
            *(f"# docker network connect together {m}" for m in members),
        ),
    )

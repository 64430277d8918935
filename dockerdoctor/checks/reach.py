"""Whether containers reach the world and the host reaches them: what was measured, before anybody asks why."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from dockerdoctor.examine import check, failed, passed, skipped, unknown
from dockerdoctor.facts.containers import Network, Networks
from dockerdoctor.facts.daemon_json import DaemonJson, flag_values
from dockerdoctor.facts.dns import HostDns, is_loopback
from dockerdoctor.facts.engine import DaemonProcess
from dockerdoctor.facts.firewall import NO_PROCESS, Drop, Firewall, Moved, Packet, dropped_on_the_way
from dockerdoctor.facts.inside import Inside, View
from dockerdoctor.facts.routes import Routes
from dockerdoctor.model import Evidence, Finding, Severity

NETWORKING = "https://docs.docker.com/engine/network/"
FILTERING = "https://docs.docker.com/engine/network/packet-filtering-firewalls/"
PUBLISHING = "https://docs.docker.com/engine/network/port-publishing/"
RESTART = ("systemctl reset-failed docker.service", "systemctl restart docker.service")
RESTARTS = "restarts dockerd; running containers stop unless live-restore is on"
# What an engine's message speaks of when it is the network that keeps a container from starting.
NETWORK_TROUBLE = re.compile(
    r"network|bridge|veth|iptables|nftables|address|endpoint|external connectivity", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Target:
    """Something beyond the host that answered the host, and whether it answered a container."""

    address: str
    protocol: str  # "icmp", "udp", "tcp"
    port: int
    answered: bool
    outcome: str  # in the container

    def __str__(self) -> str:
        """As evidence names it."""
        return f"ping {self.address}" if self.protocol == "icmp" else f"{self.protocol} {self.address}:{self.port}"


def is_address(host: str) -> bool:
    """Whether it is an IPv4 address, and no name."""
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return True


def targets(view: View, inside: Inside, dns: HostDns | None, routes: Routes) -> tuple[Target, ...]:
    """Pick what the host reached beyond itself: only that can be held against a container."""
    found: list[Target] = []
    for ping in view.pings:
        here = next((p for p in inside.host.pings if p.target == ping.target and p.payload == ping.payload), None)
        if ping.payload == 56 and here and here.outcome == "ok":
            found.append(Target(ping.target, "icmp", 0, ping.outcome == "ok", ping.outcome))
    for exchange in view.exchanges:
        host, _, port = exchange.target.rpartition(":")
        if port == "53":
            continue  # a nameserver is judged by its answers
        here_too = inside.host.exchange(host, int(port))
        # A name may fail to resolve in there, which is another matter; one that hangs up was reached.
        if here_too and here_too.ok and is_address(host) and not is_loopback(host) and not routes.owns(host):
            reached = exchange.outcome in {"ok", "closed"}
            found.append(Target(host, "tcp", int(port), reached, exchange.outcome))
    for answer in view.dns:
        if routes.owns(answer.server) or is_loopback(answer.server):
            continue
        said = dns.said(answer.server, answer.transport) if dns else ()
        if any(not a.silent for a in said):
            found.append(Target(answer.server, answer.transport, 53, not answer.silent, answer.outcome))
    return tuple(dict.fromkeys(found))


def cut_off(view: View, inside: Inside, dns: HostDns | None, routes: Routes) -> bool | None:
    """Whether nothing that answers the host answers from there; None when nothing comparable answered the host."""
    asked = targets(view, inside, dns, routes)
    if not view.asked or not asked:
        return None
    tcp = [t for t in asked if t.protocol == "tcp"]
    # A conversation is what programs need: that pings pass does not help them.
    if any(t.port != 53 for t in tcp) and not any(t.answered for t in tcp):
        return True
    return not any(t.answered for t in asked)


def bridge_cut_off(inside: Inside | None, dns: HostDns | None, routes: Routes) -> bool | None:
    """The same of the default bridge; None without a measurement."""
    return cut_off(inside.bridge, inside, dns, routes) if inside else None


def manages_iptables(config: DaemonJson | None) -> bool:
    """Whether dockerd writes firewall rules: it does unless told not to."""
    if not config:
        return True
    if (config.settings or {}).get("iptables") is False:
        return False
    return not {"false", "0", "f", "F", "FALSE", "False"} & set(flag_values(config.flags, "iptables"))


def default_bridge(networks: Networks) -> Network | None:
    """The network that containers get when they name none."""
    return next((n for n in networks.bridges if n.name == "bridge"), None)


def ipv4(network: Network) -> str:
    """The IPv4 subnet of a network; empty without one."""
    return next((s for s in network.subnets if ":" not in s), "")


def somebody(network: Network) -> str:
    """An address that a container of this network may have."""
    subnet = ipv4(network)
    return str(ipaddress.ip_network(subnet, strict=False)[2]) if subnet and not subnet.endswith(("/31", "/32")) else ""


def outbound(network: Network, uplink: str, target: Target | None = None) -> Packet:
    """The first packet of a container on its way out; to a web server where no target is given."""
    return Packet(
        network.bridge,
        uplink,
        target.protocol if target else "tcp",
        target.port if target else 443,
        somebody(network),
        target.address if target else "",
        local=False,
        uid=NO_PROCESS,
        dnat=False,
    )


def show(asked: tuple[Target, ...], place: str) -> tuple[Evidence, ...]:
    """What the host reached and a container did or did not."""
    return tuple(
        Evidence(f"{t}, from the {place}", t.outcome if t.answered else f"{t.outcome}; it answers the host")
        for t in asked
    )


def dropped(moved: Moved | None) -> tuple[Evidence, ...]:
    """Rules that dropped something meanwhile."""
    return tuple(
        Evidence(label, f"{text}: {packets} packets dropped meanwhile")
        for label, text, packets in (moved.drops if moved else ())
    )


# What keeps packets from getting out.
NO_WAY_OUT = (
    "engine.network-namespace",
    "engine.programs",
    "engine.unit-sandbox",
    "kernel.modules-needed",
    "storage.read-only",
    "storage.space",
    "storage.inodes",
    "network.ip-forward",
    "network.bridge",
    "network.bridge-address",
    "network.links-up",
    "network.arp",
    "network.spanning-tree",
    "network.managed-interfaces",
    "network.neighbours",
    "network.subnet-overlap",
    "network.address-pools",
    "network.docker-chains",
    "network.iptables-off",
    "network.masquerade",
    "network.forward-drop",
    "network.docker-user",
    "network.nft-drop",
    "network.iptables-split",
    "network.untracked",
    "network.rp-filter",
    "network.bridge-route",
    "network.redirected",
    "network.time-to-live",
    "network.policy-routing",
    "network.ipsec",
    "network.conntrack",
)
TOO_MANY_FILES = "too many open files"


def uncounted(
    firewall: Firewall | None, networks: Networks, routes: Routes, asked: tuple[Target, ...]
) -> tuple[Drop, ...]:
    """Rules that may have dropped what was lost, of which nothing tells whether they did."""
    network, uplink = default_bridge(networks), routes.uplink
    if not firewall or not network or not uplink:
        return ()
    ways = [outbound(network, uplink.name, t) for t in asked if not t.answered]
    found = [d for way in ways for d in dropped_on_the_way(firewall, way) if d.rule and not d.rule.counted]
    return tuple({d.text: d for d in found if not d.dockers}.values())


@check(
    "network.egress",
    title="Containers reach what the host reaches",
    severity=Severity.ERROR,
    docs=NETWORKING,
    upstream=(*NO_WAY_OUT, "resources.open-files"),
)
def egress(
    inside: Inside,
    routes: Routes,
    networks: Networks,
    dns: HostDns | None,
    moved: Moved | None,
    config: DaemonJson | None,
    firewall: Firewall | None,
) -> Finding:
    """
    The gateway, nameservers and mirrors that answer the host are asked from a container on each kind of network.

    Why it matters: without a way out, containers resolve no names, install no packages and call no other service.
    How to fix: the checks above name what stops the packets; with none of them failing, follow a packet with tcpdump.
    """
    if not networks.bridges:
        return skipped("no network of the bridge driver")
    # Rules made by hand cover the networks that their maker knows, and not the one that was made for this question.
    views = (inside.bridge, inside.user) if manages_iptables(config) else (inside.bridge,)
    reached: list[str] = []
    for view in views:
        if view.error and NETWORK_TROUBLE.search(view.error):
            return failed(
                f"no container can be connected to the {view.place}",
                Evidence(f"docker run, on the {view.place}", view.error),
                *dropped(moved),
                cause="The engine could not set up the network of a new container; its message says what failed.",
                fix=(*RESTART, "journalctl -u docker.service -n 50 --no-pager"),
                impact=RESTARTS,
                because=(*NO_WAY_OUT, *(("resources.open-files",) if TOO_MANY_FILES in view.error else ())),
            )
        asked = targets(view, inside, dns, routes)
        lost = cut_off(view, inside, dns, routes)
        if lost:
            names = ", ".join(dict.fromkeys(str(t) for t in asked if not t.answered))
            suspects = uncounted(firewall, networks, routes, asked)
            return failed(
                f"from the {view.place} nothing beyond this host answers: {names}",
                *show(asked, view.place),
                *dropped(moved),
                *(Evidence(d.chain.label, f"{d.text} (may drop it, and counts nothing)") for d in suspects),
                cause="What answers the host does not answer containers, and none of the known causes was found: the "
                "reason is not known. The packets get lost between the bridge and the uplink, or on the way back.",
                fix=(
                    *(f"# if this rule is the reason, take it away: {d.delete}" for d in suspects),
                    "# watch where the packets stop while a container pings the gateway:",
                    f"# tcpdump -n -i any -c 20 icmp and host {asked[0].address}",
                ),
                because=NO_WAY_OUT,
            )
        if lost is False:
            reached.append(f"{view.place}: {next(str(t) for t in asked if t.answered)}")
    if not reached:
        why = "; ".join(f"{v.place}: {v.error}" for v in views if v.error)
        return unknown(why or "nothing beyond this host answered the host itself, so nothing can be compared")
    return passed(f"containers reach the world ({'; '.join(reached)})")


@check(
    "network.published-port",
    title="A published port answers on this host",
    severity=Severity.ERROR,
    docs=PUBLISHING,
    upstream=(
        "engine.network-namespace",
        "engine.programs",
        "engine.unit-sandbox",
        "engine.unit-addresses",
        "kernel.modules-needed",
        "network.bridge",
        "network.bridge-address",
        "network.links-up",
        "network.arp",
        "network.spanning-tree",
        "network.loopback-drop",
        "network.route-localnet",
        "network.managed-interfaces",
        "network.neighbours",
        "network.subnet-overlap",
        "network.docker-chains",
        "network.forward-drop",
        "network.iptables-split",
        "network.nft-drop",
        "network.input-drop",
        "network.output-drop",
        "network.untracked",
        "network.rp-filter",
        "network.bridge-route",
        "network.policy-routing",
        "network.ipsec",
        "network.conntrack",
    ),
)
def published_port(inside: Inside, networks: Networks, moved: Moved | None, process: DaemonProcess | None) -> Finding:
    """
    A container that listens is published on a free port, which is dialled on 127.0.0.1 and on the host's own address.

    Why it matters: `docker run -p` is how a service in a container is reached at all.
    How to fix: the checks above name what is broken; with none of them failing, look at docker-proxy and the nat table.
    """
    if not networks.bridges:
        return skipped("no network of the bridge driver")
    if inside.publish_error and inside.bridge.asked:  # without the port it worked
        return failed(
            "the engine cannot publish a port",
            Evidence("docker run -p", inside.publish_error),
            cause="The engine failed to connect a port of the host to a container; its message says what failed.",
            fix=(*RESTART, "journalctl -u docker.service -n 50 --no-pager"),
            impact=RESTARTS,
        )
    dialled = [p for p in inside.published if p.source == "host"]
    if not dialled:
        return unknown(inside.bridge.error or "the published port was not dialled")
    lines = tuple(Evidence(f"connect {p.target}, from the {p.source}", p.outcome) for p in inside.published)
    dead = [p for p in dialled if p.outcome != "ok"]
    if dead and networks.elsewhere and process is not None and not process.pid:
        return skipped(f"{networks.elsewhere}, and so are the ports that they publish")
    if dead:
        return failed(
            f"a published port does not answer on {', '.join(p.target for p in dead)} ({dead[0].outcome})",
            *lines,
            *dropped(moved),
            cause="The port is published and its container listens, yet connections from this host do not arrive; none "
            "of the known causes was found.",
            fix=(
                "# look at who answers for published ports, and at the rules that lead to containers:",
                "ss -ltnp",
                "iptables -t nat -S",
            ),
        )
    return passed(f"a published port answers on {', '.join(p.target.rpartition(':')[0] for p in dialled)}", *lines)

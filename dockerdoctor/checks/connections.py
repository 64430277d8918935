"""The kernel's tables that all containers share: connections and how they are translated, and neighbours."""

from __future__ import annotations

from dataclasses import dataclass

from dockerdoctor.checks.reach import PUBLISHING, ipv4
from dockerdoctor.examine import check, failed, passed, skipped
from dockerdoctor.facts.containers import Container, Containers, Networks
from dockerdoctor.facts.firewall import Firewall, Packet, translated
from dockerdoctor.facts.flows import Flow, UdpFlows, within
from dockerdoctor.facts.forwarding import Forwarding
from dockerdoctor.facts.listeners import Listeners, seconds_since
from dockerdoctor.facts.routes import Routes
from dockerdoctor.model import Evidence, Finding, Severity

FULL = 0.95  # of a table: beyond it the kernel drops what is new
CONNTRACK = "https://docs.kernel.org/networking/nf_conntrack-sysctl.html"


def crowded(kernel: Forwarding) -> bool:
    """Whether the table of connections has hardly any room."""
    return kernel.conntrack_count >= FULL * kernel.conntrack_max


def connections(kernel: Forwarding) -> Evidence:
    """How full the table is."""
    return Evidence(
        "/proc/sys/net/netfilter", f"nf_conntrack_count {kernel.conntrack_count}, _max {kernel.conntrack_max}"
    )


def wider(kernel: Forwarding) -> tuple[str, str]:
    """Raise the limit, now and at the next boot."""
    most = kernel.conntrack_max * 4
    return (
        f"sysctl -w net.netfilter.nf_conntrack_max={most}",
        f"printf 'net.netfilter.nf_conntrack_max = {most}\\n' | tee /etc/sysctl.d/90-conntrack.conf",
    )


@check(
    "network.conntrack",
    title="The kernel drops no connection for want of room in its table",
    severity=Severity.ERROR,
    docs=CONNTRACK,
)
def conntrack(kernel: Forwarding) -> Finding:
    """
    Every translated connection takes an entry; when the table is full, the kernel drops new ones.

    Why it matters: connections fail at random under load ("nf_conntrack: table full, dropping packet").
    How to fix: raise the limit.
    """
    if not kernel.conntrack_max:
        return skipped("connections are not tracked")
    seen = connections(kernel)
    if not crowded(kernel):
        return passed(f"{kernel.conntrack_count} of {kernel.conntrack_max} connections", seen)
    if not kernel.conntrack_dropped:
        return passed("the table is nearly full, and nothing was dropped yet", seen)
    return failed(
        f"the connection table is full: {kernel.conntrack_count} of {kernel.conntrack_max}",
        seen,
        Evidence("/proc/net/stat/nf_conntrack", f"drop: {kernel.conntrack_dropped} packets since boot"),
        cause="The kernel's table of connections is full, and it drops packets of new ones.",
        fix=(*wider(kernel), "# then see what opens so many: conntrack -L (package conntrack), or ss -s"),
        impact="none; an entry takes some 300 bytes of memory",
    )


@check(
    "network.conntrack-room",
    title="The kernel's table of connections has room",
    severity=Severity.WARNING,
    docs=CONNTRACK,
)
def conntrack_room(kernel: Forwarding) -> Finding:
    """
    A table that is nearly full gives up connections that were not answered yet, and then drops new ones.

    Why it matters: the next burst of connections is lost ("nf_conntrack: table full, dropping packet").
    How to fix: raise the limit.
    """
    if not kernel.conntrack_max:
        return skipped("connections are not tracked")
    seen = connections(kernel)
    if not crowded(kernel) or kernel.conntrack_dropped:
        return passed(f"{kernel.conntrack_count} of {kernel.conntrack_max} connections", seen)
    evicted = kernel.conntrack_evicted
    return failed(
        f"the connection table is nearly full: {kernel.conntrack_count} of {kernel.conntrack_max}",
        seen,
        *(
            (Evidence("/proc/net/stat/nf_conntrack", f"early_drop: {evicted} unanswered ones given up"),)
            if evicted
            else ()
        ),
        cause="Some program, or a scan from outside, opens more connections than the kernel is told to remember.",
        fix=wider(kernel),
        impact="none; an entry takes some 300 bytes of memory",
    )


# -- flows of UDP that go where a rule led that is no more --------------------------------------------------------------


EVERY = frozenset({"", "0.0.0.0"})  # noqa: S104 - it is read, not bound


@dataclass(frozen=True)
class Stale:
    """A flow that is used, and that was translated for a container as it no longer is."""

    container: Container
    flow: Flow
    port: int  # the published one; 0 for what the container sends
    why: str

    @property
    def forget(self) -> str:
        """The command that makes the kernel forget it, and those like it."""
        whose = f"--orig-port-dst {self.port}" if self.port else f"--orig-src {self.flow.source}"
        return f"conntrack -D -p udp {whose}"


def misled(one: Container, flow: Flow, networks: Networks, routes: Routes, listeners: Listeners | None) -> Stale | None:
    """A client's flow to a published port that leads elsewhere than to its container."""
    mine = [a.ip for a in one.networks if a.ip]
    port = next(
        (
            b.host_port
            for b in one.ports
            if (b.protocol, b.host_port) == ("udp", flow.port)
            and (routes.owns(flow.destination) if b.host_ip in EVERY else b.host_ip == flow.destination)
        ),
        0,
    )
    if not port or not mine or flow.answering in mine:
        return None
    where = f"{one.name} is {', '.join(mine)}"
    if within(flow.answering, [ipv4(n) for n in networks.bridges]):
        return Stale(one, flow, port, f"its packets are led to {flow.answering}, and {where}")
    # A docker-proxy takes what stays on this host, and hands it on.
    relayed = not listeners or any((p.protocol, p.host_port) == ("udp", port) for p in listeners.proxies)
    here = flow.answering == flow.destination
    return Stale(one, flow, port, f"its packets stay on this host, and {where}") if here and not relayed else None


def bare(one: Container, flow: Flow, networks: Networks, routes: Routes, firewall: Firewall | None) -> Stale | None:
    """What a container sends under its own address, although today's rules would give it the host's."""
    ours = [ipv4(n) for n in networks.bridges]
    leaves = flow.single and not routes.owns(flow.destination) and not within(flow.destination, ours)
    if flow.source not in {a.ip for a in one.networks} or flow.answered_to != flow.source or flow.replied or not leaves:
        return None
    ways = [
        r.device for r in routes.routes if r.destination != "0.0.0.0/0" and within(flow.destination, [r.destination])
    ]
    uplink = routes.uplink.name if routes.uplink else ""
    packet = Packet("", uplink, "udp", flow.port, flow.source, flow.destination, local=False)
    if not uplink or set(ways) - {uplink} or not firewall or not translated(firewall, packet):
        return None
    return Stale(one, flow, 0, f"its packets leave with {flow.source}, to which nobody outside knows the way")


@check(
    "network.stale-udp",
    title="Flows of UDP are translated for the containers of today",
    severity=Severity.ERROR,
    docs=PUBLISHING,
    upstream=("network.docker-chains", "network.masquerade"),
)
def stale_udp(
    containers: Containers,
    networks: Networks,
    flows: UdpFlows,
    routes: Routes,
    listeners: Listeners | None,
    firewall: Firewall | None,
) -> Finding:
    """
    How packets are translated is decided by the first of a flow; while they keep coming, no rule is asked again.

    Engines before 23.0 leave such entries when a container goes (moby/moby#8795); so does whoever writes rules anew.

    Why it matters: after a restart clients of DNS, syslog, VoIP or statsd are not heard, until they pause for minutes.
    How to fix: make the kernel forget these flows; the next packet is translated by today's rules.
    """
    if networks.elsewhere:
        return skipped(networks.elsewhere)
    lost = [
        found
        for one in containers.running
        for flow in flows.all
        # The kernel forgets what nobody uses: of interest is who still sends, and did since the container started.
        if flow.idle + 1 < seconds_since(one.started, flows.now)
        if (found := misled(one, flow, networks, routes, listeners) or bare(one, flow, networks, routes, firewall))
    ]
    if not lost:
        return passed("no flow of UDP that is in use is translated for a container that is no more")
    first = lost[0]
    one, flow = first.container, first.flow
    what = (
        f"{flow.source}:{flow.sport} is not led to UDP port {first.port} of {one.name} any more"
        if first.port
        else f"{one.name} is not heard by {flow.destination}:{flow.port} (UDP)"
    )
    since = {s.container.id: s.container for s in lost}.values()
    return failed(
        f"{what}: {first.why}",
        *(Evidence(flows.source, s.flow.text) for s in lost[:5]),
        *(
            Evidence(f"docker inspect {c.name}", f"{', '.join(a.ip for a in c.networks)} since {c.started[:19]}")
            for c in since
        ),
        cause="The kernel translates this flow as it did its first packet, by a rule that is gone: entries live as long as "
        "packets keep coming.",
        fix=(
            *dict.fromkeys(s.forget for s in lost),
            "# conntrack is in the package conntrack (conntrack-tools elsewhere)",
        ),
        impact="none: the next packet of each flow is translated by today's rules",
    )


# -- neighbours --------------------------------------------------------------------------------------------------------


@check(
    "network.neighbours",
    title="The table of neighbours has room",
    severity=Severity.ERROR,
    docs="https://man7.org/linux/man-pages/man7/arp.7.html",
)
def neighbours(kernel: Forwarding) -> Finding:
    """
    Each address on a bridge is an entry of the kernel's ARP table, which all containers of the host share.

    Why it matters: with hundreds of containers connections fail ("neighbour: arp_cache: neighbor table overflow!").
    How to fix: raise the three thresholds.
    """
    if not kernel.neighbours_max:
        return skipped("the kernel does not tell how many neighbours it remembers")
    seen = Evidence(
        "/proc/net/stat/arp_cache",
        f"{kernel.neighbours} entries of {kernel.neighbours_max} (gc_thresh3), full {kernel.neighbours_refused} times",
    )
    if kernel.neighbours < FULL * kernel.neighbours_max:
        return passed(f"{kernel.neighbours} of {kernel.neighbours_max} neighbours", seen)
    base = "net.ipv4.neigh.default.gc_thresh"
    wider = {f"{base}{n + 1}": kernel.neighbours_max * factor for n, factor in enumerate((1, 2, 4))}
    text = "".join(f"{key} = {value}\\n" for key, value in wider.items())
    return failed(
        f"the table of neighbours is full: {kernel.neighbours} of {kernel.neighbours_max}",
        seen,
        cause="The kernel's ARP table has no room for further neighbours, and packets to them are dropped.",
        # The greatest first: no threshold may pass the next.
        fix=(
            *(f"sysctl -w {key}={value}" for key, value in reversed(wider.items())),
            f"printf '{text}' | tee /etc/sysctl.d/90-neighbours.conf",
        ),
    )

"""What carries packets from containers to the world and back: forwarding, bridges, addresses, MTU."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from dockerdoctor.checks.reach import RESTART, RESTARTS, default_bridge, ipv4
from dockerdoctor.examine import check, failed, passed, skipped, unknown
from dockerdoctor.facts.containers import Containers, Network, Networks
from dockerdoctor.facts.daemon_json import DaemonJson
from dockerdoctor.facts.firewall import Firewall, Packet, drops
from dockerdoctor.facts.forwarding import SYSCTL_CONF, Forwarding, Managers, Setting
from dockerdoctor.facts.inside import Inside, View
from dockerdoctor.facts.routes import Routes, loose
from dockerdoctor.model import Evidence, Finding, Severity

BRIDGE = "https://docs.docker.com/engine/network/drivers/bridge/"
TROUBLE = "https://docs.docker.com/engine/daemon/troubleshoot/"

IPv4Network = ipaddress.IPv4Network


def net(text: str) -> IPv4Network:
    """A subnet as such; host bits are ignored."""
    return ipaddress.IPv4Network(text, strict=False)


def sysctl_name(interface: str, key: str = "forwarding") -> str:
    """Name a setting of one interface; with slashes where the interface's name has dots (sysctl(8))."""
    slashes = "." in interface
    return f"net/ipv4/conf/{interface}/{key}" if slashes else f"net.ipv4.conf.{interface}.{key}"


@check(
    "network.ip-forward",
    title="The kernel forwards packets between containers and the world",
    severity=Severity.ERROR,
    docs=TROUBLE + "#ip-forwarding-problems",
)
def ip_forward(kernel: Forwarding, networks: Networks, routes: Routes, config: DaemonJson | None) -> Finding:
    """
    Docker turns forwarding on when it starts; a later `sysctl --system` or a hardening script may turn it off again.

    Why it matters: containers reach the host and nothing beyond it, and nobody outside reaches a container.
    How to fix: turn it on, and correct the file that turns it off.
    """
    if why := networks.not_here:
        return skipped(f"{why}: nothing to forward")
    if not kernel.ip_forward:
        return unknown("/proc/sys/net/ipv4/ip_forward cannot be read")
    told = Evidence("/proc/sys/net/ipv4/ip_forward", kernel.ip_forward)
    # Where packets come in: from containers that are to leave, and answers to them.
    through = (
        *(n.bridge for n in networks.bridges if not n.internal),
        *((routes.uplink.name,) if routes.uplink else ()),
    )
    off = [name for name in dict.fromkeys(through) if kernel.of(name) == "0"]
    if kernel.ip_forward != "0" and not off:
        return passed("net.ipv4.ip_forward is 1", told)
    everywhere = kernel.ip_forward == "0"
    keys = ["net.ipv4.ip_forward"] if everywhere else [sysctl_name(name) for name in off]
    settings = [s for s in kernel.settings if s.off and s.key in {*keys, "net.ipv4.conf.all.forwarding"}]
    lines = [Evidence(f"{s.path}:{s.line}", f"{s.key} = {s.value}") for s in settings]
    if config and (config.settings or {}).get("ip-forward") is False:
        lines.append(Evidence(config.path, '"ip-forward": false: dockerd leaves the setting alone'))
    if not everywhere:
        told = Evidence(f"/proc/sys/net/ipv4/conf/{off[0]}/forwarding", "0")
    where = f", set in {settings[-1].path}" if settings else ""
    what = "net.ipv4.ip_forward is 0" if everywhere else f"forwarding is off for {', '.join(off)}"
    return failed(
        what + where,
        told,
        *lines,
        cause="The kernel does not forward packets"
        + (f": {settings[-1].path}, line {settings[-1].line}, turns it off." if settings else "; Docker had it on."),
        fix=(*(f"sysctl -w {key}=1" for key in keys), *lasting(settings, keys)),
    )


def lasting(settings: list[Setting], keys: list[str]) -> Iterator[str]:
    """Make forwarding survive the next boot: correct the files of /etc, and say it last in one of our own."""
    for path in dict.fromkeys(s.path for s in settings if s.path.startswith("/etc/")):
        yield f"sed -i -E '/forward/s/=[[:space:]]*0[[:space:]]*$/= 1/' {path}"
    if not any(s.path == SYSCTL_CONF for s in settings) or len(settings) > 1:
        # The last file wins, /etc/sysctl.conf apart, which sysctl(8) reads after all others.
        text = "".join(f"{key} = 1\\n" for key in keys)
        yield f"printf '{text}' | tee /etc/sysctl.d/zz-docker-forward.conf"


@check(
    "network.bridge",
    title="Every Docker network has its bridge",
    severity=Severity.ERROR,
    docs=BRIDGE,
)
def bridge(networks: Networks, routes: Routes, config: DaemonJson | None) -> Finding:
    """
    Each network of the bridge driver is a bridge interface of the host, docker0 for the default one.

    Why it matters: no container on that network starts ("could not find bridge").
    How to fix: restart the engine, which makes its bridges again; a bridge of your own must be there before.
    """
    if why := networks.not_here:
        return skipped(why)
    names = {i.name for i in routes.interfaces}
    gone = [n for n in networks.bridges if n.bridge not in names]
    if not gone:
        return passed(f"{', '.join(n.bridge for n in networks.bridges)} exist")
    own = (config.settings or {}).get("bridge") if config else None
    step = (
        (f'# {own} is yours to make ("bridge" in daemon.json), before the engine starts',)
        if own in {n.bridge for n in gone}
        else ()
    )
    return failed(
        f"{', '.join(f'{n.bridge} (network {n.name})' for n in gone)} does not exist",
        *(Evidence("ip link show " + n.bridge, "no such interface") for n in gone),
        cause=f"Somebody deleted the interface {gone[0].bridge} while the engine was running.",
        fix=(*step, *RESTART),
        impact=RESTARTS,
    )


@check(
    "network.managed-interfaces",
    title="No network manager takes over Docker's interfaces",
    severity=Severity.ERROR,
    docs="https://www.freedesktop.org/software/systemd/man/latest/systemd.network.html",
    upstream=("network.bridge",),
)
def managed_interfaces(
    networks: Networks, routes: Routes, managers: Managers, containers: Containers | None
) -> Finding:
    """
    A catch-all .network file, or a network script, makes the host's network manager configure Docker's interfaces too.

    Why it matters: it takes addresses from bridges and cables from their bridge, and containers lose their network.
    How to fix: tell the manager to leave Docker's interfaces alone, then restart the engine.
    """
    if networks.elsewhere:
        return skipped(networks.elsewhere)
    claims = managers.claims if managers.running("systemd-networkd.service") else ()
    cut = loose(routes.interfaces)
    bare = addressless(networks, routes) if claims else ()
    shown = tuple(Evidence(c.source, f"{c.manager} manages what matches {c.pattern}") for c in claims)
    busy = containers is None or any(c.running for c in containers.all)
    if not (cut and busy) and not bare:
        return passed("Docker's bridges and cables are as Docker left them", *shown)
    parts = [f"{name} is connected to no bridge" for name in cut] + [f"{n.bridge} has no address" for n, _ in bare]
    unmanaged = (
        "printf '[Match]\\nName=docker* br-* veth*\\n[Link]\\nUnmanaged=yes\\n' | tee /etc/systemd/network/10-docker.network",
        "networkctl reload",
    )
    return failed(
        "; ".join(parts),
        *shown,
        *(Evidence(f"ip link show {name}", "no master") for name in cut),
        cause=f"{claims[0].manager} configures Docker's interfaces: {claims[0].source} matches them."
        if claims
        else "Something took containers' interfaces out of Docker's bridges: a network manager or a script.",
        fix=(*(unmanaged if claims else ("# find what manages veth* on this host and exclude it there",)), *RESTART),
        impact=RESTARTS,
    )


def addressless(networks: Networks, routes: Routes) -> tuple[tuple[Network, str], ...]:
    """Networks whose bridge lacks its gateway's address, with that address."""
    found = []
    for network in networks.bridges:
        options = dict(network.options)
        here = next((i for i in routes.interfaces if i.name == network.bridge), None)
        subnet = ipv4(network)
        # Options of Docker's that mean "no address here".
        if options.get("com.docker.network.bridge.inhibit_ipv4") == "true" or not here or not subnet:
            continue
        if options.get("com.docker.network.bridge.gateway_mode_ipv4") == "isolated":
            continue
        held = [a for a in here.addresses if ":" not in a]
        if not any(ipaddress.IPv4Address(a.split("/")[0]) in net(subnet) for a in held):
            gateway = next((g for g in network.gateways if ":" not in g), "") or str(net(subnet)[1])
            found.append((network, f"{gateway}/{subnet.partition('/')[2]}"))
    return tuple(found)


@check(
    "network.bridge-address",
    title="Every bridge holds its network's gateway address",
    severity=Severity.ERROR,
    docs=BRIDGE,
    upstream=("network.bridge", "network.managed-interfaces"),
)
def bridge_address(networks: Networks, routes: Routes) -> Finding:
    """
    The bridge's address is the containers' gateway, and the host's route to them.

    Why it matters: containers start, and reach nothing; the host does not reach them either.
    How to fix: give the address back, and find out who took it: a DHCP client, a network manager, a script.
    """
    if why := networks.not_here:
        return skipped(why)
    bare = addressless(networks, routes)
    if not bare:
        return passed("bridges hold their addresses")
    return failed(
        f"{', '.join(f'{n.bridge} (network {n.name})' for n, _ in bare)} lacks {', '.join(a for _, a in bare)}",
        *(Evidence(f"ip address show {n.bridge}", f"no address of {ipv4(n)}") for n, _ in bare),
        cause="The containers' gateway address was taken from the bridge: by `ip address flush`, a DHCP client or a "
        "network manager.",
        fix=[
            command
            for n, address in bare
            for command in (f"ip address add {address} brd + dev {n.bridge}", f"ip link set {n.bridge} up")
        ],
    )


ADDRESSED = ("network.bridge", "network.bridge-address", "network.links-up", "network.managed-interfaces")


@check(
    "network.bridge-route",
    title="The host knows the way to every Docker network",
    severity=Severity.ERROR,
    docs=BRIDGE,
    upstream=(*ADDRESSED, "network.subnet-overlap"),
)
def bridge_route(networks: Networks, routes: Routes) -> Finding:
    """
    The kernel adds the route with the bridge's address; a VPN's script or `ip route flush` takes it away.

    Why it matters: what is for containers leaves by the default route, and nothing ever comes back to them.
    How to fix: add the route again.
    """
    if why := networks.not_here:
        return skipped(why)
    up = {i.name: i for i in routes.interfaces if i.up}
    unaddressed = {n.bridge for n, _ in addressless(networks, routes)}
    lost = []
    for network in networks.bridges:
        subnet, link = ipv4(network), up.get(network.bridge)
        options = dict(network.options)
        own = options.get("com.docker.network.bridge.inhibit_ipv4") == "true"
        own = own or options.get("com.docker.network.bridge.gateway_mode_ipv4") == "isolated"
        if not subnet or not link or own or network.bridge in unaddressed:
            continue
        there = [net(r.destination) for r in routes.routes if r.device == network.bridge]
        if not any(net(subnet).overlaps(to) for to in there):
            held = next((a.split("/")[0] for a in link.addresses if ":" not in a), "")
            lost.append((network, subnet, f" src {held}" if held else ""))
    if not lost:
        return passed("every bridge has its route")
    # Another interface has the way there.
    taken = any(net(r.destination) == net(s) for _, s, _ in lost for r in routes.routes)
    return failed(
        f"no route leads to {', '.join(f'{s} (network {n.name}, {n.bridge})' for n, s, _ in lost)}",
        *(Evidence("ip route show table all", f"nothing for {s} on {n.bridge}") for n, s, _ in lost),
        cause="The route to this Docker network was deleted or replaced, by a VPN's script, `ip route flush` or a wrong "
        "prefix on the bridge; the host sends what is for containers elsewhere.",
        fix=[f"ip route replace {s} dev {n.bridge}{source}" for n, s, source in lost],
        because=(*ADDRESSED, *(("network.subnet-overlap",) if taken else ())),
    )


# -- packet sizes


@check(
    "network.mtu",
    title="Packets of full size reach the gateway from containers, or their sender is told",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/engine/network/drivers/bridge/#options",
    upstream=("network.egress",),
)
def mtu(
    inside: Inside, routes: Routes, networks: Networks, firewall: Firewall | None, config: DaemonJson | None
) -> Finding:
    """
    Docker's bridges have an MTU of 1500 whatever the uplink's is; a VPN, a tunnel or a cloud may carry less.

    A sender of too large packets is told so by ICMP ("fragmentation needed", RFC 1191). Where that is filtered, large
    packets vanish without a word.

    Why it matters: connections open, small answers arrive, and downloads, TLS and git hang for ever.
    How to fix: let ICMP pass, or give Docker's networks the uplink's MTU.
    """
    pairs = [(v, p) for v in inside.views for p in v.pings if p.payload > 56 and small(v, p.target)]
    if not pairs:
        return unknown("no gateway answers pings from containers, so sizes cannot be compared")
    uplink = routes.uplink
    limit = min((m for m in (uplink.mtu if uplink else 0, *(r.mtu for r in routes.defaults[:1])) if m), default=0)
    # A gateway that leaves large pings of the host unanswered, too, tells nothing of containers.
    lost = [(v, p) for v, p in pairs if p.outcome == "timeout" and full(inside.host, p.target)]
    sizes = "; ".join(f"{v.place} {p.payload + 28} bytes: {p.outcome}" for v, p in pairs)
    if not lost:
        return passed(f"large packets arrive or are answered with their limit ({sizes})")
    if firewall and clamped(firewall):
        return passed("large packets vanish, but TCP is clamped to the path (TCPMSS)", Evidence("pings", sizes))
    view, ping = lost[0]
    culprits = icmp_filters(firewall, routes) if firewall and view.mtu > limit else ()
    network = default_bridge(networks)
    path = config.path if config else "/etc/docker/daemon.json"
    narrow = (
        f'# in {path}, set the MTU of the default bridge: "mtu": {limit}',
        "# then: systemctl restart docker",
        f"# user networks have their own: docker network create --opt com.docker.network.driver.mtu={limit} NAME (in Compose: driver_opts)",
    )
    clamp = "iptables -t mangle -I FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu"
    return failed(
        f"packets of {ping.payload + 28} bytes to {ping.target} vanish from the {view.place}; small ones arrive",
        Evidence(f"ping -s 56, DF, {ping.target}, from the {view.place}", "ok"),
        Evidence(f"ping -s {ping.payload}, DF, {ping.target}, from the {view.place}", "no answer and no ICMP"),
        *((Evidence(f"ip link show {uplink.name}", f"mtu {limit}"),) if uplink else ()),
        *((Evidence(f"ip link show {network.bridge}", f"mtu {view.mtu} in the container"),) if network else ()),
        *(Evidence(label, text) for label, text, _ in culprits),
        cause=f"Containers send packets of {view.mtu} bytes, the uplink carries {limit}, and the ICMP message that would "
        + (f"tell them is dropped by this host: {culprits[0][1]}." if culprits else "tell them does not arrive."),
        fix=(
            *(delete for _, _, delete in culprits),
            *(narrow if not culprits else (f"# or give Docker's networks the uplink's MTU, {limit}",)),
            *(() if culprits else (clamp,)),
        ),
        impact="" if culprits else "TCP adapts at once; other protocols need the MTU, and with it a restart",
    )


def small(view: View, target: str) -> bool:
    """Whether a small packet was answered."""
    return any(p.target == target and p.payload == 56 and p.outcome == "ok" for p in view.pings)


def full(view: View, target: str) -> bool:
    """Whether a packet of full size was answered."""
    return any(p.target == target and p.payload > 56 and p.outcome == "ok" for p in view.pings)


def clamped(firewall: Firewall) -> bool:
    """Whether TCP connections learn the path's size from a rule."""
    return any(r.target == "TCPMSS" for c in firewall.chains for r in c.rules) or any(
        "tcp option maxseg" in r.text for c in firewall.chains for r in c.rules
    )


def icmp_filters(firewall: Firewall, routes: Routes) -> tuple[tuple[str, str, str], ...]:
    """Rules that keep this host from telling senders about too large packets: (where, rule, how to delete it)."""
    found = []
    for hook in ("output", "postrouting"):
        told = Packet("", "docker0", "icmp", 0, routes.source, "", "RELATED", False, icmp="3/4")
        found += [(d.chain.label, d.text, d.delete) for d in drops(firewall, hook, told) if d.certain]
    return tuple(found)

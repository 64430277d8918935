"""How answers of nameservers are read: what every check on DNS has in common."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

from dockerdoctor.checks.reach import manages_iptables
from dockerdoctor.examine import unknown
from dockerdoctor.facts.daemon_json import DaemonJson, StartFlags
from dockerdoctor.facts.dns import FALLBACK, HostDns, HostResolver
from dockerdoctor.facts.inside import BRIDGE, Inside, View
from dockerdoctor.facts.registry import Registries
from dockerdoctor.facts.routes import Routes
from dockerdoctor.host import DnsAnswer
from dockerdoctor.model import Evidence, Finding

DAEMON_DNS = "https://docs.docker.com/engine/daemon/troubleshoot/#specify-dns-servers-for-docker"
CONTAINER_DNS = "https://docs.docker.com/engine/network/#dns-services"
FIX_DNS = "doctor fix-dns --write"
# What keeps packets of any kind in a container; a nameserver beyond the host cannot be reached past these.
NO_CONNECTION: tuple[str, ...] = (
    "network.ip-forward",
    "network.bridge",
    "network.bridge-address",
    "network.managed-interfaces",
    "network.subnet-overlap",
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
    "network.policy-routing",
    "network.egress",
)
# What a firewall leaves of a question: silence, or the ICMP error that REJECT sends (iptables-extensions(8)).
STOPPED = frozenset({"timeout", "ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH", "EACCES", "EPERM"})
# What leaves containers without a nameserver that answers them.
NO_SERVER: tuple[str, ...] = (
    "dns.resolv-conf",
    "dns.resolv-conf-lines",
    "dns.host-resolves",
    "dns.loopback-in-daemon-json",
    "dns.ipv6-only",
    "dns.redirected",
    "dns.udp-blocked",
    "dns.input-firewall",
    "dns.forward-firewall",
    "dns.server-dead",
    "dns.not-applied",
    "dns.loopback-fallback",
)


def works(answers: Iterable[DnsAnswer]) -> bool:
    """Whether a server did its work for any name; that a name does not exist is an answer too."""
    return any(a.ok for a in answers)


def silent(answers: Iterable[DnsAnswer]) -> bool:
    """Whether nothing that speaks DNS answered any of the questions."""
    return all(a.silent for a in answers)


def stopped(answers: Iterable[DnsAnswer]) -> bool:
    """Whether none of the questions came back with anything but what a firewall says."""
    outcomes = {a.outcome for a in answers}
    return bool(outcomes) and outcomes <= STOPPED


def connected(answers: Iterable[DnsAnswer]) -> bool:
    """Whether the server's port was reached over TCP, whatever it said then."""
    return any(a.ok or not a.silent or a.outcome == "closed" or a.outcome.startswith("malformed") for a in answers)


def outcome(answers: Iterable[DnsAnswer]) -> str:
    """Put what a server said over one transport into a word or two."""
    return "/".join(dict.fromkeys(a.outcome for a in answers)) or "not asked"


def seen(answers: Iterable[DnsAnswer], place: str) -> Evidence:
    """Show what one server said over one transport in one place."""
    answers = tuple(answers)
    first = answers[0]
    return Evidence(f"A {first.name} @{first.server} {first.transport}, from the {place}", outcome(answers))


def both(view: View | HostDns, server: str) -> tuple[DnsAnswer, ...]:
    """What a server said over UDP and TCP."""
    return (*view.said(server, "udp"), *view.said(server, "tcp"))


def beyond(view: View, server: str) -> bool:
    """Whether a container has no IPv6 to reach a server by: Docker then gives it others, or asks from the host."""
    outcomes = {a.outcome for a in both(view, server)}
    if "%" in server:  # link-local: the zone is one of the host's interfaces, which no container has
        return not works(both(view, server))
    return ":" in server and not outcomes - {"ENETUNREACH", "EADDRNOTAVAIL", "EAFNOSUPPORT"}


def matrix(server: str, host: HostDns | None, inside: Inside) -> tuple[Evidence, ...]:
    """One server, asked from the host and from both kinds of network over both transports."""
    lines = []
    for place, view in (("host", host), *((v.place, v) for v in inside.views)):
        for transport in ("udp", "tcp"):
            said = view.said(server, transport) if view else ()
            if said:
                lines.append(seen(said, place))
    return tuple(lines)


def given(config: DaemonJson | None, resolver: HostResolver | None) -> tuple[tuple[str, ...], str]:
    """The nameservers that a new container is given, and where they come from."""
    if config and config.dns:
        in_file = isinstance((config.settings or {}).get("dns"), list)
        return config.dns, config.path if in_file else "dockerd --dns"
    if resolver and resolver.for_containers:
        return resolver.for_containers, resolver.given.path
    return FALLBACK, "Docker's fallback"


@dataclass(frozen=True, slots=True)
class Replacement:
    """How the nameservers of containers are replaced."""

    fix: tuple[str, ...] = (FIX_DNS,)
    impact: str = "restarts dockerd"


def replacement(config: DaemonJson | None, start: StartFlags | None) -> Replacement:
    """Give the commands: fix-dns does it, but what a flag says must go first, since dockerd would not start with both."""
    flags = [f for f in start.flags if f.name == "--dns"] if start else []
    if not flags or (config and "dns" in (config.settings or {})):
        return Replacement()
    edits, by_hand = [], []
    for flag in flags:
        path = flag.source.rpartition(" in ")[2]
        if flag.line and path.startswith("/etc/"):
            edits.append(f"sed -i -E '{flag.line}s/ *--dns[= ]+{re.escape(flag.value)}//' {path}")
        else:
            by_hand.append(f"# take --dns {flag.value} out of {flag.source}")
    restart = ("systemctl daemon-reload", "systemctl reset-failed docker.service", "systemctl restart docker.service")
    return Replacement((*edits, *by_hand, *(restart if start and start.unit else ("# restart dockerd",)), FIX_DNS))


def line_of(config: DaemonJson, key: str) -> str:
    """Where a key stands: "/etc/docker/daemon.json:3"."""
    for number, line in enumerate(config.text.splitlines(), 1):
        if f'"{key}"' in line:
            return f"{config.path}:{number}"
    return config.path


def shown_dns(config: DaemonJson, source: str) -> Evidence:
    """The nameservers that a file or a flag gives containers, as evidence."""
    if source == config.path:
        return Evidence(line_of(config, "dns"), f'"dns": {json.dumps(config.dns)}')
    return Evidence(source, ", ".join(config.dns))


def judged(inside: Inside, config: DaemonJson | None) -> tuple[View, ...]:
    """Places whose silence counts: rules made by hand cover the networks that their maker knows, and not the doctor's."""
    return inside.views if manages_iptables(config) else tuple(v for v in inside.views if v.place == BRIDGE)


def dark(inside: Inside) -> Finding | None:
    """Say so when no probe container could be asked: silence from nowhere is no verdict."""
    if inside.views:
        return None
    return unknown(f"no probe container could be asked: {inside.bridge.error}")


def nameless(
    resolver: HostResolver | None, dns: HostDns | None, routes: Routes | None, registries: Registries | None
) -> str:
    """Why nobody on this host needs a nameserver, where none answers it: it is cut off, or goes through a proxy."""
    if not resolver or not dns or any(works(both(dns, s)) for s in resolver.etc.nameservers or ("127.0.0.1",)):
        return ""
    if routes and not routes.leaves:
        return "this host has no way out to ask for: no default route"
    proxied = registries.all if registries else ()
    if proxied and all(r.asked.via and r.serves for r in proxied):
        return f"none is needed: images come through {proxied[0].asked.via}, which resolves names itself"
    return ""

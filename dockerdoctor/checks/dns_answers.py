"""How answers of nameservers are read: what every check on DNS has in common."""

from __future__ import annotations

from collections.abc import Iterable

from dockerdoctor.checks.reach import manages_iptables
from dockerdoctor.examine import unknown
from dockerdoctor.facts.daemon_json import DaemonJson
from dockerdoctor.facts.dns import FALLBACK, HostDns, HostResolver
from dockerdoctor.facts.inside import BRIDGE, Inside, View
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
    "network.egress",
)


def works(answers: Iterable[DnsAnswer]) -> bool:
    """Whether a server did its work for any name; that a name does not exist is an answer too."""
    return any(a.ok for a in answers)


def silent(answers: Iterable[DnsAnswer]) -> bool:
    """Whether nothing that speaks DNS answered any of the questions."""
    return all(a.silent for a in answers)


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


def line_of(config: DaemonJson, key: str) -> str:
    """Where a key stands: "/etc/docker/daemon.json:3"."""
    for number, line in enumerate(config.text.splitlines(), 1):
        if f'"{key}"' in line:
            return f"{config.path}:{number}"
    return config.path


def judged(inside: Inside, config: DaemonJson | None) -> tuple[View, ...]:
    """Places whose silence counts: rules made by hand cover the networks that their maker knows, and not the doctor's."""
    return inside.views if manages_iptables(config) else tuple(v for v in inside.views if v.place == BRIDGE)


def dark(inside: Inside) -> Finding | None:
    """Say so when no probe container could be asked: silence from nowhere is no verdict."""
    if inside.views:
        return None
    return unknown(f"no probe container could be asked: {inside.bridge.error}")

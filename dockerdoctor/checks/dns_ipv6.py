"""Nameservers that are reached over IPv6 alone, and containers that have none."""

from __future__ import annotations

from dockerdoctor.checks.dns_answers import (
    DAEMON_DNS,
    NO_CONNECTION,
    beyond,
    both,
    dark,
    given,
    matrix,
    nameless,
    replacement,
    seen,
    shown_dns,
    works,
)
from dockerdoctor.examine import check, failed, passed, skipped
from dockerdoctor.facts.daemon_json import DaemonJson, StartFlags
from dockerdoctor.facts.dns import HostDns, HostResolver, is_loopback
from dockerdoctor.facts.inside import Inside
from dockerdoctor.facts.registry import Registries
from dockerdoctor.facts.routes import Routes
from dockerdoctor.model import Evidence, Finding, Severity

OR_IPV6 = (
    "# or, where no nameserver has an IPv4 address, give containers IPv6: "
    '"ipv6": true and "fixed-cidr-v6": "fd00:d0c::/64" in daemon.json'
)


@check(
    "dns.ipv6-only",
    title="Containers are given a nameserver of an address family that they have",
    severity=Severity.ERROR,
    docs=DAEMON_DNS,
    upstream=NO_CONNECTION,
)
def ipv6_only(
    inside: Inside,
    host: HostDns,
    resolver: HostResolver | None,
    config: DaemonJson | None,
    routes: Routes | None,
    registries: Registries | None,
    start: StartFlags | None,
) -> Finding:
    """
    Docker's networks have no IPv6 unless they are told to; a nameserver with an IPv6 address is out of their reach.

    Docker takes such servers of the host's out of a container's resolv.conf, and puts 8.8.8.8 and 8.8.4.4 there where none
    is left (libnetwork, resolvconf.go); those of daemon.json it leaves in.
    Why it matters: the host resolves through IPv6 as its router announced it, and no container resolves anything.
    How to fix: give containers a nameserver with an IPv4 address, or IPv6.
    """
    if unasked := dark(inside):
        return unasked
    servers, source = given(config, resolver)
    usable = [s for s in servers if not is_loopback(s)]
    if not usable or any(":" not in s for s in usable):
        return skipped("nameservers with IPv4 addresses are among those for containers")
    configured = config is not None and bool(config.dns)
    if not configured and not any(works(both(host, s)) for s in usable):
        return skipped(f"{', '.join(usable)} does not answer the host either")
    sick = [v for v in inside.views if not works(a for s in v.nameservers for a in both(v, s))]
    if not sick or not all(beyond(v, s) for v in sick for s in usable):
        return passed(f"{', '.join(usable)} ({source}): containers have a nameserver that answers")
    if reason := nameless(resolver, host, routes, registries):
        return skipped(f"{', '.join(usable)} is out of containers' reach, and {reason}")
    got = tuple(dict.fromkeys(s for v in sick for s in v.nameservers))
    instead = [s for s in got if s not in usable and not is_loopback(s)]
    repair = replacement(config, start)
    return failed(
        f"the nameservers for containers, {', '.join(usable)} ({source}), are reached over IPv6 alone, which containers "
        f"do not have" + (f"; what they get instead, {', '.join(instead)}, does not answer" if instead else ""),
        shown_dns(config, source) if configured and config else Evidence(source, f"nameserver {', '.join(usable)}"),
        *(Evidence(f"/etc/resolv.conf on the {v.place}", f"nameserver {', '.join(v.nameservers)}") for v in sick),
        *(line for s in usable for line in matrix(s, host, inside)),
        *(seen(v.said(s, "udp"), v.place) for v in sick for s in v.nameservers if s not in usable and v.said(s, "udp")),
        cause="Docker's networks have no IPv6 here, so that a nameserver with an IPv6 address cannot be asked from them.",
        fix=(*repair.fix, OR_IPV6),
        impact=repair.impact,
        because=() if configured else None,
    )

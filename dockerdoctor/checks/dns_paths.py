"""What lies between containers and a nameserver that answers the host."""

from __future__ import annotations

from dockerdoctor.checks.dns_answers import (
    CONTAINER_DNS,
    FIX_DNS,
    NO_CONNECTION,
    beyond,
    both,
    connected,
    dark,
    given,
    judged,
    matrix,
    stopped,
    works,
)
from dockerdoctor.checks.dns_rules import FIREWALLS, admitted, blockers, named, shown, taken_away
from dockerdoctor.examine import check, failed, passed, skipped
from dockerdoctor.facts.containers import Networks
from dockerdoctor.facts.daemon_json import DaemonJson
from dockerdoctor.facts.dns import HostDns, HostResolver, is_loopback
from dockerdoctor.facts.firewall import Firewall, Moved
from dockerdoctor.facts.inside import Inside, View
from dockerdoctor.facts.routes import Routes
from dockerdoctor.model import Evidence, Finding, Severity


def _well_without(view: View, server: str, servers: tuple[str, ...]) -> bool:
    """Whether containers there have a server that answers before it is this one's turn, or are not given it at all."""
    before = servers[: servers.index(server)] if server in servers else servers
    return any(works(view.said(s, "udp")) for s in before)


@check(
    "dns.udp-blocked",
    title="UDP reaches nameservers where TCP does",
    severity=Severity.ERROR,
    docs=CONTAINER_DNS,
    upstream=("dns.redirected",),
)
def udp_blocked(
    inside: Inside,
    host: HostDns | None,
    routes: Routes,
    firewall: Firewall | None,
    networks: Networks | None,
    moved: Moved | None,
    resolver: HostResolver | None,
    config: DaemonJson | None,
) -> Finding:
    """
    Names are asked for over UDP first; a firewall may drop it and let TCP to the same server pass.

    Why it matters: look-ups time out although the server is there; `dig +tcp` works and misleads.
    How to fix: let UDP to port 53 pass.
    """
    if unasked := dark(inside):
        return unasked
    servers, source = given(config, resolver)
    for v in inside.views:
        for server in dict.fromkeys(a.server for a in v.dns):
            udp, tcp = v.said(server, "udp"), v.said(server, "tcp")
            host_udp = host is not None and works(host.said(server))
            if not (stopped(udp) and connected(tcp) and (works(tcp) or host_udp)) or _well_without(v, server, servers):
                continue  # or nothing shows that this is a nameserver at all
            found = blockers(v, server, ("udp",), routes, firewall, networks, moved)
            where = (
                "on the way from containers" if host_udp else "on the way from this host, or it listens on TCP alone"
            )
            chosen = config is not None and server in config.dns and not host_udp and not found
            return failed(
                f"{server} can be reached from the {v.place} over TCP but not over UDP{named(found)}",
                *matrix(server, host, inside),
                *([Evidence(source, ", ".join(servers))] if server in servers else []),
                *shown(found),
                cause=f"UDP to port 53 is dropped or rejected {where}; TCP to the same server passes.",
                fix=(FIX_DNS,) if chosen else taken_away(found),
                impact="restarts dockerd" if chosen else "",
            )
    return passed("no nameserver can be reached over TCP alone")


@check(
    "dns.input-firewall",
    title="Containers reach a nameserver that runs on this host",
    severity=Severity.ERROR,
    docs=FIREWALLS,
    upstream=("dns.redirected", "dns.udp-blocked"),
)
def input_firewall(
    inside: Inside,
    host: HostDns,
    routes: Routes,
    firewall: Firewall | None,
    networks: Networks | None,
    moved: Moved | None,
) -> Finding:
    """
    A resolver on the host itself is asked through the INPUT chain, where many firewalls admit only what they know.

    Why it matters: the host resolves, containers time out, and Docker's own rules all look right.
    How to fix: admit port 53 from Docker's bridges.
    """
    if unasked := dark(inside):
        return unasked
    own = [s for s in dict.fromkeys(a.server for v in inside.views for a in v.dns) if routes.owns(s)]
    if not own:
        return skipped("no nameserver of containers runs on this host")
    for server in own:
        for v in inside.views:
            first = v.nameservers[0] if v.nameservers else server
            if first != server and not is_loopback(first) and works(both(v, first)):
                continue  # it is asked only where the first one fails
            if not (works(both(host, server)) and stopped(both(v, server))) or beyond(v, server):
                continue
            found = blockers(v, server, ("udp", "tcp"), routes, firewall, networks, moved)
            return failed(
                f"{server}, a resolver on this host, answers the host but not the {v.place}{named(found)}",
                *matrix(server, host, inside),
                *shown(found),
                cause="The host's firewall drops or rejects what containers send to the host itself (hook input)"
                + (
                    "."
                    if found or not firewall
                    else ", or the resolver answers its own network alone (dnsmasq: local-service): no rule of this host's was seen to do it."
                ),
                fix=(
                    *admitted(found),
                    "# and in the configuration of your firewall, so that it lasts; with ufw: ufw allow in on docker0 to any port 53",
                ),
            )
    return passed(f"{', '.join(own)} answers containers")


@check(
    "dns.forward-firewall",
    title="Questions from containers reach the nameservers that answer the host",
    severity=Severity.ERROR,
    docs=FIREWALLS,
    upstream=("dns.redirected", "dns.udp-blocked", *NO_CONNECTION),
)
def forward_firewall(
    inside: Inside,
    host: HostDns,
    routes: Routes,
    resolver: HostResolver | None,
    config: DaemonJson | None,
    firewall: Firewall | None,
    networks: Networks | None,
    moved: Moved | None,
) -> Finding:
    """
    A resolver beyond the host is asked through the FORWARD chain.

    Why it matters: the host resolves with the very server that containers cannot reach.
    How to fix: let port 53 from Docker's bridges pass.
    """
    if unasked := dark(inside):
        return unasked
    servers, _ = given(config, resolver)
    far = [s for s in servers if not routes.owns(s) and works(both(host, s))]
    if not far:
        return skipped("no nameserver beyond this host answers it")
    for v in judged(inside, config):
        asked = [s for s in far if both(v, s) and not beyond(v, s)]
        # Translated, a container's packets look as the host's own: nobody beyond the host turns away just them.
        blocked = [s for s in asked if stopped(both(v, s))]
        if not asked or blocked != asked:
            continue
        found = blockers(v, blocked[0], ("udp", "tcp"), routes, firewall, networks, moved)
        return failed(
            f"{blocked[0]} answers the host but not the {v.place}{named(found)}",
            *matrix(blocked[0], host, inside),
            *shown(found),
            cause="Something between Docker's bridge and the nameserver drops or rejects the questions (hook forward).",
            fix=taken_away(found),
        )
    return passed(f"{', '.join(far)} answers containers as it answers the host")

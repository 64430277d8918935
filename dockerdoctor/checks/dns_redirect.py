"""Rules that lead containers' questions to another nameserver than the one that they ask."""

from __future__ import annotations

from dockerdoctor.checks.dns_answers import CONTAINER_DNS, dark, given, matrix, outcome, works
from dockerdoctor.checks.firewall import SOME_BRIDGE
from dockerdoctor.checks.reach import default_bridge, somebody
from dockerdoctor.examine import check, failed, passed, skipped
from dockerdoctor.facts.containers import Networks
from dockerdoctor.facts.daemon_json import DaemonJson
from dockerdoctor.facts.dns import HostDns, HostResolver, is_loopback
from dockerdoctor.facts.firewall import Drop, Firewall, Packet, met
from dockerdoctor.facts.inside import BRIDGE, Inside
from dockerdoctor.facts.routes import Routes
from dockerdoctor.model import Evidence, Finding, Severity


def redirections(server: str, bridge: str, source: str, routes: Routes, firewall: Firewall) -> tuple[Drop, ...]:
    """The rules that give questions from a bridge to a server another destination; Docker's own serve published ports."""
    local = routes.owns(server)
    return tuple(
        dict.fromkeys(
            Drop(chain, rule, certain=True, path=(base.name,))
            for protocol in ("udp", "tcp")
            for base in firewall.base("prerouting")
            for chain, rule, match in met(firewall, base, Packet(bridge, "", protocol, 53, source, server, local=local))
            if match and rule.verdict in {"DNAT", "REDIRECT"} and not chain.dockers
        )
    )


@check(
    "dns.redirected",
    title="Questions of containers are led to no nameserver that does not answer",
    severity=Severity.ERROR,
    docs=CONTAINER_DNS,
)
def redirected(
    inside: Inside,
    host: HostDns,
    routes: Routes,
    firewall: Firewall,
    networks: Networks | None,
    resolver: HostResolver | None,
    config: DaemonJson | None,
) -> Finding:
    """
    A filter for advertisements, a VPN client or a captive portal turns port 53 to a resolver of its own, by DNAT.

    Why it matters: when that resolver is gone, containers get no answer from servers that answer the host, whichever they
    are told to ask; the host's own questions do not pass that rule.
    How to fix: start that resolver again, or take the rule away.
    """
    if unasked := dark(inside):
        return unasked
    servers, _ = given(config, resolver)
    found: list[Drop] = []
    for v in inside.views:
        network = default_bridge(networks) if networks and v.place == BRIDGE else None
        bridge, source = (network.bridge, somebody(network)) if network else (SOME_BRIDGE, "")
        for server in (s for s in servers if not is_loopback(s) and v.said(s, "udp")):
            rules = redirections(server, bridge, source, routes, firewall)
            found += rules
            said = v.said(server, "udp")
            if not rules or works(said) or not works(host.said(server)):
                continue
            return failed(
                f"questions of the {v.place} to {server} are led elsewhere, where the answer is “{outcome(said)}”: {rules[0].text}",
                *(Evidence(rule.chain.label, rule.text) for rule in rules),
                *matrix(server, host, inside),
                cause="The rule gives the questions another destination, and no nameserver answers there; the host's own "
                "questions do not pass it.",
                fix=(
                    "# start the resolver that the rule leads to, if it is wanted; else:",
                    *(rule.delete for rule in rules),
                    "# and out of the configuration of whatever wrote it, or it returns",
                ),
            )
    if not found:
        return skipped("no rule leads containers' questions elsewhere")
    return passed(f"{found[0].text} leads containers' questions elsewhere, and they are answered")

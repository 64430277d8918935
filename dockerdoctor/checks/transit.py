"""What happens to packets of containers on their way through this host, where no filter drops them."""

from __future__ import annotations

import re

from dockerdoctor.checks.reach import bridge_cut_off, default_bridge, outbound, show, targets
from dockerdoctor.examine import check, failed, passed, skipped
from dockerdoctor.facts.containers import Networks
from dockerdoctor.facts.dns import HostDns
from dockerdoctor.facts.firewall import FORWARDING_HOOKS, Drop, Firewall, met
from dockerdoctor.facts.inside import Inside
from dockerdoctor.facts.routes import Routes
from dockerdoctor.facts.ruleset import Chain, Rule
from dockerdoctor.facts.ways import Ways
from dockerdoctor.model import Evidence, Finding, Severity

# A router takes one off, and forwards nothing that has none left (RFC 1812, 5.3.1).
SHORT = re.compile(r"--ttl-set [01]\b|--ttl-dec ([3-9]\d|\d{3})|ip ttl set [01]$")


def shortening(firewall: Firewall, networks: Networks, routes: Routes) -> tuple[tuple[Chain, Rule], ...]:
    """Rules that let a container's packets die on their way."""
    network, uplink = default_bridge(networks), routes.uplink
    if not network or not uplink:
        return ()
    way = outbound(network, uplink.name)
    return tuple(
        (chain, rule)
        for hook in FORWARDING_HOOKS
        for base in firewall.base(hook)
        for chain, rule, _ in met(firewall, base, way)
        if SHORT.search(rule.text)
    )


@check(
    "network.time-to-live",
    title="Packets of containers live long enough to be forwarded",
    severity=Severity.ERROR,
    docs="https://manpages.debian.org/iptables-extensions.8#TTL",
)
def time_to_live(
    firewall: Firewall, networks: Networks, routes: Routes, inside: Inside | None, dns: HostDns | None
) -> Finding:
    """
    A rule may set the hops that a packet has left (TTL): against tethering, or to keep something from leaving.

    Why it matters: no rule drops anything, and yet nothing of a container's gets beyond this host.
    How to fix: take the rule away, or let it spare Docker's bridges.
    """
    if networks.elsewhere:
        return skipped(networks.elsewhere)
    if not bridge_cut_off(inside, dns, routes) or not inside:
        return passed("containers reach what the host reaches")
    found = shortening(firewall, networks, routes)
    if not found:
        return passed("no rule shortens the life of containers' packets")
    chain, rule = found[0]
    return failed(
        f"{chain.label} leaves packets of containers no hop to go: {rule.text}",
        *(Evidence(c.label, r.text) for c, r in found),
        *show(targets(inside.bridge, inside, dns, routes), "default bridge"),
        cause="A rule sets the time to live of containers' packets so low that the next router, this host perhaps, "
        "throws them away.",
        fix=(
            *dict.fromkeys(Drop(c, r, certain=True, path=(c.name,)).delete for c, r in found),
            "# and correct what wrote it, or it returns",
        ),
    )


@check(
    "network.ipsec",
    title="No IPsec policy takes hold of what containers send",
    severity=Severity.ERROR,
    docs="https://man7.org/linux/man-pages/man8/ip-xfrm.8.html",
    upstream=("network.bridge", "network.bridge-address", "network.links-up"),
)
def ipsec(ways: Ways, networks: Networks, routes: Routes, inside: Inside | None, dns: HostDns | None) -> Finding:
    """
    An IPsec tunnel (strongSwan, Libreswan) claims ranges of addresses; Docker's may lie in one of them.

    Packets of containers are matched before they get the host's address, so that a policy may catch them and not the host's.

    Why it matters: containers have no network, while routes and firewall rules all look right.
    How to fix: leave Docker's ranges out of the tunnel's (traffic selectors), or let them pass.
    """
    if networks.elsewhere:
        return skipped(networks.elsewhere)
    if not bridge_cut_off(inside, dns, routes) or not inside:
        return passed("containers reach what the host reaches")
    if not ways.policies:
        return passed("no IPsec policy is for packets of containers")
    one = ways.policies[0]
    what = "refuses" if one.action == "block" else "encrypts"
    return failed(
        f"an IPsec policy {what} what containers send: {one.said}",
        *(Evidence("ip xfrm policy show", p.said) for p in ways.policies),
        *show(targets(inside.bridge, inside, dns, routes), "default bridge"),
        cause="A tunnel's policy covers the addresses of containers, and their packets get lost in it.",
        fix=(
            *(f"ip xfrm policy delete src {p.source} dst {p.destination} dir {p.direction}" for p in ways.policies),
            "# for good: leave Docker's ranges out of the tunnel's (strongSwan: local_ts, or a connection of type pass)",
        ),
        impact="what the tunnel was to carry for containers leaves unencrypted",
    )

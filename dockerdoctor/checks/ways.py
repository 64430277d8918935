"""Routing of containers' packets where it differs from the host's own: policy rules, and answers that are refused."""

from __future__ import annotations

from dockerdoctor.checks.network import sysctl_name
from dockerdoctor.checks.reach import bridge_cut_off, show, targets
from dockerdoctor.examine import check, failed, passed, skipped
from dockerdoctor.facts.containers import Networks
from dockerdoctor.facts.dns import HostDns
from dockerdoctor.facts.firewall import Firewall
from dockerdoctor.facts.forwarding import Forwarding
from dockerdoctor.facts.inside import Inside
from dockerdoctor.facts.routes import Routes
from dockerdoctor.facts.ways import Hop, Way, Ways
from dockerdoctor.model import Evidence, Finding, Severity

LINKS = ("network.bridge", "network.bridge-address", "network.bridge-route", "network.links-up")
MARKS = frozenset({"MARK", "CONNMARK", "mangle"})


def taken(ways: Ways, firewall: Firewall | None) -> tuple[Way, ...]:
    """The ways that packets take, or may take: marks count where a rule sets them."""
    marking = [r.text for c in firewall.chains for r in c.rules if r.target in MARKS] if firewall else []
    return tuple(w for w in ways.all if not w.mark or any(w.mark in text or r_sets(text) for text in marking))


def r_sets(text: str) -> bool:
    """Whether a rule of nft's sets a mark; its value is not told in the rule's text."""
    return "mangle" in text.split()


def seen(*hops: Hop | None) -> tuple[Evidence, ...]:
    """What the kernel said."""
    return tuple(dict.fromkeys(Evidence(h.asked, h.said) for h in hops if h))


def refusing(way: Way, kernel: Forwarding) -> str:
    """The interface that refuses packets for having come in there; empty where none does."""
    if way.out.crossed(strict=way.bridge in kernel.strict):
        return way.bridge
    return way.out.device if way.back and way.back.crossed(strict=way.out.device in kernel.strict) else ""


@check(
    "network.rp-filter",
    title="What comes back to containers is accepted where it comes in",
    severity=Severity.ERROR,
    docs="https://docs.kernel.org/networking/ip-sysctl.html",
    upstream=(*LINKS, "network.subnet-overlap"),
)
def rp_filter(
    ways: Ways,
    kernel: Forwarding,
    networks: Networks,
    routes: Routes,
    firewall: Firewall | None,
    inside: Inside | None,
    dns: HostDns | None,
) -> Finding:
    """
    With rp_filter 1 the kernel drops a packet whose answer would leave by another interface (RFC 3704, strict).

    Policy routing by marks sends containers' packets through a VPN or a second uplink; what comes back has no mark.

    Why it matters: containers have no way out, or published ports no answer, while the host's own traffic is well.
    How to fix: set rp_filter to 2 there, which asks only that some way back exists.
    """
    if networks.elsewhere:
        return skipped(networks.elsewhere)
    if not bridge_cut_off(inside, dns, routes) or not inside:
        return passed("containers get answers")
    refused = [(w, d) for w in taken(ways, firewall) if (d := refusing(w, kernel))]
    if not refused or not ways.refused:
        return passed("the kernel refused nothing for the interface it came in by")
    way, device = refused[0]
    key = sysctl_name(device, "rp_filter")
    return failed(
        f"{device} refuses what comes back from {way.target}: rp_filter is 1, and the way there is another",
        *seen(way.out, way.back, way.host),
        Evidence("/proc/net/netstat", f"IPReversePathFilter: {ways.refused} packets dropped meanwhile"),
        Evidence(f"/proc/sys/net/ipv4/conf/{device}/rp_filter", "1" if device in kernel.strict else "unknown"),
        *(Evidence("ip rule show", rule) for rule in ways.rules),
        *show(targets(inside.bridge, inside, dns, routes), "default bridge"),
        cause=f"Packets of containers leave by {device}, and by the routing rules for what comes back they should not have: "
        "the kernel takes the answers for forged ones and drops them.",
        fix=(
            f"sysctl -w {key}=2",
            f"printf '{key} = 2\\n' | tee /etc/sysctl.d/90-rp-filter.conf",
        ),
    )


@check(
    "network.policy-routing",
    title="Packets of containers are routed as the host's own are",
    severity=Severity.ERROR,
    docs="https://man7.org/linux/man-pages/man8/ip-rule.8.html",
    upstream=(*LINKS, "network.subnet-overlap", "network.rp-filter"),
)
def policy_routing(
    ways: Ways,
    networks: Networks,
    routes: Routes,
    firewall: Firewall | None,
    inside: Inside | None,
    dns: HostDns | None,
) -> Finding:
    """
    Routing rules (`ip rule`) may send what comes from containers, or what is for them, another way than the host's own.

    Why it matters: the host has its network; containers' packets end in a table without a route, or in a dead tunnel.
    How to fix: spare Docker's networks from the rule, or repair the way it sends them.
    """
    if networks.elsewhere:
        return skipped(networks.elsewhere)
    if not bridge_cut_off(inside, dns, routes) or not inside:
        return passed("containers reach what the host reaches")
    away = [w for w in taken(ways, firewall) if elsewhere(w)]
    if not away or not ways.rules:
        return passed("containers' packets take the way of the host's own")
    way = away[0]
    subnet = next(s for n in networks.bridges if n.bridge == way.bridge for s in n.subnets if ":" not in s)
    first = min((int(r.split(":")[0]) for r in ways.rules), default=1)
    number = max(first - 2, 1)
    if way.out.error:
        what = f"have no way to {way.target}: {way.out.error}"
    elif way.out.device != way.host.device:
        what = f"to {way.target} leave by {way.out.device}, the host's own by {way.host.device}"
    else:
        what = f"never get what comes back from {way.target}: it goes to {way.back.said if way.back else 'nobody'}"
    return failed(
        f"packets of containers {what}",
        *seen(way.out, way.back, way.host),
        *(Evidence("ip rule show", rule) for rule in ways.rules),
        *show(targets(inside.bridge, inside, dns, routes), "default bridge"),
        cause="A routing rule, of a VPN or a script, sends packets of containers where they get lost.",
        fix=(
            f"ip rule add from {subnet} lookup main priority {number}",
            f"ip rule add to {subnet} lookup main priority {number}",
            "# these last until the next boot; for good, correct what makes the rule, or the way that it chooses",
        ),
        impact="containers leave by the host's default route, not by the one that the rule chose",
    )


def elsewhere(way: Way) -> bool:
    """Whether a container's packets go nowhere, or another way than the host's, or do not come back to it."""
    if way.out.error:
        return True
    astray = way.back is not None and way.back.device not in {way.bridge, ""}
    return way.out.device != way.host.device or astray

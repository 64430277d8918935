"""Docker's own resolver at 127.0.0.11, between it and the containers on user-defined networks."""

from __future__ import annotations

import shlex

from dockerdoctor.checks.dns_answers import CONTAINER_DNS, outcome, works
from dockerdoctor.examine import check, failed, passed, skipped, unknown
from dockerdoctor.facts.dns import EMBEDDED, EmbeddedResolvers
from dockerdoctor.facts.embedded import Obstacle, Obstacles
from dockerdoctor.facts.firewall import Drop
from dockerdoctor.facts.inside import USER, Inside
from dockerdoctor.model import Evidence, Finding, Severity
from dockerdoctor.web import HUB


def _elsewhere(inside: Inside | None) -> tuple[Evidence, ...]:
    """How a new container fares, as evidence."""
    said = inside.user.said(EMBEDDED, "udp") if inside else ()
    return (Evidence(f"A {HUB} @{EMBEDDED}, from a new container, {USER}", outcome(said)),) if works(said) else ()


def _asked(sick: list[Obstacle]) -> tuple[Evidence, ...]:
    return tuple(Evidence(f"A {HUB} @{EMBEDDED}, from {o.container}", o.outcome) for o in sick)


@check(
    "dns.embedded-redirect",
    title="In containers, port 53 of 127.0.0.11 leads to Docker's resolver",
    severity=Severity.ERROR,
    docs=CONTAINER_DNS,
)
def embedded_redirect(obstacles: Obstacles, embedded: EmbeddedResolvers, inside: Inside | None) -> Finding:
    """
    Docker's resolver listens on a high port in a container's network, and DNAT rules there lead port 53 to it.

    Why it matters: a firewall script that is run in the container's network, or a VPN client in a privileged container,
    flushes the nat table, and with it these rules: names of other containers and of the world are gone, while every
    other container is well.
    How to fix: start the container again, so that Docker writes the rules again; keep the script from flushing "nat".
    """
    if not embedded.answers:
        return skipped("no container runs on a user-defined network")
    sick = [o for o in obstacles.all if not o.redirected and not o.dropped_by and o.outcome == "ECONNREFUSED"]
    if not sick:
        return passed(f"{EMBEDDED} is reached in {len(embedded.answers)} containers")
    names = [o.container for o in sick]
    if all(o.redirected is None for o in sick):
        return unknown(
            f"{EMBEDDED} refuses questions in {', '.join(names)}, and the rules there could not be read",
            *_asked(sick),
            how="# install iptables",
        )
    here = f"iptables -t nat, in the network of {', '.join(names)}"
    return failed(
        f"{EMBEDDED} refuses questions in {', '.join(names)}: the rules that lead port 53 to Docker's resolver are gone",
        Evidence(here, f"no rule “-d {EMBEDDED}/32 … --dport 53 -j DNAT”"),
        *_asked(sick),
        *(
            Evidence(f"127.0.0.11 in /proc/PID/net/udp of {o.container}", "the resolver listens")
            for o in sick
            if o.listens
        ),
        *_elsewhere(inside),
        cause="Docker writes these rules into the container's own network when it starts; something in there has flushed "
        "them since: a firewall script, a VPN client, “nft flush ruleset”.",
        fix=(
            f"docker restart {' '.join(map(shlex.quote, names))}",
            "# and where it comes back: keep what runs in there from flushing the nat table (iptables -t nat -F)",
        ),
        impact="the container stops for a moment",
    )


@check(
    "dns.container-firewall",
    title="No container's own firewall keeps it from Docker's resolver",
    severity=Severity.ERROR,
    docs=CONTAINER_DNS,
)
def container_firewall(obstacles: Obstacles, embedded: EmbeddedResolvers, inside: Inside | None) -> Finding:
    """
    A container with CAP_NET_ADMIN may have rules of its own; a kill switch that drops all but the tunnel drops lo too.

    Why it matters: nothing resolves in it, nor in those that share its network, and the host's rules all look right.
    How to fix: let packets to 127.0.0.11 pass in there.
    """
    if not embedded.answers:
        return skipped("no container runs on a user-defined network")
    sick = [o for o in obstacles.all if o.dropped_by]
    if not sick:
        return passed(f"{EMBEDDED} is reached in {len(embedded.answers)} containers")
    names = ", ".join(o.container for o in sick)
    rules = tuple((o, o.dropped_by) for o in sick if o.dropped_by)
    return failed(
        f"the own firewall of {names} drops its questions to {EMBEDDED}: {rules[0][1].text}",
        *(Evidence(f"{rule.chain.label}, in the network of {o.container}", rule.text) for o, rule in rules),
        *_asked(sick),
        *_elsewhere(inside),
        cause="Docker's resolver is reached over the container's own loopback, which its firewall does not let pass.",
        fix=(
            *(command for o, rule in rules for command in _admitted(o.container, rule)),
            f"# and in what sets up the firewall of {names}, before its last rule",
        ),
    )


def _admitted(container: str, rule: Drop) -> tuple[str, ...]:
    """Commands that let the container's loopback pass, in its own network, by the host's programs."""
    enter = f"nsenter --net --target $(docker inspect --format '{{{{.State.Pid}}}}' {shlex.quote(container)})"
    if rule.chain.backend == "nftables":
        base = f"{rule.chain.family} {rule.chain.table} {rule.path[0]}"
        device = "oifname" if rule.chain.hook != "input" else "iifname"
        return (f"{enter} nft insert rule {base} {device} lo accept",)
    return tuple(
        f"{enter} {rule.chain.backend} -I {chain} {way} lo -j ACCEPT"
        for chain, way in (("OUTPUT", "-o"), ("INPUT", "-i"))
    )

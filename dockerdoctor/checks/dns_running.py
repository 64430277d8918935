"""Name resolution in containers that run already: they keep what they were started with."""

from __future__ import annotations

from dockerdoctor.checks.dns_answers import CONTAINER_DNS, NO_CONNECTION, NO_SERVER, both, dark, matrix, outcome, works
from dockerdoctor.examine import check, failed, passed, skipped, unknown
from dockerdoctor.facts.dns import EMBEDDED, ContainerResolvers, EmbeddedResolvers, HostDns
from dockerdoctor.facts.inside import USER, Inside
from dockerdoctor.model import Evidence, Finding, Severity
from dockerdoctor.web import HUB


@check(
    "dns.stale-container",
    title="Running containers have nameservers that still answer",
    severity=Severity.ERROR,
    docs=CONTAINER_DNS,
    upstream=(*NO_SERVER, *NO_CONNECTION),
)
def stale_container(
    running: ContainerResolvers, inside: Inside, host: HostDns | None, embedded: EmbeddedResolvers | None
) -> Finding:
    """
    A container keeps the nameservers it was started with, whatever the host's are by now (moby/moby#42752).

    Why it matters: after a VPN, a new network or a changed daemon.json, old containers no longer resolve, new ones do.
    How to fix: restart the container.
    """
    if unasked := dark(inside):
        return unasked
    if not running.all:
        return skipped("no container runs")
    # Those with servers of their own are judged by these (`dns.container-own`).
    named = {c.container for c in running.all if c.follows}
    asked = [c for c in running.all if not c.follows and any(both(v, s) for v in inside.views for s in c.servers)]
    # On a user-defined network the engine asks for the container, and may reach what no container does; so may a tunnel.
    said = (*embedded.answers, *embedded.own) if embedded else ()
    heard = {name for name, outcome in said if outcome in {"NOERROR", "NXDOMAIN"}}
    sick = [
        (c, c.servers)
        for c in asked
        if c.container not in heard and not any(works(both(v, s)) for v in inside.views for s in c.servers)
    ]
    deaf = tuple((name, said) for name, said in deaf_resolvers(embedded, inside) if name not in named)
    if deaf:
        names = ", ".join(name for name, _ in deaf)
        return failed(
            f"the resolver of {names} gets no answers any more, while that of a new container does",
            *(Evidence(f"A {HUB} @{EMBEDDED}, from {name}", outcome) for name, outcome in deaf),
            *(Evidence(f"A {HUB} @{EMBEDDED}, from the {USER}", outcome(inside.user.said(EMBEDDED, "udp"))),),
            cause="Docker's embedded resolver keeps the servers that were in force when the container was started.",
            fix=(f"docker restart {' '.join(name for name, _ in deaf)}",),
            impact="the container stops for a moment",
        )
    if not sick:
        if running.unread:
            return unknown(f"the resolv.conf of {running.unread} containers cannot be read", how="# run as root")
        return passed(f"the nameservers of {len(asked)} running containers answer")
    names = ", ".join(c.container for c, _ in sick)
    return failed(
        f"{names} {'asks' if len(sick) == 1 else 'ask'} {', '.join(dict.fromkeys(s for _, ss in sick for s in ss))}, which no longer answers",
        *(Evidence(f"/etc/resolv.conf in {c.container}", ", ".join(servers)) for c, servers in sick),
        *(line for s in dict.fromkeys(s for _, ss in sick for s in ss) for line in matrix(s, host, inside)),
        cause="The container was started when other nameservers were in force, or something in it has rewritten its "
        "/etc/resolv.conf since; it keeps that until it is started again.",
        fix=(f"docker restart {' '.join(c.container for c, _ in sick)}",),
        impact="the container stops for a moment",
        # Servers that a new container would get as well have not grown old: what ails them is judged above.
        because=None if all(set(servers) <= set(inside.bridge.nameservers) for _, servers in sick) else (),
    )


def deaf_resolvers(embedded: EmbeddedResolvers | None, inside: Inside) -> tuple[tuple[str, str], ...]:
    """Containers whose embedded resolver fails where a new container's does not."""
    if not embedded or not works(inside.user.said(EMBEDDED, "udp")):
        return ()
    return tuple((name, said) for name, said in embedded.answers if said in {"timeout", "SERVFAIL", "REFUSED"})

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
    How to fix: restart the container; recreate it when it was started with --dns.
    """
    if unasked := dark(inside):
        return unasked
    if not running.all:
        return skipped("no container runs")
    asked = [c for c in running.all if any(both(v, s) for v in inside.views for s in (*c.own, *c.servers))]
    sick = []
    # On a user-defined network the engine asks for the container, and may reach what no container does.
    heard = {name for name, said in embedded.answers if said in {"NOERROR", "NXDOMAIN"}} if embedded else set()
    for c in (c for c in asked if c.container not in heard):
        servers = tuple(dict.fromkeys((*c.own, *c.servers)))
        if not any(works(both(v, s)) for v in inside.views for s in servers):
            sick.append((c, servers))
    deaf = deaf_resolvers(embedded, inside)
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
    restart = [c.container for c, _ in sick if not c.own]
    recreate = [c.container for c, _ in sick if c.own]
    return failed(
        f"{names} {'asks' if len(sick) == 1 else 'ask'} {', '.join(dict.fromkeys(s for _, ss in sick for s in ss))}, which no longer answers",
        *(Evidence(f"/etc/resolv.conf in {c.container}", ", ".join(servers)) for c, servers in sick),
        *(line for s in dict.fromkeys(s for _, ss in sick for s in ss) for line in matrix(s, host, inside)),
        cause="The container was started when other nameservers were in force, and keeps them until it is started again.",
        fix=(
            *((f"docker restart {' '.join(restart)}",) if restart else ()),
            *(f"# {name} was started with --dns: create it again with a server that answers" for name in recreate),
        ),
        impact="the container stops for a moment" if restart else "",
        # Servers that a new container would get as well have not grown old: what ails them is judged above.
        because=None if all(set(servers) <= set(inside.bridge.nameservers) for _, servers in sick) else (),
    )


def deaf_resolvers(embedded: EmbeddedResolvers | None, inside: Inside) -> tuple[tuple[str, str], ...]:
    """Containers whose embedded resolver fails where a new container's does not."""
    if not embedded or not works(inside.user.said(EMBEDDED, "udp")):
        return ()
    return tuple((name, said) for name, said in embedded.answers if said in {"timeout", "SERVFAIL", "REFUSED"})

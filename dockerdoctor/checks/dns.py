"""Name resolution in containers and on the host."""

from __future__ import annotations

import ipaddress
import json

from dockerdoctor.checks.dns_answers import (
    CONTAINER_DNS,
    DAEMON_DNS,
    FIX_DNS,
    NO_CONNECTION,
    both,
    dark,
    given,
    judged,
    line_of,
    matrix,
    outcome,
    seen,
    silent,
    works,
)
from dockerdoctor.examine import check, failed, passed, skipped, unknown
from dockerdoctor.facts.containers import Networks
from dockerdoctor.facts.daemon_json import DaemonJson
from dockerdoctor.facts.dns import EMBEDDED, ContainerResolvers, EmbeddedResolvers, HostDns, HostResolver, is_loopback
from dockerdoctor.facts.inside import USER, Inside
from dockerdoctor.model import Evidence, Finding, Severity
from dockerdoctor.web import HUB


@check(
    "dns.resolv-conf",
    title="The host's /etc/resolv.conf leads to nameservers",
    severity=Severity.ERROR,
    docs="https://man7.org/linux/man-pages/man5/resolv.conf.5.html",
)
def resolv_conf(resolver: HostResolver, dns: HostDns) -> Finding:
    """
    Docker reads the host's /etc/resolv.conf for its own lookups and copies it into containers.

    Why it matters: without a nameserver in it, the daemon asks 127.0.0.1 for registries and containers get a public
    resolver that many networks block.
    How to fix: restore the link to the running resolver's file, or write a nameserver into it.
    """
    etc = resolver.etc
    where = Evidence(etc.path, f"link to {etc.link}: {etc.problem}" if etc.link else etc.problem or "ok")
    if not etc.problem:
        return passed(f"{etc.path} names {', '.join(etc.nameservers)}", where)
    if etc.problem == "EACCES":
        return unknown(f"{etc.path} cannot be read", where, how="# run as root")
    if works(both(dns, "127.0.0.1")):
        return passed(f"{etc.path} names no server, and the one on 127.0.0.1 that this means answers", where)
    if resolver.resolved.nameservers:
        fix = ["ln -sf ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf", "systemctl restart docker"]
    else:
        fix = [
            "# put your network's nameserver in place of the address; `ip route` shows the gateway, which often is one",
            f"# rm -f {etc.path}; echo 'nameserver ADDRESS' > {etc.path}; systemctl restart docker",
        ]
    words = {
        "missing": "does not exist",
        "empty": "names no nameserver",
        "dangling link": f"is a link to {etc.link}, which does not exist",
    }
    state = words.get(etc.problem, f"cannot be read ({etc.problem})")
    return failed(
        f"{etc.path} {state}",
        where,
        cause="The host has no resolver configuration, so the daemon cannot look registries up, and containers get "
        "Docker's public fallback servers instead of your network's.",
        fix=fix,
        impact="restarts dockerd",
    )


@check(
    "dns.host-resolves",
    title="The host's own nameservers answer",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/engine/daemon/troubleshoot/",
    upstream=("dns.resolv-conf", "network.subnet-overlap"),
)
def host_resolves(resolver: HostResolver, dns: HostDns, networks: Networks | None) -> Finding:
    """
    The daemon pulls images with the host's resolver; "dns" in daemon.json is for containers only.

    Why it matters: pulls and builds fail with "lookup … i/o timeout", "server misbehaving" or "no such host".
    How to fix: give the host a nameserver that answers.
    """
    servers = resolver.etc.nameservers or ("127.0.0.1",)
    lines = tuple(seen(said, "host") for s in servers for t in ("udp", "tcp") if (said := dns.said(s, t)))
    if any(works(both(dns, s)) for s in servers):
        return passed(f"{', '.join(servers)} answer" + ("s" if len(servers) == 1 else ""), *lines)
    heard = [a for s in servers for a in both(dns, s)]
    if silent(heard):
        cause = "No nameserver of the host answers: the server is down, its address is wrong, or the network drops the questions."
    else:
        cause = (
            f"The host's nameserver is there but does not resolve: it says {outcome(a for a in heard if not a.silent)}."
        )
    return failed(
        f"the host cannot resolve names: {', '.join(f'{s} {outcome(dns.said(s))}' for s in servers)}",
        *lines,
        cause=cause + " The daemon looks up registries with it, and “dns” in daemon.json does not change that.",
        fix=(f"# write a nameserver that answers into {resolver.etc.path}, or repair the one it names",),
        because=None if networks and any(swallowed(s, networks) for s in servers) else ("dns.resolv-conf",),
    )


def swallowed(server: str, networks: Networks) -> bool:
    """Whether a Docker network claims a nameserver's address, so that questions to it never leave the host."""
    try:
        address = ipaddress.ip_address(server)
        return any(address in ipaddress.ip_network(subnet) for n in networks.bridges for subnet in n.subnets)
    except ValueError:
        return False


@check(
    "dns.loopback-in-daemon-json",
    title="Containers are not told to ask themselves for names",
    severity=Severity.ERROR,
    docs=DAEMON_DNS,
)
def loopback_in_daemon_json(config: DaemonJson, inside: Inside | None) -> Finding:
    """
    A container has a loopback of its own: 127.0.0.53 in there is not the host's resolver.

    Why it matters: every look-up in a container is refused, though daemon.json passes every check of dockerd's.
    How to fix: name an address that containers can reach.
    """
    loopback = [s for s in config.dns if is_loopback(s)]
    if not config.dns:
        return skipped("no nameservers are configured for containers")
    if not loopback:
        return passed(f"{', '.join(config.dns)}: none of them a loopback address")
    where = Evidence(line_of(config, "dns"), f'"dns": {json.dumps(config.dns)}')
    others = [s for s in config.dns if not is_loopback(s)]
    if others and inside and any(works(both(v, s)) for v in inside.views for s in others):
        return passed(
            f"{', '.join(loopback)} cannot be reached from containers, but {', '.join(others)} answers", where
        )
    refused = [seen(v.said(s, "udp"), v.place) for s in loopback if inside for v in inside.views if v.said(s, "udp")]
    return failed(
        f"daemon.json gives containers the nameserver {', '.join(loopback)}, which is each container's own loopback",
        where,
        *refused,
        cause="127.0.0.0/8 inside a container is the container itself, where no resolver listens.",
        fix=(FIX_DNS,),
        automatic=True,
        impact="restarts dockerd",
    )


@check(
    "dns.server-dead",
    title="The nameservers that containers are given answer",
    severity=Severity.ERROR,
    docs=DAEMON_DNS,
    upstream=("dns.resolv-conf", "dns.host-resolves", *NO_CONNECTION),
)
def server_dead(inside: Inside, host: HostDns, resolver: HostResolver | None, config: DaemonJson | None) -> Finding:
    """
    Nameservers retire, move and refuse; what daemon.json says stays.

    Why it matters: nothing in a container resolves, while the host is well.
    How to fix: give containers servers that answer.
    """
    if unasked := dark(inside):
        return unasked
    servers, source = given(config, resolver)
    usable = [s for s in servers if not is_loopback(s)]
    if source == "Docker's fallback" or not usable:
        return skipped("containers are given no nameserver of this host's configuration")
    if any(works(both(v, s)) for v in inside.views for s in usable):
        return passed(f"containers are given {', '.join(servers)} ({source})")
    if any(works(both(host, s)) and _unreached(inside, s) for s in usable):
        return skipped("a nameserver of theirs answers the host: what keeps containers from it is judged elsewhere")
    words = ", ".join(f"{s} {_words(inside, s)}" for s in usable)
    configured = config is not None and bool(config.dns)
    lines = [line for s in usable for line in matrix(s, host, inside)]
    if configured and config:
        lines.insert(0, Evidence(line_of(config, "dns"), f'"dns": {json.dumps(config.dns)}'))
    return failed(
        f"containers are given nameservers that do not resolve: {words} ({source})",
        *lines,
        cause="Every nameserver that containers are given is dead or refuses them.",
        fix=(FIX_DNS,),
        automatic=True,
        impact="restarts dockerd",
        # The host's trouble explains this one only where containers are given the host's own servers.
        because=NO_CONNECTION if configured else None,
    )


def _unreached(inside: Inside, server: str) -> bool:
    return all(silent(both(v, server)) for v in inside.views)


def _words(inside: Inside, server: str) -> str:
    said = [a for v in inside.views for a in v.said(server, "udp")]
    words = {"timeout": "does not answer", "ECONNREFUSED": "is not a nameserver (port 53 refused)"}
    return words.get(outcome(said), f"says {outcome(said)}")


@check(
    "dns.loopback-fallback",
    title="Where the host's resolver is its own loopback, containers have one that works",
    severity=Severity.ERROR,
    docs=DAEMON_DNS,
    upstream=("dns.resolv-conf", *NO_CONNECTION),
)
def loopback_fallback(inside: Inside, resolver: HostResolver, config: DaemonJson | None) -> Finding:
    """
    Docker drops loopback nameservers, and gives containers 8.8.8.8 and 8.8.4.4 when none is left.

    Why it matters: networks that block public resolvers leave containers without names, while the host, with its
    local dnsmasq or unbound, resolves everything.
    How to fix: give containers the server behind the local resolver.
    """
    if unasked := dark(inside):
        return unasked
    if config and config.dns:
        return skipped(f"{config.path} says which nameservers containers get")
    if resolver.for_containers:
        return passed(f"{resolver.given.path} offers {', '.join(resolver.for_containers)}")
    if not inside.bridge.asked:
        return unknown(f"nothing could be asked from the default bridge: {inside.bridge.error}")
    where = Evidence(resolver.given.path, f"nameserver {', '.join(resolver.given.nameservers) or '(none)'}")
    got = Evidence("/etc/resolv.conf in a container", f"nameserver {', '.join(inside.bridge.nameservers) or '(none)'}")
    if any(works(both(inside.bridge, s)) for s in inside.bridge.nameservers):
        return passed(f"containers get {', '.join(inside.bridge.nameservers)} instead, which answers", where, got)
    return failed(
        f"{resolver.given.path} has only loopback nameservers, and Docker's fallback "
        f"{', '.join(inside.bridge.nameservers) or '(none)'} does not answer containers",
        where,
        got,
        *(line for s in inside.bridge.nameservers for line in matrix(s, None, inside)),
        cause="The host resolves through a program on its loopback, which containers cannot reach; the public servers "
        "that Docker hands out instead are blocked here.",
        fix=(FIX_DNS,),
        automatic=True,
        impact="restarts dockerd",
    )


@check(
    "dns.first-server-slow",
    title="The first nameserver that containers ask answers",
    severity=Severity.ERROR,
    docs=DAEMON_DNS,
    upstream=("dns.input-firewall", "dns.forward-firewall", *NO_CONNECTION),
)
def first_server_slow(
    inside: Inside, host: HostDns | None, resolver: HostResolver | None, config: DaemonJson | None
) -> Finding:
    """
    Resolvers ask the first server and wait five seconds before they try the second (resolv.conf(5), `timeout`).

    Why it matters: everything works, and every look-up takes seconds: builds crawl, health checks time out.
    How to fix: put a server that answers first.
    """
    if unasked := dark(inside):
        return unasked
    servers, source = given(config, resolver)
    if len(servers) < 2:
        return skipped("containers are given a single nameserver")
    first = servers[0]
    for v in inside.views:
        alive = [s for s in servers[1:] if works(both(v, s))]
        said = v.said(first, "udp")
        if said and all(a.outcome == "timeout" for a in said) and not works(both(v, first)) and alive:
            lookups = [
                Evidence(f"getaddrinfo {x.name}, from the {v.place}", f"{x.outcome} after {x.seconds:.1f} s")
                for x in v.lookups
            ]
            return failed(
                f"the first nameserver of containers, {first}, does not answer; each look-up waits for it before {alive[0]} is asked",
                Evidence(line_of(config, "dns") if config and config.dns else source, ", ".join(servers)),
                *matrix(first, host, inside),
                *lookups,
                cause="A resolver waits five seconds for the first server before it asks the next.",
                fix=(FIX_DNS,),
                automatic=True,
                impact="restarts dockerd",
            )
    return passed(f"{first} answers containers first")


@check(
    "dns.stale-container",
    title="Running containers have nameservers that still answer",
    severity=Severity.ERROR,
    docs=CONTAINER_DNS,
    upstream=(
        "dns.host-resolves",
        "dns.loopback-in-daemon-json",
        "dns.server-dead",
        "dns.loopback-fallback",
        "dns.udp-blocked",
        "dns.input-firewall",
        "dns.forward-firewall",
        *NO_CONNECTION,
    ),
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


@check(
    "dns.containers-resolve",
    title="Containers resolve names",
    severity=Severity.ERROR,
    docs=CONTAINER_DNS,
    upstream=(
        "dns.resolv-conf",
        "dns.host-resolves",
        "dns.loopback-in-daemon-json",
        "dns.udp-blocked",
        "dns.input-firewall",
        "dns.forward-firewall",
        "dns.server-dead",
        "dns.loopback-fallback",
        "dns.first-server-slow",
        *NO_CONNECTION,
    ),
)
def containers_resolve(inside: Inside, config: DaemonJson | None) -> Finding:
    """
    The proof: a program in a new container asks for a name, on the default bridge and on a user-defined network.

    Why it matters: the two networks resolve along different ways, and a build needs the first while Compose uses the
    second.
    How to fix: see what explains it.
    """
    if unasked := dark(inside):
        return unasked
    sick = [v for v in judged(inside, config) if not works(a for s in v.nameservers for a in both(v, s))]
    lines = [seen(v.said(s, "udp"), v.place) for v in inside.views for s in v.nameservers if v.said(s, "udp")] + [
        Evidence(f"getaddrinfo {x.name}, from the {v.place}", f"{x.outcome} after {x.seconds:.1f} s")
        for v in sick
        for x in v.lookups
    ]
    if not sick:
        return passed(f"names resolve on the {' and the '.join(v.place for v in inside.views)}", *lines)
    return failed(
        f"names do not resolve on the {' and the '.join(v.place for v in sick)}",
        *lines,
        cause="The nameservers that these containers were given did not answer, and nothing that was measured says why.",
        fix=("doctor check --all",),
    )

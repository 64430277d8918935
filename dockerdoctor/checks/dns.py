"""The nameservers that new containers are given."""

from __future__ import annotations

from collections.abc import Iterable

from dockerdoctor.checks.dns_answers import (
    CONTAINER_DNS,
    DAEMON_DNS,
    FIX_DNS,
    NO_CONNECTION,
    NO_SERVER,
    beyond,
    both,
    dark,
    given,
    judged,
    line_of,
    matrix,
    nameless,
    outcome,
    replacement,
    seen,
    shown_dns,
    silent,
    stopped,
    works,
)
from dockerdoctor.examine import check, failed, passed, skipped, unknown
from dockerdoctor.facts.daemon_json import DaemonJson, StartFlags
from dockerdoctor.facts.dns import HostDns, HostResolver, is_loopback
from dockerdoctor.facts.inside import Inside, kept_waiting
from dockerdoctor.facts.registry import Registries
from dockerdoctor.facts.routes import Routes
from dockerdoctor.model import Evidence, Finding, Severity


@check(
    "dns.loopback-in-daemon-json",
    title="Containers are not told to ask themselves for names",
    severity=Severity.ERROR,
    docs=DAEMON_DNS,
)
def loopback_in_daemon_json(config: DaemonJson, inside: Inside | None, start: StartFlags | None) -> Finding:
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
    _, source = given(config, None)
    where = shown_dns(config, source)
    others = [s for s in config.dns if not is_loopback(s)]
    if others and inside and any(works(both(v, s)) for v in inside.views for s in others):
        return passed(
            f"{', '.join(loopback)} cannot be reached from containers, but {', '.join(others)} answers", where
        )
    refused = [seen(v.said(s, "udp"), v.place) for s in loopback if inside for v in inside.views if v.said(s, "udp")]
    repair = replacement(config, start)
    return failed(
        f"{source} gives containers the nameserver {', '.join(loopback)}, which is each container's own loopback",
        where,
        *refused,
        cause="127.0.0.0/8 inside a container is the container itself, where no resolver listens.",
        fix=repair.fix,
        impact=repair.impact,
    )


@check(
    "dns.server-dead",
    title="The nameservers that containers are given answer",
    severity=Severity.ERROR,
    docs=DAEMON_DNS,
    upstream=(
        "dns.resolv-conf",
        "dns.resolv-conf-lines",
        "dns.host-resolves",
        "dns.loopback-in-daemon-json",
        *NO_CONNECTION,
    ),
)
def server_dead(
    inside: Inside,
    host: HostDns,
    resolver: HostResolver | None,
    config: DaemonJson | None,
    routes: Routes | None,
    registries: Registries | None,
    start: StartFlags | None,
) -> Finding:
    """
    Nameservers retire, move and refuse; what daemon.json says stays.

    Why it matters: nothing in a container resolves, while the host is well.
    How to fix: give containers servers that answer.
    """
    if unasked := dark(inside):
        return unasked
    servers, source = given(config, resolver)
    usable = [s for s in servers if not is_loopback(s) and not all(beyond(v, s) for v in inside.views)]
    if source == "Docker's fallback" or not usable:
        return skipped("containers are given no nameserver of this host's configuration that they could reach")
    if any(works(both(v, s)) for v in inside.views for s in usable):
        return passed(f"containers are given {', '.join(servers)} ({source})")
    if any(works(both(host, s)) and _unreached(inside, s) for s in usable):
        return skipped("a nameserver of theirs answers the host: what keeps containers from it is judged elsewhere")
    if reason := nameless(resolver, host, routes, registries):
        return skipped(f"{', '.join(usable)} does not answer containers, and {reason}")
    words = ", ".join(f"{s} {_words(inside, s)}" for s in usable)
    configured = config is not None and bool(config.dns)
    lines = [line for s in usable for line in matrix(s, host, inside)]
    if configured and config:
        lines.insert(0, shown_dns(config, source))
    repair = replacement(config, start)
    when = "after the next restart of dockerd containers" if _differ(inside, usable) else "containers"
    return failed(
        f"{when} are given nameservers that do not resolve: {words} ({source})",
        *lines,
        cause="Every nameserver that containers are given is dead or refuses them.",
        fix=repair.fix,
        impact=repair.impact,
        # The host's trouble explains this one only where containers are given the host's own servers.
        because=("dns.loopback-in-daemon-json", *NO_CONNECTION) if configured else None,
    )


def _differ(inside: Inside, servers: Iterable[str]) -> bool:
    """Whether containers get quite other servers by now: dockerd has not read what names these."""
    now = inside.bridge.nameservers
    return bool(now) and not set(now) & set(servers)


@check(
    "dns.not-applied",
    title="Containers get the nameservers that are configured for them",
    severity=Severity.ERROR,
    docs=DAEMON_DNS,
    upstream=NO_CONNECTION,
)
def not_applied(
    inside: Inside, host: HostDns | None, resolver: HostResolver | None, config: DaemonJson | None
) -> Finding:
    """
    Dockerd reads "dns" when it starts, and decides then whether systemd-resolved is in use; a reload changes neither.

    Why it matters: the file is right by now, and new containers still cannot resolve names.
    How to fix: restart dockerd.
    """
    if unasked := dark(inside):
        return unasked
    servers, source = given(config, resolver)
    now = inside.bridge.nameservers
    if not _differ(inside, servers):
        return passed(f"containers are given {', '.join(servers)} ({source})")
    if works(a for s in now for a in both(inside.bridge, s)) or not any(works(both(inside.bridge, s)) for s in servers):
        return passed(f"containers are given {', '.join(now)}, and would be no better off with {', '.join(servers)}")
    return failed(
        f"new containers still get {', '.join(now)}, which does not resolve, and not {', '.join(servers)} ({source})",
        shown_dns(config, source) if config and config.dns else Evidence(source, ", ".join(servers)),
        Evidence("/etc/resolv.conf in a new container", f"nameserver {', '.join(now)}"),
        *(line for s in (*now, *servers) for line in matrix(s, host, inside)),
        cause="The configuration was changed after dockerd had started, and it reads this only then.",
        fix=("systemctl reset-failed docker.service", "systemctl restart docker.service"),
        impact="restarts dockerd",
    )


def _unreached(inside: Inside, server: str) -> bool:
    # Over UDP, as names are asked for: what it says over TCP may come another way, or fail for another reason.
    return all(silent(v.said(server, "udp")) for v in inside.views)


def _words(inside: Inside, server: str) -> str:
    said = [a for v in inside.views for a in v.said(server, "udp")]
    words = {"timeout": "does not answer", "ECONNREFUSED": "is not a nameserver (port 53 refused)"}
    return words.get(outcome(said), f"says {outcome(said)}")


@check(
    "dns.loopback-fallback",
    title="Where the host's resolver is its own loopback, containers have one that works",
    severity=Severity.ERROR,
    docs=DAEMON_DNS,
    upstream=("dns.resolv-conf", "dns.resolv-conf-lines", *NO_CONNECTION),
)
def loopback_fallback(
    inside: Inside,
    resolver: HostResolver,
    config: DaemonJson | None,
    host: HostDns | None,
    routes: Routes | None,
    registries: Registries | None,
) -> Finding:
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
    if reason := nameless(resolver, host, routes, registries):
        return skipped(f"{', '.join(inside.bridge.nameservers)} does not answer containers, and {reason}")
    return failed(
        f"{resolver.given.path} has only loopback nameservers, and Docker's fallback "
        f"{', '.join(inside.bridge.nameservers) or '(none)'} does not answer containers",
        where,
        got,
        *(line for s in inside.bridge.nameservers for line in matrix(s, None, inside)),
        cause="The host resolves through a program on its loopback, which containers cannot reach; the public servers "
        "that Docker hands out instead are blocked here.",
        fix=(FIX_DNS,),
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
    inside: Inside,
    host: HostDns | None,
    resolver: HostResolver | None,
    config: DaemonJson | None,
    start: StartFlags | None,
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
            repair = replacement(config, start)
            return failed(
                f"the first nameserver of containers, {first}, does not answer; each look-up waits for it before {alive[0]} is asked",
                Evidence(line_of(config, "dns") if config and config.dns else source, ", ".join(servers)),
                *matrix(first, host, inside),
                *lookups,
                cause="A resolver waits five seconds for the first server before it asks the next.",
                fix=repair.fix,
                impact=repair.impact,
            )
    return passed(f"{first} answers containers first")


@check(
    "dns.spare-server",
    title="The nameservers that stand behind the first one answer too",
    severity=Severity.WARNING,
    docs=DAEMON_DNS,
    upstream=("dns.first-server-slow", *NO_SERVER, *NO_CONNECTION),
)
def spare_server(
    inside: Inside, host: HostDns | None, resolver: HostResolver | None, config: DaemonJson | None
) -> Finding:
    """
    Later servers are asked when the first is silent, and on user-defined networks for each name that it does not know.

    Why it matters: the spare fails when it is needed; until then, names that do not exist take seconds to be refused.
    How to fix: take the dead server out, or put one that answers in its place.
    """
    if unasked := dark(inside):
        return unasked
    servers, source = given(config, resolver)
    spare = [s for s in servers[1:] if not is_loopback(s) and not all(beyond(v, s) for v in inside.views)]
    if not spare or not all(works(v.said(servers[0], "udp")) for v in inside.views):
        return skipped("containers are given a single nameserver that answers")
    silent_ones = [s for s in spare if all(stopped(both(v, s)) for v in inside.views)]
    if not silent_ones:
        return passed(f"{', '.join(spare)} answers containers as well")
    return failed(
        f"{', '.join(silent_ones)}, which containers ask after {servers[0]}, does not answer",
        Evidence(line_of(config, "dns") if config and config.dns else source, ", ".join(servers)),
        *(line for s in silent_ones for line in matrix(s, host, inside)),
        cause="It is down, or something keeps containers from it; the first server alone does the work.",
        fix=(f"# take {', '.join(silent_ones)} out of {source}, or put a nameserver that answers in its place",),
    )


@check(
    "dns.containers-resolve",
    title="Containers resolve names",
    severity=Severity.ERROR,
    docs=CONTAINER_DNS,
    # dockerd itself asks for user networks.
    upstream=(*NO_SERVER, "dns.first-server-slow", *NO_CONNECTION, "engine.unit-addresses"),
)
def containers_resolve(
    inside: Inside,
    config: DaemonJson | None,
    resolver: HostResolver | None,
    host: HostDns | None,
    routes: Routes | None,
    registries: Registries | None,
) -> Finding:
    """
    The proof: a program in a new container asks for a name, on the default bridge and on a user-defined network.

    Why it matters: the two networks resolve along different ways, and a build needs the first while Compose uses the
    second.
    How to fix: see what explains it.
    """
    if unasked := dark(inside):
        return unasked
    servers, _ = given(config, resolver)
    sick = [
        v
        for v in judged(inside, config)
        if not works(a for s in v.nameservers for a in both(v, s)) and not kept_waiting(v, servers)
    ]
    lines = [seen(v.said(s, "udp"), v.place) for v in inside.views for s in v.nameservers if v.said(s, "udp")] + [
        Evidence(f"getaddrinfo {x.name}, from the {v.place}", f"{x.outcome} after {x.seconds:.1f} s")
        for v in sick
        for x in v.lookups
    ]
    if not sick:
        return passed(f"names resolve on the {' and the '.join(v.place for v in inside.views)}", *lines)
    if reason := nameless(resolver, host, routes, registries):
        return skipped(f"names do not resolve in containers, and {reason}")
    return failed(
        f"names do not resolve on the {' and the '.join(v.place for v in sick)}",
        *lines,
        cause="The nameservers that these containers were given did not answer, and nothing that was measured says why.",
        fix=("doctor check --all",),
    )

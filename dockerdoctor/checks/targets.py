"""What somebody wants reached from here: whether it is, and if not, which step of the way fails."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dockerdoctor.checks.dns_answers import NO_CONNECTION, NO_SERVER
from dockerdoctor.checks.reach import NO_WAY_OUT, default_bridge, outbound, somebody
from dockerdoctor.checks.reach import Target as Wanted
from dockerdoctor.examine import check, failed, passed, skipped, unknown
from dockerdoctor.facts.containers import Networks
from dockerdoctor.facts.dns import is_loopback
from dockerdoctor.facts.endpoint import Settings
from dockerdoctor.facts.firewall import Drop, Firewall, Packet, dropped_on_the_way, drops
from dockerdoctor.facts.inside import Exchange, Inside, View
from dockerdoctor.facts.preferences import Target
from dockerdoctor.facts.registry import registry_of
from dockerdoctor.facts.routes import Routes
from dockerdoctor.facts.targets import AskedImage, AskedImages, NamedTargets, WebTargets
from dockerdoctor.model import Evidence, Finding, Severity
from dockerdoctor.web import Attempt, is_loopback_host

NETWORKING = "https://docs.docker.com/engine/network/"
HOST_DNS = ("dns.resolv-conf", "dns.resolv-conf-lines", "dns.host-firewall", "dns.host-resolves")
CONTAINER_DNS = ("dns.split-names", *NO_SERVER, "dns.first-server-slow", "dns.containers-resolve", *NO_CONNECTION)
WAYS = (*NO_WAY_OUT, "network.egress", "network.host-firewall")
NAME, ROUTE, REFUSED, SILENT, OK = "name", "route", "refused", "silent", "ok"
STEPS = {
    "ok": OK,
    "closed": OK,  # whoever hangs up was reached
    "ECONNREFUSED": REFUSED,
    "ECONNRESET": REFUSED,
    "EHOSTUNREACH": ROUTE,
    "ENETUNREACH": ROUTE,
    "EADDRNOTAVAIL": ROUTE,
    "EAFNOSUPPORT": ROUTE,
}
NO_SUCH_NAME = frozenset({"EAI_NONAME", "EAI_NODATA", "UnicodeError"})
NOBODY_ASKED = "no target was named"


@dataclass(frozen=True, slots=True)
class Way:
    """One target from one place."""

    place: str
    outcome: str
    exchange: Exchange | None = None

    @property
    def step(self) -> str:
        """The step that failed, or none."""
        named = self.outcome.startswith("EAI_") or self.outcome == "UnicodeError"
        return NAME if named else STEPS.get(self.outcome, SILENT)


@dataclass(frozen=True, slots=True)
class Case:
    """One target, from the host and from wherever containers want it."""

    target: Target
    host: Way
    inside: tuple[Way, ...]

    @property
    def worst(self) -> Way:
        """The first place of containers that does not get there; where none was asked, the host."""
        ways = self.inside or (self.host,)
        return next((w for w in ways if w.step != OK), ways[0])

    @property
    def everywhere(self) -> bool:
        """Whether the host does not get there either, so that containers are not the reason."""
        return self.host.step != OK

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """What was seen, place by place."""
        return tuple(
            Evidence(f"connect {self.target}, from the {w.place}", _seen(w)) for w in (self.host, *self.inside)
        )


def _seen(way: Way) -> str:
    at = f" ({way.exchange.address})" if way.exchange and way.exchange.address else ""
    return f"{way.outcome}{at}"


def _way(target: Target, view: View) -> Way:
    said = view.towards(target.host, target.port)
    literal = ":" in target.host or target.host.replace(".", "").isdigit()
    return Way(view.place, said.outcome if said else "timeout" if literal else "EAI_AGAIN", said)


def cases(settings: Settings, inside: Inside, named: NamedTargets | None) -> tuple[Case, ...]:
    """Put every target's answers together; a container's name is asked for where it means something."""
    found = []
    for target in settings.preferences.targets:
        own = named.of(target.host) if named else None
        views = (own,) if own else (inside.bridge, inside.user)
        # In a container its own loopback is the container itself.
        there = () if is_loopback_host(target.host) else views
        ways = tuple(_way(target, v) for v in there if v.asked)
        found.append(Case(target, _way(target, inside.host), ways))
    return tuple(found)


def unasked(settings: Settings, inside: Inside) -> Finding | None:
    """Say so where there is nothing to judge."""
    if not settings.preferences.targets:
        return skipped(NOBODY_ASKED)
    if not inside.views and not inside.host.asked:
        return unknown(f"no target could be tried: {inside.bridge.error}")
    return None


def _drops(case: Case, firewall: Firewall | None, networks: Networks | None, routes: Routes) -> tuple[Drop, ...]:
    """The rules that surely drop what a container sends to a target, and that dockerd did not write."""
    network = default_bridge(networks) if networks else None
    address = case.worst.exchange.address if case.worst.exchange else ""
    if not firewall or not network or not address or ":" in address or case.worst.step in {OK, NAME}:
        return ()
    if routes.owns(address):
        to_us = Packet(network.bridge, "", "tcp", case.target.port, somebody(network), address, local=True)
        found = tuple(drops(firewall, "input", to_us))
    else:
        uplink = routes.uplink
        way = Wanted(address, "tcp", case.target.port, answered=False, outcome="")
        found = dropped_on_the_way(firewall, outbound(network, uplink.name, way)) if uplink else ()
    return tuple({d.text: d for d in found if d.sure and not d.dockers}.values())


def _more(lost: Sequence[object]) -> str:
    return f", and {len(lost) - 1} more" if lost[1:] else ""


def _of(step: str, seen: Iterable[Case]) -> list[Case]:
    return [case for case in seen if case.worst.step == step]


def _reached(seen: Iterable[Case]) -> Finding:
    return passed(", ".join(f"{c.target}: {c.worst.outcome}" for c in seen), *(e for c in seen for e in c.evidence))


@check(
    "targets.resolve",
    title="The names of the targets resolve",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/engine/network/#dns-services",
    upstream=(*HOST_DNS, *CONTAINER_DNS),
)
def resolve(settings: Settings, inside: Inside, named: NamedTargets | None) -> Finding:
    """
    The names that were given as targets are resolved from the host and from a container on each kind of network.

    Why it matters: nothing can be connected to by a name that does not resolve.
    How to fix: correct the name, or give containers a nameserver that knows it.
    """
    if nothing := unasked(settings, inside):
        return nothing
    seen = cases(settings, inside, named)
    lost = _of(NAME, seen)
    if not lost:
        return passed(f"the names of {', '.join(str(c.target) for c in seen)} resolve")
    case = lost[0]
    word = case.host.outcome if case.host.step == NAME else case.worst.outcome
    unknown_name = word in NO_SUCH_NAME
    return failed(
        f"{case.target.host} does not resolve {'here' if case.everywhere else f'on the {case.worst.place}'} ({word}){_more(lost)}",
        *(e for c in lost for e in c.evidence),
        cause=(
            "The nameservers say that there is no such name."
            if unknown_name
            else "No nameserver gave an answer to the question for it."
        )
        + ("" if case.everywhere else " The host resolves it, containers do not."),
        fix=(
            f"getent hosts {shlex.quote(case.target.host)}",
            "# correct the name, or ask whoever keeps the nameserver for it",
        ),
        because=(() if unknown_name else HOST_DNS) if case.everywhere else CONTAINER_DNS,
    )


@check(
    "targets.firewall",
    title="No rule of this host drops what containers send to the targets",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/engine/network/packet-filtering-firewalls/",
    upstream=WAYS,
)
def firewall(
    settings: Settings,
    inside: Inside,
    routes: Routes,
    rules: Firewall | None,
    networks: Networks | None,
    named: NamedTargets | None,
) -> Finding:
    """
    Where a target does not answer containers, the rules that a packet to it meets on its way are read.

    Why it matters: connections time out, or are refused by somebody who is not the target.
    How to fix: take the rule away, or let this target pass before it.
    """
    if nothing := unasked(settings, inside):
        return nothing
    struck = [(c, d) for c in cases(settings, inside, named) for d in _drops(c, rules, networks, routes)[:1]]
    if not struck:
        return passed("no rule is in the way to them")
    case, drop = struck[0]
    return failed(
        f"{case.target} is not reached from the {case.worst.place}: {' → '.join(drop.path)} drops it: {drop.text}{_more(struck)}",
        *case.evidence,
        *(Evidence(d.chain.label, d.text) for _, d in struck),
        cause="A rule of this host's firewall drops or rejects what containers send to this target.",
        fix=(
            drop.delete,
            "# and out of the configuration of whatever wrote it, or it returns",
        ),
    )


def _unexplained(
    step: str,
    settings: Settings,
    inside: Inside,
    surroundings: tuple[Firewall | None, Networks | None, Routes | None],
    named: NamedTargets | None,
) -> Finding | list[Case]:
    """Give the targets that fail at one step, and by no rule of the firewall's; or what to say without any."""
    if nothing := unasked(settings, inside):
        return nothing
    rules, networks, routes = surroundings
    seen = cases(settings, inside, named)
    lost = [c for c in _of(step, seen) if not (routes and _drops(c, rules, networks, routes))]
    reached = [c for c in seen if c.worst.step == OK]
    return lost or (_reached(reached) if reached else skipped("no target got so far"))


@check(
    "targets.route",
    title="There is a way to the targets",
    severity=Severity.ERROR,
    docs=NETWORKING,
    upstream=WAYS,
)
def route(
    settings: Settings,
    inside: Inside,
    rules: Firewall | None,
    networks: Networks | None,
    routes: Routes | None,
    named: NamedTargets | None,
) -> Finding:
    """
    A packet to the target finds no route, or its last router nobody with that address.

    Why it matters: connections end at once with "no route to host" or "network is unreachable".
    How to fix: add the route, or correct the address.
    """
    lost = _unexplained(ROUTE, settings, inside, (rules, networks, routes), named)
    if isinstance(lost, Finding):
        return lost
    case = lost[0]
    address = case.worst.exchange.address if case.worst.exchange else case.target.host
    return failed(
        f"there is no way to {case.target} from the {case.worst.place} ({case.worst.outcome}){_more(lost)}",
        *(e for c in lost for e in c.evidence),
        cause="No route leads there, or nobody has that address on the last network of the way."
        + ("" if case.everywhere else " The host gets there, containers do not."),
        fix=(f"ip route get {shlex.quote(address)}", "# add the route that is missing, or correct the address"),
        because=() if case.everywhere else WAYS,
    )


@check(
    "targets.answer",
    title="The targets answer",
    severity=Severity.ERROR,
    docs=NETWORKING,
    upstream=WAYS,
)
def answer(
    settings: Settings,
    inside: Inside,
    rules: Firewall | None,
    networks: Networks | None,
    routes: Routes | None,
    named: NamedTargets | None,
) -> Finding:
    """
    What is sent to the target is lost: nobody answers, and nobody refuses.

    Why it matters: connections hang until they time out.
    How to fix: look for the firewall on the way, this host's, the target's, or one between.
    """
    lost = _unexplained(SILENT, settings, inside, (rules, networks, routes), named)
    if isinstance(lost, Finding):
        return lost
    case = lost[0]
    return failed(
        f"{case.target} does not answer the {case.worst.place} ({case.worst.outcome}){_more(lost)}",
        *(e for c in lost for e in c.evidence),
        cause=(
            "It does not answer the host either: it is down, or a firewall on the way or on the target drops what comes."
            if case.everywhere
            else "It answers the host and not containers: something on the way, or the target itself, drops what they send."
        ),
        fix=(
            "# see whether anything comes back while it is tried again:",
            f"# tcpdump -n -i any -c 20 tcp port {case.target.port}",
        ),
        because=() if case.everywhere else WAYS,
    )


@check(
    "targets.accept",
    title="The targets accept connections",
    severity=Severity.ERROR,
    docs=NETWORKING,
    upstream=WAYS,
)
def accept(
    settings: Settings,
    inside: Inside,
    rules: Firewall | None,
    networks: Networks | None,
    routes: Routes | None,
    named: NamedTargets | None,
) -> Finding:
    """
    The target's machine is there, and refuses: nobody listens on that port at that address.

    Why it matters: connections end at once with "connection refused".
    How to fix: start the service, have it listen on an address that others reach, or correct the port.
    """
    lost = _unexplained(REFUSED, settings, inside, (rules, networks, routes), named)
    if isinstance(lost, Finding):
        return lost
    case = lost[0]
    address = case.worst.exchange.address if case.worst.exchange else ""
    ours = routes is not None and (routes.owns(address) or is_loopback(address))
    where = "this host" if ours else "that machine"
    return failed(
        f"{case.target} refuses connections from the {case.worst.place}"
        + ("" if case.everywhere else f", and not from the host ({case.host.outcome})")
        + _more(lost),
        *(e for c in lost for e in c.evidence),
        cause=f"Nobody listens on port {case.target.port} of {where} at this address: the service is down, listens on "
        "its loopback only, or on another port; or a firewall in front of it rejects what comes.",
        fix=(
            *((f"ss -ltnp 'sport = :{case.target.port}'",) if ours else ()),
            f"# start what is to listen on port {case.target.port} of {where}, or correct the target",
        ),
        because=() if case.everywhere else WAYS,
    )


@check(
    "targets.certificate",
    title="The targets that speak TLS are trusted",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/engine/network/ca-certs/",
    upstream=("registry.clock",),
)
def certificate(settings: Settings, web: WebTargets) -> Finding:
    """
    Targets with https:// or port 443 are shaken hands with, from the host and with the CAs that it trusts.

    Why it matters: programs refuse to talk to who shows a certificate that they do not trust.
    How to fix: renew it, name the target as its certificate does, or have its authority trusted.
    """
    if not web.all:
        return skipped("no target speaks TLS" if settings.preferences.targets else NOBODY_ASKED)
    shaken = [(name, said) for name, said in web.all if said.layer in {"tls", "http"}]
    wrong = [(name, said) for name, said in shaken if not _trusted(said)]
    if not shaken:
        return skipped("no target that speaks TLS was reached")
    if not wrong:
        return passed(f"trusted: {', '.join(name for name, _ in shaken)}", *(_tls(n, s) for n, s in shaken))
    name, said = wrong[0]
    return failed(
        f"{name}: {said.words}",
        *(_tls(n, s) for n, s in wrong),
        cause="What answers there does not speak TLS."
        if said.outcome == "not TLS"
        else "Its certificate is not one that this host trusts for that name, at this time.",
        fix=(
            f"openssl s_client -connect {shlex.quote(name)} -servername {shlex.quote(name.rpartition(':')[0])} </dev/null",
            "# renew the certificate, use the name that is in it, or have containers and this host trust its authority",
        ),
    )


def _trusted(said: Attempt) -> bool:
    return said.layer == "http" or said.outcome == "ok"


def _tls(name: str, said: Attempt) -> Evidence:
    return Evidence(f"HEAD https://{name}/, from the host", said.words)


@check(
    "targets.redis",
    title="The Redis servers among the targets reply",
    severity=Severity.ERROR,
    docs="https://redis.io/docs/latest/operate/oss_and_stack/management/security/",
)
def redis(settings: Settings, inside: Inside, named: NamedTargets | None) -> Finding:
    """
    Redis targets that accept a connection are sent PING.

    Why it matters: a server that is still loading, or that takes orders from its own host only, accepts and refuses.
    How to fix: as its reply says.
    """
    if nothing := unasked(settings, inside):
        return nothing
    asked = [c for c in cases(settings, inside, named) if c.target.kind == "redis" and c.worst.step == OK]
    if not asked:
        return skipped("no Redis among the targets was reached")
    wrong = [(c, w) for c in asked for w in (*c.inside, *(() if c.inside else (c.host,))) if not _pong(w)]
    if not wrong:
        return passed(", ".join(f"{c.target}: {_reply(c.worst)}" for c in asked))
    case, way = wrong[0]
    return failed(
        f"{case.target} does not reply as Redis to the {way.place}: {_reply(way)}",
        *(Evidence(f"PING {c.target}, from the {w.place}", _reply(w)) for c, w in wrong),
        cause="It is in protected mode: without a password it talks to its own host only."
        if "-DENIED" in _reply(way)
        else "What listens there is not ready, or is no Redis.",
        fix=(
            "# on the server set a password (requirepass), or bind it to a network that only friends reach, and then:",
            "# redis-cli CONFIG SET protected-mode no",
        )
        if "-DENIED" in _reply(way)
        else (f"# look at the server's own log; and at what listens on port {case.target.port}",),
    )


def _reply(way: Way) -> str:
    return way.exchange.reply.strip()[:200] if way.exchange and way.exchange.reply else way.outcome


def _pong(way: Way) -> bool:
    """Whether it is Redis, be it one that wants a password first."""
    return _reply(way).startswith(("+PONG", "-NOAUTH", "-NOPERM", "-WRONGPASS"))


PULL_CAUSES = (
    "registry.hub",
    "registry.no-hub",
    "registry.named",
    "registry.certificate",
    "registry.plain-http",
    "registry.rate-limit",
    "registry.token-server",
    "registry.login",
    "proxy.dead",
    "dns.host-resolves",
)


@check(
    "targets.image",
    title="The images that are wanted are here, or can be pulled",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/reference/cli/docker/image/pull/",
    upstream=PULL_CAUSES,
)
def image(settings: Settings, images: AskedImages) -> Finding:
    """
    The daemon is asked for each image, and asks the registry for its manifest as a pull would; nothing is pulled.

    Why it matters: `docker run` fails where an image is neither here nor to be had.
    How to fix: correct the name, log in, or see what keeps the daemon from the registry.
    """
    if not settings.preferences.images:
        return skipped("no image was named")
    lost = [i for i in images.all if not i.present and i.pullable is False]
    dark = [i for i in images.all if not i.present and i.pullable is None]
    lines = tuple(_image_seen(i) for i in images.all)
    if not lost and dark:
        return unknown(f"{dark[0].name} is not here, and whether it can be pulled is not known: {dark[0].said}", *lines)
    if not lost:
        return passed(", ".join(f"{i.name} {'is here' if i.present else 'can be pulled'}" for i in images.all), *lines)
    one = lost[0]
    registry = registry_of(one.name)
    login = f"docker login {shlex.quote(registry)}" if registry else "docker login"
    return failed(
        f"{one.name} is not here and cannot be pulled: {one.said}{_more(lost)}",
        *lines,
        cause=_why_no_pull(one),
        fix=(login if one.denied else f"docker pull {shlex.quote(one.name)}",),
        because=() if one.denied or one.unknown else PULL_CAUSES,
    )


def _image_seen(one: AskedImage) -> Evidence:
    here = {True: "here", False: "not here", None: "not known whether it is here"}[one.present]
    there = {True: "the registry has it", False: one.said, None: one.said or "the registry was not asked"}[one.pullable]
    return Evidence(f"GET /distribution/{one.name}/json", f"{here}; {there}")


def _why_no_pull(one: AskedImage) -> str:
    if one.unknown:
        return "The registry has no such image, or not with this tag."
    if one.denied:
        return "There is no such repository, or it is given to those who are logged in alone."
    return "The daemon did not get to the registry, or not what it asked for."

"""Questions that a nameserver leaves unanswered while it answers others: IPv6 addresses, and answers too long for UDP."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dockerdoctor.checks.dns_answers import (
    CONTAINER_DNS,
    NO_SERVER,
    STOPPED,
    dark,
    given,
    matrix,
    outcome,
    works,
)
from dockerdoctor.checks.dns_options import options, set_in_daemon
from dockerdoctor.checks.dns_rules import blockers, named, shown, taken_away
from dockerdoctor.checks.rewriting import impact
from dockerdoctor.examine import check, failed, passed, skipped
from dockerdoctor.facts.containers import Networks
from dockerdoctor.facts.daemon_json import DaemonJson
from dockerdoctor.facts.dns import HostDns, HostResolver, is_loopback
from dockerdoctor.facts.engine import EngineInfo, Units
from dockerdoctor.facts.firewall import Firewall, Moved
from dockerdoctor.facts.inside import Exchange, Inside, View
from dockerdoctor.facts.names_in_use import NamesInUse
from dockerdoctor.facts.routes import Routes
from dockerdoctor.host import DnsAnswer
from dockerdoctor.model import Evidence, Finding, Severity
from dockerdoctor.web import HUB

RESOLV_CONF_MAN = "https://man7.org/linux/man-pages/man5/resolv.conf.5.html"
# glibc waits five seconds for the second of its two answers; a look-up that took less was not kept waiting.
KEPT_WAITING = 2.0  # seconds


def shown_record(answers: Iterable[DnsAnswer], place: str) -> Iterator[Evidence]:
    """What one server said of one name, over each transport."""
    for a in answers:
        what = ", ".join((*a.addresses[:3], *(("…",) if len(a.addresses) > 3 else ()))) or "no address"
        cut = ", cut short (TC)" if a.truncated else ""
        said = f"{a.outcome}: {what}{cut}" if a.outcome == "NOERROR" else a.outcome
        yield Evidence(f"{a.kind} {a.name} @{a.server} {a.transport}, from the {place}", said)


@check(
    "dns.aaaa-silent",
    title="Nameservers answer when they are asked for IPv6 addresses",
    severity=Severity.ERROR,
    docs=RESOLV_CONF_MAN,
    upstream=NO_SERVER,
)
def aaaa_silent(
    inside: Inside,
    config: DaemonJson | None,
    resolver: HostResolver | None,
    routes: Routes | None,
    firewall: Firewall | None,
    networks: Networks | None,
    moved: Moved | None,
    units: Units | None,
    info: EngineInfo | None,
) -> Finding:
    """
    A program asks for A and AAAA records at once, and waits for both answers.

    Why it matters: a server, or a firewall before it, that drops AAAA questions costs each look-up five seconds or
    more, though `dig` answers at once; a proper server says that there is no such record.
    How to fix: have the server answer, or use another; until then, tell the C library not to ask.
    """
    if unasked := dark(inside):
        return unasked
    servers, source = given(config, resolver)
    now = tuple(s for s in inside.bridge.nameservers if not is_loopback(s)) or servers
    first = now[0]
    # The same name: a resolver without a way out is silent about what it does not know, whatever the type.
    asked = [
        v
        for v in inside.views
        if v.record(first, HUB, "AAAA") and works(a for a in v.said(first, "udp") if a.name == HUB)
    ]
    if not asked:
        return skipped(f"{first} did not answer for IPv4 addresses either")
    unheard = [v for v in asked if all(a.outcome == "timeout" for a in v.record(first, HUB, "AAAA"))]
    sick = [v for v in unheard if not any(x.seconds < KEPT_WAITING for x in v.lookups)]
    if not sick:
        return passed(
            f"{first} is silent about AAAA records, and no program waits for it"
            if unheard
            else f"{first} answers for A and AAAA records"
        )
    found = blockers(sick[0], first, ("udp",), routes, firewall, networks, moved) if routes else ()
    other = next((s for s in servers[1:] + _others(inside) if s != first and _answers_both(inside, s)), "")
    written = (
        set_in_daemon(config, "dns", [other], units)
        if other
        else (
            "# (images without glibc, or with one before 2.36, need a server that answers)",
            *set_in_daemon(config, "dns-opts", [*options(config, resolver), "no-aaaa"], units),
        )
    )
    return failed(
        f"{first} ({source}) answers containers for A records and not for AAAA{named(found)}; every look-up waits for it",
        *(Evidence(f"A {HUB} @{first} udp, from the {v.place}", outcome(v.said(first, "udp"))) for v in sick),
        *(line for v in (inside.host, *asked) for line in shown_record(v.record(first, HUB, "AAAA"), v.place)),
        *(Evidence(f"getaddrinfo {HUB}, from the {v.place}", _took(v)) for v in asked),
        *shown(found),
        cause="The server, or a firewall on the way to it, drops questions for IPv6 addresses instead of answering "
        "that there are none.",
        fix=taken_away(found)
        if found
        else (f"# have {first} answer AAAA questions, were it with “no such record”; until then:", *written),
        impact="" if found else impact(info),
    )


def _answers_both(inside: Inside, server: str) -> bool:
    """Whether a server is well everywhere in containers, for both kinds of address."""
    said = [(v.said(server, "udp"), v.record(server, HUB, "AAAA")) for v in inside.views]
    return not is_loopback(server) and all(works(a) and works(aaaa) for a, aaaa in said)


def _others(inside: Inside) -> tuple[str, ...]:
    return tuple(dict.fromkeys(a.server for a in inside.bridge.dns))


def _took(view: View) -> str:
    return ", ".join(f"{x.outcome} after {x.seconds:.1f} s" for x in view.lookups) or "still without an answer"


@check(
    "dns.truncated",
    title="Answers that are too long for UDP reach containers over TCP",
    severity=Severity.ERROR,
    docs="https://www.rfc-editor.org/rfc/rfc7766",
    upstream=("dns.udp-blocked",),
)
def truncated(
    inside: Inside,
    routes: Routes,
    resolver: HostResolver | None,
    config: DaemonJson | None,
    in_use: NamesInUse | None,
    firewall: Firewall | None,
    networks: Networks | None,
    moved: Moved | None,
) -> Finding:
    """
    An answer of more than 512 bytes is cut short over UDP, and asked for again over TCP (RFC 7766).

    Why it matters: names with many addresses or long chains of aliases fail, and all others work.
    How to fix: let TCP to port 53 pass.
    """
    if unasked := dark(inside):
        return unasked
    servers, _ = given(config, resolver)
    lost = _lost(inside)
    if not lost:
        return passed("no name that was asked for has an answer that containers cannot get")
    view, udp = lost[0]
    server = udp.server if not is_loopback(udp.server) else servers[0]
    names = tuple(dict.fromkeys(a.name for _, a in lost))
    found = blockers(view, server, ("tcp",), routes, firewall, networks, moved)
    here = inside.host.record(server, udp.name)
    host_gets = len(here) > 1 and works(here[1:])
    where = "on the way from containers" if host_gets else f"by {server}, or on the way to it"
    return failed(
        f"{', '.join(names)}: the answer does not fit into UDP, and {server} does not answer containers over TCP{named(found)}",
        *(line for v in (inside.host, *inside.views) for line in shown_record(v.record(server, udp.name), v.place)),
        *(Evidence(f"{u.source} of {u.container}", u.name) for u in (in_use.all if in_use else ()) if u.name in names),
        *shown(found),
        cause=f"TCP to port 53 is dropped or refused {where}; only short answers get through.",
        fix=taken_away(found)
        if host_gets or found
        else (f"# let TCP to port 53 of {server} pass, or use another nameserver",),
    )


def _lost(inside: Inside) -> list[tuple[View, DnsAnswer]]:
    """Names whose answer a server cut short and did not give over TCP: the first server's word counts."""
    found = []
    for v in inside.views:
        for name in dict.fromkeys(a.name for a in v.records if a.kind == "A"):
            # On user-defined networks that is Docker's resolver, which newer engines ask from the host.
            said = next((r for s in v.nameservers if (r := v.record(s, name)) and r[0].ok), ())
            if said and said[0].truncated and not works(said[1:]):
                found.append((v, said[0]))
    return found


@check(
    "dns.tcp-blocked",
    title="Containers can ask nameservers over TCP, as the host can",
    severity=Severity.WARNING,
    docs=CONTAINER_DNS,
    upstream=("dns.udp-blocked",),
)
def tcp_blocked(
    inside: Inside,
    host: HostDns | None,
    routes: Routes,
    resolver: HostResolver | None,
    config: DaemonJson | None,
    firewall: Firewall | None,
    networks: Networks | None,
    moved: Moved | None,
) -> Finding:
    """
    UDP carries short answers alone; a firewall that admits only that goes unnoticed for long.

    Why it matters: the first name with many addresses fails in containers, and resolves on the host.
    How to fix: let TCP to port 53 pass.
    """
    if unasked := dark(inside):
        return unasked
    servers, _ = given(config, resolver)
    if _lost(inside):
        return skipped("a name was lost by it: judged as that")
    for server in servers:
        here = inside.host.exchange(server, 53)
        asked = [v for v in inside.views if works(v.said(server, "udp"))]
        doors = [e for v in asked if (e := v.exchange(server, 53))]
        if not (here and here.ok and doors) or any(e.outcome not in STOPPED for e in doors):
            continue
        found = blockers(asked[0], server, ("tcp",), routes, firewall, networks, moved)
        return failed(
            f"{server} answers containers over UDP and not over TCP{named(found)}: names with long answers fail",
            *matrix(server, host, inside),
            *(Evidence(f"TCP {e.target}, from the {p}", e.outcome) for p, e in _doors(inside, server)),
            *shown(found),
            cause="A firewall lets UDP to port 53 pass and not TCP, which answers of more than 512 bytes need.",
            fix=taken_away(found),
        )
    return passed("no nameserver is closed to containers over TCP alone")


def _doors(inside: Inside, server: str) -> Iterator[tuple[str, Exchange]]:
    yield from ((v.place, e) for v in (inside.host, *inside.views) if (e := v.exchange(server, 53)))

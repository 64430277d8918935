"""Names that the host resolves and containers do not, since they ask other nameservers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dockerdoctor.checks.dns_answers import CONTAINER_DNS, DAEMON_DNS, NO_SERVER, dark, given, line_of
from dockerdoctor.checks.dns_names import first_word
from dockerdoctor.checks.dns_options import search, set_in_daemon
from dockerdoctor.checks.dns_records import shown_record
from dockerdoctor.checks.rewriting import impact
from dockerdoctor.examine import check, failed, passed, skipped
from dockerdoctor.facts.containers import Containers
from dockerdoctor.facts.daemon_json import DaemonJson
from dockerdoctor.facts.dns import ContainerResolvers, HostResolver, is_loopback
from dockerdoctor.facts.engine import EngineInfo, Units
from dockerdoctor.facts.inside import Inside, View
from dockerdoctor.facts.names_in_use import NamesInUse, Use
from dockerdoctor.facts.routes import Routes
from dockerdoctor.facts.split import Routed, SplitDns
from dockerdoctor.host import DnsAnswer
from dockerdoctor.model import Evidence, Finding, Severity
from dockerdoctor.web import HUB


@check(
    "dns.split-names",
    title="Containers resolve the names that they are told to use, as the host does",
    severity=Severity.ERROR,
    docs=DAEMON_DNS,
    upstream=NO_SERVER,
)
def split_names(
    inside: Inside,
    in_use: NamesInUse,
    running: ContainerResolvers | None,
    containers: Containers | None,
    resolver: HostResolver | None,
    config: DaemonJson | None,
    split: SplitDns | None,
    routes: Routes | None,
    units: Units | None,
    info: EngineInfo | None,
) -> Finding:
    """
    A host may ask different servers for different domains; containers have one flat list, and its first word counts.

    Why it matters: public names resolve in containers, those of the company or of the VPN do not ("no such host"),
    and on the host all of them do.
    How to fix: give containers the server that knows both, first.
    """
    if unasked := dark(inside):
        return unasked
    if not in_use.all:
        return skipped("no container is told to use a name that nameservers are asked for")
    servers, source = given(config, resolver)
    lost: list[tuple[Use, DnsAnswer | None, DnsAnswer]] = []
    for use in in_use.all:
        here = first_word(inside.host, inside.host.nameservers, use.name)
        known = _elsewhere((*(here.addresses if here else ()), _hosts_entry(inside.host, use.name)), routes)
        there = _word_for(use, inside, running, containers)
        if known and there and not there.addresses:
            lost.append((use, here, there))
    if not lost:
        return passed(f"{', '.join(u.name for u in in_use.all)}: as on the host")
    use, here, there = lost[0]
    if (address := _hosts_entry(inside.host, use.name)) or not here:
        return failed(
            f"{use.name}, which {use.container} wants, is in this host's /etc/hosts alone: containers do not read that",
            *_told(inside, lost),
            cause="A container has an /etc/hosts of its own, and the nameserver does not know the name.",
            fix=(
                f"# create {use.container} again with --add-host {use.name}:{address}, or let the nameserver know the name",
            ),
            because=(),
        )
    best = _who_knows(inside, [u.name for u, _, _ in lost])
    by_itself = any(c.own for c in running.all if c.container == use.container) if running else False
    return failed(
        f"{use.name}, which {use.container} wants, resolves on the host ({here.server}); "
        f"{there.server}, which containers ask, says {there.outcome}",
        *_told(inside, lost),
        *(Evidence(r.source, f"{r.domain} → {', '.join(r.servers)}") for r in _routes(split, use.name)),
        Evidence(line_of(config, "dns") if config and config.dns else source, ", ".join(servers)),
        cause=f"The host asks another server for this domain; containers ask {there.server} for every name, which does "
        "not know it, and its word is final.",
        fix=(
            f"# {use.container} was started with --dns: create it again with {best or 'a server that knows the name'}",
        )
        if by_itself
        else _known_first(best, servers, config, units),
        impact="" if by_itself or not best else impact(info),
    )


def _elsewhere(addresses: Iterable[str], routes: Routes | None) -> bool:
    """Whether a name leads away from this host: what runs here is often told its own name, and never asks for it."""
    return any(a and not is_loopback(a) and not (routes and routes.owns(a)) for a in addresses)


def _word_for(
    use: Use, inside: Inside, running: ContainerResolvers | None, containers: Containers | None
) -> DnsAnswer | None:
    """What the nameservers of one container say of a name that it wants; asked where it is."""
    kept = next((c for c in running.all if c.container == use.container), None) if running else None
    networks = (
        {n.network for c in containers.all if c.name == use.container for n in c.networks} if containers else set()
    )
    view = inside.user if networks - {"bridge", "host", "none"} else inside.bridge
    if kept and kept.own:
        return first_word(view, kept.own, use.name)
    if kept and kept.servers and view is inside.bridge:
        return first_word(view, _far(kept.servers), use.name)
    return first_word(view, view.nameservers, use.name)


def _far(servers: Iterable[str]) -> list[str]:
    return [s for s in servers if not is_loopback(s)]


def _hosts_entry(view: View, name: str) -> str:
    """The address that a place's /etc/hosts has for a name."""
    lines = [line.partition("#")[0].split() for line in view.hosts.lower().splitlines()]
    return next((fields[0] for fields in lines if name in fields[1:]), "")


def _told(inside: Inside, lost: Iterable[tuple[Use, DnsAnswer | None, DnsAnswer]]) -> Iterator[Evidence]:
    for use, here, there in lost:
        yield Evidence(f"{use.source} of {use.container}", use.name)
        if entry := _hosts_entry(inside.host, use.name):
            yield Evidence("/etc/hosts", f"{entry} {use.name}")
        yield from shown_record((here,) if here else (), "host")
        yield from shown_record((there,), inside.views[0].place)


def _routes(split: SplitDns | None, name: str) -> list[Routed]:
    return [r for r in split.domains if f".{name}".endswith(f".{r.domain}")] if split else []


def _who_knows(inside: Inside, names: list[str]) -> str:
    """A server that knows these names, can be asked from containers, and is no worse than the host's for others."""
    public = any(x.outcome == "ok" for x in inside.host.lookups if x.name == HUB)

    def knows(server: str) -> bool:
        words = [first_word(v, [server], n) for v in inside.views for n in names]
        others = [a for v in inside.views for a in v.said(server, "udp") if a.name == HUB]
        # Without an own answer for public names it must pass the question on: NXDOMAIN would be final.
        return all(w and w.addresses for w in words) and not (public and any(a.outcome == "NXDOMAIN" for a in others))

    return next(filter(knows, _far(dict.fromkeys(a.server for a in inside.bridge.records))), "")


def _known_first(
    best: str, servers: tuple[str, ...], config: DaemonJson | None, units: Units | None
) -> tuple[str, ...]:
    if best:
        return set_in_daemon(config, "dns", [best, *(s for s in servers if s != best)][:3], units)
    return (
        "# have the resolver of this host listen on Docker's bridge too: in systemd-resolved DNSStubListenerExtra=ADDRESS,",
        "# in dnsmasq listen-address=127.0.0.1,ADDRESS; ADDRESS is that of docker0. Then:",
        "# doctor fix-dns --dns ADDRESS --write",
    )


@check(
    "dns.split-domains",
    title="Containers know the domains that this host asks particular nameservers for",
    severity=Severity.WARNING,
    docs=CONTAINER_DNS,
    upstream=(*NO_SERVER, "dns.split-names"),
)
def split_domains(
    inside: Inside,
    split: SplitDns | None,
    in_use: NamesInUse | None,
    resolver: HostResolver | None,
    config: DaemonJson | None,
    units: Units | None,
    info: EngineInfo | None,
) -> Finding:
    """
    A VPN or a company's network brings domains that only its own nameservers know.

    Why it matters: the host finds git.corp.example, and a container that looks for it will not.
    How to fix: give containers a server that knows them too, if they need those names.
    """
    if unasked := dark(inside):
        return unasked
    domains = [*(r.domain for r in split.domains)] if split else []
    domains += [d for v in inside.views for d in search(v)]
    if not domains:
        return skipped("this host asks one and the same nameserver for every name")
    servers, source = given(config, resolver)
    lost = []
    for domain in dict.fromkeys(domains):
        here = first_word(inside.host, inside.host.nameservers, domain)
        words = [word for v in inside.views if (word := first_word(v, v.nameservers, domain))]
        if here and here.outcome == "NOERROR" and words and all(w.outcome == "NXDOMAIN" for w in words):
            lost.append((domain, here, words[0]))
    if not lost:
        return passed(f"{', '.join(dict.fromkeys(domains))}: known to containers as to the host")
    names = [d for d, _, _ in lost]
    known = in_use.all if in_use else ()
    wanted = [u.name for u in known if any(f".{u.name}".endswith(f".{d}") for d in names)]
    return failed(
        f"{', '.join(names)}: known to this host and not to {lost[0][2].server}, which containers ask",
        *(
            line
            for _, here, there in lost
            for w, place in ((here, "host"), (there, inside.views[0].place))
            for line in shown_record((w,), place)
        ),
        *(Evidence(r.source, f"{r.domain} → {', '.join(r.servers)}") for d in names for r in _routes(split, d)),
        Evidence(line_of(config, "dns") if config and config.dns else source, ", ".join(servers)),
        cause="The host asks another nameserver for these domains; containers have one list for all names, and its "
        "first server does not know them.",
        fix=(
            "# if containers need these names:",
            *_known_first(_who_knows_domains(inside, names), servers, config, units),
        ),
        impact=impact(info),
        because=None if wanted else NO_SERVER,
    )


def _who_knows_domains(inside: Inside, domains: list[str]) -> str:
    servers = _far(dict.fromkeys(a.server for a in inside.bridge.records))
    return next(
        (
            s
            for s in servers
            if all((w := first_word(inside.bridge, [s], d)) and w.outcome == "NOERROR" for d in domains)
        ),
        "",
    )

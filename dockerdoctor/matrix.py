"""
The connectivity matrix: what is reached from the host, by the daemon, from each kind of network, and by builds.

Pure: it only puts side by side what was measured for the checks. A cell without a measurement says why, and is no guess.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from dockerdoctor.checks.dns_answers import beyond, given, nameless, outcome
from dockerdoctor.checks.reach import manages_iptables
from dockerdoctor.facts.builds import Builder, BuildResolver
from dockerdoctor.facts.daemon_json import DaemonJson
from dockerdoctor.facts.dns import EMBEDDED, HostDns, HostResolver, is_loopback
from dockerdoctor.facts.endpoint import ChosenEndpoint, Settings
from dockerdoctor.facts.inside import HOST, NO_INTERFACE, Exchange, Inside, Lookup, View, kept_waiting
from dockerdoctor.facts.preferences import Target
from dockerdoctor.facts.proxy import ProxySettings
from dockerdoctor.facts.registry import Registries, Registry
from dockerdoctor.facts.routes import Routes
from dockerdoctor.facts.targets import AskedImage, AskedImages, NamedTargets, WebTargets
from dockerdoctor.facts.wanted import Wanted
from dockerdoctor.host import DnsAnswer
from dockerdoctor.measure import FactsView, Missing
from dockerdoctor.model import Cell, Mark, Matrix, Row
from dockerdoctor.web import DEFAULT_PORTS, HUB, is_loopback_host, parse_proxy

# Errors in the words of a table, which has no room.
WORDS = {
    "timeout": "no answer",
    "ECONNREFUSED": "refused",
    "EHOSTUNREACH": "no route",
    "ENETUNREACH": "no route",
    "EADDRNOTAVAIL": "no address",
    "EAFNOSUPPORT": "no address",
    "EACCES": "denied",
    "EPERM": "denied",
    "ECONNRESET": "reset",
    "closed": "closed",
    "EAI_NONAME": "no name",
    "EAI_NODATA": "no name",
    "EAI_AGAIN": "no answer",
}
NOBODY_ASKS = Cell(Mark.NONE, "nobody there asks it")
OWN_LOOPBACK = Cell(Mark.NONE, "its loopback is another")
ONLY_PULLS = Cell(Mark.NONE, "the daemon is asked for registries alone")
AS_THE_HOST = Cell(Mark.NONE, "the daemon resolves names as the host does")
# Who makes the rules knows his networks, and not the one that was made to ask from.
BY_HAND = Cell(Mark.NONE, "dockerd makes no rules here, and nobody made any for this network")
TOO_LATE = Cell(Mark.FAIL, "no answer")


def words(said: str) -> str:
    """Put an outcome into a word or two."""
    return WORDS.get(said, said)


def matrix_of(facts: Mapping[type, Any]) -> Matrix:
    """Put the measurements side by side; no rows where no place but the host could be asked."""
    known = FactsView(facts)
    inside, registries = known.of(Inside), known.of(Registries)
    if not inside and not registries:
        return Matrix()
    seen = Seen(known, facts.get(Inside))
    # A row that nobody could measure tells nothing that is not said for another; what was asked for is shown anyway.
    found = [row for row in seen.rows() if any(cell.mark in {Mark.OK, Mark.FAIL} for cell in row.cells)]
    rows = (*found, *seen.asked_for())
    return Matrix(rows=rows, build=seen.build_words) if rows else Matrix()


class Seen:
    """What was measured, place by place."""

    def __init__(self, known: FactsView, inside: object) -> None:
        self.known = known
        missing = inside.reason if isinstance(inside, Missing) else "not measured"
        nobody = tuple(View(place, error=missing) for place in (HOST, "default bridge", "user network"))
        measured = known.of(Inside)
        self.published = measured.published if measured else ()
        self.host, self.bridge, self.user = (
            (measured.host, measured.bridge, measured.user) if measured else (nobody[0], nobody[1], nobody[2])
        )
        chosen = known.of(ChosenEndpoint)
        self.here = chosen is None or chosen.local
        if not self.here:
            self.host = View(HOST, error="the engine is on another host")
        self.builder = known.of(Builder) or Builder()
        self.registries = known.of(Registries) or Registries()
        self.preferences = (known.of(Settings) or Settings()).preferences

    @property
    def nameless(self) -> str:
        """Why nobody here needs a nameserver; empty where somebody does."""
        known = self.known
        return nameless(known.of(HostResolver), known.of(HostDns), known.of(Routes), known.of(Registries))

    # -- builds ------------------------------------------------------------------------------------------------------

    @property
    def elsewhere(self) -> bool:
        """Whether builds are made on another machine than this engine's."""
        return self.builder.driver not in {"", "docker", "docker-container"}

    @property
    def build_words(self) -> str:
        """How the last column was judged."""
        if self.elsewhere:
            return f"build: the builder {self.builder.name} ({self.builder.driver}) works elsewhere, and was not asked"
        whose = f"the builder {self.builder.name}" if self.builder.name else "dockerd's own builder"
        servers = self.build_servers
        names = f", with nameserver {', '.join(servers)}" if servers else ""
        return f"build: as on the default bridge, where {whose} runs its steps{names}; --network host is as the host"

    @property
    def build_servers(self) -> tuple[str, ...]:
        """The nameservers of the next step of a build; empty where containers' are the only ones known."""
        resolver = self.known.of(BuildResolver)
        return self.builder.servers or (resolver.servers if resolver and not self.builder.name else ())

    def build(self, bridge: Cell) -> Cell:
        """What a step of a build meets, by what a container on the default bridge does."""
        return Cell(Mark.UNKNOWN, "builds are made elsewhere") if self.elsewhere else bridge

    # -- rows --------------------------------------------------------------------------------------------------------

    def rows(self) -> Iterator[Row]:
        """Names first, then the way out, then what lies beyond it."""
        for row in (self.names(), *map(self.nameserver, self.nameservers())):
            yield excused(row, self.nameless)
        routes = self.known.of(Routes)
        for gateway in dict.fromkeys(p.target for v in (self.host, self.bridge, self.user) for p in v.pings):
            if routes is None or gateway in routes.gateways:
                yield self.row(f"gateway {gateway}", NOBODY_ASKS, partial(pinged, self.host, gateway))
        shown = set()
        for registry in self.registries.all:
            if registry.role in {"mirror", "hub", "named"}:
                address = address_of(registry)
                shown.add(address)
                yield self.registry(registry, *address)
        shown |= {(target.host, target.port) for target in self.preferences.targets}
        for host, port in self.others():
            if (host, port) not in shown:
                kind = "proxy" if (host, port) in self.proxies() else "registry"
                yield self.row(f"{kind} {host}:{port}", ONLY_PULLS, self.reaching(host, port))
        if self.published and self.bridge.asked:
            yield self.published_port()

    def asked_for(self) -> Iterator[Row]:
        """What somebody wants reached, and pulled."""
        yield from map(self.target, self.preferences.targets)
        yield from map(image_row, (self.known.of(AskedImages) or AskedImages()).all)

    def row(self, target: str, daemon: Cell, of: Callable[[View], Cell]) -> Row:
        """One target, with the same question in every place; an unasked place says why."""

        def cell(view: View) -> Cell:
            if view.error == NO_INTERFACE:
                return Cell(Mark.NONE, view.error)
            return of(view) if view.asked else Cell(Mark.UNKNOWN, view.error)

        bridge, user = cell(self.bridge), cell(self.user)
        if user.mark is Mark.FAIL and not manages_iptables(self.known.of(DaemonJson)):
            user = BY_HAND
        return Row(target, (cell(self.host), daemon, bridge, user, self.build(bridge)))

    def reaching(self, host: str, port: int) -> Callable[[View], Cell]:
        """Whether a place reaches a target; its own loopback is another in every container."""

        def of(view: View) -> Cell:
            return OWN_LOOPBACK if view.place != HOST and is_loopback_host(host) else reached(view, host, port)

        return of

    def names(self) -> Row:
        """What a program in each place gets for a name of the world's, by its own resolver."""
        row = self.row("name resolution", self.daemon_names(), self.looked_up)
        if not self.build_servers or self.elsewhere or not self.bridge.asked:
            return row
        said = [a for s in self.build_servers for a in self.bridge.said(s, "udp")]
        build = answered(said) if said else Cell(Mark.UNKNOWN, "its nameservers were not asked")
        return Row(row.target, (*row.cells[:-1], build))

    def looked_up(self, view: View) -> Cell:
        """What getaddrinfo(3) said; a resolver that asks on after "no such name" has not failed."""
        servers, _ = given(self.known.of(DaemonJson), self.known.of(HostResolver))
        lookup = next((x for x in view.lookups if x.name == HUB), None)
        if kept_waiting(view, servers) and not (lookup and lookup.outcome == "ok"):
            return Cell(Mark.UNKNOWN, "it has no such name, and asks on")
        return resolved(lookup)

    def daemon_names(self) -> Cell:
        """Whether the daemon's questions found the names of its registries; not where a proxy resolves them."""
        own = [
            r.asked for r in self.registries.all if not r.asked.via and not is_number(urlsplit(r.asked.url).hostname)
        ]
        if not own:
            return AS_THE_HOST
        lost = [a for a in own if a.layer == "name"]
        return Cell(Mark.FAIL, words(lost[0].outcome)) if len(lost) == len(own) else Cell(Mark.OK, "resolved")

    def nameservers(self) -> tuple[str, ...]:
        """Every server that the host, a container or a build asks."""
        resolver = self.known.of(HostResolver)
        found = [*(resolver.etc.nameservers if resolver else ())]
        found += given(self.known.of(DaemonJson), resolver)[0]
        found += [s for v in (self.bridge, self.user) for s in v.nameservers]
        return tuple(dict.fromkeys(s for s in (*found, *self.build_servers) if s != EMBEDDED))

    def nameserver(self, server: str) -> Row:
        """Whether one server answers those who are given it."""
        dns, resolver = self.known.of(HostDns), self.known.of(HostResolver)
        here = [*(dns.said(server) if dns and self.here else ()), *self.host.said(server, "udp")]
        theirs = {*given(self.known.of(DaemonJson), resolver)[0], *self.bridge.nameservers, *self.user.nameservers}

        def of(view: View) -> Cell:
            if server not in theirs or is_loopback(server):
                return OWN_LOOPBACK if is_loopback(server) else NOBODY_ASKS
            if beyond(view, server):
                return Cell(Mark.NONE, "no IPv6 there")
            return answered(view.said(server, "udp"))

        row = self.row(f"nameserver {server}", AS_THE_HOST, of)
        host = answered(here) if here else NOBODY_ASKS
        build = row.cells[-1]
        if self.build_servers and not self.elsewhere:
            at_build = self.bridge.said(server, "udp") if server in self.build_servers else ()
            build = answered(at_build) if at_build else NOBODY_ASKS
        return Row(row.target, (host, *row.cells[1:-1], build))

    def registry(self, registry: Registry, host: str, port: int) -> Row:
        """Where images come from: as the daemon asks it, and whether others get a connection to it."""
        asked = registry.asked
        trouble = short(registry) if registry.trouble else ""
        daemon = Cell(Mark.FAIL, trouble) if trouble else Cell(Mark.OK, asked.words, asked.seconds)
        if registry.secret_hidden:
            daemon = Cell(Mark.UNKNOWN, "asked through a proxy whose password only root can read")
        tried = any(v.towards(host, port) for v in (self.host, self.bridge, self.user)) or self.wanted(host, port)
        through = Cell(Mark.NONE, "the daemon asks it through a proxy" if asked.via else "only the daemon asks it")
        name = registry.name if "://" not in registry.name else f"{host}:{port}"
        what = "mirror" if registry.role == "mirror" else "registry"
        row = self.row(f"{what} {name}", daemon, self.reaching(host, port) if tried else lambda _: through)
        if not asked.via:
            return row
        others = excused(row, through.said).cells
        return Row(row.target, (others[0], daemon, *others[2:]))

    def target(self, target: Target) -> Row:
        """What somebody wants reached; the name of a container means something on its own network alone."""
        named = self.known.of(NamedTargets)
        own = named.of(target.host) if named else None
        row = self.row(f"{target.kind} {target}", ONLY_PULLS, self.reaching(target.host, target.port))
        web = (self.known.of(WebTargets) or WebTargets()).of(target)
        if web and web.layer == "tls" and web.outcome != "ok":
            # Who is not trusted was reached all the same; and what is shown there is shown to containers, too.
            row = Row(row.target, (Cell(Mark.FAIL, "TLS"), *row.cells[1:]))
        if not own:
            return row
        elsewhere = Cell(Mark.NONE, f"only {own.place} knows this name")
        there = reached(own, target.host, target.port) if own.asked else Cell(Mark.UNKNOWN, own.error)
        here = row.cells[0] if row.cells[0].mark is Mark.OK else elsewhere
        return Row(f"{row.target} (on {own.place})", (here, ONLY_PULLS, elsewhere, there, elsewhere))

    def wanted(self, host: str, port: int) -> bool:
        """Whether every place was to try a target."""
        wanted = self.known.of(Wanted) or Wanted()
        return any(one[:2] == (host, port) for one in (*wanted.targets, *wanted.exchanges))

    def others(self) -> Iterator[tuple[str, int]]:
        """What else every place was to try: proxies, and where images come from; not what a proxy stands before."""
        wanted, proxies = self.known.of(Wanted) or Wanted(), self.proxies()
        tried = [(host, port) for host, port, *_ in wanted.exchanges]
        yield from dict.fromkeys(one for one in tried if one in proxies)
        yield from dict.fromkeys((host, port) for host, port, _ in wanted.targets)

    def proxies(self) -> set[tuple[str, int]]:
        """The proxies that anything here uses."""
        settings = self.known.of(ProxySettings)
        inside = [s.value for s in settings.inside] if settings else []
        daemon = [s.value for kind, s in settings.in_daemon.items() if kind != "NO_PROXY"] if settings else []
        return {
            (p.host, p.port)
            for value in (*inside, *daemon)
            # A container's own loopback is no place that could be tried from anywhere else.
            if not isinstance(p := parse_proxy(value), str) and (value in daemon or not is_loopback_host(p.host))
        }

    def published_port(self) -> Row:
        """A port that a container of ours publishes, from the host and from a container on another network."""

        def cell(source: str) -> Cell:
            said = [p for p in self.published if p.source == source]
            bad = [p for p in said if p.outcome != "ok"]
            if not said:
                return Cell(Mark.NONE, "not dialled from there")
            return Cell(Mark.FAIL, words(bad[0].outcome)) if bad else Cell(Mark.OK, "answered", said[0].seconds)

        none = Cell(Mark.NONE, "not dialled from there")
        row = Row("a published port", (cell("host"), none, none, cell("user network"), none))
        config = self.known.of(DaemonJson)
        without = config is not None and (config.settings or {}).get("userland-proxy") is False
        others = excused(row, "without userland-proxy other networks do not get there") if without else row
        return Row(row.target, (row.cells[0], *others.cells[1:]))


def excused(row: Row, reason: str) -> Row:
    """Hold no failure against a place that can do without, for a reason; without one, leave the row as it is."""
    if not reason:
        return row
    return Row(row.target, tuple(Cell(Mark.NONE, reason) if c.mark is Mark.FAIL else c for c in row.cells))


def image_row(image: AskedImage) -> Row:
    """An image, which only the daemon fetches."""
    nobody = Cell(Mark.NONE, "only the daemon pulls")
    if image.pullable:
        cell = Cell(Mark.OK, "can be pulled", image.seconds)
    elif image.present:
        cell = Cell(Mark.OK, "is here")
    else:
        why = "not there" if image.unknown else "denied" if image.denied else "failed"
        cell = Cell(Mark.FAIL, why) if image.pullable is False else Cell(Mark.UNKNOWN, image.said)
    return Row(f"image {image.name}", (nobody, cell, nobody, nobody, nobody))


def is_number(host: str | None) -> bool:
    """Whether it is an address, which nobody has to resolve."""
    return not host or ":" in host or host.replace(".", "").isdigit()


def address_of(registry: Registry) -> tuple[str, int]:
    """Where a registry is connected to."""
    parts = urlsplit(registry.origin or registry.asked.url)
    return parts.hostname or "", parts.port or DEFAULT_PORTS.get(parts.scheme, 443)


def short(registry: Registry) -> str:
    """Say in a word or two why the daemon does not get on with it."""
    asked = registry.asked
    if asked.answered:
        return f"HTTP {asked.status}" if asked.status not in {200, 401} else registry.trouble
    if asked.layer == "name":
        return words("EAI_NONAME" if asked.outcome != "timeout" else "EAI_AGAIN")
    return words(asked.outcome) if asked.layer == "connect" else f"{asked.layer}: {words(asked.outcome)}"


def resolved(lookup: Lookup | None) -> Cell:
    """Whether a place's resolver did its work; that there is no such name is an answer too."""
    if lookup is None:
        return TOO_LATE
    if lookup.outcome in {"ok", "EAI_NONAME", "EAI_NODATA"}:
        return Cell(Mark.OK, "resolved" if lookup.outcome == "ok" else words(lookup.outcome), lookup.seconds)
    return Cell(Mark.FAIL, words("timeout"))


def answered(said: Iterable[DnsAnswer]) -> Cell:
    """Whether a nameserver did its work for any name, and how soon."""
    said = tuple(said)
    good = [a for a in said if a.ok]
    if good:
        return Cell(Mark.OK, outcome(good), min(a.seconds for a in good))
    return Cell(Mark.FAIL, words(said[0].outcome)) if said else TOO_LATE


def reached(view: View, host: str, port: int) -> Cell:
    """What came of a conversation."""
    return conversation(view.towards(host, port))


def conversation(exchange: Exchange | None) -> Cell:
    """Whether the other side was reached; one that hangs up was."""
    if exchange is None:
        return TOO_LATE
    if exchange.outcome in {"ok", "closed"}:
        return Cell(Mark.OK, "connected", exchange.seconds)
    return Cell(Mark.FAIL, words(exchange.outcome))


def pinged(host: View, target: str, view: View) -> Cell:
    """Whether a gateway answers; one that answers nobody may have been told so."""

    def small(of: View) -> Iterator[Cell]:
        for ping in of.pings:
            if (ping.target, ping.payload) == (target, 56):
                good = ping.outcome == "ok"
                yield Cell(Mark.OK, "answered", ping.seconds) if good else Cell(Mark.FAIL, words(ping.outcome))

    said = next(small(view), Cell(Mark.UNKNOWN, "not asked in time"))
    if said.said.startswith("unable"):
        return Cell(Mark.UNKNOWN, "pings are not for this user to send")
    if said.mark is Mark.FAIL and all(c.mark is not Mark.OK for c in small(host)):
        return Cell(Mark.UNKNOWN, "the gateway does not answer the host's pings either")
    return said

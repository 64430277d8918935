"""The same questions asked from a container on the default bridge and from one on a user-defined network."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from dockerdoctor.facts.api import Refused
from dockerdoctor.facts.builds import Builder, BuildResolver
from dockerdoctor.facts.daemon_json import DaemonJson
from dockerdoctor.facts.dns import EMBEDDED, FALLBACK, ContainerResolvers, HostResolver, is_loopback
from dockerdoctor.facts.endpoint import ChosenEndpoint, DaemonPing
from dockerdoctor.facts.engine import ANSWERS, EngineVersion
from dockerdoctor.facts.firewall import Firewall
from dockerdoctor.facts.forwarding import Forwarding
from dockerdoctor.facts.probe_container import DEADLINE, Lab, Questions, open_lab
from dockerdoctor.facts.records import RecordQuestions
from dockerdoctor.facts.routes import Routes
from dockerdoctor.facts.wanted import Wanted
from dockerdoctor.host import DnsAnswer, Host
from dockerdoctor.incontainer import ask
from dockerdoctor.measure import Unmeasured, probe
from dockerdoctor.web import HUB

HOST, BRIDGE, USER = PLACES = ("host", "default bridge", "user network")
MAX_DOORS = 3  # as many nameservers as glibc asks
NO_INTERFACE = "containers are given no interface there"
GREETING = "GET / HTTP/1.0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Lookup:
    """One name resolved by getaddrinfo(3) inside a container."""

    name: str
    outcome: str
    addresses: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Exchange:
    """One TCP conversation: connect, send, first bytes back."""

    target: str  # "10.0.0.1:3128"
    outcome: str
    reply: str
    seconds: float
    address: str = ""  # that the connection was to; of a target: the one that was tried last

    @property
    def ok(self) -> bool:
        """Whether the other side was reached and, where something was sent, replied."""
        return self.outcome == "ok"


@dataclass(frozen=True, slots=True)
class Ping:
    """One ICMP echo with "don't fragment" set."""

    target: str
    payload: int  # bytes; 28 more on the wire
    outcome: str  # "ok", "timeout", "EMSGSIZE" (a router said so), "unable: …"
    mtu: int  # of the path, as far as the kernel learnt it
    seconds: float = 0.0  # until the answer came


@dataclass(frozen=True, slots=True)
class View:
    """The network as seen from one place."""

    place: str  # "host", "default bridge", "user network"
    error: str = ""  # why nothing could be asked from there
    resolv_conf: str = ""
    hosts: str = ""
    nameservers: tuple[str, ...] = ()
    gateway: str = ""
    mtu: int = 0  # of the container's own interface
    dns: tuple[DnsAnswer, ...] = ()
    records: tuple[DnsAnswer, ...] = ()  # answers to `RecordQuestions`, which judge names and not servers
    lookups: tuple[Lookup, ...] = ()
    exchanges: tuple[Exchange, ...] = ()
    targets: tuple[Exchange, ...] = ()  # `Wanted.targets`: what somebody wants to reach from there
    pings: tuple[Ping, ...] = ()

    @property
    def asked(self) -> bool:
        """Whether this view holds answers."""
        return not self.error

    def said(self, server: str, transport: str) -> tuple[DnsAnswer, ...]:
        """The answers of one nameserver over one transport."""
        return tuple(a for a in self.dns if a.server == server and a.transport == transport)

    def record(self, server: str, name: str, kind: str = "A") -> tuple[DnsAnswer, ...]:
        """What a server said of one name: over UDP, and over TCP where that did not fit."""
        asked = (server, name, kind)
        return tuple(a for a in self.records if (a.server, a.name, a.kind) == asked)

    def exchange(self, host: str, port: int) -> Exchange | None:
        """The conversation with one target, if there was one."""
        return next((e for e in self.exchanges if e.target == f"{host}:{port}"), None)

    def towards(self, host: str, port: int) -> Exchange | None:
        """What came of reaching a target; None where it was not tried."""
        return next((e for e in (*self.targets, *self.exchanges) if e.target == f"{host}:{port}"), None)


@dataclass(frozen=True, slots=True)
class Published:
    """One attempt to reach the probe container through its published port."""

    source: str  # "host", "user network"
    target: str
    outcome: str  # "ok" when the container's own token came back
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Inside:
    """Both probe containers' views, the host's own answers to the same questions, and the published port."""

    host: View
    bridge: View
    user: View
    published: tuple[Published, ...] = ()
    publish_error: str = ""  # the engine's message when the port could not be published

    @property
    def views(self) -> tuple[View, ...]:
        """The containers' views that hold answers."""
        return tuple(v for v in (self.bridge, self.user) if v.asked)


def answers(said: list[dict[str, Any]]) -> tuple[DnsAnswer, ...]:
    """Read what nameservers said."""
    return tuple(DnsAnswer(**{**a, "addresses": tuple(a["addresses"])}) for a in said)


def view(place: str, said: dict[str, Any]) -> View:
    """Read the script's answers."""
    return View(
        place,
        resolv_conf=said["resolv_conf"],
        hosts=said["hosts"],
        nameservers=tuple(said["nameservers"]),
        gateway=said["gateway"],
        mtu=min((i["mtu"] for i in said["interfaces"]), default=0),
        dns=answers(said["dns"]),
        records=answers(said["records"]),
        lookups=tuple(Lookup(x["name"], x["outcome"], tuple(x["addresses"]), x["seconds"]) for x in said["lookups"]),
        exchanges=tuple(Exchange(**x) for x in said["exchanges"]),
        targets=tuple(Exchange(**x) for x in said["targets"]),
        pings=tuple(Ping(**p) for p in said["pings"]),
    )


def kept_waiting(view: View, servers: Sequence[str]) -> bool:
    """
    Whether the embedded resolver is silent because it asks on: "no such name" from a server that is no authority.

    It then waits for the next one (libnetwork, resolver.go), and a dead one costs it seconds; names that exist it
    gives at once.
    """
    heard = [view.said(s, "udp") for s in servers]
    knows_not = bool(heard) and bool(heard[0]) and all(a.outcome == "NXDOMAIN" for a in heard[0])
    return view.nameservers == (EMBEDDED,) and knows_not and any(all(a.silent for a in said) for said in heard[1:])


def free_port() -> int:
    """A TCP port of the host that nobody uses right now."""
    with socket.socket() as sock:
        sock.bind(("0.0.0.0", 0))  # noqa: S104 - the port must be free on every address
        return int(sock.getsockname()[1])


def questions_for(
    resolver: HostResolver | None,
    config: DaemonJson | None,
    routes: Routes | None,
    wanted: Wanted | None,
    running: ContainerResolvers | None = None,
    records: RecordQuestions | None = None,
    builds: tuple[str, ...] = (),
) -> Questions:
    """Decide what to ask: every nameserver that a container may be given, and every address that it may need."""
    servers: list[str] = []
    if config:
        servers += config.dns
    if resolver:
        servers += resolver.for_containers
        if not resolver.for_containers and not (config and config.dns):
            servers += FALLBACK
    # That TCP gets through shows better in a connection than in an answer, which may be late.
    doors = tuple((s, 53, "", 0.0) for s in dict.fromkeys(servers) if not is_loopback(s))[:MAX_DOORS]
    servers += [s for c in running.all for s in (*c.servers, *c.own)] if running else []
    servers += records.servers if records else ()
    servers += builds
    gateways = routes.gateways if routes else ()
    pings = [(g, size) for g in gateways[:2] for size in (56, 0)]
    return Questions(
        servers=tuple(dict.fromkeys(s for s in servers if not is_loopback(s))),
        names=(HUB, *(wanted.names if wanted else ())),
        records=records.all if records else (),
        lookups=(HUB,),
        exchanges=(*(wanted.exchanges if wanted else ()), *doors),
        targets=wanted.targets if wanted else (),
        pings=tuple(pings),
    )


# No container can be made where nothing can be written.
CANNOT_START = (
    *ANSWERS,
    "storage.read-only",
    "storage.space",
    "storage.inodes",
    "containers.start",
)


@probe(deadline=DEADLINE + 1, upstream=CANNOT_START, starts_container=True)
def inside(
    host: Host,
    endpoint: ChosenEndpoint,
    ping: DaemonPing,
    version: EngineVersion,  # noqa: ARG001 - an engine that hangs over this would hang over a container, and keep it
    resolver: HostResolver | None,
    config: DaemonJson | None,
    routes: Routes | None,
    wanted: Wanted | None,
    running: ContainerResolvers | None,
    records: RecordQuestions | None,
    build: BuildResolver | None,
    builder: Builder | None,
    before: Firewall | None,  # noqa: ARG001 - the counters are read before the questions, so that what moves is ours
    kernel: Forwarding | None,  # noqa: ARG001 - likewise
) -> Inside:
    """
    Start both containers at once, and dial the published port while they answer.

    Answers are given on before the containers are removed: that goes on while they are judged (`sweep_abandoned`).
    """
    if not ping.answered:
        raise Unmeasured("the engine does not answer")
    builds = (*(build.servers if build else ()), *(builder.servers if builder else ()))
    questions = questions_for(resolver, config, routes, wanted, running, records, builds)
    survey = Survey(open_lab(host, endpoint, ping), questions, routes.source if routes and endpoint.local else "")
    try:
        return survey.take()
    finally:
        survey.over.set()


class Survey:
    """One round of questions: three places at once, and a published port that two of them dial."""

    def __init__(self, lab: Lab, questions: Questions, own: str) -> None:
        self.lab, self.questions = lab, questions
        self.own = own  # the host's address that the published port is dialled on; empty: nothing is published
        self.port = free_port()
        self.views: dict[str, Future[View]] = {place: Future() for place in PLACES}
        self.dialled: Future[tuple[Published, ...]] = Future()
        self.publish_error = ""
        self.over = threading.Event()  # whoever needed the containers has what he came for

    def take(self) -> Inside:
        """Ask everywhere, and wait for no place longer than DEADLINE."""
        until = time.monotonic() + DEADLINE
        places = [threading.Thread(target=self.guarded, args=(place,), daemon=True) for place in PLACES]
        for thread in places:
            thread.start()
        threading.Thread(target=self.close_after, args=(places,), daemon=True).start()
        here, bridge, user = (self.wait(place, until) for place in PLACES)
        published: tuple[Published, ...] = ()
        if bridge.asked and self.own:
            with contextlib.suppress(FutureTimeout):
                published = self.dialled.result(max(0.0, until - time.monotonic()))
        via_user = user.exchange(self.own, self.port) if self.own and not self.publish_error else None
        if via_user:
            good = via_user.ok and self.lab.run_id in via_user.reply
            outcome = "ok" if good else via_user.outcome
            published += (Published("user network", via_user.target, outcome, via_user.seconds),)
        return Inside(here, bridge, user, published, self.publish_error)

    def wait(self, place: str, until: float) -> View:
        """Wait for one place."""
        try:
            return self.views[place].result(max(0.0, until - time.monotonic()))
        except FutureTimeout:
            return View(place, error=f"no answer within {DEADLINE:g} s")

    def close_after(self, places: list[threading.Thread]) -> None:
        """Remove the rest once every container is gone."""
        for thread in places:
            thread.join()
        self.lab.close()

    def guarded(self, place: str) -> None:
        """Ask in one place; that it cannot be asked is an answer too."""
        ask_there = {HOST: self.on_host, BRIDGE: self.on_bridge, USER: self.on_user_network}[place]
        try:
            ask_there()
        except Unmeasured as no:
            reason = no.reason
        except (Refused, OSError) as no:
            reason = str(no)
        else:
            return
        if not self.views[place].done():
            self.views[place].set_result(View(place, error=reason))

    def heard(self, place: str, said: dict[str, Any]) -> None:
        """Note a place's answers."""
        if said["interfaces"]:
            self.views[place].set_result(view(place, said))
        else:  # "bridge": "none", or a default network of that kind: its silence is as it should be
            self.views[place].set_result(View(place, error=NO_INTERFACE))

    def on_host(self) -> None:
        """Ask from the host itself; its nameservers are asked elsewhere (`HostDns`)."""
        said = ask.answer(replace(self.questions, names=()).payload(), self.questions.deadline)
        self.views[HOST].set_result(view(HOST, said))

    def on_bridge(self) -> None:
        """Ask from the default bridge, with a published port; without one where the engine cannot publish."""

        def heard(said: dict[str, Any]) -> None:
            self.heard(BRIDGE, said)
            self.over.wait(DEADLINE)  # the port is dialled meanwhile, from the host and from the other container

        dialling = threading.Thread(target=self.dial, daemon=True)
        if self.own:
            try:
                self.lab.ask("bridge", self.questions, publish=self.port, started=dialling.start, answered=heard)
            except Refused as no:
                if dialling.ident:
                    raise
                self.publish_error = str(no)
                self.dialled.set_result(())
            else:
                return
        self.lab.ask("bridge", self.questions, answered=heard)

    def on_user_network(self) -> None:
        """Ask from a user-defined network; one question more: the port that the other container publishes."""
        network = self.lab.make_network()
        more = ((self.own, self.port, GREETING, 1.5),) if self.own else ()
        questions = replace(self.questions, exchanges=(*self.questions.exchanges, *more))
        try:
            self.lab.ask(network, questions, answered=partial(self.heard, USER))
        finally:
            self.lab.remove(network)

    def dial(self) -> None:
        """Reach the published port from the host, on its loopback and on its own address."""
        found = []
        for address in dict.fromkeys(("127.0.0.1", self.own)):
            said = ask.exchange(address, self.port, GREETING, 1.0)
            good = said["outcome"] == "ok" and self.lab.run_id in said["reply"]
            outcome = "ok" if good else str(said["outcome"] if said["outcome"] != "ok" else "stranger")
            found.append(Published("host", f"{address}:{self.port}", outcome, said["seconds"]))
        self.dialled.set_result(tuple(found))

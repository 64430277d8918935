"""The same questions asked from a container on the default bridge and from one on a user-defined network."""

from __future__ import annotations

import contextlib
import inspect
import json
import secrets
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from dockerdoctor.facts.containers import LABEL
from dockerdoctor.facts.daemon_json import DaemonJson
from dockerdoctor.facts.dns import FALLBACK, ContainerResolvers, HostResolver, is_loopback
from dockerdoctor.facts.endpoint import ChosenEndpoint, DaemonPing
from dockerdoctor.facts.engine import client
from dockerdoctor.facts.firewall import Firewall
from dockerdoctor.facts.routes import Routes
from dockerdoctor.facts.wanted import Wanted
from dockerdoctor.host import DnsAnswer, Host
from dockerdoctor.incontainer import ask
from dockerdoctor.measure import Unmeasured, probe
from dockerdoctor.web import HUB

# From create to answer takes half a second on an idle host; a dead nameserver adds its own timeout.
DEADLINE = 8.0
ANSWER_WITHIN = 2.5  # seconds that the questions get
LISTEN_PORT = 8080  # inside the container; any would do
CONTAINER_LIFE = 7  # seconds after which a container that nobody stopped ends by itself
# A container a minute old belongs to a doctor that was killed.
STALE_AFTER = 60.0
SYSTEM_PYTHON = "/usr/bin/python3"
EMPTY_TAR = b"\0" * 10240


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
    lookups: tuple[Lookup, ...] = ()
    exchanges: tuple[Exchange, ...] = ()
    pings: tuple[Ping, ...] = ()

    @property
    def asked(self) -> bool:
        """Whether this view holds answers."""
        return not self.error

    def said(self, server: str, transport: str) -> tuple[DnsAnswer, ...]:
        """The answers of one nameserver over one transport."""
        return tuple(a for a in self.dns if a.server == server and a.transport == transport)

    def exchange(self, host: str, port: int) -> Exchange | None:
        """The conversation with one target, if there was one."""
        return next((e for e in self.exchanges if e.target == f"{host}:{port}"), None)


@dataclass(frozen=True, slots=True)
class Published:
    """One attempt to reach the probe container through its published port."""

    source: str  # "host", "user network"
    target: str
    outcome: str  # "ok" when the container's own token came back


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


@dataclass(frozen=True, slots=True)
class Questions:
    """What is asked in every place; see `dockerdoctor.incontainer.ask.answer`."""

    servers: tuple[str, ...] = ()
    names: tuple[str, ...] = (HUB,)
    lookups: tuple[str, ...] = ()
    exchanges: tuple[tuple[str, int, str, float], ...] = ()  # host, port, what to send, patience in seconds
    pings: tuple[tuple[str, int], ...] = ()
    own: bool = True  # the place's own nameservers too
    deadline: float = ANSWER_WITHIN

    def payload(self) -> dict[str, Any]:
        """As the script reads it."""
        return {
            "dns": {"servers": list(self.servers), "names": list(self.names), "own": self.own},
            "lookups": list(self.lookups),
            "exchanges": [list(e) for e in self.exchanges],
            "pings": [list(p) for p in self.pings],
            "deadline": self.deadline,
        }


def view(place: str, said: dict[str, Any]) -> View:
    """Read the script's answers."""
    return View(
        place,
        resolv_conf=said["resolv_conf"],
        hosts=said["hosts"],
        nameservers=tuple(said["nameservers"]),
        gateway=said["gateway"],
        mtu=min((i["mtu"] for i in said["interfaces"]), default=0),
        dns=tuple(DnsAnswer(**{**a, "addresses": tuple(a["addresses"])}) for a in said["dns"]),
        lookups=tuple(Lookup(x["name"], x["outcome"], tuple(x["addresses"]), x["seconds"]) for x in said["lookups"]),
        exchanges=tuple(Exchange(**x) for x in said["exchanges"]),
        pings=tuple(Ping(**p) for p in said["pings"]),
    )


@dataclass
class Lab:
    """What one run of probe containers needs, and all that it must remove again."""

    host: Host
    connect: Callable[[], Any]  # a new API client; one per thread
    bindable: bool = True  # the engine sees this host's files
    run_id: str = field(default_factory=lambda: secrets.token_hex(4))
    lock: threading.Lock = field(default_factory=threading.Lock)
    made: dict[str, str] = field(default_factory=dict)  # what must be removed: id or name → "container" | ...

    @property
    def labels(self) -> dict[str, str]:
        """Marks everything as ours, and when it was made."""
        return {LABEL: self.run_id, f"{LABEL}.created": str(int(self.host.clock()))}

    def image(self, api: Any) -> str:
        """Import an image of nothing, once: the interpreter comes from the host, so that nothing need be pulled."""
        name = f"dockerdoctor-probe:{self.run_id}"
        with self.lock:
            if name not in self.made:
                changes = [f"LABEL {key}={value}" for key, value in self.labels.items()]
                repository, _, tag = name.partition(":")
                api.import_image_from_data(EMPTY_TAR, repository=repository, tag=tag, changes=changes)
                self.made[name] = "image"
        return name

    def body(self, api: Any) -> tuple[str, str, list[str]]:
        """Image, interpreter and the host's folders it needs: the host's own Python, or else that of a local image."""
        if self.bindable:
            folders = [f for f in ("/usr", "/lib", "/lib32", "/lib64", "/libx32", "/bin") if self.host.exists(f)]
            if self.host.exists(SYSTEM_PYTHON):
                return self.image(api), SYSTEM_PYTHON, folders
            prefix = sys.base_prefix
            program = str(getattr(sys, "_base_executable", sys.executable))
            return self.image(api), program, [*folders, *([] if prefix.startswith("/usr") else [prefix])]
        for listed in api.images():
            for tag in listed.get("RepoTags") or ():
                if tag.rpartition("/")[2].startswith("python:"):
                    return tag, "python3", []
        raise Unmeasured(
            "this engine cannot borrow this host's Python, and no local image has one",
            how="docker pull python:3.13-slim",
        )

    def ask(
        self,
        network: str,
        questions: Questions,
        *,
        publish: int = 0,
        started: Callable[[], None] = lambda: None,
        hold: Callable[[], None] = lambda: None,
    ) -> dict[str, Any]:
        """
        Run one container and return its answers; it is removed before this returns.

        With `publish`, the container listens and is published on that port of the host. `started` is called once it
        runs, and `hold` before it is removed. Raises docker.errors.APIError and OSError.
        """
        api, container = self.connect(), ""
        try:
            image, program, folders = self.body(api)
            said = questions.payload()
            if publish:
                said |= {"listen": LISTEN_PORT, "token": self.run_id, "linger": CONTAINER_LIFE}
            config = api.create_host_config(
                binds=[f"{folder}:{folder}:ro" for folder in folders],
                network_mode=network,
                cap_drop=["ALL"],
                read_only=True,
                security_opt=["no-new-privileges", "label=disable"],
                log_config={"type": "json-file", "config": {}},
                port_bindings={LISTEN_PORT: ("0.0.0.0", publish)} if publish else None,  # noqa: S104 - that is the question
            )
            container = api.create_container(
                image,
                [program, "-I", "-S", "-c", inspect.getsource(ask), json.dumps(said)],
                host_config=config,
                labels=self.labels,
                ports=[LISTEN_PORT] if publish else None,
                # Docker's proxy settings for containers must not redirect our own questions.
                environment={"no_proxy": "*", "NO_PROXY": "*"},
                entrypoint="",
            )["Id"]
            self.made[container] = "container"
            output = api.attach(container, stdout=True, stderr=True, stream=True, logs=False)
            api.start(container)
            started()
            text = ""
            for chunk in output:
                text += chunk.decode("utf-8", "replace")
                if text.endswith("\n"):
                    break
            try:
                answer = dict(json.loads(text.splitlines()[-1]))
            except (ValueError, IndexError):
                raise Unmeasured(f"the probe container said: {text.strip()[-300:] or 'nothing'}") from None
            hold()
            return answer
        finally:
            self.remove(api, container)
            api.close()

    def make_network(self, api: Any) -> str:
        """Create the temporary user-defined network; returns its name."""
        name = f"dockerdoctor-{self.run_id}"
        api.create_network(name, driver="bridge", labels=self.labels)
        self.made[name] = "network"
        return name

    def remove(self, api: Any, name: str) -> None:
        """Remove one thing that was made; what the engine refuses is left to the next run's sweep."""
        kind = self.made.pop(name, "")
        with contextlib.suppress(Exception):
            if kind == "container":
                api.remove_container(name, force=True, v=True)
            elif kind == "network":
                api.remove_network(name)
            elif kind == "image":
                api.remove_image(name, force=True)

    def sweep(self, api: Any) -> None:
        """Remove all that bears our label: of this run, and what a killed run left behind."""
        self.made.clear()

        def ours(labels: dict[str, str] | None) -> bool:
            labels = labels or {}
            created = labels.get(f"{LABEL}.created", "0")
            age = self.host.clock() - float(created if created.isdigit() else 0)
            return labels.get(LABEL) == self.run_id or age > STALE_AFTER

        listings: tuple[tuple[Callable[[], Any], str], ...] = (
            (lambda: api.containers(all=True, filters={"label": LABEL}), "container"),
            (lambda: api.networks(filters={"label": LABEL}), "network"),
            (lambda: api.images(filters={"label": LABEL}), "image"),
        )
        for listed, kind in listings:
            with contextlib.suppress(Exception):
                for item in listed():
                    if ours(item.get("Labels")):
                        self.made[item["Id"]] = kind
                        self.remove(api, item["Id"])


@contextlib.contextmanager
def probe_lab(host: Host, endpoint: ChosenEndpoint, ping: DaemonPing) -> Iterator[Lab]:
    """A place to run probe containers in; everything is removed on leaving."""
    lab = Lab(host, lambda: client(host, endpoint, ping, DEADLINE), bindable=endpoint.local)
    LABS.append(lab)
    # Looking for what a killed run left behind costs three calls: they are made while the containers start.
    stale = threading.Thread(target=_sweep, args=(Lab(host, lab.connect),), daemon=True)
    stale.start()
    try:
        yield lab
    finally:
        removing = [threading.Thread(target=_remove, args=(lab, name), daemon=True) for name in tuple(lab.made)]
        for thread in removing:
            thread.start()
        for thread in (*removing, stale):
            thread.join(DEADLINE)
        LABS.remove(lab)


def _remove(lab: Lab, name: str) -> None:
    with contextlib.suppress(Exception), contextlib.closing(lab.connect()) as api:
        lab.remove(api, name)


def _sweep(lab: Lab) -> None:
    with contextlib.suppress(Exception), contextlib.closing(lab.connect()) as api:
        lab.sweep(api)


# Labs in use: a probe that is overdue is abandoned with its thread, so the main thread sweeps before it exits.
LABS: list[Lab] = []


def sweep_abandoned() -> None:
    """Remove what overdue probes left behind; called by the main thread before it exits."""
    for lab in tuple(LABS):
        _sweep(lab)


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
) -> Questions:
    """Decide what to ask: every nameserver that a container may be given, and every address that it may need."""
    servers: list[str] = []
    if config:
        servers += config.dns
    if resolver:
        servers += resolver.for_containers
        if not resolver.for_containers and not (config and config.dns):
            servers += FALLBACK
    servers += [s for c in running.all for s in (*c.servers, *c.own)] if running else []
    gateways = routes.gateways if routes else ()
    pings = [(g, size) for g in gateways[:2] for size in (56, 0)]
    return Questions(
        servers=tuple(dict.fromkeys(s for s in servers if not is_loopback(s))),
        names=(HUB, *(wanted.names if wanted else ())),
        lookups=(HUB,),
        exchanges=wanted.exchanges if wanted else (),
        pings=tuple(pings),
    )


@probe(deadline=DEADLINE + 1, upstream=("engine.reachable", "engine.responsive"), starts_container=True)
def inside(
    host: Host,
    endpoint: ChosenEndpoint,
    ping: DaemonPing,
    resolver: HostResolver | None,
    config: DaemonJson | None,
    routes: Routes | None,
    wanted: Wanted | None,
    running: ContainerResolvers | None,
    before: Firewall | None,  # noqa: ARG001 - the counters are read before the questions, so that what moves is ours
) -> Inside:
    """Start both containers at once, dial the published port while they answer, and remove everything."""
    import docker.errors  # noqa: PLC0415 - heavy, and --passive does without
    import requests  # noqa: PLC0415

    questions = questions_for(resolver, config, routes, wanted, running)
    port = free_port()
    own = routes.source if routes and endpoint.local else ""
    views: dict[str, View] = {}
    published: list[Published] = []
    publish_error: list[str] = []
    user_done = threading.Event()

    def guarded(place: str, work: Callable[[], dict[str, Any]]) -> None:
        try:
            views[place] = view(place, work())
        except Unmeasured as no:
            views[place] = View(place, error=no.reason)
        except (docker.errors.DockerException, requests.RequestException, OSError) as no:
            views[place] = View(place, error=str(getattr(no, "explanation", "") or no))

    def dial_published(token: str) -> None:
        for address in dict.fromkeys(("127.0.0.1", own) if endpoint.local else ()):
            if address:
                said = ask.exchange(address, port, "GET / HTTP/1.0\r\n\r\n", 1.0)
                good = said["outcome"] == "ok" and token in said["reply"]
                outcome = "ok" if good else str(said["outcome"] if said["outcome"] != "ok" else "stranger")
                published.append(Published("host", f"{address}:{port}", outcome))

    with probe_lab(host, endpoint, ping) as lab:

        def on_bridge() -> dict[str, Any]:
            dialling = threading.Thread(target=dial_published, args=(lab.run_id,), daemon=True)

            def until_dialled() -> None:
                dialling.join(ANSWER_WITHIN)
                user_done.wait(ANSWER_WITHIN)

            try:
                return lab.ask(
                    "bridge",
                    questions,
                    publish=port if endpoint.local else 0,
                    started=dialling.start,
                    hold=until_dialled,
                )
            except docker.errors.APIError as no:
                if dialling.ident:
                    raise
                publish_error.append(str(no.explanation or no))
                return lab.ask("bridge", questions)

        def on_user_network() -> dict[str, Any]:
            try:
                with contextlib.closing(lab.connect()) as api:
                    network = lab.make_network(api)
                token = ((own, port, "GET / HTTP/1.0\r\n\r\n", 1.5),) if own else ()
                return lab.ask(
                    network, replace(questions, exchanges=(*questions.exchanges, *token)), hold=user_done.set
                )
            finally:
                user_done.set()

        def on_host() -> dict[str, Any]:
            return dict(ask.answer({**questions.payload(), "dns": {}}, questions.deadline))

        threads = [
            threading.Thread(target=guarded, args=(place, work), daemon=True)
            for place, work in (("default bridge", on_bridge), ("user network", on_user_network), ("host", on_host))
        ]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, DEADLINE - (time.monotonic() - began)))
    late = View("", error=f"no answer within {DEADLINE:g} s")
    bridge, user, here = (views.get(p, replace(late, place=p)) for p in ("default bridge", "user network", "host"))
    via_user = user.exchange(own, port) if own else None
    if via_user:
        good = via_user.ok and lab.run_id in via_user.reply
        published.append(Published("user network", via_user.target, "ok" if good else via_user.outcome))
    return Inside(here, bridge, user, tuple(published), "; ".join(publish_error))

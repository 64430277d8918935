"""Redis servers and the containers that want one."""

from __future__ import annotations

import contextlib
import inspect
import ipaddress
import json
import re
import sys
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from dockerdoctor.facts.containers import Container, Containers, command_of
from dockerdoctor.facts.dns import ndots, parse_resolv_conf
from dockerdoctor.facts.endpoint import ChosenEndpoint, DaemonPing
from dockerdoctor.facts.engine import ask
from dockerdoctor.facts.listeners import Listeners, container_of, seconds_since
from dockerdoctor.facts.output import tail
from dockerdoctor.host import Host
from dockerdoctor.incontainer import ask as asking
from dockerdoctor.incontainer import redis as greeting
from dockerdoctor.incontainer.redis import WILDCARD
from dockerdoctor.measure import Unmeasured, probe

PORT = 6379
# Each is one process, all at once; the others are counted.
MAX_CLIENTS = 16
ASK_TIMEOUT = 6.0  # resolve, connect, reply: each with its own, for up to two servers
LOG_LINES = 8
SERVER_PROGRAM = re.compile(r"(^|/)(redis|valkey|keydb)-(server|sentinel)$|(^|/)dragonfly$")
SERVER_IMAGE = re.compile(r"(^|/)(redis|redis-stack|redis-stack-server|valkey|keydb|dragonfly)(:|@|$)")
# The tutorial's page names its server in its code: host "redis", and does without.
SAMPLE_IMAGE = re.compile(r"(^|/)friendlyhello(:|@|$)")
URL = re.compile(r"(?:redis|rediss|valkey|valkeys)://[^\s,'\"]+")
HOST_VARIABLE = re.compile(
    r"^(?P<stem>(?:\w*_)?(?:REDIS|VALKEY|KEYDB)(?:_\w+?)?)_(?P<what>HOST|HOSTNAME|SERVER|ADDR|ADDRESS|ENDPOINT)$",
    re.IGNORECASE,
)
HOST_ARGUMENT = re.compile(r"^--?(?:redis|valkey)[-_.]?(?:host|hostname|addr|address|server)(?:=(?P<value>.+))?$")
HOST_NAME = re.compile(r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$|^\[?[0-9A-Fa-f:]+\]?$")


@dataclass(frozen=True)
class Wish:
    """What a container's settings say of the Redis it wants; holds a password, and so never becomes a fact."""

    source: str
    host: str
    port: int = PORT
    user: str = ""
    password: str = field(default="", repr=False)
    tls: bool = False


@dataclass(frozen=True)
class Seeker:
    """A container that wants Redis, and what it takes to stand in its place; never a fact, as it holds passwords."""

    container: Container
    wishes: tuple[Wish, ...]
    optional: bool
    secrets: bool  # it has secrets in files, which are not ours to read
    hosts_path: str = ""
    resolv_conf_path: str = ""


@dataclass(frozen=True, slots=True)
class RedisServer:
    """A container that is a Redis server, running or not."""

    container: str  # full id
    name: str
    running: bool
    listening: tuple[str, ...] = ()  # "127.0.0.1:6379"; known for running ones
    log: tuple[str, ...] = ()  # the last lines, of one that does not run
    age: float = -1.0  # seconds since its start, of one that runs; -1: not known


@dataclass(frozen=True, slots=True)
class RedisClient:
    """A container that wants Redis, and what came of asking for it in the container's place."""

    container: str  # full id
    name: str
    source: str  # "REDIS_HOST", "argument --redis-host", "its code"
    host: str
    port: int
    optional: bool  # it works without, or nobody asked for it: an image's default
    password: bool | None  # whether it has one; None: it may, in a file
    tls: bool = False
    asked_from: str = ""  # "container", "host" (without root), "" (not asked)
    resolution: str = ""  # "literal", "ok", "NXDOMAIN", "timeout", …; "unknown" when only root could tell
    addresses: tuple[str, ...] = ()
    said_by: str = ""  # a nameserver, or /etc/hosts
    tried: str = ""  # the address that was dialled
    dial: str = ""  # as Dial.outcome
    reply: str = ""  # "+PONG", or the error: "-NOAUTH Authentication required."
    info: tuple[tuple[str, str], ...] = ()  # of INFO and CONFIG GET

    @property
    def target(self) -> str:
        """As it is configured."""
        return f"{self.host}:{self.port}"

    @property
    def by_wildcard(self) -> bool:
        """Whether its address is what a search domain has for any name whatever."""
        return WILDCARD in self.said_by


@dataclass(frozen=True, slots=True)
class Redis:
    """Every Redis server in a container, the host's own, and every running container that wants one."""

    servers: tuple[RedisServer, ...]
    on_host: tuple[str, ...]  # addresses of the host on which something listens at Redis's port
    clients: tuple[RedisClient, ...]
    left_out: int = 0


def is_server(container: Container) -> bool:
    """Whether a container runs Redis itself: by its program, else by its image's name."""
    programs = [word for word in container.command if SERVER_PROGRAM.search(word.partition(" ")[0])]
    cli = any(word.endswith("-cli") for word in container.command)
    exposes = any(e.startswith(f"{PORT}/") for e in container.exposed)
    return bool(programs) or (exposes and bool(SERVER_IMAGE.search(container.image)) and not cli)


def _of_url(url: str, source: str) -> Wish | None:
    try:
        parts = urlsplit(url.split(",", maxsplit=1)[0])
        host, port = parts.hostname or "", parts.port or PORT
    except ValueError:
        return None
    tls = parts.scheme in {"rediss", "valkeys"}
    return Wish(source, host, port, unquote(parts.username or ""), unquote(parts.password or ""), tls) if host else None


def _of_address(value: str, source: str, port: str = "", user: str = "", password: str = "") -> Wish | None:
    host, _, own_port = value.partition(":") if value.count(":") == 1 else (value, "", "")
    number = own_port or port
    return Wish(source, host, int(number) if number.isdigit() else PORT, user, password)


def wishes(env: Mapping[str, str], command: Iterable[str]) -> tuple[Wish, ...]:
    """Read out of a container's environment and arguments which Redis it wants; each server once."""
    found: list[Wish | None] = []
    for name, value in env.items():
        match = HOST_VARIABLE.match(name)
        if url := URL.match(value):
            found.append(_of_url(url.group(), name))
        elif match and value and "SENTINEL" not in name.upper():
            stem = match["stem"]
            user, password = (
                next((env[k] for k in (f"{stem}_{word}" for word in words) if env.get(k)), "")
                for words in (("USERNAME", "USER"), ("PASSWORD", "PASS", "AUTH"))
            )
            found.append(_of_address(value, name, env.get(f"{stem}_PORT", ""), user, password))
    words = tuple(command)
    for i, word in enumerate(words):
        if url := URL.search(word):
            found.append(_of_url(url.group(), "an argument"))
        elif match := HOST_ARGUMENT.match(word):
            value = match["value"] or (words[i + 1] if i + 1 < len(words) else "")
            found.append(_of_address(value, f"argument {word.partition('=')[0]}"))
    # A variable that was never filled in ("${HOST}") names no host.
    real = [w for w in found if w and HOST_NAME.match(w.host)]
    return tuple({(w.host, w.port): w for w in reversed(real)}.values())[::-1]


def pairs(env: Iterable[str]) -> dict[str, str]:
    """An environment as the engine gives it."""
    return dict(item.partition("=")[::2] for item in env)


def peers(container: Container) -> frozenset[str]:
    """The user-defined networks that a container is on, whose names it can resolve."""
    return frozenset(n.network for n in container.networks) - {"bridge", "host", "none"}


def named(host: str, container: Container, network: str = "") -> bool:
    """Whether Docker's resolver knows a container by a name, on one network or on any."""
    ends = [n for n in container.networks if not network or n.network == network]
    return bool(ends) and (host in {container.name, container.short_id} or any(host in n.aliases for n in ends))


def is_address(host: str) -> bool:
    """Whether it is an address, and no name that ends in a number."""
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def by_the_book(
    wish: Wish, container: Container, containers: Containers, listeners: Listeners | None
) -> dict[str, Any]:
    """What the engine's settings say will come of a wish, for a user who may not look from inside the container."""
    if wish.host in {"localhost", "127.0.0.1", "::1"}:
        inner = listeners.within(container) if listeners else None
        if not inner or container.network_mode == "host":
            return {"resolution": "unknown"}
        dial = "ok" if inner.on(wish.port) else "ECONNREFUSED"
        return {"resolution": "ok", "addresses": ["127.0.0.1"], "tried": "127.0.0.1", "dial": dial}
    if container.network_mode.startswith("container:"):
        other = container.network_mode.partition(":")[2]
        container = next((c for c in containers.all if c.id == other), container)
    own = peers(container)
    there = [
        (n.ip, c) for c in containers.running for n in c.networks if n.network in own and named(wish.host, c, n.network)
    ]
    if there:
        return {"resolution": "ok", "addresses": [ip for ip, _ in there if ip]}
    written = {e.partition(":")[0] for e in container.extra_hosts} | {x.rpartition("/")[2] for x in container.links}
    known = any(named(wish.host, c) for c in containers.all)
    if known and wish.host not in written and container.network_mode != "host":
        return {"resolution": "NXDOMAIN"}
    return (
        {"resolution": "literal", "addresses": [wish.host.strip("[]")]}
        if is_address(wish.host)
        else {"resolution": "unknown"}
    )


# Our modules go along as text: where we lie, in an archive or in a container, that process may not see.
BOOT = """
import json, sys, types
for name, text in json.loads(sys.argv[1]).items():
    module = sys.modules[name] = types.ModuleType(name)
    exec(text, module.__dict__)
module.main()
"""


def _ask(host: Host, pid: int, questions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Ask from a container's network namespace, or from our own where there is no pid."""
    sources = json.dumps({module.__name__: inspect.getsource(module) for module in (asking, greeting)})
    enter = ("nsenter", "--target", str(pid), "--net") if pid else ()
    # -I: neither the environment nor the folder we happen to be in decides what root runs.
    done = host.run(
        *enter, sys.executable, "-I", "-S", "-c", BOOT, sources, stdin=json.dumps(questions), timeout=ASK_TIMEOUT
    )
    try:
        return list(json.loads(done.out)) if done.ok else []
    except ValueError:
        return []


def _questions(host: Host, seeker: Seeker, book: list[dict[str, Any]], *, within: bool) -> list[dict[str, Any]]:
    # Docker's own copies: a path below /proc/PID/root would follow links of the container's making into the host.
    servers, search, options = parse_resolv_conf(host.text(seeker.resolv_conf_path)) if within else ((), (), ())
    return [
        {
            "host": wish.host,
            "port": wish.port,
            "user": wish.user,
            "password": wish.password,
            "tls": wish.tls,
            "hosts": host.text(seeker.hosts_path) if within else "",
            "servers": list(servers),
            "search": [d.strip(".") for d in search if d.strip(".")],
            "ndots": ndots(options),
            "addresses": said.get("addresses", []),
        }
        for wish, said in zip(seeker.wishes, book, strict=True)
    ]


def _clients(host: Host, seeker: Seeker, containers: Containers, listeners: Listeners | None) -> list[RedisClient]:
    """Ask for each server that a container wants, from inside where we may."""
    container = seeker.container
    within = host.is_root and bool(container.pid) and container_of(host, container.pid) == container.id
    book = [{} if within else by_the_book(w, container, containers, listeners) for w in seeker.wishes]
    questions = _questions(host, seeker, book, within=within)
    # From outside only an address of a container can be asked, and never its loopback.
    asked = [i for i, said in enumerate(book) if within or (said.get("addresses") and "dial" not in said)]
    heard = _ask(host, container.pid if within else 0, [questions[i] for i in asked]) if asked else []
    answers = dict(zip(asked, heard, strict=False))
    found = []
    for i, wish in enumerate(seeker.wishes):
        said = {**answers.get(i, {}), **book[i]}
        found.append(
            RedisClient(
                container.id,
                container.name,
                wish.source,
                wish.host,
                wish.port,
                seeker.optional,
                True if wish.password else None if seeker.secrets else False,
                wish.tls,
                ("container" if within else "host") if i in answers else "",
                str(said.get("resolution") or ""),
                tuple(said.get("addresses") or ()),
                str(said.get("said_by") or ""),
                str(said.get("tried") or ""),
                str(said.get("dial") or ""),
                _unsaid(str(said.get("reply") or ""), wish.password)[:200],
                tuple(sorted((said.get("info") or {}).items())),
            )
        )
    return found


def _unsaid(reply: str, password: str) -> str:
    """Hide a password that comes back: a server without AUTH says "unknown command `AUTH`, with args beginning with: …"."""
    return reply.replace(password, "***") if password else reply


def seeks(container: Container) -> bool:
    """Whether a container's settings, or its well-known code, name a Redis that is not itself."""
    wanted = wishes(dict(container.env), container.command) or SAMPLE_IMAGE.search(container.image)
    return bool(wanted) and not is_server(container)


def _seeker(host: Host, endpoint: ChosenEndpoint, ping: DaemonPing, container: Container) -> Seeker:
    """Read what a container wants, passwords and all."""
    # Asked again, since the fact about containers is masked.
    data = ask(host, endpoint, ping, f"/containers/{container.id}/json")
    env = pairs((data.get("Config") or {}).get("Env") or ())
    wanted = wishes(env, command_of(data))
    optional = not wanted
    # An image that was removed from under its container has no defaults to show.
    with contextlib.suppress(Unmeasured):
        image = ask(host, endpoint, ping, f"/images/{data.get('Image')}/json")
        # What the image brought along is a default; whoever ran it may never have thought of Redis.
        defaults = pairs((image.get("Config") or {}).get("Env") or ())
        optional = all(w.source in defaults and defaults[w.source] == env.get(w.source) for w in wanted)
    mounts = [str(m.get("Destination") or "") for m in data.get("Mounts") or ()]
    secrets = any(name.endswith("_FILE") for name in env) or any(m.startswith("/run/secrets") for m in mounts)
    return Seeker(
        container,
        wanted or (Wish("its code", "redis"),),
        optional,
        secrets,
        str(data.get("HostsPath") or ""),
        str(data.get("ResolvConfPath") or ""),
    )


@probe(deadline=ASK_TIMEOUT + 2, upstream=("engine.reachable", "engine.responsive"))
def redis(
    host: Host, endpoint: ChosenEndpoint, ping: DaemonPing, containers: Containers, listeners: Listeners | None
) -> Redis:
    """Find clients and servers in the engine's settings, then try each client's way to its server."""
    if not endpoint.local:
        raise Unmeasured("the engine is on another host: its containers cannot be looked into", skipped=True)
    candidates = [c for c in containers.running if seeks(c)]
    seekers: list[Seeker] = []
    for container in candidates[:MAX_CLIENTS]:
        # Gone since the list was read: then it wants nothing any more.
        with contextlib.suppress(Unmeasured):
            seekers.append(_seeker(host, endpoint, ping, container))
    clients: list[RedisClient] = []
    if seekers:
        # Every question ends by its own timeout, so this pool never outlives the probe.
        with ThreadPoolExecutor(MAX_CLIENTS) as pool:
            for found in pool.map(lambda s: _clients(host, s, containers, listeners), seekers):
                clients += found
    servers = []
    for container in containers.all if clients else ():
        if is_server(container):
            inner = listeners.within(container) if listeners else None
            listening = tuple(x.where for x in inner.tcp) if inner else ()
            log = () if container.running else tail(host, endpoint, ping, container.id, LOG_LINES)
            age = seconds_since(container.started, host.clock()) if container.running and container.started else -1.0
            servers.append(RedisServer(container.id, container.name, container.running, listening, log, age))
    on_host = [
        x.address
        for x in (listeners.host if listeners else ())
        if (x.protocol, x.port) == ("tcp", PORT) and listeners and not listeners.proxied(x)
    ]
    return Redis(tuple(servers), tuple(on_host), tuple(clients), max(0, len(candidates) - MAX_CLIENTS))

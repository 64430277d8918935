"""Containers that end though they should not: how often, with which last words, and what their files say about it."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from dockerdoctor.facts.containers import Container, Containers, Networks
from dockerdoctor.facts.endpoint import ChosenEndpoint, DaemonPing
from dockerdoctor.facts.engine import ask, fetch, table
from dockerdoctor.facts.listeners import seconds_since
from dockerdoctor.facts.output import tail
from dockerdoctor.facts.program import Program, program
from dockerdoctor.host import Host
from dockerdoctor.measure import Unmeasured, probe

# Those in trouble are looked at one by one, the newest first; the others of a great many have the same trouble.
MAX_ASKED = 16
MAX_PROGRAMS = 4
LOG_LINES = 12
# A program that failed before its user's eyes longer ago than this has been dealt with.
LATELY = 3600.0  # seconds
# The engine keeps its last 256 events; what happened longer ago than this says nothing of now.
EVENTS_SINCE = 900.0
EVENTS_LIMIT = 1 << 20
# What `docker kill` and `docker stop` send to end a container: SIGINT, SIGQUIT, SIGKILL, SIGTERM.
ENDING_SIGNALS = frozenset({"2", "3", "9", "15"})
# A source on a network filesystem may be slow to tell its state; this many at most are asked for theirs.
MAX_SOURCES = 200

DENIED = re.compile(r"permission denied|EACCES|operation not permitted", re.IGNORECASE)
NOT_EXECUTED = re.compile(r"^exec (?:container process )?`?(/[^\s:`]+)`?:|exec user process caused", re.IGNORECASE)
PATH = re.compile(r"(?<![\w.])/[^\s:'\"`,;()\[\]]+")


@dataclass(frozen=True, slots=True)
class Death:
    """One end of a container, of the engine's events."""

    at: float  # seconds since the epoch
    exit_code: int
    lived: float = -1.0  # seconds; -1 where its start was not seen
    out_of_memory: bool = False
    killed: bool = False  # somebody asked the engine to send SIGKILL, or to stop it


@dataclass(frozen=True, slots=True)
class Denied:
    """A file that a container was refused, as it is on the host."""

    path: str  # in the container
    source: str  # on the host
    owner: int
    group: int
    mode: int
    folder: bool
    user: int  # who the container's program is, in the host's numbers
    groups: tuple[int, ...]
    extended: bool = False  # it has an access control list


@dataclass(frozen=True, slots=True)
class Ending:
    """What is known of one container that ended, or keeps ending."""

    container: str  # full id
    lines: tuple[str, ...] = ()  # its last words, passwords masked
    deaths: tuple[Death, ...] = ()  # of the last minutes
    program: Program | None = None  # the file that could not be executed
    architecture: str = ""  # of its image, where that file could not be executed
    denied: tuple[Denied, ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """What a mount leads to on the host."""

    path: str
    kind: str  # "folder", "file", "socket", "missing"
    empty: bool = False  # a folder with nothing in it
    owner: int = 0


@dataclass(frozen=True, slots=True)
class Endings:
    """Every container that ended in trouble, and the sources of mounts of those that do not run."""

    now: float  # seconds since the epoch
    all: tuple[Ending, ...]
    sources: tuple[Source, ...] = ()

    def of(self, container: Container) -> Ending:
        """What is known of one container."""
        return next((e for e in self.all if e.container == container.id), Ending(container.id))

    def source(self, path: str) -> Source | None:
        """What lies at a path of the host, where it was looked at."""
        return next((s for s in self.sources if s.path == path), None)


def kept(container: Container) -> bool:
    """Whether Docker is told to keep it running."""
    return container.restart_policy in {"always", "unless-stopped", "on-failure"}


def last_try(container: Container) -> str:
    """When it last ran, or was made."""
    return max(container.created, container.finished)


def gave_up(container: Container) -> bool:
    """Whether Docker restarted it as often as it may."""
    limit = container.details.max_retries if container.details else 0
    return container.state == "exited" and container.exit_code != 0 and bool(limit) and container.restart_count >= limit


def restarted(container: Container) -> bool:
    """Whether Docker has just started it again, or is about to."""
    return container.state == "restarting" or (container.running and container.restart_count > 1)


def failed_lately(container: Container, now: float) -> bool:
    """Whether it ended with an error by itself a short while ago; one that Docker keeps was ended by somebody."""
    if container.state != "exited" or container.error or not container.exit_code:
        return False
    if kept(container):
        return gave_up(container)
    return seconds_since(container.finished, now) < LATELY


@probe(deadline=6, upstream=("engine.reachable", "engine.responsive"))
def endings(
    host: Host, endpoint: ChosenEndpoint, ping: DaemonPing, containers: Containers, networks: Networks | None
) -> Endings:
    """Look closer at those in trouble: one question for all their events, and one for each one's last words."""
    now = host.clock()
    # An engine in another machine or namespace has files of its own.
    here = endpoint.local and bool(networks) and not (networks and networks.elsewhere)
    known = [c for c in containers.all if c.details]
    again = [c for c in known if restarted(c) and (not c.running or seconds_since(c.started, now) < EVENTS_SINCE)]
    troubled = [*again, *(c for c in known if failed_lately(c, now) or (here and _unhappy(host, c)))][:MAX_ASKED]
    deaths = _deaths(host, endpoint, ping, now) if again else {}
    found = []
    looked_at = 0
    for container in troubled:
        since = now - EVENTS_SINCE if container.running else 0.0
        lines = tail(host, endpoint, ping, container.id, LOG_LINES, since)
        file, architecture = None, ""
        if looked_at < MAX_PROGRAMS and any(NOT_EXECUTED.search(line) for line in lines):
            looked_at += 1
            file, architecture = _program(host, endpoint, ping, container, lines)
        denied = tuple(_denied(host, endpoint, ping, container, lines)) if here else ()
        found.append(Ending(container.id, lines, deaths.get(container.id, ()), file, architecture, denied))
    return Endings(now, tuple(found), _sources(host, known) if here else ())


# -- events -----------------------------------------------------------------------------------------------------------


def _deaths(host: Host, endpoint: ChosenEndpoint, ping: DaemonPing, now: float) -> dict[str, tuple[Death, ...]]:
    chosen = {"type": ["container"], "event": ["start", "die", "oom", "kill"]}
    # Up to now, in the engine's own whole seconds: with an end in the future it would go on listening.
    window = f"since={int(now - EVENTS_SINCE)}&until={int(now)}"
    try:
        status, _, body = fetch(
            host, endpoint, ping, f"/events?{window}&filters={quote(json.dumps(chosen))}", 1.0, EVENTS_LIMIT
        )
    except Unmeasured:
        return {}
    return deaths_of(body.decode("utf-8", "replace")) if status == http.client.OK else {}


def deaths_of(events: str) -> dict[str, tuple[Death, ...]]:
    """Read the ends of containers out of the engine's events, one JSON object a line."""
    began: dict[str, float] = {}
    starved: set[str] = set()
    killed: set[str] = set()
    found: dict[str, tuple[Death, ...]] = {}
    for line in events.splitlines():
        try:
            event = table(json.loads(line))
        except ValueError:
            continue
        actor = table(event.get("Actor"))
        one, said = str(actor.get("ID") or ""), table(actor.get("Attributes"))
        nano = event.get("timeNano")
        at = nano / 1e9 if isinstance(nano, int) else 0.0
        match event.get("Action"):
            case "start":
                began[one] = at
                starved.discard(one)
                killed.discard(one)
            case "oom":
                starved.add(one)
            case "kill" if str(said.get("signal")) in ENDING_SIGNALS:
                killed.add(one)
            case "die":
                code = str(said.get("exitCode") or "")
                death = Death(
                    at,
                    int(code) if code.isdigit() else 0,
                    at - began.pop(one) if one in began else -1.0,
                    one in starved,
                    one in killed,
                )
                found[one] = (*found.get(one, ()), death)
    return found


# -- files ------------------------------------------------------------------------------------------------------------


def _program(
    host: Host, endpoint: ChosenEndpoint, ping: DaemonPing, container: Container, lines: tuple[str, ...]
) -> tuple[Program | None, str]:
    named = [m.group(1) for line in lines if (m := NOT_EXECUTED.search(line)) and m.group(1)]
    path = named[-1] if named else container.command[0]
    file = program(host, endpoint, ping, container.id, path) if path.startswith("/") else None
    image: Any = {}
    if container.details and container.details.image_id:
        with contextlib.suppress(Unmeasured):
            image = table(ask(host, endpoint, ping, f"/images/{quote(container.details.image_id)}/json"))
    return file, str(image.get("Architecture") or "")


def _identity(
    host: Host, endpoint: ChosenEndpoint, ping: DaemonPing, container: Container
) -> tuple[int, tuple[int, ...]] | None:
    """Who a container's program is, in the host's numbers: of its process, or of what it is told to be."""
    if container.running:
        status = host.text(f"/proc/{container.pid}/status")
        uid, groups = (
            re.search(r"^Uid:\s+(\d+)", status, re.MULTILINE),
            re.search(r"^Groups:\s*(.*)$", status, re.MULTILINE),
        )
        gid = re.search(r"^Gid:\s+(\d+)", status, re.MULTILINE)
        if uid and gid:
            more = tuple(int(g) for g in groups.group(1).split()) if groups else ()
            return int(uid.group(1)), (int(gid.group(1)), *more)
    name, _, group = (container.details.user if container.details else "").partition(":")
    if name.isdigit():
        return int(name), (int(group),) if group.isdigit() else (0,)
    if not name:
        return None
    try:
        status_code, _, body = fetch(
            host, endpoint, ping, f"/containers/{container.id}/archive?path=/etc/passwd", 1.0, 64 << 10
        )
    except Unmeasured:
        return None
    entry = re.search(rf"^{re.escape(name)}:[^:]*:(\d+):(\d+):", body.decode("utf-8", "replace"), re.MULTILINE)
    if status_code != http.client.OK or not entry:
        return None
    return int(entry.group(1)), (int(entry.group(2)),)


def _denied(
    host: Host, endpoint: ChosenEndpoint, ping: DaemonPing, container: Container, lines: tuple[str, ...]
) -> Iterator[Denied]:
    """What its last words call denied, among the files that it has from the host."""
    refusals = [line for line in lines if DENIED.search(line)]
    if not refusals or not container.details or container.details.root:
        return
    binds = [m for m in container.details.mounts if m.kind == "bind"]
    named = dict.fromkeys(p.rstrip(".") for line in refusals for p in PATH.findall(line))
    within = [(path, m) for path in named if (m := container.details.mount_of(path)) in binds and m]
    # "cannot open config.yml: permission denied": the mounts are all that there is to go by.
    chosen = within or ([] if named else [(m.destination, m) for m in binds if m.writable])
    who = _identity(host, endpoint, ping, container) if chosen else None
    if not who:
        return
    for path, mount in chosen[:4]:
        # The file itself where there is one, else the folder in which it was to be made.
        for source in (mount.behind(path), mount.behind(path).rpartition("/")[0], mount.source):
            try:
                seen = host.lstat(source) if source.startswith(mount.source) else None
            except OSError:  # a folder that is closed to us, too
                break
            if seen and not stat.S_ISLNK(seen.st_mode):
                mode, folder, acl = stat.S_IMODE(seen.st_mode), stat.S_ISDIR(seen.st_mode), host.has_acl(source)
                yield Denied(path, source, seen.st_uid, seen.st_gid, mode, folder, *who, acl)
            if seen:
                break


def _unhappy(host: Host, container: Container) -> bool:
    """Whether a running container is somebody who may not write where it was given a place to write."""
    given = container.details
    if not container.running or not given or given.root:
        return False
    for mount in given.mounts:
        if mount.kind != "bind" or not mount.writable:
            continue
        try:
            seen = host.lstat(mount.source)
        except OSError:
            continue
        name = given.user.partition(":")[0]
        if seen and not seen.st_mode & stat.S_IWOTH and str(seen.st_uid) != name:
            return True
    return False


def _sources(host: Host, known: list[Container]) -> tuple[Source, ...]:
    """Look at what mounts lead to, of containers that would have to find it again at their next start."""
    paths = dict.fromkeys(
        m.source
        for c in known
        if not c.running or c.restart_count
        for m in (c.details.mounts if c.details else ())
        if m.kind == "bind" and m.source.startswith("/")
    )
    found = []
    for path in list(paths)[:MAX_SOURCES]:
        try:
            seen = host.lstat(path)
        except OSError:
            continue
        kind = "missing"
        if seen:
            kind = "folder" if stat.S_ISDIR(seen.st_mode) else "socket" if stat.S_ISSOCK(seen.st_mode) else "file"
        found.append(Source(path, kind, kind == "folder" and not host.listdir(path), seen.st_uid if seen else 0))
    return tuple(found)

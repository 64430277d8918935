"""Containers that ask questions: made of nothing but the host's own Python, labelled, and removed."""

from __future__ import annotations

import contextlib
import http.client
import inspect
import json
import secrets
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from dockerdoctor.facts.api import Api, Refused, frames
from dockerdoctor.facts.containers import LABEL
from dockerdoctor.facts.endpoint import ChosenEndpoint, DaemonPing
from dockerdoctor.facts.engine import listed, table, texts
from dockerdoctor.host import Host
from dockerdoctor.incontainer import ask
from dockerdoctor.measure import Unmeasured
from dockerdoctor.web import HUB

# From create to answer takes half a second on an idle host; a dead nameserver adds its own timeout.
DEADLINE = 8.0
# Removing takes a quarter of a second; an engine that needs longer than this is left to the next run's sweep.
CLOSING = 3.0
NO_PYTHON = "this engine cannot borrow this host's Python, and no local image has one"
ANSWER_WITHIN = 2.5  # seconds that the questions get
LISTEN_PORT = 8080  # inside the container; any would do
EVERY_ADDRESS = "0.0.0.0"  # noqa: S104 - how others publish, and that is the question
CONTAINER_LIFE = 7  # seconds after which a container that nobody stopped ends by itself
# A container a minute old belongs to a doctor that was killed.
STALE_AFTER = 60.0
SYSTEM_PYTHON = "/usr/bin/python3"
EMPTY_TAR = b"\0" * 10240


@dataclass(frozen=True, slots=True)
class Questions:
    """What is asked in every place; see `dockerdoctor.incontainer.ask.answer`."""

    servers: tuple[str, ...] = ()
    names: tuple[str, ...] = (HUB,)
    records: tuple[tuple[str, str], ...] = ()  # name, type: asked of every server too, as a C library would
    lookups: tuple[str, ...] = ()
    exchanges: tuple[tuple[str, int, str, float], ...] = ()  # host, port, what to send, patience in seconds
    targets: tuple[tuple[str, int, str], ...] = ()  # likewise, without patience; held against nothing else
    pings: tuple[tuple[str, int], ...] = ()
    own: bool = True  # the place's own nameservers too
    deadline: float = ANSWER_WITHIN

    def payload(self) -> dict[str, Any]:
        """As the script reads it."""
        return {
            "dns": {"servers": list(self.servers), "names": list(self.names), "own": self.own},
            "records": [list(r) for r in self.records],
            "lookups": list(self.lookups),
            "exchanges": [list(e) for e in self.exchanges],
            "targets": [list(t) for t in self.targets],
            "pings": [list(p) for p in self.pings],
            "deadline": self.deadline,
        }


@dataclass(eq=False)
class Lab:
    """What one run of probe containers needs, and all that it must remove again."""

    host: Host
    api: Api
    bindable: bool = True  # the engine sees this host's files
    run_id: str = field(default_factory=lambda: secrets.token_hex(4))
    lock: threading.Lock = field(default_factory=threading.Lock)
    made: dict[str, str] = field(default_factory=dict)  # what must be removed: id or name → "container" | ...
    closed: threading.Event = field(default_factory=threading.Event)
    abandoned: bool = False

    def __post_init__(self) -> None:  # noqa: D105 - a thread needs its object
        self.sweeping = threading.Thread(target=self.sweep, daemon=True)

    @property
    def labels(self) -> dict[str, str]:
        """Marks everything as ours, and when it was made."""
        return {LABEL: self.run_id, f"{LABEL}.created": str(int(self.host.clock()))}

    def image(self) -> str:
        """Import an image of nothing, once: the interpreter comes from the host, so that nothing need be pulled."""
        name = f"dockerdoctor-probe:{self.run_id}"
        with self.lock:
            if name not in self.made:
                repository, _, tag = name.partition(":")
                changes = [f"LABEL {key}={value}" for key, value in self.labels.items()]
                query = {"fromSrc": "-", "repo": repository, "tag": tag, "changes": changes}
                said = self.api.call("POST", "/images/create", query=query, body=EMPTY_TAR)
                # What goes wrong after its first byte, the engine says in its answer and not with the status.
                if "errorDetail" in str(said):
                    raise Refused(0, str(table(said).get("error") or said)[:300])
                self.made[name] = "image"
        return name

    def body(self) -> tuple[str, str, list[str]]:
        """Image, interpreter and the host's folders it needs: the host's own Python, or else that of a local image."""
        if self.bindable:
            folders = [f for f in ("/usr", "/lib", "/lib32", "/lib64", "/libx32", "/bin") if self.host.exists(f)]
            if self.host.exists(SYSTEM_PYTHON):
                return self.image(), SYSTEM_PYTHON, folders
            prefix = sys.base_prefix
            program = str(getattr(sys, "_base_executable", sys.executable))
            # Not where ours is that of an image (dockerdoctor.inhost).
            if self.host.exists(program):
                return self.image(), program, [*folders, *([] if prefix.startswith("/usr") else [prefix])]
        for image in listed(self.api.call("GET", "/images/json")):
            for tag in texts(table(image).get("RepoTags")):
                if tag.rpartition("/")[2].startswith(("python:", "dockerdoctor:")):
                    return tag, "python3", []
        raise Unmeasured(NO_PYTHON, how="docker pull python:3.13-slim")

    def ask(
        self,
        network: str,
        questions: Questions,
        *,
        publish: int = 0,
        started: Callable[[], None] = lambda: None,
        answered: Callable[[dict[str, Any]], None] = lambda _: None,
    ) -> dict[str, Any]:
        """
        Run one container and return its answers; it is removed before this returns.

        With `publish`, the container listens and is published on that port of the host. `started` is called once it
        runs, and `answered` with the answers before it is removed. Raises Refused.
        """
        image, program, folders = self.body()
        said = questions.payload()
        if publish:
            said |= {"listen": LISTEN_PORT, "token": self.run_id, "linger": CONTAINER_LIFE}
        inner = f"{LISTEN_PORT}/tcp"
        made = self.api.call(
            "POST",
            "/containers/create",
            body={
                "Image": image,
                "Entrypoint": [],
                "Cmd": [program, "-I", "-S", "-c", inspect.getsource(ask), json.dumps(said)],
                "Labels": self.labels,
                # Docker's proxy settings for containers must not redirect our own questions.
                "Env": ["no_proxy=*", "NO_PROXY=*"],
                "ExposedPorts": {inner: {}} if publish else {},
                "HostConfig": {
                    "Binds": [f"{folder}:{folder}:ro" for folder in folders],
                    "NetworkMode": network,
                    "CapDrop": ["ALL"],
                    "ReadonlyRootfs": True,
                    "SecurityOpt": ["no-new-privileges", "label=disable"],
                    "LogConfig": {"Type": "json-file", "Config": {}},
                    "PortBindings": {inner: [{"HostIp": EVERY_ADDRESS, "HostPort": str(publish)}]} if publish else {},
                },
            },
        )
        container = str(table(made).get("Id") or "")
        self.made[container] = "container"
        try:
            pieces = self.api.attach(container)
            self.api.call("POST", f"/containers/{container}/start")
            started()
            answer = heard(pieces)
            answered(answer)
            return answer
        finally:
            self.remove(container)

    def make_network(self) -> str:
        """Create the temporary user-defined network; returns its name."""
        name = f"dockerdoctor-{self.run_id}"
        self.api.call(
            "POST",
            "/networks/create",
            body={"Name": name, "Driver": "bridge", "CheckDuplicate": True, "Labels": self.labels},
        )
        self.made[name] = "network"
        return name

    def remove(self, name: str) -> None:
        """Remove one thing that was made; what the engine refuses is left to the next run's sweep."""
        kind = self.made.pop(name, "")
        if not kind:
            return
        # `noprune` no, `force` yes: a container that runs is killed, and an image goes with its tag.
        query = {"container": {"force": 1, "v": 1}, "image": {"force": 1}}.get(kind)
        with contextlib.suppress(Refused):
            self.api.call("DELETE", f"/{kind}s/{quote(name)}", query=query)

    def sweep(self) -> None:
        """Remove what a killed run left behind, and of this run whatever is left once it is abandoned."""

        def ours(labels: dict[str, Any]) -> bool:
            created = str(labels.get(f"{LABEL}.created", "0"))
            age = self.host.clock() - float(created if created.isdigit() else 0)
            return age > STALE_AFTER or (labels.get(LABEL) == self.run_id and self.abandoned)

        query = {"filters": json.dumps({"label": [LABEL]})}
        listings: tuple[tuple[str, str, dict[str, Any]], ...] = (
            ("container", "/containers/json", {"all": 1}),
            ("network", "/networks", {}),
            ("image", "/images/json", {}),
        )
        for kind, target, more in listings:
            with contextlib.suppress(Refused):
                for item in map(table, listed(self.api.call("GET", target, query=query | more))):
                    if LABEL in table(item.get("Labels")) and ours(table(item.get("Labels"))):
                        self.made[str(item.get("Id"))] = kind
                        self.remove(str(item.get("Id")))

    def close(self) -> None:
        """Remove what is left, and wait for the sweep; containers have gone with their answers."""
        removing = [threading.Thread(target=self.remove, args=(name,), daemon=True) for name in tuple(self.made)]
        for thread in removing:
            thread.start()
        for thread in (*removing, self.sweeping):
            thread.join(DEADLINE)
        LABS.discard(self)
        self.closed.set()


def heard(pieces: Iterator[bytes]) -> dict[str, Any]:
    """Read a container's answers; raises Unmeasured with what it said instead."""
    data = b""
    with contextlib.suppress(OSError, http.client.HTTPException):
        for piece in pieces:
            data += piece
            if frames(data).endswith("\n"):
                break
    text = frames(data)
    try:
        return dict(json.loads(text.splitlines()[-1]))
    except (ValueError, IndexError):
        raise Unmeasured(f"the probe container said: {text.strip()[-300:] or 'nothing'}") from None


# Labs in use: what overdue probes hold must be removed by the main thread before it exits.
LABS: set[Lab] = set()


def open_lab(host: Host, endpoint: ChosenEndpoint, ping: DaemonPing) -> Lab:
    """A place to run probe containers in; `close` it."""
    lab = Lab(host, Api(host, endpoint, ping, DEADLINE), bindable=endpoint.local)
    LABS.add(lab)
    # Looking for what a killed run left behind costs three calls: they are made while the containers start.
    lab.sweeping.start()
    return lab


@contextlib.contextmanager
def probe_lab(host: Host, endpoint: ChosenEndpoint, ping: DaemonPing) -> Iterator[Lab]:
    """A place to run probe containers in; everything is removed on leaving."""
    lab = open_lab(host, endpoint, ping)
    try:
        yield lab
    finally:
        lab.close()


def sweep_abandoned() -> None:
    """
    Wait for labs that are being closed, and remove what is left of those that are not; for the main thread's exit.

    All of them get the same time, and each gets it once: an engine is slow for all alike.
    """
    until = time.monotonic() + CLOSING
    late = [lab for lab in tuple(LABS) if not lab.closed.wait(max(0.0, until - time.monotonic()))]
    # In threads, since an engine that hangs must not hang our exit; the next run sweeps what is left.
    sweeping = [threading.Thread(target=lab.sweep, daemon=True) for lab in late]
    for lab, thread in zip(late, sweeping, strict=True):
        lab.abandoned = True
        LABS.discard(lab)
        thread.start()
    until = time.monotonic() + CLOSING
    for thread in sweeping:
        thread.join(max(0.0, until - time.monotonic()))

"""What the stages of one run share: the way to the engine, and what they have made so far."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from dockerdoctor.examine import failed
from dockerdoctor.facts.endpoint import ChosenEndpoint, DaemonPing, Settings, mask_text
from dockerdoctor.facts.engine import client
from dockerdoctor.facts.probe_container import Lab
from dockerdoctor.host import INTERRUPTIONS, Host, failure_name
from dockerdoctor.measure import FactsView
from dockerdoctor.model import Finding, Report
from dockerdoctor.sample import source
from dockerdoctor.sample.builder import Builder, Client
from dockerdoctor.sample.judge import BuildLog, meaning
from dockerdoctor.sample.model import HostBase, Part, Wishes
from dockerdoctor.sample.progress import Progress
from dockerdoctor.sample.recipe import Packages
from dockerdoctor.sample.stream import ApiStream, Stream
from dockerdoctor.sample.surroundings import Surroundings

# What a run starts carries this label, so that the next one finds what a kill left behind.
LABEL = "io.dockerdoctor.sample"
# Another one for the image: containers have their image's labels, and a person's own container is none of ours.
IMAGE_LABEL = f"{LABEL}.image"
# And one for what is left running on purpose: the next run does not take it for a left-over.
STAYS = f"{LABEL}.stays"
CONTAINER_PORT = 80
# Creating and starting take half a second; an engine under load takes many times that.
ENGINE_PATIENCE = 60.0  # seconds


def _refusals() -> tuple[type[Exception], ...]:
    import docker.errors  # noqa: PLC0415 - heavy, and not every command needs it
    import requests  # noqa: PLC0415

    return (docker.errors.DockerException, requests.RequestException, OSError)


def _missing() -> type[Exception]:
    import docker.errors  # noqa: PLC0415 - heavy

    return docker.errors.NotFound


@dataclass
class Scene:
    """The state of one run; each stage reads what it needs and notes what it made."""

    host: Host
    settings: Settings
    wishes: Wishes
    progress: Progress
    id: str = field(default_factory=lambda: secrets.token_hex(4))
    refusals: tuple[type[Exception], ...] = field(default_factory=_refusals)  # an engine's, and of the way to it
    missing: type[Exception] = field(default_factory=_missing)
    facts: FactsView = field(default_factory=FactsView)
    streams: list[Stream] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)  # of the stage under way
    port: int = 0  # of this host
    base: str = ""  # the image that the build starts from
    own_base: HostBase | None = None  # it, where it is one of our own making
    packages: Packages = Packages.INDEX
    client: Client = field(default_factory=Client)
    builder: Builder = field(default_factory=lambda: Builder(buildkit=False, why=""))
    given: Surroundings = field(default_factory=Surroundings)
    build: BuildLog = field(default_factory=BuildLog)
    image: str = ""  # the id of the image that was built
    name_taken: bool = False  # the tutorial's name is an image of somebody else
    network: str = ""  # empty: the default bridge
    made_network: bool = False
    redis: str = ""  # who has the name `redis` on the network: "redis:7-alpine, started for this run"
    counts_from: int = 0  # what a new Redis counts first; 0: one that was there before has counted already
    container: str = ""
    stand_in: Lab | None = None  # what the container is made of, where the sample's own does not run
    python: str = "python"  # of the container
    bound: tuple[str, ...] = ()  # addresses of this host on which the engine publishes the port
    asked_inside: bool = False  # the page was had in the container alone
    page: str = ""
    over: bool = False  # nothing may be made any more
    stays: bool = False  # what runs is to stay
    making: threading.Lock = field(default_factory=threading.Lock)
    diagnosis: Report | None = None  # of the host

    # -- the engine

    def api(self, patience: float = ENGINE_PATIENCE) -> Any:
        """Give a client of the engine that the first stage found."""
        endpoint, ping = self.facts.of(ChosenEndpoint), self.facts.of(DaemonPing)
        if not (endpoint and ping):
            raise OSError("the engine was not found")
        return client(self.host, endpoint, ping, patience)

    def stream(self, call: Callable[[Any], Any]) -> Stream:
        """Start a long call on a client of its own, and keep it for hanging up."""
        api = self.api(self.wishes.timeout)
        stream = ApiStream(api, lambda: call(api))
        self.streams.append(stream)
        return stream

    @property
    def local(self) -> bool:
        """Whether the engine runs on this host."""
        endpoint = self.facts.of(ChosenEndpoint)
        return bool(endpoint and endpoint.local)

    @staticmethod
    def said(no: Exception) -> str:
        """Give the engine's own message."""
        if "Read timed out" in str(no):
            return "the engine did not answer in time"
        explanation = getattr(no, "explanation", None)
        if isinstance(explanation, bytes):
            explanation = explanation.decode("utf-8", "replace")
        return mask_text(str(explanation or no or failure_name(no)))

    def refused(self, no: Exception) -> Finding:
        """Judge what an engine refused, where the stage itself knows no more."""
        said = self.said(no)
        return failed(said, cause=meaning([said], "The engine refused, for the reason that it gives."))

    # -- what was made

    @property
    def labels(self) -> dict[str, str]:
        """Marks what this run starts."""
        staying = {STAYS: ""} if self.wishes.detached or self.wishes.keep else {}
        return {LABEL: self.id, f"{LABEL}.pid": str(os.getpid()), **staying}

    @property
    def image_name(self) -> str:
        """What the image is called: a person's own image is never replaced."""
        named = source.OTHER_IMAGE if self.name_taken else source.IMAGE
        return source.STAND_IN if self.own_base else named

    def name(self, what: str = "") -> str:
        """Name what this run makes."""
        return f"dockerdoctor-sample-{self.id}{what and '-'}{what}"

    @property
    def url(self) -> str:
        """Where the page will be."""
        endpoint = self.facts.of(ChosenEndpoint)
        where = endpoint.address[0] if endpoint and not endpoint.local else "localhost"
        where = f"[{where}]" if ":" in where else where
        return f"http://{where}:{self.port or self.wishes.port}"

    @contextlib.contextmanager
    def created(self) -> Iterator[None]:
        """Make something in the engine: never once all is being removed, and not cut short in between."""
        with held_back(), self.making:
            if self.over:
                raise OSError("the run has ended")
            yield

    def state(self) -> tuple[str, tuple[str, ...]]:
        """Whether the application runs, and what it said last."""
        api = self.api()
        state = api.inspect_container(self.container)["State"]
        text = str(state["Status"])
        if text == "exited":
            text += f" with status {state.get('ExitCode')}{', out of memory' if state.get('OOMKilled') else ''}"
        logs: list[str] = []
        # Some logging drivers cannot be read.
        with contextlib.suppress(*self.refusals):
            logs = api.logs(self.container, tail=8).decode("utf-8", "replace").splitlines()
        return text, tuple(line for line in logs if line.strip())


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Let Ctrl-C, kill and a lost terminal wait until the end of the block, so that nothing is half made or half removed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {number: signal.signal(number, lambda number, _: came.append(number)) for number in INTERRUPTIONS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])

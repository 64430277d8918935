"""What a sample run is made of: stages, their verdicts, and the report of them; no behaviour beyond counting."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any

from dockerdoctor.exits import ExitStatus
from dockerdoctor.model import Endpoint, Engine, Finding, Report, Result, Severity, Status
from dockerdoctor.sample.builder import BuilderWish
from dockerdoctor.sample.surroundings import Asked


@dataclass(frozen=True, slots=True)
class Stage:
    """
    One step of the run, named for ever; made by `@stage`.

    It is gone through once all that it needs was had. What one did not bring about may be had another way all the same,
    so that the stages after it are examined still: that is what `otherwise` tries, and it says how, or nothing.
    """

    id: str
    title: str  # the statement that should be true
    doing: str  # what is shown while it is under way
    needs: tuple[str, ...]  # ids of stages
    work: Callable[[Any], Finding]  # of the scene
    otherwise: Callable[[Any], str] | None = None  # of the scene, too
    aside: bool = False  # nothing after it waits for it


def stage(
    stage_id: str,
    *,
    title: str,
    doing: str,
    needs: Iterable[str] = (),
    otherwise: Callable[[Any], str] | None = None,
    aside: bool = False,
) -> Callable[[Callable[[Any], Finding]], Stage]:
    """Declare a stage: `def page(scene: Scene) -> Finding`; the title is what should be true."""

    def wrap(work: Callable[[Any], Finding]) -> Stage:
        return Stage(stage_id, title, doing, tuple(needs), work, otherwise, aside)

    return wrap


class BaseWish(str, Enum):
    """Where the image starts from."""

    AUTO = "auto"  # what the Dockerfile says, or else this host's own Python
    REGISTRY = "registry"  # that, or nothing
    HOST = "host"  # this host's own Python: nothing is pulled


@dataclass(frozen=True, slots=True)
class HostBase:
    """A base image of this host's own Python."""

    image: str
    python: str  # "3.11.2"
    pip: str = ""  # its version; empty where this host has none
    wheels: tuple[str, ...] = ()  # files
    lacking: str = ""  # why there are no wheels, where some were wanted

    @property
    def words(self) -> str:
        """What it is, for people."""
        return f"an image of this host's own Python {self.python}"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the caller asked for."""

    port: int = 4000  # 0: any that is free
    network: str = ""  # empty: the default bridge
    timeout: float = 600.0  # seconds that any one stage may take
    remove_image: bool = False
    base: BaseWish = BaseWish.AUTO
    base_image: str = ""  # in the place of the Dockerfile's
    builder: BuilderWish = BuilderWish.AUTO
    asked: Asked = field(default_factory=Asked)
    redis: bool = False  # start one, and have the visits counted
    stay: bool = False  # once all is well, do not remove it
    detached: bool = False  # nor when we have gone
    keep: bool = False  # leave what was started, however it ends


# A proxy that containers are not told of breaks nothing of the engine's, and yet every build that needs it.
RISKS: dict[str, tuple[str, ...]] = {"base-image": ("proxy.", "registry."), "build": ("proxy.",)}

# How the summary of a stage begins that was not examined, since another one failed.
NOT_REACHED = "not reached: "


@dataclass(frozen=True, slots=True)
class Part:
    """One of several things that a stage does: a step of the Dockerfile, a layer of an image."""

    name: str  # "Step 4/8 : RUN pip install -r requirements.txt"
    status: Status
    said: str = ""  # "from the cache"
    seconds: float = 0.0
    output: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a stage came to."""

    stage: Stage
    finding: Finding
    seconds: float = 0.0
    parts: tuple[Part, ...] = ()
    instead: str = ""  # how the stages after it were examined all the same: "a stand-in: this host's own Python"

    @property
    def failed(self) -> bool:
        """Whether this is broken."""
        return self.finding.status is Status.FAIL


@dataclass(frozen=True, slots=True)
class SampleReport:
    """Everything a renderer needs."""

    version: str  # of the doctor
    endpoint: Endpoint
    engine: Engine
    started: datetime  # UTC
    seconds: float
    image: str
    url: str
    verdicts: tuple[Verdict, ...]  # one for each stage, in order
    page: str = ""
    container: str = ""  # its id
    stays: bool = False  # the container was not removed
    notes: tuple[str, ...] = ()  # what the build was given of this host
    diagnosis: Report | None = None  # of the host; None where every stage passed, or the stage itself told the cause

    @property
    def failure(self) -> Verdict | None:
        """The first stage that failed."""
        return next((v for v in self.verdicts if v.failed), None)

    @property
    def sound(self) -> tuple[Verdict, ...]:
        """What was examined, and is well."""
        return tuple(v for v in self.verdicts if v.finding.status is Status.PASS)

    @property
    def root_causes(self) -> tuple[Result, ...]:
        """What is wrong with the host, as far as it can break anything; else the risks that break just this stage."""
        causes = self.diagnosis.root_causes if self.diagnosis else ()
        errors = tuple(r for r in causes if r.check.severity is Severity.ERROR)
        areas = RISKS.get(self.failure.stage.id, ()) if self.failure else ()
        return errors or tuple(r for r in causes if r.check.id.startswith(areas))

    @property
    def exit_status(self) -> ExitStatus:
        """Whether all stages passed."""
        return ExitStatus.FINDINGS if self.failure else ExitStatus.WELL

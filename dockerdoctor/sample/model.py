"""The stages of a sample run, their verdicts, and the report of them; no behaviour beyond counting."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from dockerdoctor.exits import ExitStatus
from dockerdoctor.model import Endpoint, Engine, Finding, Report, Result, Severity, Status


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of the run, named for ever."""

    id: str
    title: str  # the statement that should be true
    doing: str  # what is shown while it is under way


ENDPOINT = Stage("endpoint", "The engine answers", "Asking the engine")
PORT = Stage("port", "The port of this host is free", "Looking at the port")
BASE_IMAGE = Stage("base-image", "The base image is there", "Pulling the base image")
BUILD = Stage("build", "The image can be built", "Building the image")
START = Stage("start", "The container starts", "Starting the container")
PUBLISHED = Stage("published", "The engine publishes the container's port", "Looking for the published port")
PAGE = Stage("page", "The published port serves a page", "Fetching the page")
GREETING = Stage("greeting", "The page greets the world", "Reading the page")
HOSTNAME = Stage("hostname", "The page names the container", "Reading the page")
VISITS = Stage("visits", "The page counts visits, or says that it cannot", "Reading the page")
CLEANUP = Stage("cleanup", "What was started is gone again", "Removing what was started")
STAGES = (ENDPOINT, PORT, BASE_IMAGE, BUILD, START, PUBLISHED, PAGE, GREETING, HOSTNAME, VISITS, CLEANUP)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the caller asked for."""

    port: int = 4000
    network: str = ""  # empty: the default bridge
    timeout: float = 600.0  # seconds that any one stage may take
    remove_image: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a stage came to."""

    stage: Stage
    finding: Finding
    seconds: float = 0.0

    @property
    def failed(self) -> bool:
        """Whether the sample stopped here."""
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
    notes: tuple[str, ...] = ()  # what the build was given of this host
    diagnosis: Report | None = None  # of the host; None where every stage passed, or the stage itself told the cause

    @property
    def failure(self) -> Verdict | None:
        """The first stage that failed."""
        return next((v for v in self.verdicts if v.failed), None)

    @property
    def root_causes(self) -> tuple[Result, ...]:
        """What is wrong with the host, as far as it can break anything."""
        causes = self.diagnosis.root_causes if self.diagnosis else ()
        return tuple(r for r in causes if r.check.severity is Severity.ERROR)

    @property
    def exit_status(self) -> ExitStatus:
        """Whether all stages passed."""
        return ExitStatus.FINDINGS if self.failure else ExitStatus.WELL

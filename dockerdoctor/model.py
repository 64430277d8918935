"""What a diagnosis is made of: statuses, evidence, findings, results and the report; no behaviour beyond counting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from dockerdoctor.exits import ExitStatus


class Status(str, Enum):
    """What a check came to."""

    PASS = "pass"  # noqa: S105 - measured, and right
    FAIL = "fail"  # measured, and wrong
    SKIP = "skip"  # does not apply to this host, or was not asked for
    UNKNOWN = "unknown"  # a fact it needs could not be measured
    CRASH = "crash"  # our bug: the check itself raised


class Severity(str, Enum):
    """How bad it is when a check fails: a policy, set in the catalogue and never by a decision."""

    ERROR = "error"  # broken now, or at the next restart
    WARNING = "warning"  # a risk that breaks nothing yet
    INFO = "info"

    @property
    def rank(self) -> int:
        """Worst first."""
        return (Severity.ERROR, Severity.WARNING, Severity.INFO).index(self)


@dataclass(frozen=True, slots=True)
class Evidence:
    """One observation: where it was made and exactly what was there."""

    source: str  # "/etc/resolv.conf:2", "GET /info", "A registry-1.docker.io @10.0.0.1 udp, from the default bridge"
    saw: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check returns: only what depends on this host."""

    status: Status
    summary: str  # one line, with the measured value in it
    evidence: tuple[Evidence, ...] = ()
    cause: str = ""
    fix: tuple[str, ...] = ()  # commands ready to paste, in order; a step for a person begins with "#"
    automatic: bool = False  # `doctor fix` knows how; told from the commands, not by the check
    impact: str = ""  # what the fix interrupts
    because: tuple[str, ...] | None = None  # narrows Check.upstream to what was measured; None: any of it may explain


@dataclass(frozen=True, slots=True)
class Check:
    """The catalogue entry: only what does not depend on the host."""

    id: str  # "dns.loopback-resolver"; stable for ever, never reused
    title: str  # the statement that should be true
    severity: Severity  # of failing it
    docs: str  # upstream documentation
    upstream: tuple[str, ...]  # checks whose failure makes it impossible for this one to pass
    needs: dict[str, tuple[type, bool]]  # parameter → (fact, required)
    decide: Callable[..., Finding]  # its docstring is the long explanation


@dataclass(frozen=True, slots=True)
class Result:
    """A check, its finding, and what the diagnosis made of it."""

    check: Check
    finding: Finding
    because: tuple[str, ...] = ()  # root causes; empty when this is one, or is well
    seconds: float = 0.0  # of the slowest measurement it rests on
    ignored: str = ""  # why its failing is accepted; then it is no root cause, and counts for nothing


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Which engine was examined, and why that one."""

    url: str = ""
    source: str = ""  # "--host", "DOCKER_HOST", "context NAME", "default"


@dataclass(frozen=True, slots=True)
class Engine:
    """The engine behind the endpoint; empty strings where it did not say."""

    version: str = ""
    api: str = ""
    os: str = ""
    kernel: str = ""


class Mark(str, Enum):
    """What came of reaching one target from one place."""

    OK = "ok"
    FAIL = "fail"
    UNKNOWN = "unknown"  # not measured, and why
    NONE = "none"  # nobody there needs it


@dataclass(frozen=True, slots=True)
class Cell:
    """One target, from one place."""

    mark: Mark
    said: str = ""  # what was seen: "NOERROR", "no answer"; or why nothing was measured
    seconds: float | None = None  # until the answer came; None where that was not measured


@dataclass(frozen=True, slots=True)
class Row:
    """One target, from every place."""

    target: str  # "nameserver 10.0.0.53"
    cells: tuple[Cell, ...]  # one for each of the matrix's places


@dataclass(frozen=True, slots=True)
class Matrix:
    """What is reached from where; without rows where nothing could be asked."""

    places: tuple[str, ...] = ("host", "daemon", "default bridge", "user network", "build")
    rows: tuple[Row, ...] = ()
    build: str = ""  # how that place was judged


@dataclass(frozen=True, slots=True)
class Report:
    """Everything a renderer needs."""

    version: str  # of the doctor
    endpoint: Endpoint
    engine: Engine
    started: datetime  # UTC
    seconds: float
    results: tuple[Result, ...]  # catalogue order
    crashes: tuple[str, ...] = field(default=())  # tracebacks of our own bugs, for --verbose
    matrix: Matrix = field(default=Matrix())

    @property
    def root_causes(self) -> tuple[Result, ...]:
        """The failures that nothing else explains, errors first, then in catalogue order."""
        roots = [r for r in self.results if r.finding.status is Status.FAIL and not r.because and not r.ignored]
        return tuple(sorted(roots, key=lambda r: r.check.severity.rank))

    @property
    def ignored(self) -> tuple[Result, ...]:
        """The failures that somebody has accepted, with a reason."""
        return tuple(r for r in self.results if r.ignored)

    def symptoms_of(self, check_id: str) -> tuple[Result, ...]:
        """What follows from one root cause."""
        return tuple(r for r in self.results if check_id in r.because)

    @property
    def counts(self) -> dict[Status, int]:
        """How many checks came to each status."""
        counted = Counter(r.finding.status for r in self.results)
        return {status: counted[status] for status in Status}

    def exit_status(self, fail_on: Severity = Severity.ERROR) -> ExitStatus:
        """Root causes and symptoms count alike; what is unknown, or ignored, never does."""
        if self.counts[Status.CRASH]:
            return ExitStatus.BUG
        failed = (r for r in self.results if r.finding.status is Status.FAIL and not r.ignored)
        if any(r.check.severity.rank <= fail_on.rank for r in failed):
            return ExitStatus.FINDINGS
        return ExitStatus.WELL

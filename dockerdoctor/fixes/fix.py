"""`doctor fix` from start to end: examine, plan each root cause's own fix, ask, carry out, prove by examining again."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from dockerdoctor.diagnose import examination
from dockerdoctor.exits import ExitStatus
from dockerdoctor.facts.caller import Caller
from dockerdoctor.facts.containers import Container, Containers
from dockerdoctor.facts.daemon_json import DaemonJson, StartFlags
from dockerdoctor.facts.endpoint import DEFAULT_SOCKET, ChosenEndpoint, Settings
from dockerdoctor.facts.engine import EngineInfo, Installed
from dockerdoctor.fixes import fix_dns
from dockerdoctor.fixes.accepted import refusal
from dockerdoctor.fixes.aftermath import Patient, fallen, fell, still_sick, to_tell, unpublished, vanishes
from dockerdoctor.fixes.daemon_json import NotAnObject
from dockerdoctor.fixes.dns import RETURNING, Ending, Verdict, diff_of
from dockerdoctor.fixes.shell import NotOurs
from dockerdoctor.fixes.steps import Run, Running, State, Step, restarts_dockerd, starts_dockerd
from dockerdoctor.fixes.treatment import (
    Refused,
    StepFailed,
    StillSick,
    Stranded,
    Treatment,
    carry_out,
    files,
    insist,
    running,
    start,
    starting,
    why,
    words,
)
from dockerdoctor.fixes.vocabulary import is_fix_dns, understand
from dockerdoctor.host import FileState, Host, Linked
from dockerdoctor.measure import FactsView
from dockerdoctor.model import Report, Result, Severity, Status
from dockerdoctor.paste import bare

# What was restarted needs a moment, and a flow of UDP is remembered the old way for half a minute
# (nf_conntrack_udp_timeout); a proof that fails for longer is none.
PROOF_DEADLINE = 40.0  # seconds
PROOF_PAUSE = 1.0


class Outcome(str, Enum):
    """What became of one root cause."""

    PLANNED = "planned"
    BY_HAND = "by-hand"  # its fix is not one that the doctor can take back
    DECLINED = "declined"
    REFUSED = "refused"
    APPLIED = "applied"
    ROLLED_BACK = "rolled-back"
    STRANDED = "stranded"

    @property
    def exit_status(self) -> ExitStatus:
        """The documented exit code."""
        return EXITS.get(self, ExitStatus.FINDINGS)


FOR_GOOD = "it takes away for good what no `doctor undo` brings back, and --irreversible was not said"
EXITS = {
    Outcome.PLANNED: ExitStatus.WELL,
    Outcome.APPLIED: ExitStatus.WELL,
    Outcome.ROLLED_BACK: ExitStatus.ROLLED_BACK,
    Outcome.STRANDED: ExitStatus.STRANDED,
}


@dataclass(frozen=True, slots=True)
class Treated:
    """One root cause, what would be or was done about it, and how that ended."""

    check: str
    summary: str
    outcome: Outcome
    reason: str = ""  # one line: why not, or what went wrong
    diff: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()  # besides the files
    advice: tuple[str, ...] = ()  # what to know before; each begins with "#"
    impact: tuple[str, ...] = ()
    forever: tuple[str, ...] = ()  # what it takes away for good: no `doctor undo` brings that back
    journal: str = ""  # its id there
    next: tuple[str, ...] = ()  # for a person; a step begins with "#"


@dataclass(frozen=True, slots=True)
class Order:
    """What the person at the command line asked for."""

    ids: tuple[str, ...] = ()  # checks; none: every root cause that is an error
    write: bool = False
    named: tuple[str, ...] = ()  # those of them that were named in full: a symptom stands for its causes
    irreversible: bool = False  # what takes something away for good may be done, too


def fix(
    host: Host,
    settings: Settings,
    order: Order,
    *,
    agreed: Callable[[Treated], bool],
    observe: Callable[[str], None] = lambda _: None,
) -> tuple[Treated, ...]:
    """
    Plan the fixes of the root causes, and when asked to and `agreed` carry them out, one after the other.

    After each the host is examined anew: what it led to is gone by then, and need not be treated.
    """
    observe("examining this host")
    patient = _examine(host, settings)

    def by_fix_dns(root: Result) -> Treated:
        """Nameservers are chosen by asking them: that has a command of its own."""
        asked = fix_dns.Order(order.write)
        verdict = fix_dns.fix_dns(
            host, settings, asked, agreed=lambda verdict: agreed(of_verdict(root, verdict)), observe=observe
        )
        return of_verdict(root, verdict)

    dark = untold(patient.report, order)
    if not order.write:
        roots = chosen(patient.report, order)
        return (
            *(by_fix_dns(root) if _is_fix_dns(root) else plan(root, patient, host)[0] for root in roots),
            *dark,
        )
    done: list[Treated] = []
    while root := next((r for r in chosen(patient.report, order) if r.check.id not in {t.check for t in done}), None):
        if _is_fix_dns(root):
            treated, treatment = by_fix_dns(root), None
            patient = _examine(host, settings)
        else:
            treated, treatment = plan(root, patient, host)
        if treatment and not host.is_root:
            caller = patient.facts.of(Caller)
            again = f"sudo {caller.doctor if caller else 'doctor'} fix {root.check.id} --write"
            treated = replace(treated, outcome=Outcome.REFUSED, reason="only root may do this", next=(again,))
        elif treatment and treated.forever and not order.irreversible:
            # A yes is soon said: what nobody can bring back is asked for by name.
            again = f"doctor fix {root.check.id} --write --irreversible"
            treated = replace(treated, outcome=Outcome.REFUSED, reason=FOR_GOOD, next=(*treated.advice, again))
        elif treatment and not agreed(treated):
            treated = replace(treated, outcome=Outcome.DECLINED, reason="nothing was changed")
        elif treatment and plan(root, patient, host)[1] != treatment:
            # Whoever was asked may have thought for an hour: rules, services, files are no more what the plan was made for.
            reason = "this host has changed since the plan was shown"
            treated = replace(treated, outcome=Outcome.REFUSED, reason=reason, next=("# run doctor fix again",))
        elif treatment:
            before, later = patient, next_session(host, treated.next)
            treated, patient = _carry_out(treated, treatment, before, (host, later), settings, observe)
            if treated.outcome is Outcome.APPLIED:
                host = later
            treated = replace(treated, next=(*treated.next, *to_tell(root.check.id, before, patient)))
        done.append(treated)
        if treated.outcome is Outcome.STRANDED:
            break
    return (*done, *dark)


def next_session(host: Host, remains: Iterable[str]) -> Host:
    """Give the host as a session sees it that begins after the fix: without what the caller's shell is to forget."""
    names = {name for line in remains if line.startswith("unset ") for name in line.split()[1:]}
    return host.without(names) if names else host


def _is_fix_dns(root: Result) -> bool:
    return is_fix_dns(map(bare, root.finding.fix))


def _examine(host: Host, settings: Settings) -> Patient:
    facts, report = examination(host, settings)
    return Patient(report, FactsView(facts))


def chosen(report: Report, order: Order) -> tuple[Result, ...]:
    """Give the root causes asked for; one that was named and follows from others stands for these."""
    if order.ids:
        causes = {cause for r in report.results if r.check.id in order.named for cause in r.because}
        return tuple(r for r in report.root_causes if r.check.id in {*order.ids, *causes})
    return tuple(r for r in report.root_causes if r.check.severity is Severity.ERROR)


def untold(report: Report, order: Order) -> tuple[Treated, ...]:
    """Give what was named and could not be examined: nothing to do is not what that means."""
    return tuple(
        Treated(r.check.id, r.finding.summary, Outcome.REFUSED, "it could not be examined", next=r.finding.fix)
        for r in report.results
        if r.check.id in order.named and r.finding.status in {Status.UNKNOWN, Status.CRASH} and not r.because
    )


def of_verdict(root: Result, verdict: Verdict) -> Treated:
    """What fix-dns has to say, in the words of all fixes."""
    return Treated(
        root.check.id,
        root.finding.summary,
        OF_ENDING[verdict.ending],
        verdict.reason,
        verdict.diff,
        impact=verdict.impact.words if verdict.impact else (),
        journal=verdict.journal,
        next=() if verdict.ending is Ending.PLANNED else verdict.next,
    )


OF_ENDING = {
    Ending.NOTHING_TO_DO: Outcome.BY_HAND,
    Ending.PLANNED: Outcome.PLANNED,
    Ending.DECLINED: Outcome.DECLINED,
    Ending.REFUSED: Outcome.REFUSED,
    Ending.WRITTEN: Outcome.APPLIED,
    Ending.APPLIED: Outcome.APPLIED,
    Ending.ROLLED_BACK: Outcome.ROLLED_BACK,
    Ending.STRANDED: Outcome.STRANDED,
}


# -- planning


def plan(root: Result, patient: Patient, host: Host) -> tuple[Treated, Treatment | None]:
    """Turn a finding's own fix into a treatment; None where it is left to a person, and why."""
    finding, check = root.finding, root.check.id
    treated = Treated(check, finding.summary, Outcome.BY_HAND, next=finding.fix)
    endpoint = patient.facts.of(ChosenEndpoint)
    try:
        understood = understand(map(bare, finding.fix), host)
    except NotOurs as no:
        return replace(treated, reason=str(no)), None
    if endpoint and not endpoint.local and any(isinstance(step, Run) for step in understood.steps):
        return replace(treated, reason=f"the engine at {endpoint.url} is on another host"), None
    if endpoint and _elsewhere(endpoint, host) and any(_of_docker(step) for step in understood.steps):
        reason = f"its commands are for the engine that docker itself chooses, and {endpoint.url} was chosen here"
        return replace(treated, reason=reason), None
    session = [step for step in understood.remains if not step.startswith("#")]
    if session and not (understood.steps and all(step.startswith("unset ") for step in session)):
        # Of the caller's shell: the doctor was started by it, and could prove nothing.
        return replace(treated, reason="it takes a session of its own to try"), None
    if not understood.steps:
        return replace(treated, reason="its fix is a decision, not a command"), None
    steps, impact = with_containers(_not_into_failure(understood.steps, patient.facts, host), patient.facts)
    socket = (
        endpoint.socket_path
        if endpoint and any(isinstance(step, Run) and starts_dockerd(step.argv) for step in steps)
        else ""
    )
    treatment = Treatment(check, finding.summary, steps, socket)
    return replace(
        treated,
        outcome=Outcome.PLANNED,
        diff=tuple(_diff(steps)),
        commands=tuple(_commands(steps)),
        advice=understood.advice,
        forever=tuple(step.forever for step in steps if isinstance(step, Run) and step.forever),
        impact=impact or ((finding.impact,) if finding.impact else ()),
        next=understood.remains,
    ), treatment


def _elsewhere(endpoint: ChosenEndpoint, host: Host) -> bool:
    """Whether an engine was named on the command line, and is not the one that everybody means."""
    named = endpoint.source.startswith("--")
    return named and host.real_path(endpoint.socket_path) != host.real_path(DEFAULT_SOCKET)


def _of_docker(step: Step) -> bool:
    return isinstance(step, Run) and step.argv[0] == "docker"


def _not_into_failure(steps: tuple[Step, ...], facts: FactsView, host: Host) -> tuple[Step, ...]:
    """With a file that dockerd refuses, its restart is no part of the way back: it runs on with what it has read."""
    installed, start, config = facts.of(Installed), facts.of(StartFlags), facts.of(DaemonJson)
    if not (installed and config and config.exists):
        return steps
    states = files(steps).get(host.real_path(config.path))
    was = states[0] if states else None
    if not isinstance(was, FileState):
        return steps
    with contextlib.suppress(NotAnObject):
        if not refusal(host, installed, start.flags if start else (), was.data):
            return steps
    return tuple(
        replace(step, again=(), back=()) if isinstance(step, Run) and starts_dockerd(step.argv) else step
        for step in steps
    )


def _diff(steps: Iterable[Step]) -> Iterator[str]:
    for path, (before, *_, after) in files(tuple(steps)).items():
        yield from diff_of(path, _shown(before), _shown(after) or b"")


def _shown(state: State) -> bytes | None:
    """A link as a line of its own."""
    if isinstance(state, Linked):
        return f"(a link to {state.target})\n".encode()
    return state.data if state else None


def with_containers(steps: tuple[Step, ...], facts: FactsView) -> tuple[tuple[Step, ...], tuple[str, ...]]:
    """Start again what a restart of the daemon stops and its restart policy leaves stopped; tell what is interrupted."""
    if not any(isinstance(step, Run) and restarts_dockerd(step.argv) for step in steps):
        return steps, ()
    containers, info = facts.of(Containers), facts.of(EngineInfo)
    if not containers:
        return steps, ("restarts dockerd",)
    there = containers.running
    paused = [c for c in containers.all if c.state == "paused"]
    if not (there or paused):
        return steps, ("restarts dockerd; no container runs",)
    if info and info.live_restore:
        return steps, (f"restarts dockerd; these keep running (live-restore): {_names([*there, *paused])}",)
    returning = [c for c in there if not vanishes(c)]
    mine = tuple(c.name for c in reversed(returning) if c.restart_policy not in RETURNING)
    lines = tuple(
        f"restarts dockerd; these {what}: {_names(among)}"
        for what, among in (
            ("stop and start again", returning),
            ("stop and remove themselves (--rm)", [c for c in there if vanishes(c)]),
            ("are paused, and stop", paused),
        )
        if among
    )
    if not mine:
        return steps, lines
    # Right before: whatever comes of the restart, they are started again.
    first = next(at for at, step in enumerate(steps) if isinstance(step, Run) and restarts_dockerd(step.argv))
    return (*steps[:first], Running(mine), *steps[first:]), lines


def _names(containers: Iterable[Container]) -> str:
    return ", ".join(c.name for c in containers)


def _commands(steps: Sequence[Step]) -> Iterator[str]:
    yield from (words(step) for step in steps if isinstance(step, Run))
    yield from (shlex.join(starting(step.names)) for step in steps if isinstance(step, Running))


# -- carrying out


def _carry_out(
    treated: Treated,
    treatment: Treatment,
    before: Patient,
    hosts: tuple[Host, Host],
    settings: Settings,
    observe: Callable[[str], None],
) -> tuple[Treated, Patient]:
    """Do it, and give the host as it is now: what proved the fix, or, once all was put back, a look of its own."""
    (host, later), proven = hosts, before

    def problem() -> str:
        nonlocal proven
        proven = _examine(later, settings)
        stopped = fallen(before.facts, proven.facts, treatment.steps)
        # One may have needed another that was not up yet: as its restart policy would, had it one.
        start([c.name for c in stopped if c.name in running(treatment.steps)], host)
        return (
            still_sick(treated.check, before.report, proven.report)
            or fell(stopped)
            or unpublished(before.facts, proven.facts)
        )

    def proof() -> None:
        observe("examining this host again")
        insist(problem, host, PROOF_DEADLINE, PROOF_PAUSE)

    try:
        journal = carry_out(treatment, host, proof, observe)
    except Refused as no:
        treated = replace(treated, outcome=Outcome.REFUSED, reason=no.reason, next=no.manual)
    except Stranded as no:
        treated = replace(treated, outcome=Outcome.STRANDED, reason=no.reason, next=no.commands)
    except (OSError, StepFailed, StillSick) as no:
        treated = replace(treated, outcome=Outcome.ROLLED_BACK, reason=why(no))
    else:
        return replace(treated, outcome=Outcome.APPLIED, journal=journal.id), proven
    return treated, _examine(host, settings)

"""What a fix has made of a host: whether it is well by now, and what a person is to be told; pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from dockerdoctor.facts.containers import Container, Containers
from dockerdoctor.fixes.steps import Run, Step, restarts_dockerd
from dockerdoctor.measure import FactsView
from dockerdoctor.model import Report, Severity, Status


@dataclass(frozen=True, slots=True)
class Patient:
    """The host as it was last examined."""

    report: Report
    facts: FactsView


def still_sick(check: str, before: Report, after: Report) -> str:
    """Say what is not as it should be: the check that was to pass, or one that passed before; empty when all is well."""
    was = {r.check.id: r.finding.status for r in before.results}
    if check not in {r.check.id for r in after.results}:
        return f"{check} was not examined"
    for result in after.results:
        status = result.finding.status
        if result.check.id == check and status not in {Status.PASS, Status.SKIP}:
            return f"{check}: {result.finding.summary}"
        if result.check.severity is Severity.ERROR and was.get(result.check.id) is Status.PASS:
            if status is Status.FAIL:
                return f"{result.check.id}, which was well before: {result.finding.summary}"
            # What can no longer be seen is not known to be well.
            if status in {Status.UNKNOWN, Status.CRASH}:
                return f"{result.check.id}, which was well before, cannot be told any more: {result.finding.summary}"
    return ""


def interrupts(steps: Iterable[Step]) -> bool:
    """Whether steps may stop containers."""
    return any(isinstance(step, Run) and (restarts_dockerd(step.argv) or step.argv[0] == "docker") for step in steps)


def fallen(before: FactsView, after: FactsView, steps: Sequence[Step]) -> tuple[Container, ...]:
    """Give the containers that steady ran before and do not now, though the steps were not to end them: no check sees these."""
    was, now = before.of(Containers), after.of(Containers)
    if not (was and now and interrupts(steps)):
        return ()
    stopped = {
        name for step in steps if isinstance(step, Run) and step.argv[:2] == ("docker", "stop") for name in step.argv
    }
    there = {c.id: c for c in now.all}
    return tuple(
        there.get(c.id, c)
        for c in was.running
        if not (stopped & {c.name, c.id, c.short_id})
        and not c.restart_count  # one that falls again and again did so before
        and not vanishes(c)
        and not _runs_or_is_done(there.get(c.id))
    )


def vanishes(container: Container) -> bool:
    """Whether it removes itself when it stops."""
    return bool(container.details and container.details.auto_remove)


def _runs_or_is_done(container: Container | None) -> bool:
    return container is not None and (container.running or (container.state == "exited" and container.exit_code == 0))


def fell(containers: Iterable[Container]) -> str:
    """Say it in a line; empty when there are none."""
    return "; ".join(
        f"container {c.name}, which ran before, does not run now: {c.error or c.status}" for c in containers
    )


def unpublished(before: FactsView, after: FactsView) -> str:
    """Say which containers that run publish a port no more; empty when none."""
    return "; ".join(
        f"container {name}, which published {port}/{protocol} before, does not now"
        for name, now, was in _both(before, after)
        for port, protocol in sorted(set(was) - set(now))
    )


def _both(
    before: FactsView, after: FactsView
) -> Iterator[tuple[str, dict[tuple[int, str], int], dict[tuple[int, str], int]]]:
    """Give the ports of each container that runs now and ran before: now, and then."""
    was, now = before.of(Containers), after.of(Containers)
    if was and now:
        then = {c.id: _ports(c) for c in was.running}
        yield from ((c.name, _ports(c), then[c.id]) for c in now.running if c.id in then)


def _ports(container: Container) -> dict[tuple[int, str], int]:
    return {(p.container_port, p.protocol): p.host_port for p in container.ports if p.host_port}


def to_tell(check: str, before: Patient, after: Patient) -> Iterator[str]:
    """Say what is otherwise than before, and was worth no going back."""
    was, now = before.facts.of(Containers), after.facts.of(Containers)
    if was and now:
        running, there = {c.id for c in now.running}, {c.id for c in now.all}
        for c in was.running:
            if c.id not in there:
                yield f"# {c.name} ran before, and is gone now"
            elif c.id not in running:
                yield f"# {c.name} ran before, and does not run now; see docker logs {c.name}"
    for name, ports, old in _both(before.facts, after.facts):
        for (port, protocol), number in ports.items():
            if old.get((port, protocol), number) != number:
                yield f"# {name} publishes {port}/{protocol} at {number} now, and not at {old[port, protocol]} any more"
    yield from (
        f"# {r.check.id}, which did not fail before: {r.finding.summary}"
        for r in after.report.results
        if r.check.id != check and r.finding.status is Status.FAIL and not r.because
        # What was unknown may have been so before.
        if _status(before.report, r.check.id) in {Status.PASS, Status.SKIP}
    )


def _status(report: Report, check: str) -> Status | None:
    return next((r.finding.status for r in report.results if r.check.id == check), None)

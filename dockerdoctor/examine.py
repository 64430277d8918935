"""From facts to a report: run every check, then fold symptoms under their causes. Pure."""

from __future__ import annotations

import traceback
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from dockerdoctor.diagnosis import root_causes
from dockerdoctor.measure import Missing, Probe, arguments, needs_of
from dockerdoctor.model import Check, Evidence, Finding, Result, Severity, Status


def check(
    check_id: str, *, title: str, severity: Severity, docs: str, upstream: Iterable[str] = ()
) -> Callable[[Callable[..., Finding]], Check]:
    """Declare a check: `def decide(fact: Fact, other: Other | None) -> Finding`; the title is what should be true."""

    def wrap(decide: Callable[..., Finding]) -> Check:
        return Check(check_id, title, severity, docs, tuple(upstream), needs_of(decide), decide)

    return wrap


def passed(summary: str, *evidence: Evidence) -> Finding:
    """Measured, and right."""
    return Finding(Status.PASS, summary, evidence)


def failed(
    summary: str,
    *evidence: Evidence,
    cause: str,
    fix: Iterable[str] = (),
    impact: str = "",
    because: Iterable[str] | None = None,
) -> Finding:
    """Measured, and wrong. `because` narrows the upstream checks to those that the measurement leaves possible."""
    return Finding(
        Status.FAIL,
        summary,
        evidence,
        cause,
        tuple(fix),
        impact=impact,
        because=None if because is None else tuple(because),
    )


def skipped(reason: str) -> Finding:
    """Does not apply to this host."""
    return Finding(Status.SKIP, reason)


def unknown(reason: str, *evidence: Evidence, how: str = "") -> Finding:
    """Could not be told, and why; `how` is the way to find out."""
    return Finding(Status.UNKNOWN, reason, evidence, fix=(how,) if how else ())


def decide(one: Check, facts: Mapping[type, Any]) -> tuple[Finding, str]:
    """Run one check; returns its finding, and the traceback when it crashed."""
    picked = arguments(one.needs, facts)
    if isinstance(picked, Missing):
        if picked.crashed:
            return Finding(Status.UNKNOWN, f"could not be measured: {picked.reason}"), picked.crashed
        status = Status.SKIP if picked.skipped else Status.UNKNOWN
        return Finding(status, picked.reason, fix=(f"# {picked.how}",) if picked.how else ()), ""
    try:
        return one.decide(**picked), ""
    except Exception as bug:  # noqa: BLE001 - the other of two places: a crashed check is a result of its own
        return Finding(Status.CRASH, f"this check crashed: {type(bug).__name__}: {bug}"), traceback.format_exc()


def inherited_upstream(one: Check, probes: Mapping[type, Probe]) -> frozenset[str]:
    """The checks that explain a fact this check needs being missing, through all that the fact rests on."""
    found: set[str] = set()
    queue = [fact for fact, required in one.needs.values() if required]
    seen: set[type] = set()
    while queue:
        fact = queue.pop()
        if fact in seen or fact not in probes:
            continue
        seen.add(fact)
        found |= set(probes[fact].upstream)
        queue.extend(need for need, required in probes[fact].needs.values() if required)
    return frozenset(found - {one.id})


def examine(
    checks: Iterable[Check],
    facts: Mapping[type, Any],
    probes: Iterable[Probe],
    seconds: Mapping[type, float] | None = None,
    ignored: Mapping[str, str] = types.MappingProxyType({}),
) -> tuple[tuple[Result, ...], tuple[str, ...]]:
    """
    Decide every check and diagnose; returns the results in catalogue order, and the tracebacks of our bugs.

    What fails and is `ignored` (id → reason) explains nothing either: what follows from it is still to be seen.
    """
    checks = tuple(checks)
    by_fact = {p.fact: p for p in probes}
    findings: dict[str, Finding] = {}
    crashes: dict[str, None] = {}
    for one in checks:
        findings[one.id], crash = decide(one, facts)
        if crash:
            crashes[crash] = None
    upstream: dict[str, frozenset[str]] = {}
    for one in checks:
        finding = findings[one.id]
        if finding.status is Status.FAIL:
            allowed = finding.because if finding.because is not None else one.upstream
            upstream[one.id] = frozenset(allowed)
        else:
            upstream[one.id] = frozenset(one.upstream) | inherited_upstream(one, by_fact)
    accepted = {c: ignored[c] for c, f in findings.items() if f.status is Status.FAIL and c in ignored}
    because = root_causes({c: f.status for c, f in findings.items() if c not in accepted}, upstream)
    order = {one.id: i for i, one in enumerate(checks)}
    took = seconds or {}
    return tuple(
        Result(
            one,
            findings[one.id],
            tuple(sorted(because.get(one.id, ()), key=order.__getitem__)),
            round(max((took.get(fact, 0.0) for fact, _ in one.needs.values()), default=0.0), 3),
            accepted.get(one.id, ""),
        )
        for one in checks
    ), tuple(crashes)

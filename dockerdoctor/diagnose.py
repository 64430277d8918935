"""From a host to a report: measure what the checks need, decide, diagnose. What every command that diagnoses calls."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timezone

from dockerdoctor import __version__
from dockerdoctor.checks import CATALOGUE
from dockerdoctor.examine import examine
from dockerdoctor.facts.caller import Caller
from dockerdoctor.facts.endpoint import ChosenEndpoint, Settings
from dockerdoctor.facts.engine import EngineInfo, EngineVersion
from dockerdoctor.facts.probe_container import sweep_abandoned
from dockerdoctor.facts.probes import PROBES
from dockerdoctor.fixes.vocabulary import automatic
from dockerdoctor.host import Host
from dockerdoctor.matrix import matrix_of
from dockerdoctor.measure import Facts, FactsView, measure, required_probes
from dockerdoctor.model import Check, Endpoint, Engine, Finding, Report
from dockerdoctor.paste import ready

# Longest that any measurement may take: what hangs must not hang the doctor.
PATIENCE = 10.0  # seconds


def measure_host(
    host: Host,
    settings: Settings,
    checks: Iterable[Check],
    *,
    passive: bool = False,
    patience: float = PATIENCE,
    also: Iterable[type] = (),
) -> tuple[Facts, dict[type, float]]:
    """
    Measure what the checks need, what a report's heading does, and what else is asked for.

    Probe containers are still being removed when this returns: `sweep_abandoned` waits for that.
    """
    wanted = {fact for one in checks for fact, _ in one.needs.values()} | {
        Caller,
        ChosenEndpoint,
        EngineVersion,
        EngineInfo,
        *also,
    }
    probes = tuple(replace(p, deadline=min(p.deadline, patience)) for p in required_probes(PROBES, wanted))
    return measure(probes, host, {Settings: settings}, passive=passive)


def report_on(
    facts: Facts,
    checks: Iterable[Check] = CATALOGUE,
    seconds: Mapping[type, float] | None = None,
    began: tuple[datetime, float] | None = None,
) -> Report:
    """Decide, diagnose, and put the report together; `began` is when measuring did, by the calendar and by the clock."""
    started, clock = began or now()
    settings = FactsView(facts).of(Settings) or Settings()
    ignored = {one.check: one.reason for one in settings.preferences.ignored}
    results, crashes = examine(checks, facts, PROBES, seconds, ignored)
    results = tuple(replace(r, finding=pasteable(r.finding, facts)) for r in results)
    return Report(
        __version__,
        endpoint_of(facts),
        engine_of(facts),
        started,
        time.monotonic() - clock,
        results,
        crashes,
        matrix_of(facts),
    )


def examination(host: Host, settings: Settings) -> tuple[Facts, Report]:
    """Measure all that there is and report; nothing of it is left behind."""
    began = now()
    try:
        facts, seconds = measure_host(host, settings, CATALOGUE)
    finally:
        sweep_abandoned()
    return facts, report_on(facts, CATALOGUE, seconds, began)


def examine_host(host: Host, settings: Settings) -> Report:
    """Give the report alone."""
    return examination(host, settings)[1]


def now() -> tuple[datetime, float]:
    """Tell the time by the calendar and by the clock."""
    return datetime.now(timezone.utc), time.monotonic()


def pasteable(finding: Finding, facts: Facts) -> Finding:
    """Make the fix ready for whoever runs the doctor."""
    caller = FactsView(facts).of(Caller)
    finding = replace(finding, automatic=automatic(finding.fix))
    return replace(finding, fix=tuple(ready(step, caller) for step in finding.fix)) if caller else finding


def endpoint_of(facts: Facts) -> Endpoint:
    """Say which engine the facts are about."""
    chosen = FactsView(facts).of(ChosenEndpoint)
    return Endpoint(chosen.url, chosen.source) if chosen else Endpoint()


def engine_of(facts: Facts) -> Engine:
    """Say what the engine told of itself."""
    known = FactsView(facts)
    version, info = known.of(EngineVersion), known.of(EngineInfo)
    if not version:
        return Engine()
    return Engine(version.version, version.api, info.operating_system if info else version.os, version.kernel)

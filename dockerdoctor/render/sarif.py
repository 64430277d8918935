"""
The report as SARIF 2.1.0 (OASIS), for code scanning and its viewers.

| ours                | SARIF                                                                          |
|---------------------|--------------------------------------------------------------------------------|
| Check               | a rule; `defaultConfiguration.level` is its severity                           |
| root cause          | a result of its severity: "error", "warning", "note"                           |
| symptom             | a result of level "note"; `properties.because` names its root causes           |
| ignored             | a result with a suppression, whose justification is the reason                 |
| UNKNOWN, CRASH      | notifications of the invocation: viewers take every result for a finding       |
| PASS, SKIP          | `properties.counts` of the run                                                 |
| Evidence            | related locations; a file with its line is a physical one                      |
"""

from __future__ import annotations

import inspect
import json
import re
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from dockerdoctor.model import Check, Evidence, Report, Result, Severity, Status
from dockerdoctor.render.terminal import Options
from dockerdoctor.render.words import details, tame_report

LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
# A file, with its line and column if it has them: /etc/docker/daemon.json:5:3
FILE = re.compile(r"(?P<path>/[^\s:]+)(:(?P<line>[1-9]\d{0,8})(:[1-9]\d*)?)?")
# Brackets are for addresses of IPv6 alone (RFC 3986, 3.2.2): tcp://[::1]:2375
IPV6 = re.compile(r"[a-z]+://\[[0-9A-Fa-f:.]+\](:\d+)?/?")


def render(report: Report, options: Options) -> str:  # noqa: ARG001 - one signature for all formats
    """One run with all its rules; only failures are results."""
    report = tame_report(report)
    document = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "dockerdoctor",
                        "semanticVersion": report.version,
                        "rules": [_rule(r.check) for r in report.results],
                    }
                },
                "invocations": [_invocation(report)],
                "results": [
                    _result(r, n, report) for n, r in enumerate(report.results) if r.finding.status is Status.FAIL
                ],
                "columnKind": "unicodeCodePoints",
                "properties": {
                    "endpoint": report.endpoint.url,
                    "engine": report.engine.version,
                    "os": report.engine.os,
                    "kernel": report.engine.kernel,
                    "counts": report.counts,
                },
            }
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _message(said: str) -> dict[str, str]:
    """Words of the host: "[text](target)" would be a link (SARIF 2.1.0, 3.11.6)."""
    return {"text": said.replace("](", "] (")}


def _rule(one: Check) -> dict[str, Any]:
    return {
        "id": one.id,
        "shortDescription": {"text": one.title},
        "help": {"text": inspect.cleandoc(one.decide.__doc__ or one.title)},
        "helpUri": one.docs,
        "defaultConfiguration": {"level": LEVELS[one.severity]},
        "properties": {"tags": ["docker", one.id.split(".")[0]]},
    }


def _invocation(report: Report) -> dict[str, Any]:
    def when(seconds: float) -> str:
        return (report.started + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"

    return {
        "executionSuccessful": not report.counts[Status.CRASH],
        "startTimeUtc": when(0),
        "endTimeUtc": when(report.seconds),
        "toolExecutionNotifications": [
            {
                "level": "error" if r.finding.status is Status.CRASH else "note",
                "message": _message(f"{r.check.id}: {r.finding.summary}"),
                "associatedRule": {"id": r.check.id, "index": n},
            }
            for n, r in enumerate(report.results)
            if r.finding.status in {Status.UNKNOWN, Status.CRASH}
        ],
    }


def _result(of: Result, index: int, report: Report) -> dict[str, Any]:
    finding = of.finding
    summary = f"follows from {', '.join(of.because)}: {finding.summary}" if of.because else finding.summary
    files = [place for place in map(_physical, finding.evidence) if place]
    # Viewers want a place for every result: where no file is at fault, it is the engine.
    places = files or ([{"artifactLocation": {"uri": _uri(report.endpoint.url)}}] if report.endpoint.url else [])
    return {
        "ruleId": of.check.id,
        "ruleIndex": index,
        "level": "note" if of.because else LEVELS[of.check.severity],
        "message": _message(f"{summary}\n{details(of)}"),
        "locations": [{"physicalLocation": place} for place in places[:1]],
        "relatedLocations": [
            {"message": _message(f"{e.source}: {e.saw}")} | ({"physicalLocation": place} if place else {})
            for e, place in ((e, _physical(e)) for e in finding.evidence)
        ],
        # Accepted outside of the code that is scanned (3.35.2).
        **({"suppressions": [{"kind": "external", "justification": of.ignored}]} if of.ignored else {}),
        # A finding is the same one as long as its check fails, whatever was measured.
        "partialFingerprints": {"check/v1": of.check.id},
        "properties": {
            "severity": of.check.severity,
            "because": list(of.because),
            "fix": list(finding.fix),
            "impact": finding.impact,
            "automatic": finding.automatic,
        },
    }


def _uri(endpoint: str) -> str:
    return endpoint if IPV6.fullmatch(endpoint) else quote(endpoint, safe="/:@")


def _physical(seen: Evidence) -> dict[str, Any] | None:
    named = FILE.fullmatch(seen.source)
    if not named:
        return None
    place: dict[str, Any] = {"artifactLocation": {"uri": f"file://{quote(named['path'])}"}}
    if named["line"]:
        place["region"] = {"startLine": int(named["line"])}
    return place

"""
The report as JSON: the contract that other programs read; additive changes only.

| ours            | JSON                                    |
|-----------------|-----------------------------------------|
| Status          | "pass" "fail" "skip" "unknown" "crash"  |
| Severity        | "error" "warning" "info"                |
| Result.because  | ids of root causes; [] for one          |
"""

from __future__ import annotations

import json
from typing import Any

from dockerdoctor.model import Report, Result
from dockerdoctor.render.terminal import Options

SCHEMA_VERSION = 1


def render(report: Report, options: Options) -> str:  # noqa: ARG001 - one signature for all formats
    """Everything the report knows, in catalogue order."""
    document: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "doctor": {"version": report.version},
        "endpoint": {"url": report.endpoint.url, "from": report.endpoint.source},
        "engine": {
            "version": report.engine.version,
            "api": report.engine.api,
            "os": report.engine.os,
            "kernel": report.engine.kernel,
        },
        "started": report.started.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "seconds": round(report.seconds, 3),
        "counts": {status.value: count for status, count in report.counts.items()},
        "root_causes": [r.check.id for r in report.root_causes],
        "results": [result(r) for r in report.results],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def result(of: Result) -> dict[str, Any]:
    """One check's entry."""
    one, finding = of.check, of.finding
    return {
        "id": one.id,
        "title": one.title,
        "status": finding.status.value,
        "severity": one.severity.value,
        "summary": finding.summary,
        "cause": finding.cause,
        "evidence": [{"source": e.source, "saw": e.saw} for e in finding.evidence],
        "fix": list(finding.fix),
        "automatic": finding.automatic,
        "impact": finding.impact,
        "because": list(of.because),
        "docs": one.docs,
        "seconds": of.seconds,
    }

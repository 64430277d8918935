"""
The report as JSON: the contract that other programs read; additive changes only.

| ours            | JSON                                    |
|-----------------|-----------------------------------------|
| Status          | "pass" "fail" "skip" "unknown" "crash"  |
| Severity        | "error" "warning" "info"                |
| Result.because  | ids of root causes; [] for one          |
| Mark            | "ok" "fail" "unknown" "none"            |

The types below are the contract: mypy holds the renderer to them, and docs/report.schema.json is made from them.
"""

from __future__ import annotations

import json
from typing import Annotated, TypedDict

from dockerdoctor.model import Mark, Matrix, Report, Result, Severity, Status
from dockerdoctor.render.terminal import Options

SCHEMA_VERSION = 1


class Doctor(TypedDict):
    """The program that wrote it."""

    version: Annotated[str, "of this program"]


# Written so, since one of the names is a keyword.
Endpoint = TypedDict(
    "Endpoint",
    {
        "url": Annotated[str, "the engine that was examined"],
        "from": Annotated[str, "why that one: `--host`, `DOCKER_HOST`, a context, `default`"],
    },
)


class Engine(TypedDict):
    """The engine; empty strings where it did not answer."""

    version: Annotated[str, "of the engine; empty, as are the others, where it did not answer"]
    api: Annotated[str, "the newest version of the API that it speaks"]
    os: Annotated[str, "the system that it runs on"]
    kernel: Annotated[str, "that system's kernel"]


class Seen(TypedDict):
    """One observation."""

    source: Annotated[str, "where it was seen: a file and line, a request, a command"]
    saw: Annotated[str, "exactly what was there"]


class Entry(TypedDict):
    """One check, and what it came to."""

    id: Annotated[str, "stable for ever, never reused"]
    title: Annotated[str, "the statement that should be true"]
    status: Annotated[
        Status, "`skip`: does not apply; `unknown`: could not be measured; `crash`: a bug of the doctor's own"
    ]
    severity: Annotated[Severity, "of failing it; `error`: broken now, or at the next restart"]
    summary: Annotated[str, "one line with the measured value"]
    cause: Annotated[str, "a sentence on why"]
    evidence: list[Seen]
    fix: Annotated[list[str], "commands ready to paste, in order; a step for a person begins with `#`"]
    automatic: Annotated[bool, "whether `doctor fix` can do it"]
    impact: Annotated[str, "what the fix interrupts"]
    because: Annotated[list[str], "the root causes that explain it; empty for a root cause and for what is well"]
    docs: Annotated[str, "documentation, a URL"]
    seconds: Annotated[float, "of the slowest measurement that it rests on"]
    ignored: Annotated[str, "why its failing is accepted, and counts for nothing; empty where it is not"]


class Reached(TypedDict):
    """One target, from one place."""

    place: Annotated[str, "one of `matrix.places`"]
    mark: Annotated[Mark, "`unknown`: not measured, and `said` says why; `none`: nobody there needs it"]
    said: Annotated[str, "what came back, or why nothing was measured"]
    seconds: Annotated[float | None, "until the answer came; null where that was not measured"]


class Target(TypedDict):
    """One row of the matrix."""

    target: Annotated[str, "what was to be reached: `nameserver 10.0.0.53`"]
    cells: list[Reached]


class Reach(TypedDict):
    """What is reached from where."""

    places: Annotated[list[str], "from where: `host`, `daemon`, `default bridge`, `user network`, `build`"]
    build: Annotated[str, "how the last place was judged; empty without rows"]
    rows: list[Target]


class Document(TypedDict):
    """What `doctor check --format json` writes."""

    schema_version: Annotated[int, "1: fields are added, never removed or given another meaning"]
    doctor: Doctor
    endpoint: Endpoint
    engine: Engine
    started: Annotated[str, "UTC, as in RFC 3339"]
    seconds: Annotated[float, "how long the examination took"]
    counts: Annotated[dict[Status, int], "how many checks came to each status"]
    root_causes: Annotated[list[str], "ids of failed checks that nothing else explains, errors first"]
    results: Annotated[list[Entry], "every check, in the catalogue's order"]
    matrix: Reach


def render(report: Report, options: Options) -> str:  # noqa: ARG001 - one signature for all formats
    """Everything the report knows, in catalogue order."""
    document: Document = {
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
        "counts": report.counts,
        "root_causes": [r.check.id for r in report.root_causes],
        "results": [result(r) for r in report.results],
        "matrix": reach(report.matrix),
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def reach(matrix: Matrix) -> Reach:
    """Give the matrix, each cell with its place."""
    return {
        "places": list(matrix.places),
        "build": matrix.build,
        "rows": [
            {
                "target": row.target,
                "cells": [
                    {"place": place, "mark": cell.mark, "said": cell.said, "seconds": cell.seconds}
                    for place, cell in zip(matrix.places, row.cells, strict=True)
                ],
            }
            for row in matrix.rows
        ],
    }


def result(of: Result) -> Entry:
    """One check's entry."""
    one, finding = of.check, of.finding
    return {
        "id": one.id,
        "title": one.title,
        "status": finding.status,
        "severity": one.severity,
        "summary": finding.summary,
        "cause": finding.cause,
        "evidence": [{"source": e.source, "saw": e.saw} for e in finding.evidence],
        "fix": list(finding.fix),
        "automatic": finding.automatic,
        "impact": finding.impact,
        "because": list(of.because),
        "docs": one.docs,
        "seconds": of.seconds,
        "ignored": of.ignored,
    }

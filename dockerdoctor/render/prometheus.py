"""
The report as metrics, in the text format that node_exporter's textfile collector reads.

| ours                     | metric                                                               |
|--------------------------|----------------------------------------------------------------------|
| PASS, FAIL               | `dockerdoctor_check_failed{check,severity}`: 0, 1                    |
| root cause               | `dockerdoctor_check_root_cause{check,severity}`: 1; 0 for the others |
| SKIP, UNKNOWN, CRASH     | neither of both: what was not measured is not 0                      |
| Report.counts            | `dockerdoctor_checks{status}`                                        |
| started, seconds         | `dockerdoctor_run_timestamp_seconds`, `dockerdoctor_run_duration_seconds` |
| version, endpoint, engine| labels of `dockerdoctor_info`                                        |

What a finding says is no label: it holds measured values, and each would begin a series of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dockerdoctor.model import Cell, Mark, Report, Status
from dockerdoctor.render.terminal import Options
from dockerdoctor.render.words import tame_report

ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def render(report: Report, options: Options) -> str:  # noqa: ARG001 - one signature for all formats
    """Numbers, to be watched and to alert on."""
    return "".join(f"{line}\n" for line in _lines(tame_report(report)))


def _lines(report: Report) -> Iterator[str]:
    measured = [r for r in report.results if r.finding.status in {Status.PASS, Status.FAIL}]
    roots = {r.check.id for r in report.root_causes}
    yield from _gauge(
        "info",
        "The doctor and the engine that it examined.",
        [
            (
                {
                    "version": report.version,
                    "endpoint": report.endpoint.url,
                    "engine": report.engine.version,
                    "os": report.engine.os,
                    "kernel": report.engine.kernel,
                },
                1,
            )
        ],
    )
    yield from _gauge(
        "run_timestamp_seconds", "When the examination began.", [({}, round(report.started.timestamp(), 3))]
    )
    yield from _gauge("run_duration_seconds", "How long the examination took.", [({}, round(report.seconds, 3))])
    yield from _gauge(
        "checks", "Checks by what they came to.", [({"status": s.value}, n) for s, n in report.counts.items()]
    )
    yield from _gauge(
        "check_failed",
        "Whether what a check says is untrue.",
        [
            ({"check": r.check.id, "severity": r.check.severity.value}, int(r.finding.status is Status.FAIL))
            for r in measured
        ],
    )
    yield from _gauge(
        "check_root_cause",
        "Whether it failed and nothing else explains that.",
        [({"check": r.check.id, "severity": r.check.severity.value}, int(r.check.id in roots)) for r in measured],
    )
    yield from _gauge(
        "target_reached",
        "Whether a target of the connectivity matrix was reached from a place.",
        [(at, int(c.mark is Mark.OK)) for at, c in _cells(report) if c.mark in {Mark.OK, Mark.FAIL}],
    )
    yield from _gauge(
        "target_seconds",
        "How long a target took to answer there.",
        [(at, c.seconds) for at, c in _cells(report) if c.mark is Mark.OK and c.seconds is not None],
    )


def _cells(report: Report) -> Iterator[tuple[dict[str, str], Cell]]:
    for row in report.matrix.rows:
        for place, cell in zip(report.matrix.places, row.cells, strict=True):
            yield {"target": row.target, "place": place}, cell


def _gauge(name: str, about: str, samples: Iterable[tuple[dict[str, str], float]]) -> Iterator[str]:
    yield f"# HELP dockerdoctor_{name} {about}"
    yield f"# TYPE dockerdoctor_{name} gauge"
    for labels, value in samples:
        inside = ",".join(f'{label}="{said.translate(ESCAPES)}"' for label, said in labels.items())
        yield f"dockerdoctor_{name}{f'{{{inside}}}' if inside else ''} {value}"

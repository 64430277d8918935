"""
The report as Markdown (CommonMark), for an issue, a pull request or a chat.

| ours      | Markdown                                                                    |
|-----------|-----------------------------------------------------------------------------|
| root cause| a section: the cause, the evidence as code spans, the commands in a fence    |
| symptom   | named in its root cause's section                                           |
| ignored   | a list, with the reasons                                                    |
| UNKNOWN   | a list, one line for each reason                                            |
| PASS, SKIP| with --verbose only                                                         |
| Matrix    | a table, where something is wrong, and with --all and --verbose             |
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from dockerdoctor.model import Mark, Matrix, Report, Result, Severity, Status
from dockerdoctor.render.terminal import Options
from dockerdoctor.render.words import (
    cell_words,
    engine_words,
    many,
    notes,
    one_line,
    reasons,
    steps,
    tally,
    tame_report,
    verdict,
)

CELLS = {Mark.OK: "✓", Mark.FAIL: "✗", Mark.UNKNOWN: "?", Mark.NONE: "–"}
MARKS = {Severity.ERROR: "✗", Severity.WARNING: "!", Severity.INFO: "i"}
# Whatever could begin or end markup in the middle of a line: emphasis, code, links, HTML, entities, tables.
MARKUP = re.compile(r"[\\`*_\[\]<>&|~#!]")


def render(report: Report, options: Options) -> str:
    """Causes first, each with its evidence and its commands."""
    return "\n\n".join(_blocks(tame_report(report), options)) + "\n"


def _text(said: str) -> str:
    """Words of the host, in the middle of a line, as nothing but words."""
    return MARKUP.sub(r"\\\g<0>", one_line(said))


def _longest_run(said: str) -> int:
    return max((len(run) for run in re.findall("`+", said)), default=0)


def _code(said: str) -> str:
    """Write a code span that what is in it cannot end."""
    said = one_line(said)
    if not said:
        return "(nothing)"
    ticks = "`" * (_longest_run(said) + 1)
    # One space at each end is taken away again; without it a backtick would lengthen the ticks.
    pad = " " if said.startswith("`") or said.endswith("`") else ""
    return f"{ticks}{pad}{said}{pad}{ticks}"


def _fence(lines: str, kind: str) -> str:
    ticks = "`" * max(3, _longest_run(lines) + 1)
    return f"{ticks}{kind}\n{lines}\n{ticks}"


def _blocks(report: Report, options: Options) -> Iterator[str]:
    yield f"# {_text(engine_words(report))}"
    where = f"at {_code(report.endpoint.url)} ({_text(report.endpoint.source)})"
    system = f", {_text(report.engine.os)}, kernel {_text(report.engine.kernel)}" if report.engine.os else ""
    yield f"**{verdict(report)}** · {tally(report)}  \n{where}{system}"
    for root in report.root_causes:
        yield from _root_cause(root, report)
    if report.matrix.rows and (report.root_causes or options.all or options.verbose):
        yield "## What is reached from where"
        yield "\n".join(_matrix(report.matrix))
        yield "\n".join(f"- {_text(line)}" for line in notes(report.matrix))
    crashed = [r for r in report.results if r.finding.status is Status.CRASH]
    if crashed:
        yield "## Bugs in the doctor"
        yield "\n".join(f"- {_code(r.check.id)}: {_text(r.finding.summary)}" for r in crashed)
    if report.ignored:
        yield "## Ignored"
        yield "\n".join(
            f"- {_code(r.check.id)}: {_text(r.finding.summary)} ({_text(r.ignored)})" for r in report.ignored
        )
    unknown = [r for r in report.results if r.finding.status is Status.UNKNOWN and not r.because]
    if unknown:
        yield "## Not known"
        yield "\n".join(f"- {_text(reason)}: {', '.join(map(_code, ids))}" for reason, ids in reasons(unknown))
    if options.verbose:
        yield from _rest(report, Status.PASS, "Passed")
        yield from _rest(report, Status.SKIP, "Does not apply")
        yield from (_fence(crash, "text") for crash in report.crashes)


def _root_cause(root: Result, report: Report) -> Iterator[str]:
    finding = root.finding
    yield f"## {MARKS[root.check.severity]} {_text(finding.summary)}"
    if finding.cause:
        yield _text(finding.cause)
    if finding.evidence:
        yield "\n".join(f"- {_code(e.source)}: {_code(e.saw)}" for e in finding.evidence)
    if finding.fix:
        yield f"**To fix it** ({_text(finding.impact)}):" if finding.impact else "**To fix it:**"
        yield _fence("\n".join(steps(finding)), "sh")
    yield f"{_code(root.check.id)} · [documentation](<{root.check.docs}>)"
    symptoms = report.symptoms_of(root.check.id)
    failing = [s.check.id for s in symptoms if s.finding.status is Status.FAIL]
    if failing:
        yield f"{len(failing)} more follow{'s' if len(failing) == 1 else ''} from this: {', '.join(map(_code, failing))}"
    if len(symptoms) > len(failing):
        yield f"{many(len(symptoms) - len(failing), 'check', 'checks')} could not be made because of this"


def _matrix(matrix: Matrix) -> Iterator[str]:
    yield f"| | {' | '.join(map(_text, matrix.places))} |"
    yield "|---" * (len(matrix.places) + 1) + "|"
    for row in matrix.rows:
        cells = (f"{CELLS[cell.mark]} {_text(cell_words(cell))}".strip() for cell in row.cells)
        yield f"| {_text(row.target)} | {' | '.join(cells)} |"


def _rest(report: Report, status: Status, title: str) -> Iterator[str]:
    results = [r for r in report.results if r.finding.status is status]
    if results:
        yield f"## {title}"
        yield "\n".join(f"- {_code(r.check.id)}: {_text(r.finding.summary)}" for r in results)

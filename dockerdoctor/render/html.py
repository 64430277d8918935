"""
The report as one HTML page that needs nothing else: no server, no network, no framework.

| ours       | page                                                                  |
|------------|-----------------------------------------------------------------------|
| root cause | a card, with a button beside each command that copies it              |
| symptom    | named in its root cause's card                                        |
| matrix     | a table whose cells have a colour, a sign and a bar: the longer, the later |
| all results| a list that opens line by line, filtered by status                    |

Without JavaScript everything is shown, and can be copied by hand. The page's own policy (Content-Security-Policy) lets
nothing run but its one script, and nothing be fetched: a second line of defence behind the escaping.
"""

from __future__ import annotations

import hashlib
import math
from base64 import b64encode
from collections.abc import Iterator
from html import escape

from dockerdoctor.model import Cell, Evidence, Finding, Mark, Matrix, Report, Result, Severity, Status
from dockerdoctor.render.html_parts import SCRIPT, STYLE
from dockerdoctor.render.terminal import Options
from dockerdoctor.render.words import (
    cell_words,
    engine_words,
    errors,
    many,
    notes,
    steps,
    tally,
    tame_report,
    verdict,
    well,
)

MARKS = {
    Status.PASS: ("✓", "pass", "passed"),
    Status.SKIP: ("–", "skip", "does not apply"),
    Status.UNKNOWN: ("?", "unknown", "not known"),
    Status.CRASH: ("☠", "error", "bug in the doctor"),
}
FAIL_MARKS = {
    Severity.ERROR: ("✗", "error", "error"),
    Severity.WARNING: ("!", "warning", "warning"),
    Severity.INFO: ("i", "info", "info"),
}
CELLS = {
    Mark.OK: ("✓", "pass", "reached"),
    Mark.FAIL: ("✗", "error", "not reached"),
    Mark.UNKNOWN: ("?", "unknown", "not measured"),
    Mark.NONE: ("–", "skip", "does not apply"),
}
FILTERS = {
    Status.FAIL: "Failed",
    Status.CRASH: "Bugs",
    Status.UNKNOWN: "Not known",
    Status.PASS: "Passed",
    Status.SKIP: "Not applicable",
}


def render(report: Report, options: Options) -> str:
    """Everything the report knows, on one page."""
    return "\n".join(_page(tame_report(report), options)) + "\n"


def _digest(part: str) -> str:
    return f"'sha256-{b64encode(hashlib.sha256(part.encode()).digest()).decode()}'"


def _page(report: Report, options: Options) -> Iterator[str]:
    policy = (
        f"default-src 'none'; img-src data:; style-src {_digest(STYLE)}; script-src {_digest(SCRIPT)}; base-uri 'none'"
    )
    said = verdict(report)
    yield '<!doctype html>\n<html lang="en">\n<head>'
    yield '<meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield '<meta name="color-scheme" content="light dark">'
    yield f"<title>{escape(f'{said} · {engine_words(report)}')}</title>"
    # Browsers ask for an icon unless they are given one.
    yield '<link rel="icon" href="data:,">'
    yield f"<style>{STYLE}</style>\n</head>\n<body>"
    yield from _header(report)
    yield "<main>"
    if report.root_causes:
        yield '<section aria-label="Causes">'
        for root in report.root_causes:
            yield from _cause(root, report)
        yield "</section>"
    if report.ignored:
        names = ", ".join(f'<a href="#{i}"><code>{i}</code></a>' for i in (escape(r.check.id) for r in report.ignored))
        yield f'<p class="dim">Ignored, for the reasons given there: {names}</p>'
    if report.matrix.rows:
        yield from _matrix(report.matrix)
    yield from _all(report)
    if options.verbose:
        yield from (f"<pre>{escape(crash)}</pre>" for crash in report.crashes)
    yield "</main>"
    began = report.started.strftime("%Y-%m-%d %H:%M:%S UTC")
    yield f"<footer>dockerdoctor {escape(report.version)} · {began} · {report.seconds:.1f} s</footer>"
    yield '<p id="said" role="status"></p>'
    yield f"<script>{SCRIPT}</script>\n</body>\n</html>"


def _header(report: Report) -> Iterator[str]:
    engine = report.engine
    mood = "pass" if well(report) else "error" if errors(report) or report.counts[Status.CRASH] else "warning"
    yield f'<header class="{mood}">'
    yield f"<h1>{escape(verdict(report))}</h1>"
    yield f"<p>{escape(tally(report))}</p>"
    yield f"<p>{escape(engine_words(report))} at <code>{escape(report.endpoint.url or 'no endpoint')}</code>"
    yield f"({escape(report.endpoint.source)})"
    if engine.os:
        yield f"<br>{escape(engine.os)}, kernel {escape(engine.kernel)}"
    yield "</p></header>"


def _mark(result: Result) -> tuple[str, str, str]:
    if result.finding.status is Status.FAIL:
        return FAIL_MARKS[result.check.severity]
    return MARKS[result.finding.status]


def _badge(result: Result) -> str:
    sign, kind, word = _mark(result)
    return f'<span class="badge {kind}" title="{word}" aria-label="{word}">{sign}</span>'


def _cause(root: Result, report: Report) -> Iterator[str]:
    _, kind, word = _mark(root)
    yield f'<article class="card {kind}">'
    yield f"<h2>{_badge(root)} {escape(root.finding.summary)}</h2>"
    yield from _finding(root.finding)
    symptoms = report.symptoms_of(root.check.id)
    failing = [s.check.id for s in symptoms if s.finding.status is Status.FAIL]
    if failing:
        names = ", ".join(f'<a href="#{i}"><code>{i}</code></a>' for i in map(escape, failing))
        yield f'<p class="dim">{len(failing)} more follow{"s" * (len(failing) == 1)} from this: {names}</p>'
    if dark := len(symptoms) - len(failing):
        yield f'<p class="dim">{many(dark, "check", "checks")} could not be made because of this</p>'
    yield f'<p class="dim">{word} · <code>{escape(root.check.id)}</code> · {_docs(root)}</p>'
    yield "</article>"


def _docs(result: Result) -> str:
    return f'<a href="{escape(result.check.docs)}" rel="noreferrer">documentation</a>'


def _finding(finding: Finding) -> Iterator[str]:
    purpose = "To find out" if finding.status is Status.UNKNOWN else "To fix it"
    if finding.cause:
        yield f"<p>{escape(finding.cause)}</p>"
    if finding.evidence:
        yield '<dl class="evidence">'
        yield from map(_evidence, finding.evidence)
        yield "</dl>"
    if finding.fix:
        impact = f' <span class="dim">({escape(finding.impact)})</span>' if finding.impact else ""
        yield f"<h3>{purpose}{impact}</h3>"
        yield '<ol class="fix">'
        yield from map(_step, steps(finding))
        yield "</ol>"


def _evidence(seen: Evidence) -> str:
    return f"<dt>{escape(seen.source)}</dt><dd>{escape(seen.saw)}</dd>"


def _step(step: str) -> str:
    if step.startswith("#"):
        return f'<li class="person">{escape(step.lstrip("# "))}</li>'
    return (
        f'<li class="command"><pre><code>{escape(step)}</code></pre><button type="button" data-copy>Copy</button></li>'
    )


def _matrix(matrix: Matrix) -> Iterator[str]:
    yield '<section aria-label="Connectivity">'
    yield "<h2>What is reached from where</h2>"
    heads = "".join(f'<th scope="col">{escape(place)}</th>' for place in matrix.places)
    yield f'<div class="wide"><table class="matrix"><thead><tr><td></td>{heads}</tr></thead><tbody>'
    for row in matrix.rows:
        yield f'<tr><th scope="row">{escape(row.target)}</th>{"".join(map(_cell, row.cells))}</tr>'
    yield "</tbody></table></div>"
    yield from (f'<p class="dim">{escape(note)}</p>' for note in notes(matrix))
    yield "</section>"


def _cell(cell: Cell) -> str:
    sign, kind, word = CELLS[cell.mark]
    title = f"{word}: {cell.said}" if cell.said else word
    bar = _bar(cell.seconds) if cell.mark is Mark.OK and cell.seconds is not None else ""
    words = escape(cell_words(cell))
    return f'<td class="{kind}" title="{escape(title)}"><b aria-label="{word}">{sign}</b> {words}{bar}</td>'


def _bar(seconds: float) -> str:
    """Draw how long an answer took: a tenfold time is a third of the cell more, and all of it is a second."""
    length = min(100.0, max(4.0, 100 * math.log10(max(seconds * 1000, 1.0)) / 3))
    return (
        '<svg viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect width="{length:.0f}" height="4"/></svg>'
    )


def _all(report: Report) -> Iterator[str]:
    yield '<section aria-label="All checks">'
    yield "<h2>All checks</h2>"
    yield '<div class="filters" role="group" aria-label="Show">'
    yield f'<button type="button" data-show="" aria-pressed="true">All <b>{len(report.results)}</b></button>'
    for status, name in FILTERS.items():
        if count := report.counts[status]:
            yield f'<button type="button" data-show="{status.value}" aria-pressed="false">{name} <b>{count}</b></button>'
    yield "</div>"
    for result in report.results:
        yield from _row(result)
    yield "</section>"


def _row(result: Result) -> Iterator[str]:
    one, finding = result.check, result.finding
    yield f'<details id="{escape(one.id)}" data-status="{finding.status.value}">'
    yield f"<summary>{_badge(result)} <code>{escape(one.id)}</code> <span>{escape(finding.summary)}</span></summary>"
    yield f'<div><p class="dim">What should be true: {escape(one.title)}.</p>'
    yield from _finding(finding)
    if result.because:
        causes = ", ".join(f'<a href="#{i}"><code>{i}</code></a>' for i in map(escape, result.because))
        yield f'<p class="dim">Follows from {causes}</p>'
    if result.ignored:
        yield f'<p class="dim">Ignored: {escape(result.ignored)}</p>'
    yield f'<p class="dim">{_docs(result)} · measured in {result.seconds:.2f} s</p></div></details>'

"""What every format says in the same words, and how a host's own text is kept from being more than text."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from dockerdoctor.model import (
    Cell,
    Endpoint,
    Engine,
    Evidence,
    Finding,
    Mark,
    Matrix,
    Report,
    Result,
    Row,
    Severity,
    Status,
)

# What would move a terminal's cursor, colour the rest or turn the line around is shown as an escape instead; so is what
# XML has no way to say, and what is no character at all: half of a surrogate pair, of a name that is no UTF-8.
CONTROLS = {
    n: f"\\x{n:02x}" if n < 0x100 else f"\\u{n:04x}"
    for n in (
        *range(9),
        *range(11, 32),
        *range(0x7F, 0xA0),
        *range(0x2028, 0x202F),
        *range(0x2066, 0x206A),
        *range(0xD800, 0xE000),
        0xFFFE,
        0xFFFF,
    )
}


def tame(said: str) -> str:
    """Take what is no text, control characters above all, out of what a host said."""
    return said.translate(CONTROLS)


def tame_finding(found: Finding) -> Finding:
    """Take it out of all that a finding says."""
    return reword_finding(found, tame)


def tame_report(report: Report) -> Report:
    """Take it out of all that a report shows."""
    return reword(report, tame)


def reword_finding(found: Finding, change: Callable[[str], str]) -> Finding:
    """Change all that a finding says."""
    return replace(
        found,
        summary=change(found.summary),
        cause=change(found.cause),
        evidence=tuple(Evidence(change(e.source), change(e.saw)) for e in found.evidence),
        fix=tuple(map(change, found.fix)),
        impact=change(found.impact),
    )


def reword(report: Report, change: Callable[[str], str]) -> Report:
    """Change all that a report says in words that may be the host's."""
    engine = report.engine
    return replace(
        report,
        endpoint=Endpoint(change(report.endpoint.url), change(report.endpoint.source)),
        engine=Engine(change(engine.version), change(engine.api), change(engine.os), change(engine.kernel)),
        results=tuple(
            replace(r, finding=reword_finding(r.finding, change), ignored=change(r.ignored)) for r in report.results
        ),
        crashes=tuple(map(change, report.crashes)),
        matrix=reword_matrix(report.matrix, change),
    )


def reword_matrix(matrix: Matrix, change: Callable[[str], str]) -> Matrix:
    """Change all that a matrix says."""
    rows = (
        Row(change(row.target), tuple(replace(cell, said=change(cell.said)) for cell in row.cells))
        for row in matrix.rows
    )
    return replace(matrix, rows=tuple(rows), build=change(matrix.build))


def one_line(said: str) -> str:
    """Put it all on one line."""
    return " ".join(said.split())


def many(number: int, one: str, more: str) -> str:
    """Count things."""
    return f"{number} {one if number == 1 else more}"


def errors(report: Report) -> int:
    """Count the root causes that are errors."""
    return sum(r.check.severity is Severity.ERROR for r in report.root_causes)


def well(report: Report) -> bool:
    """Tell whether nothing is to be done, and the doctor itself is well."""
    return not report.root_causes and not report.counts[Status.CRASH]


def verdict(report: Report) -> str:
    """Say how it stands, in a few words."""
    if report.counts[Status.CRASH]:
        return "The doctor itself failed"
    if not report.root_causes:
        return "Docker is well" if report.counts[Status.PASS] else "Nothing could be examined"
    bad = errors(report)
    warnings = len(report.root_causes) - bad
    found = [many(bad, "cause", "causes")] if bad else []
    return ", ".join(found + ([many(warnings, "warning", "warnings")] if warnings else []))


def latency(seconds: float) -> str:
    """Say how long an answer took, as exactly as is of use."""
    thousandths = seconds * 1000
    if thousandths < 1:
        return "<1 ms"
    return f"{thousandths:.0f} ms" if thousandths < 1000 else f"{seconds:.1f} s"


def cell_words(cell: Cell) -> str:
    """Say beside its mark what a cell of the matrix holds: how soon, or why not; what was not measured says it below."""
    if cell.mark is Mark.OK:
        return latency(cell.seconds) if cell.seconds is not None else ""
    return cell.said if cell.mark is Mark.FAIL else ""


def notes(matrix: Matrix) -> list[str]:
    """Say below a matrix what its cells have no room for."""
    return [f"? {', '.join(where)}: {reason}" for reason, where in unmeasured(matrix)] + [matrix.build]


def unmeasured(matrix: Matrix) -> list[tuple[str, list[str]]]:
    """Say once per reason what was not measured, and where."""
    found: dict[str, dict[str, list[str]]] = {}
    for row in matrix.rows:
        for place, cell in zip(matrix.places, row.cells, strict=True):
            if cell.mark is Mark.UNKNOWN:
                found.setdefault(cell.said, {}).setdefault(place, []).append(row.target)
    return [
        (reason, [place if len(targets) > 1 else f"{targets[0]} from {place}" for place, targets in places.items()])
        for reason, places in found.items()
    ]


def following(report: Report) -> int:
    """Count the failures that something else explains."""
    return report.counts[Status.FAIL] - len(report.root_causes) - len(report.ignored)


def tally(report: Report) -> str:
    """Count the rest."""
    counts, more = report.counts, following(report)
    rest = [f"{more} that follow{'s' if more == 1 else ''}"] if more > 0 else []
    rest += [f"{len(report.ignored)} ignored"] if report.ignored else []
    rest += [f"{counts[Status.PASS]} passed"]
    rest += [f"{counts[Status.UNKNOWN]} not known"] if counts[Status.UNKNOWN] else []
    return " · ".join([*rest, f"{report.seconds:.1f} s"])


def engine_words(report: Report) -> str:
    """Say which engine this is about."""
    version = report.engine.version
    return f"Docker Engine {version}" if version else "Docker Engine, not answering"


def steps(finding: Finding) -> list[str]:
    """Give the steps of a fix; one for a person stays on its line, or what comes after would be a command."""
    return [one_line(step) if step.startswith("#") else step for step in finding.fix]


def details(of: Result) -> str:
    """Say all of a finding but its summary, in lines of plain text."""
    finding = of.finding
    lines = [finding.cause] if finding.cause else []
    lines += [f"{e.source}: {e.saw}" for e in finding.evidence]
    if finding.fix:
        lines += ["", f"To fix it ({finding.impact}):" if finding.impact else "To fix it:"]
        lines += [f"  {line}" for step in steps(finding) for line in step.split("\n")]
    return "\n".join([*lines, "", f"{of.check.id}  {of.check.docs}"])


def reasons(unknown: Iterable[Result]) -> list[tuple[str, list[str]]]:
    """Say once per reason what could not be told, with the ids that it kept in the dark."""
    by_reason: dict[str, list[str]] = {}
    for result in unknown:
        how = "; ".join(h.lstrip("# ") for h in result.finding.fix)
        reason = f"{result.finding.summary} ({how})" if how else result.finding.summary
        by_reason.setdefault(reason, []).append(result.check.id)
    return list(by_reason.items())

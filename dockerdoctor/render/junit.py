"""
The report as JUnit XML: a suite for each area, a test for each check.

| ours               | JUnit                                                       |
|--------------------|-------------------------------------------------------------|
| PASS               | a test that passed                                          |
| FAIL               | `<failure>`; its type is "root cause", or "symptom"         |
| FAIL, not so bad   | a test that passed, with the warning in `<system-out>`      |
| ignored            | likewise, with the reason                                   |
| SKIP, UNKNOWN      | `<skipped>`, with the reason                                |
| CRASH              | `<error>`                                                   |

So a pipeline that reads it is red exactly when `doctor check` ends with something else than 0: --fail-on holds for both.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from dockerdoctor.model import Report, Result, Severity, Status
from dockerdoctor.render.terminal import Options
from dockerdoctor.render.words import details, one_line, tame_report


def render(report: Report, options: Options) -> str:
    """Everything the report knows, in the form of a test run."""
    return "\n".join(_document(tame_report(report), options.fail_on)) + "\n"


def _attributes(**named: object) -> str:
    """Write attributes; a parser would make a space of a line's end that is not escaped."""
    return "".join(f' {name}="{escape(str(value)).replace(chr(10), "&#10;")}"' for name, value in named.items())


def _counts(results: list[Result], fail_on: Severity) -> dict[str, int]:
    return {
        "tests": len(results),
        "failures": sum(_failed(r, fail_on) for r in results),
        "errors": sum(r.finding.status is Status.CRASH for r in results),
        "skipped": sum(r.finding.status in {Status.SKIP, Status.UNKNOWN} for r in results),
    }


def _failed(result: Result, fail_on: Severity) -> bool:
    failed = result.finding.status is Status.FAIL and not result.ignored
    return failed and result.check.severity.rank <= fail_on.rank


def _document(report: Report, fail_on: Severity) -> Iterator[str]:
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    total = _attributes(name="doctor check", **_counts(list(report.results), fail_on), time=f"{report.seconds:.3f}")
    yield f"<testsuites{total}>"
    suites: dict[str, list[Result]] = {}
    for result in report.results:
        suites.setdefault(result.check.id.split(".")[0], []).append(result)
    for area, results in suites.items():
        # Checks share their measurements, which are made all at once: times do not add up.
        time, began = max(r.seconds for r in results), report.started.strftime("%Y-%m-%dT%H:%M:%S")
        yield f"  <testsuite{_attributes(name=area, **_counts(results, fail_on), time=f'{time:.3f}', timestamp=began)}>"
        yield "    <properties>"
        for name, value in _properties(report):
            yield f"      <property{_attributes(name=name, value=value)}/>"
        yield "    </properties>"
        for result in results:
            yield from _test(result, area, fail_on)
        yield "  </testsuite>"
    yield "</testsuites>"


def _properties(report: Report) -> Iterator[tuple[str, str]]:
    yield "doctor", report.version
    yield "endpoint", report.endpoint.url
    yield "engine", report.engine.version
    yield "os", report.engine.os
    yield "kernel", report.engine.kernel


def _test(result: Result, area: str, fail_on: Severity) -> Iterator[str]:
    name = _attributes(classname=area, name=result.check.id, time=f"{result.seconds:.3f}")
    inner = _outcome(result, fail_on)
    yield f"    <testcase{name}>{inner}</testcase>" if inner else f"    <testcase{name}/>"


def _outcome(result: Result, fail_on: Severity) -> str:
    finding = result.finding
    summary = one_line(finding.summary)
    if finding.status is Status.PASS:
        return ""
    if finding.status is Status.CRASH:
        return f"<error{_attributes(message=summary, type='bug in the doctor')}/>"
    if finding.status is Status.SKIP:
        return f"<skipped{_attributes(message=summary)}/>"
    if finding.status is Status.UNKNOWN:
        return f"<skipped{_attributes(message=f'not known: {summary}')}/>"
    # Long text goes through escaping too, not into CDATA, which what a host says could end.
    if not _failed(result, fail_on):
        kind = f"ignored ({result.ignored})" if result.ignored else result.check.severity.value
        return f"<system-out>{escape(f'{kind}: {finding.summary}')}\n{escape(details(result))}</system-out>"
    if result.because:
        summary = f"follows from {', '.join(result.because)}: {summary}"
    kind = "symptom" if result.because else "root cause"
    return f"<failure{_attributes(message=summary, type=kind)}>{escape(details(result))}</failure>"

"""
The sample run's report, for people and for programs.

| ours               | text                                     | JSON             |
|--------------------|------------------------------------------|------------------|
| PASS               | ✓                                        | "pass"           |
| FAIL               | ✗ with what was seen                     | "fail"           |
| SKIP               | –                                        | "skip"           |
| SampleReport.root_causes | as in `doctor check`               | "root_causes"    |
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from dockerdoctor.model import Severity, Status
from dockerdoctor.render import Format
from dockerdoctor.render.json import SCHEMA_VERSION, result
from dockerdoctor.render.terminal import (
    FAIL_MARKS,
    MARKS,
    Options,
    as_text,
    heading,
    root_cause,
)
from dockerdoctor.render.words import tame, tame_finding, tame_report
from dockerdoctor.sample.model import NOT_REACHED, Part, SampleReport, Verdict


def render_text(report: SampleReport, options: Options) -> str:
    """Stage by stage, then the cause."""
    return as_text(_report(_tame(report), options), options)


def _tame(report: SampleReport) -> SampleReport:
    """Logs, pages and engines' messages are the host's, and a terminal obeys what it is sent."""
    return replace(
        report,
        verdicts=tuple(_tame_verdict(v) for v in report.verdicts),
        notes=tuple(map(tame, report.notes)),
        page="\n".join(map(tame, report.page.splitlines())),
        diagnosis=tame_report(report.diagnosis) if report.diagnosis else None,
    )


def _tame_verdict(verdict: Verdict) -> Verdict:
    parts = (
        replace(part, name=tame(part.name), said=tame(part.said), output=tuple(map(tame, part.output)))
        for part in verdict.parts
    )
    return replace(verdict, finding=tame_finding(verdict.finding), parts=tuple(parts), instead=tame(verdict.instead))


def _report(report: SampleReport, options: Options) -> Iterator[RenderableType]:
    yield heading(report.endpoint, report.engine)
    yield Text("")
    yield _stages(report, options)
    failure = report.failure
    if failure:
        yield Text("")
        yield from _failure(failure, report, options)
    for other in (v for v in report.verdicts if v.failed and v is not failure):
        yield Text("")
        yield Text(f"And `{other.stage.id}`:", style="bold")
        yield _own(other)
    if report.notes and (options.verbose or (failure and failure.stage.id == "build")):
        yield Text("")
        yield Text("The build was given:", style="dim")
        yield from (Padding(Text(note, style="dim"), (0, 0, 0, 2)) for note in report.notes)
    yield Text("")
    yield from _summary(report)


def _stages(report: SampleReport, options: Options) -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(ratio=1, overflow="fold")
    table.add_column(no_wrap=True, justify="right")
    for verdict in report.verdicts:
        skipped = verdict.finding.status is Status.SKIP
        if skipped and not options.verbose and not verdict.finding.summary.startswith(NOT_REACHED):
            continue
        mark, style = _mark(verdict)
        dim = "dim" if skipped else ""
        name = Text(verdict.stage.id, style=dim or "bold")
        table.add_row(
            Text(mark, style=style), name, Text(verdict.finding.summary, style=dim), _seconds(verdict.seconds)
        )
        for part in verdict.parts if options.verbose or verdict.failed else ():
            _part(table, part, options)
        if verdict.instead:
            table.add_row("", "", Text(f"→ going on with {verdict.instead}", style="yellow"))
    return table


def _part(table: Table, part: Part, options: Options) -> None:
    """One line for a layer or a step; with --verbose, all that it said."""
    mark, style = (
        (FAIL_MARKS[Severity.ERROR][0], "bold red")
        if part.status is Status.FAIL
        else (
            MARKS[part.status][0],
            MARKS[part.status][2],
        )
    )
    words = Text.assemble((f"{mark} ", style), (part.name, "dim"), (f"  {part.said}" if part.said else "", "dim"))
    table.add_row("", "", words, _seconds(part.seconds))
    for line in part.output if options.verbose else ():
        table.add_row("", "", Padding(Text(line, style="dim"), (0, 0, 0, 4)))


def _seconds(seconds: float) -> Text:
    return Text(f"{seconds:.1f} s" if seconds >= 0.05 else "", style="dim")


def _mark(verdict: Verdict) -> tuple[str, str]:
    if verdict.failed:
        mark, _, style = FAIL_MARKS[Severity.ERROR]
    else:
        mark, _, style = MARKS[verdict.finding.status]
    return mark, style


def _failure(failure: Verdict, report: SampleReport, options: Options) -> Iterator[RenderableType]:
    """Say the host's cause where there is one, and below it what the stage itself saw."""
    roots = report.root_causes
    if roots and report.diagnosis:
        yield Text(f"Why `{failure.stage.id}` failed:", style="bold")
        for root in roots:
            yield from root_cause(root, report.diagnosis, options)
        yield Text("")
        yield Text(f"What `{failure.stage.id}` itself saw:", style="bold")
    else:
        yield Text(f"Why `{failure.stage.id}` failed:", style="bold")
    yield _own(failure)
    if report.diagnosis and not roots:
        yield Text("")
        yield Text("`doctor check` finds nothing else wrong with this host.", style="dim")


def _own(verdict: Verdict) -> Padding:
    """Show what the stage saw, and what it advises."""
    finding = verdict.finding
    inner: list[RenderableType] = [Text(finding.cause)] if finding.cause else []
    inner += [Text.assemble((f"{e.source}: ", "dim"), e.saw) for e in finding.evidence]
    if finding.fix:
        inner += [Text(""), Text("To fix it:", style="bold")]
        inner += [Padding(Text(s, style="dim" if s.startswith("#") else "cyan"), (0, 0, 0, 2)) for s in finding.fix]
    return Padding(Group(*inner), (0, 0, 0, 2))


def _summary(report: SampleReport) -> Iterator[RenderableType]:
    took = (f"  ·  {report.seconds:.1f} s", "not bold default")
    if not report.failure:
        yield Text("The page says:", style="dim")
        yield Padding(Text("\n".join(page_lines(report.page))), (0, 0, 1, 2))
        yield Text.assemble((f"The sample works: {report.url} says Hello World!", "bold green"), took)
        yield Text("")
        yield Text("To try next:" if not report.stays else "It runs. To try next:", style="dim")
        yield from (Padding(line, (0, 0, 0, 2)) for line in _next(report))
        return
    broken = [v.stage.id for v in report.verdicts if v.failed]
    unreached = [v.stage.id for v in report.verdicts if v.finding.summary.startswith(NOT_REACHED)]
    yield Text.assemble((f"The sample failed at `{report.failure.stage.id}`", "bold red"), took)
    for words, ids in (("Broken", broken), ("Sound", [v.stage.id for v in report.sound]), ("Not reached", unreached)):
        if ids:
            yield Text.assemble((f"{words}: ", "bold"), ", ".join(ids))


def page_lines(page: str) -> list[str]:
    """Give the page as text, as a browser shows it."""
    broken = re.sub(r"<br ?/?>|</h3>", "\n", page)
    return [html.unescape(re.sub(r"<[^>]*>", "", line)).strip() for line in broken.splitlines() if line.strip()]


def _next(report: SampleReport) -> Iterator[Table]:
    counts = re.search(r"Visits:</b> \d", report.page)
    steps: list[tuple[str, str]] = (
        [] if counts else [("doctor run-sample --redis", "Redis beside it: the visits are counted")]
    )
    if report.stays:
        steps = [(f"curl {report.url}", "the page"), ("doctor run-sample --stop", "ends it")]
    else:
        steps.append(("doctor run-sample --foreground", "stays until Ctrl-C, with its log"))
    steps.append((f"docker run -p 4001:80 {report.image.removesuffix(':latest')}", "the tutorial's own way"))
    table = Table.grid(padding=(0, 3))
    for command, words in steps:
        table.add_row(Text(command, style="cyan"), Text(words, style="dim"))
    yield table


def render_json(report: SampleReport, options: Options) -> str:  # noqa: ARG001 - one signature for all formats
    """Everything the report knows; `diagnosis` has the form of the results of `doctor check`."""
    failure = report.failure
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
        "image": report.image,
        "url": report.url,
        "page": report.page,
        "container": report.container,
        "left_running": report.stays,
        "given_to_build": list(report.notes),
        "passed": failure is None,
        "failed_stage": failure.stage.id if failure else None,
        "stages": [_stage(v) for v in report.verdicts],
        "root_causes": [r.check.id for r in report.root_causes],
        "diagnosis": [result(r) for r in report.diagnosis.results] if report.diagnosis else None,
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _stage(verdict: Verdict) -> dict[str, Any]:
    finding = verdict.finding
    return {
        "id": verdict.stage.id,
        "title": verdict.stage.title,
        "status": finding.status.value,
        "summary": finding.summary,
        "cause": finding.cause,
        "evidence": [{"source": e.source, "saw": e.saw} for e in finding.evidence],
        "fix": list(finding.fix),
        "seconds": round(verdict.seconds, 3),
        "instead": verdict.instead,
        "parts": [
            {
                "name": part.name,
                "status": part.status.value,
                "said": part.said,
                "seconds": round(part.seconds, 3),
                "output": list(part.output),
            }
            for part in verdict.parts
        ],
    }


SAMPLE_FORMATS: dict[Format, Callable[[SampleReport, Options], str]] = {
    Format.TEXT: render_text,
    Format.JSON: render_json,
}

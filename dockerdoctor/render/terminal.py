"""
The report for a person at a terminal.

| ours    | shown                                             |
|---------|---------------------------------------------------|
| PASS    | ✓, with --verbose only                            |
| FAIL    | ✗ for an error, ! for a warning or less           |
| SKIP    | –, with --verbose only                            |
| UNKNOWN | ?, one line with the reason and the way to get it |
| CRASH   | ☠, always                                         |

What is ignored is one line with its reason. A symptom is one line under its root cause; --all opens it. --short shows a line for each root cause, and nothing else.
What is reached from where is shown where something is broken; on a host that is well, with --all and --verbose.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from io import StringIO

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from dockerdoctor.model import Endpoint, Engine, Report, Result, Severity, Status
from dockerdoctor.render.matrix import table
from dockerdoctor.render.words import (
    errors,
    following,
    many,
    one_line,
    reasons,
    steps,
    tally,
    tame,
    tame_report,
    verdict,
    well,
)

# Wider lines than this are hard to read, however wide the terminal.
MAX_WIDTH = 110


@dataclass(frozen=True, slots=True)
class Options:
    """How to show a report; what is shown is the report's own."""

    width: int = 80
    color: bool = False
    verbose: bool = False
    all: bool = False
    unicode: bool = True
    short: bool = False  # one line for each root cause
    fail_on: Severity = Severity.ERROR  # as the exit status counts, where a format has something like it


MARKS = {
    Status.PASS: ("✓", "ok", "green"),
    Status.SKIP: ("–", "-", "dim"),
    Status.UNKNOWN: ("?", "?", "cyan"),
    Status.CRASH: ("☠", "BUG", "bold red"),
}
FAIL_MARKS = {
    Severity.ERROR: ("✗", "x", "bold red"),
    Severity.WARNING: ("!", "!", "bold yellow"),
    Severity.INFO: ("i", "i", "blue"),
}


def render(report: Report, options: Options) -> str:
    """Lay the report out as text, with colours when asked."""
    parts = _in_short if options.short else _report
    return as_text(parts(tame_report(report), options), options)


def as_text(parts: Iterable[RenderableType], options: Options) -> str:
    """Lay parts out below each other, no wider than is easy to read."""
    file = StringIO()
    console = Console(
        file=file,
        width=min(options.width, MAX_WIDTH),
        force_terminal=options.color,
        no_color=not options.color,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )
    console.print(Group(*parts), crop=False)
    text = "".join(f"{line.rstrip()}\n" for line in file.getvalue().splitlines())
    return text if options.unicode else text.translate(ASCII)


ASCII = str.maketrans(
    {"✓": "+", "✗": "x", "–": "-", "☠": "#", "│": "|", "·": "-", "→": ">", "…": "~", "×": "x", "“": '"', "”": '"'}
)


def _mark(result: Result) -> tuple[str, str]:
    if result.finding.status is Status.FAIL:
        mark, _, style = FAIL_MARKS[result.check.severity]
    else:
        mark, _, style = MARKS[result.finding.status]
    return mark, style


def _report(report: Report, options: Options) -> Iterator[RenderableType]:
    yield heading(report.endpoint, report.engine)
    roots = report.root_causes
    for root in roots:
        yield Text("")
        yield from root_cause(root, report, options)
    if report.matrix.rows and (errors(report) or options.all or options.verbose):
        yield Text("")
        yield from table(report.matrix, min(options.width, MAX_WIDTH), unicode=options.unicode)
    for crashed in (r for r in report.results if r.finding.status is Status.CRASH):
        yield Text("")
        yield _line(crashed)
    unknown = [r for r in report.results if r.finding.status is Status.UNKNOWN and not r.because]
    if unknown:
        yield Text("")
        yield from _unknown(unknown, options)
    if report.ignored:
        yield Text("")
        yield from map(_ignored, report.ignored)
    if any(root.finding.automatic for root in roots):
        yield Text("")
        yield Text(
            "doctor fix shows what it would change of this; --write does it, proves it, or puts all back.", style="bold"
        )
    if options.verbose:
        yield Text("")
        for result in report.results:
            if result.finding.status in {Status.PASS, Status.SKIP}:
                yield _line(result)
    yield Text("")
    yield _summary(report)
    for crash in report.crashes if options.verbose else ():
        yield Text(crash, style="dim")


def _in_short(report: Report, options: Options) -> Iterator[RenderableType]:  # noqa: ARG001 - as its sibling
    """One line for each cause, however long: scripts read lines."""
    crashed = [r for r in report.results if r.finding.status is Status.CRASH]
    for result in (*report.root_causes, *crashed):
        line = _line(replace(result, finding=replace(result.finding, summary=one_line(result.finding.summary))))
        line.no_wrap, line.overflow = True, "ignore"
        yield line
    if not report.root_causes and not crashed:
        yield Text.assemble(("✓ " if report.counts[Status.PASS] else "? ", "green"), _summary(report))


def heading(endpoint: Endpoint, engine: Engine) -> Text:
    """Which engine this is about, and why that one."""
    title = f"Docker Engine {engine.version}" if engine.version else "Docker Engine, not answering"
    text = Text(tame(title), style="bold")
    text.append(tame(f" at {endpoint.url or 'no endpoint'} ({endpoint.source})"), style="not bold")
    if engine.os:
        text.append(tame(f"\n{engine.os}, kernel {engine.kernel}"), style="not bold dim")
    return text


def _line(result: Result) -> Text:
    mark, style = _mark(result)
    text = Text(f"{mark} ", style=style)
    text.append(result.check.id, style="bold" if result.finding.status is Status.FAIL else "not bold")
    text.append(f"  {result.finding.summary}", style="not bold default")
    return text


def _ignored(result: Result) -> Text:
    """What fails and is accepted is not hidden: the reason may have gone."""
    text = Text("– ", style="dim")
    text.append(f"ignored: {result.check.id}", style="not dim")
    return text.append(f"  {result.finding.summary} ({result.ignored})")


def root_cause(root: Result, report: Report, options: Options) -> Iterator[RenderableType]:
    """One cause, how it was seen, how to fix it, and what follows from it."""
    mark, style = _mark(root)
    head = Text(f"{mark} {root.finding.summary}", style=style)
    yield head
    finding = root.finding
    inner: list[RenderableType] = []
    if finding.cause:
        inner.append(Text(finding.cause))
    inner += [Text.assemble((f"{e.source}: ", "dim"), e.saw) for e in finding.evidence]
    if finding.fix:
        inner.append(Text(""))
        inner.append(Text("To fix it:" if not finding.impact else f"To fix it ({finding.impact}):", style="bold"))
        yield Padding(Group(*inner), (0, 0, 0, 2))
        # Not inside a padding, which would cut what is wider than the report.
        yield from map(step_of_fix, steps(finding))
        inner = []
    inner.append(Text.assemble((root.check.id, "dim"), ("  ", ""), (root.check.docs, "dim")))
    inner += _symptoms(report.symptoms_of(root.check.id), options)
    yield Padding(Group(*inner), (0, 0, 0, 2))


def step_of_fix(step: str) -> RenderableType:
    """Show a command in one piece, however long: half of one would run when it is pasted."""
    if step.startswith("#"):
        return Padding(Text(step, style="dim"), (0, 0, 0, 4))
    lines = "\n".join(f"    {line}" for line in step.split("\n"))
    return Text(lines, style="cyan", no_wrap=True, overflow="ignore")


def _symptoms(symptoms: tuple[Result, ...], options: Options) -> Iterator[RenderableType]:
    """What follows from a cause: what fails too, and how much could not be examined."""
    failing = [s for s in symptoms if s.finding.status is Status.FAIL]
    dark = [s for s in symptoms if s.finding.status is not Status.FAIL]
    if options.all or options.verbose:
        for symptom in failing:
            yield _line(symptom)
            for e in symptom.finding.evidence:
                yield Padding(Text.assemble((f"{e.source}: ", "dim"), e.saw), (0, 0, 0, 2))
        yield from _unknown(dark, options)
        return
    if failing:
        follow = "follows" if len(failing) == 1 else "follow"
        names = ", ".join(s.check.id for s in failing)
        yield Text(f"{len(failing)} more {follow} from this: {names}", style="dim")
    if dark:
        yield Text(f"{many(len(dark), 'check', 'checks')} could not be made because of this", style="dim")


def _unknown(unknown: list[Result], options: Options) -> Iterator[RenderableType]:
    """Say once per reason what could not be told."""
    for reason, ids in reasons(unknown):
        text = Text("? ", style="cyan")
        text.append(f"not known: {reason}", style="default")
        shown = ids if options.verbose or len(ids) <= 3 else [*ids[:3], f"and {len(ids) - 3} more"]
        text.append(f"  {', '.join(shown)}", style="dim")
        yield text


def _summary(report: Report) -> Text:
    said = verdict(report)
    if report.counts[Status.CRASH]:
        text = Text(f"{said}; --verbose shows where", style="bold red")
    elif well(report):
        text = Text(said, style="bold green")
    else:
        text = Text(said, style="bold red" if errors(report) else "bold yellow")
    text.append(f" · {tally(report)}", style="not bold default")
    if errors(report) and following(report) > 0:
        text.append("\nRun again after fixing: what followed from a cause may hide another.", style="not bold default")
    return text

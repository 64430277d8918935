"""
What `doctor diff` has to say, for a person and for a program.

| ours                            | shown                                               |
|---------------------------------|-----------------------------------------------------|
| newly failing, newly known      | ✗ for an error, ! for a warning or less             |
| repaired                        | ✓                                                   |
| no longer known                 | ?                                                   |
| changed                         | as it fails; with --verbose also what does not fail |
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from dockerdoctor.compare import Change, Comparison, Kind, Run, Verdict
from dockerdoctor.model import Status
from dockerdoctor.render import Format
from dockerdoctor.render.json import SCHEMA_VERSION
from dockerdoctor.render.terminal import FAIL_MARKS, MARKS, Options, as_text
from dockerdoctor.render.words import many, one_line, tame

HEADS = {
    Kind.NEWLY_FAILING: "Newly failing",
    Kind.NEWLY_KNOWN: "Failing, and not known before",
    Kind.REPAIRED: "Repaired",
    Kind.NO_LONGER_KNOWN: "Failed before, and not known now",
    Kind.CHANGED: "Still failing, and says something else",
}


def render_text(comparison: Comparison, options: Options) -> str:
    """What differs, the worst first."""
    return as_text(_parts(comparison, options), options)


def _parts(comparison: Comparison, options: Options) -> Iterator[RenderableType]:
    for sign, run in (("-", comparison.before), ("+", comparison.after)):
        yield Text(f"{sign} {_heading(run)}", style="dim")
    for kind, head in HEADS.items():
        changes = [c for c in comparison.of(kind) if kind is not Kind.CHANGED or c.still_fails]
        if changes:
            yield Text("")
            yield Text(head, style="bold")
            yield from _changes(changes)
    others = [c for c in comparison.of(Kind.CHANGED) if not c.still_fails]
    if others and options.verbose:
        yield Text("")
        yield Text("Not failing, and says something else", style="bold")
        yield from _changes(others)
    yield Text("")
    yield _tally(comparison, 0 if options.verbose else len(others))


def _heading(run: Run) -> str:
    engine = " ".join(
        (f"Docker Engine {run.engine}" if run.engine else "", f"at {run.endpoint}" if run.endpoint else "")
    )
    about = ", ".join(part for part in (engine.strip(), run.started) if part)
    return tame(one_line(f"{run.name}: {about}" if about else run.name))


def _changes(changes: Sequence[Change]) -> Iterator[RenderableType]:
    """One line for each and one for what it was; what follows from one that is shown is only named beneath it."""
    shown = {c.check.id for c in changes}
    for change in changes:
        check = change.check
        if shown & set(check.because):
            continue
        mark, style = _mark(change)
        yield Text.assemble((f"{mark} ", style), (tame(check.id), "bold"), f"  {_said(change.after)}")
        if change.before:
            yield Padding(Text(f"before: {_said(change.before)}", style="dim"), (0, 0, 0, 4))
        follow = [c.check.id for c in changes if check.id in c.check.because]
        if follow:
            words = f"{len(follow)} more follow{'s' if len(follow) == 1 else ''} from this: {', '.join(follow)}"
            yield Padding(Text(tame(words), style="dim"), (0, 0, 0, 4))


def _mark(change: Change) -> tuple[str, str]:
    check = change.check
    if change.kind is Kind.REPAIRED:
        mark, _, style = MARKS[Status.PASS]
    elif change.kind is Kind.NO_LONGER_KNOWN:
        mark, _, style = MARKS[Status.UNKNOWN]
    else:
        mark, _, style = FAIL_MARKS[check.severity] if check.status is Status.FAIL else MARKS[check.status]
    return mark, style


def _said(verdict: Verdict | None) -> str:
    return tame(one_line(verdict.summary)) if verdict else "not examined"


def _tally(comparison: Comparison, hidden: int) -> Text:
    new, repaired = len(comparison.of(Kind.NEWLY_FAILING)), len(comparison.of(Kind.REPAIRED))
    if new:
        text = Text(f"Worse: {many(new, 'check', 'checks')} newly failing", style="bold red")
    else:
        text = Text("Nothing newly fails", style="bold green")
    rest = [f"{repaired} repaired"] if repaired else []
    rest += [f"{len(comparison.failing_in_both)} failing in both"]
    rest += [f"{hidden} that do not fail say something else (--verbose)"] if hidden else []
    return text.append(f" · {' · '.join(rest)}", style="not bold default")


def render_json(comparison: Comparison, options: Options) -> str:  # noqa: ARG001 - one signature for all formats
    """Everything, under names that only ever get company."""
    document: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "before": _run(comparison.before),
        "after": _run(comparison.after),
        **{kind.value: [_change(c) for c in comparison.of(kind)] for kind in Kind},
        "failing_in_both": list(comparison.failing_in_both),
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _run(run: Run) -> dict[str, str]:
    return {"file": run.name, "endpoint": run.endpoint, "engine": run.engine, "started": run.started}


def _change(change: Change) -> dict[str, Any]:
    check = change.check
    return {
        "id": check.id,
        "title": check.title,
        "severity": check.severity.value,
        "before": _verdict(change.before),
        "after": _verdict(change.after),
    }


def _verdict(verdict: Verdict | None) -> dict[str, Any] | None:
    if not verdict:
        return None
    return {"status": verdict.status.value, "summary": verdict.summary, "because": list(verdict.because)}


COMPARISON_FORMATS: dict[Format, Callable[[Comparison, Options], str]] = {
    Format.TEXT: render_text,
    Format.JSON: render_json,
}

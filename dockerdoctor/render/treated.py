"""
What `doctor fix`, `doctor undo` and `doctor history` have to say, for a person and for a program.

| ours                          | shown |
|-------------------------------|-------|
| applied                       | ✓     |
| planned                       | →     |
| by hand, declined             | –     |
| refused, rolled back, stranded| ✗     |
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timezone

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from dockerdoctor.fixes.fix import Outcome, Treated
from dockerdoctor.fixes.journal import Ended, Entry
from dockerdoctor.fixes.steps import Run
from dockerdoctor.fixes.treatment import files, words
from dockerdoctor.render import Format
from dockerdoctor.render.fix import DIFF_STYLES
from dockerdoctor.render.json import SCHEMA_VERSION
from dockerdoctor.render.terminal import Options, as_text, step_of_fix
from dockerdoctor.render.words import tame

HEADS = {
    Outcome.PLANNED: ("→", "bold"),
    Outcome.BY_HAND: ("–", "bold yellow"),
    Outcome.DECLINED: ("–", "bold"),
    Outcome.REFUSED: ("✗", "bold red"),
    Outcome.APPLIED: ("✓", "bold green"),
    Outcome.ROLLED_BACK: ("✗", "bold red"),
    Outcome.STRANDED: ("✗", "bold red"),
}
SAYS = {
    Outcome.PLANNED: "",
    Outcome.BY_HAND: "Left to you",
    Outcome.DECLINED: "Declined",
    Outcome.REFUSED: "Refused, nothing was changed",
    Outcome.APPLIED: "Repaired, and proven by examining this host again.",
    Outcome.ROLLED_BACK: "It did not work, and everything was put back",
    Outcome.STRANDED: "It did not work, and could not be put back: your hands are needed",
}
TRIED = {Outcome.APPLIED, Outcome.ROLLED_BACK, Outcome.STRANDED}
ENDS = {
    None: "cut short",
    Ended.APPLIED: "applied",
    Ended.ROLLED_BACK: "did not help, and was put back",
    Ended.UNDONE: "taken back",
    Ended.LEFT: "left as it is",
    Ended.STRANDED: "could not be put back",
}


def plan_text(treated: Treated, options: Options) -> str:
    """What would be done about one cause, for the person who is asked."""
    return as_text(_plan(_tame(treated)), options)


def render_text(all_treated: Sequence[Treated], options: Options) -> str:
    """The whole outcome."""
    parts: list[RenderableType] = []
    for treated in map(_tame, all_treated):
        parts += [*_outcome(treated), Text("")]
    if any(treated.outcome is Outcome.PLANNED for treated in all_treated):
        parts.append(Text("Nothing was changed; this is what --write would do.", style="bold"))
    if not all_treated:
        parts.append(Text("✓ Nothing to do: no error was found", style="bold green"))
    return as_text(parts, options)


def _tame(treated: Treated) -> Treated:
    """Files and names of containers are the host's, and a terminal obeys what it is sent."""
    return replace(
        treated,
        summary=tame(treated.summary),
        reason=tame(treated.reason),
        diff=tuple(map(tame, treated.diff)),
        commands=tuple(map(tame, treated.commands)),
        advice=tuple(map(tame, treated.advice)),
        impact=tuple(map(tame, treated.impact)),
        forever=tuple(map(tame, treated.forever)),
        next=tuple(map(tame, treated.next)),
    )


def _plan(treated: Treated) -> Iterator[RenderableType]:
    mark, style = HEADS[treated.outcome]
    yield Text(f"{mark} {treated.summary}", style=style)
    if treated.diff:
        yield Text("  The change:", style="bold")
        for line in treated.diff:
            # In one piece: a broken line would no longer be a diff.
            yield Text(f"    {line}", style=DIFF_STYLES.get(line[:1], ""), no_wrap=True, overflow="ignore")
    if treated.commands:
        yield Text("  The commands, in order:", style="bold")
        yield from map(step_of_fix, treated.commands)
    if treated.advice:
        yield Text("  To know before:", style="bold")
        yield from map(step_of_fix, treated.advice)
    for line in treated.forever:
        yield Padding(Text.assemble(("Cannot be undone: ", "bold red"), line), (0, 0, 0, 2))
    for line in treated.impact:
        yield Padding(Text.assemble(("It interrupts: ", "bold"), line), (0, 0, 0, 2))
    if treated.outcome is Outcome.PLANNED:
        yield Padding(
            Text.assemble(
                ("Proof: ", "bold"),
                f"{treated.check} passes afterwards, and whatever passed before still does; else all is put back",
            ),
            (0, 0, 0, 2),
        )
        back = "doctor undo, all but what cannot be undone" if treated.forever else "doctor undo"
        yield Padding(Text.assemble(("To take it back later: ", "bold"), back), (0, 0, 0, 2))
        if treated.forever:
            yield Padding(Text("It is only done with --write --irreversible."), (0, 0, 0, 2))


def _outcome(treated: Treated) -> Iterator[RenderableType]:
    if treated.outcome is Outcome.PLANNED:
        yield from _plan(treated)
    else:
        mark, style = HEADS[treated.outcome]
        yield Text(f"{mark} {treated.summary}", style=style)
    if said := SAYS[treated.outcome]:
        yield Padding(Text(f"{said}: {treated.reason}" if treated.reason else said), (0, 0, 0, 2))
    if treated.outcome in TRIED:
        # A step that failed may have taken its part with it.
        for line in treated.forever:
            yield Padding(Text(f"Gone for good: {line}"), (0, 0, 0, 2))
    if treated.journal:
        yield Padding(Text(f"To take it back: doctor undo {treated.journal}"), (0, 0, 0, 2))
    if treated.next:
        yield Text("  What remains:" if treated.outcome is not Outcome.BY_HAND else "  To fix it:", style="bold")
        yield from map(step_of_fix, treated.next)


def render_json(all_treated: Sequence[Treated], options: Options) -> str:  # noqa: ARG001 - one signature for all formats
    """Everything, under names that only ever get company."""
    fixes = [{**asdict(treated), "outcome": treated.outcome.value} for treated in all_treated]
    return json.dumps({"schema_version": SCHEMA_VERSION, "fixes": fixes}, indent=2, ensure_ascii=False) + "\n"


def history_text(entries: Sequence[Entry], *, at_work: bool = False) -> str:
    """One line for each treatment, the newest first; `at_work`: a doctor is, and the newest that is open is its own."""
    if not entries:
        return "The doctor has changed nothing on this host.\n"
    lines = []
    for entry in entries:
        when = datetime.fromtimestamp(entry.when).astimezone().strftime("%Y-%m-%d %H:%M:%S") if entry.when else "?" * 19
        how = f"cannot be read: {entry.problem}" if entry.problem else ENDS[entry.ended]
        if at_work and entry.ended is None:
            how, at_work = "at work now", False
        lines.append(tame(f"{entry.id:20} {when}  {entry.check:28} {how}"))
    return "\n".join(lines) + "\n"


def history_json(entries: Sequence[Entry], *, at_work: bool = False) -> str:
    """The same for programs, under names that only ever get company."""
    history = [
        {
            "id": entry.id,
            "check": entry.check,
            "summary": entry.summary,
            "when": datetime.fromtimestamp(entry.when, timezone.utc).isoformat(),
            "ended": entry.ended.value if entry.ended else None,
            "problem": entry.problem,
            "files": list(files(entry.steps)),
            "commands": [words(step) for step in entry.steps if isinstance(step, Run)],
            "undo": entry.stands and not entry.problem,
        }
        for entry in entries
    ]
    document = {"schema_version": SCHEMA_VERSION, "at_work": at_work, "history": history}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


HISTORY_FORMATS: dict[Format, Callable[..., str]] = {Format.TEXT: history_text, Format.JSON: history_json}
FIX_FORMATS: dict[Format, Callable[[Sequence[Treated], Options], str]] = {
    Format.TEXT: render_text,
    Format.JSON: render_json,
}

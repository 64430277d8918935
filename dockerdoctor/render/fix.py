"""
What `doctor fix-dns` has to say, for a person and for a program.

| ours                                | shown |
|-------------------------------------|-------|
| nothing to do, written, applied     | ✓     |
| planned                             | →     |
| declined                            | –     |
| refused, rolled back, stranded      | ✗     |
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from dockerdoctor.facts.upstreams import Candidate
from dockerdoctor.fixes.dns import Ending, Tried, Verdict
from dockerdoctor.render import Format
from dockerdoctor.render.json import SCHEMA_VERSION, result
from dockerdoctor.render.terminal import Options, as_text, root_cause, step_of_fix
from dockerdoctor.render.words import tame, tame_report

HEADS = {
    Ending.NOTHING_TO_DO: ("✓ Nothing to do", "bold green"),
    Ending.PLANNED: ("→ Nothing was changed; this is what --write would do", "bold"),
    Ending.DECLINED: ("– Declined", "bold"),
    Ending.REFUSED: ("✗ Refused, nothing was changed", "bold red"),
    Ending.WRITTEN: ("✓ Written", "bold green"),
    Ending.APPLIED: ("✓ Repaired", "bold green"),
    Ending.ROLLED_BACK: ("✗ It did not work, and everything was put back", "bold red"),
    Ending.STRANDED: ("✗ It did not work, and could not be put back: your hands are needed", "bold red"),
}
DIFF_STYLES = {"+": "green", "-": "red", "@": "cyan"}


def plan_text(verdict: Verdict, options: Options) -> str:
    """What would be done, for the person who is asked."""
    return as_text(_plan(_tame(verdict)), options)


def render_text(verdict: Verdict, options: Options) -> str:
    """The whole outcome."""
    return as_text(_outcome(_tame(verdict), options), options)


def _tame(verdict: Verdict) -> Verdict:
    """Files and names of containers are the host's, and a terminal obeys what it is sent."""
    return replace(
        verdict,
        reason=tame(verdict.reason),
        seen=tuple((place, tame(said)) for place, said in verdict.seen),
        path=tame(verdict.path),
        backup=tame(verdict.backup),
        diff=tuple(map(tame, verdict.diff)),
        next=tuple(map(tame, verdict.next)),
        causes=tame_report(verdict.causes) if verdict.causes else None,
        tried=tuple(
            replace(t, candidate=Candidate(t.candidate.server, tame(t.candidate.source))) for t in verdict.tried
        ),
    )


def _plan(verdict: Verdict) -> Iterator[RenderableType]:
    if verdict.seen:
        yield Text("Containers' own nameservers now:", style="bold")
        for place, said in verdict.seen:
            yield Padding(Text.assemble((f"{place}: ", "dim"), said), (0, 0, 0, 2))
    if verdict.tried:
        yield Text("Nameservers asked from new containers, over UDP:", style="bold")
        for tried in verdict.tried:
            yield Padding(_tried(tried), (0, 0, 0, 2))
    if verdict.diff:
        yield Text("The change:", style="bold")
        for line in verdict.diff:
            # In one piece: a broken line would no longer be a diff.
            yield Text(f"  {line}", style=DIFF_STYLES.get(line[:1], ""), no_wrap=True, overflow="ignore")
    elif verdict.impact:
        yield Text(f"{verdict.path} names these servers already; dockerd has not read it yet.")
    if verdict.impact:
        yield Text("What it interrupts:", style="bold")
        for line in verdict.impact.words:
            yield Padding(Text(line), (0, 0, 0, 2))


def _tried(tried: Tried) -> Text:
    mark, style = ("✓", "green") if tried.chosen else ("–", "dim")
    text = Text(f"{mark} ", style=style)
    text.append(f"{tried.candidate.server} ", style="bold" if tried.chosen else "default")
    text.append(f"({tried.candidate.source}): {tried.why}", style="default")
    said = ", ".join(f"{place} {outcome} {seconds * 1000:.0f} ms" for place, outcome, seconds in tried.answers)
    text.append(f"  {said or 'no answer in time'}", style="dim")
    return text


def _outcome(verdict: Verdict, options: Options) -> Iterator[RenderableType]:
    head, style = HEADS[verdict.ending]
    if verdict.ending in {Ending.PLANNED, Ending.REFUSED}:
        yield from _plan(verdict)
    elif verdict.ending is Ending.NOTHING_TO_DO:
        for place, said in verdict.seen:
            yield Text.assemble((f"{place}: ", "dim"), said)
    yield Text(f"{head}{': ' if verdict.reason else ''}{verdict.reason}", style=style)
    if verdict.ending in {Ending.APPLIED, Ending.WRITTEN}:
        yield Text(f"{verdict.path}: dns {', '.join(verdict.servers)}")
    if verdict.backup:
        yield Text(f"The file as it was: {verdict.backup}")
    if verdict.journal:
        yield Text(f"To take it back: doctor undo {verdict.journal}")
    for cause in verdict.causes.root_causes if verdict.causes else ():
        yield Text("")
        yield from root_cause(cause, verdict.causes, options)  # type: ignore[arg-type]  # there is one, or no cause
    if verdict.next:
        yield Text("To do it:" if verdict.ending is Ending.PLANNED else "What remains:", style="bold")
        yield from map(step_of_fix, verdict.next)


def render_json(verdict: Verdict, options: Options) -> str:  # noqa: ARG001 - one signature for all formats
    """Everything, under names that only ever get company."""
    document: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "ending": verdict.ending.value,
        "exit_status": int(verdict.ending.exit_status),
        "reason": verdict.reason,
        "seen": dict(verdict.seen),
        "path": verdict.path,
        "diff": list(verdict.diff),
        "servers": [
            {
                "server": t.candidate.server,
                "source": t.candidate.source,
                "tier": t.tier.name.lower(),
                "chosen": t.chosen,
                "why": t.why,
                "answers": [{"from": place, "outcome": o, "seconds": s} for place, o, s in t.answers],
            }
            for t in verdict.tried
        ],
        "impact": list(verdict.impact.words) if verdict.impact else [],
        "backup": verdict.backup,
        "journal": verdict.journal,
        "next": list(verdict.next),
        "root_causes": [result(r) for r in verdict.causes.root_causes] if verdict.causes else [],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


FIX_FORMATS: dict[Format, Callable[[Verdict, Options], str]] = {Format.TEXT: render_text, Format.JSON: render_json}

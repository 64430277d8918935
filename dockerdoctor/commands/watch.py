"""`doctor check --watch`: examine again and again, and say what changed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import NoReturn

import typer

from dockerdoctor.compare import Kind, compare, run_of
from dockerdoctor.facts.probe_container import sweep_abandoned
from dockerdoctor.host import Host
from dockerdoctor.model import Mark, Report
from dockerdoctor.render.words import tame

# Home, and erase what is below: redrawn at once, a screen does not flicker (ECMA-48, CUP and ED).
REDRAW = "\x1b[H\x1b[J"
WORDS = {
    Kind.NEWLY_FAILING: "fails now",
    Kind.NEWLY_KNOWN: "fails, which was not known",
    Kind.REPAIRED: "is well again",
    Kind.NO_LONGER_KNOWN: "is not known any more",
}


def watch(examined: Callable[[], Report], show: Callable[[Report], str], pause: float, *, screen: bool) -> NoReturn:
    """Go on until interrupted; on a `screen` each report takes the place of the one before."""
    before: Report | None = None
    changes: list[str] = []
    while True:
        report = examined()
        if before:
            news = [f"{_clock(report.started)}  {tame(line)}" for line in changed(before, report)]
            changes = [*changes, *news][-_kept() :] if screen else news
        lines = [
            *show(report).splitlines(),
            "",
            *map(trimmed, changes),
            f"{_clock(report.started)}, every {pause:g} s; Ctrl-C ends it",
        ]
        typer.echo(REDRAW + "\n".join(fitting(lines, len(changes) + 2)) if screen else "\n".join([*lines, ""]))
        before = report
        sweep_abandoned()
        Host().sleep(pause)


def changed(before: Report, after: Report) -> Iterator[str]:
    """What newly fails, what is well again, and what is reached no more, or again."""
    for change in compare(run_of("before", before, ""), run_of("after", after, "")).changes:
        if change.kind in WORDS:
            yield f"{change.check.id} {WORDS[change.kind]}: {change.check.summary}"
    known = {row.target: row.cells for row in before.matrix.rows}
    for row in after.matrix.rows:
        then = known.get(row.target, row.cells)
        for place, was, now in zip(after.matrix.places, then, row.cells, strict=True):
            if {was.mark, now.mark} == {Mark.OK, Mark.FAIL}:
                yield f"{row.target} from {place}: {'reached again' if now.mark is Mark.OK else now.said}"


def fitting(lines: list[str], last: int) -> list[str]:
    """Keep to the screen: its end, which says what changed, stays; what is above is cut."""
    room = shutil.get_terminal_size((80, 24)).lines - 1
    if len(lines) <= room:
        return lines
    cut = max(0, room - last - 1)
    return [*lines[:cut], f"... {len(lines) - cut - last} more lines", *lines[-last:]]


def trimmed(line: str) -> str:
    """Keep one line one line."""
    room = shutil.get_terminal_size((80, 24)).columns
    return line if len(line) <= room else f"{line[: room - 3]}..."


def _kept() -> int:
    return max(1, shutil.get_terminal_size((80, 24)).lines // 4)


def _clock(when: datetime) -> str:
    return when.astimezone().strftime("%H:%M:%S")

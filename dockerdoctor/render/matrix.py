"""
The connectivity matrix as a table of text.

| ours    | shown                     | without Unicode |
|---------|---------------------------|-----------------|
| OK      | ✓ and how soon            | ok              |
| FAIL    | ✗ and why                 | FAIL            |
| UNKNOWN | ?, and the reason below   | ?               |
| NONE    | –                         | -               |
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet

from rich.text import Text

from dockerdoctor.model import Cell, Mark, Matrix
from dockerdoctor.render.words import cell_words, unmeasured

MARKS = {
    Mark.OK: ("✓", "ok", "green"),
    Mark.FAIL: ("✗", "FAIL", "bold red"),
    Mark.UNKNOWN: ("?", "?", "cyan"),
    Mark.NONE: ("–", "-", "dim"),
}
GAP = 2
# A target is hardly told from another in less; on a narrow terminal the marks go before the names.
LEAST, NARROW = 22, 10


def table(matrix: Matrix, width: int, *, unicode: bool) -> Iterator[Text]:
    """Lay it out; where there is no room for the reasons in the cells, or for the times, the marks must do."""
    heads = [place.split(" ", 1) for place in matrix.places]
    for spoken, least in (({Mark.OK, Mark.FAIL}, LEAST), ({Mark.OK}, NARROW), (frozenset(), 0)):
        cells = [[_cell(cell, spoken, unicode=unicode) for cell in row.cells] for row in matrix.rows]
        columns = [
            max(*(len(word) for word in head), *(len(row[n]) for row in cells)) + GAP for n, head in enumerate(heads)
        ]
        room = width - sum(columns)
        if room >= least:
            break
    first = min(max(len(row.target) for row in matrix.rows) + GAP, max(room, NARROW))
    for line in range(max(map(len, heads))):
        words = [head[line] if line < len(head) else "" for head in heads]
        yield Text(" " * first + "".join(w.ljust(n) for w, n in zip(words, columns, strict=True)), style="bold")
    for row, shown in zip(matrix.rows, cells, strict=True):
        text = Text(_fitting(row.target, first - GAP).ljust(first), no_wrap=True)
        for cell, said, n in zip(row.cells, shown, columns, strict=True):
            text.append(said.ljust(n), style=MARKS[cell.mark][2])
        yield text
    for reason, where in unmeasured(matrix):
        yield Text.assemble(("? ", "cyan"), (f"{', '.join(where)}: {reason}", "dim"))
    if matrix.build:
        yield Text(matrix.build, style="dim")


def _cell(cell: Cell, spoken: AbstractSet[Mark], *, unicode: bool) -> str:
    mark = MARKS[cell.mark][0 if unicode else 1]
    words = cell_words(cell) if cell.mark in spoken else ""
    return f"{mark} {words}".rstrip()


def _fitting(target: str, width: int) -> str:
    """Cut the front: it is the end of two addresses that differs."""
    return target if len(target) <= width else f"…{target[1 - width :]}"

"""
The catalogue of checks: `doctor explain`, `doctor checks`, and docs/checks.md, which say the same.

| ours             | shown                                                      |
|------------------|------------------------------------------------------------|
| Check.decide     | its docstring: what is looked at, why it matters, the fix  |
| Check.upstream   | "Explained by", the checks whose failure explains this one |
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from dockerdoctor.model import Check
from dockerdoctor.render import Format
from dockerdoctor.render.json import SCHEMA_VERSION
from dockerdoctor.render.terminal import FAIL_MARKS, Options, as_text


def explanation(one: Check) -> str:
    """What the check's author wrote: what is looked at, why it matters, how to fix it."""
    return inspect.cleandoc(one.decide.__doc__ or "")


def area_of(one: Check) -> str:
    """The part of the id that says what it is about: "dns"."""
    return one.id.partition(".")[0]


def section(one: Check) -> list[str]:
    """Give a check's section of a Markdown document, line by line."""
    lines = [f"## {one.id}", "", f"**{one.title}.** Severity: {one.severity.value}.", "", explanation(one), ""]
    if one.upstream:
        lines += [f"Explained by: {', '.join(f'`{u}`' for u in one.upstream)}.", ""]
    return [*lines, f"See <{one.docs}>.", ""]


def explain_text(checks: Sequence[Check], options: Options) -> str:
    """All that is known of each check, for a person."""
    return as_text(_explained(checks), options)


def _explained(checks: Sequence[Check]) -> Iterator[RenderableType]:
    for number, one in enumerate(checks):
        if number:
            yield Text("")
        yield Text(one.id, style="bold")
        severity = (one.severity.value, FAIL_MARKS[one.severity][2])
        yield Text.assemble(f"{one.title}. Severity: ", severity, ".")
        yield Text("")
        yield Text(explanation(one))
        yield Text("")
        if one.upstream:
            yield Text(f"Explained by: {', '.join(one.upstream)}.")
        # In one piece, for a terminal to open.
        yield Text(f"See {one.docs}", no_wrap=True, overflow="ignore")


def catalogue_text(checks: Sequence[Check], options: Options) -> str:
    """The checks area by area, a line for each."""
    return as_text(_listed(checks), options)


def _listed(checks: Sequence[Check]) -> Iterator[RenderableType]:
    areas: dict[str, list[Check]] = {}
    for one in checks:
        areas.setdefault(area_of(one), []).append(one)
    longest = max((len(one.id) for one in checks), default=0)
    for area, members in areas.items():
        yield Text(f"{area}, {len(members)}", style="bold")
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(min_width=longest + 2, no_wrap=True)
        table.add_column(min_width=len("warning"), no_wrap=True)
        table.add_column(overflow="fold")
        for one in members:
            table.add_row(f"  {one.id}", Text(one.severity.value, style=FAIL_MARKS[one.severity][2]), one.title)
        yield table
        yield Text("")
    yield Text(f"{len(checks)} checks in {len(areas)} areas · doctor explain ID says more of each")


def catalogue_json(checks: Sequence[Check], options: Options) -> str:  # noqa: ARG001 - one signature for all formats
    """Everything that is known of the checks, under names that only ever get company."""
    document = {
        "schema_version": SCHEMA_VERSION,
        "checks": [
            {
                "id": one.id,
                "area": area_of(one),
                "title": one.title,
                "severity": one.severity.value,
                "explanation": explanation(one),
                "upstream": list(one.upstream),
                "docs": one.docs,
            }
            for one in checks
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


CATALOGUE_FORMATS: dict[Format, Callable[[Sequence[Check], Options], str]] = {
    Format.TEXT: catalogue_text,
    Format.JSON: catalogue_json,
}

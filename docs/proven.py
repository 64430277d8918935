"""docs/coverage.md: what was proven on machines, from the outcomes that the lab noted and from what the document says already."""

import json
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from tests.lab.base import ENGINES
from tests.lab.fault import FIXED, Fault, Healthy, at, engines, results_file
from tests.lab.faults import FAULTS
from tests.lab.healthy import HEALTHY, STATES
from tests.lab.lookalikes import LOOK_ALIKES
from tests.lab.repairs import BY_HAND, KILLED, KINDS

DOCS = Path(__file__).parent
NOT_RUN, NOT_PROVEN, NOT_THERE = "not run", "**not proven**", "–"
REPAIR, BY_FIX = "repair verified", "by `doctor fix`, and taken back"
MANY = 2
# Differs from run to run: two documents that differ in nothing else say the same.
VERSION = re.compile(r"\b\d+\.\d+\b")
SECONDS = re.compile(r"\b\d+\.\d s\b")

HEAD = """\
# Coverage

{note}

Each fault is made on a whole machine with a real engine: a user's command that worked before fails, `doctor check` names the
check as the first root cause and nothing unrelated beside it, and where a repair is listed, the command works again after it.
Under each engine stands how long the diagnosis took; "{there}": the fault cannot be there. Symptoms are further checks that
failed because of it, and stood beneath it. Faults have the ids of the project's catalogue, [faults.txt](faults.txt).
"""


def coverage(note: str) -> str:
    """Give the document: the newest outcomes, and for what was not run since, what it said before."""
    cells = {**said_before(DOCS / "coverage.md"), **outcomes(results_file())}
    lines = [HEAD.format(note=note, there=NOT_THERE), *summary(cells)]
    lines += table("fault", "root cause named", "symptoms", REPAIR)
    lines += [row(f, cells, f"{verdict(f)} | {len(f.symptoms) or NOT_THERE} | {repair(f, cells)}") for f in FAULTS]
    lines += ["", "## Healthy machines", "", "No error may be found on these.", ""]
    lines += table("machine", "warnings")
    lines += [row(h, cells, warnings(h, cells)) for h in HEALTHY]
    lines += ["", "What looks like a fault there, and is none:", "", "| state | machine |", "|---|---|"]
    lines += [f"| {state} | {machine} |" for state, machine in STATES]
    lines += ["", "## Look-alikes", "", "Each was on a machine without the other, and was named without the other.", ""]
    lines += ["| one | other |", "|---|---|", *(f"| {one} | {other} |" for one, other in told_apart(cells))]
    lines += [
        "",
        "## Kills",
        "",
        "After each line of its journal `doctor fix` is killed; `doctor undo` restores every byte.",
        "",
    ]
    lines += ["| machine | kind | kills |", "|---|---|---|"]
    killed = {KILLED.format(name): kind for name, kind in KINDS.items()}
    lines += [f"| {name} | {kind} | {cells.get((name, 'kills'), NOT_RUN)} |" for name, kind in killed.items()]
    lines += [
        "",
        "## Repairs that are left to a person",
        "",
        "The commands shown repair; `doctor fix` does not do it.",
        "",
    ]
    lines += ["| fault | why |", "|---|---|", *(f"| {fault} | {why} |" for fault, why in BY_HAND.items())]
    by_hand = (DOCS / "not-proven.md").read_text(encoding="utf-8").strip()
    return "\n".join([*lines, "", by_hand, "", *missing(cells, by_hand), ""])


def same(one: str, other: str) -> bool:
    """Tell whether two documents say the same, but for the time it took."""
    return SECONDS.sub("", one) == SECONDS.sub("", other)


# -- what is known: (fault or machine, engine): cell, and (machine, "warnings"): cell


def said_before(document: Path) -> dict[tuple[str, str], str]:
    """Read the tables of the document."""
    known, columns = {}, []
    for line in document.read_text(encoding="utf-8").splitlines() if document.exists() else ():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if cells[0] in ("fault", "machine"):
            columns = cells
        elif columns and len(cells) == len(columns):
            known |= {(cells[0], column): cell for column, cell in zip(columns[1:], cells[1:], strict=True)}
        else:
            columns = columns if line.startswith("|---") else []
    return known


def outcomes(file: Path) -> dict[tuple[str, str], str]:
    """Read what the lab noted, the newest last."""
    known = {}
    release = {suite: engine for engine, suite in ENGINES.items()}
    for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else ():
        noted = json.loads(line)
        patient, engine = noted.get("fault") or noted["healthy"], release[noted["suite"]]
        known[patient, engine] = f"{noted['seconds']['check']:.1f} s" if noted["proven"] else NOT_PROVEN
        if "kills" in noted:
            known[patient, "kills"] = str(noted["kills"])
        if "warnings" in noted:
            known[patient, "warnings"] = ", ".join(f"`{warning}`" for warning in noted["warnings"]) or "none"
    return known


# -- the parts


def table(first: str, *others: str) -> list[str]:
    """Give the head of a table."""
    columns = [first, *others[:-1], *ENGINES, others[-1]]
    return [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]


def row(patient: Fault | Healthy, cells: dict[tuple[str, str], str], about: str) -> str:
    """Give a line: what it is, its outcome on each engine, and what else is told of it."""
    *before, last = about.split(" | ")
    proofs = [proof(patient, engine, cells) for engine in ENGINES]
    return f"| {' | '.join([patient.id, *before, *proofs, last])} |"


def proof(patient: Fault | Healthy, engine: str, cells: dict[tuple[str, str], str]) -> str:
    """Give the outcome on one engine."""
    if engine not in engines(patient):
        return NOT_THERE
    known = cells.get((patient.id, engine), NOT_RUN)
    return NOT_RUN if known == NOT_THERE else known


def proven(patient: Fault | Healthy, cells: dict[tuple[str, str], str]) -> list[str]:
    """Give the engines on which it was proven."""
    return [engine for engine in ENGINES if SECONDS.fullmatch(proof(patient, engine, cells))]


def verdict(fault: Fault) -> str:
    """Give the check named, and where another is."""
    named = f"`{fault.check}`"
    others = {engine: at(fault, engine).check for engine in engines(fault)}
    return named + "".join(f", on {e} `{check}`" for e, check in others.items() if check != fault.check)


def fixed(fault: Fault, cells: dict[tuple[str, str], str]) -> list[str]:
    """Give the engines on which `doctor fix` repaired it and `doctor undo` brought it back."""
    said = cells.get((fault.id, REPAIR), "")
    # Before the document told the engines, it was the first.
    before = VERSION.findall(said.partition(";")[0]) or list(engines(fault)[:1]) if said.startswith(BY_FIX) else []
    newest = {e: cells.get((FIXED.format(fault.id), e), "") for e in engines(fault)}
    return [e for e, cell in newest.items() if (SECONDS.fullmatch(cell) if cell else e in before)]


def repair(fault: Fault, cells: dict[tuple[str, str], str]) -> str:
    """Say which repair was seen to work; the newest outcome counts, or else what was said before."""
    if fault.verify_fix and (there := fixed(fault, cells)):
        failed = [e for e in engines(fault) if cells.get((FIXED.format(fault.id), e)) == NOT_PROVEN]
        return f"{BY_FIX}: {', '.join(there)}" + f"; **not on {', '.join(failed)}**" * bool(failed)
    if fault.cure:
        return "by `doctor`" if fault.cure.startswith("doctor") else "by hand"
    return "by the commands shown" if fault.verify_fix else "–"


def warnings(healthy: Healthy, cells: dict[tuple[str, str], str]) -> str:
    """Give the risks that were named."""
    return cells.get((healthy.id, "warnings"), NOT_RUN)


def told_apart(cells: dict[tuple[str, str], str]) -> list[tuple[str, str]]:
    """Give the look-alikes that were both proven."""
    known = {f.id for f in FAULTS if proven(f, cells)}
    return [pair for pair in LOOK_ALIKES if known.issuperset(pair)]


def summary(cells: dict[tuple[str, str], str]) -> Iterator[str]:
    """Give the numbers."""
    yield from table("proven", "any engine")
    for what, patients in (("variants of faults", FAULTS), ("healthy machines", HEALTHY)):
        where = [proven(p, cells) for p in patients]
        counts = [sum(engine in there for there in where) for engine in ENGINES]
        yield f"| {what}, of {len(patients)} | {' | '.join(map(str, counts))} | {sum(map(bool, where))} |"
    catalogue = faults()
    families = [{f.family for f in FAULTS if engine in proven(f, cells)} & catalogue for engine in ENGINES]
    counts = [len(family) for family in families]
    yield f"| faults, of the catalogue's {len(catalogue)} | {' | '.join(map(str, counts))} | {len(set().union(*families))} |"
    yield ""
    many = [f.id for f in FAULTS if len(f.symptoms) >= MANY and proven(f, cells)]
    where = [fixed(f, cells) for f in FAULTS]
    each = ", ".join(f"{sum(engine in there for there in where)} on {engine}" for engine in ENGINES)
    yield f"Repaired by `doctor fix` and taken back by `doctor undo`: {sum(map(bool, where))} variants ({each})."
    yield f"One cause with {MANY} symptoms or more beneath it: {len(many)} variants. Look-alikes told apart: {len(told_apart(cells))} pairs."
    yield ""


def faults() -> set[str]:
    """Give the catalogue's ids."""
    return set((DOCS / "faults.txt").read_text(encoding="utf-8").split())


def missing(cells: dict[tuple[str, str], str], by_hand: str) -> Iterator[str]:
    """Name the faults of the catalogue that stand nowhere above."""
    firsts = [line.split("|")[1] for line in by_hand.splitlines() if line.startswith("|")]
    explained = re.findall(r"[a-z0-9]+-[a-z0-9*-]+", " ".join(firsts))
    rest = faults() - {f.family for f in FAULTS if proven(f, cells)}
    rest = {fault for fault in rest if not any(fnmatchcase(fault, pattern) for pattern in explained)}
    if rest:
        yield from ("## Not yet", "", f"Neither proven nor explained: {', '.join(sorted(rest))}.", "")

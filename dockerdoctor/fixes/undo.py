"""`doctor undo` and `doctor history`: take back what a fix has done, finished or cut short."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dockerdoctor.fixes import treatment
from dockerdoctor.fixes.journal import Ended, Entry, entries, unfinished
from dockerdoctor.fixes.treatment import Refused
from dockerdoctor.host import Host

# What can be taken back: it is there.
STANDING = (None, Ended.APPLIED, Ended.STRANDED)


@dataclass(frozen=True, slots=True)
class NothingToUndo:
    """There is no such treatment, or it was taken back already."""

    reason: str


def history(host: Host) -> tuple[Entry, ...]:
    """Give every treatment that the journal knows, the newest first; raises PermissionError."""
    return tuple(reversed(entries(host)))


def to_undo(host: Host, entry_id: str = "") -> Entry | NothingToUndo:
    """Choose: the one named; else one that was cut short; else the newest that stands. Raises PermissionError."""
    known = history(host)
    if entry_id:
        named = next((entry for entry in known if entry.id == entry_id), None)
        if not named:
            return NothingToUndo(f"the journal has no {entry_id}")
        if named.problem:
            return NothingToUndo(f"the journal's {entry_id} cannot be read: {named.problem}")
        if named.ended not in STANDING:
            return NothingToUndo(f"{entry_id} was taken back already")
        return named
    standing = [*unfinished(host), *(entry for entry in known if entry.ended in STANDING and not entry.problem)]
    return standing[0] if standing else NothingToUndo("nothing that the doctor did stands")


def undo(host: Host, entry: Entry, observe: Callable[[str], None] = lambda _: None) -> None:
    """Take it back; raises Refused (nothing was touched) and Stranded."""
    if not host.is_root:
        raise Refused("only root may do this", f"doctor undo {entry.id}")
    treatment.undo(entry, host, observe)

"""`doctor undo` and `doctor history`: take back what a fix has done, finished or cut short."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dockerdoctor.fixes import treatment
from dockerdoctor.fixes.journal import Ended, Entry, entries, unfinished
from dockerdoctor.fixes.treatment import Refused
from dockerdoctor.host import Host


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
    if not entry_id:
        entry = next(iter(unfinished(host)), next((entry for entry in known if entry.stands), None))
        if not entry:
            return NothingToUndo("nothing that the doctor did stands")
    elif not (entry := next((entry for entry in known if entry.id == entry_id), None)):
        return NothingToUndo(f"the journal has no {entry_id}")
    if not entry.stands:
        ended = "was left as it is" if entry.ended is Ended.LEFT else "was taken back already"
        return NothingToUndo(f"{entry_id} {ended}")
    return entry


def undo(host: Host, entry: Entry, observe: Callable[[str], None] = lambda _: None) -> None:
    """Take it back; raises Refused (nothing was touched) and Stranded."""
    if not host.is_root:
        raise Refused("only root may do this", f"sudo doctor undo {entry.id}")
    treatment.undo(entry, host, observe)


def leave(host: Host, entry: Entry) -> None:
    """Take nothing back, and say no more of it; raises Refused."""
    if not host.is_root:
        raise Refused("only root may do this", f"sudo doctor undo {entry.id} --leave")
    treatment.leave(entry, host)

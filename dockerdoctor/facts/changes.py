"""What the doctor itself has begun to change on this host, and not ended."""

from __future__ import annotations

from dataclasses import dataclass

from dockerdoctor.host import Host
from dockerdoctor.measure import Unmeasured, probe

# For root alone: the files kept there hold passwords.
JOURNAL = "/var/lib/dockerdoctor"
LOCK = "/run/dockerdoctor.lock"
# The last lines of a fix that has left nothing half done; fixes/journal.py writes them.
ENDS = frozenset({"applied", "rolled-back", "undone", "left"})


@dataclass(frozen=True, slots=True)
class OwnChanges:
    """Fixes that were begun and have no end, by their names in the journal, the newest last."""

    unfinished: tuple[str, ...] = ()
    at_work: bool = False  # another doctor holds the lock
    process: str = ""  # its number


@probe()
def own_changes(host: Host) -> OwnChanges:
    """Read the last line of each."""
    if not host.exists(JOURNAL):
        return OwnChanges()
    if not host.searchable(JOURNAL):
        raise Unmeasured(f"{JOURNAL} is root's own", how="# run as root")
    begun = {name: host.text(f"{JOURNAL}/{name}/progress").split("\n") for name in sorted(host.listdir(JOURNAL))}
    # A line that a kill cut short has no end, and says nothing.
    open_ones = tuple(
        name
        for name, (*lines, _) in begun.items()
        if any(line.startswith("begin ") for line in lines) and lines[-1] not in ENDS
    )
    at_work = bool(open_ones) and host.locked(LOCK)
    return OwnChanges(open_ones, at_work, host.text(LOCK).strip() if at_work else "")

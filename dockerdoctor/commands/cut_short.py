"""What every command that looks at this host or changes it has to say first: a fix was cut short, and is half done."""

from __future__ import annotations

from collections.abc import Callable

from dockerdoctor.facts.changes import own_changes
from dockerdoctor.host import Host
from dockerdoctor.measure import Unmeasured


def tell(host: Host, say: Callable[[str], None]) -> None:
    """Say which, and how it is taken back; nothing where another doctor is at work on it, or where it is root's own to know."""
    try:
        changes = own_changes.measure(host)
    except Unmeasured:
        return
    if changes.unfinished and not changes.at_work:
        say(f"a fix was cut short, and is half done: doctor undo {changes.unfinished[-1]}")

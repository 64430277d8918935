"""What the doctor's own fixes have left behind."""

from __future__ import annotations

from dockerdoctor.examine import check, failed, passed, skipped
from dockerdoctor.facts.changes import JOURNAL, OwnChanges
from dockerdoctor.model import Evidence, Finding, Severity


@check(
    "changes.unfinished",
    title="No fix was cut short",
    severity=Severity.WARNING,
    docs="https://man7.org/linux/man-pages/man7/signal.7.html",
)
def unfinished(changes: OwnChanges) -> Finding:
    """
    A fix that was killed, or that a power cut ended, has changed some of what it was to change.

    Why it matters: files and the running daemon may not fit together, and what is examined is neither old nor new.
    How to fix: take it back. The journal has every byte of every file as it was, and what was told to services.
    """
    if not changes.unfinished:
        return passed("every fix that was begun has ended")
    if changes.at_work:
        who = f"another doctor, process {changes.process}," if changes.process else "another doctor"
        return skipped(f"{who} is in the middle of {changes.unfinished[-1]}: what is seen now may be half of a change")
    newest = changes.unfinished[-1]
    return failed(
        f"the fix {newest} was begun and has not ended",
        *(Evidence(f"{JOURNAL}/{name}/progress", "no end") for name in changes.unfinished),
        cause="The doctor was killed, or the host went down, while it was changing something.",
        fix=tuple(f"doctor undo {name}" for name in reversed(changes.unfinished)),
        impact="puts files back, and restarts what was restarted",
    )

"""
What the doctor has changed on this host: written before it is done, and kept, so that it can be taken back at any time.

| file               | holds                                                              |
|--------------------|--------------------------------------------------------------------|
| ID/N-NAME          | a file as it was or shall be: bytes, owner, mode, attributes, time |
| ID/plan.json       | the fix and its steps, with the names of these                     |
| ID/progress        | a line each: `begin N`, `done N`, `undoing`, and how it ended      |
"""

from __future__ import annotations

import contextlib
import itertools
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from dockerdoctor.facts.changes import JOURNAL as FOLDER
from dockerdoctor.fixes.steps import Put, Run, Step, from_json, to_json
from dockerdoctor.host import FileState, Host

FOLDER_MODE, FILE_MODE = 0o700, 0o600
FORMAT = 1
# Of those that have ended: a year of repairs on a host in trouble, and some megabytes at most.
KEPT = 100
UNDOING = "undoing"


class Ended(str, Enum):
    """How a treatment ended; one that has not was cut short, or is still at work."""

    APPLIED = "applied"
    ROLLED_BACK = "rolled-back"  # at once, since it did not help
    UNDONE = "undone"  # later, because somebody wanted it so
    LEFT = "left"  # as it is now, since somebody said so
    STRANDED = "stranded"  # neither one nor the other: hands are needed


@dataclass(frozen=True, slots=True)
class Entry:
    """A treatment as the journal has it."""

    id: str
    check: str
    summary: str  # of the finding it was for
    when: float  # seconds since the epoch
    boot: str  # the kernel's boot id: what is not in a file is gone after another
    steps: tuple[Step, ...]
    begun: int  # how many steps were begun
    ended: Ended | None  # None: cut short, or still at work
    problem: str = ""  # why it cannot be read; then it has no steps
    applied: bool = False  # whether it ever was, whole and proven

    @property
    def stands(self) -> bool:
        """Whether something of it is there that could be taken back."""
        return self.ended in {None, Ended.APPLIED, Ended.STRANDED}

    def meets(self, steps: Iterable[Step]) -> bool:
        """Whether it and these are about the same, so that their order matters."""
        return bool(_touched(self.steps) & _touched(steps))


def _touched(steps: Iterable[Step]) -> set[str]:
    """Files, and the programs whose doings are told apart by their order alone."""
    found: set[str] = set()
    for step in steps:
        if isinstance(step, Put):
            found.add(step.path)
        elif isinstance(step, Run):
            found |= {back.argv[0] for back in step.back}
    return found


class Journal:
    """One treatment's own record, while it is at work."""

    def __init__(self, host: Host, entry_id: str, steps: tuple[Step, ...]) -> None:
        self.host, self.id, self.steps = host, entry_id, steps

    def _say(self, words: str) -> None:
        self.host.append_line(f"{FOLDER}/{self.id}/progress", words)

    def begin(self, number: int) -> None:
        """Note that a step is about to be taken."""
        self._say(f"begin {number}")

    def done(self, number: int) -> None:
        """Note that it was."""
        self._say(f"done {number}")

    def undoing(self) -> None:
        """Note that what was done is about to be taken back."""
        self._say(UNDOING)

    def end(self, how: Ended) -> None:
        """Note how it ended."""
        self._say(how.value)


def open_entry(host: Host, check: str, summary: str, steps: Iterable[Step]) -> Journal:
    """Write down what is about to be done; raises OSError, and then nothing may be done."""
    steps, now = tuple(steps), host.clock()
    host.make_folder(FOLDER, FOLDER_MODE)
    prune(host)
    # Never before the last one, whatever the clock says: their order is that of their names.
    last = max(host.listdir(FOLDER, "[0-9]*-*-*"), default="")
    stamp = max(time.strftime("%Y%m%d-%H%M%S", time.gmtime(now)), last.rpartition("-")[0])
    entry_id = next(name for n in range(1, 1000) if not host.lstat(f"{FOLDER}/{(name := f'{stamp}-{n:03}')}"))
    folder = f"{FOLDER}/{entry_id}"
    host.make_folder(folder, FOLDER_MODE)
    numbers = itertools.count(1)

    def keep(path: str, state: FileState) -> str:
        name = f"{next(numbers)}-{path.rpartition('/')[2]}"
        host.put_file(f"{folder}/{name}", state)
        return name

    items = [to_json(step, keep) for step in steps]
    plan = {"format": FORMAT, "check": check, "summary": summary, "when": now, "boot": boot_id(host), "steps": items}
    host.put_file(f"{folder}/plan.json", FileState(json.dumps(plan, indent=1).encode(), FILE_MODE))
    return Journal(host, entry_id, _steps(host, entry_id, items))


def prune(host: Host) -> None:
    """Forget the oldest of those that have ended; never one that was cut short, is stranded or cannot be read."""
    ended = [entry.id for entry in entries(host) if entry.ended not in {None, Ended.STRANDED} and not entry.problem]
    for entry_id in ended[: -KEPT + 1]:
        # It is only old; and what it takes away first makes it one that never began.
        with contextlib.suppress(OSError):
            host.remove_file(f"{FOLDER}/{entry_id}/progress")
            for name in host.listdir(f"{FOLDER}/{entry_id}"):
                host.remove_file(f"{FOLDER}/{entry_id}/{name}")
            host.remove_folder(f"{FOLDER}/{entry_id}")


def boot_id(host: Host) -> str:
    """Tell this boot of the kernel from others."""
    return host.text("/proc/sys/kernel/random/boot_id").strip()


def entries(host: Host) -> tuple[Entry, ...]:
    """Read the journal, the oldest first; raises PermissionError when it is not for the caller."""
    if not host.exists(FOLDER):
        return ()
    if not host.searchable(FOLDER):
        raise PermissionError(13, "permission denied", FOLDER)
    return tuple(_read(host, name) for name in sorted(host.listdir(FOLDER)))


def entry_of(host: Host, entry_id: str) -> Entry:
    """Read one of them again."""
    return _read(host, entry_id)


def unfinished(host: Host) -> tuple[Entry, ...]:
    """Give those that were cut short, or are still at work, the newest first."""
    return tuple(entry for entry in reversed(entries(host)) if entry.ended in {None, Ended.STRANDED})


def _steps(host: Host, entry_id: str, items: Iterable[Mapping[str, Any]]) -> tuple[Step, ...]:
    """Read steps with the copies they name; raises what `from_json` does, and OSError."""

    def kept(name: str) -> tuple[str, FileState]:
        path = f"{FOLDER}/{entry_id}/{name}"
        state = host.file_state(path)
        if state is None:
            raise ValueError(f"{path} is gone")
        return path, state

    return tuple(from_json(item, kept) for item in items)


def _read(host: Host, entry_id: str) -> Entry:
    # A line that a kill or a power cut left without its end says nothing: what it was to tell was not done.
    *lines, _ = host.text(f"{FOLDER}/{entry_id}/progress").split("\n")
    begun = max((int(line[6:]) + 1 for line in lines if line.startswith("begin ") and line[6:].isdecimal()), default=0)
    # Killed before the first step: nothing is there to take back.
    ended = None if begun else Ended.ROLLED_BACK
    if lines and lines[-1] in set(Ended):
        ended = Ended(lines[-1])
    try:
        plan = json.loads(host.read(f"{FOLDER}/{entry_id}/plan.json"))
        steps = _steps(host, entry_id, plan["steps"])
        return Entry(
            entry_id,
            plan["check"],
            plan["summary"],
            plan["when"],
            plan["boot"],
            steps,
            begun,
            ended,
            applied=Ended.APPLIED.value in lines,
        )
    except (OSError, ValueError, KeyError, TypeError) as no:
        if isinstance(no, FileNotFoundError) and not begun:
            return Entry(entry_id, "", "", 0.0, "", (), 0, ended)
        return Entry(entry_id, "", "", 0.0, "", (), begun, ended, f"{type(no).__name__}: {no}")

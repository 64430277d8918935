"""
What the doctor has changed on this host: written before it is done, and kept, so that it can be taken back at any time.

| file               | holds                                                              |
|--------------------|--------------------------------------------------------------------|
| ID/N-NAME          | a file as it was or shall be: bytes, owner, mode, attributes, time |
| ID/plan.json       | the fix and its steps, with the names of these                     |
| ID/progress        | a line each: `begin N`, `done N`, and how it ended                 |
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from dockerdoctor.facts.changes import JOURNAL as FOLDER
from dockerdoctor.fixes.steps import Step, from_json, to_json
from dockerdoctor.host import FileState, Host

FOLDER_MODE, FILE_MODE = 0o700, 0o600
FORMAT = 1


class Ended(str, Enum):
    """How a treatment ended; one that has not was cut short, or is still at work."""

    APPLIED = "applied"
    ROLLED_BACK = "rolled-back"  # at once, since it did not help
    UNDONE = "undone"  # later, because somebody wanted it so
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

    def end(self, how: Ended) -> None:
        """Note how it ended."""
        self._say(how.value)


def open_entry(host: Host, check: str, summary: str, steps: Iterable[Step]) -> Journal:
    """Write down what is about to be done; raises OSError, and then nothing may be done."""
    steps, now = tuple(steps), host.clock()
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(now))
    entry_id = next(name for n in range(1, 1000) if not host.lstat(f"{FOLDER}/{(name := f'{stamp}-{n}')}"))
    folder = f"{FOLDER}/{entry_id}"
    host.make_folder(FOLDER, FOLDER_MODE)
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


def unfinished(host: Host) -> tuple[Entry, ...]:
    """Give those that were cut short, or are still at work."""
    return tuple(entry for entry in entries(host) if entry.ended in {None, Ended.STRANDED} and not entry.problem)


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
    lines = host.text(f"{FOLDER}/{entry_id}/progress").splitlines()
    begun = max((int(line[6:]) + 1 for line in lines if line.startswith("begin ") and line[6:].isdecimal()), default=0)
    ends = [line for line in lines if line in set(Ended)]
    # Killed before the first step: nothing is there to take back.
    ended = Ended(ends[-1]) if ends else None if begun else Ended.ROLLED_BACK
    try:
        plan = json.loads(host.read(f"{FOLDER}/{entry_id}/plan.json"))
        steps = _steps(host, entry_id, plan["steps"])
        return Entry(entry_id, plan["check"], plan["summary"], plan["when"], plan["boot"], steps, begun, ended)
    except FileNotFoundError:
        return Entry(entry_id, "", "", 0.0, "", (), 0, Ended.ROLLED_BACK)
    except (OSError, ValueError, KeyError, TypeError) as no:
        return Entry(entry_id, "", "", 0.0, "", (), begun, ended, f"{type(no).__name__}: {no}")

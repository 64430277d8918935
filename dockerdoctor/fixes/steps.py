"""What a fix consists of: files that are replaced whole, folders, and commands that can be taken back. Data only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

from dockerdoctor.host import FileState


@dataclass(frozen=True, slots=True)
class Put:
    """A file, as it was when the fix was planned and as it shall be; None: there is none."""

    path: str  # links followed
    before: FileState | None
    after: FileState | None
    copy: str = ""  # where the journal keeps what was


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that is made, and removed again if it is still empty."""

    path: str


HANDLE = "HANDLE"


@dataclass(frozen=True, slots=True)
class Back:
    """A command that takes another back; only where the test, if there is one, ends as expected: it may be done already."""

    argv: tuple[str, ...]
    test: tuple[str, ...] = ()
    text: str = ""  # that must stand in what the test says
    expected: bool = True
    lenient: bool = False  # may fail: what it is about may be gone
    # Of rules that have a handle from the kernel: those there before; HANDLE in argv is the first that the test shows besides.
    handles: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """A command, what takes it back, and what must be done once all else is as it was."""

    argv: tuple[str, ...]
    back: tuple[Back, ...] = ()
    again: tuple[str, ...] = ()  # the daemon reads its files anew, a service restarts
    lenient: bool = False  # may fail


Step: TypeAlias = Put | Folder | Run


def to_json(step: Step, keep: Callable[[str, FileState], str]) -> dict[str, Any]:
    """Write a step for the journal; `keep` stores the state of a file and names the copy."""
    if isinstance(step, Put):
        before, after = (keep(step.path, state) if state else "" for state in (step.before, step.after))
        return {"put": step.path, "before": before, "after": after}
    if isinstance(step, Folder):
        return {"folder": step.path}
    back = [asdict(one) for one in step.back]
    return {"run": step.argv, "back": back, "again": step.again, "lenient": step.lenient}


def from_json(item: Mapping[str, Any], kept: Callable[[str], tuple[str, FileState]]) -> Step:
    """
    Read a step of the journal; `kept` finds the copy of that name: its path and the state.

    Raises KeyError, TypeError or ValueError on what is no step.
    """
    if "put" in item:
        copy, before = kept(item["before"]) if item["before"] else ("", None)
        return Put(item["put"], before, kept(item["after"])[1] if item["after"] else None, copy)
    if "folder" in item:
        return Folder(item["folder"])
    back = tuple(
        Back(
            tuple(one["argv"]),
            tuple(one["test"]),
            one["text"],
            one["expected"],
            one["lenient"],
            None if one["handles"] is None else tuple(one["handles"]),
        )
        for one in item["back"]
    )
    return Run(tuple(item["run"]), back, tuple(item["again"]), item["lenient"])

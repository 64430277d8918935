"""What a fix consists of: files that are replaced whole, folders, and commands that can be taken back. Data only."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from dockerdoctor.host import FileState


@dataclass(frozen=True, slots=True)
class Put:
    """A file, as it was when the fix was planned and as it shall be; None: there is none."""

    path: str  # links followed
    before: FileState | None
    after: FileState | None


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that is made, and removed again if it is still empty."""

    path: str


@dataclass(frozen=True, slots=True)
class Back:
    """A command that takes another back; only where the test, if there is one, ends as expected: it may be done already."""

    argv: tuple[str, ...]
    test: tuple[str, ...] = ()
    text: str = ""  # that must stand in what the test says
    expected: bool = True
    lenient: bool = False  # may fail: what it is about may be gone


@dataclass(frozen=True, slots=True)
class Run:
    """A command, what takes it back, and what must be done once all else is as it was."""

    argv: tuple[str, ...]
    back: tuple[Back, ...] = ()
    again: tuple[str, ...] = ()  # the daemon reads its files anew, a service restarts
    lenient: bool = False  # may fail


Step: TypeAlias = Put | Folder | Run


def to_json(step: Step) -> dict[str, Any]:
    """Write a step for the journal: bytes as base64."""
    if isinstance(step, Put):
        return {"put": step.path, "before": _state(step.before), "after": _state(step.after)}
    if isinstance(step, Folder):
        return {"folder": step.path}
    back = [
        {"argv": b.argv, "test": b.test, "text": b.text, "expected": b.expected, "lenient": b.lenient}
        for b in step.back
    ]
    return {"run": step.argv, "back": back, "again": step.again, "lenient": step.lenient}


def from_json(item: Mapping[str, Any]) -> Step:
    """Read a step of the journal; raises KeyError, TypeError or ValueError on what is none."""
    if "put" in item:
        return Put(item["put"], _file(item["before"]), _file(item["after"]))
    if "folder" in item:
        return Folder(item["folder"])
    back = tuple(Back(tuple(b["argv"]), tuple(b["test"]), b["text"], b["expected"], b["lenient"]) for b in item["back"])
    return Run(tuple(item["run"]), back, tuple(item["again"]), item["lenient"])


def _state(state: FileState | None) -> dict[str, Any] | None:
    if state is None:
        return None
    return {
        "data": base64.b64encode(state.data).decode(),
        "mode": state.mode,
        "uid": state.uid,
        "gid": state.gid,
        "xattrs": {name: base64.b64encode(value).decode() for name, value in state.xattrs},
        "mtime_ns": state.mtime_ns,
    }


def _file(item: Mapping[str, Any] | None) -> FileState | None:
    if item is None:
        return None
    return FileState(
        base64.b64decode(item["data"]),
        item["mode"],
        item["uid"],
        item["gid"],
        tuple((name, base64.b64decode(value)) for name, value in item["xattrs"].items()),
        item["mtime_ns"],
    )

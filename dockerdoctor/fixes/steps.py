"""What a fix consists of: files that are replaced whole, folders, and commands that can be taken back. Data only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

from dockerdoctor.host import FileState, Linked

DOCKER_UNITS = frozenset({"docker", "docker.service", "docker.socket", "containerd", "containerd.service"})


# What may be under a name; None: nothing is.
State: TypeAlias = FileState | Linked | None


@dataclass(frozen=True, slots=True)
class Put:
    """A file or a link, as it was when the fix was planned and as it shall be."""

    path: str  # links followed, but for one that is itself replaced
    before: State
    after: State
    copy: str = ""  # where the journal keeps what was


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that is made, and removed again if it is still empty."""

    path: str


@dataclass(frozen=True, slots=True)
class Running:
    """Containers that a restart of the daemon would leave stopped: started again at the very end, forwards and backwards."""

    names: tuple[str, ...]


HANDLE = "HANDLE"


@dataclass(frozen=True, slots=True)
class Back:
    """A command that takes another back; only where the test, if there is one, ends as expected: it may be done already."""

    argv: tuple[str, ...]
    test: tuple[str, ...] = ()
    text: str = ""  # that must stand in what the test says
    count: int = 0  # and more often than so many times, as before
    expected: bool = True
    lenient: bool = False  # may fail: what it is about may be gone
    lasting: bool = False  # what it takes back is on disk, and there after another boot too
    # Of rules that have a handle from the kernel: those there before; HANDLE in argv is the first besides that reads as `text`.
    handles: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """A command, what takes it back, and what must be done once all else is as it was."""

    argv: tuple[str, ...]
    back: tuple[Back, ...] = ()
    again: tuple[str, ...] = ()  # the daemon reads its files anew, a service restarts
    lenient: bool = False  # may fail
    forever: str = ""  # what it takes away for good, measured: nothing brings that back


def restarts_dockerd(argv: Sequence[str]) -> bool:
    """Whether a command stops the daemon for a while."""
    if tuple(argv[:2]) == ("service", "docker"):
        return True
    return argv[:1] == ("systemctl",) and argv[1] in {"restart", "stop", "kill"} and bool(DOCKER_UNITS & set(argv[2:]))


def starts_dockerd(argv: Sequence[str]) -> bool:
    """Whether the daemon must answer after a command."""
    return argv[:1] == ("systemctl",) and argv[1] in {"start", "restart"} and bool(DOCKER_UNITS & set(argv[2:]))


Step: TypeAlias = Put | Folder | Running | Run


def to_json(step: Step, keep: Callable[[str, FileState], str]) -> dict[str, Any]:
    """Write a step for the journal; `keep` stores the state of a file and names the copy."""
    if isinstance(step, Put):
        before, after = (
            {"link": asdict(state)} if isinstance(state, Linked) else keep(step.path, state) if state else ""
            for state in (step.before, step.after)
        )
        return {"put": step.path, "before": before, "after": after}
    if isinstance(step, Folder):
        return {"folder": step.path}
    if isinstance(step, Running):
        return {"running": step.names}
    back = [asdict(one) for one in step.back]
    return {"run": step.argv, "back": back, "again": step.again, "lenient": step.lenient, "forever": step.forever}


def from_json(item: Mapping[str, Any], kept: Callable[[str], tuple[str, FileState]]) -> Step:
    """
    Read a step of the journal; `kept` finds the copy of that name: its path and the state.

    Raises KeyError, TypeError or ValueError on what is no step.
    """
    if "put" in item:
        (copy, before), (_, after) = (
            ("", Linked(**name["link"])) if isinstance(name, dict) else kept(name) if name else ("", None)
            for name in (item["before"], item["after"])
        )
        return Put(item["put"], before, after, copy)
    if "folder" in item:
        return Folder(item["folder"])
    if "running" in item:
        return Running(tuple(item["running"]))
    back = tuple(
        Back(
            tuple(one["argv"]),
            tuple(one["test"]),
            one["text"],
            one["count"],
            one["expected"],
            one["lenient"],
            one["lasting"],
            None if one["handles"] is None else tuple(one["handles"]),
        )
        for one in item["back"]
    )
    # Journals of before there was such a step have none.
    return Run(tuple(item["run"]), back, tuple(item["again"]), item["lenient"], item.get("forever", ""))

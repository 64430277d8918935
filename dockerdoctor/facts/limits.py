"""How near running containers are to the limits that they were given, by their control groups."""

from __future__ import annotations

import re
from dataclasses import dataclass

from dockerdoctor.facts.containers import Container, Containers
from dockerdoctor.facts.endpoint import ChosenEndpoint
from dockerdoctor.host import Host
from dockerdoctor.measure import Unmeasured, probe

CGROUPS = "/sys/fs/cgroup"
# Some reads of the kernel's own files for each.
MAX_CONTAINERS = 200


@dataclass(frozen=True, slots=True)
class Usage:
    """One container's processes, and what the kernel refused or killed; -1 where there is no limit, or none to be read."""

    container: str  # full id
    pids: int = -1
    pids_max: int = -1
    refused: int = 0  # processes that could not be made since it started (pids.events)
    oom_kills: int = 0  # processes of it that were killed for its memory limit since it started


@dataclass(frozen=True, slots=True)
class Limits:
    """Every running container that has a limit on its processes or its memory."""

    all: tuple[Usage, ...]


@probe(deadline=2, upstream=("engine.reachable", "engine.responsive"))
def limits(host: Host, endpoint: ChosenEndpoint, containers: Containers) -> Limits:
    """Read them below /sys/fs/cgroup, of either generation; nobody need be root for it."""
    if not endpoint.local:
        raise Unmeasured("the engine is on another host", skipped=True)
    limited = [c for c in containers.running if c.details and c.pid and (c.details.pids_limit or c.details.memory)]
    return Limits(tuple(u for c in limited[:MAX_CONTAINERS] if (u := _usage(host, c))))


def _usage(host: Host, container: Container) -> Usage | None:
    groups = host.text(f"/proc/{container.pid}/cgroup")
    # Another namespace's process of that number is not it.
    if container.id not in groups:
        return None
    pids, memory = folder(groups, "pids"), folder(groups, "memory")

    def number(path: str) -> int:
        text = host.text(path).strip()
        return int(text) if text.isdigit() else -1

    def counted(path: str, word: str) -> int:
        found = re.search(rf"^{word} (\d+)$", host.text(path), re.MULTILINE)
        return int(found.group(1)) if found else 0

    # memory.events is the unified hierarchy's; the old one counts in memory.oom_control since Linux 4.13.
    killed = counted(f"{memory}/memory.events", "oom_kill") or counted(f"{memory}/memory.oom_control", "oom_kill")
    return Usage(
        container.id,
        number(f"{pids}/pids.current"),
        number(f"{pids}/pids.max"),
        counted(f"{pids}/pids.events", "max"),
        killed if container.details and container.details.memory else 0,
    )


def folder(groups: str, controller: str) -> str:
    """Find a process's folder of one controller, by /proc/PID/cgroup (cgroups(7))."""
    unified = ""
    for line in groups.splitlines():
        number, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        if controller in names.split(","):
            return f"{CGROUPS}/{names}{path}"
        if number == "0":
            unified = path
    return f"{CGROUPS}{unified}"

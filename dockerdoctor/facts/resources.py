"""What the kernel counts for each process or user, and how much of it is left: open files, inotify."""

from __future__ import annotations

import re
from dataclasses import dataclass

from dockerdoctor.facts.containers import Containers
from dockerdoctor.facts.endpoint import ChosenEndpoint
from dockerdoctor.facts.engine import DaemonProcess
from dockerdoctor.host import USER_HZ, Host
from dockerdoctor.measure import Unmeasured, probe

# Some reads of the kernel's own files for each.
MAX_CONTAINERS = 100


@dataclass(frozen=True, slots=True)
class Holder:
    """One process, the files it holds open, and how many it may (getrlimit(2), RLIMIT_NOFILE)."""

    name: str  # "dockerd", or a container's name
    pid: int
    open: int
    limit: int  # the soft one
    hard: int = 0  # up to which the soft one may be raised; 0: without end
    age: float = 0.0  # seconds since its start
    busy: float = 0.0  # share of one processor since then


@dataclass(frozen=True, slots=True)
class OpenFiles:
    """dockerd, and the first process of each running container."""

    all: tuple[Holder, ...]


@dataclass(frozen=True, slots=True)
class Inotify:
    """Whether root gets another inotify instance, and a watch with it (inotify(7)): "ok", "EMFILE", "ENOSPC"."""

    outcome: str
    max_instances: str = ""
    max_watches: str = ""


@probe()
def open_files(
    host: Host, endpoint: ChosenEndpoint, process: DaemonProcess, containers: Containers | None
) -> OpenFiles:
    """Count below /proc/PID/fd, which is root's to see."""
    if not endpoint.local:
        raise Unmeasured("the engine is on another host", skipped=True)
    if not host.is_root:
        raise Unmeasured("only root may see which files a process of another user holds open", how="# run as root")
    running = containers.running[:MAX_CONTAINERS] if containers else ()
    processes = [("dockerd", process.pid), *((c.name, c.pid) for c in running)]
    return OpenFiles(tuple(h for name, pid in processes if pid and (h := _holder(host, name, pid))))


def _holder(host: Host, name: str, pid: int) -> Holder | None:
    limit = re.search(r"^Max open files\s+(\d+)\s+(\d+|unlimited)", host.text(f"/proc/{pid}/limits"), re.MULTILINE)
    if not limit:
        return None
    fields, age = host.process_stat(pid), host.age(pid)
    # utime and stime
    busy = (int(fields[11]) + int(fields[12])) / USER_HZ / age if age else 0.0
    soft, hard = limit.group(1), limit.group(2)
    return Holder(
        name,
        pid,
        len(host.listdir(f"/proc/{pid}/fd")),
        int(soft),
        int(hard) if hard.isdigit() else 0,
        round(age, 1),
        round(busy, 2),
    )


@probe()
def inotify(host: Host, endpoint: ChosenEndpoint) -> Inotify:
    """Ask the kernel for one, and give it back: the limits are each user's, and root's containers share root's."""
    if not endpoint.local:
        raise Unmeasured("the engine is on another host", skipped=True)
    if not host.is_root:
        raise Unmeasured("the limit is each user's own, and containers are root's", how="# run as root")
    limits = (host.sysctl(f"fs.inotify.max_user_{what}") for what in ("instances", "watches"))
    return Inotify(host.try_inotify(), *limits)

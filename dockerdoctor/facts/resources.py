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
# Of the processor's time, in seconds: less is how programs start.
SETTLED = 1.0


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
    spins: bool = False  # it spends its time asking the kernel for things that move nothing; see `_spins`


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
    others: tuple[
        tuple[int, str, tuple[str, ...]], ...
    ] = ()  # users of containers who do not: (uid, outcome, containers)


@dataclass(frozen=True, slots=True)
class FileLimits:
    """What no process may go beyond (proc_sys_fs(5))."""

    nr_open: int = 0  # open files of one process


@probe()
def file_limits(host: Host, endpoint: ChosenEndpoint) -> FileLimits:
    """Read the kernel's own."""
    if not endpoint.local:
        raise Unmeasured("the engine is on another host", skipped=True)
    number = host.sysctl("fs.nr_open")
    return FileLimits(int(number) if number.isdigit() else 0)


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
        age > 0 and limit_is_vast(int(soft)) and _spins(host, pid, fields),
    )


def limit_is_vast(soft: int) -> bool:
    """More than 1,048,576, which many hosts have and no program minds."""
    return soft > 1 << 20


def _spins(host: Host, pid: int, fields: tuple[str, ...]) -> bool:
    """
    Whether a process has done nothing but call the kernel, without reading, writing, waiting or taking memory.

    Closing descriptors that are not open looks like this: of the processor's time a fifth and more is the kernel's, with
    hardly a system call that moves a byte (proc_pid_io(5)), a page fault, or a pause. What computes leaves the kernel
    alone; what copies, reads and writes; what fills memory has faults; what serves, waits.
    """
    faults, system = int(fields[7]), int(fields[12]) / USER_HZ
    spent = int(fields[11]) / USER_HZ + system
    counted = dict(re.findall(r"^(syscr|syscw): (\d+)", host.text(f"/proc/{pid}/io"), re.MULTILINE))
    waits = re.search(r"^voluntary_ctxt_switches:\s*(\d+)", host.text(f"/proc/{pid}/status"), re.MULTILINE)
    if spent < SETTLED or not counted or not waits:
        return False
    moved = sum(map(int, counted.values()))
    return (
        system >= 0.15 * spent
        and moved < 1000 + 50 * spent
        and faults < 20_000 + 1000 * spent
        and int(waits[1]) < 100 + 10 * spent
    )


@probe()
def inotify(host: Host, endpoint: ChosenEndpoint, containers: Containers | None) -> Inotify:
    """Ask the kernel for one, and give it back: the limits are each user's, and root's containers share root's."""
    if not endpoint.local:
        raise Unmeasured("the engine is on another host", skipped=True)
    if not host.is_root:
        raise Unmeasured("the limit is each user's own, and containers are root's", how="# run as root")
    instances, watches = (host.sysctl(f"fs.inotify.max_user_{what}") for what in ("instances", "watches"))
    by_user: dict[int, list[str]] = {}
    for container in containers.running[:MAX_CONTAINERS] if containers else ():
        uid = re.search(r"^Uid:\s+\d+\s+(\d+)", host.text(f"/proc/{container.pid}/status"), re.MULTILINE)
        if container.pid and uid and uid[1] != "0":
            by_user.setdefault(int(uid[1]), []).append(container.name)
    asked = ((uid, host.try_inotify(uid), tuple(names)) for uid, names in by_user.items())
    return Inotify(
        host.try_inotify(), instances, watches, tuple(one for one in asked if one[1] in {"EMFILE", "ENOSPC"})
    )

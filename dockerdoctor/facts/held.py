"""Files that have been removed and take space all the same, since somebody holds them open."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass

from dockerdoctor.facts.storage import BIG, Storage
from dockerdoctor.host import Host
from dockerdoctor.measure import Unmeasured, probe

# Memory has no names on a disk.
NO_DISK = ("/memfd:", "/dev/", "/SYSV", "/anon_hugepage")
CONTAINER = re.compile(r"docker[-/]([0-9a-f]{64})(?:\.scope)?$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class HeldFile:
    """A file without a name whose space its holder keeps (unlink(2))."""

    pid: int
    program: str
    path: str  # that it had
    size: int  # bytes that it takes
    container: str = ""  # full id of the one that its holder is in, or whose log it was


@dataclass(frozen=True, slots=True)
class HeldFiles:
    """Those of the data root's file system, the biggest first; looked for only when space is short."""

    all: tuple[HeldFile, ...] = ()


@probe(deadline=3)
def held_files(host: Host, storage: Storage) -> HeldFiles:
    """Look at every descriptor of every process; an overlay's files take the space of the data root."""
    fs = storage.data_root
    if not fs.short:
        return HeldFiles()
    if not host.is_root:
        raise Unmeasured("other users' open files are root's to see", how="# run as root")
    root = host.stat(fs.path)
    found: dict[tuple[int, int], HeldFile] = {}
    for pid in host.pids():
        inside = CONTAINER.search(host.text(f"/proc/{pid}/cgroup"))
        for fd in host.listdir(f"/proc/{pid}/fd"):
            link = f"/proc/{pid}/fd/{fd}"
            target = host.readlink(link)
            if not target.endswith(" (deleted)") or target.startswith(NO_DISK):
                continue
            there = host.stat(link)
            if there is None or not stat.S_ISREG(there.st_mode) or there.st_nlink or there.st_blocks * 512 < BIG:
                continue
            # A container's own files have the device number of its overlay.
            if root is None or (there.st_dev != root.st_dev and not (inside and _overlaid(host, pid, there.st_dev))):
                continue
            path = target.removesuffix(" (deleted)")
            log = re.search(r"/containers/([0-9a-f]{64})/", path)
            owner = log[1] if log else inside[1] if inside else ""
            held = HeldFile(pid, host.comm(pid), path, there.st_blocks * 512, owner)
            found.setdefault((there.st_dev, there.st_ino), held)
    return HeldFiles(tuple(sorted(found.values(), key=lambda held: -held.size)))


def _overlaid(host: Host, pid: int, device: int) -> bool:
    """Whether a device number is that of an overlay (proc_pid_mountinfo(5))."""
    number = f"{os.major(device)}:{os.minor(device)}"
    lines = (line.split() for line in host.text(f"/proc/{pid}/mountinfo").splitlines())
    return any(len(f) > 4 and f[2] == number and f[f.index("-") + 1] == "overlay" for f in lines if "-" in f)

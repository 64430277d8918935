"""Whether the file system that is meant for Docker's data is mounted: what fstab(5) says against what is."""

from __future__ import annotations

import re
from dataclasses import dataclass

from dockerdoctor.facts.storage import Storage, unescaped
from dockerdoctor.host import Host
from dockerdoctor.measure import probe


@dataclass(frozen=True, slots=True)
class DataRootMount:
    """The line of /etc/fstab, or the mount unit, that the data root lies below, other than the root's; empty without one."""

    root: str  # the data root
    where: str = ""  # its mount point
    source: str = ""  # "/etc/fstab:5", "/etc/systemd/system/srv-docker.mount"
    line: str = ""
    mounted: bool = False


@probe()
def data_root_mount(host: Host, storage: Storage) -> DataRootMount:
    """Find the line with the longest mount point; one that is not mounted by itself (noauto) promises nothing."""
    root = storage.data_root.path
    points = {
        unescaped(line.split()[1]) for line in host.text("/proc/self/mounts").splitlines() if len(line.split()) > 1
    }
    best = DataRootMount(root)
    for n, line in enumerate(host.text("/etc/fstab").splitlines(), 1):
        fields = line.split()
        if len(fields) < 3 or line.lstrip().startswith("#") or fields[2] == "swap":
            continue
        where = unescaped(fields[1]).rstrip("/")
        options = fields[3].split(",") if len(fields) > 3 else []
        inside = bool(where) and (root == where or root.startswith(f"{where}/"))
        if inside and "noauto" not in options and len(where) > len(best.where):
            # Password options of network file systems are nobody's business.
            best = DataRootMount(root, where, f"/etc/fstab:{n}", " ".join(fields[:3]), where in points)
    return best if best.where else _by_unit(host, root, points)


UNITS = "/etc/systemd/system"


def _by_unit(host: Host, root: str, points: set[str]) -> DataRootMount:
    """A mount unit that is enabled: something wants it, or needs it, by a link (systemd.mount(5))."""
    for path in host.listdir(UNITS, "*.mount"):
        where = re.search(r"^\s*Where\s*=\s*(\S+)", host.text(f"{UNITS}/{path}"), re.MULTILINE)
        wanted = any(host.exists(f"{UNITS}/{folder}/{path}") for folder in host.listdir(UNITS, "*.[rw]*s"))
        if where and wanted and (root == where[1] or root.startswith(f"{where[1].rstrip('/')}/")):
            return DataRootMount(root, where[1], f"{UNITS}/{path}", f"Where={where[1]}", where[1] in points)
    return DataRootMount(root)

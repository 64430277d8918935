"""Whether the file system that is meant for Docker's data is mounted: what fstab(5) says against what is."""

from __future__ import annotations

from dataclasses import dataclass

from dockerdoctor.facts.storage import Storage, unescaped
from dockerdoctor.host import Host
from dockerdoctor.measure import probe


@dataclass(frozen=True, slots=True)
class DataRootMount:
    """The line of /etc/fstab that the data root lies below, other than the root's; empty without one."""

    root: str  # the data root
    where: str = ""  # its mount point
    source: str = ""  # "/etc/fstab:5"
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
    return best

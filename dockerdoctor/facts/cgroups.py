"""The kernel's control groups: which are mounted where the engine runs, and whether systemd can be asked for more."""

from __future__ import annotations

from dataclasses import dataclass

from dockerdoctor.facts.endpoint import ChosenEndpoint
from dockerdoctor.facts.engine import DaemonProcess
from dockerdoctor.facts.startup import LISTENS
from dockerdoctor.host import Host
from dockerdoctor.measure import Unmeasured, probe

TOP = "/sys/fs/cgroup"
# Where runc asks systemd for a container's scope: the system's bus, or else systemd itself (go-systemd, dbus).
BUSES = ("/run/dbus/system_bus_socket", "/run/systemd/private")


@dataclass(frozen=True, slots=True)
class Controller:
    """A line of /proc/cgroups."""

    name: str
    hierarchy: int  # those of one number are mounted together; 0: of no hierarchy of version 1
    enabled: bool


@dataclass(frozen=True, slots=True)
class Cgroups:
    """Both generations of control groups (cgroups(7)), as the engine's own mounts have them."""

    top: str = (
        ""  # the type of the file system at /sys/fs/cgroup: "tmpfs" (version 1, or both), "cgroup2"; empty without
    )
    mounted: tuple[str, ...] = ()  # the controllers that hierarchies of version 1 are mounted for
    known: tuple[Controller, ...] = ()  # the kernel's list of those that version 1 may have
    unified: tuple[str, ...] = ()  # the controllers of version 2, where that is all there is
    systemd: bool = False  # PID 1 is systemd
    buses: tuple[str, ...] = ()  # at which systemd can be asked


@probe()
def cgroups(host: Host, endpoint: ChosenEndpoint, process: DaemonProcess) -> Cgroups:
    """Read them as dockerd sees them, and as we do where none runs."""
    if not endpoint.local:
        raise Unmeasured("the engine is on another host", skipped=True)
    mounts = host.text(f"/proc/{process.pid or 'self'}/mountinfo") or host.text("/proc/self/mountinfo")
    top, mounted = "", []
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        where, kind = before.split()[4:5], after.split()[:1]
        if where == [TOP]:
            top = kind[0]  # the last one hides those before
        if kind == ["cgroup"]:
            mounted += after.split()[-1].split(",")
    known = [
        Controller(fields[0], int(fields[1]), fields[3] == "1")
        for line in host.text("/proc/cgroups").splitlines()
        if len(fields := line.split()) == 4 and fields[1].isdigit()
    ]
    # By the kernel's own list: a socket's file stays when its owner is gone.
    listening = {
        fields[7]
        for line in host.text("/proc/net/unix").splitlines()[1:]
        if len(fields := line.split(maxsplit=7)) == 8 and int(fields[3], 16) & LISTENS
    }
    return Cgroups(
        top,
        tuple(name for name in mounted if name in {c.name for c in known}),
        tuple(known),
        tuple(host.text(f"{TOP}/cgroup.controllers").split()) if top == "cgroup2" else (),
        host.exists("/run/systemd/system"),
        tuple(path for path in BUSES if path in listening and host.is_socket(path)),
    )

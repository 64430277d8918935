"""Containers that were given the engine's socket, and whether what they hold is still the socket that is there now."""

from __future__ import annotations

from dataclasses import dataclass

from dockerdoctor.facts.containers import Container, Containers
from dockerdoctor.facts.endpoint import ChosenEndpoint
from dockerdoctor.facts.engine import DaemonProcess
from dockerdoctor.facts.storage import unescaped
from dockerdoctor.host import Host
from dockerdoctor.measure import Unmeasured, probe

# How the kernel marks a mount whose file has lost its name (d_path, fs/d_path.c); mountinfo shows it with the slash before.
DELETED = "//deleted"


@dataclass(frozen=True, slots=True)
class MountedSocket:
    """The engine's socket, mounted as a file into a container that runs."""

    container: str
    destination: str
    source: str
    mount: str = ""  # the line of its mountinfo where the file behind it is gone: "/docker.sock//deleted"


@dataclass(frozen=True, slots=True)
class MountedSockets:
    """All of them."""

    all: tuple[MountedSocket, ...]

    @property
    def stale(self) -> tuple[MountedSocket, ...]:
        """Those that lead to a socket that is no more."""
        return tuple(s for s in self.all if s.mount)


@probe()
def mounted_sockets(
    host: Host, endpoint: ChosenEndpoint, containers: Containers, process: DaemonProcess
) -> MountedSockets:
    """
    Read each container's own mounts: a bind mount holds the file and not its name, so a socket made anew is another.

    No path below a container's root is followed: its links would lead to this host's files.
    """
    if not endpoint.local or not process.pid:
        raise Unmeasured("the containers are not among this host's processes", skipped=True)
    here = host.real(endpoint.socket_path)
    found = [
        _look(host, container, mount.source, mount.destination)
        for container in containers.running
        for mount in (container.details.mounts if container.details else ())
        if mount.kind == "bind" and mount.source.endswith(".sock") and host.real(mount.source) == here
    ]
    return MountedSockets(tuple(found))


def _look(host: Host, container: Container, source: str, destination: str) -> MountedSocket:
    name = source.rpartition("/")[2]
    at = destination.rpartition("/")[2]
    try:
        mounts = host.read(f"/proc/{container.pid}/mountinfo")
    except (FileNotFoundError, ProcessLookupError):  # ended meanwhile
        mounts = ""
    # Links on the way to the place are followed when it is mounted (/var/run): the last part of both must do.
    for line in mounts.splitlines():
        fields = line.split()
        if len(fields) < 5 or unescaped(fields[4]).rpartition("/")[2] != at:
            continue
        root = unescaped(fields[3])
        if root.endswith(DELETED) and root.removesuffix(DELETED).rpartition("/")[2] == name:
            return MountedSocket(container.name, destination, source, f"{root} at {unescaped(fields[4])}")
    return MountedSocket(container.name, destination, source)

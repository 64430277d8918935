"""Whether dockerd sees the host itself, or a part of it that its service manager made for it (namespaces(7))."""

from __future__ import annotations

from dataclasses import dataclass

from dockerdoctor.facts.endpoint import ChosenEndpoint
from dockerdoctor.facts.engine import DaemonProcess
from dockerdoctor.facts.startup import Containerd
from dockerdoctor.host import Host
from dockerdoctor.measure import Unmeasured, probe


@dataclass(frozen=True, slots=True)
class Namespaces:
    """The namespaces of dockerd, and of those whose it should have: "mnt:[4026531841]"; empty where none can be told."""

    mounts: str = ""
    containerd_mounts: str = ""  # of the containerd that it uses
    network: str = ""
    own_network: str = ""  # the doctor's


@probe()
def namespaces(host: Host, endpoint: ChosenEndpoint, process: DaemonProcess, containerd: Containerd) -> Namespaces:
    """Follow links of /proc, which are root's to read."""
    if not endpoint.local:
        raise Unmeasured("the engine is on another host", skipped=True)
    if not process.pid:
        raise Unmeasured("no dockerd runs", skipped=True)

    def of(pid: int | str, kind: str) -> str:
        return host.readlink(f"/proc/{pid}/ns/{kind}") if pid else ""

    # Several may run: the one that listens where dockerd connects to.
    theirs = host.peer_pid(containerd.address) if containerd.outcome == "ok" else 0
    found = Namespaces(of(process.pid, "mnt"), of(theirs, "mnt"), of(process.pid, "net"), of("self", "net"))
    if not found.mounts:
        raise Unmeasured("only root may see in which namespaces dockerd is", skipped=True)
    return found

"""What the daemon's start depends on: its unit's commands on disk, its PID file, its group, its containerd."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from dockerdoctor.facts.daemon_json import DaemonJson, StartFlags, flag_values
from dockerdoctor.facts.endpoint import mask_arguments, mask_text
from dockerdoctor.facts.engine import DaemonProcess, Units
from dockerdoctor.host import Host, failure_name
from dockerdoctor.measure import probe


@dataclass(frozen=True, slots=True)
class UnitCommands:
    """The ExecStart= lines of docker.service on disk, in the order systemd reads them; an empty one clears those before."""

    lines: tuple[tuple[str, str], ...]  # ("/etc/systemd/system/docker.service.d/override.conf:2", "/usr/sbin/dockerd")
    oneshot: bool = False

    @property
    def in_force(self) -> tuple[tuple[str, str], ...]:
        """What is left after the last empty one."""
        last = max((n for n, (_, command) in enumerate(self.lines) if not command), default=-1)
        return self.lines[last + 1 :]


@dataclass(frozen=True, slots=True)
class PidFile:
    """The file by which dockerd knows that another one runs; what the number in it belongs to now."""

    path: str
    pid: int  # 0 when there is no such file, or no number in it
    holder: str = ""  # name of the process with that number; empty when there is none
    command: str = ""


@dataclass(frozen=True, slots=True)
class SocketGroup:
    """The group that the socket is to be given to, by the socket unit or a flag, or else "docker"."""

    name: str
    exists: bool


@dataclass(frozen=True, slots=True)
class Containerd:
    """The containerd that dockerd was told to use, asked on its socket: HTTP/2 servers speak first (RFC 9113, 3.4)."""

    address: str  # "/run/containerd/containerd.sock"
    outcome: str  # "ok", an errno's name, "timeout" (connected, but silent)
    pid: int = 0  # of a containerd process
    state: str = ""  # of proc(5): "T" (stopped), "D" (stuck in the kernel)


# Where unit files lie, the first one winning, and drop-ins of all of them apply (systemd.unit(5)).
UNIT_FOLDERS = (
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
)


@probe()
def unit_commands(host: Host) -> UnitCommands:
    """Read what systemd will read at its next reload, which may differ from what it holds now."""
    folders = (*UNIT_FOLDERS, "/lib/systemd/system")
    unit = next((path for f in folders if host.exists(path := f"{f}/docker.service")), "")
    drop_ins: dict[str, str] = {}
    for folder in folders:
        for name in host.listdir(f"{folder}/docker.service.d", "*.conf"):
            drop_ins.setdefault(name, f"{folder}/docker.service.d/{name}")
    lines = []
    oneshot = False
    for path in (unit, *(drop_ins[name] for name in sorted(drop_ins))):
        for number, line in enumerate(host.text(path).splitlines() if path else (), 1):
            key, equals, value = line.partition("=")
            if equals and key.strip() == "ExecStart":
                lines.append((f"{path}:{number}", mask_text(value.strip())))
            elif equals and key.strip() == "Type":
                oneshot = value.strip() == "oneshot"
    return UnitCommands(tuple(lines), oneshot)


@probe()
def pid_file(host: Host, start: StartFlags) -> PidFile:
    """Look up whose number the PID file holds."""
    path = start.last("--pidfile", "-p") or "/var/run/docker.pid"
    text = host.text(path).strip()
    pid = int(text) if text.isascii() and text.isdigit() else 0
    return PidFile(
        path, pid, host.comm(pid) if pid else "", " ".join(mask_arguments(host.cmdline(pid)))[:120] if pid else ""
    )


@probe()
def socket_group(host: Host, start: StartFlags, units: Units | None) -> SocketGroup:
    """Look up the group by its name, in whatever database the host uses."""
    name = (units.socket.socket_group if units else "") or start.last("--group", "-G") or "docker"
    return SocketGroup(name, host.group_id(name) is not None or name.isdigit())


# containerd greets within a millisecond; a second tells a frozen one from a busy one.
GREETING_TIMEOUT = 1.0


@probe()
def containerd(host: Host, process: DaemonProcess, start: StartFlags, config: DaemonJson | None) -> Containerd:
    """Wait for the greeting of the containerd that dockerd uses: its own child, if it was not given an address."""

    def given(key: str) -> str:
        flag = flag_values(process.arguments, key)[-1:] if process.pid else (start.last(f"--{key}"),)
        in_file = (config.settings or {}).get(key) if config else None
        return "".join(flag) or (in_file if isinstance(in_file, str) else "")

    # Its own is below the exec root, which the snap, for one, has elsewhere.
    own = f"{given('exec-root') or '/var/run/docker'}/containerd/containerd.sock"
    address = given("containerd") or (own if host.exists(own) else "/run/containerd/containerd.sock")
    address = address.removeprefix("unix://")
    pid = next((p for p in host.pids() if host.comm(p) == "containerd" and host.ours(p)), 0)
    state = host.text(f"/proc/{pid}/stat").rpartition(")")[2].split()[:1] if pid else []
    return Containerd(address, _greeting(host, address), pid, "".join(state))


def _greeting(host: Host, address: str) -> str:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(GREETING_TIMEOUT)
    try:
        with sock:
            sock.connect(str(host.path(address)))
            return "ok" if sock.recv(9) else "closed"
    except OSError as no:
        return failure_name(no)

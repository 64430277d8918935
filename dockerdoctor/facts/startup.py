"""What the daemon's start depends on: its unit's commands on disk, its PID file, its group, its containerd."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace

from dockerdoctor.facts.daemon_json import DaemonJson, StartFlags, flag_values, parse_flags
from dockerdoctor.facts.endpoint import DEFAULT_SOCKET, mask_arguments, mask_text
from dockerdoctor.facts.engine import DaemonProcess, Units
from dockerdoctor.host import Host, failure_name
from dockerdoctor.measure import probe


@dataclass(frozen=True, slots=True)
class Setting:
    """A line of a unit or of one of its drop-ins."""

    where: str  # "/etc/systemd/system/docker.service.d/override.conf:2"
    key: str  # "User"
    value: str  # passwords masked

    @property
    def place(self) -> tuple[str, str]:
        """File and number of the line."""
        path, _, line = self.where.rpartition(":")
        return path, line


@dataclass(frozen=True, slots=True)
class UnitCommands:
    """The ExecStart= lines of docker.service on disk, in the order systemd reads them; an empty one clears those before."""

    lines: tuple[tuple[str, str], ...]  # ("/etc/systemd/system/docker.service.d/override.conf:2", "/usr/sbin/dockerd")
    oneshot: bool = False
    settings: tuple[Setting, ...] = ()  # what else of docker.service and docker.socket decides about a start
    program: str = ""  # "missing", "closed" (nobody may execute it); empty where it is well or cannot be told
    absent: tuple[Setting, ...] = ()  # the EnvironmentFile= lines whose file must be there and is not

    @property
    def in_force(self) -> tuple[tuple[str, str], ...]:
        """What is left after the last empty one."""
        last = max((n for n, (_, command) in enumerate(self.lines) if not command), default=-1)
        return self.lines[last + 1 :]

    def last(self, key: str) -> Setting | None:
        """The line that counts of a setting that is given once."""
        return next((s for s in reversed(self.settings) if s.key == key), None)


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
    mode: str = ""  # as the socket unit has it, where that is not 0660


@dataclass(frozen=True, slots=True)
class Containerd:
    """The containerd that dockerd was told to use, asked on its socket: HTTP/2 servers speak first (RFC 9113, 3.4)."""

    address: str  # "/run/containerd/containerd.sock"
    outcome: str  # "ok", an errno's name, "timeout" (connected, but silent)
    pid: int = 0  # of a containerd process
    state: str = ""  # of proc(5): "T" (stopped), "D" (stuck in the kernel)
    complaint: str = ""  # containerd's own last word, where it does not run


@dataclass(frozen=True, slots=True)
class Listening:
    """Where the running dockerd was told to listen, and which of this host's Unix sockets are listened on for Docker."""

    hosts: tuple[str, ...]  # "fd://", "tcp://127.0.0.1:2375", "unix:///run/other.sock"
    in_file: bool = False  # the configuration file says so, and no flag
    bound: tuple[str, ...] = ()  # "/run/docker.sock": by the kernel's own list, whatever became of the file
    there: tuple[str, ...] = ()  # those of them that are files still


# Where unit files lie, the first one winning, and drop-ins of all of them apply (systemd.unit(5)).
UNIT_FOLDERS = (
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
)


# Of these the last line counts, or each of them; all decide whether and as whom dockerd starts, and where it listens.
DECIDING = re.compile(
    r"ExecStartPre|ExecCondition|User|Group|EnvironmentFile|Condition\w+|Assert\w+|Requires|BindsTo|Type|"
    r"ListenStream|SocketGroup|SocketMode|SocketUser|LimitNOFILE|Timeout(?:Start)?Sec"
)
# What takes something of the host from a service (systemd.exec(5), "Sandboxing").
SANDBOX = re.compile(
    r"Private\w+|Protect\w+|Restrict\w+|ProcSubset|NetworkNamespacePath|MountFlags|DynamicUser|NoNewPrivileges|"
    r"(?:ReadOnly|Inaccessible|NoExec)Paths|(?:ReadOnly|Inaccessible)Directories|Bind(?:ReadOnly)?Paths|"
    r"TemporaryFileSystem|Root(?:Directory|Image)|CapabilityBoundingSet|SystemCall(?:Filter|Architectures)|"
    r"MemoryDenyWriteExecute|DevicePolicy|IPAddress(?:Deny|Allow)"
)


@probe()
def unit_commands(host: Host) -> UnitCommands:
    """Read what systemd will read at its next reload, which may differ from what it holds now."""
    found = tuple(_settings(host, "docker.service"))
    lines = tuple((s.where, s.value) for s in found if s.key == "ExecStart")
    settings = tuple(s for s in found if DECIDING.fullmatch(s.key) or SANDBOX.fullmatch(s.key) or _sets_path(s))
    commands = UnitCommands(
        lines,
        any(s.key == "Type" and s.value == "oneshot" for s in settings),
        (*settings, *(s for s in _settings(host, "docker.socket") if DECIDING.fullmatch(s.key))),
        absent=tuple(s for s in settings if s.key == "EnvironmentFile" and _must_be_there(host, s.value)),
    )
    return replace(commands, program=_program(host, commands.in_force[-1][1])) if commands.in_force else commands


def _sets_path(setting: Setting) -> bool:
    """Whether a line gives dockerd another PATH, and nothing else: other variables are nobody's business here."""
    return setting.key == "Environment" and re.fullmatch(r"\"?PATH=[^\s\"]*\"?", setting.value) is not None


def _settings(host: Host, name: str) -> Iterator[Setting]:
    folders = (*UNIT_FOLDERS, "/lib/systemd/system")
    unit = next((path for f in folders if host.exists(path := f"{f}/{name}")), "")
    drop_ins: dict[str, str] = {}
    for folder in folders:
        for file in host.listdir(f"{folder}/{name}.d", "*.conf"):
            drop_ins.setdefault(file, f"{folder}/{name}.d/{file}")
    for path in (unit, *(drop_ins[file] for file in sorted(drop_ins))):
        for number, line in enumerate(host.text(path).splitlines() if path else (), 1):
            key, equals, value = line.partition("=")
            if equals and not key.startswith(("#", ";")):
                yield Setting(f"{path}:{number}", key.strip(), mask_text(value.strip()))


def _must_be_there(host: Host, path: str) -> bool:
    """A dash in front makes it optional, a pattern may match nothing, a specifier is systemd's to fill in."""
    return path.startswith("/") and not re.search(r"[*?%\[]", path) and not host.exists(path)


def _program(host: Host, command: str) -> str:
    """Whether the program of a command line can be run; prefixes are those of systemd.service(5)."""
    path = re.match(r"[@\-:+!|]*(\S*)", command)
    if not path or not path[1].startswith("/") or re.search(r"[%$\"']", path[1]):
        return ""
    if not host.exists(path[1]):
        return "missing"
    return "" if host.path(path[1]).stat().st_mode & 0o111 else "closed"


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
def socket_group(
    host: Host, start: StartFlags, units: Units | None, config: DaemonJson | None, commands: UnitCommands
) -> SocketGroup:
    """Look up the group by its name, in whatever database the host uses."""
    # A socket that systemd hands over is made by its unit; dockerd makes any other.
    handed = units is not None and any(f.name in {"-H", "--host"} and f.value.startswith("fd://") for f in start.flags)
    in_file = (config.settings or {}).get("group") if config else None
    own = start.last("--group", "-G") or (in_file if isinstance(in_file, str) else "")
    name = (units.socket.socket_group if units and (handed or not own) else own) or "docker"
    mode = commands.last("SocketMode") if handed else None
    exists = host.group_id(name) is not None or name.isdigit()
    return SocketGroup(name, exists, mode.value if mode and int_or(mode.value) != 0o660 else "")


def int_or(octal: str) -> int:
    """A mode as a number; -1 where it is none."""
    return int(octal, 8) if re.fullmatch(r"[0-7]+", octal) else -1


# A socket that was told to listen (__SO_ACCEPTCON of linux/net.h), in /proc/net/unix.
LISTENS = 0x10000


@probe()
def listening(host: Host, process: DaemonProcess, config: DaemonJson | None, units: Units | None) -> Listening:
    """Ask the kernel: a socket goes on without its file, and nobody finds it any more."""
    words = ((word, "") for word in process.arguments[1:])
    flags = tuple(value for name, value, _ in parse_flags(words) if name in {"-H", "--host"})
    listed = (config.settings or {}).get("hosts") if config else None
    in_file = tuple(map(str, listed)) if isinstance(listed, list) and not flags else ()
    hosts = tuple(mask_text(h) for h in (flags or in_file)) or (f"unix://{DEFAULT_SOCKET}",)
    asked = {h.removeprefix("unix://") for h in hosts} | set(units.socket.listens if units else ())
    bound = []
    for line in host.text("/proc/net/unix").splitlines()[1:]:
        fields = line.split(maxsplit=7)
        if len(fields) == 8 and int(fields[3], 16) & LISTENS and (fields[7] in asked or "/docker" in fields[7]):
            bound.append(fields[7])
    return Listening(hosts, bool(in_file), tuple(bound), tuple(path for path in bound if host.is_socket(path)))


# containerd greets within a millisecond; a second tells a frozen one from a busy one.
GREETING_TIMEOUT = 1.0


@probe(deadline=4)
def containerd(
    host: Host, process: DaemonProcess, start: StartFlags, config: DaemonJson | None, units: Units | None
) -> Containerd:
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
    state = host.process_stat(pid)[:1] if pid else ()
    outcome = _greeting(host, address)
    ended = outcome in {"ENOENT", "ECONNREFUSED"} and units is not None and units.containerd.failing
    return Containerd(address, outcome, pid, "".join(state), _last_word(host) if ended else "")


def _last_word(host: Host) -> str:
    """Why containerd ended: it says so on a line of its own, in plain text."""
    done = host.run("journalctl", "-u", "containerd.service", "-b", "-n", "60", "-o", "cat", "--no-pager", "--quiet")
    said = [line for line in done.out.splitlines() if line.startswith("containerd: ") or "level=fatal" in line]
    return mask_text(said[-1])[:300] if said else ""


def _greeting(host: Host, address: str) -> str:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(GREETING_TIMEOUT)
    try:
        with sock:
            sock.connect(str(host.path(address)))
            return "ok" if sock.recv(9) else "closed"
    except OSError as no:
        return failure_name(no)

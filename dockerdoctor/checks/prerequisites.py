"""What must be in place before the daemon can start: programs, units, group, socket, PID file, containerd."""

from __future__ import annotations

from dockerdoctor.examine import check, failed, passed, skipped, unknown
from dockerdoctor.facts.daemon_json import StartFlags
from dockerdoctor.facts.endpoint import ChosenEndpoint, DaemonPing, OtherEngines, SocketFile
from dockerdoctor.facts.engine import DaemonProcess, Installed, Unit, Units
from dockerdoctor.facts.log import StartLog
from dockerdoctor.facts.startup import Containerd, PidFile, SocketGroup, UnitCommands
from dockerdoctor.model import Evidence, Finding, Severity

TROUBLE = "https://docs.docker.com/engine/daemon/troubleshoot/"
SYSTEM_SOCKETS = frozenset({"/var/run/docker.sock", "/run/docker.sock"})
NOT_OURS = "the endpoint is not the socket of this host's own daemon"
# How each package manager installs the engine and the client; the names are the distributions' own.
INSTALL = {
    "apt-get": ("apt-get install -y docker.io", "apt-get install -y docker-cli"),
    "dnf": ("dnf install -y moby-engine", "dnf install -y docker-cli"),
    "yum": ("yum install -y docker", "yum install -y docker"),
    "zypper": ("zypper install -y docker", "zypper install -y docker"),
    "apk": ("apk add docker", "apk add docker-cli"),
    "pacman": ("pacman -S --noconfirm docker", "pacman -S --noconfirm docker"),
}


def of_this_host(endpoint: ChosenEndpoint) -> bool:
    """Whether the endpoint is the system daemon's: rootless and other daemons have units and files of their own."""
    return endpoint.socket_path in SYSTEM_SOCKETS


def start(units: Units | None) -> tuple[str, ...]:
    """Start the daemon, whatever systemd remembers of failed attempts."""
    if units and not units.systemd:
        return ("service docker start",)
    return ("systemctl reset-failed docker.service docker.socket", "systemctl start docker.service")


def shown(unit: Unit) -> Evidence:
    """What systemd says of a unit."""
    state = f"{unit.active} ({unit.sub}), {unit.load}, {unit.file_state or 'no unit file'}"
    return Evidence(f"systemctl show {unit.name}", f"{state}, result {unit.result or 'none'}")


@check(
    "engine.installed",
    title="A Docker engine is installed",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/engine/install/",
)
def installed(
    endpoint: ChosenEndpoint,
    programs: Installed,
    ping: DaemonPing,
    process: DaemonProcess,
    others: OtherEngines | None,
) -> Finding:
    """
    The client alone, or podman under docker's name, does not make an engine.

    Why it matters: there is nothing for docker commands to talk to.
    How to fix: install the engine, or point the client at one that runs elsewhere.
    """
    if not endpoint.local:
        return skipped("the engine is on another host")
    if programs.dockerd:
        return passed(
            f"{programs.dockerd}{f' is version {programs.dockerd_version}' if programs.dockerd_version else ''}"
        )
    if ping.answered or process.pid:
        return passed("an engine runs, though dockerd is not in the usual folders")
    if others and others.answering:
        return passed(f"an engine answers at {others.answering[0]}")
    seen = [Evidence("dockerd in PATH and the system folders", "not found")]
    if programs.podman_shim:
        seen.append(Evidence(programs.docker, "is podman under docker's name"))
        summary, cause = (
            "docker is podman here, and no Docker engine is installed",
            (
                "The package podman-docker provides the command; it starts podman, which needs no engine and offers none."
            ),
        )
    elif programs.docker:
        seen.append(Evidence(programs.docker, "the client is here"))
        summary, cause = "only the docker client is installed, no engine", "The package with dockerd is missing."
    else:
        seen.append(Evidence("docker in PATH and the system folders", "not found"))
        summary, cause = "Docker is not installed", "There is neither dockerd nor the docker command."
    command = INSTALL.get(
        programs.package_manager, ("# install the Docker engine: https://docs.docker.com/engine/install/", "")
    )[0]
    return failed(summary, *seen, cause=cause, fix=(command,))


@check(
    "engine.unit-masked",
    title="systemd is allowed to start Docker",
    severity=Severity.ERROR,
    docs="https://www.freedesktop.org/software/systemd/man/latest/systemctl.html#mask%20UNIT%E2%80%A6",
    upstream=("engine.installed",),
)
def unit_masked(endpoint: ChosenEndpoint, units: Units, ping: DaemonPing, programs: Installed) -> Finding:
    """
    A masked unit is linked to /dev/null: nothing can start it, by hand or as a dependency.

    Why it matters: `systemctl start docker` is refused, and so is the next boot.
    How to fix: unmask the unit and start it.
    """
    if not units.systemd or not of_this_host(endpoint):
        return skipped(NOT_OURS if units.systemd else "this host does not use systemd")
    candidates = [units.docker]
    # Only a service that insists on its socket unit is stopped by that one's mask.
    if "docker.socket" in units.docker.requires:
        candidates.append(units.socket)
    masked = [u for u in candidates if "masked" in {u.load, u.file_state.removesuffix("-runtime")}]
    if not masked:
        return passed("neither docker.service nor docker.socket is masked", *(shown(u) for u in candidates))
    if (ping.answered and units.docker.active != "active") or not programs.dockerd:
        return skipped(f"{masked[0].name} is masked, and the engine is started by other means")
    names = " ".join(u.name for u in masked)
    return failed(
        f"{names} {'is' if len(masked) == 1 else 'are'} masked",
        *(shown(u) for u in masked),
        cause=f"Somebody, or a package's removal, ran `systemctl mask {names}`: systemd refuses to start Docker.",
        fix=(f"systemctl unmask {names}", *(() if ping.answered else start(units))),
    )


@check(
    "engine.unit-valid",
    title="systemd accepts docker.service as it is written",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/engine/daemon/proxy/#systemd-unit-file",
)
def unit_valid(endpoint: ChosenEndpoint, units: Units, commands: UnitCommands) -> Finding:
    """
    A drop-in that sets ExecStart= must clear the unit's own with an empty `ExecStart=` first.

    Why it matters: systemd refuses the whole unit, so that Docker cannot be started or restarted.
    How to fix: put the empty line before the new command, and reload systemd.
    """
    if not units.systemd or not of_this_host(endpoint):
        return skipped(NOT_OURS if units.systemd else "this host does not use systemd")
    again = () if units.docker.active == "active" else start(units)
    if len(commands.in_force) > 1 and not commands.oneshot:
        second = commands.in_force[1][0]
        path, _, line = second.rpartition(":")
        return failed(
            f"{second} gives docker.service a second ExecStart=",
            *(Evidence(where, f"ExecStart={command}") for where, command in commands.in_force),
            shown(units.docker),
            cause="A service of its type may have only one command. A drop-in's command is added to the unit's own unless "
            "an empty ExecStart= clears that first.",
            fix=(f"sed -i '{line}i ExecStart=' {path}", "systemctl daemon-reload", *again),
        )
    if units.docker.load in {"bad-setting", "error"}:
        return failed(
            f"systemd does not accept docker.service: {units.docker.load_error or units.docker.load}",
            shown(units.docker),
            *(Evidence("drop-in", path) for path in units.docker.drop_ins),
            cause="A setting in the unit or in one of its drop-ins is malformed.",
            fix=(
                "systemd-analyze verify docker.service",
                "# correct the line that it names: systemctl edit docker.service",
                "systemctl daemon-reload",
                *again,
            ),
        )
    return passed("docker.service is well-formed", shown(units.docker))


@check(
    "engine.socket-group",
    title="The group that may use the socket exists",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/engine/install/linux-postinstall/",
)
def socket_group(
    endpoint: ChosenEndpoint, group: SocketGroup, ping: DaemonPing, file: SocketFile | None, units: Units | None
) -> Finding:
    """
    Docker's socket belongs to a group, "docker" by default; whoever is in it may use the engine.

    Why it matters: without the group docker.socket cannot be set up, or only root gets in.
    How to fix: create the group; give it the socket, or start Docker again.
    """
    if not of_this_host(endpoint):
        return skipped(NOT_OURS)
    seen = Evidence(f"getent group {group.name}", "exists" if group.exists else "no such group")
    if group.exists:
        return passed(f"the group {group.name} exists", seen)
    create = f"groupadd --system {group.name}"
    if units and units.systemd and units.socket.active == "failed":
        return failed(
            f"docker.socket cannot be set up: there is no group {group.name}",
            seen,
            shown(units.socket),
            cause=f"systemd must give the socket to the group {group.name} before it starts dockerd.",
            fix=(create, *start(units)),
        )
    if ping.connect == "EACCES" and file and file.kind == "socket" and not file.gid:
        return failed(
            f"{file.path} belongs to root alone: there is no group {group.name}",
            seen,
            Evidence(f"stat {file.path}", f"mode {file.mode:04o}, group {file.group}"),
            cause=f"When dockerd made its socket there was no group {group.name} to give it to.",
            fix=(create, f"chgrp {group.name} {file.path}", f"# then add the users: usermod -aG {group.name} USER"),
        )
    return passed(f"there is no group {group.name}, and nothing needed it", seen)


@check(
    "engine.socket-file",
    title="Nothing else lies in the socket's place",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/engine/storage/bind-mounts/#syntax",
)
def socket_file(file: SocketFile, units: Units | None, process: DaemonProcess | None) -> Finding:
    """
    A container that mounts docker.sock with -v while the daemon is down makes Docker create a folder in its place.

    Why it matters: the daemon cannot make its socket where a folder or a file already is.
    How to fix: remove it while Docker is stopped. `--mount type=bind` refuses instead of creating a folder.
    """
    if not file.path:
        return skipped("the endpoint is no Unix socket")
    if file.kind not in {"directory", "file"}:
        return passed(f"{file.path} is {'a socket' if file.kind == 'socket' else 'not in the way'}")
    what = "an empty folder" if file.empty_directory else f"a {file.kind}"
    remove = f"rmdir {file.path}" if file.empty_directory else f"mv {file.path} {file.path}.moved"
    running = bool(process and process.pid)
    stop = (
        ("systemctl stop docker.socket docker.service",) if units is None or units.systemd else ("service docker stop",)
    )
    return failed(
        f"{file.path} is {what}, not a socket",
        Evidence(f"stat {file.path}", what),
        cause="Most often a container that mounts the socket was started while the daemon was down, and a folder was "
        "created for it."
        if file.kind == "directory"
        else "Something wrote a file where the daemon makes its socket.",
        fix=(*stop, remove, *start(units)),
        impact="stops the containers that run" if running else "",
    )


@check(
    "engine.pid-file",
    title="The daemon's PID file names no stranger",
    severity=Severity.ERROR,
    docs="https://github.com/moby/moby/issues/46988",
)
def pid_file(
    endpoint: ChosenEndpoint, file: PidFile, process: DaemonProcess, ping: DaemonPing, units: Units | None
) -> Finding:
    """
    Dockerd does not start while the process that its PID file names is alive, whatever that process is.

    Why it matters: after an unclean stop the number may have been given to another program.
    How to fix: remove the file, once it is certain that no dockerd runs.
    """
    if not of_this_host(endpoint):
        return skipped(NOT_OURS)
    if not file.pid:
        return passed(f"{file.path} names no process")
    seen = Evidence(file.path, f"{file.pid}, which is {file.command or file.holder or 'nobody'}")
    if file.holder in {"", "dockerd"} or process.pid or ping.answered:
        return passed(f"{file.path} names {file.holder or 'a process that has ended'}", seen)
    return failed(
        f"{file.path} names process {file.pid}, which is {file.holder} and not dockerd",
        seen,
        cause=f"The daemon ended without removing its PID file, and its number now belongs to {file.holder}: dockerd "
        "believes that another dockerd runs and gives up.",
        fix=(f"rm {file.path}", *start(units)),
    )


@check(
    "engine.containerd",
    title="containerd answers the daemon",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/engine/daemon/alternative-runtimes/",
)
def containerd(
    endpoint: ChosenEndpoint,
    ctr: Containerd,
    process: DaemonProcess,
    units: Units | None,
    flags: StartFlags | None,
    log: StartLog | None,
) -> Finding:
    """
    Dockerd has containerd run the containers, over a Unix socket.

    Why it matters: without it no container starts, and /info, /version and the daemon's own start wait for it.
    How to fix: start or wake containerd, or correct the address that dockerd was given.
    """
    if not of_this_host(endpoint):
        return skipped(NOT_OURS)
    blamed = bool(log and "containerd" in log.complaint)
    if not process.pid and not blamed:
        return skipped("dockerd does not run")
    seen = [
        Evidence(
            f"connect {ctr.address}",
            {"ok": "greeted", "timeout": "connected, no greeting"}.get(ctr.outcome, ctr.outcome),
        )
    ]
    if ctr.pid:
        seen.append(Evidence(f"/proc/{ctr.pid}/stat", f"containerd, state {ctr.state}"))
    unit = units.containerd if units and units.systemd else None
    if unit and unit.load == "loaded":
        seen.append(shown(unit))
    if ctr.state in {"T", "t"}:
        return failed(
            f"containerd (process {ctr.pid}) is stopped by a signal",
            *seen,
            cause="A process in state T was sent SIGSTOP, or a debugger holds it; whoever asks it waits for ever.",
            fix=(f"kill -CONT {ctr.pid}",),
        )
    if ctr.outcome == "ok":
        return passed(f"{ctr.address} greets", *seen)
    if ctr.outcome == "EACCES":
        if ctr.pid:
            return passed(f"containerd runs (process {ctr.pid}); only root may ask it more", *seen)
        if unit is None or unit.active == "active":
            return unknown(f"{ctr.address}: permission denied", *seen, how="# run as root")
    again = start(units) if units and units.docker.failing else ()
    usual = "/run/containerd/containerd.sock"
    told = next((f for f in reversed(flags.flags if flags else ()) if f.name == "--containerd"), None)
    if ctr.outcome in {"ENOENT", "ECONNREFUSED"} and told and ctr.address != usual and unit and unit.active == "active":
        starting = units is not None and units.docker.active == "activating"
        return failed(
            f"dockerd was told to use {ctr.address}, and no containerd listens there ({ctr.outcome})",
            *seen,
            Evidence(f"{told.source}:{told.line}" if told.line else told.source, f"--containerd={told.value}"),
            cause=f"The address in dockerd's flags is wrong: containerd.service listens at {usual}.",
            fix=(
                f"sed -i 's#{told.value}#{usual}#' {told.source}"
                if told.line
                else f"# correct --containerd, which is given by {told.source}",
                "systemctl daemon-reload",
                # While it waits for containerd it heeds no signal to end.
                *(("systemctl kill --signal=KILL docker.service",) if starting else ()),
                "systemctl reset-failed docker.service docker.socket",
                "systemctl restart docker.service",
            ),
            impact="restarts dockerd",
        )
    state = f"containerd.service is {unit.active}" if unit and unit.load == "loaded" else "it does not run"
    return failed(
        f"containerd does not answer at {ctr.address} ({ctr.outcome}): {state}",
        *seen,
        cause="dockerd runs, but the containerd that it works with does not."
        if process.pid
        else "dockerd gave up waiting for it.",
        fix=(
            "systemctl restart containerd.service" if unit else "service containerd restart",
            # dockerd tries to connect again every three seconds.
            *(again or ("sleep 4",)),
        ),
        impact="containers that run go on",
    )

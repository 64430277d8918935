"""What must be in place before the daemon can start: its programs, its PID file, containerd."""

from __future__ import annotations

import re
from shlex import quote

from dockerdoctor.examine import check, failed, passed, skipped, unknown
from dockerdoctor.facts.daemon_json import StartFlags
from dockerdoctor.facts.endpoint import ChosenEndpoint, DaemonPing
from dockerdoctor.facts.engine import DaemonProcess, Installed, Unit, Units
from dockerdoctor.facts.log import StartLog
from dockerdoctor.facts.ping import OtherEngines
from dockerdoctor.facts.startup import Containerd, PidFile
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
    # While a start is still under way, "start" would wait for that one, and go down with it.
    verb = "restart" if units and units.docker.active == "activating" else "start"
    return ("systemctl reset-failed docker.service docker.socket", f"systemctl {verb} docker.service")


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
    if programs.closed:
        return passed(f"{programs.closed} is there, though nobody may execute it")
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
        fix=(f"rm {quote(file.path)}", *start(units)),
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
    programs: Installed | None,
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
                f"sed -i {quote(f'{told.line}s#{told.value}#{usual}#')} {quote(told.source)}"
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
    if unit and (finding := _held_back(ctr, unit, programs, seen, units, process)):
        return finding
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


# What containerd says of its configuration: toml's words, with or without a place.
BAD_CONFIGURATION = re.compile(r"failed to load TOML(?: from)?:? (?P<file>/[^\s:]+)|(?P<file2>/\S+\.toml)\b")


def _held_back(
    ctr: Containerd,
    unit: Unit,
    programs: Installed | None,
    seen: list[Evidence],
    units: Units | None,
    process: DaemonProcess,
) -> Finding | None:
    """Why containerd cannot be started at all; None where starting it is the repair."""
    run = "systemctl restart containerd.service"
    # dockerd that waits for containerd goes on by itself; one that gave up has to be started.
    again = ("sleep 4",) if process.pid and not (units and units.docker.active == "failed") else start(units)
    if unit.load == "masked" or unit.file_state.startswith("masked"):
        return failed(
            "containerd does not run: containerd.service is masked",
            *seen,
            shown(unit),
            cause="Somebody, or a package's removal, masked it: nothing can start it, and dockerd waits for it.",
            fix=("systemctl unmask containerd.service", run, *again),
        )
    if programs and not programs.containerd:
        command = INSTALL.get(programs.package_manager, ("",))[0].rpartition(" ")[0]
        return failed(
            "containerd is not installed, or not where it belongs",
            *seen,
            Evidence("containerd in PATH and the system folders", "not found"),
            cause="dockerd has containerd run the containers, and its program is missing.",
            fix=(f"{command} containerd" if command else "# install containerd", run, *again),
        )
    if not ctr.complaint:
        return None
    seen.append(Evidence("journalctl -u containerd.service", ctr.complaint))
    named = BAD_CONFIGURATION.search(ctr.complaint)
    path = (named["file"] or named["file2"]) if named else ""
    mend = (
        (
            "# correct it; or take it away for now, and containerd uses its defaults:",
            f"mv {quote(path)} {quote(path + '.broken')}",
        )
        if path
        else ("journalctl -u containerd.service -b -n 20 --no-pager", "# remove the cause, then:")
    )
    return failed(
        f"containerd failed to start: {ctr.complaint.removeprefix('containerd: ')}",
        *seen,
        cause=f"containerd cannot read its configuration, {path}." if path else "This is containerd's own last line.",
        fix=(*mend, "systemctl reset-failed containerd.service", run, *again),
        impact="containers that run go on",
    )

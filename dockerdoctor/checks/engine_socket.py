"""The engine's socket on this host: whether it is there, where the client looks, and open to this user."""

from __future__ import annotations

from shlex import quote

from dockerdoctor import jsontext
from dockerdoctor.checks.prerequisites import NOT_OURS, SYSTEM_SOCKETS, of_this_host, shown, start
from dockerdoctor.checks.rewriting import restarted, rewritten, with_value
from dockerdoctor.checks.unit import RELOAD, edited, line
from dockerdoctor.examine import check, failed, passed, skipped
from dockerdoctor.facts.daemon_json import DaemonJson, StartFlags
from dockerdoctor.facts.endpoint import ChosenEndpoint, DaemonPing, SocketAccess, SocketFile
from dockerdoctor.facts.engine import DaemonProcess, Units
from dockerdoctor.facts.startup import Listening, Setting, SocketGroup, UnitCommands
from dockerdoctor.model import Evidence, Finding, Severity

GROUPS = "https://docs.docker.com/engine/install/linux-postinstall/"


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
    create = f"groupadd --system {quote(group.name)}"
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
            fix=(
                create,
                f"chgrp {quote(group.name)} {quote(file.path)}",
                f"# then add the users: usermod -aG {group.name} USER",
            ),
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
    there = quote(file.path)
    remove = f"rmdir {there}" if file.empty_directory else f"mv {there} {quote(f'{file.path}.moved')}"
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
    "engine.listening",
    title="The running daemon listens where the client looks",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/reference/cli/dockerd/#daemon-socket-option",
    upstream=("engine.socket-file", "engine.frozen"),
)
def listening(
    endpoint: ChosenEndpoint,
    ping: DaemonPing,
    process: DaemonProcess,
    daemon: Listening,
    units: Units | None,
    start_flags: StartFlags | None,
    commands: UnitCommands | None,
    config: DaemonJson | None,
) -> Finding:
    """
    Dockerd listens where -H, "hosts" or docker.socket say, and nowhere else; a socket file can also be deleted.

    Why it matters: the daemon is well, and no docker command finds it, or each one hangs.
    How to fix: restart it, which makes the file anew, or have it listen at the usual place too.
    """
    if not of_this_host(endpoint):
        return skipped(NOT_OURS)
    up = process.pid and (units is None or not units.systemd or units.docker.active == "active")
    told = {h.removeprefix("unix://") for h in daemon.hosts}
    handed = set(units.socket.listens) if units and any(h.startswith("fd://") for h in daemon.hosts) else set()
    at_place = bool((told | handed) & SYSTEM_SOCKETS)
    deaf = ping.outcome == "timeout" and not at_place
    if not up or not (ping.connect in {"ENOENT", "ECONNREFUSED"} or deaf):
        return passed(f"the socket leads to dockerd: {ping.outcome}" if process.pid else "dockerd does not run")
    path = endpoint.socket_path
    seen = [
        Evidence(f"connect {path}", "connected, no answer" if deaf else ping.connect),
        Evidence(f"/proc/{process.pid}/cmdline", " ".join(process.arguments) or "dockerd"),
        Evidence("/proc/net/unix", f"listening: {', '.join(daemon.bound) or 'none of Docker'}"),
    ]
    restart = (
        ("systemctl reset-failed docker.service docker.socket", "systemctl restart docker.socket docker.service")
        if handed
        else restarted(units)
    )
    elsewhere = next((p for p in daemon.there if p in SYSTEM_SOCKETS and p != path), "")
    if at_place and elsewhere:
        return failed(
            f"dockerd listens at {elsewhere}, which is not {path} here: /var/run is no link to /run",
            *seen,
            cause="/var/run is a folder of its own, and should be a link to /run: what is made in the one is not in the other.",
            fix=(f"ln -sf {elsewhere} {path}", "# and make /var/run a link to /run again at the next maintenance"),
        )
    if at_place:
        return failed(
            f"{path} was deleted or replaced while dockerd runs",
            *seen,
            cause="dockerd still listens on its socket, but the file by which clients find it is gone.",
            fix=restart,
            impact=RESTART,
        )
    hosts = ", ".join(daemon.hosts) if not handed else ", ".join(sorted(handed))
    return failed(
        f"dockerd listens at {hosts}, and not at {path}",
        *seen,
        cause="It was told to listen elsewhere only, and the client looks at the usual place.",
        fix=(
            *_listen_here(path, daemon, units, start_flags, commands, config),
            *restart,
            _or_ask_there(daemon, handed),
        ),
        impact=RESTART,
    )


RESTART = "restarts dockerd; containers stop unless live-restore is on"


def _or_ask_there(daemon: Listening, handed: set[str]) -> str:
    where = next(iter(sorted(handed)), "")
    return f"# or have clients ask there: export DOCKER_HOST={f'unix://{where}' if where else daemon.hosts[0]}"


def _listen_here(
    path: str,
    daemon: Listening,
    units: Units | None,
    flags: StartFlags | None,
    commands: UnitCommands | None,
    config: DaemonJson | None,
) -> tuple[str, ...]:
    """Add the usual place to where dockerd was told to listen."""
    here = f"unix://{path}"
    moved = commands.last("ListenStream") if commands else None
    if any(h.startswith("fd://") for h in daemon.hosts) and moved:
        return edited(moved, f"s#=.*#={path.removeprefix('/var')}#"), RELOAD
    if daemon.in_file and config and (root := jsontext.document(config.text)):
        member = next((m for m in root.members if m.key == "hosts"), None)
        if member:
            hosts = [here, *daemon.hosts]
            return rewritten(
                config, jsontext.edited(config.text, [with_value(member.node, hosts)]), units, restart=False
            )
    in_unit = commands.in_force[-1:] if commands else ()
    given = [f for f in flags.flags if f.name in {"-H", "--host"}] if flags else []
    if in_unit and given and all(f"{f.source}:{f.line}" == in_unit[0][0] for f in given):
        return edited(Setting(in_unit[0][0], "", ""), rf"s#^\(ExecStart=[^ ]*\)#\1 -H {here}#"), RELOAD
    return (f"# add -H {here} to dockerd's flags",)


@check(
    "engine.socket-permission",
    title="This user may use the engine's socket",
    severity=Severity.ERROR,
    docs=GROUPS,
    upstream=("engine.socket-group",),
)
def socket_permission(
    ping: DaemonPing,
    file: SocketFile,
    access: SocketAccess,
    group: SocketGroup | None,
    commands: UnitCommands | None,
) -> Finding:
    """
    Only root and the members of the socket's group may connect to it.

    Why it matters: every docker command is refused.
    How to fix: add the user to the group, which makes them as mighty as root on this host; then log in anew.
    """
    if not file.path:
        return skipped("the endpoint is no Unix socket")
    if ping.connect != "EACCES":
        return passed(f"{access.user} may connect to {file.path}")
    seen = (
        Evidence(f"connect {file.path} as {access.user}", "EACCES"),
        Evidence(f"stat {file.path}", f"mode {file.mode:04o}, owner {file.uid}, group {file.group}"),
    )
    if file.kind == "denied":
        return _closed_folder(file, access, seen[0])
    if not file.mode & 0o020:
        return _closed_socket(file, seen, group, commands)
    usual = group.name if group and group.exists else "docker" if access.docker_group else ""
    if usual and file.group != usual and str(file.gid) != usual:
        return failed(
            f"{file.path} belongs to the group {file.group}, not {usual}",
            *seen,
            cause="Somebody changed the socket's group, or dockerd was started with another one.",
            fix=(f"chgrp {quote(usual)} {quote(file.path)}",),
        )
    if access.in_session:
        return failed(
            f"{access.user} is in the group {file.group}, and {file.path} still refuses",
            *seen,
            cause="The permissions of the file allow it: a security module (SELinux, AppArmor) forbids it.",
            fix=("journalctl -k -b --grep 'apparmor|avc' -n 20 --no-pager",),
        )
    if access.in_database:
        return passed(f"{access.user} is in the group {file.group}, though not in this session")
    return failed(
        f"{access.user} is not in the group {file.group}, which alone may use {file.path}",
        *seen,
        Evidence(f"getent group {file.group}", f"members: {', '.join(access.members) or 'none'}"),
        cause=f"{access.user} was not added to the group {file.group}.",
        fix=(
            f"usermod -aG {quote(file.group)} {quote(access.user)}",
            f"# log out and in again, or go on in a shell that has the group: newgrp {file.group}",
            "# note that who may use the engine can become root on this host",
        ),
    )


def _closed_folder(file: SocketFile, access: SocketAccess, seen: Evidence) -> Finding:
    if file.closed in {"/", "/run", "/var", "/var/run"}:
        return failed(
            f"{access.user} may not look into {file.closed}, where the socket is",
            seen,
            cause=f"Somebody changed the mode of {file.closed}, a folder that everybody has to reach.",
            fix=(f"chmod 755 {file.closed}",),
        )
    return failed(
        f"{access.user} may not look into {file.closed or 'the folder'}, where {file.path} is",
        seen,
        cause="The socket lies in a folder of another user.",
        fix=("# run docker as the user whose engine this is, or use another endpoint: unset DOCKER_HOST",),
    )


def _closed_socket(
    file: SocketFile, seen: tuple[Evidence, ...], group: SocketGroup | None, commands: UnitCommands | None
) -> Finding:
    set_by = commands.last("SocketMode") if commands and group and group.mode else None
    return failed(
        f"{file.path} is closed to its group {file.group} (mode {file.mode:04o})",
        *seen,
        *((line(set_by),) if set_by else ()),
        cause=f"docker.socket gives it the mode {set_by.value}."
        if set_by
        else "Somebody changed the socket's mode; dockerd gives it 0660.",
        fix=(
            *((edited(set_by, "s/=.*/=0660/"), RELOAD) if set_by else ()),
            f"chmod 660 {quote(file.path)}",
        ),
    )


@check(
    "engine.session-group",
    title="This session has the socket's group",
    severity=Severity.ERROR,
    docs=GROUPS,
    upstream=("engine.socket-group",),
)
def session_group(ping: DaemonPing, file: SocketFile, access: SocketAccess) -> Finding:
    """
    A process gets its groups at login and keeps them; adding the user to a group later does not reach it.

    Why it matters: after `usermod -aG docker` the same permission is denied as before, in every shell, IDE and agent
    that ran already.
    How to fix: log in anew, or restart the agent.
    """
    if ping.connect != "EACCES" or access.in_session or not access.in_database:
        return passed(f"the groups of this session suffice, or {access.user} lacks the group altogether")
    return failed(
        f"{access.user} is in the group {file.group} by now, but this session is not",
        Evidence(f"connect {file.path} as {access.user}", "EACCES"),
        Evidence(f"getent group {file.group}", f"members: {', '.join(access.members) or access.user}"),
        Evidence("/proc/self/status, Groups", f"without {file.gid}"),
        cause=f"{access.user} was added to the group {file.group} after this session began.",
        fix=(
            "# log out and in again, or restart the service that runs docker; in this terminal:",
            f"newgrp {quote(file.group)}",
        ),
    )

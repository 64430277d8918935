"""docker.service as a unit of systemd: whether it is accepted, and what it needs before dockerd is run at all."""

from __future__ import annotations

from shlex import quote

from dockerdoctor.checks.prerequisites import INSTALL, NOT_OURS, of_this_host, shown, start
from dockerdoctor.examine import check, failed, passed, skipped
from dockerdoctor.facts.endpoint import ChosenEndpoint, DaemonPing
from dockerdoctor.facts.engine import DaemonProcess, Installed, Units
from dockerdoctor.facts.startup import Setting, UnitCommands
from dockerdoctor.model import Evidence, Finding, Severity

UNITS = "https://docs.docker.com/engine/daemon/proxy/#systemd-unit-file"
RELOAD = "systemctl daemon-reload"


def not_asked(endpoint: ChosenEndpoint, units: Units) -> Finding | None:
    """The finding of every check on the unit where there is none to look at."""
    if not units.systemd:
        return skipped("this host does not use systemd")
    return None if of_this_host(endpoint) else skipped(NOT_OURS)


def line(setting: Setting) -> Evidence:
    """A line of a unit's file."""
    return Evidence(setting.where, f"{setting.key}={setting.value}")


def edited(setting: Setting, script: str) -> str:
    """Change one line of a unit's file with sed."""
    path, number = setting.place
    return f"sed -i {quote(number + script)} {quote(path)}"


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
    if skip := not_asked(endpoint, units):
        return skip
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
    "engine.unit-missing",
    title="docker.service is there",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/engine/daemon/start/",
    upstream=("engine.installed",),
)
def unit_missing(
    endpoint: ChosenEndpoint, units: Units, ping: DaemonPing, process: DaemonProcess, programs: Installed
) -> Finding:
    """
    Systemd starts what has a unit file; programs that were copied to a host have none, and some clean-up removes it.

    Why it matters: "Unit docker.service not found": nothing starts Docker, now or at the next boot.
    How to fix: the package brings it.
    """
    if skip := not_asked(endpoint, units):
        return skip
    # Debian's packages have a script for other init systems too, of which systemd then makes a unit.
    generated = units.docker.file_state == "generated"
    if units.docker.load != "not-found" and not generated:
        return passed(f"{units.docker.fragment or 'docker.service'} is there")
    if ping.answered or process.pid or not programs.dockerd:
        return skipped("docker.service is not there, and the engine is started by other means")
    install = INSTALL.get(programs.package_manager, ("",))[0]
    again = {"apt-get": install.replace(" -y ", " -y --reinstall "), "dnf": install.replace("install", "reinstall")}
    return failed(
        f"dockerd is installed, and systemd has no docker.service to start {programs.dockerd} with"
        + (", only one made of /etc/init.d/docker" if generated else ""),
        shown(units.docker),
        Evidence("dockerd", programs.dockerd),
        cause="The unit's file was removed, or the programs were installed without one.",
        fix=(
            again.get(programs.package_manager) or "# install the package of the engine anew",
            RELOAD,
            *start(units),
            "# or, for programs that came without a package: put the unit's file of moby's sources there (contrib/init/systemd)",
        ),
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
    if skip := not_asked(endpoint, units):
        return skip
    again = () if units.docker.active == "active" else start(units)
    if len(commands.in_force) > 1 and not commands.oneshot:
        second = commands.in_force[1][0]
        return failed(
            f"{second} gives docker.service a second ExecStart=",
            *(Evidence(where, f"ExecStart={command}") for where, command in commands.in_force),
            shown(units.docker),
            cause="A service of its type may have only one command. A drop-in's command is added to the unit's own unless "
            "an empty ExecStart= clears that first.",
            fix=(edited(Setting(second, "", ""), "i ExecStart="), RELOAD, *again),
        )
    if commands.lines and not commands.in_force and not commands.oneshot:
        cleared = commands.lines[-1][0]
        return failed(
            f"{cleared} clears the command of docker.service, and gives no other",
            *(Evidence(where, f"ExecStart={command}") for where, command in commands.lines),
            shown(units.docker),
            cause="An empty ExecStart= takes back the unit's own command; a new one must follow it.",
            fix=(
                "# give the new command in a line below it; or keep the unit's own:",
                edited(Setting(cleared, "", ""), "s/^/# /"),
                RELOAD,
                *again,
            ),
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
    "engine.unit-program",
    title="The program that docker.service starts can be run",
    severity=Severity.ERROR,
    docs=UNITS,
    upstream=("engine.installed", "engine.unit-valid"),
)
def unit_program(endpoint: ChosenEndpoint, units: Units, commands: UnitCommands, programs: Installed) -> Finding:
    """
    ExecStart= names dockerd by its full path; drop-ins copied from another distribution name one that is not there.

    Why it matters: systemd cannot run it, so that Docker does not start, or not again.
    How to fix: correct the path, or make the program executable.
    """
    if skip := not_asked(endpoint, units):
        return skip
    if not commands.program:
        return passed("the program that docker.service starts is there")
    where, command = commands.in_force[-1]
    program = command.split()[0].lstrip("@-:+!|")
    seen = (Evidence(where, f"ExecStart={command}"), Evidence(program, commands.program), shown(units.docker))
    again = () if units.docker.active == "active" else start(units)
    if commands.program == "closed":
        return failed(
            f"{program}, which docker.service starts, is not executable",
            *seen,
            cause="The file lost its executable bits: nobody, not even root, can run it.",
            fix=(f"chmod 755 {quote(program)}", *again),
        )
    fix: tuple[str, ...] = ("# install the program that ExecStart= names, or correct its path",)
    if programs.dockerd and program.rpartition("/")[2].startswith("docker"):
        fix = (edited(Setting(where, "", ""), f"s#{program}#{programs.dockerd}#"), RELOAD)
    return failed(
        f"{program}, which docker.service starts, does not exist",
        *seen,
        cause=f"ExecStart= names a program that is not there; dockerd is {programs.dockerd or 'nowhere to be found'}.",
        fix=(*fix, *again),
    )


@check(
    "engine.unit-environment",
    title="The files that docker.service must load are there",
    severity=Severity.ERROR,
    docs="https://www.freedesktop.org/software/systemd/man/latest/systemd.exec.html#EnvironmentFile=",
    upstream=("engine.unit-valid",),
)
def unit_environment(endpoint: ChosenEndpoint, units: Units, commands: UnitCommands) -> Finding:
    """
    A file that EnvironmentFile= names must exist, unless a dash stands in front of its path.

    Why it matters: systemd does not run dockerd at all, and says no more than "No such file or directory".
    How to fix: put the file there, or make it optional.
    """
    if skip := not_asked(endpoint, units):
        return skip
    if not commands.absent:
        return passed("docker.service lacks no file of variables")
    return failed(
        f"{commands.absent[0].value}, which docker.service must load, does not exist",
        *map(line, commands.absent),
        shown(units.docker),
        cause="EnvironmentFile= names a file that is not there; without a dash before its path, that ends the start.",
        fix=(
            *(edited(s, "s/=[[:space:]]*/=-/") for s in commands.absent),
            RELOAD,
            *(() if units.docker.active == "active" else start(units)),
        ),
    )


@check(
    "engine.unit-user",
    title="docker.service runs dockerd as root",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/engine/security/rootless/",
    upstream=("engine.unit-valid",),
)
def unit_user(endpoint: ChosenEndpoint, units: Units, commands: UnitCommands) -> Finding:
    """
    The system's dockerd needs root; an engine without it is set up in another way, with a unit of each user.

    Why it matters: dockerd ends at once with "needs to be started with root privileges".
    How to fix: take User= out of the unit.
    """
    if skip := not_asked(endpoint, units):
        return skip
    user = commands.last("User")
    if user is None or user.value in {"", "root", "0"}:
        return passed("docker.service sets no other user than root")
    return failed(
        f"docker.service runs dockerd as {user.value}, and it needs root",
        line(user),
        shown(units.docker),
        cause="User= in the unit takes the privileges from dockerd without which it ends.",
        fix=(edited(user, "s/^/# /"), RELOAD, *(() if units.docker.active == "active" else start(units))),
    )


@check(
    "engine.unit-type",
    title="systemd does not wait for what dockerd never does",
    severity=Severity.ERROR,
    docs="https://www.freedesktop.org/software/systemd/man/latest/systemd.service.html#Type=",
    upstream=("engine.unit-valid",),
)
def unit_type(endpoint: ChosenEndpoint, units: Units, commands: UnitCommands) -> Finding:
    """
    Dockerd stays in the foreground, and tells systemd when it is ready (Type=notify).

    Why it matters: with Type=forking or oneshot systemd waits for it to go away, and kills it when the time is over.
    How to fix: Type=notify.
    """
    if skip := not_asked(endpoint, units):
        return skip
    kind = commands.last("Type")
    if kind is None or kind.value not in {"forking", "oneshot"}:
        return passed(f"docker.service is of type {kind.value if kind else 'simple'}")
    return failed(
        f"docker.service is of type {kind.value}, and dockerd never ends by itself",
        line(kind),
        shown(units.docker),
        cause="systemd takes the start for done only when the program it runs has ended, and dockerd stays.",
        fix=(edited(kind, "s/=.*/=notify/"), RELOAD, *start(units)),
    )


@check(
    "engine.unit-condition",
    title="The conditions of docker.service are met",
    severity=Severity.ERROR,
    docs="https://www.freedesktop.org/software/systemd/man/latest/systemd.unit.html#Conditions%20and%20Asserts",
    upstream=("engine.unit-valid",),
)
def unit_condition(endpoint: ChosenEndpoint, units: Units, commands: UnitCommands, ping: DaemonPing) -> Finding:
    """
    A unit whose Condition*= is not met is left alone without an error: `systemctl start` even succeeds.

    Why it matters: Docker does not start, and nothing fails.
    How to fix: meet the condition, or take it out.
    """
    if skip := not_asked(endpoint, units):
        return skip
    set_by = [s for s in commands.settings if s.key.startswith(("Condition", "Assert")) and s.value]
    if units.docker.condition or ping.answered or not set_by:
        return passed("docker.service was not held back by a condition")
    return failed(
        f"a condition of docker.service is not met: {set_by[-1].key}={set_by[-1].value}",
        *map(line, set_by),
        shown(units.docker),
        cause="systemd was asked to start docker.service, and left it alone since a condition in its files is not met.",
        fix=(
            "# meet the condition, if it is there for a reason; or take it out:",
            *(edited(s, "s/^/# /") for s in set_by),
            RELOAD,
            *start(units),
        ),
    )


@check(
    "engine.unit-requirement",
    title="What docker.service requires can be started",
    severity=Severity.ERROR,
    docs="https://www.freedesktop.org/software/systemd/man/latest/systemd.unit.html#Requires=",
    upstream=("engine.unit-valid",),
)
def unit_requirement(endpoint: ChosenEndpoint, units: Units, commands: UnitCommands, ping: DaemonPing) -> Finding:
    """
    A unit that docker.service requires, a mount for its data for one, is started before it, and must not fail.

    Why it matters: Docker does not start: "Dependency failed".
    How to fix: repair that unit, or do not require it.
    """
    if skip := not_asked(endpoint, units):
        return skip
    lacking = [u for u in units.required if u.active == "failed" or u.load in {"not-found", "masked", "bad-setting"}]
    if ping.answered or units.docker.active == "active" or not lacking:
        return passed("docker.service lacks nothing that it requires")
    unit = lacking[0]
    wanted = [s for s in commands.settings if s.key in {"Requires", "BindsTo"} and unit.name in s.value.split()]
    gone = unit.load != "loaded"
    undo = tuple(edited(s, f"s#{unit.name}##") for s in wanted)
    mend = ("# make it work, or do not require it:", *undo, RELOAD) if gone else (f"systemctl restart {unit.name}",)
    return failed(
        f"docker.service requires {unit.name}, which is {unit.load if gone else unit.active}",
        *map(line, wanted),
        shown(unit),
        shown(units.docker),
        cause=f"systemd starts {unit.name} before dockerd, and cannot.",
        fix=(f"journalctl -u {unit.name} -b -n 20 --no-pager", *mend, *start(units)),
    )

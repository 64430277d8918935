"""Why the daemon does not run: what it said when it gave up, whom systemd refuses, or that nobody started it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from shlex import quote

from dockerdoctor.checks import daemon_json, daemon_keys, daemon_state, daemon_values
from dockerdoctor.checks.fatal import Signature, signature_of
from dockerdoctor.checks.prerequisites import INSTALL, NOT_OURS, TROUBLE, of_this_host, shown, start
from dockerdoctor.checks.sandbox import DENIED
from dockerdoctor.checks.unit import RELOAD, edited, line
from dockerdoctor.examine import check, failed, passed, skipped
from dockerdoctor.facts.daemon_json import SWITCHES, DaemonJson, Flag, StartFlags
from dockerdoctor.facts.endpoint import ChosenEndpoint, DaemonPing
from dockerdoctor.facts.engine import DaemonProcess, Installed, Units
from dockerdoctor.facts.log import StartLog
from dockerdoctor.facts.startup import Setting, UnitCommands
from dockerdoctor.model import Check, Evidence, Finding, Severity

# Any of these keeps dockerd from starting, by what the file says alone.
CONFIG_ERRORS = tuple(
    c.id
    for area in (daemon_json, daemon_keys, daemon_values, daemon_state)
    for c in vars(area).values()
    if isinstance(c, Check) and c.severity is Severity.ERROR
)
# Without these systemd does not even try.
NO_TRY = (
    "engine.installed",
    "engine.unit-masked",
    "engine.unit-missing",
    "engine.unit-valid",
    "engine.unit-program",
    "engine.unit-environment",
    "engine.unit-condition",
    "engine.unit-requirement",
    "engine.socket-group",
    "engine.socket-file",
)


# What systemd found wrong where dockerd itself said nothing (systemd.service(5), $SERVICE_RESULT).
WITHOUT_A_WORD = {
    "timeout": (
        "systemd ended it, since it was not ready in time",
        "The unit gives it too little time (TimeoutStartSec=), or something that it waits for does not come.",
    ),
    "protocol": (
        "what the unit runs ended, and never said that it was ready",
        "With Type=notify the program tells systemd when it is ready; another program than dockerd does not.",
    ),
}


@check(
    "engine.started",
    title="The daemon's last start succeeded",
    severity=Severity.ERROR,
    docs=TROUBLE,
    upstream=(
        *NO_TRY,
        "engine.unit-user",
        "engine.unit-type",
        "engine.unit-sandbox",
        "engine.pid-file",
        "engine.containerd",
        "engine.programs",
        "cgroups.mounted",
        "cgroups.version",
        "kernel.modules-needed",
        *CONFIG_ERRORS,
    ),
)
def started(
    endpoint: ChosenEndpoint,
    ping: DaemonPing,
    process: DaemonProcess,
    units: Units | None,
    log: StartLog | None,
    config: DaemonJson | None,
    programs: Installed | None,
    flags: StartFlags | None,
    commands: UnitCommands | None,
) -> Finding:
    """
    A daemon that cannot start says why in its last line, before systemd's own lines bury it.

    Why it matters: starting it again only runs into the same cause, until systemd refuses.
    How to fix: remove the cause that the line names, clear systemd's memory of the failures, start.
    """
    if not of_this_host(endpoint):
        return skipped(NOT_OURS)
    if ping.answered:
        return passed("dockerd started, and answers")
    if units and units.systemd:
        unit = units.docker
        # Refused by the start limit alone: that check names it.
        if not unit.failing or (unit.result == "start-limit-hit" and not (log and log.failed)):
            return passed(f"docker.service is {unit.active}; its last start did not fail", shown(unit))
        seen = [shown(unit)]
    elif process.pid or not (log and log.failed):
        return passed("no failed start was seen")
    else:
        seen = []
    said = log.complaint if log else ""
    if not said and units and units.docker.result in WITHOUT_A_WORD:
        what, cause = WITHOUT_A_WORD[units.docker.result]
        told = [s for key in ("TimeoutStartSec", "TimeoutSec") if commands and (s := commands.last(key))]
        told = told if units.docker.result == "timeout" else []
        return failed(
            f"dockerd failed to start: {what}",
            *seen,
            *(Evidence(where, f"ExecStart={command}") for where, command in (commands.in_force if commands else ())),
            *map(line, told),
            cause=cause,
            fix=(
                *(edited(s, "s/^/# /") for s in told),
                *((RELOAD,) if told else ("systemctl cat docker.service", "# correct what it shows, then:", RELOAD)),
                *start(units),
            ),
        )
    # Docker 28 shows how it is used, and nothing else.
    if not said and (stray := _stray_word(commands, seen, units)):
        return stray
    if not said:
        return failed(
            "dockerd failed to start" + ("" if log else ", and its log cannot be read"),
            *seen,
            cause="Its own last line, which says why, is not known." if not log else "It ended without a word.",
            fix=("journalctl -u docker.service -b -n 50 --no-pager",),
        )
    seen.insert(0, Evidence(log.source if log else "", said))
    before = (
        [s for s in commands.settings if s.key == "ExecStartPre" and s.value[:1] not in {"", "-"}] if commands else []
    )
    to_blame = [s for s in before if "Control process" in said or (s.value.split()[0].lstrip("@:+!|") in said)]
    if to_blame:
        return failed(
            f"dockerd was not started: a command before it failed: {said.removeprefix('docker.service: ')}",
            *seen,
            *map(line, to_blame),
            cause="ExecStartPre= of docker.service has to succeed before dockerd is run.",
            fix=(
                "# correct the command; or start without it:",
                *(edited(s, "s/^/# /") for s in to_blame),
                RELOAD,
                *start(units),
            ),
            because=(),
        )
    known, fields = signature_of(said)
    if known and known.id == "argument" and (stray := _stray_word(commands, seen, units)):
        return stray
    return _gave_up(known, fields, said, seen, units, config, programs, flags)


def _stray_word(commands: UnitCommands | None, seen: list[Evidence], units: Units | None) -> Finding | None:
    """Name the words of its command line with which dockerd does not start."""
    where, command = commands.in_force[-1] if commands and commands.in_force else ("", "")
    words = strays(command.split()[1:])
    if not words:
        return None
    place_ = Setting(where, "ExecStart", command)
    return failed(
        f"dockerd failed to start: {' '.join(words)} on its command line belongs to no flag",
        *seen,
        line(place_),
        cause="docker.service gives dockerd a word without a dash: a switch's value that wants a =, or a slip.",
        fix=(*(edited(place_, f"s# {word}##") for word in words), RELOAD, *start(units)),
    )


def _gave_up(
    known: Signature | None,
    fields: dict[str, str],
    said: str,
    seen: list[Evidence],
    units: Units | None,
    config: DaemonJson | None,
    programs: Installed | None,
    flags: StartFlags | None,
) -> Finding:
    if known is None:
        return failed(
            f"dockerd failed to start: {said}",
            *seen,
            cause="This is the daemon's own last line.",
            fix=("journalctl -u docker.service -b -n 50 --no-pager", "# remove the cause, then:", *start(units)),
        )
    settings = config.settings if config and config.settings else {}
    named = (
        [f for f in flags.flags if f.name in {*known.flags, fields.get("flag"), fields.get("letter")}] if flags else []
    )
    seen += [Evidence(place(flag), f"{flag.name} {flag.value}".rstrip()) for flag in named]
    own_root = flags.last("--data-root", "--graph", "-g") if flags else ""
    install = INSTALL.get(programs.package_manager if programs else "", ("# install docker.io",))[0]
    fields |= {
        "flag": fields.get("flag") or next((f.name for f in named), ""),
        "place": ", ".join(dict.fromkeys(map(place, named))) or "docker.service",
        "config": ", ".join(dict.fromkeys(map(place, named))) or (config.path if config else "/etc/docker/daemon.json"),
        "root": str(
            fields.get("root") or settings.get("data-root") or settings.get("graph") or own_root or "/var/lib/docker"
        ),
        "install": install.rpartition(" ")[0],
    }
    # Words of a log are no shell's.
    words = {name: value if name == "install" else quote(value) for name, value in fields.items()}
    steps = [step.format(**(fields if step.startswith("#") else words)) for step in known.fix]
    taken_out = [step for step in map(flag_removed, named) if step]
    if taken_out:
        steps += ["# or without it:", *taken_out, RELOAD]
    return failed(
        f"dockerd failed to start: {known.meaning.format(**fields).removesuffix(': ')}",
        *seen,
        cause=known.cause.format(**fields),
        fix=(*steps, *start(units)),
        because=(
            *(CONFIG_ERRORS if known.configuration else known.because),
            *(("engine.unit-sandbox",) if DENIED.search(said) else ()),
        ),
    )


def strays(words: Sequence[str]) -> list[str]:
    """Find the words of a command line that are neither flags nor their values; a variable's may be anything."""
    found, queue = [], list(words)
    while queue:
        word = queue.pop(0)
        if not word.startswith("-"):
            found += [] if "$" in word else [word]
            continue
        # A letter may have its value attached: "-Hfd://".
        whole = "=" not in word and (word.startswith("--") or len(word) == 2)
        if whole and word.lstrip("-") not in SWITCHES and queue and not queue[0].startswith("-"):
            queue.pop(0)
    return found


def flag_removed(flag: Flag) -> str:
    """Take a flag out of the line that gives it; empty where the line, or the value as it is written, is not known."""
    if not flag.line or "***" in flag.value:
        return ""
    escaped = re.sub(r"[\\.*\[\]^$#]", r"\\\g<0>", flag.value)
    letter = r"[= ]\{0,1\}" if len(flag.name) == 2 else "[= ]"
    given = f"{flag.name}{letter}{escaped}" if flag.value else flag.name
    return f"sed -i {quote(f'{flag.line}s# *{given}##')} {quote(flag.source)}"


def place(flag: Flag) -> str:
    """Where a flag is given."""
    return f"{flag.source}:{flag.line}" if flag.line else flag.source


@check(
    "engine.start-limit",
    title="systemd still accepts to start Docker",
    severity=Severity.ERROR,
    docs="https://www.freedesktop.org/software/systemd/man/latest/systemd.unit.html#StartLimitIntervalSec=interval",
    upstream=("engine.started",),
)
def start_limit(endpoint: ChosenEndpoint, units: Units, ping: DaemonPing) -> Finding:
    """
    After a few starts in a minute systemd refuses further ones, and says so louder than what failed before.

    Why it matters: the refusal hides the first error, and outlives its repair.
    How to fix: repair what failed, if anything did; then `systemctl reset-failed` and start.
    """
    if not units.systemd or not of_this_host(endpoint):
        return skipped(NOT_OURS if units.systemd else "this host does not use systemd")
    hit = [u for u in (units.docker, units.socket) if u.active == "failed" and u.result.endswith("start-limit-hit")]
    if ping.answered or not hit:
        return passed("systemd's start limit is not reached", shown(units.docker))
    return failed(
        f"systemd refuses to start Docker: {hit[0].name} was started too often",
        *(shown(u) for u in hit),
        cause="docker.service was started or restarted more often than its start limit allows.",
        fix=start(units),
    )


@check(
    "engine.running",
    title="The daemon runs",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/engine/daemon/start/",
    upstream=(*NO_TRY, "engine.started", "engine.start-limit", *CONFIG_ERRORS),
)
def running(endpoint: ChosenEndpoint, ping: DaemonPing, process: DaemonProcess, units: Units | None) -> Finding:
    """
    Dockerd is a service: somebody has to start it, and systemd does so at boot if the unit is enabled.

    Why it matters: nothing listens for docker commands.
    How to fix: start it, and enable it so that it comes back after a reboot.
    """
    if not of_this_host(endpoint):
        return skipped(NOT_OURS)
    unit = units.docker if units and units.systemd else None
    if ping.answered or (process.pid and not (unit and unit.failing)):
        return passed(f"dockerd runs (process {process.pid})" if process.pid else "the daemon answers")
    if unit and unit.active == "active":
        return passed("docker.service is active, though its process is not ours to see", shown(unit))  # hidepid=2
    if unit is None:
        return failed(
            "dockerd does not run",
            Evidence("/proc", "no process dockerd"),
            cause="The daemon is stopped.",
            fix=start(units),
        )
    disabled = unit.file_state == "disabled"
    command = "systemctl enable --now docker.service" if disabled else "systemctl start docker.service"
    return failed(
        f"dockerd does not run: docker.service is {unit.active}{' and disabled' if disabled else ''}",
        shown(unit),
        shown(units.socket) if units else shown(unit),
        Evidence("/proc", "no process dockerd"),
        cause="The service was stopped, or never started"
        + (", and it is not enabled: a reboot does not start it either." if disabled else "."),
        fix=(command,),
        impact="containers with a restart policy start too",
    )

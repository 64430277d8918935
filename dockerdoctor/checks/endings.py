"""What every judgement of an ended container rests on: the case, how it ended, and the commands that mend a file in it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from dockerdoctor.facts.containers import Container, Containers, Networks
from dockerdoctor.facts.endings import Ending, Endings, failed_lately, gave_up, kept, last_try
from dockerdoctor.facts.listeners import seconds_since, stamp
from dockerdoctor.model import Evidence

COMPOSE_SERVICE = "com.docker.compose.service"
# The checks that name what is wrong with a program or its image, and those of what a start needs besides.
PROGRAM_CAUSES = (
    "containers.command-found",
    "containers.command-executable",
    "containers.exec-format",
    "containers.line-endings",
    "containers.interpreter",
    "containers.libraries",
)
START_CAUSES = (
    "containers.network-gone",
    "containers.mount-kinds",
    "containers.mount-source",
    "containers.log-driver",
    "containers.start-failed",
)
# What ends a container that has started.
END_CAUSES = ("containers.oom-killed", "containers.mount-permission", "containers.read-only")
# What was made or ended longer ago, and nobody keeps running, is the rest of an old attempt.
FORGOTTEN = 24 * 3600.0  # seconds
# Docker itself takes a run of this length for a success, and begins anew with its pauses (restartmanager.go).
SETTLED = 10.0
# A program that comes this far has not failed at once; its runs before, where they were longer, are the measure.
AT_LEAST = 2.0
SIGNALS = {
    130: "SIGINT",
    131: "SIGQUIT",
    132: "SIGILL: an instruction that this processor does not have",
    134: "SIGABRT: the program gave up itself",
    135: "SIGBUS",
    136: "SIGFPE",
    137: "SIGKILL",
    139: "SIGSEGV: it touched memory that is not its own",
    143: "SIGTERM",
    159: "SIGSYS: a system call that its seccomp profile forbids",
}
SEEN_LINES = 3


@dataclass(frozen=True)
class Trouble:
    """How a container keeps ending, or ended."""

    loops: bool
    code: int
    times: int = 0  # Docker started it again
    lived: float = -1.0  # seconds; -1 where it is not known
    out_of_memory: bool = False
    killed: bool = False


@dataclass(frozen=True)
class Case:
    """Why one container does not run."""

    kind: str  # the last part of its check's id
    container: Container
    summary: str
    cause: str
    evidence: tuple[Evidence, ...] = ()
    fix: tuple[str, ...] = ()
    impact: str = ""
    because: tuple[str, ...] = ()
    follows: bool = False  # from another container's case


@dataclass(frozen=True)
class Scene:
    """All that a case is judged by."""

    containers: Containers
    endings: Endings
    networks: Networks | None
    architecture: str = ""  # of the engine's machine: "amd64"
    logging: str = ""  # the engine's default log driver
    swarm: bool = False
    asking: frozenset[str] = frozenset()  # the containers whose cases led to the question at hand

    def replaced(self, container: Container) -> bool:
        """Whether another one was made in its stead since, and runs: of its image, and but for a first try with its command."""
        return any(
            c.running
            and c.image == container.image
            and c.created > container.created
            and c.network_mode == container.network_mode
            and (container.state == "created" or c.command == container.command)
            for c in self.containers.all
        )

    def wanted(self, container: Container, within: float = FORGOTTEN) -> bool:
        """Whether somebody still wants it: who is told to keep it, or who tried a short while ago."""
        if kept(container) and container.state != "created":
            return True
        fresh = seconds_since(last_try(container), self.endings.now) < within
        return fresh and not self.replaced(container)


def lifetime(container: Container) -> float:
    """How long it ran the last time; -1 where it runs, or never ran."""
    began, ended = stamp(container.started), stamp(container.finished)
    return max(0.0, ended - began) if began > 0 and ended > 0 else -1.0


def trouble(container: Container, ending: Ending, now: float) -> Trouble | None:
    """Tell whether it keeps ending, or ended a short while ago, though it should not."""
    last = ending.deaths[-1] if ending.deaths else None
    starved = container.oom_killed or bool(last and last.out_of_memory)
    if container.state == "restarting" and container.restart_count > 1:
        lived = lifetime(container)
        # Somebody may use `--restart always` as a timer: that is no failure.
        if container.exit_code == 0 and lived >= SETTLED:
            return None
        return Trouble(True, container.exit_code, container.restart_count, lived, starved)
    if container.running and container.restart_count > 1 and _returns(container, ending, now) and last:
        return Trouble(True, last.exit_code, container.restart_count, last.lived, last.out_of_memory, last.killed)
    if failed_lately(container, now):
        return Trouble(gave_up(container), container.exit_code, container.restart_count, lifetime(container), starved)
    return None


def _returns(container: Container, ending: Ending, now: float) -> bool:
    """Whether one that runs just now does so between two ends: it has not yet run longer than it did before."""
    failed = [d for d in ending.deaths if not d.killed and (d.exit_code or 0 <= d.lived < SETTLED)]
    if len(failed) < 2:
        return False
    began, longest = stamp(container.started), max(d.lived for d in failed)
    # It may have ended since it was looked at; the engine's events are asked for later.
    return failed[-1].at > began or now - began <= max(AT_LEAST, 2 * longest)


def ended(case: Trouble) -> str:
    """Say how it ended: "exit code 1, 0.1 s after its start"."""
    signal = f" ({SIGNALS[case.code].partition(':')[0]})" if case.code in SIGNALS else ""
    after = f", {case.lived:.1f} s after its start" if case.lived >= 0 else ""
    return f"exit code {case.code}{signal}{after}"


def does(container: Container, case: Trouble) -> str:
    """Say what it does: restart over and over, or end."""
    name = container.name
    if gave_up(container):
        return f"{name} was started {case.times + 1} times and given up"
    return f"{name} restarts over and over ({case.times} times)" if case.loops else f"{name} ended"


def state_of(container: Container, case: Trouble) -> Evidence:
    """Show its state."""
    seen = f"{container.status}; exit code {case.code}"
    if case.out_of_memory:
        seen += ", OOMKilled"
    if case.times:
        seen += f"; RestartCount {case.times}"
    return Evidence(f"docker inspect {container.name}: State", seen)


def words(container: Container, ending: Ending, lines: int = SEEN_LINES) -> tuple[Evidence, ...]:
    """Show its last words."""
    return tuple(
        Evidence(f"docker logs {container.name}", line.replace("\r", "\\r"))
        for line in dict.fromkeys(ending.lines[-lines:])
    )


def begin(container: Container) -> str:
    """Give the command that starts it anew, whatever it does now."""
    return f"docker {'start' if container.state in {'created', 'exited'} else 'restart'} {container.name}"


def updated(container: Container, options: str) -> tuple[str, ...]:
    """Give the commands that start it anew with other limits."""
    update, name = f"docker update {options} {container.name}", container.name
    if container.state in {"created", "exited"}:
        return update, f"docker start {name}"
    # One that restarts over and over may end just then, and nothing is updated: "container not running" (runc).
    return f"docker stop {name}", update, f"docker start {name}"


def meanwhile(container: Container, case: Trouble) -> tuple[str, ...]:
    """Say how to end the loop for now."""
    looping = case.loops and container.state != "exited"
    name = container.name
    return (f"# to end the loop meanwhile: docker update --restart=no {name} && docker stop {name}",) if looping else ()


def anew(container: Container, how: str) -> str:
    """Say that only another container can have it otherwise."""
    service = dict(container.labels).get(COMPOSE_SERVICE)
    if service:
        return f"# in the compose file, under service {service}: {how}; then docker compose up -d {service}"
    return f"# replace {container.name} by a container that is run with {how}"


def mended(container: Container, path: str, command: str) -> str:
    """Give the command that changes a file of a container: where it lies on the host, or by way of a copy."""
    mount = container.details.mount_of(path) if container.details else None
    if mount and mount.kind == "bind":
        return f"{command} {shlex.quote(mount.behind(path))}"
    inside, file = shlex.quote(f"{container.name}:{path}"), shlex.quote(path.rpartition("/")[2])
    return f'd=$(mktemp -d) && docker cp {inside} "$d" && {command} "$d"/{file} && docker cp "$d"/{file} {inside}'

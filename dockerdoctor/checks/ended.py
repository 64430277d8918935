"""Whether containers run that should: each check is one kind of reason why one does not."""

from __future__ import annotations

from functools import lru_cache

from dockerdoctor.checks.ended_starts import gone
from dockerdoctor.checks.ended_words import SURROUNDINGS, case_of
from dockerdoctor.checks.endings import (
    COMPOSE_SERVICE,
    END_CAUSES,
    PROGRAM_CAUSES,
    START_CAUSES,
    Case,
    Scene,
    anew,
    trouble,
)
from dockerdoctor.examine import check, failed, passed, skipped
from dockerdoctor.facts.containers import Containers, Networks
from dockerdoctor.facts.endings import Endings
from dockerdoctor.facts.engine import EngineInfo, EngineVersion
from dockerdoctor.model import Evidence, Finding, Severity

RUN = "https://docs.docker.com/engine/containers/run/"
START = "https://docs.docker.com/engine/containers/start-containers-automatically/"
DOCKERFILE = "https://docs.docker.com/reference/dockerfile/#entrypoint"
BIND = "https://docs.docker.com/engine/storage/bind-mounts/"


def scene(
    containers: Containers,
    endings: Endings,
    networks: Networks | None,
    version: EngineVersion | None = None,
    info: EngineInfo | None = None,
) -> Scene:
    """All that is known of the containers."""
    return Scene(
        containers,
        endings,
        networks,
        version.arch if version else "",
        info.logging_driver if info else "",
        bool(info and info.swarm == "active"),
    )


@lru_cache(maxsize=4)
def cases_in(place: Scene) -> tuple[Case, ...]:
    """Find why each container does not run, once for all the checks that ask."""
    return tuple(case for c in place.containers.all if (case := case_of(c, place)))


def judge(kind: str, place: Scene, good: str) -> Finding:
    """Fail when a container does not run for this kind of reason."""
    if not place.containers.all:
        return skipped("there are no containers")
    mine = [case for case in cases_in(place) if case.kind == kind]
    return told(mine) if mine else passed(good)


def told(cases: list[Case]) -> Finding:
    """One finding of several cases."""
    first = cases[0]
    others = [c.container.name for c in cases[1:]]
    # What explains one of them only does not explain them all.
    because = set(first.because).intersection(*(c.because for c in cases[1:]))
    return failed(
        first.summary + (f" (and {', '.join(others[:5])}{'…' if len(others) > 5 else ''} likewise)" if others else ""),
        *dict.fromkeys(e for c in cases[:5] for e in c.evidence),
        cause=first.cause,
        fix=tuple(dict.fromkeys(step for c in cases[:5] for step in c.fix)),
        impact=first.impact,
        because=sorted(because),
    )


# -- starting ---------------------------------------------------------------------------------------------------------


@check("containers.command-found", title="Every container's command is in its image", severity=Severity.ERROR, docs=RUN)
def command_found(containers: Containers, endings: Endings, networks: Networks | None) -> Finding:
    """
    A container's command is looked for in its own image, not on the host; a mount may hide what the image has.

    Why it matters: "executable file not found in $PATH", exit code 127.
    How to fix: correct the command, or install what it names where the image is built.
    """
    return judge("command-found", scene(containers, endings, networks), "no container misses its command")


@check(
    "containers.command-executable",
    title="Every container's command may be executed",
    severity=Severity.ERROR,
    docs=DOCKERFILE,
)
def command_executable(containers: Containers, endings: Endings, networks: Networks | None) -> Finding:
    """
    A file without its execute bit is no command; git on Windows and some archives lose it.

    Why it matters: "permission denied", exit code 126.
    How to fix: set the bit where the image is built.
    """
    return judge("command-executable", scene(containers, endings, networks), "every command may be executed")


@check(
    "containers.exec-format",
    title="Every container's program is of this machine's kind",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/build/building/multi-platform/",
)
def exec_format(
    containers: Containers, endings: Endings, networks: Networks | None, version: EngineVersion | None
) -> Finding:
    """
    The kernel executes programs of its own architecture, and scripts that say in their first line what runs them.

    Why it matters: "exec format error".
    How to fix: use an image for this architecture; give the script its first line.
    """
    return judge("exec-format", scene(containers, endings, networks, version), "the kernel executes every program")


@check(
    "containers.line-endings",
    title="No container's script has CRLF line ends",
    severity=Severity.ERROR,
    docs=DOCKERFILE,
)
def line_endings(containers: Containers, endings: Endings, networks: Networks | None) -> Finding:
    """
    A script that was edited or checked out on Windows has a carriage return at the end of each line.

    Why it matters: "no such file or directory", though the script is there.
    How to fix: convert it, and tell git to leave its line ends alone.
    """
    return judge("line-endings", scene(containers, endings, networks), "no script has CRLF line ends")


@check(
    "containers.interpreter",
    title="What runs each container's program is in its image",
    severity=Severity.ERROR,
    docs=DOCKERFILE,
)
def interpreter(containers: Containers, endings: Endings, networks: Networks | None) -> Finding:
    """
    A script needs the interpreter that its first line names, and most programs the loader of their C library.

    Why it matters: "no such file or directory", though the program is there.
    How to fix: install it where the image is built, or build on an image that has it.
    """
    return judge("interpreter", scene(containers, endings, networks), "every program has what runs it")


@check(
    "containers.libraries",
    title="Every container's program has its shared libraries",
    severity=Severity.ERROR,
    docs="https://man7.org/linux/man-pages/man8/ld.so.8.html",
)
def libraries(containers: Containers, endings: Endings, networks: Networks | None) -> Finding:
    """
    A program that was built elsewhere may want libraries that the image does not have.

    Why it matters: "error while loading shared libraries", exit code 127.
    How to fix: install their package where the image is built.
    """
    return judge("libraries", scene(containers, endings, networks), "no program misses a library")


@check(
    "containers.network-gone",
    title="The networks of containers exist",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/reference/cli/docker/network/connect/",
)
def network_gone(containers: Containers, endings: Endings, networks: Networks | None) -> Finding:
    """
    A stopped container keeps the id of its network, which may be removed meanwhile; so with the container whose network it shares.

    Why it matters: "network … not found" at the next start.
    How to fix: connect it anew, or make it anew.
    """
    return judge("network-gone", scene(containers, endings, networks), "no container failed to start over its network")


@check("containers.mount-kinds", title="Files are mounted over files", severity=Severity.ERROR, docs=BIND)
def mount_kinds(containers: Containers, endings: Endings, networks: Networks | None) -> Finding:
    """
    With -v Docker makes a folder of a source that does not exist, and a folder cannot be mounted over a file.

    Why it matters: "Are you trying to mount a directory onto a file (or vice-versa)?"
    How to fix: remove the folder, and put the file in its place.
    """
    return judge("mount-kinds", scene(containers, endings, networks), "no mount is of another kind than its place")


@check("containers.mount-source", title="What containers mount is there", severity=Severity.ERROR, docs=BIND)
def mount_source(containers: Containers, endings: Endings, networks: Networks | None) -> Finding:
    """
    Mounts are made anew at each start: what they lead to must still be there.

    Why it matters: the container does not start again.
    How to fix: bring it back, or make the container without it.
    """
    return judge("mount-source", scene(containers, endings, networks), "no container failed to start over a mount")


@check(
    "containers.log-driver",
    title="Containers' log drivers begin",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/engine/logging/configure/",
)
def log_driver(containers: Containers, endings: Endings, networks: Networks | None, info: EngineInfo | None) -> Finding:
    """
    Some log drivers connect to their server when a container starts, and it does not start without.

    Why it matters: "failed to initialize logging driver".
    How to fix: start that server, or log elsewhere.
    """
    return judge(
        "log-driver", scene(containers, endings, networks, info=info), "no container failed to start over its log"
    )


@check("containers.start-failed", title="No container failed to start", severity=Severity.ERROR, docs=START)
def start_failed(containers: Containers, endings: Endings, networks: Networks | None) -> Finding:
    """
    The engine keeps what it met when it last tried to start a container; what has a check of its own is not repeated here.

    Why it matters: somebody wants that container to run.
    How to fix: as the message says.
    """
    return judge("start-failed", scene(containers, endings, networks), "no start failed for another reason")


# -- running ----------------------------------------------------------------------------------------------------------


@check(
    "containers.oom-killed",
    title="No container is killed for lack of memory",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/engine/containers/resource_constraints/",
)
def oom_killed(containers: Containers, endings: Endings, networks: Networks | None) -> Finding:
    """
    At its memory limit the kernel kills a process; when that is the first one, the container ends.

    Exit code 137 alone is no proof: `docker kill` and `docker stop` end with it too. The engine knows (OOMKilled).

    Why it matters: it dies again as soon as it needs as much again.
    How to fix: give it more, or find out what takes so much.
    """
    return judge("oom-killed", scene(containers, endings, networks), "no container was killed for lack of memory")


@check(
    "containers.mount-permission",
    title="Containers may write where they were given a place to",
    severity=Severity.ERROR,
    docs=BIND,
)
def mount_permission(containers: Containers, endings: Endings, networks: Networks | None) -> Finding:
    """
    A bind mount keeps the host's owners and modes; Docker makes a missing folder as root.

    Only who was denied something counts: that a container cannot write where it never tries to harms nobody.

    Why it matters: "permission denied".
    How to fix: give the folder to the container's user, or use a named volume.
    """
    return judge("mount-permission", scene(containers, endings, networks), "no container was denied a file of the host")


@check(
    "containers.read-only", title="Containers do not write where all is read-only", severity=Severity.ERROR, docs=RUN
)
def read_only(containers: Containers, endings: Endings, networks: Networks | None) -> Finding:
    """
    With --read-only, or a mount with :ro, writing fails; many programs want at least /tmp and /run.

    Why it matters: "Read-only file system".
    How to fix: give it a tmpfs or a volume where it writes.
    """
    return judge("read-only", scene(containers, endings, networks), "no container ended over a read-only file system")


@check(
    "containers.dependency",
    title="Containers that keep restarting do not wait for another one",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/compose/how-tos/startup-order/",
    upstream=(*PROGRAM_CAUSES, *START_CAUSES, *END_CAUSES),
)
def dependency(containers: Containers, endings: Endings, networks: Networks | None) -> Finding:
    """
    An application that ends when its database is not there is restarted until it is.

    Why it matters: it never comes up by itself when the other one does not.
    How to fix: start the other one; put both on one network.
    """
    return judge("dependency", scene(containers, endings, networks), "none that restarts waits for another container")


@check(
    "containers.foreground",
    title="Containers that were sent off to run have a program that stays",
    severity=Severity.WARNING,
    docs="https://docs.docker.com/engine/containers/multi-service_container/",
)
def foreground(containers: Containers, endings: Endings, networks: Networks | None) -> Finding:
    """
    A container lives as long as its first process: a shell without a terminal ends at once, as does what starts a daemon.

    Why it matters: "Exited (0)" right after `docker run -d`.
    How to fix: run the program in the foreground.
    """
    return judge("foreground", scene(containers, endings, networks), "no container ended for having nothing to do")


@check(
    "containers.restart-loop",
    title="No container restarts over and over",
    severity=Severity.ERROR,
    docs=START,
    upstream=(
        *PROGRAM_CAUSES,
        *END_CAUSES,
        "containers.pids-limit",
        "containers.dependency",
        "containers.foreground",
        *SURROUNDINGS,
    ),
)
def restart_loop(containers: Containers, endings: Endings, networks: Networks | None) -> Finding:
    """
    A restart policy starts a container again whenever it ends, with pauses of up to a minute.

    Why it matters: what it serves is down most of the time, and its log hides the first reason.
    How to fix: its last words tell; where another check knows the reason, this one follows from it.
    """
    place = scene(containers, endings, networks)
    if not containers.all:
        return skipped("there are no containers")
    loops = [c for c in containers.all if (t := trouble(c, endings.of(c), endings.now)) and t.loops]
    cases = [case for c in loops if (case := case_of(c, place))]
    own = [case for case in cases if case.kind == "restart-loop"]
    if own:
        return told(sorted(own, key=lambda case: case.follows))
    if cases:
        return failed(
            f"{', '.join(c.container.name for c in cases[:5])} restarts over and over",
            *(c.evidence[0] for c in cases[:5]),
            cause=cases[0].cause,
            because=sorted({f"containers.{c.kind}" for c in cases}),
        )
    return passed("no container restarts over and over")


# -- at the next start ------------------------------------------------------------------------------------------------


@check(
    "containers.startable",
    title="Containers that were stopped can be started again",
    severity=Severity.WARNING,
    docs=START,
    upstream=("containers.network-gone", "containers.mount-source"),
)
def startable(containers: Containers, endings: Endings, networks: Networks | None, info: EngineInfo | None) -> Finding:
    """
    What a container refers to is looked for when it starts: its network by its id, and the sources of its mounts.

    Only those count that ended within the day, or that Docker is told to start.

    Why it matters: it will not start, be it by hand or at the next boot.
    How to fix: connect it anew; bring the folder back.
    """
    place = scene(containers, endings, networks, info=info)
    stopped = [c for c in containers.all if c.state in {"created", "exited"} and c.details and not c.error]
    seen, fix = [], []
    for container in stopped:
        if not place.wanted(container):
            continue
        # A swarm's networks appear on a node when a task needs them.
        lost = [] if place.swarm else gone(container, place)
        for name in lost:
            seen.append(Evidence(f"docker inspect {container.name}: Networks", f"{name}, which is not there"))
            there = networks is not None and any(n.name == name for n in networks.all)
            fix += [] if there else [f"docker network create {name}"]
            if COMPOSE_SERVICE in dict(container.labels):
                fix.append("# where its compose file is: docker compose up -d --force-recreate")
            else:
                fix += [
                    f"docker network disconnect --force {name} {container.name}",
                    f"docker network connect {name} {container.name}",
                ]
    for container in containers.all:
        for mount in container.details.mounts if container.details and not container.error else ():
            source = endings.source(mount.source)
            if mount.strict and source and source.kind == "missing" and (container.running or place.wanted(container)):
                seen.append(Evidence(mount.source, f"not there; mounted at {mount.destination} of {container.name}"))
                fix.append(f"# bring back {mount.source}, or {anew(container, 'another source')[2:]}")
    if seen:
        return failed(
            f"not every container can be started again: {seen[0].source} is {seen[0].saw}",
            *seen,
            cause="What it refers to was removed while it did not run.",
            fix=tuple(dict.fromkeys(fix)),
            because=(),
        )
    return passed("what stopped containers refer to is there") if stopped else skipped("no container is stopped")

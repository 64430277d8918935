"""Whether containers that run are well: by their own health checks, and by their limits."""

from __future__ import annotations

import re
import shlex

from dockerdoctor.checks.ended import judge, scene
from dockerdoctor.checks.endings import anew
from dockerdoctor.checks.health import captured, names_near, said, sick, test_of
from dockerdoctor.examine import check, failed, passed, skipped
from dockerdoctor.facts.container_details import Health
from dockerdoctor.facts.containers import Container, Containers, Networks
from dockerdoctor.facts.endings import Endings
from dockerdoctor.facts.limits import Limits, Usage
from dockerdoctor.facts.listeners import InContainer, Listeners
from dockerdoctor.model import Evidence, Finding, Severity

HEALTH = "https://docs.docker.com/reference/dockerfile/#healthcheck"
CONSTRAINTS = "https://docs.docker.com/engine/containers/resource_constraints/"
# What a shell says (127, 126), what the engine says of a program that it was to execute itself (-1).
UNABLE = re.compile(r"not found|no such file|permission denied|OCI runtime exec failed", re.IGNORECASE)
LOCAL = re.compile(r"(?:localhost|127\.0\.0\.1|\[::1\])(?::(?P<url>\d+)|\s+(?:-\S+\s+)*(?P<word>\d+)\b)?")
REFUSED = re.compile(r"refused|couldn't connect|can't connect|failed to connect", re.IGNORECASE)
LATE = re.compile(r"exceeded timeout|timed out", re.IGNORECASE)
# What a program says that was given what it does not know.
MISUSED = re.compile(r"(?:invalid|unrecognized|unknown|illegal) option|unrecognized argument", re.IGNORECASE)
# Of several lines of output, the one to show.
TELLING = re.compile(r"error|refused|fail|invalid|unknown|can.?not|can.t|couldn.t|timed? ?out|not found", re.IGNORECASE)


def unable(health: Health) -> str:
    """Why the health check itself cannot work; empty where it can."""
    if health.exit_code in {126, 127} or (health.exit_code == -1 and UNABLE.search(health.output)):
        match = re.search(r'exec: "([^"]+)"|(?:^|: )([^\s:]+): not found', health.output)
        tool = next((g for g in match.groups() if g), "") if match else ""
        return f"its image has no {tool}" if tool else "its command cannot be executed"
    misused = next((line for line in health.output.splitlines() if MISUSED.search(line)), "")
    return f"its command is given what it does not know ({misused.strip()[:80]})" if misused else ""


def told_by(health: Health) -> str:
    """The line of its output that says most."""
    lines = [line.strip() for line in health.output.splitlines() if line.strip()]
    return next((line for line in lines if TELLING.search(line)), lines[-1] if lines else "its check fails")[:160]


def full(usage: Usage) -> bool:
    """Whether a container that was refused processes is so near to its limit that it will be again."""
    left = usage.pids_max - usage.pids
    return usage.refused > 0 and usage.pids_max > 0 and left <= max(1, usage.pids_max // 10)


def misdirected(container: Container, health: Health, inner: InContainer | None) -> str:
    """Why the health check asks at the wrong place, while the container listens elsewhere; empty where it does not."""
    asked = LOCAL.search(test_of(health))
    if not asked or not inner or not inner.tcp or not REFUSED.search(health.output):
        return ""
    number = asked["url"] or asked["word"]
    port = int(number) if number else 443 if "https://" in test_of(health) else 80
    listening = ", ".join(x.where for x in inner.tcp)
    if not inner.on(port):
        return f"it asks port {port}, and {container.name} listens on {listening}"
    four = any(":" not in x.address or x.address == "::" for x in inner.on(port))
    if (
        four
        and ("::1" in health.output or "[::1]" in test_of(health))
        and not any(":" in x.address for x in inner.on(port))
    ):
        return f"it asks ::1, and {container.name} listens on IPv4 alone ({listening}): let it ask 127.0.0.1"
    return ""


def wrong(container: Container, health: Health, listeners: Listeners | None) -> str:
    """Why the health check, and not the application, is at fault; empty where that is not known."""
    inner = listeners.within(container) if listeners else None
    return unable(health) or misdirected(container, health, inner)


@check(
    "containers.healthcheck",
    title="Containers' health checks can do their work",
    severity=Severity.ERROR,
    docs=HEALTH,
)
def healthcheck(containers: Containers, listeners: Listeners | None) -> Finding:
    """
    A health check runs inside the container, with what its image has: without curl it fails though the application works.

    Why it matters: "unhealthy", and what depends on it does not start.
    How to fix: let it use what the image has, and ask where the application listens.
    """
    asked = [(c, h) for c, h in sick(containers) if not captured(c, h, names_near(c, containers))]
    found = [(c, h, why) for c, h in asked if (why := wrong(c, h, listeners))]
    checked = [c for c in containers.running if c.details and c.details.health]
    if not found:
        return (
            passed(f"{len(checked)} health checks can do theirs")
            if checked
            else skipped("no container has a health check")
        )
    first, health, why = found[0]
    others = ", ".join(c.name for c, _, _ in found[1:])
    return failed(
        f"{first.name} is unhealthy because of its health check: {why}" + (f" (and so {others})" if others else ""),
        *(e for c, h, _ in found for e in said(c, h)),
        cause=f"“{test_of(health)[:100]}” cannot succeed in this container, whatever the application does.",
        fix=(anew(first, "--health-cmd and a check that its image can do (HEALTHCHECK in the Dockerfile)"),),
    )


@check(
    "containers.healthy",
    title="No container says of itself that it is unhealthy",
    severity=Severity.ERROR,
    docs=HEALTH,
    upstream=(
        "containers.healthcheck",
        "proxy.captures-localhost",
        "containers.pids-limit",
        "containers.mount-permission",
    ),
)
def healthy(containers: Containers, listeners: Listeners | None) -> Finding:
    """
    The container's own check has failed several times in a row.

    Why it matters: its application does not do what it should; whoever waits for it waits on.
    How to fix: see what the check says, and the container's log.
    """
    found = sick(containers)
    checked = [c for c in containers.running if c.details and c.details.health]
    if not found:
        return (
            passed(f"{len(checked)} health checks do not fail")
            if checked
            else skipped("no container has a health check")
        )
    own = [(c, h) for c, h in found if not (wrong(c, h, listeners) or captured(c, h, names_near(c, containers)))]
    first, health = (own or found)[0]
    late = bool(LATE.search(health.output))
    return failed(
        f"{', '.join(c.name for c, _ in own or found)} is unhealthy: {told_by(health)}",
        *(e for c, h in own or found for e in said(c, h)),
        cause=(
            f"{first.name} does not answer its health check in time."
            if late
            else f"{first.name}'s own health check fails: the application does not do what the check asks for."
        ),
        fix=(
            f"docker logs --tail 50 {first.name}",
            f"docker exec {first.name} {test_of(health)}"
            if len(health.test) > 2
            else f"docker exec {first.name} sh -c {shlex.quote(test_of(health))}",
            f"# if a restart helps: docker restart {first.name}",
        ),
        because=None if not own else (),
    )


@check(
    "containers.pids-limit",
    title="Containers may have as many processes as they need",
    severity=Severity.ERROR,
    docs=CONSTRAINTS,
)
def pids_limit(containers: Containers, endings: Endings, networks: Networks | None, limits: Limits | None) -> Finding:
    """
    Processes and threads count against --pids-limit; at the limit the kernel refuses the next one.

    The kernel counts what it refused (pids.events): a container that is at its limit and content is none of ours.

    Why it matters: "fork: Resource temporarily unavailable", "can't start new thread".
    How to fix: raise the limit; --init reaps processes that are dead and not yet gone.
    """
    at_limit = [u for u in (limits.all if limits else ()) if full(u)]
    by_id = {c.id: c for c in containers.all}
    if not at_limit:
        return judge("pids-limit", scene(containers, endings, networks), "no container is refused processes")
    first, name = at_limit[0], by_id[at_limit[0].container].name
    return failed(
        f"{', '.join(by_id[u.container].name for u in at_limit)} is refused processes: {first.pids} of {first.pids_max} are in use",
        *(
            Evidence(
                f"cgroup of {by_id[u.container].name}",
                f"pids.current {u.pids}, pids.max {u.pids_max}, pids.events max {u.refused}",
            )
            for u in at_limit
        ),
        cause=f"{name} has as many processes and threads as --pids-limit allows, and the kernel refused it {first.refused} more.",
        fix=(
            *(f"docker update --pids-limit {max(100, 2 * u.pids_max)} {by_id[u.container].name}" for u in at_limit),
            f"# if its processes are dead ones that nobody reaps: {anew(by_id[first.container], '--init')[2:]}",
        ),
    )


@check(
    "containers.memory-limit",
    title="No process of a running container is killed at its memory limit",
    severity=Severity.WARNING,
    docs=CONSTRAINTS,
    upstream=("containers.oom-killed",),
)
def memory_limit(containers: Containers, limits: Limits) -> Finding:
    """
    The kernel kills one process at the limit, and that need not be the first: the container goes on without it.

    Why it matters: requests fail, workers vanish, and `docker ps` shows nothing.
    How to fix: give it more memory, or fewer workers.
    """
    by_id = {c.id: c for c in containers.all}
    hit = [u for u in limits.all if u.oom_kills]
    if not limits.all:
        return skipped("no running container has a limit on its memory or its processes")
    if not hit:
        return passed("no process of a running container was killed at its limit")
    lines = []
    fix = []
    for usage in hit:
        container = by_id[usage.container]
        mib = (container.details.memory if container.details else 0) >> 20
        lines.append(Evidence(f"cgroup of {container.name}", f"oom_kill {usage.oom_kills}; memory limit {mib} MiB"))
        fix += [
            f"docker update --memory {2 * mib}m --memory-swap {2 * mib}m {container.name}",
            f"docker restart {container.name}",
        ]
    first = by_id[hit[0].container]
    return failed(
        f"{', '.join(by_id[u.container].name for u in hit)} lost processes at its memory limit ({hit[0].oom_kills} since it started)",
        *lines,
        cause=f"{first.name} goes on, but the kernel killed processes of it for using more than --memory allows.",
        fix=tuple(fix),
        impact=f"restarts {', '.join(by_id[u.container].name for u in hit)}",
    )

"""Containers that ended at a limit: of memory, of processes, of what they may write. Pure."""

from __future__ import annotations

import re
import shlex

from dockerdoctor.checks.endings import (
    FORGOTTEN,
    Case,
    Scene,
    Trouble,
    anew,
    begin,
    does,
    lifetime,
    meanwhile,
    state_of,
    updated,
    words,
)
from dockerdoctor.facts.containers import Container
from dockerdoctor.facts.endings import PATH, Denied, Ending, kept
from dockerdoctor.facts.listeners import seconds_since
from dockerdoctor.model import Evidence

NO_RIGHT = re.compile(r"permission denied", re.IGNORECASE)
NO_FORK = re.compile(
    r"can't fork|cannot fork|fork: (?:retry: )?Resource temporarily unavailable|can't start new thread|pthread_create failed"
    r"|unable to create (?:new )?native thread|failed to create new OS thread|Resource temporarily unavailable",
    re.IGNORECASE,
)
READ_ONLY = re.compile(r"read-only file system|EROFS", re.IGNORECASE)
# Folders that are not one container's to have: their owner stays who it is.
SYSTEM = frozenset({"/", "/etc", "/usr", "/var", "/home", "/root", "/dev", "/run", "/var/run", "/proc", "/sys", "/opt"})


def starved(container: Container, ending: Ending, how: Trouble, _: Scene) -> Case | None:
    """The kernel killed it for its memory."""
    if not how.out_of_memory or how.code != 137:
        return None
    limit = container.details.memory if container.details else 0
    mib = limit >> 20
    seen = (state_of(container, how), *words(container, ending))
    summary = f"{does(container, how)}: it was killed for lack of memory"
    if not limit:
        return Case(
            "oom-killed",
            container,
            f"{summary}, and has no limit of its own",
            "The host itself, or the control group above it, had no memory left: the kernel killed what used most.",
            seen,
            (
                "free -m",
                "# see who uses it: docker stats --no-stream; then free memory, or give it a limit",
                begin(container),
            ),
        )
    return Case(
        "oom-killed",
        container,
        f"{summary}: its limit is {mib} MiB",
        f"It used more than the {mib} MiB that --memory allows, and the kernel killed it (exit code 137 with OOMKilled).",
        (*seen, Evidence(f"docker inspect {container.name}: Memory", f"{limit} bytes")),
        (
            *updated(container, f"--memory {2 * mib}m --memory-swap {2 * mib}m"),
            "# if it still grows without end, look for a leak in the program; and write the limit where it was made",
        ),
    )


def starved_earlier(container: Container, scene: Scene) -> Case | None:
    """It was killed for its memory longer ago than other ends are of interest: nobody ever means that."""
    fresh = seconds_since(container.finished, scene.endings.now) < FORGOTTEN
    over = container.state == "exited" and not kept(container) and container.oom_killed
    if not over or not fresh or scene.replaced(container):
        return None
    how = Trouble(False, container.exit_code, lived=lifetime(container), out_of_memory=True)
    return starved(container, scene.endings.of(container), how, scene)


def no_forks(container: Container, ending: Ending, how: Trouble, _: Scene) -> Case | None:
    """It may have no more processes."""
    limit = container.details.pids_limit if container.details else 0
    if not limit or not any(NO_FORK.search(x) for x in ending.lines):
        return None
    return Case(
        "pids-limit",
        container,
        f"{does(container, how)}: it could start no more processes, of which it may have {limit}",
        "Processes and threads count alike against --pids-limit; the kernel refuses the next one (EAGAIN).",
        (
            state_of(container, how),
            *words(container, ending, 2),
            Evidence(f"docker inspect {container.name}: PidsLimit", str(limit)),
        ),
        updated(container, f"--pids-limit {max(2 * limit, 100)}"),
    )


def may(one: Denied) -> bool:
    """Whether the mode of a file lets somebody use it fully: what exists is read and written, a folder entered too."""
    bits = one.mode >> 6 if one.user == one.owner else one.mode >> 3 if one.group in one.groups else one.mode
    wanted = 0o7 if one.folder else 0o6
    return bits & wanted == wanted


def denied(container: Container, ending: Ending, how: Trouble | None) -> Case | None:
    """A folder of the host that it was given is not its user's to write."""
    closed = [d for d in ending.denied if not d.extended and not may(d)]
    if not closed:
        return None
    one = closed[0]
    mount = container.details.mount_of(one.path) if container.details else None
    root = mount.source if mount else one.source
    owner = f"{one.user}:{one.groups[0]}" if one.groups and one.groups[0] else str(one.user)
    if root in SYSTEM or root.startswith(("/etc/", "/usr/", "/dev/", "/run/", "/var/run/", "/proc/", "/sys/")):
        fix: tuple[str, ...] = (
            f"# {root} is the system's own: give {container.name} a folder of its own, or --group-add {one.group}",
        )
    else:
        fix = (f"chown -R {owner} {shlex.quote(root)}", f"docker restart {container.name}")
    return Case(
        "mount-permission",
        container,
        f"{does(container, how) if how else container.name + ' meets errors'}: user {one.user} may not write to {one.source} of the host",
        f"{root} is mounted at {mount.destination if mount else one.path}, and the container's user {one.user} has not the right to write there: "
        "a bind mount keeps the host's owners and modes.",
        (
            *((state_of(container, how),) if how else ()),
            *(e for e in words(container, ending, 8) if NO_RIGHT.search(e.saw) or "EACCES" in e.saw),
            Evidence(one.source, f"owner {one.owner}:{one.group}, mode {one.mode:04o}"),
        ),
        (*fix, "# or use a named volume, which Docker gives to the image's user"),
    )


def no_write(container: Container, ending: Ending, how: Trouble, _: Scene) -> Case | None:
    """A file of the host is not its to write."""
    return denied(container, ending, how)


def unwritable(container: Container, ending: Ending, how: Trouble, _: Scene) -> Case | None:
    """It writes where all is read-only."""
    said = next((x for x in reversed(ending.lines) if READ_ONLY.search(x)), "")
    given = container.details
    if not said or not given:
        return None
    path = next(iter(PATH.findall(said)), "")
    mount = given.mount_of(path) if path else None
    if mount and not mount.writable:
        cause = f"{mount.source} is mounted at {mount.destination} read-only (:ro)."
        fix = anew(container, f"-v {shlex.quote(mount.source)}:{mount.destination}, without :ro")
        shown = Evidence(f"docker inspect {container.name}: Mounts", f"{mount.source} -> {mount.destination}, RW false")
    elif given.read_only and not mount:
        folder = path.rpartition("/")[0] or "/run"
        cause = "It runs with --read-only: its own files cannot be written."
        fix = anew(container, f"--tmpfs {folder if folder != '/' else '/tmp'}, or with a volume there")  # noqa: S108
        shown = Evidence(f"docker inspect {container.name}: ReadonlyRootfs", "true")
    else:
        return None
    return Case(
        "read-only",
        container,
        f"{does(container, how)}: it may not write {path or 'its files'}",
        cause,
        (state_of(container, how), *words(container, ending, 2), shown),
        (fix, *meanwhile(container, how)),
    )

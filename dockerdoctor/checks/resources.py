"""Whether processes get what the kernel rations: open files, inotify."""

from __future__ import annotations

from dockerdoctor.examine import check, failed, passed, skipped
from dockerdoctor.facts.resources import Holder, Inotify, OpenFiles
from dockerdoctor.model import Evidence, Finding, Severity

# So near to its limit the next connection or the next log file is refused.
FULL = 0.95
# A program that closes every descriptor that it might have needs a minute for a thousand million of them.
ENDLESS = 1 << 20
BUSY, SETTLED = 0.9, 5.0
ULIMITS = "https://docs.docker.com/reference/cli/dockerd/#default-ulimits"


def _raised(holder: Holder) -> str:
    more = max(4 * holder.limit, 65536)
    # The soft limit alone, as far as the hard one lets it: that is no loss for anybody.
    room = holder.hard == 0 or holder.hard > holder.limit
    value = f"{min(more, holder.hard or more)}:" if room else f"{more}:{more}"
    return f"prlimit --pid {holder.pid} --nofile={value}"


@check(
    "resources.open-files",
    title="dockerd and containers may open more files",
    severity=Severity.ERROR,
    docs="https://man7.org/linux/man-pages/man2/getrlimit.2.html",
)
def open_files(files: OpenFiles) -> Finding:
    """
    Sockets, pipes and logs are open files, too: at its limit a process can accept no connection.

    Why it matters: "too many open files"; docker commands hang when it is dockerd's.
    How to fix: raise the limit (LimitNOFILE= of the unit, --ulimit of a container), and see what leaks them.
    """
    full = [h for h in files.all if h.limit > 0 and h.open >= FULL * h.limit]
    if not full:
        return passed(f"none of {len(files.all)} processes is near its limit") if files.all else skipped("none runs")
    first = full[0]
    more = max(4 * first.limit, 65536)
    lasting = (
        "systemctl edit docker.service: [Service] LimitNOFILE=infinity"
        if first.name == "dockerd"
        else f"make {first.name} anew with --ulimit nofile={more}:{more}"
    )
    return failed(
        f"{', '.join(h.name for h in full)} holds {first.open} of {first.limit} files open",
        *(Evidence(f"/proc/{h.pid}/fd, /proc/{h.pid}/limits", f"{h.open} open, limit {h.limit}") for h in full),
        cause=f"The kernel refuses {first.name} another file or connection (EMFILE).",
        fix=(
            *map(_raised, full),
            f"# so that it lasts: {lasting}; if the number goes on growing, something leaks them",
        ),
    )


@check(
    "resources.endless-files",
    title="No container loops over an endless number of file descriptors",
    severity=Severity.WARNING,
    docs=ULIMITS,
)
def endless_files(files: OpenFiles) -> Finding:
    """
    With LimitNOFILE=infinity a container may have 1,073,741,816 open files, and some programs visit each of them.

    The limit alone harms nobody: only a process that has been busy ever since it was started counts
    (containerd/containerd#6741).

    Why it matters: package managers, old databases and others take minutes to start, or all memory.
    How to fix: give containers an ordinary limit.
    """
    slow = [h for h in files.all if h.limit > ENDLESS and h.busy >= BUSY and h.age >= SETTLED and h.name != "dockerd"]
    if not slow:
        return passed("no busy container has an endless number of file descriptors")
    first = slow[0]
    return failed(
        f"{first.name} has been busy for all of its {first.age:.0f} s, and may open {first.limit} files",
        *(Evidence(f"/proc/{h.pid}/limits", f"Max open files {h.limit}; {h.busy:.0%} of a processor") for h in slow),
        cause="It probably closes or prepares every descriptor that it might have, one by one.",
        fix=(
            '# in /etc/docker/daemon.json: "default-ulimits": {"nofile": {"Name": "nofile", "Soft": 1024, "Hard": 524288}}',
            f"# then restart docker, and make {first.name} anew (or with --ulimit nofile=1024:524288)",
        ),
        impact="restarting docker stops the containers without live-restore",
    )


@check(
    "resources.inotify",
    title="Programs may watch files",
    severity=Severity.ERROR,
    docs="https://man7.org/linux/man-pages/man7/inotify.7.html",
)
def inotify(inotify: Inotify) -> Finding:
    """
    The kernel counts inotify instances and watches for each user, and root's containers share root's.

    Why it matters: "The configured user limit on the number of inotify instances has been reached", or "no space left
    on device" with space left; `docker logs -f` shows nothing new.
    How to fix: raise the limit.
    """
    if inotify.outcome not in {"EMFILE", "ENOSPC"}:
        return passed(f"one more inotify instance was to be had (of {inotify.max_instances or '?'})")
    what, number = (
        ("instances", inotify.max_instances) if inotify.outcome == "EMFILE" else ("watches", inotify.max_watches)
    )
    name = f"fs.inotify.max_user_{what}"
    more = max(4 * int(number), 8192 if what == "instances" else 524288) if number.isdigit() else 8192
    return failed(
        f"root has used up its inotify {what} ({number})",
        Evidence("inotify_init1(2), inotify_add_watch(2)", inotify.outcome),
        Evidence(f"/proc/sys/{name.replace('.', '/')}", number),
        cause=f"All containers of root share its {number} inotify {what}, and none is left.",
        fix=(
            f"sysctl -w {name}={more}",
            f"echo {name}={more} > /etc/sysctl.d/60-inotify.conf",
        ),
    )

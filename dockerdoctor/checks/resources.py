"""Whether processes get what the kernel rations: open files, inotify."""

from __future__ import annotations

import re

from dockerdoctor import jsontext
from dockerdoctor.checks.daemon_json import unparsable
from dockerdoctor.checks.daemon_keys import members, shown
from dockerdoctor.checks.rewriting import impact, restarted, rewritten, with_value
from dockerdoctor.checks.unit import RELOAD, edited, line
from dockerdoctor.examine import check, failed, passed, skipped
from dockerdoctor.facts.daemon_json import DaemonJson
from dockerdoctor.facts.engine import EngineInfo, Units, table
from dockerdoctor.facts.inside import Inside
from dockerdoctor.facts.resources import FileLimits, Holder, Inotify, OpenFiles
from dockerdoctor.facts.startup import UnitCommands
from dockerdoctor.model import Evidence, Finding, Severity

# So near to its limit the next connection or the next log file is refused.
FULL = 0.95
# dockerd itself holds two dozen open, and some more for each container.
FEW = 128
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
def open_files(
    files: OpenFiles, commands: UnitCommands | None, units: Units | None, info: EngineInfo | None
) -> Finding:
    """
    Sockets, pipes and logs are open files, too: at its limit a process can accept no connection.

    Why it matters: "too many open files"; docker commands hang when it is dockerd's.
    How to fix: raise the limit (LimitNOFILE= of the unit, --ulimit of a container), and see what leaks them.
    """
    full = [
        h for h in files.all if h.limit > 0 and (h.open >= FULL * h.limit or (h.name == "dockerd" and h.limit < FEW))
    ]
    if not full:
        return passed(f"none of {len(files.all)} processes is near its limit") if files.all else skipped("none runs")
    first = full[0]
    more = max(4 * first.limit, 65536)
    told = commands.last("LimitNOFILE") if commands and first.name == "dockerd" else None
    if told:
        steps: tuple[str, ...] = (edited(told, "s/=.*/=infinity/"), RELOAD, *restarted(units))
    elif first.name == "dockerd":
        steps = (
            *map(_raised, full),
            "# so that it lasts: systemctl edit docker.service: [Service] LimitNOFILE=infinity",
        )
    else:
        lasting = f"# so that it lasts: make {first.name} anew with --ulimit nofile={more}:{more}"
        steps = (*map(_raised, full), lasting)
    return failed(
        f"{', '.join(h.name for h in full)} holds {first.open} of {first.limit} files open",
        *(Evidence(f"/proc/{h.pid}/fd, /proc/{h.pid}/limits", f"{h.open} open, limit {h.limit}") for h in full),
        *((line(told),) if told else ()),
        cause=f"The kernel refuses {first.name} another file or connection (EMFILE).",
        fix=(*steps, "# if the number goes on growing, something leaks them"),
        impact=impact(info) if told else "",
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

    The limit alone harms nobody: what counts is a process that has such a limit and does nothing but call the kernel
    (containerd/containerd#6741).

    Why it matters: package managers, old databases and others take minutes to start, or all memory.
    How to fix: give containers an ordinary limit.
    """
    slow = [h for h in files.all if h.spins and h.name != "dockerd"]
    if not slow:
        return passed("no busy container has an endless number of file descriptors")
    first = slow[0]
    return failed(
        f"{first.name} is busy calling the kernel for nothing, and may open {first.limit} files",
        *(
            Evidence(
                f"/proc/{h.pid}/limits, stat, io",
                f"Max open files {h.limit}; {h.busy:.0%} of a processor for {h.age:.0f} s, and hardly a byte read or written",
            )
            for h in slow
        ),
        cause="It probably closes every descriptor that it might have, one by one; there are a thousand million of them.",
        fix=(
            '# in /etc/docker/daemon.json: "default-ulimits": {"nofile": {"Name": "nofile", "Soft": 1024, "Hard": 524288}}',
            f"# then restart docker, and make {first.name} anew (or with --ulimit nofile=1024:524288)",
        ),
        impact="restarting docker stops the containers without live-restore",
    )


# getrlimit(2): the number of RLIMIT_NOFILE, as runc says it.
NOT_ALLOWED = re.compile(
    r"error setting rlimits?\b.*(?:rlimit type (?P<type>\d+))?.*operation not permitted", re.IGNORECASE
)


@check(
    "resources.default-ulimits",
    title="The limits that containers are given can be set",
    severity=Severity.ERROR,
    docs=ULIMITS,
)
def default_ulimits(
    config: DaemonJson,
    limits: FileLimits,
    inside: Inside | None,
    files: OpenFiles | None,
    units: Units | None,
    info: EngineInfo | None,
) -> Finding:
    """
    No process may have more open files than fs.nr_open says, and without CAP_SYS_RESOURCE no more than its parent.

    Why it matters: a larger number in "default-ulimits" keeps every container from being started: "error setting rlimit
    type 7: operation not permitted".
    How to fix: a smaller number.
    """
    given = table((config.settings or {}).get("default-ulimits"))
    nofile = given.get("nofile")
    asked = nofile.get("Hard") if isinstance(nofile, dict) else None
    if not isinstance(asked, int):
        return skipped("no limit of open files is configured for containers")
    said = next((v.error for v in (inside.bridge, inside.user) if NOT_ALLOWED.search(v.error)), "") if inside else ""
    if not said and (not limits.nr_open or asked <= limits.nr_open):
        return passed(f"containers may open {asked} files; the kernel allows {limits.nr_open or 'more'}")
    own = next((h.hard for h in files.all if h.name == "dockerd"), 0) if files else 0
    most = min(n for n in (limits.nr_open, own, 524288) if n)
    root = unparsable(config, ())
    fix: tuple[str, ...] = (f'# in {config.path}, under "default-ulimits": no more than {most}',)
    seen = [Evidence("/proc/sys/fs/nr_open", str(limits.nr_open))]
    if not isinstance(root, Finding) and (member := members(root).get("default-ulimits")):
        seen.insert(0, shown(config, member))
        soft = nofile.get("Soft") if isinstance(nofile, dict) else None
        lower = {"Name": "nofile", "Hard": most, "Soft": min(soft, most) if isinstance(soft, int) else most}
        text = jsontext.edited(config.text, [with_value(member.node, {**given, "nofile": lower})])
        fix = rewritten(config, text, units, restart=False)
    return failed(
        f"containers are to be allowed {asked} open files, and {most} is the most that can be given",
        *seen,
        *((Evidence("docker run", said[:300]),) if said else ()),
        cause="The kernel refuses a limit above its own (fs.nr_open), or above that of a process without the right to raise it.",
        fix=(*fix, *restarted(units)),
        impact=impact(info),
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
    if inotify.outcome not in {"EMFILE", "ENOSPC"} and inotify.others:
        uid, outcome, names = inotify.others[0]
        return _used_up(inotify, f"user {uid} of {', '.join(names)}", outcome)
    if inotify.outcome not in {"EMFILE", "ENOSPC"}:
        return passed(f"one more inotify instance was to be had (of {inotify.max_instances or '?'})")
    return _used_up(inotify, "root", inotify.outcome)


def _used_up(inotify: Inotify, who: str, outcome: str) -> Finding:
    what, number = ("instances", inotify.max_instances) if outcome == "EMFILE" else ("watches", inotify.max_watches)
    name = f"fs.inotify.max_user_{what}"
    more = max(4 * int(number), 8192 if what == "instances" else 524288) if number.isdigit() else 8192
    return failed(
        f"{who} has used up its inotify {what} ({number})",
        Evidence(f"inotify_init1(2), inotify_add_watch(2), as {who}", outcome),
        Evidence(f"/proc/sys/{name.replace('.', '/')}", number),
        cause=f"The kernel counts for each user: all containers that run as {who.partition(' of ')[0]} share {number} inotify {what}, "
        "and none is left.",
        fix=(
            f"sysctl -w {name}={more}",
            f"echo {name}={more} > /etc/sysctl.d/60-inotify.conf",
        ),
    )

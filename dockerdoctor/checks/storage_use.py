"""How Docker uses its filesystem: logs that nobody rotates, a driver that copies everything."""

from __future__ import annotations

import shlex

from dockerdoctor.checks.storage import size
from dockerdoctor.examine import check, failed, passed, skipped
from dockerdoctor.facts.containers import Containers
from dockerdoctor.facts.daemon_json import DaemonJson, flag_values
from dockerdoctor.facts.engine import EngineInfo
from dockerdoctor.facts.storage import Logs, Storage
from dockerdoctor.model import Evidence, Finding, Severity

# A file of this size is one that nothing cuts: who sets max-size sets megabytes.
LONG = 1 << 30
# On a small filesystem less is much.
LONG_OF_SMALL, SMALL_SHARE = 64 << 20, 0.1


@check(
    "storage.logs",
    title="No container's log grows without end",
    severity=Severity.WARNING,
    docs="https://docs.docker.com/engine/logging/drivers/json-file/",
)
def logs(storage: Storage, logs: Logs, containers: Containers | None) -> Finding:
    """
    The json-file driver keeps all that a container ever says, unless max-size is set (moby/moby#16297).

    Why it matters: it fills the filesystem in the end, and with it stops everything that Docker does.
    How to fix: set max-size, or use the driver "local", which rotates by itself; then make the containers anew.
    """
    fs = storage.data_root
    if fs.short:
        return skipped("space is short; what takes it is named there")
    known = {c.id: c for c in containers.all if c.details} if containers else {}
    limited = {c.id for c in known.values() if c.details and c.details.log_limit}
    long = [
        log
        for log in logs.all
        if log[0] not in limited and log[2] >= min(LONG, max(LONG_OF_SMALL, SMALL_SHARE * fs.size))
    ]
    if not long:
        return passed("no log is long" if not logs.all else f"the longest log has {size(logs.all[0][2])}")
    one, path, length = long[0]
    name = known[one].name if one in known else one[:12]
    return failed(
        f"the log of {name} has {size(length)}" + (f", and {len(long) - 1} more are long" if long[1:] else ""),
        *(Evidence(file, size(number)) for _, file, number in long[:5]),
        cause=(
            f"Nothing limits it: {name} was made without max-size, and its log is cut only when somebody does so."
            if one in known
            else "It is longer than a log with a limit would be; its container could not be asked for one."
        ),
        fix=(
            '# in /etc/docker/daemon.json: "log-opts": {"max-size": "10m", "max-file": "3"}; restart docker',
            "# then make the containers anew: a log driver's options are each container's own",
            f"# if what it said is of no use any more: truncate --size 0 {shlex.quote(path)}",
        ),
    )


@check(
    "storage.driver",
    title="Images' layers are shared, not copied",
    severity=Severity.WARNING,
    docs="https://docs.docker.com/engine/storage/drivers/vfs-driver/",
    # What lies below is then not what was meant to.
    upstream=("storage.mount",),
)
def driver(info: EngineInfo, storage: Storage | None, config: DaemonJson | None) -> Finding:
    """
    Where the filesystem below cannot carry overlay2, dockerd falls back to vfs, which copies every layer whole.

    Why it matters: images and containers take many times their space, and starting one takes as long as copying it.
    How to fix: put the data root on ext4 or xfs.
    """
    if info.driver != "vfs":
        return passed(f"the storage driver is {info.driver or 'not told'}")
    if config and ((config.settings or {}).get("storage-driver") or flag_values(config.flags, "storage-driver")):
        return passed("vfs is what was asked for")
    fs = storage.data_root if storage else None
    below = f"{fs.path} lies on {fs.kind or 'a filesystem'} ({fs.mount_point})" if fs else f"{info.root_dir} does"
    return failed(
        "the storage driver is vfs, which nobody asked for",
        Evidence("GET /info", f"Driver: {info.driver}"),
        *((Evidence("/proc/self/mounts", f"{fs.mount_point} {fs.kind}"),) if fs else ()),
        cause=f"{below}, which overlay2 cannot use: dockerd has fallen back to copying.",
        fix=(
            '# put the data root on ext4 or xfs: a volume of its own, mounted there, or another "data-root" in daemon.json',
            "# then restart docker; images must be pulled again",
        ),
    )

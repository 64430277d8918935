"""How Docker uses its filesystem: logs that nobody rotates, a driver that copies everything."""

from __future__ import annotations

import posixpath
import shlex

from dockerdoctor.checks.rewriting import impact, quoted, restarted, rewritten, with_member
from dockerdoctor.checks.storage import size
from dockerdoctor.examine import check, failed, passed, skipped
from dockerdoctor.facts.containers import Containers
from dockerdoctor.facts.daemon_json import DaemonJson, flag_values
from dockerdoctor.facts.endpoint import Settings
from dockerdoctor.facts.engine import EngineInfo, Units
from dockerdoctor.facts.storage import EntryTypes, Filesystem, Logs, Storage
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
def logs(
    storage: Storage,
    logs: Logs,
    containers: Containers | None,
    settings: Settings | None = None,
    config: DaemonJson | None = None,
    units: Units | None = None,
    info: EngineInfo | None = None,
) -> Finding:
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
    chosen = settings.preferences.thresholds.log_mib if settings else None
    least = min(LONG, max(LONG_OF_SMALL, SMALL_SHARE * fs.size)) if chosen is None else chosen * (1 << 20)
    long = [log for log in logs.all if log[0] not in limited and log[2] >= least]
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
            *(rotated := _rotated(config, units)),
            # Last: what is gone for good only goes when all else has come about.
            f"# what {name} has said, {size(length)}, is gone for good with this; keep a copy if it is of use:",
            f"truncate --size 0 {shlex.quote(path)}",
            "# then make the containers anew: a log driver's options are each container's own",
        ),
        impact=impact(info) if any(not step.startswith("#") for step in rotated) else "",
    )


def _rotated(config: DaemonJson | None, units: Units | None) -> tuple[str, ...]:
    """Give containers that are made from now on a log with a limit, where they get one without."""
    if config is None or any(flag_values(config.flags, flag) for flag in ("log-driver", "log-opt")):
        return ('# give dockerd the options of logs: "log-opts": {"max-size": "10m", "max-file": "3"}; restart docker',)
    given = config.settings or {}
    options = given.get("log-opts")
    limits = options if isinstance(options, dict) else {}
    if given.get("log-driver", "json-file") != "json-file" or "max-size" in limits:
        return ()
    text = with_member(config.text, "log-opts", {**limits, "max-size": "10m", "max-file": "3"})
    if not config.exists:
        folder = shlex.quote(posixpath.dirname(config.path))
        return (f"mkdir -p {folder}", f"tee {shlex.quote(config.path)} <<< {quoted(text.rstrip())}", *restarted(units))
    return rewritten(config, text, units) if text else (f"# set log-opts in {config.path}, once it is valid again",)


@check(
    "storage.d-type",
    title="The data root's file system tells the type of its entries",
    severity=Severity.WARNING,
    docs="https://docs.docker.com/engine/storage/drivers/overlayfs-driver/#prerequisites",
)
def d_type(info: EngineInfo, storage: Storage | None, types: EntryTypes | None) -> Finding:
    """
    overlay2 needs d_type, which XFS has only if it was made with ftype=1, and ext4 with its feature `filetype`.

    Why it matters: dockerd copies every layer instead, or does not start; older engines let removed files come back.
    How to fix: make the file system anew, and move the data there; ext4 can be given the feature.
    """
    complaint = [w for w in info.warnings if "d_type" in w]
    if not complaint and not (types and types.told is False):
        return passed("no complaint about d_type")
    fs = storage.data_root if storage else None
    seen = Evidence("GET /info warnings", complaint[0].strip()[:300]) if complaint else None
    return failed(
        f"{info.root_dir} lies on a file system without d_type" + (f" ({fs.kind} on {fs.mount_point})" if fs else ""),
        seen or Evidence(f"readdir {info.root_dir}", "DT_UNKNOWN for every entry"),
        cause="Without d_type overlay2 cannot tell a folder from a removed file: "
        + ("an XFS made with ftype=0." if fs and fs.kind == "xfs" else "the file system was made without it."),
        fix=_with_types(info.root_dir, fs),
        impact="stops Docker and all containers" if fs and fs.kind.startswith("ext") else "",
    )


def _with_types(root: str, fs: Filesystem | None) -> tuple[str, ...]:
    """How to come by d_type: tune2fs(8) gives it to ext4, an XFS is made with it or without."""
    if fs is None or not fs.kind.startswith("ext") or fs.mount_point == "/":
        return (f"# make a new file system (mkfs.xfs -n ftype=1), and move {root} there",)
    device, point = shlex.quote(fs.device), shlex.quote(fs.mount_point)
    return (
        "# save images that cannot be pulled again first (docker save): what the driver vfs holds is not taken over",
        "systemctl stop docker.socket docker.service",
        f"umount {point}",
        f"tune2fs -O filetype {device}",
        # 1: errors were corrected, which is what it is run for (e2fsck(8)).
        f"e2fsck -fy {device} || test $? -eq 1",
        f"mount {device} {point}",
        "systemctl reset-failed docker.service docker.socket",
        "systemctl start docker.socket docker.service",
    )


@check(
    "storage.driver",
    title="Images' layers are shared, not copied",
    severity=Severity.WARNING,
    docs="https://docs.docker.com/engine/storage/drivers/vfs-driver/",
    # What lies below is then not what was meant to, or lacks what overlay2 needs.
    upstream=("storage.mount", "storage.d-type"),
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

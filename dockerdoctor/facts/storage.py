"""Room for Docker's data: the filesystems it writes to, and, when they are full, what takes the space."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dockerdoctor.facts.daemon_json import DaemonJson, flag_values
from dockerdoctor.facts.endpoint import ChosenEndpoint, DaemonPing
from dockerdoctor.facts.engine import EngineInfo, ask
from dockerdoctor.host import Host, failure_name
from dockerdoctor.measure import Unmeasured, probe

DATA_ROOT = "/var/lib/docker"
EXEC_ROOT = "/var/run/docker"
CONTAINERD_ROOT = "/var/lib/containerd"
# Below this the engine's usage is asked for: it walks every layer, which takes seconds on a busy host.
SHORT_BYTES = 2 << 30
SHORT_INODES = 20_000
# Of a large disk 5 % are plenty.
LOW_OF_LARGE, LOW_BYTES_OF_LARGE = 0.05, 5 << 30
DF_TIMEOUT = 5.0
# A log or a container below this is not worth looking at.
BIG = 10 << 20


@dataclass(frozen=True, slots=True)
class Filesystem:
    """What statvfs(3) says of the filesystem behind one of Docker's folders."""

    path: str
    purpose: str  # "data root", "containerd's root", "exec root", "temporary files"
    source: str = ""  # who says that it is this folder: "GET /info", "/etc/docker/daemon.json", "default"
    mount_point: str = ""
    kind: str = ""  # "ext4", "btrfs"
    device: str = ""
    problem: str = ""  # why it could not be looked at: "ENOENT"
    size: int = 0  # bytes
    free: int = 0  # bytes root may still write, the reserve included
    available: int = 0  # bytes for everybody else
    inodes: int = 0  # 0: the filesystem makes them as it needs them (btrfs)
    inodes_free: int = 0
    read_only: bool = False

    @property
    def short(self) -> bool:
        """Whether it is worth knowing what fills it."""
        low = self.free < max(SHORT_BYTES, min(LOW_OF_LARGE * self.size, LOW_BYTES_OF_LARGE))
        return bool(self.size) and (low or (self.inodes > 0 and self.inodes_free < SHORT_INODES))


@dataclass(frozen=True, slots=True)
class Storage:
    """The filesystems that Docker writes to, the data root's first; folders that share one are listed once."""

    filesystems: tuple[Filesystem, ...]

    @property
    def data_root(self) -> Filesystem:
        """The one that images, containers and volumes lie on."""
        return self.filesystems[0]


@dataclass(frozen=True, slots=True)
class DiskUsage:
    """`GET /system/df` and the logs, asked only when space is short: what would be freed, in bytes."""

    asked: bool = False
    all: int = 0  # bytes that Docker knows of: layers, what containers wrote, volumes, build cache, long logs
    build_cache: int = 0  # not in use
    dangling_images: int = 0  # bytes of layers that only untagged, unused images hold
    unused_images: int = 0  # of all images that no container uses, the untagged included
    stopped: tuple[tuple[str, int], ...] = ()  # (container, bytes it wrote into itself), the biggest first
    running_writers: tuple[tuple[str, int], ...] = ()  # (container, bytes it wrote into itself), the biggest first
    volumes: tuple[tuple[str, int], ...] = ()  # that no container uses: (name, bytes), the biggest first
    used_volumes: tuple[tuple[str, int], ...] = ()  # those worth looking at
    logs: tuple[tuple[str, int], ...] = ()  # (path, bytes), the biggest first; root only


def unescaped(field: str) -> str:
    """Read a path as /proc/self/mounts and fstab(5) write it, with octal numbers for blanks."""
    return re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), field)


def mount_of(mounts: str, path: str) -> tuple[str, str, str]:
    """Find a path in /proc/self/mounts; returns mount point, type and device of the filesystem it lies on."""
    best = ("", "", "")
    for line in mounts.splitlines():
        fields = line.split()
        if len(fields) < 3:
            continue
        point = unescaped(fields[1])
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        # The later of two mounts on one point hides the earlier.
        if inside and len(point) >= len(best[0]):
            best = (point, fields[2], fields[0])
    return best


def _look(host: Host, mounts: str, path: str, purpose: str, source: str) -> Filesystem:
    there = Path(path)
    while not host.exists(there) and there.name:
        there = there.parent  # what is not there yet will be made on its parent's filesystem
    point, kind, device = mount_of(mounts, host.real(there))
    try:
        said = host.statvfs(there)
    except OSError as no:
        return Filesystem(path, purpose, source, point, kind, device, failure_name(no))
    return Filesystem(
        path,
        purpose,
        source,
        point,
        kind,
        device,
        size=said.f_blocks * said.f_frsize,
        free=said.f_bfree * said.f_frsize,
        available=said.f_bavail * said.f_frsize,
        inodes=said.f_files,
        inodes_free=said.f_ffree,
        read_only=bool(said.f_flag & os.ST_RDONLY),
    )


@probe()
def storage(host: Host, endpoint: ChosenEndpoint, info: EngineInfo | None, config: DaemonJson | None) -> Storage:
    """Look behind each folder; the data root is the running engine's, or else the one it is configured with."""
    if not endpoint.local:
        raise Unmeasured("the engine is on another host", skipped=True)
    settings = (config.settings or {}) if config else {}
    flags = config.flags if config else ()

    def configured(key: str, default: str) -> tuple[str, str]:
        if config and isinstance(settings.get(key), str):
            return str(settings[key]), config.path
        given = flag_values(flags, key)
        return (given[-1], f"--{key}") if given else (default, "default")

    root, source = (info.root_dir, "GET /info") if info and info.root_dir else configured("data-root", DATA_ROOT)
    folders = (
        (root, "data root", source),
        (CONTAINERD_ROOT, "containerd's root", "default"),
        (*configured("exec-root", EXEC_ROOT)[:1], "exec root", configured("exec-root", EXEC_ROOT)[1]),
        ("/tmp", "temporary files", "default"),  # noqa: S108 - that is the question
    )
    mounts = host.text("/proc/self/mounts")
    seen: dict[tuple[str, str], Filesystem] = {}
    for path, purpose, said_by in folders:
        found = _look(host, mounts, path, purpose, said_by)
        if found.problem and purpose != "data root":
            continue
        seen.setdefault((found.mount_point, found.device), found)
    return Storage(tuple(seen.values()))


@dataclass(frozen=True, slots=True)
class EntryTypes:
    """Whether the data root's file system tells the types of entries (d_type), which overlay2 cannot do without."""

    told: bool | None = None  # None: not looked at, since overlay2 is in use, and would not be without


DT_UNKNOWN = 0


@probe()
def entry_types(host: Host, storage: Storage, info: EngineInfo) -> EntryTypes:
    """List the data root, where dockerd has fallen back to copying."""
    if info.driver != "vfs":
        return EntryTypes()
    types = host.entry_types(storage.data_root.path)
    return EntryTypes(types != {DT_UNKNOWN} if types else None)


@dataclass(frozen=True, slots=True)
class Logs:
    """What containers have said and json-file keeps, older files left out: (full id, path, bytes), the biggest first."""

    all: tuple[tuple[str, str, int], ...] = ()


@probe()
def logs(host: Host, storage: Storage) -> Logs:
    """Look at the files in the engine's own folder, which is root's; the engine need not answer for it."""
    folder = f"{storage.data_root.path}/containers"
    if not host.searchable(folder):
        raise Unmeasured(f"{folder} is closed to {host.user}", how="# run as root")
    found = []
    for container in host.listdir(folder):
        path = f"{folder}/{container}/{container}-json.log"
        if (status := host.lstat(path)) and status.st_size >= BIG:
            found.append((container, path, status.st_size))
    return Logs(tuple(sorted(found, key=lambda log: -log[2])))


@probe(deadline=DF_TIMEOUT + 1)
def disk_usage(
    host: Host, endpoint: ChosenEndpoint, ping: DaemonPing, storage: Storage, logs: Logs | None
) -> DiskUsage:
    """Ask what takes the space, but only where space is short."""
    if not storage.data_root.short:
        return DiskUsage()
    longest = tuple((path, length) for _, path, length in logs.all[:5]) if logs else ()
    try:
        said = ask(host, endpoint, ping, "/system/df", DF_TIMEOUT)
    except Unmeasured:
        return DiskUsage(logs=longest)
    return usage(said if isinstance(said, dict) else {}, longest)


def usage(said: dict[str, Any], logs: tuple[tuple[str, int], ...] = ()) -> DiskUsage:
    """Add up what /system/df reports; sizes of -1 mean "not known"."""

    def rows(key: str) -> list[dict[str, Any]]:
        return [r for r in said.get(key) or () if isinstance(r, dict)]

    def number(row: dict[str, Any], key: str) -> int:
        return max(0, int(row.get(key) or 0))

    unused = [i for i in rows("Images") if not number(i, "Containers")]
    dangling = [i for i in unused if not [t for t in i.get("RepoTags") or () if t != "<none>:<none>"]]
    stopped = [c for c in rows("Containers") if c.get("State") not in {"running", "paused", "restarting"}]

    def used(volume: dict[str, Any]) -> bool:
        return bool(number(volume.get("UsageData") or {}, "RefCount"))

    def held(volume: dict[str, Any]) -> tuple[str, int]:
        return str(volume.get("Name")), number(volume.get("UsageData") or {}, "Size")

    def written(container: dict[str, Any]) -> tuple[str, int]:
        return name(container), number(container, "SizeRw")

    def biggest(found: Iterable[tuple[str, int]]) -> tuple[tuple[str, int], ...]:
        return tuple(sorted(found, key=lambda one: -one[1]))

    def name(container: dict[str, Any]) -> str:
        return str((container.get("Names") or ["/?"])[0]).lstrip("/")

    def own(image: dict[str, Any]) -> int:
        return max(0, number(image, "Size") - number(image, "SharedSize"))

    running = biggest(written(c) for c in rows("Containers") if c not in stopped)
    cache = [number(b, "Size") for b in rows("BuildCache") if not b.get("Shared")]
    mine = (number(c, "SizeRw") for c in rows("Containers"))
    return DiskUsage(
        asked=True,
        all=number(said, "LayersSize")
        + sum((*mine, *cache, *(length for _, length in (*map(held, rows("Volumes")), *logs)))),
        build_cache=sum(number(b, "Size") for b in rows("BuildCache") if not b.get("InUse") and not b.get("Shared")),
        dangling_images=sum(map(own, dangling)),
        unused_images=sum(map(own, unused)),
        stopped=biggest(map(written, stopped)),
        running_writers=tuple(w for w in running if w[1] >= BIG)[:3],
        volumes=biggest(held(v) for v in rows("Volumes") if not used(v)),
        used_volumes=tuple(v for v in biggest(held(v) for v in rows("Volumes") if used(v)) if v[1] >= BIG)[:3],
        logs=logs,
    )

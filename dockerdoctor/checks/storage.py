"""Whether Docker can write: space, inodes, and a filesystem that takes writes at all."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence

from dockerdoctor.examine import check, failed, passed, unknown
from dockerdoctor.facts.endpoint import Settings
from dockerdoctor.facts.held import HeldFiles
from dockerdoctor.facts.storage import LOW_BYTES_OF_LARGE, LOW_OF_LARGE, DiskUsage, Filesystem, Storage
from dockerdoctor.model import Evidence, Finding, Severity

# A small image is pulled compressed and then unpacked beside it: below this no pull and no build gets through.
TEMPORARY = "temporary files"
FULL = {"data root": 64 << 20, "containerd's root": 4 << 20, "exec root": 1 << 20, TEMPORARY: 1 << 20}
# A build of an ordinary image needs about a gigabyte; small disks are small on purpose.
LOW_BYTES, LOW_OF_SMALL = 1 << 30, 0.1
# A container's layer and its files in the engine's store take some dozens of inodes; an image takes thousands.
NO_INODES = 500
PRUNE = "https://docs.docker.com/engine/manage-resources/pruning/"


def size(number: float) -> str:
    """Say how many bytes, as `df -h` does."""
    for unit in ("B", "KB", "MB", "GB"):
        if number < 1024:
            return f"{number:.0f} {unit}"
        number /= 1024
    return f"{number:.1f} TB"


def _seen(fs: Filesystem) -> Evidence:
    inodes = f", {fs.inodes_free} of {fs.inodes} inodes" if fs.inodes else ""
    where = f"{fs.path} ({fs.kind or 'filesystem'} mounted on {fs.mount_point or '?'})"
    return Evidence(f"statvfs {where}", f"{size(fs.free)} of {size(fs.size)} free{inodes}")


def enough(fs: Filesystem, settings: Settings | None = None) -> float:
    """How many bytes should be free, so that the next pull or build gets through; or what somebody chose."""
    chosen = settings.preferences.thresholds.disk_free_percent if settings else None
    if chosen is not None:
        return chosen / 100 * fs.size
    return max(min(LOW_BYTES, LOW_OF_SMALL * fs.size), min(LOW_OF_LARGE * fs.size, LOW_BYTES_OF_LARGE))


def _named(found: Sequence[tuple[str, int]], least: int = 0) -> str:
    """List names with their sizes, the first five."""
    big = [f"{name} ({size(length)})" for name, length in found if length >= least]
    return ", ".join([*big[:5], *([f"{len(big) - 5} more"] if big[5:] else [])])


def _ways(usage: DiskUsage | None, *, inodes: bool = False) -> Iterator[str]:
    """What frees space, the safest first, and only what frees something here; what cannot be made again a person removes."""
    if usage is None or not usage.asked:
        yield "docker builder prune --force"
        yield "# see what takes the space: docker system df --verbose; then: docker image prune"
    else:
        if usage.build_cache:
            yield f"# {size(usage.build_cache)} of build cache; builds make it again:"
            yield "docker builder prune --all --force"
        if usage.dangling_images or inodes:
            yield f"# {size(usage.dangling_images)} of images without a name that nothing uses:"
            yield "docker image prune --force"
        if stopped := [one for one in usage.stopped if one[1] or inodes]:
            names = " ".join(shlex.quote(name) for name, _ in stopped[:5])
            yield f"# stopped containers have written into themselves: {_named(stopped)}; if nobody needs it: docker rm {names}"
    for name, length in usage.running_writers if usage else ():
        yield f"# {name} runs and has written {size(length)} into itself: see `docker exec {name} du -x /`, or remove it"
    if usage and usage.used_volumes:
        yield f"# containers keep data in volumes, which is theirs to make less: {_named(usage.used_volumes)}"
    for path, length in usage.logs if usage else ():
        yield (
            f"# {size(length)} of one container's output, which grows for ever without max-size in log-opts; "
            f"if nobody needs what it said: truncate --size 0 {shlex.quote(path)}"
        )
    if usage and usage.unused_images > usage.dangling_images:
        yield f"# more, if you can pull them again: `docker image prune --all` frees {size(usage.unused_images)} of unused images"
    if usage and usage.volumes:
        yield f"# volumes hold data; look at those that no container uses before you remove one: {_named(usage.volumes)}"


def _strangers(fs: Filesystem, usage: DiskUsage | None) -> Iterator[str]:
    """Where most of what is used is nothing that Docker knows of, it is for somebody to look for."""
    rest = fs.size - fs.free - usage.all if usage and usage.asked else 0
    if rest > (fs.size - fs.free) / 2:
        point = shlex.quote(fs.mount_point)
        yield f"# {size(rest)} on {point} are none of Docker's: see whose: du -xh --max-depth 3 {point} | sort -h | tail -20"


def total(found: Iterable[tuple[str, int]]) -> int:
    """Sum up sizes."""
    return sum(length for _, length in found)


def _takers(usage: DiskUsage | None) -> tuple[Evidence, ...]:
    if usage is None or not usage.asked:
        return ()
    said = (
        f"free to go: {size(usage.build_cache)} build cache, {size(usage.unused_images)} unused images, "
        f"{size(total(usage.stopped))} in stopped containers, {size(total(usage.volumes))} in unused volumes"
    )
    return (Evidence("GET /system/df", said), *(Evidence(path, size(length)) for path, length in usage.logs))


@check(
    "storage.read-only",
    title="Docker's data root can be written to",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/engine/daemon/#daemon-data-directory",
)
def read_only(storage: Storage) -> Finding:
    """
    The kernel remounts a filesystem read-only when its disk fails.

    Why it matters: images cannot be pulled, containers cannot be created or removed, and dockerd does not start again.
    How to fix: look at the disk first, then mount it writable.
    """
    fs = storage.data_root
    if fs.problem:
        return unknown(f"{fs.path}: {fs.problem}", how="# run as root" if fs.problem == "EACCES" else "")
    seen = Evidence(
        "/proc/self/mounts", f"{fs.device} on {fs.mount_point} ({fs.kind}, {'ro' if fs.read_only else 'rw'})"
    )
    if not fs.read_only:
        return passed(f"{fs.path} is writable ({fs.kind or 'filesystem'})", seen)
    return failed(
        f"{fs.path} is on a read-only filesystem ({fs.mount_point})",
        seen,
        cause=f"{fs.mount_point} is mounted read-only, and Docker keeps everything there. The kernel does that by itself "
        "when the disk reports errors.",
        fix=(
            "# look for disk errors first: dmesg | grep -iE 'remount|I/O error|ext4|xfs'",
            f"mount -o remount,rw {fs.mount_point}",
        ),
    )


@check(
    "storage.space",
    title="Docker has room to write",
    severity=Severity.ERROR,
    docs=PRUNE,
    upstream=("storage.build-cache", "storage.held-files"),
)
def space(storage: Storage, usage: DiskUsage | None, held: HeldFiles | None) -> Finding:
    """
    Images, containers, volumes, logs and the build cache share the data root's filesystem.

    Why it matters: pulls and builds end with "no space left on device", containers cannot start, the daemon may not
    come up again.
    How to fix: remove what can be made again first; never a volume unseen.
    """
    # Pulls, builds and starts do without /tmp: that is a risk, and told below.
    looked = [fs for fs in storage.filesystems if not fs.problem and fs.purpose != TEMPORARY]
    if not looked:
        return unknown(f"{storage.data_root.path}: {storage.data_root.problem}")
    full = [fs for fs in looked if (fs.free < FULL[fs.purpose] or _reserved(fs)) and not _made_full(fs)]
    if not full:
        return passed(f"{size(looked[0].free)} free for {looked[0].path}", *map(_seen, looked))
    worst = full[0]
    fix = (
        (*_ways(usage), *_strangers(worst, usage))
        if worst.purpose == "data root"
        else (f"# make room on {worst.mount_point}: du -xh {worst.mount_point} | sort -h | tail -20",)
    )
    left = f"{size(worst.free)} of {size(worst.size)} free"
    if worst.free >= FULL[worst.purpose]:
        left = f"the {size(worst.free)} that are left of {size(worst.size)} are kept for root"
    return failed(
        f"{worst.path} ({worst.purpose}) is full: {left}",
        *map(_seen, full),
        *_takers(usage),
        cause=f"The filesystem on {worst.mount_point}, where Docker's {worst.purpose} lies, has no room left.",
        fix=fix or (f"# nothing of Docker's can be removed safely: make room on {worst.mount_point}, or enlarge it",),
        because=_because(worst, usage, held),
    )


def _because(fs: Filesystem, usage: DiskUsage | None, held: HeldFiles | None) -> tuple[str, ...]:
    """What alone would leave room enough, if it went."""
    if fs.purpose != "data root":
        return ()
    takes = {
        "storage.build-cache": usage.build_cache if usage else 0,
        "storage.held-files": sum(file.size for file in held.all) if held else 0,
    }
    return tuple(name for name, taken in takes.items() if taken and fs.free + taken >= enough(fs))


def _reserved(fs: Filesystem) -> bool:
    """
    Whether only root may write any more (tune2fs(8), -m): into a volume, what runs as somebody else meets ENOSPC.

    Into a container's own files it may write all the same: overlayfs does that as root.
    """
    return fs.purpose == "data root" and not fs.available and fs.free > 0


def _made_full(fs: Filesystem) -> bool:
    """A read-only image (squashfs, iso9660) has no free block, by its nature; a filesystem without sizes has none to count."""
    return fs.size == 0 or fs.kind in {"squashfs", "iso9660", "erofs"}


@check(
    "storage.inodes",
    title="Docker's filesystem has inodes left",
    severity=Severity.ERROR,
    docs=PRUNE,
)
def inodes(storage: Storage, usage: DiskUsage | None) -> Finding:
    """
    ext4 fixes the number of files when it is made; many small ones use it up long before the space.

    Why it matters: "no space left on device" with gigabytes free.
    How to fix: remove images, containers and build cache that nothing needs; move the data root to a filesystem with more.
    """
    looked = [fs for fs in storage.filesystems if not fs.problem and fs.purpose != TEMPORARY]
    if not looked:
        return unknown(f"{storage.data_root.path}: {storage.data_root.problem}")
    # No inodes at all means that they are made as needed (btrfs).
    out = [fs for fs in looked if fs.inodes > 0 and fs.inodes_free < min(NO_INODES, fs.inodes // 20)]
    if not out:
        first = looked[0]
        said = f"{first.inodes_free} inodes free" if first.inodes else f"{first.kind or 'it'} makes inodes as needed"
        return passed(f"{first.path}: {said}", *map(_seen, looked))
    worst = out[0]
    return failed(
        f"{worst.path} has {worst.inodes_free} of {worst.inodes} inodes free, with {size(worst.free)} of space",
        *map(_seen, out),
        *_takers(usage),
        cause=f"The filesystem on {worst.mount_point} cannot hold more files, though there is space.",
        fix=tuple(_ways(usage, inodes=True)),
    )


@check(
    "storage.low-space",
    title="Docker's filesystem is not nearly full",
    severity=Severity.WARNING,
    docs=PRUNE,
    # Full is low too.
    upstream=("storage.space", "storage.build-cache", "storage.held-files"),
)
def low_space(
    storage: Storage, usage: DiskUsage | None, held: HeldFiles | None, settings: Settings | None = None
) -> Finding:
    """
    The next pull or build may fill it.

    Why it matters: a full data root stops everything that Docker does.
    How to fix: remove what can be made again.
    """
    fs = storage.data_root
    if fs.problem:
        return unknown(f"{fs.path}: {fs.problem}")
    if fs.free >= enough(fs, settings) or _made_full(fs):
        for temporary in storage.filesystems:
            if temporary.purpose == TEMPORARY and not temporary.problem and temporary.free < FULL[TEMPORARY]:
                return failed(
                    f"{temporary.path} is full: {size(temporary.free)} of {size(temporary.size)} free",
                    _seen(temporary),
                    cause="The engine does without it; clients and tools, docker compose among them, keep temporary files there.",
                    fix=(
                        f"# make room on {temporary.mount_point}: du -xh {temporary.mount_point} | sort -h | tail -20",
                    ),
                    because=(),
                )
        return passed(f"{size(fs.free)} of {size(fs.size)} free", _seen(fs))
    return failed(
        f"{fs.path}: only {size(fs.free)} of {size(fs.size)} free",
        _seen(fs),
        *_takers(usage),
        cause=f"The filesystem on {fs.mount_point} is nearly full.",
        fix=tuple(_ways(usage)),
        because=("storage.space",) if fs.free < FULL[fs.purpose] or _reserved(fs) else _because(fs, usage, held),
    )

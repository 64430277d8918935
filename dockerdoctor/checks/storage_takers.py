"""What takes the space and could go, where it is short: the build cache, and files that were removed and are held open."""

from __future__ import annotations

import shlex

from dockerdoctor.checks.storage import enough, size, total
from dockerdoctor.examine import check, failed, passed, skipped
from dockerdoctor.facts.containers import Containers
from dockerdoctor.facts.endpoint import Settings
from dockerdoctor.facts.held import HeldFile, HeldFiles
from dockerdoctor.facts.storage import DiskUsage, Filesystem, Storage
from dockerdoctor.model import Evidence, Finding, Severity

# Less than this part of a filesystem does not fill it.
MUCH = 0.1
AMPLE = "there is space"


@check(
    "storage.build-cache",
    title="The build cache leaves room for the rest",
    severity=Severity.WARNING,
    docs="https://docs.docker.com/build/cache/garbage-collection/",
)
def build_cache(storage: Storage, usage: DiskUsage, settings: Settings | None = None) -> Finding:
    """
    BuildKit keeps every step of every build, and engines before 23.0 never collect them by themselves.

    Why it matters: on a host that builds, the cache fills the filesystem in the end.
    How to fix: remove it, builds make it again; and let the engine collect it.
    """
    fs = storage.data_root
    if not usage.asked or fs.free >= enough(fs, settings):
        return skipped(AMPLE if not fs.short else "what takes the space could not be asked for")
    others = max(
        usage.unused_images, total(usage.stopped), total(usage.running_writers), total(usage.volumes), total(usage.logs)
    )
    chosen = settings.preferences.thresholds.build_cache_percent if settings else None
    much = MUCH if chosen is None else chosen / 100
    if usage.build_cache < max(much * fs.size, others):
        return passed(f"{size(usage.build_cache)} of build cache: more would go elsewhere")
    return failed(
        f"{size(usage.build_cache)} of build cache that nothing uses, on a filesystem with {size(fs.free)} of {size(fs.size)} free",
        Evidence("GET /system/df", f"BuildCache: {size(usage.build_cache)} not in use"),
        cause="Nobody collects the build cache here, or its limit is more than this filesystem has to spare.",
        fix=("docker builder prune --all --force", _collected(fs)),
        impact="the next builds take longer",
    )


def _collected(fs: Filesystem) -> str:
    """A tenth of the disk is what newer engines keep by themselves."""
    keep = f'{{"gc": {{"enabled": true, "defaultKeepStorage": "{max(1, fs.size // 10 >> 30)}GB"}}}}'
    return f'# so that it stays small, in /etc/docker/daemon.json: "builder": {keep}; then: systemctl restart docker'


@check(
    "storage.held-files",
    title="Nobody keeps the space of files that were removed",
    severity=Severity.WARNING,
    docs="https://man7.org/linux/man-pages/man2/unlink.2.html",
)
def held_files(storage: Storage, held: HeldFiles, containers: Containers | None) -> Finding:
    """
    A file that was removed goes on taking its space until whoever has it open lets it go.

    Why it matters: df(1) says full, du(1) finds nothing; removing a container's log by hand does just that.
    How to fix: restart who holds it; cut a log with truncate(1), and never remove it.
    """
    fs = storage.data_root
    if fs.free >= enough(fs):
        return skipped(AMPLE)
    taken = sum(file.size for file in held.all)
    if taken < MUCH * fs.size:
        return passed(f"{size(taken)} in files that were removed and are open")
    first = held.all[0]
    names = {c.id: c.name for c in containers.all} if containers else {}
    return failed(
        f"{size(taken)} are taken by files that were removed and are still open, the biggest by {_holder(first, names)}",
        *(
            Evidence(f"/proc/{file.pid}/fd of {file.program}", f"{file.path} (deleted), {size(file.size)}")
            for file in held.all[:5]
        ),
        cause="The names are gone, the files are not: their space comes back when the last who has them open closes them.",
        fix=tuple(dict.fromkeys(_let_go(file, names) for file in held.all[:5])),
        impact="restarts who holds them",
    )


def _holder(file: HeldFile, names: dict[str, str]) -> str:
    container = names.get(file.container, file.container[:12])
    return f"{file.program} ({f'for the container {container}' if container else f'process {file.pid}'})"


def _let_go(file: HeldFile, names: dict[str, str]) -> str:
    if file.container:
        return f"docker restart {shlex.quote(names.get(file.container, file.container[:12]))}"
    return f"# restart {file.program}: systemctl restart $(ps -o unit= -p {file.pid})"

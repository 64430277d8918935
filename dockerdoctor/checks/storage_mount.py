"""Whether Docker's data lies where it was meant to."""

from __future__ import annotations

from dockerdoctor.examine import check, failed, passed, skipped
from dockerdoctor.facts.mounts import DataRootMount
from dockerdoctor.model import Evidence, Finding, Severity


@check(
    "storage.mount",
    title="The file system meant for Docker's data is mounted",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/engine/daemon/#configure-the-data-directory-location",
)
def mount(data: DataRootMount) -> Finding:
    """
    Where a disk is not mounted, dockerd finds an empty folder, and begins anew in it.

    Why it matters: all images, containers and volumes seem to be gone, and what is made meanwhile vanishes beneath the mount.
    How to fix: stop Docker, mount the disk, start Docker; and let Docker wait for it at boot.
    """
    if not data.where:
        return skipped(f"neither /etc/fstab nor a mount unit has a file system of its own for {data.root}")
    seen = Evidence(data.source, data.line)
    if data.mounted:
        return passed(f"{data.where} is mounted", seen)
    return failed(
        f"{data.where}, where {data.root} lies, is not mounted",
        seen,
        Evidence("/proc/self/mounts", f"nothing on {data.where}"),
        cause=f"{data.source} has a file system for {data.where}, and Docker writes into the folder beneath it instead.",
        fix=(
            "systemctl stop docker.socket docker.service",
            f"systemctl start {data.source.rpartition('/')[2]}"
            if data.source.endswith(".mount")
            else f"mount {data.where}",
            "systemctl reset-failed docker.service docker.socket",
            "systemctl start docker.socket docker.service",
            f"# so that Docker waits for it at boot: systemctl edit docker, [Unit] RequiresMountsFor={data.root}",
        ),
        impact="restarts dockerd; what was made since lies hidden beneath the mount",
    )

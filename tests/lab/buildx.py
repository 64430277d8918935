"""The client's plugin buildx on a machine: a package of its own, without which a client from 23.0 on has no BuildKit."""

import subprocess
from pathlib import Path

from tests.lab.base import base
from tests.lab.machine import Machine
from tests.lab.store import built

# The suites whose client wants it, and the one that has the package.
SUITES = ("trixie", "sid")
PLUGIN = "/usr/libexec/docker/cli-plugins/docker-buildx"


def packages() -> Path:
    """Fetch it."""

    def build(draft: Path) -> None:
        with Machine.boot(images=(), doctor=False, suite="trixie") as machine:
            get = "apt-get update && apt-get install -y --no-install-recommends --download-only docker-buildx"
            machine.run(get, timeout=300)
            folder = f"{machine.slot.home}/root/var/cache/apt/archives"
            subprocess.run(f"cp {folder}/*.deb {draft}", shell=True, check=True)

    return built(f"debs/buildx-{base('trixie').name}", build)


def install(machine: Machine) -> None:
    """Give it to a machine."""
    subprocess.run(["cp", "-r", packages(), f"{machine.slot.home}/root/opt/buildx"], check=True)
    machine.run("dpkg -i /opt/buildx/*.deb && docker buildx version")

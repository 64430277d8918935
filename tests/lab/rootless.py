"""An engine without root on a machine: alice's own, beside the system's (docs.docker.com/engine/security/rootless)."""

import json
import subprocess
from pathlib import Path

from tests.lab.base import base
from tests.lab.machine import REGISTRY_PORT, Machine
from tests.lab.store import built

RUNTIME = "/run/user/1000"
ENV = {"DOCKER_HOST": f"unix://{RUNTIME}/docker.sock", "XDG_RUNTIME_DIR": RUNTIME}
SUITE = "bookworm"


def packages() -> Path:
    """What such an engine needs besides dockerd, and no other machine does."""

    def build(draft: Path) -> None:
        with Machine.boot(images=(), doctor=False, suite=SUITE) as machine:
            wanted = "rootlesskit slirp4netns uidmap"
            get = f"apt-get update && apt-get install -y --no-install-recommends --download-only {wanted}"
            machine.run(get, timeout=300)
            folder = f"{machine.slot.home}/root/var/cache/apt/archives"
            subprocess.run(f"cp {folder}/*.deb {draft}", shell=True, check=True)

    return built(f"debs/rootless-{base(SUITE).name}", build)


def rootless(machine: Machine) -> None:
    """Start it, and give it an image."""
    subprocess.run(["cp", "-r", packages(), f"{machine.slot.home}/root/opt/rootless"], check=True)
    machine.run(
        f"""
        dpkg -i /opt/rootless/*.deb
        # For everybody, as on a host with udev; the network of such an engine is a TAP device.
        chmod 666 /dev/net/tun
        mkdir -p {RUNTIME}
        chown alice: {RUNTIME}
        chmod 700 {RUNTIME}
        """
    )
    mirrors = {"registry-mirrors": [f"http://{machine.gateway}:{REGISTRY_PORT}"]}
    machine.write("/home/alice/.config/docker/daemon.json", json.dumps(mirrors))
    machine.run("chown -R alice: /home/alice")
    # Its data lies on the machine's overlay, where overlay2 cannot be.
    machine.run(
        "nohup /usr/share/docker.io/contrib/dockerd-rootless.sh --storage-driver vfs > /tmp/rootless.log 2>&1 &",
        user="alice",
        env=ENV,
    )
    machine.run("until docker version >/dev/null 2>&1; do sleep 0.1; done", user="alice", env=ENV)
    machine.run("docker save busybox | docker --host $DOCKER_HOST load".replace("$DOCKER_HOST", ENV["DOCKER_HOST"]))

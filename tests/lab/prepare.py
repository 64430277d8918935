"""Make everything that machines need: `python3 -m tests.lab.prepare [SUITE ...]`, as root; needs but Python and Debian.

What is there is not made again; the cache is $DOCKERDOCTOR_LAB, by default in /var/tmp.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests.lab.base import SUITES, base, bootstrap, engine_of, inside
from tests.lab.images import PYTHON_FINISH, PYTHON_PACKAGES, PYTHON_SUITE, RECIPES, storage_name
from tests.lab.install import host_pip, installed_doctor
from tests.lab.machine import Machine, docker_folder, end_politely
from tests.lab.store import LAB, LabError, built, key

# Program: the Debian package that has it.
HOST = {
    "systemd-nspawn": "systemd-container",
    "debootstrap": "debootstrap",
    "ip": "iproute2",
    "iptables": "iptables",
    "docker-registry": "docker-registry",
    "dnsmasq": "dnsmasq-base",
    "mkfs.xfs": "xfsprogs",
    "mkfs.btrfs": "btrfs-progs",
    "zsh": "zsh",
    "fish": "fish",
}
# Cannot be examined: the same exit status as the doctor's.
CANNOT = 3


def main() -> int:
    """Prepare for bookworm, or the suites in the arguments, and say how long each part took."""
    suites = sys.argv[1:] or ["bookworm"]
    if unknown := set(suites) - set(SUITES):
        print(f"No such suite: {', '.join(unknown)}; there are {', '.join(SUITES)}.", file=sys.stderr)
        return 2
    end_politely()
    try:
        with step("host"):
            check_host()
            install_packages()
        LAB.mkdir(parents=True, exist_ok=True)
        note_pip_conf()
        # Both wait for the network most of the time.
        with step("Debian trees"), ThreadPoolExecutor() as pool:
            for tree in [pool.submit(base), pool.submit(python_tree), *(pool.submit(base, suite) for suite in suites)]:
                tree.result()
        with step("images"):
            built(storage_name(), build_images)
        for suite in suites:
            with step(f"Docker folder with busybox on {suite}, Engine {engine_of(suite)}"):
                docker_folder(("busybox",), suite)
            with step(f"doctor on {suite}"):
                installed_doctor(base(suite))
    except LabError as error:
        print(f"The lab cannot be prepared: {error}", file=sys.stderr)
        return CANNOT
    return 0


@contextmanager
def step(name: str) -> Iterator[None]:
    """Say how long a part took."""
    start = time.monotonic()
    yield
    print(f"{name}: {time.monotonic() - start:.1f} s", file=sys.stderr, flush=True)


def check_host() -> None:
    """Refuse, with the reason, where machines cannot run."""
    if sys.platform != "linux":
        raise LabError("machines need Linux")
    if os.geteuid() != 0:
        raise LabError("machines need root: run it with sudo")
    trial = ["unshare", "--mount", "--net", "--pid", "--fork", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    done = subprocess.run(trial, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(
            f"namespaces are not permitted here ({done.stderr.strip()}); in a container, run it --privileged"
        )
    known = Path("/proc/filesystems").read_text()
    if "overlay" not in known and subprocess.run(["modprobe", "overlay"], capture_output=True, check=False).returncode:
        raise LabError("the kernel has no overlay file system: load its module `overlay`")


def install_packages() -> None:
    """Install the host's programs that are missing."""
    # Some would start a server on the host; a policy of 101 forbids it.
    missing = sorted({package for program, package in HOST.items() if not shutil.which(program)})
    if not missing:
        return
    if not shutil.which("apt-get"):
        raise LabError(f"missing: {', '.join(missing)}; this host has no apt-get to install them with")
    script = """
        set -e
        apt-get update
        policy=/usr/sbin/policy-rc.d
        if [ ! -e $policy ]; then
            printf '#!/bin/sh\\nexit 101\\n' > $policy; chmod +x $policy; trap "rm $policy" EXIT
        fi
        apt-get install -y --no-install-recommends "$@"
    """
    done = subprocess.run(
        ["bash", "-c", script, "-", *missing],
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise LabError(f"apt-get install {' '.join(missing)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def note_pip_conf() -> None:
    """Note the package index that the host's pip uses, for machines and their containers, if it is not the public one."""
    listed = subprocess.run([*host_pip(), "config", "list"], capture_output=True, text=True, check=False).stdout
    # The environment's comes first in the list, as it does for pip.
    url = re.search(r"^\S+\.index-url='(https?://.*)'$", listed, re.MULTILINE)
    noted = LAB / "pip.conf"
    if url:
        noted.write_text(f"[global]\nindex-url = {url[1]}\n", encoding="utf-8")
    else:
        noted.unlink(missing_ok=True)


def python_tree() -> Path:
    """Give the files of the python image."""

    def build(tree: Path) -> None:
        bootstrap(PYTHON_SUITE, PYTHON_PACKAGES, tree)
        inside(tree, "bash", "-c", PYTHON_FINISH)

    return built(f"trees/python-{key(PYTHON_SUITE, PYTHON_PACKAGES, PYTHON_FINISH)}", build)


def build_images(storage: Path) -> None:
    """Build every image in a machine and push it to the registry on its gateway, which keeps it in `storage`."""
    python, pip = python_tree(), LAB / "pip.conf"
    options = {"insecure-registries": ["{gateway}:5000"], "registry-mirrors": None}
    with Machine.boot(daemon_json=options, images=(), doctor=False, registry=storage) as machine:
        registry = machine.fill("{gateway}:5000")
        # The machine's disk, seen from the host.
        disk = machine.slot.home / "root"
        subprocess.run(["tar", "-C", python, "-cf", disk / "srv/python.tar", "."], check=True)
        machine.run("docker import /srv/python.tar python-tree && rm /srv/python.tar", timeout=120)
        for image, (script, dockerfile) in RECIPES.items():
            context = disk / "srv" / re.sub(r"\W", "-", image)
            context.mkdir()
            if pip.exists():
                shutil.copy(pip, context)
            (context / "Dockerfile").write_text(dockerfile.replace("{registry}", registry))
            inside(base(), "bash", "-c", f"set -e; cd /mnt; {script}", binds={context: "/mnt"})
            name = f"{registry}/library/{image}"
            machine.run(f"cd /srv/{context.name} && docker build -t {name} . && docker push {name}", timeout=180)


if __name__ == "__main__":
    sys.exit(main())

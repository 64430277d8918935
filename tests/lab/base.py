"""The root file system that machines start from: a Debian with Docker, made once for each suite."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.lab.store import LabError, built, key

# systemd, Docker and what diagnoses touch; the servers are for cases to start (their units are disabled below).
PACKAGES = (
    "systemd systemd-sysv dbus docker.io iptables nftables ca-certificates python3 python3-venv iproute2 iputils-ping "
    "procps openssh-server dnsmasq-base tinyproxy redis-server busybox-static curl sudo bash-completion"
).split()

# Run in the fresh tree.
FINISH = r"""
set -eu
systemctl disable tinyproxy.service redis-server.service ssh.service
# They would wake up in the middle of a case.
systemctl mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer
# alice may use Docker; bob may not, but has sudo as she does.
useradd --create-home --shell /bin/bash --groups docker,sudo alice
useradd --create-home --shell /bin/bash --groups sudo bob
echo '%sudo ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/lab
update-ca-certificates >/dev/null 2>&1
mkdir -p /opt/doctor /etc/docker
ln -s /opt/doctor/bin/doctor /usr/local/bin/doctor
rm -rf /var/cache/apt/archives/*.deb /var/lib/apt/lists/* /etc/hostname /etc/resolv.conf /etc/machine-id
"""

# What a person's company added to the host's trust must be trusted in machines, or nothing can be fetched there.
HOST_CAS = Path("/usr/local/share/ca-certificates")


@dataclass(frozen=True)
class Suite:
    """A Debian release, and what differs on it."""

    name: str
    packages: tuple[str, ...] = ()


# To add a suite, add a line: trixie needs `docker-cli` as well, and other settings of nspawn (see Machine).
SUITES = {"bookworm": Suite("bookworm")}


def host_cas() -> list[Path]:
    """Certificate authorities that the administrator of the host added."""
    return sorted(HOST_CAS.glob("*.crt"))


def bootstrap(suite: str, packages: list[str], tree: Path) -> None:
    """Make a minimal Debian in `tree`, from debootstrap's default mirror."""
    # A mount namespace of its own: debootstrap leaves /proc mounted in some trees.
    command = ["unshare", "--mount", "--propagation=private", "debootstrap", "--variant=minbase"]
    done = subprocess.run(
        [*command, f"--include={','.join(packages)}", suite, str(tree)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise LabError(
            f"debootstrap of {suite} failed; is a Debian mirror reachable?\n{done.stdout[-2000:]}{done.stderr}"
        )
    tree.chmod(0o755)


def base(suite: str = "bookworm") -> Path:
    """Give the tree of `suite`: read only, machines put an overlay on it."""
    about = SUITES[suite]
    packages = [*PACKAGES, *about.packages]

    def build(tree: Path) -> None:
        bootstrap(about.name, packages, tree)
        for ca in host_cas():
            shutil.copy(ca, tree / ca.relative_to("/"))
        inside(tree, "bash", "-c", FINISH)

    return built(f"base/{suite}-{key(packages, FINISH, [ca.read_bytes() for ca in host_cas()])}", build)


def inside(tree: Path, *argv: str, binds: dict[Path, str] | None = None) -> str:
    """Run a command with `tree` as its root, no network, and `binds` visible while it runs."""
    mounts = "".join(f"mount --bind {source} {tree}{target};" for source, target in (binds or {}).items())
    script = f'set -e; mount --bind {tree} {tree}; mount -t proc proc {tree}/proc; {mounts} exec chroot {tree} "$@"'
    done = subprocess.run(
        ["unshare", "--mount", "--net", "--propagation=private", "bash", "-c", script, "-", *argv],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise LabError(f"{argv[0]} failed in {tree}:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return done.stdout

"""The root file system that machines start from: a Debian with Docker, made once for each suite."""

import os
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

from tests.lab.store import LabError, built, key

# systemd, Docker and what diagnoses touch; the servers are for cases to start (their units are disabled below).
PACKAGES = [
    *(
        "systemd",
        "systemd-sysv",
        "dbus",
        "docker.io",
        "iptables",
        "nftables",
        "ca-certificates",
        "python3",
        "python3-venv",
    ),
    *("iproute2", "iputils-ping", "procps", "openssh-server", "dnsmasq-base", "tinyproxy", "redis-server"),
    *("busybox-static", "curl", "sudo", "bash-completion"),
]

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


# Run in a tree of a release: the packages named, from sid, and whatever else they need of it. The mirror is the tree's own.
# One that is frozen in time has a release file past its date.
FROM_SID = r"""
set -eu
sed -n 's/^deb \(\S*\) \S* /deb \1 sid /p' /etc/apt/sources.list > /etc/apt/sources.list.d/sid.list
printf 'Package: *\nPin: release n=sid\nPin-Priority: 100\n' > /etc/apt/preferences.d/sid
export DEBIAN_FRONTEND=noninteractive
apt-get -o Acquire::Check-Valid-Until=false update
apt-get install -y --no-install-recommends -t sid "$@"
rm -rf /var/cache/apt/archives/*.deb /var/lib/apt/lists/* /etc/apt/sources.list.d/sid.list /etc/apt/preferences.d/sid
"""


@dataclass(frozen=True)
class Suite:
    """A Debian with a Docker Engine, and what differs on it."""

    release: str
    engine: str
    packages: tuple[str, ...] = ()
    from_sid: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()  # of nspawn
    options: tuple[str, ...] = ()  # to nspawn


# trixie's systemd wants telling that a host with version 1 groups is meant; sid's no longer knows them.
TRIXIE = Suite(
    "trixie",
    "26.1",
    packages=("docker-cli",),
    environment=("UNIFIED_CGROUP_HIERARCHY=0",),
    options=("--setenv=SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1",),
)
SUITES = {
    "bookworm": Suite("bookworm", "20.10"),
    "trixie": TRIXIE,
    "sid": replace(TRIXIE, engine="28.5", from_sid=("docker.io", "docker-cli", "containerd", "runc")),
}
# The suite that has an engine, from the oldest to the newest.
ENGINES = {suite.engine: name for name, suite in SUITES.items()}


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
    if about.from_sid:
        return with_sid(suite, base(about.release))
    packages = [*PACKAGES, *about.packages]

    def build(tree: Path) -> None:
        bootstrap(about.release, packages, tree)
        for ca in host_cas():
            shutil.copy(ca, tree / ca.relative_to("/"))
        inside(tree, "bash", "-c", FINISH)

    return built(f"base/{suite}-{key(packages, FINISH, [ca.read_bytes() for ca in host_cas()])}", build)


def with_sid(suite: str, release: Path) -> Path:
    """Give a copy of the tree `release` with sid's packages on top."""
    packages = SUITES[suite].from_sid

    def build(tree: Path) -> None:
        subprocess.run(["cp", "-ax", "--reflink=auto", f"{release}/.", tree], check=True)
        resolv = tree / "etc/resolv.conf"
        shutil.copy("/etc/resolv.conf", resolv)
        inside(tree, "bash", "-c", FROM_SID, "-", *packages, network=True)
        resolv.unlink()

    return built(f"base/{suite}-{key(release.name, packages, FROM_SID)}", build)


def engine_of(suite: str) -> str:
    """Give the version of the engine in a suite's tree: sid's own moves on with time."""
    about = ["dpkg-query", f"--admindir={base(suite)}/var/lib/dpkg", "--show", "--showformat=${Version}", "docker.io"]
    return subprocess.run(about, capture_output=True, text=True, check=True).stdout


def inside(tree: Path, *argv: str, binds: dict[Path, str] | None = None, network: bool = False) -> str:
    """Run a command with `tree` as its root, `binds` visible while it runs, and a network only if told."""
    mounts = "".join(f"mount --bind {source} {tree}{target};" for source, target in (binds or {}).items())
    script = f'set -e; mount --bind {tree} {tree}; mount -t proc proc {tree}/proc; {mounts} exec chroot {tree} "$@"'
    alone = [] if network else ["--net"]
    proxies = {name: value for name, value in os.environ.items() if network and name.lower().endswith("_proxy")}
    done = subprocess.run(
        ["unshare", "--mount", *alone, "--propagation=private", "bash", "-c", script, "-", *argv],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8", **proxies},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise LabError(f"{argv[0]} failed in {tree}:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return done.stdout

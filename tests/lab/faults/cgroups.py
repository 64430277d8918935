"""Faults of control groups: not mounted, without the controller of memory, or asked of a systemd that is not there."""

from tests.lab.fault import Fault
from tests.lab.machine import Machine

GROUPS = "/sys/fs/cgroup"
RESTART = "systemctl reset-failed docker.service docker.socket; systemctl restart docker.service"
LIMITED = "docker run --rm -m 64m busybox true 2>&1 | tee /dev/stderr | (! grep -q discarded)"
RUN = "timeout 30 docker run --rm busybox true"
BY_SYSTEMD = """
    sed -i '1s|.*|{ "exec-opts": ["native.cgroupdriver=systemd"],|' /etc/docker/daemon.json
    systemctl restart docker
"""


def without_systemd(machine: Machine) -> None:
    """Docker's data, files and configuration as they were, on a host that is not run by systemd."""
    machine.run("systemctl stop docker.socket docker.service; mv /run/systemd/system /run/systemd/system.gone")
    by_hand(machine)


def by_hand(machine: Machine) -> None:
    """Start the engine, as a script of another init system does."""
    machine.run("dockerd > /var/log/docker.log 2>&1 &\nuntil docker version >/dev/null 2>&1; do sleep 0.1; done")


FAULTS = (
    Fault(
        "kern-no-memory-cgroup:not-mounted",
        "kernel.memory-limits",
        inject=f"umount {GROUPS}/memory; {RESTART}",
        broken=LIMITED,
        severity="warning",
        verify_fix=True,
    ),
    Fault(
        "kern-no-memory-cgroup:command-line",
        "kernel.memory-limits",
        # What a kernel says that was started with cgroup_disable=memory.
        inject=f"sed 's/^\\(memory\\t.*\\)1$/\\10/' /proc/cgroups > /opt/cgroups; mount --bind /opt/cgroups /proc/cgroups;"
        f"umount {GROUPS}/memory; {RESTART}",
        broken=LIMITED,
        severity="warning",
    ),
    Fault(
        "kern-no-memory-cgroup:mounted-late",
        "kernel.memory-limits",
        inject=f"umount {GROUPS}/memory; {RESTART}; mount -t cgroup -o memory cgroup {GROUPS}/memory",
        broken=LIMITED,
        severity="warning",
        verify_fix=True,
        # These look again each time.
        engines=("20.10",),
    ),
    Fault(
        "cgroup-v1-v2-mismatch:not-mounted",
        "cgroups.mounted",
        inject=f"umount {GROUPS}/devices; {RESTART} || true",
        broken=RUN,
        verify_fix=True,
    ),
    Fault(
        "cgroup-v1-v2-mismatch:running",
        "cgroups.mounted",
        inject=f"umount {GROUPS}/devices",
        broken=RUN,
        verify_fix=True,
    ),
    Fault(
        "cgroup-v1-v2-mismatch:none",
        "cgroups.mounted",
        inject=f"for c in memory pids cpu cpuacct blkio cpuset freezer devices; do umount {GROUPS}/$c; done; {RESTART} || true",
        broken=RUN,
        verify_fix=True,
    ),
    Fault(
        "cgroup-driver-systemd-without-systemd",
        "cgroups.systemd-driver",
        setup=without_systemd,
        inject="""
            kill $(pidof dockerd); while pidof dockerd; do sleep 0.1; done
            sed -i '1s|.*|{ "exec-opts": ["native.cgroupdriver=systemd"],|' /etc/docker/daemon.json
            dockerd > /var/log/docker.log 2>&1 &
            until docker version >/dev/null 2>&1; do sleep 0.1; done
        """,
        broken=RUN,
    ),
    Fault(
        "cgroup-driver-systemd-without-systemd:no-bus",
        "cgroups.systemd-driver",
        setup=BY_SYSTEMD,
        inject="systemctl stop dbus.socket dbus.service; rm -f /run/dbus/system_bus_socket; mv /run/systemd/private /run/systemd/private.gone",
        broken=RUN,
        cure="mv /run/systemd/private.gone /run/systemd/private",
    ),
)

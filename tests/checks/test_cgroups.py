"""One row for each verdict on control groups, with what real hosts of each kind say of theirs."""

from dataclasses import replace

import pytest

from dockerdoctor.checks.cgroups import memory_limits, mounted, systemd_driver, version
from dockerdoctor.facts.cgroups import BUSES, Cgroups, Controller, cgroups
from dockerdoctor.facts.daemon_json import Flag, StartFlags
from dockerdoctor.facts.engine import DaemonProcess, EngineVersion, Installed
from dockerdoctor.host import Host
from dockerdoctor.model import Status
from tests.checks.test_daemon_json import file_of, info_of
from tests.checks.test_startup import HERE, NO_SYSTEMD, units

PASS, FAIL, SKIP = Status.PASS, Status.FAIL, Status.SKIP
NAMES = ("cpuset", "cpu", "cpuacct", "blkio", "memory", "devices", "freezer", "pids")
KNOWN = tuple(Controller(name, 2 if name.startswith("cpu") else n, True) for n, name in enumerate(NAMES, 3))
HYBRID = Cgroups("tmpfs", NAMES, KNOWN, (), True, BUSES)
UNIFIED = Cgroups("cgroup2", (), tuple(replace(c, hierarchy=0) for c in KNOWN), NAMES, True, BUSES)
BARE = replace(UNIFIED, top="", unified=(), systemd=False, buses=())
UNMOUNTED = replace(HYBRID, mounted=tuple(n for n in NAMES if n != "devices"))
NO_MEMORY = replace(HYBRID, mounted=tuple(n for n in NAMES if n != "memory"))
ODD_UNIT = units()


@pytest.mark.parametrize(
    ("groups", "status", "step"),
    [
        (HYBRID, PASS, ""),
        (UNIFIED, PASS, ""),
        (Cgroups(), SKIP, ""),
        (UNMOUNTED, FAIL, "mount -t cgroup -o devices cgroup /sys/fs/cgroup/devices"),
        # Controllers of one hierarchy are mounted together.
        (replace(HYBRID, mounted=()), FAIL, "mount -t cgroup -o cpuset,cpu,cpuacct cgroup /sys/fs/cgroup/cpuset,cpu,cpuacct"),
        (BARE, FAIL, "mount -t cgroup2 cgroup2 /sys/fs/cgroup"),
        (replace(HYBRID, top="", mounted=()), FAIL, "mount -t tmpfs cgroup /sys/fs/cgroup"),
    ],
)  # fmt: skip
def test_mounted(groups, status, step):
    found = mounted.decide(groups, ODD_UNIT, None)
    assert found.status is status
    assert not step or step in found.fix


@pytest.mark.parametrize(
    ("groups", "engine", "programs", "status"),
    [
        (HYBRID, "19.03.15", "", PASS),
        (UNIFIED, "20.10.24", "", PASS),
        (UNIFIED, "", "", PASS),
        (UNIFIED, "19.03.15", "", FAIL),
        (UNIFIED, "", "18.09.1", FAIL),
        (UNIFIED, "0.0.0-20240719213321-abc", "", PASS),  # a nightly build
    ],
)
def test_version(groups, engine, programs, status):
    told = EngineVersion(engine, "1.40", "1.12", "linux", "amd64", "5.4") if engine else None
    assert version.decide(groups, told, Installed("d", "d", "c", programs)).status is status


NO_LIMIT = info_of(warnings=("WARNING: No memory limit support", "WARNING: No swap limit support"))


@pytest.mark.parametrize(
    ("info", "groups", "status", "step"),
    [
        (info_of(), HYBRID, PASS, ""),
        # Harmless, and the commonest false alarm.
        (info_of(warnings=("WARNING: No swap limit support",)), HYBRID, PASS, ""),
        (NO_LIMIT, None, FAIL, "cgroup_enable=memory"),
        (NO_LIMIT, NO_MEMORY, FAIL, "mount -t cgroup -o memory cgroup /sys/fs/cgroup/memory"),
        (NO_LIMIT, HYBRID, FAIL, "systemctl restart docker"),
        # cgroup_disable=memory: still listed, and not enabled.
        (NO_LIMIT, replace(NO_MEMORY, known=tuple(replace(c, enabled=c.name != "memory") for c in KNOWN)), FAIL, "cgroup_enable=memory"),
        (NO_LIMIT, replace(UNIFIED, unified=("cpu", "io", "pids")), FAIL, "cgroup_enable=memory"),
        (replace(NO_LIMIT, security_options=("name=rootless",)), UNIFIED, FAIL, "Delegate=cpu cpuset io memory pids"),
    ],
)  # fmt: skip
def test_memory_limits(info, groups, status, step):
    found = memory_limits.decide(info, groups, units())
    assert found.status is status
    assert any(step in s for s in found.fix) or status is PASS


ASKED = file_of('{"exec-opts": ["native.cgroupdriver=systemd"], "debug": true}')
TWO = file_of('{"exec-opts": ["native.cgroupdriver = systemd", "isolation=default"]}')
IN_UNIT = StartFlags(
    (Flag("--exec-opt", "native.cgroupdriver=systemd", "/etc/systemd/system/docker.service", 9),), True
)
ON_SYSTEMD, NO_FLAGS = info_of(cgroup_driver="systemd"), StartFlags((), True)
ALONE = replace(HYBRID, systemd=False, buses=())


@pytest.mark.parametrize(
    ("groups", "config", "flags", "info", "status", "words"),
    [
        (HYBRID, ASKED, NO_FLAGS, ON_SYSTEMD, PASS, "is there to be asked"),
        (replace(HYBRID, buses=BUSES[1:]), ASKED, NO_FLAGS, ON_SYSTEMD, PASS, "/run/systemd/private"),
        (ALONE, None, NO_FLAGS, info_of(cgroup_driver="cgroupfs"), PASS, "itself"),
        (ALONE, ASKED, NO_FLAGS, ON_SYSTEMD, FAIL, "does not run here"),
        (ALONE, ASKED, NO_FLAGS, None, FAIL, "does not run here"),
        (ALONE, TWO, NO_FLAGS, None, FAIL, "does not run here"),
        (ALONE, None, IN_UNIT, None, FAIL, "does not run here"),
        (replace(HYBRID, buses=()), ASKED, NO_FLAGS, ON_SYSTEMD, FAIL, "its bus has no socket"),
        (ALONE, ASKED, NO_FLAGS, replace(ON_SYSTEMD, security_options=("name=rootless",)), SKIP, ""),
    ],
)
def test_systemd_driver(groups, config, flags, info, status, words):
    found = systemd_driver.decide(groups, config, flags, info, NO_SYSTEMD)
    assert found.status is status
    assert words in found.summary
    assert (found.fix[-1:] == ("service docker restart",)) is (status is FAIL)


def test_only_the_option_at_fault_is_taken_out():
    fix = systemd_driver.decide(ALONE, TWO, NO_FLAGS, None, NO_SYSTEMD).fix
    assert """tee /etc/docker/daemon.json <<< '{"exec-opts": ["isolation=default"]}'""" in fix
    fix = systemd_driver.decide(ALONE, None, IN_UNIT, None, NO_SYSTEMD).fix
    assert fix[0].startswith("sed -i '9s#")
    assert fix[1] == "systemctl daemon-reload"


# A hybrid host, and one of version 2 alone, as their kernels tell it.
MOUNTS = """\
25 1 0:22 / /sys/fs/cgroup ro,nosuid,nodev,noexec shared:9 - tmpfs tmpfs ro,mode=755
26 25 0:23 / /sys/fs/cgroup/unified rw shared:10 - cgroup2 cgroup rw,nsdelegate
27 25 0:24 / /sys/fs/cgroup/systemd rw shared:11 - cgroup cgroup rw,xattr,name=systemd
28 25 0:28 / /sys/fs/cgroup/cpu,cpuacct rw shared:15 - cgroup cgroup rw,cpu,cpuacct
29 25 0:29 / /sys/fs/cgroup/devices rw shared:16 - cgroup cgroup rw,devices
"""
LISTED = "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpu\t3\t65\t1\ncpuacct\t3\t65\t1\ndevices\t6\t65\t1\nmemory\t0\t1\t0\n"


def test_the_kernel_is_read(tmp_path):
    for path, text in {"proc/7/mountinfo": MOUNTS, "proc/cgroups": LISTED}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    found = cgroups.measure(Host(root=tmp_path, env={}), HERE, DaemonProcess(7))
    assert found.top == "tmpfs"
    assert found.mounted == ("cpu", "cpuacct", "devices")
    assert found.known[-1] == Controller("memory", 0, enabled=False)
    (tmp_path / "proc/7/mountinfo").write_text(
        "30 1 0:22 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
    )
    (tmp_path / "sys/fs/cgroup").mkdir(parents=True)
    (tmp_path / "sys/fs/cgroup/cgroup.controllers").write_text("cpuset cpu io memory pids\n")
    found = cgroups.measure(Host(root=tmp_path, env={}), HERE, DaemonProcess(7))
    assert found.top == "cgroup2"
    assert "memory" in found.unified

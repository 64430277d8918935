"""One row for each verdict on the kernel."""

from dataclasses import replace

import pytest

from dockerdoctor.checks.kernel import clone3, modules, modules_needed, time64
from dockerdoctor.facts.inside import Inside, View
from dockerdoctor.facts.kernel import Kernel, fate, kernel
from dockerdoctor.facts.log import StartLog
from dockerdoctor.host import Host
from dockerdoctor.model import Status
from tests.checks.test_startup import HERE

PASS, FAIL, SKIP = Status.PASS, Status.FAIL, Status.SKIP
DENY = "SCMP_ACT_ERRNO"


@pytest.mark.parametrize(
    ("profile", "said"),
    [
        ({"defaultAction": DENY, "syscalls": [{"names": ["clone3"], "action": "SCMP_ACT_ALLOW"}]}, "allowed"),
        ({"defaultAction": DENY, "syscalls": [{"names": ["clone"], "action": "SCMP_ACT_ALLOW"}]}, "EPERM"),
        ({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["clone3"], "action": DENY, "errnoRet": 1}]}, "EPERM"),
        ({"defaultAction": DENY, "defaultErrnoRet": 38}, "ENOSYS"),
        # As in the engine's own profile: allowed with CAP_SYS_ADMIN, else ENOSYS.
        ({"defaultAction": DENY, "syscalls": [
            {"names": ["clone3"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
            {"names": ["clone3"], "action": DENY, "errnoRet": 38, "excludes": {"caps": ["CAP_SYS_ADMIN"]}}]}, "ENOSYS"),
        ({"defaultAction": "SCMP_ACT_ALLOW"}, "allowed"),
        ([], ""),
    ],
)  # fmt: skip
def test_fate(profile, said):
    assert fate(profile, "clone3") == said


@pytest.mark.parametrize(
    ("check", "fact", "status"),
    [
        (clone3, Kernel("6.1"), SKIP),
        (clone3, Kernel("6.1", (), "/p.json", "ENOSYS"), PASS),
        (clone3, Kernel("6.1", (), "/p.json", ""), PASS),
        (clone3, Kernel("6.1", (), "/p.json", "EPERM"), FAIL),
        (modules, Kernel("6.1"), SKIP),
        (modules, Kernel("6.1", ("6.0", "6.1")), PASS),
        (modules, Kernel("6.1", ("6.2",)), FAIL),
    ],
)  # fmt: skip
def test_verdict(check, fact, status):
    assert check.decide(fact).status is status


OLD = Kernel("6.1.0-17-amd64", ("6.1.0-18-amd64",))
WHOLE = Kernel("6.1.0-18-amd64", ("6.1.0-18-amd64",))
# moby/moby#42107, moby/moby#15341
VETH = "failed to create endpoint x on network bridge: failed to add the host (veth1a) <=> sandbox (veth2b) pair interfaces: operation not supported"
NAT = "failed to start daemon: ... iptables v1.8.7 (legacy): can't initialize iptables table `nat': Table does not exist (do you need to insmod?)"


@pytest.mark.parametrize(
    ("kernel", "container", "start", "status", "words"),
    [
        (WHOLE, "", "", PASS, ""),
        (OLD, "", "", PASS, ""),
        (OLD, VETH, "", FAIL, "veth cannot be loaded: the modules of the running kernel, 6.1.0-17-amd64, are gone"),
        (OLD, "", NAT, FAIL, "ip_tables cannot be loaded"),
        (OLD, "no space left on device", "", PASS, ""),
        (replace(WHOLE, lacks=("veth",)), VETH, "", FAIL, "veth is not part of this kernel"),
        (replace(WHOLE, locked=True), VETH, "", FAIL, "told to load nothing more"),
        # A machine in a container, or a kernel in one piece: the words alone prove nothing.
        (Kernel("6.18"), VETH, "", PASS, ""),
        (WHOLE, "", NAT, PASS, ""),
    ],
)
def test_modules_needed(kernel, container, start, status, words):
    inside = Inside(View("host"), View("default bridge", error=container), View("user network", error=container))
    log = StartLog("journal", (), start, failed=bool(start))
    found = modules_needed.decide(kernel, inside, log, None)
    assert found.status is status
    assert words in found.summary


def test_modules_that_are_neither_loaded_nor_there(tmp_path):
    lists = tmp_path / "lib/modules/6.1"
    lists.mkdir(parents=True)
    (tmp_path / "proc/sys/kernel").mkdir(parents=True)
    (tmp_path / "proc/sys/kernel/osrelease").write_text("6.1\n")
    (tmp_path / "sys/module/overlay").mkdir(parents=True)
    (lists / "modules.dep").write_text("kernel/net/bridge/bridge.ko.xz: kernel/net/llc/llc.ko.xz\n")
    assert kernel.measure(Host(tmp_path, {}), HERE, None).lacks == ()  # one of the lists is missing
    (lists / "modules.builtin").write_text("kernel/net/netfilter/nf_nat.ko\n")
    assert kernel.measure(Host(tmp_path, {}), HERE, None).lacks == ("veth",)


@pytest.mark.parametrize(
    ("version", "status"),
    [
        ("", SKIP),
        ("2.3.3-4", FAIL),
        ("2.4.1-0ubuntu0.18.04.2", FAIL),
        ("2.4.4-1~bpo10+1", PASS),
        ("2.5.4-1+deb12u1", PASS),
    ],
)
def test_time64(version, status):
    assert time64.decide(Kernel("5.10.17-v7l+", libseccomp=version)).status is status

"""One row for each verdict on the kernel."""

import pytest

from dockerdoctor.checks.kernel import clone3, modules
from dockerdoctor.facts.kernel import Kernel, fate
from dockerdoctor.model import Status

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

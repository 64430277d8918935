"""The programs that the engine runs, one row a verdict."""

import pytest

from dockerdoctor.checks import programs
from dockerdoctor.facts.bad_programs import BadProgram, BadPrograms, named
from dockerdoctor.facts.engine import Installed
from dockerdoctor.facts.startup import Setting, UnitCommands
from dockerdoctor.model import Status
from tests.checks.test_startup import DEAD, HERE, ROOTLESS, WELL, units

PASS, FAIL, SKIP = Status.PASS, Status.FAIL, Status.SKIP
APT = Installed("/usr/sbin/dockerd", "/usr/bin/docker", "/usr/bin/containerd", package_manager="apt-get")
PATH = UnitCommands(
    (), settings=(Setting("/etc/systemd/system/docker.service.d/p.conf:2", "Environment", "PATH=/opt"),)
)


def bad(problem, name="runc", path="/usr/sbin/runc", package="runc"):
    return BadPrograms((BadProgram(name, "the message", path, problem, package),))


@pytest.mark.parametrize(
    ("endpoint", "ping", "found", "commands", "status", "first"),
    [
        (ROOTLESS, WELL, bad("is missing"), None, SKIP, ""),
        (HERE, WELL, BadPrograms(), None, PASS, ""),
        (HERE, WELL, bad(""), None, PASS, ""),  # it is back
        (HERE, WELL, bad("is missing"), None, FAIL, "apt-get install --reinstall -y runc"),
        (HERE, WELL, bad("is missing", package=""), None, FAIL, "# install the package again that brings runc: "),
        (HERE, WELL, bad("may not be executed"), None, FAIL, "chmod 755 /usr/sbin/runc"),
        (HERE, DEAD, bad("is not in PATH", "iptables", "/usr/sbin/iptables"), PATH, FAIL, "sed -i '2s/^/# /' "),
        (HERE, DEAD, bad("is not in PATH", "iptables", "/usr/sbin/iptables"), None, FAIL, "# correct PATH"),
    ],
)
def test_programs(endpoint, ping, found, commands, status, first):
    finding = programs.programs.decide(endpoint, found, ping, units(), commands, APT, None)
    assert finding.status is status
    assert "".join(finding.fix[:1]).startswith(first)


CRI_TOO = 'disabled_plugins = ["cri", "io.containerd.runtime.v2.task"]'


@pytest.mark.parametrize(
    ("found", "status", "first"),
    [
        (BadPrograms(), PASS, ""),
        (BadPrograms(unserved="unknown service containerd.services.tasks.v1.Tasks"), FAIL, "containerd config dump"),
        (
            BadPrograms(unserved="unknown service", disabled=CRI_TOO, disabled_at=2),
            FAIL,
            """sed -i '2s/=.*/= ["cri"]/' /etc/containerd/config.toml""",
        ),
        (
            BadPrograms(
                unserved="unknown service",
                disabled=CRI_TOO.replace('"cri"', '"io.containerd.grpc.v1.cri"'),
                disabled_at=2,
            ),
            FAIL,
            """sed -i '2s/=.*/= ["io.containerd.grpc.v1.cri"]/' /etc/containerd/config.toml""",
        ),
    ],
)
def test_containerd_plugins(found, status, first):
    finding = programs.containerd_plugins.decide(HERE, found, units(), None)
    assert finding.status is status
    assert "".join(finding.fix[:1]) == first


@pytest.mark.parametrize(
    ("message", "names"),
    [
        ('OCI runtime create failed: … exec: "runc": executable file not found in $PATH: unknown', [("runc", "", "")]),
        ("… log.json: no such file): fork/exec /usr/sbin/runc: exec format error", [("runc", "/usr/sbin/runc", "")]),
        (
            "failed to start shim: start failed: : fork/exec /usr/bin/containerd-shim-runc-v2: no such file or directory",
            [("containerd-shim-runc-v2", "/usr/bin/containerd-shim-runc-v2", "")],
        ),
        ("runc did not terminate successfully: exit status 127: /usr/sbin/runc: error while loading shared libraries: "
         "libseccomp.so.2: cannot open shared object file", [("runc", "", "libseccomp.so.2")]),
        ("failed to create NAT chain DOCKER: Iptables not found", [("iptables", "", "")]),
        # The container's own program is the container's own matter.
        ('unable to start container process: exec: "true": executable file not found in $PATH', []),
        ('unable to start container process: exec: "/usr/bin/runc-wrapper": stat: no such file', []),
    ],
)  # fmt: skip
def test_named(message, names):
    assert list(named(message)) == names

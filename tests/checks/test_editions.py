"""One row for each verdict on engines without root, and on Ubuntu's snap; the messages are real ones."""

import pytest

from dockerdoctor.checks.editions import rootless_privileged, snap
from dockerdoctor.facts.containers import Container, Containers
from dockerdoctor.facts.ports_below import LowPorts
from dockerdoctor.model import Status
from tests.checks.test_daemon_json import info_of
from tests.checks.test_startup import PROGRAMS

PASS, FAIL, SKIP = Status.PASS, Status.FAIL, Status.SKIP
ROOTLESS = info_of(security_options=("name=seccomp,profile=default", "name=rootless"))
# rootless-containers/rootlesskit#192, moby/moby#40860
PORT = (
    "driver failed programming external connectivity on endpoint web (5c): Error starting userland proxy: error while calling "
    "PortManager.AddPort(): cannot expose privileged port 80, you can add 'net.ipv4.ip_unprivileged_port_start=80' to "
    "/etc/sysctl.conf (currently 1024), or set CAP_NET_BIND_SERVICE on rootlesskit binary, or choose a larger port number "
    "(>= 1024): listen tcp4 0.0.0.0:80: bind: permission denied"
)
# canonical/docker-snap#188
MOUNT = "error while creating mount source path '/opt/app': mkdir /opt/app: read-only file system"


def containers(error, state="created"):
    return Containers((Container("1", "web", "nginx", state, state, error=error),))


@pytest.mark.parametrize(
    ("info", "error", "state", "low", "status"),
    [
        (info_of(), PORT, "created", LowPorts(), SKIP),
        (ROOTLESS, "", "created", LowPorts(), PASS),
        (ROOTLESS, PORT, "created", LowPorts(), FAIL),
        (ROOTLESS, PORT, "created", LowPorts(80), PASS),
        (ROOTLESS, PORT, "created", LowPorts(1024, allowed=True), PASS),
        (ROOTLESS, PORT, "running", LowPorts(), PASS),
    ],
)
def test_rootless_privileged(info, error, state, low, status):
    found = rootless_privileged.decide(info, containers(error, state), low)
    assert found.status is status
    if status is FAIL:
        assert found.summary == "web cannot start: an engine without root may not publish port 80"
        assert found.fix[0] == "sysctl -w net.ipv4.ip_unprivileged_port_start=80"


SNAP = info_of(root_dir="/var/snap/docker/common/var-lib-docker")


@pytest.mark.parametrize(
    ("info", "error", "status"),
    [
        (info_of(root_dir="/var/lib/docker"), MOUNT, SKIP),
        (SNAP, "", PASS),
        (SNAP, "no space left on device", PASS),
        (SNAP, MOUNT, FAIL),
    ],
)
def test_snap(info, error, status):
    assert snap.decide(info, containers(error), PROGRAMS).status is status

"""One row a verdict: is the socket in a container the one that is there?"""

import pytest

from dockerdoctor.checks import mounted_sockets
from dockerdoctor.facts.mounted_sockets import MountedSocket, MountedSockets
from dockerdoctor.model import Status

WELL = MountedSocket("agent", "/var/run/docker.sock", "/var/run/docker.sock")
STALE = MountedSocket("panel", "/s.sock", "/run/docker.sock", "/docker.sock//deleted at /s.sock")


@pytest.mark.parametrize(
    ("sockets", "status", "fix"),
    [
        ((), Status.SKIP, ()),
        ((WELL,), Status.PASS, ()),
        ((WELL, STALE, STALE), Status.FAIL, ("docker restart panel",)),
    ],
)
def test_mounted_socket(sockets, status, fix):
    finding = mounted_sockets.mounted_socket.decide(MountedSockets(sockets))
    assert finding.status is status
    assert finding.fix == fix

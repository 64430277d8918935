"""Whether a container can be started: what failed, what was not asked, and what others explain."""

import pytest

from dockerdoctor.checks import containers
from dockerdoctor.facts.engine import DaemonProcess
from dockerdoctor.facts.inside import Inside, View
from dockerdoctor.facts.probe_container import NO_PYTHON
from dockerdoctor.model import Status


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ("", Status.PASS),
        ("OCI runtime create failed", Status.FAIL),
        ("no answer within 8 s", Status.UNKNOWN),
        (NO_PYTHON, Status.UNKNOWN),  # a remote engine without an image: nothing is wrong with it
    ],
)
def test_start(error, status):
    inside = Inside(View("host"), View("default bridge", error=error), View("user network", error=error))
    assert containers.start.decide(inside, DaemonProcess(7)).status is status


def test_start_by_an_engine_of_another_machine():
    error = 'exec: "/usr/local/bin/python3": no such file or directory'  # a CI job in a container with docker.sock
    inside = Inside(View("host"), View("default bridge", error=error), View("user network", error=error))
    assert containers.start.decide(inside, DaemonProcess(0)).status is Status.UNKNOWN

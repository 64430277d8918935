"""Which containers hold a socket that is gone: by the kernel's own list of their mounts."""

import socket

import pytest

from dockerdoctor.facts.container_details import Details, Mount
from dockerdoctor.facts.containers import Container, Containers
from dockerdoctor.facts.endpoint import ChosenEndpoint
from dockerdoctor.facts.engine import DaemonProcess
from dockerdoctor.facts.mounted_sockets import mounted_sockets
from dockerdoctor.host import Host
from dockerdoctor.measure import Unmeasured

HERE = ChosenEndpoint("unix:///var/run/docker.sock", "default")
RUNS = DaemonProcess(7)
LINE = "1231 1211 0:106 {} {} rw,nosuid,nodev - tmpfs tmpfs rw,size=4936820k\n"


def patient(tmp_path, monkeypatch, mountinfo):
    (tmp_path / "run").mkdir()
    (tmp_path / "var").mkdir()
    (tmp_path / "var/run").symlink_to("../run")
    monkeypatch.chdir(tmp_path / "run")  # a socket's path holds but 107 bytes
    socket.socket(socket.AF_UNIX).bind("docker.sock")
    (tmp_path / "proc/42").mkdir(parents=True)
    if mountinfo is not None:
        (tmp_path / "proc/42/mountinfo").write_text(mountinfo)
    return Host(tmp_path, env={})


def agent(source="/var/run/docker.sock", destination="/var/run/docker.sock", kind="bind"):
    details = Details(mounts=(Mount(kind, source, destination),))
    return Containers((Container("1" * 64, "agent", "i", "running", "Up", pid=42, details=details),))


@pytest.mark.parametrize(
    ("container", "mountinfo", "looked_at", "stale"),
    [
        (agent(), LINE.format("/docker.sock//deleted", "/var/run/docker.sock"), 1, 1),
        # /var/run is a link in most images.
        (agent(), LINE.format("/docker.sock//deleted", "/run/docker.sock"), 1, 1),
        (agent("/run/docker.sock", "/a b.sock"), LINE.format("/docker.sock//deleted", r"/a\040b.sock"), 1, 1),
        (agent(), LINE.format("/docker.sock", "/run/docker.sock"), 1, 0),
        # Some other file that is gone.
        (agent(), LINE.format("/x//deleted", "/etc/x") + LINE.format("/docker.sock", "/run/docker.sock"), 1, 0),
        (agent(), None, 1, 0),  # it has ended meanwhile
        (agent("/run", "/run"), "", 0, 0),
        (agent("/run/other.sock"), "", 0, 0),
        (Containers(()), "", 0, 0),
    ],
)
def test_mounted(tmp_path, monkeypatch, container, mountinfo, looked_at, stale):
    host = patient(tmp_path, monkeypatch, mountinfo)
    found = mounted_sockets.measure(host, endpoint=HERE, containers=container, process=RUNS)
    assert (len(found.all), len(found.stale)) == (looked_at, stale)


def test_an_engine_elsewhere(tmp_path):
    for endpoint, process in ((ChosenEndpoint("tcp://h:1", "DOCKER_HOST"), RUNS), (HERE, DaemonProcess(0))):
        with pytest.raises(Unmeasured):
            mounted_sockets.measure(Host(tmp_path, env={}), endpoint=endpoint, containers=agent(), process=process)

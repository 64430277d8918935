"""Plugins and Python libraries as files: what the client and each interpreter would find, none of it run."""

import struct

import pytest

from dockerdoctor.checks import python_clients as checks
from dockerdoctor.facts.endpoint import ChosenEndpoint, ClientConfig
from dockerdoctor.facts.engine import Installed
from dockerdoctor.facts.plugins import DANGLING, plugins
from dockerdoctor.facts.python_clients import PythonClients, python_clients
from dockerdoctor.host import Host
from dockerdoctor.model import Status

CONFIG = ClientConfig("/root/.docker/config.json", exists=False)
PROGRAMS = Installed("/usr/sbin/dockerd", "/usr/bin/docker", "", package_manager="apt-get")


def elf(machine=62):
    return b"\x7fELF" + bytes(14) + struct.pack("<H", machine) + bytes(60)


def put(root, path, data=b"#!/bin/sh\n", mode=0o755):
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    file.chmod(mode)


OWN, SYSTEM = "root/.docker/cli-plugins/docker-buildx", "usr/libexec/docker/cli-plugins/docker-buildx"


@pytest.mark.parametrize(
    ("data", "mode", "problem"),
    [
        (b"#!/bin/sh\n", 0o755, ""),
        (elf(), 0o755, ""),
        (elf(), 0o644, "may not be executed"),
        (b"Not Found\n", 0o755, "is no program: it begins with 'Not Found'"),
        (b"", 0o755, "is empty"),
        (elf(22), 0o755, "is a program for s390x, and this is amd64"),
    ],
)
def test_plugin(tmp_path, monkeypatch, data, mode, problem):
    monkeypatch.setattr("os.uname", lambda: type("", (), {"machine": "x86_64"}))
    put(tmp_path, OWN, data, mode)
    put(tmp_path, SYSTEM)
    found = plugins.measure(Host(tmp_path, env={"HOME": "/root"}), config=CONFIG, programs=PROGRAMS)
    assert found.buildx.path == f"/{OWN}"
    assert found.buildx.problem == problem
    assert found.buildx.shadows == (f"/{SYSTEM}",)
    assert not found.compose.path


def test_what_docker_desktop_left(tmp_path):
    (tmp_path / OWN).parent.mkdir(parents=True)
    (tmp_path / OWN).symlink_to("/nowhere/docker-buildx")
    found = plugins.measure(Host(tmp_path, env={"HOME": "/root"}), config=CONFIG, programs=PROGRAMS)
    assert (found.buildx.problem, found.buildx.works, found.buildx.dangling) == (DANGLING, False, True)
    put(tmp_path, SYSTEM)
    found = plugins.measure(Host(tmp_path, env={"HOME": "/root"}), config=CONFIG, programs=PROGRAMS)
    assert (found.buildx.path, found.buildx.works, found.buildx.link) == (f"/{SYSTEM}", True, f"/{OWN}")


NEW_REQUESTS = b"def get_connection_with_tls_context(self):"
OLD_DOCKER = b"class UnixHTTPConnection(httplib.HTTPConnection):\n"
DOCKER = b"class UnixHTTPConnection(urllib3.connection.HTTPConnection):\n"


def environment(root, folder, docker, requests, urllib3, transport, adapters):
    for name, version in (("docker", docker), ("requests", requests), ("urllib3", urllib3)):
        put(root, f"{folder}/{name}-{version}.dist-info/METADATA", b"")
    mended = NEW_REQUESTS if NEW_REQUESTS in transport else b""
    put(root, f"{folder}/docker/transport/unixconn.py", transport.replace(NEW_REQUESTS, b""))
    put(root, f"{folder}/docker/transport/basehttpadapter.py", mended)
    put(root, f"{folder}/requests/adapters.py", adapters)
    put(root, f"{folder}/urllib3/connection.py", b"")


@pytest.mark.parametrize(
    ("versions", "transport", "adapters", "problem"),
    [
        (("6.1.3", "2.31.0", "2.2.0"), DOCKER, b"def get_connection(self):", ""),
        (("6.1.3", "2.32.3", "2.2.0"), DOCKER, NEW_REQUESTS, "requests"),
        (("6.1.3", "2.32.0", "2.2.0"), DOCKER, b"def _get_connection(self):", "requests"),
        (("7.1.0", "2.32.0", "2.2.0"), DOCKER + NEW_REQUESTS, b"def _get_connection(self):", "requests"),
        (("7.1.0", "2.32.3", "2.2.0"), DOCKER + NEW_REQUESTS, NEW_REQUESTS, ""),
        (("6.0.1", "2.31.0", "2.2.0"), OLD_DOCKER, b"def get_connection(self):", "urllib3"),
        (("6.0.1", "2.28.1", "1.26.12"), OLD_DOCKER, b"def get_connection(self):", ""),
        # A distribution that has mended its own.
        (("5.0.3", "2.32.3", "2.0.7"), DOCKER + NEW_REQUESTS, NEW_REQUESTS, ""),
    ],
)
def test_docker_py(tmp_path, versions, transport, adapters, problem):
    environment(tmp_path, "v/lib/python3.11/site-packages", *versions, transport, adapters)
    put(tmp_path, "v/pyvenv.cfg", b"include-system-site-packages = false\n")
    put(tmp_path, "v/bin/python3")
    host = Host(tmp_path, env={"HOME": "/root", "VIRTUAL_ENV": "/v", "PATH": "/nowhere", "PWD": "/x"})
    found = python_clients.measure(host)
    (client,) = [c for c in found.all if c.program == "/v/bin/python3"]
    assert (client.docker, client.requests, client.urllib3, client.problem) == (*versions, problem)
    assert client.own
    finding = checks.docker_py.decide(ChosenEndpoint("unix:///var/run/docker.sock", "default"), found, None)
    assert finding.status is (Status.FAIL if problem else Status.PASS)
    newer = " 'requests>=2.32.2'" if problem == "requests" else ""
    assert finding.fix == ((f"/v/bin/python3 -m pip install 'docker>=7.1'{newer}",) if problem else ())


def test_docker_py_for_another_transport_or_none():
    far, here = ChosenEndpoint("tcp://h:1", "DOCKER_HOST"), ChosenEndpoint("unix:///x.sock", "default")
    assert checks.docker_py.decide(far, PythonClients(()), None).status is Status.SKIP
    assert checks.docker_py.decide(here, PythonClients(()), None).status is Status.SKIP

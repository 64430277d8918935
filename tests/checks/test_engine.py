"""One row a verdict: which engine, may I, does it answer."""

from dataclasses import replace

import pytest

from dockerdoctor.checks import endpoint, engine, engine_socket
from dockerdoctor.facts.containers import Container, Containers
from dockerdoctor.facts.endpoint import (
    ChosenEndpoint,
    ClientConfig,
    DaemonPing,
    Export,
    Exports,
    SocketAccess,
    SocketFile,
)
from dockerdoctor.facts.engine import DaemonProcess, EngineApi, EngineVersion, Installed, Unit, Units
from dockerdoctor.facts.ping import OtherEngines
from dockerdoctor.model import Status

FAIL, PASS, SKIP, UNKNOWN = Status.FAIL, Status.PASS, Status.SKIP, Status.UNKNOWN

HERE = ChosenEndpoint("unix:///var/run/docker.sock", "default")
BY_ENV = ChosenEndpoint("tcp://127.0.0.1:2375", "DOCKER_HOST")
BY_FLAG = replace(BY_ENV, source="--host")
CONFIG = ClientConfig("/root/.docker/config.json", exists=True, current_context="desk")
BY_CONTEXT = ChosenEndpoint("unix:///root/desk.sock", f"context desk ({CONFIG.path})")
WELL = DaemonPing(
    "ok", answered=True, status=200, outcome="ok", api_version="1.41", server="Docker/20.10.24", seconds=0.01
)
REFUSED = DaemonPing("ECONNREFUSED", answered=False, outcome="ECONNREFUSED")
HANGS = DaemonPing("ok", answered=False, outcome="timeout", seconds=3)
DENIED = DaemonPing("EACCES", answered=False, outcome="EACCES")
LIES = DaemonPing("ok", answered=False, outcome="HTTP 500, API-Version '': 'boom'")
ANOTHER = OtherEngines(("unix:///var/run/docker.sock",))
NOBODY = OtherEngines(())
LINE = Export("/root/.bashrc:7", "DOCKER_HOST", BY_ENV.url)
EXPORTS = Exports((("DOCKER_HOST", BY_ENV.url),), (LINE,))
RUNS = DaemonProcess(7, ("dockerd",), state="S")


@pytest.mark.parametrize(
    ("config", "status", "says"),
    [
        (replace(CONFIG, exists=False), PASS, "no /root"),
        (CONFIG, PASS, "well-formed"),
        (replace(CONFIG, problem="line 1 column 14: Illegal trailing comma"), FAIL, "line 1 column 14"),
        (replace(CONFIG, problem="Permission denied"), FAIL, "permission denied"),
    ],
)
def test_client_config(config, status, says):
    finding = endpoint.client_config.decide(config)
    assert finding.status is status
    assert says in finding.summary
    if "denied" in says:
        assert finding.fix == ("chown -R $(stat -c %u:%g /root) /root/.docker",)


@pytest.mark.parametrize(
    ("chosen", "ping", "others", "status", "fix"),
    [
        (HERE, REFUSED, NOBODY, PASS, ()),
        (BY_ENV, WELL, NOBODY, PASS, ()),
        (BY_ENV, REFUSED, ANOTHER, FAIL, ("sed -i '7s/^/# /' /root/.bashrc", "unset DOCKER_HOST")),
        (BY_ENV, HANGS, ANOTHER, FAIL, ("sed -i '7s/^/# /' /root/.bashrc", "unset DOCKER_HOST")),
        (BY_FLAG, REFUSED, ANOTHER, FAIL, ("docker -H unix:///var/run/docker.sock version",)),
        # With no other engine, that nobody answers there is all there is to say.
        (BY_ENV, REFUSED, NOBODY, PASS, ()),
        (BY_ENV, REFUSED, None, PASS, ()),
        (
            replace(BY_ENV, problem="unable to parse"),
            DaemonPing("EINVAL", answered=False),
            NOBODY,
            FAIL,
            ("sed -i '7s/^/# /' /root/.bashrc", "unset DOCKER_HOST"),
        ),
    ],
)
def test_docker_host(chosen, ping, others, status, fix):
    finding = endpoint.docker_host.decide(chosen, ping, EXPORTS, others)
    assert finding.status is status
    assert finding.fix == fix


def test_docker_host_names_the_file():
    finding = endpoint.docker_host.decide(BY_ENV, REFUSED, EXPORTS, ANOTHER)
    assert any(e.source == "/root/.bashrc:7" for e in finding.evidence)


@pytest.mark.parametrize(
    ("chosen", "ping", "others", "status", "fix"),
    [
        (HERE, WELL, NOBODY, PASS, ()),
        (BY_CONTEXT, WELL, NOBODY, PASS, ()),
        (BY_CONTEXT, REFUSED, ANOTHER, FAIL, ("docker --context default context use default",)),
        (BY_CONTEXT, REFUSED, NOBODY, PASS, ()),
        (replace(BY_CONTEXT, url="", problem="context 'desk' does not exist"), REFUSED, NOBODY, FAIL, None),
        (
            replace(BY_CONTEXT, source="context desk (DOCKER_CONTEXT)"),
            REFUSED,
            ANOTHER,
            FAIL,
            ("unset DOCKER_CONTEXT",),
        ),
    ],
)
def test_context(chosen, ping, others, status, fix):
    finding = endpoint.context.decide(chosen, ping, CONFIG, EXPORTS, others)
    assert finding.status is status
    assert fix is None or finding.fix == fix


SOCK = SocketFile("/var/run/docker.sock", "socket", 0o660, 0, 999, "docker")
BOB = SocketAccess("bob", root=False, in_session=False, in_database=False, docker_group=True, members=("alice",))
ADDED = replace(BOB, in_database=True)
MEMBER = replace(ADDED, in_session=True)


@pytest.mark.parametrize(
    ("ping", "file", "access", "permission", "session", "says"),
    [
        (WELL, SOCK, MEMBER, PASS, PASS, "may connect"),
        (REFUSED, SOCK, BOB, PASS, PASS, "may connect"),
        (DENIED, SOCK, BOB, FAIL, PASS, "bob is not in the group docker"),
        (DENIED, SOCK, ADDED, PASS, FAIL, "though not in this session"),
        (DENIED, SOCK, MEMBER, FAIL, PASS, "still refuses"),
        (DENIED, replace(SOCK, mode=0o600), MEMBER, FAIL, PASS, "closed to its group"),
        (DENIED, replace(SOCK, gid=0, group="root"), BOB, FAIL, PASS, "belongs to the group root"),
        (DENIED, replace(SOCK, kind="denied"), BOB, FAIL, PASS, "may not look into"),
        (WELL, SocketFile("", "missing"), BOB, SKIP, PASS, "no Unix socket"),
    ],
)
def test_permission(ping, file, access, permission, session, says):
    finding = engine_socket.socket_permission.decide(ping, file, access, None, None)
    assert finding.status is permission
    assert says in finding.summary
    assert engine_socket.session_group.decide(ping, file, access).status is session


@pytest.mark.parametrize(
    ("chosen", "process", "ping", "status"),
    [
        (HERE, RUNS, WELL, PASS),
        (HERE, replace(RUNS, state="T"), HANGS, FAIL),
        (HERE, replace(RUNS, state="t"), HANGS, FAIL),
        (HERE, replace(RUNS, state="D"), HANGS, FAIL),
        (HERE, replace(RUNS, state="D"), WELL, PASS),  # a moment of it is normal
        (HERE, RUNS, HANGS, PASS),
        (HERE, DaemonProcess(0), REFUSED, SKIP),
        (BY_CONTEXT, RUNS, HANGS, SKIP),
    ],
)
def test_frozen(chosen, process, ping, status):
    finding = engine.frozen.decide(chosen, process, ping)
    assert finding.status is status
    if process.state in {"T", "t"}:
        assert finding.fix == ("kill -CONT 7",)


@pytest.mark.parametrize(
    ("chosen", "ping", "status", "fix"),
    [
        (HERE, WELL, PASS, ()),
        (HERE, HANGS, PASS, ()),
        (HERE, REFUSED, FAIL, ("systemctl start docker.service",)),
        (HERE, DENIED, FAIL, ()),
        (HERE, replace(REFUSED, connect="EAGAIN"), FAIL, ()),
        (replace(HERE, url="unix:///run/user/1000/docker.sock"), REFUSED, FAIL, ("systemctl --user start docker",)),
        (BY_ENV, REFUSED, FAIL, None),
        (BY_CONTEXT, replace(REFUSED, connect="ENOENT"), FAIL, None),
        (replace(HERE, problem="unable to parse"), replace(REFUSED, connect="EINVAL"), FAIL, ()),
    ],
)
def test_reachable(chosen, ping, status, fix):
    finding = engine.reachable.decide(chosen, ping, EXPORTS)
    assert finding.status is status
    assert fix is None or finding.fix == fix


STARTING = Units(True, Unit("docker.service", active="activating", sub="start"), Unit("s"), Unit("c"))


@pytest.mark.parametrize(
    ("chosen", "ping", "process", "known", "status", "says"),
    [
        (HERE, WELL, RUNS, None, PASS, "answered in 10 ms"),
        (HERE, REFUSED, None, None, FAIL, "was not reached"),
        (HERE, HANGS, RUNS, None, FAIL, "does not answer (3 s waited)"),
        (HERE, HANGS, RUNS, STARTING, FAIL, "still starting"),
        (BY_ENV, HANGS, None, None, FAIL, "does not answer"),
        (HERE, LIES, RUNS, None, FAIL, "not as an engine does: HTTP 500"),
    ],
)
def test_responsive(chosen, ping, process, known, status, says):
    finding = engine.responsive.decide(chosen, ping, process, known)
    assert finding.status is status
    assert says in finding.summary


@pytest.mark.parametrize(
    ("answers", "status"),
    [
        (EngineApi("ok", "ok"), PASS),
        (EngineApi("ok", "GET /info: no answer within 1 s"), FAIL),
        (EngineApi("GET /version: HTTP 500: boom", "ok"), FAIL),
    ],
)
def test_api(answers, status):
    assert engine.api.decide(HERE, answers).status is status


NEW = EngineVersion("20.10.24", "1.41", "1.12", "linux", "amd64", "6.1")


@pytest.mark.parametrize(
    ("version", "status"),
    [
        ("20.10.24+dfsg1", PASS),
        ("1.13.0", PASS),
        ("29.1.2", PASS),
        ("28.0.0-rc.1", PASS),
        ("1.12.6", FAIL),
        ("dev", UNKNOWN),
        ("0.0.0-20240719170126-bd4f1a7", UNKNOWN),  # a nightly build
        ("", UNKNOWN),
    ],
)
def test_version(version, status):
    assert engine.version.decide(replace(NEW, version=version)).status is status


@pytest.mark.parametrize(
    ("asked", "known", "status", "says"),
    [
        ("", NEW, PASS, "not set"),
        ("1.41", NEW, PASS, "speaks API 1.41"),
        ("1.40", replace(NEW, min_api=""), PASS, "speaks"),
        ("1.45", NEW, FAIL, "newer"),
        ("1.9", NEW, FAIL, "older"),
        ("1.41", replace(NEW, api="1.52", min_api="1.44"), FAIL, "older"),
        ("latest", NEW, FAIL, "newer"),
    ],
)
def test_client_api(asked, known, status, says):
    exports = Exports((("DOCKER_API_VERSION", asked),) if asked else (), ())
    finding = engine.client_api.decide(known, exports)
    assert finding.status is status
    assert says in finding.summary


@pytest.mark.parametrize(
    ("mine", "others", "status"),
    [
        (0, NOBODY, PASS),
        (0, OtherEngines(("unix:///a",), (0,)), PASS),
        (0, OtherEngines(("unix:///a",), (-1,)), PASS),
        (0, OtherEngines(("unix:///a",), (3,)), FAIL),
        (1, OtherEngines(("unix:///a",), (3,)), PASS),
    ],
)
def test_same_engine(mine, others, status):
    containers = Containers(tuple(Container(str(n), f"c{n}", "busybox", "exited", "Exited (0)") for n in range(mine)))
    assert engine.same_engine.decide(BY_CONTEXT, containers, others).status is status


PROGRAMS = Installed("/usr/sbin/dockerd", "/usr/bin/docker", "", package_manager="apt-get")


@pytest.mark.parametrize(
    ("programs", "ping", "status"),
    [
        (PROGRAMS, WELL, PASS),
        (replace(PROGRAMS, docker=""), WELL, FAIL),
        (replace(PROGRAMS, podman_shim=True), WELL, FAIL),
        (Installed("", "", ""), REFUSED, SKIP),
    ],
)
def test_cli(programs, ping, status):
    assert engine.cli.decide(programs, ping).status is status

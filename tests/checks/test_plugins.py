"""One row a verdict: can the client's plugins be run, and are those there that are asked for?"""

from dataclasses import replace

import pytest

from dockerdoctor.checks import build, plugins
from dockerdoctor.facts.build import BuildFile, Context, Copied, Excluded
from dockerdoctor.facts.caller import Caller
from dockerdoctor.facts.endpoint import ClientConfig, DaemonPing, Exports
from dockerdoctor.facts.plugins import DANGLING, Cli, Plugin, Plugins
from dockerdoctor.model import Status

FAIL, PASS, SKIP = Status.FAIL, Status.PASS, Status.SKIP
NO_BUILDX, NO_COMPOSE = Plugin("buildx", ""), Plugin("compose", "")
BUILDX, COMPOSE = Plugin("buildx", "/p/docker-buildx"), Plugin("compose", "/p/docker-compose")
NONE = Plugins(NO_BUILDX, NO_COMPOSE, distribution="debian 13", package_manager="apt-get")
BOTH = replace(NONE, buildx=BUILDX, compose=COMPOSE)
CLOSED = replace(BUILDX, problem="may not be executed")
LEFT = replace(BUILDX, problem=DANGLING)


@pytest.mark.parametrize(
    ("found", "status", "fix"),
    [
        (NONE, SKIP, ()),
        (BOTH, PASS, ()),
        (replace(BOTH, buildx=CLOSED), FAIL, ("chmod +x /p/docker-buildx",)),
        (replace(BOTH, buildx=replace(CLOSED, shadows=("/q/docker-buildx",))), FAIL, ("rm /p/docker-buildx",)),
        (
            replace(BOTH, compose=replace(COMPOSE, problem="is empty")),
            FAIL,
            ("rm /p/docker-compose", "apt-get update", "apt-get install -y docker-compose"),
        ),
        (replace(BOTH, buildx=LEFT), PASS, ()),  # what Docker Desktop left is as good as nothing
    ],
)
def test_usable(found, status, fix):
    finding = plugins.usable.decide(found, None)
    assert finding.status is status
    assert finding.fix == fix


@pytest.mark.parametrize(
    ("version", "status"), [("20.10.24", PASS), ("26.1.5+dfsg1", FAIL), ("28.5.2", PASS), ("", PASS)]
)
def test_a_link_before_buildx(version, status):
    finding = plugins.usable.decide(replace(BOTH, buildx=replace(BUILDX, link="/l/docker-buildx")), Cli(version))
    assert finding.status is status
    assert finding.fix == (("rm /l/docker-buildx",) if status is FAIL else ())


@pytest.mark.parametrize(
    ("found", "status"),
    [
        (NONE, SKIP),
        (replace(NONE, compose_file="compose.yaml"), FAIL),
        (replace(BOTH, compose_file="compose.yaml"), PASS),
        (replace(NONE, compose_file="compose.yaml", docker_compose="/usr/bin/docker-compose"), PASS),
    ],
)
def test_compose(found, status):
    assert plugins.compose.decide(found).status is status


V1 = replace(NONE, docker_compose="/usr/bin/docker-compose", compose_v1=True)


@pytest.mark.parametrize(
    ("found", "status"),
    [
        (NONE, PASS),
        (V1, SKIP),
        (replace(V1, compose_file="compose.yaml"), FAIL),
        (replace(V1, compose_file="compose.yaml", compose=COMPOSE), PASS),
        (replace(V1, compose_file="compose.yaml", compose_v1=False), PASS),
    ],
)
def test_compose_v1(found, status):
    assert plugins.compose_v1.decide(found).status is status


@pytest.mark.parametrize(
    ("distribution", "manager", "docker_packages", "name", "last"),
    [
        ("debian 13", "apt-get", False, "buildx", "apt-get install -y docker-buildx"),
        ("debian 12", "apt-get", False, "compose", "# no package"),
        ("debian 12", "apt-get", True, "compose", "apt-get install -y docker-compose-plugin"),
        ("ubuntu 24.04", "apt-get", False, "compose", "apt-get install -y docker-compose-v2"),
        ("alpine 3.20", "apk", False, "compose", "apk add docker-cli-compose"),
        ("rhel 9", "yum", False, "buildx", "# no package"),
        ("", "", False, "buildx", "# no package"),
    ],
)
def test_install(distribution, manager, docker_packages, name, last):
    here = replace(NONE, distribution=distribution, package_manager=manager, docker_packages=docker_packages)
    assert plugins.install(name, here)[-1].startswith(last)


OLD, NEW = Cli("20.10.24+dfsg1"), Cli("28.5.2")
CONFIG = ClientConfig("/root/.docker/config.json", exists=True)
PLAIN = BuildFile("/a/Dockerfile", copies=(Copied(2, "app"),))
MOUNTS = replace(PLAIN, needs=((3, "RUN --mount=type=cache,target=/c true"),))
HEREDOC = replace(PLAIN, needs_newer=((3, "RUN <<EOF"),))


def told(value):
    return Exports((("DOCKER_BUILDKIT", value),) if value else (), ())


@pytest.mark.parametrize(
    ("found", "cli", "config", "value", "file", "status"),
    [
        (BOTH, NEW, CONFIG, "1", MOUNTS, PASS),
        (NONE, OLD, CONFIG, "1", MOUNTS, SKIP),  # BuildKit is in the client
        (NONE, Cli(""), CONFIG, "1", MOUNTS, SKIP),
        (NONE, NEW, CONFIG, "", None, PASS),
        (NONE, NEW, CONFIG, "", PLAIN, PASS),
        (NONE, NEW, CONFIG, "1", None, FAIL),
        (NONE, NEW, replace(CONFIG, builder="buildx"), "", None, FAIL),
        (NONE, NEW, replace(CONFIG, builder="buildx"), "0", None, PASS),
        (NONE, NEW, CONFIG, "", MOUNTS, FAIL),
        (NONE, NEW, CONFIG, "", HEREDOC, FAIL),
        (NONE, NEW, CONFIG, "0", MOUNTS, PASS),  # judged by build.builder
    ],
)
def test_buildx(found, cli, config, value, file, status):
    finding = build.buildx.decide(found, cli, config, told(value), file)
    assert finding.status is status
    if status is FAIL:
        assert finding.fix[:2] == ("apt-get update", "apt-get install -y docker-buildx")


WELL = DaemonPing("ok", answered=True)


@pytest.mark.parametrize(
    ("cli", "found", "value", "ping", "file", "status", "fix"),
    [
        (OLD, NONE, "", WELL, None, SKIP, ()),
        (OLD, NONE, "yes", WELL, None, FAIL, ("unset DOCKER_BUILDKIT",)),
        (OLD, NONE, "", WELL, PLAIN, PASS, ()),
        (OLD, NONE, "", WELL, MOUNTS, FAIL, ("export DOCKER_BUILDKIT=1",)),
        (OLD, NONE, "", WELL, HEREDOC, PASS, ()),  # to be told by its syntax line alone
        (OLD, NONE, "1", WELL, MOUNTS, PASS, ()),
        (OLD, NONE, "", replace(WELL, builder="2"), MOUNTS, PASS, ()),
        (OLD, NONE, "0", replace(WELL, builder="2"), MOUNTS, FAIL, ("unset DOCKER_BUILDKIT",)),
        (NEW, BOTH, "", WELL, MOUNTS, PASS, ()),
        (NEW, BOTH, "0", WELL, MOUNTS, FAIL, ("unset DOCKER_BUILDKIT",)),
        (NEW, NONE, "", WELL, MOUNTS, PASS, ()),  # judged by client.buildx
    ],
)
def test_builder(cli, found, value, ping, file, status, fix):
    finding = build.builder.decide(cli, found, told(value), ping, file)
    assert finding.status is status
    assert finding.fix == fix


GIB = 1 << 30
SMALL = Context("/a", "", 1000, complete=True)
HUGE = replace(SMALL, size=3 * GIB, largest=(("data", 3 * GIB),))
ALL = replace(PLAIN, copies=(Copied(2, "."),))


@pytest.mark.parametrize(
    ("file", "context", "found", "status"),
    [
        (ALL, SMALL, BOTH, PASS),
        (ALL, HUGE, BOTH, FAIL),
        (ALL, replace(HUGE, ignore_file="/a/.dockerignore"), BOTH, PASS),
        (PLAIN, HUGE, BOTH, PASS),  # BuildKit takes what is named
        (PLAIN, HUGE, NONE, FAIL),  # the old builder takes all
        (replace(PLAIN, copies=(Copied(2, "data"),)), HUGE, NONE, PASS),  # it is meant to be there
        (replace(PLAIN, mounts=True), HUGE, BOTH, FAIL),
    ],
)
def test_context_size(file, context, found, status):
    finding = build.context_size.decide(file, context, NEW, found, told(""), WELL)
    assert finding.status is status
    if status is FAIL:
        assert finding.fix[-1] == "echo data >> /a/.dockerignore"


ANN = Caller("ann", root=False, home="/home/ann", doctor="/usr/bin/doctor")


@pytest.mark.parametrize(
    ("file", "unreadable", "closed", "found", "status"),
    [
        (ALL, (), (), BOTH, PASS),
        (ALL, ("data/pg",), (), BOTH, FAIL),
        (PLAIN, ("data/pg",), (), BOTH, PASS),
        (PLAIN, ("app/x",), (), BOTH, FAIL),
        (PLAIN, ("data/pg",), (), NONE, FAIL),
        # The old builder looks into what is kept out, too.
        (ALL, (), ("data",), BOTH, PASS),
        (ALL, (), ("data",), NONE, FAIL),
    ],
)
def test_context_readable(file, unreadable, closed, found, status):
    context = replace(SMALL, unreadable=unreadable, closed=closed)
    finding = build.context_readable.decide(file, context, ANN, NEW, found, told(""), WELL)
    assert finding.status is status
    if status is FAIL:
        ignored = tuple(f"echo {path} >> /a/.dockerignore" for path in unreadable)
        assert finding.fix[: len(ignored)] == ignored
        assert ("apt-get install -y docker-buildx" in finding.fix) == (found is NONE)


@pytest.mark.parametrize(
    ("context", "status", "fix"),
    [
        (SMALL, PASS, ()),
        (
            replace(SMALL, ignore_file="/a/.dockerignore", excluded=(Excluded(2, "app", "/a/.dockerignore:3 app*"),)),
            FAIL,
            ("echo '!app' >> /a/.dockerignore",),
        ),
        (replace(SMALL, other_case=((2, "app", "App"),)), FAIL, ("sed -i '2s#app#App#' /a/Dockerfile",)),
    ],
)
def test_context_excludes(context, status, fix):
    finding = build.context_excludes.decide(PLAIN, context)
    assert finding.status is status
    assert finding.fix == fix

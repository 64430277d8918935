"""Why containers do not run: each reason by what the engine, the exit code, the last words and the files say."""

from dataclasses import replace
from datetime import datetime, timezone

import pytest

from dockerdoctor.checks import ended, running
from dockerdoctor.checks.ended_words import case_of
from dockerdoctor.checks.endings import Scene, updated
from dockerdoctor.facts.container_details import Details, Health, Mount
from dockerdoctor.facts.containers import Attachment, Container, Containers, Network, Networks
from dockerdoctor.facts.endings import Death, Denied, Ending, Endings, Source
from dockerdoctor.facts.limits import Limits, Usage
from dockerdoctor.facts.program import Program
from dockerdoctor.model import Status

NOW = 1795501200.0  # 2026-11-24T06:20:00Z
MADE, BEGAN, ENDED = "2026-11-24T06:10:00.0Z", "2026-11-24T06:19:57.0Z", "2026-11-24T06:19:57.1Z"
ONCE = Container(
    "a" * 64, "web", "busybox", "exited", "Exited (1) 3 seconds ago", exit_code=1, created=MADE, started=BEGAN,
    finished=ENDED, inspected=True, command=("/app/run",), networks=(Attachment("bridge", "b1", ""),), details=Details(),
)  # fmt: skip
LOOP = replace(ONCE, state="restarting", status="Restarting (1) 1 second ago", restart_policy="always", restart_count=7)
FAILED = replace(ONCE, state="created", status="Created", exit_code=127, started="", finished="")
OCI = "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: "
NETWORKS = Networks((Network("b1", "bridge", "bridge", False, False, (), (), (), ()),))
OTHER = replace(ONCE, id="c" * 64, name="db", image="postgres", state="running", status="Up 1 hour", exit_code=0)
DIR = Mount("bind", "/srv/data", "/data")


def scene(*containers, lines=(), now=NOW, sources=(), **known):
    found = (Ending(containers[0].id, tuple(lines), **known),)
    return Scene(Containers(containers), Endings(now, found, sources), NETWORKS, "amd64", "json-file")


def given(container, **details):
    return replace(container, details=Details(**details))


def kind(container, lines=(), *others, **known):
    case = case_of(container, scene(container, *others, lines=lines, **known))
    return case.kind if case else None


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OCI + 'exec: "nosuch": executable file not found in $PATH: unknown', "command-found"),
        (OCI + 'exec: "/no/such": stat /no/such: no such file or directory: unknown', "command-found"),
        ("crun: executable file `nosuch` not found in $PATH: No such file or directory", "command-found"),
        (OCI + 'exec: "/app/run": permission denied: unknown', "command-executable"),
        (OCI + 'exec: "/app": is a directory: unknown: permission denied', "command-executable"),
        ("network n3 not found", "network-gone"),
        ("No such container: 28cc63fa3a71", "network-gone"),
        (
            OCI + 'error during container init: error mounting "/srv/f" to rootfs at "/etc/passwd": mount /srv/f: '
            "not a directory: unknown: Are you trying to mount a directory onto a file (or vice-versa)?",
            "mount-kinds",
        ),
        ('error evaluating symlinks from mount source "/var/lib/docker/volumes/v1/_data": lstat', "mount-source"),
        ("failed to create task for container: failed to initialize logging driver: dial tcp: refused", "log-driver"),
        ('could not select device driver "" with capabilities: [[gpu]]', "start-failed"),
        # What other areas measure themselves.
        (
            "driver failed programming external connectivity: Bind for 0.0.0.0:80 failed: port is already allocated",
            None,
        ),
        ("failed to copy: write /var/lib/docker: no space left on device", None),
    ],
)
def test_start_failed(error, expected):
    lost = replace(FAILED, error=error, networks=(Attachment("n3", "", ""),) if "n3" in error else FAILED.networks)
    assert kind(lost) == expected


def test_a_start_that_failed_long_ago_is_forgotten():
    error = OCI + 'exec: "nosuch": executable file not found in $PATH: unknown'
    lost = replace(FAILED, error=error)
    assert case_of(lost, scene(lost, now=NOW + 2 * 3600)) is None
    started = replace(OTHER, image="busybox", created="2026-11-24T06:12:00.0Z")
    assert kind(lost, (), started) is None


NO_FILE = "exec /app/run: no such file or directory"
FORMAT = "exec /app/run: exec format error"
CRLF = Program("/app/run", "script", interpreter="/bin/sh\r", carriage_return=True)
BASH = Program("/app/run", "script", interpreter="/bin/bash", interpreter_there=False)
GLIBC = Program("/app/run", "elf", machine="amd64", interpreter="/lib64/ld-linux-x86-64.so.2", interpreter_there=False)


@pytest.mark.parametrize(
    ("container", "line", "known", "expected"),
    [
        (LOOP, FORMAT, {"program": Program("/app/run", "text")}, "exec-format"),
        (ONCE, FORMAT, {"program": Program("/app/run", "elf", machine="arm64")}, "exec-format"),
        (ONCE, "standard_init_linux.go:228: exec user process caused: exec format error", {}, "exec-format"),
        (LOOP, NO_FILE, {"program": CRLF}, "line-endings"),
        (LOOP, NO_FILE, {"program": BASH}, "interpreter"),
        (LOOP, NO_FILE, {"program": GLIBC}, "interpreter"),
        (ONCE, NO_FILE, {}, "interpreter"),
        (ONCE, "/app/run: line 2: $'\\r': command not found", {}, "line-endings"),
        (ONCE, "env: ‘bash\\r’: No such file or directory", {}, "line-endings"),
        (ONCE, "/app/run: set: line 2: illegal option -\r", {}, "line-endings"),
        (ONCE, "x: error while loading shared libraries: libz.so.1: cannot open shared object file", {}, "libraries"),
        (replace(ONCE, exit_code=127), "sh: nosuch: not found", {}, "command-found"),
        (replace(ONCE, exit_code=127), "bash: line 1: nosuch: command not found", {}, "command-found"),
        (replace(ONCE, exit_code=126), "sh: /app/x: Permission denied", {}, "command-executable"),
        (given(ONCE, pids_limit=5), "sh: can't fork: Resource temporarily unavailable", {}, "pids-limit"),
        # Without a limit of its own, and the look-alike: clone3 refused by an old seccomp profile is EPERM.
        (ONCE, "sh: can't fork: Resource temporarily unavailable", {}, None),
        (given(ONCE, pids_limit=5), "pthread_create: Operation not permitted", {}, None),
        (given(LOOP, read_only=True), "sh: can't create /x: Read-only file system", {}, "read-only"),
        (given(LOOP, mounts=(replace(DIR, writable=False),)), "/data/x: Read-only file system", {}, "read-only"),
        (LOOP, "sh: can't create /x: Read-only file system", {}, "restart-loop"),
        (LOOP, "fatal: no database given", {}, "restart-loop"),
        # A job that failed is nobody's fault but its own.
        (ONCE, "fatal: no database given", {}, None),
        (replace(LOOP, exit_code=137, oom_killed=True), "Killed", {}, "oom-killed"),
        (replace(ONCE, exit_code=137, oom_killed=True), "Killed", {}, "oom-killed"),
        # `docker kill`, `docker stop`.
        (replace(ONCE, exit_code=137), "", {}, None),
        (replace(ONCE, exit_code=143), "", {}, None),
        (replace(LOOP, exit_code=137), "", {}, "restart-loop"),
        (replace(LOOP, exit_code=139), "", {}, "restart-loop"),
        # It was stopped by hand while it looped.
        (replace(LOOP, state="exited"), FORMAT, {}, None),
        (replace(ONCE, restart_policy="on-failure", exit_code=0), "", {}, None),
        (given(replace(ONCE, restart_policy="on-failure", restart_count=2), max_retries=2), "no", {}, "restart-loop"),
        (replace(given(ONCE, detached=True), exit_code=0, command=("sh",)), "", {}, "foreground"),
        (replace(given(ONCE, detached=True), exit_code=0, command=("sh", "-c", "service x start")), "", {}, "foreground"),
        (replace(given(ONCE, detached=True), exit_code=0, command=("sh", "-c", "backup /srv")), "", {}, None),
        (replace(ONCE, exit_code=0, command=("sh",)), "", {}, None),
        # Somebody's timer.
        (replace(LOOP, exit_code=0, started="2026-11-24T06:19:00.0Z"), "", {}, None),
        (replace(LOOP, exit_code=0), "", {}, "restart-loop"),
    ],
)  # fmt: skip
def test_ended(container, line, known, expected):
    assert kind(container, (line,), **known) == expected


@pytest.mark.parametrize(
    ("mode", "owner", "expected"),
    [(0o755, 0, "mount-permission"), (0o755, 1000, None), (0o777, 0, None), (0o700, 0, "mount-permission")],
)
def test_mount_permission(mode, owner, expected):
    seen = Denied("/data/x", "/srv/data", owner, 0, mode, True, 1000, (1000,))
    busy = replace(given(ONCE, user="1000", mounts=(DIR,)), state="running", status="Up 1 minute", exit_code=0)
    assert kind(busy, ("sh: can't create /data/x: Permission denied",), denied=(seen,)) == expected


@pytest.mark.parametrize(
    ("line", "other", "expected"),
    [
        ("ping: bad address 'db'", None, "dependency"),
        ('could not translate host name "db" to address: Name or service not known', OTHER, "dependency"),
        ("dial tcp: lookup db on 127.0.0.11:53: no such host", replace(OTHER, state="exited"), "dependency"),
        ("getaddrinfo ENOTFOUND db.example.com", None, "restart-loop"),
        ("connect to db (172.18.0.2), port 5432 failed: Connection refused", OTHER, "dependency"),
    ],
)
def test_dependency(line, other, expected):
    assert kind(LOOP, (line,), *((other,) if other else ())) == expected


def test_two_that_wait_for_each_other():
    one = replace(LOOP, name="db")
    two = replace(LOOP, id="d" * 64, name="web")
    place = scene(one, two, lines=("bad address 'web'",))
    both = replace(place.endings, all=(*place.endings.all, Ending(two.id, ("bad address 'db'",))))
    assert case_of(one, replace(place, endings=both))


@pytest.mark.parametrize(
    ("lived", "since", "looping"),
    [(2.0, 1.0, True), (0.1, 1.0, True), (0.1, 30.0, False), (300.0, 400.0, True), (20.0, 90.0, False)],
)
def test_running_between_two_ends(lived, since, looping):
    began = NOW - since
    deaths = tuple(Death(began - n, 1, lived) for n in (9, 6, 3))
    up = replace(LOOP, state="running", status="Up 1 second", exit_code=0)
    up = replace(up, started=datetime.fromtimestamp(began, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
    assert (kind(up, ("no",), deaths=deaths) == "restart-loop") is looping
    # The events are asked for later than the container: it has ended meanwhile.
    assert kind(up, ("no",), deaths=(*deaths, Death(began + lived, 1, lived))) == "restart-loop"


def test_one_that_restarts_is_stopped_before_its_limits_change():
    starved = replace(LOOP, exit_code=137, oom_killed=True)
    for container, first in ((starved, "docker stop web"), (replace(starved, state="exited"), "docker update")):
        assert updated(container, "--memory 40m")[0].startswith(first)
        assert updated(container, "--memory 40m")[-1] == "docker start web"


def test_a_loop_follows_from_its_reason():
    place = scene(LOOP, lines=(FORMAT,))
    loop = ended.restart_loop.decide(place.containers, place.endings, NETWORKS)
    assert loop.status is Status.FAIL
    assert loop.because == ("containers.exec-format",)
    assert ended.exec_format.decide(place.containers, place.endings, NETWORKS, None).status is Status.FAIL
    assert ended.interpreter.decide(place.containers, place.endings, NETWORKS).status is Status.PASS


def test_no_containers():
    nothing = Containers(()), Endings(NOW, ()), NETWORKS
    assert ended.restart_loop.decide(*nothing).status is Status.SKIP
    assert ended.command_found.decide(*nothing).status is Status.SKIP


@pytest.mark.parametrize(
    ("mounts", "networks", "status"),
    [
        ((), (Attachment("bridge", "b1", ""),), Status.PASS),
        ((), (Attachment("bridge", "b0", ""),), Status.PASS),  # of before dockerd's restart
        ((), (Attachment("app", "n9", ""),), Status.FAIL),
        ((), (Attachment("app", "", ""),), Status.FAIL),
        ((replace(DIR, strict=True),), (), Status.FAIL),
        ((DIR,), (), Status.PASS),  # -v makes it anew
    ],
)
def test_startable(mounts, networks, status):
    stopped = replace(given(ONCE, mounts=mounts), exit_code=137, networks=networks)
    place = scene(stopped, sources=(Source("/srv/data", "missing"),))
    assert ended.startable.decide(place.containers, place.endings, NETWORKS, None).status is status


def unhealthy(code, output, test=("CMD-SHELL", "curl -f http://localhost/"), env=()):
    health = Health("unhealthy", 3, test, code, output)
    return Containers((replace(OTHER, details=Details(health=health), env=env),))


@pytest.mark.parametrize(
    ("containers", "check", "app"),
    [
        (unhealthy(127, "/bin/sh: curl: not found"), Status.FAIL, None),
        (
            unhealthy(-1, 'OCI runtime exec failed: exec failed: exec: "curl": executable file not found'),
            Status.FAIL,
            None,
        ),
        (unhealthy(1, "nc: invalid option -- 'z'"), Status.FAIL, None),
        # curl reads http_proxy in lower case alone.
        (unhealthy(7, "curl: (7) Failed to connect", env=(("HTTP_PROXY", "http://p:3128"),)), Status.PASS, ()),
        # Asked of a proxy: that is another check's.
        (unhealthy(22, "curl: (22) error: 403", env=(("http_proxy", "http://p:3128"),)), Status.PASS, None),
        (unhealthy(22, "curl: (22) The requested URL returned error: 500"), Status.PASS, ()),
        (unhealthy(-1, "Health check exceeded timeout (1s)"), Status.PASS, ()),
        (Containers((OTHER,)), Status.SKIP, None),
    ],
)
def test_health(containers, check, app):
    assert running.healthcheck.decide(containers, None).status is check
    found = running.healthy.decide(containers, None)
    assert found.status is (Status.SKIP if check is Status.SKIP else Status.FAIL)
    assert found.because == app


@pytest.mark.parametrize(
    ("usage", "status"),
    [
        (Usage(OTHER.id, 5, 5, 23), Status.FAIL),
        (Usage(OTHER.id, 5, 5, 0), Status.PASS),  # content with what it has
        (Usage(OTHER.id, 5, 100, 23), Status.PASS),  # it was, some time ago
        (Usage(OTHER.id, 5, -1, 0), Status.PASS),
    ],
)
def test_pids_limit(usage, status):
    place = scene(OTHER)
    assert running.pids_limit.decide(place.containers, place.endings, NETWORKS, Limits((usage,))).status is status


@pytest.mark.parametrize(
    ("usages", "status"),
    [((), Status.SKIP), ((Usage(OTHER.id),), Status.PASS), ((Usage(OTHER.id, oom_kills=2),), Status.FAIL)],
)
def test_memory_limit(usages, status):
    assert running.memory_limit.decide(Containers((OTHER,)), Limits(usages)).status is status

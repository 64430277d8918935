"""One row a verdict: what must be in place, and what dockerd said when it gave up."""

from dataclasses import replace

import pytest

from dockerdoctor.checks import engine_socket, prerequisites, startup, unit
from dockerdoctor.checks.fatal import SIGNATURES, signature_of
from dockerdoctor.facts.daemon_json import DaemonJson, Flag, StartFlags
from dockerdoctor.facts.endpoint import ChosenEndpoint, DaemonPing, SocketFile
from dockerdoctor.facts.engine import DaemonProcess, Installed, Unit, Units
from dockerdoctor.facts.log import StartLog
from dockerdoctor.facts.ping import OtherEngines
from dockerdoctor.facts.startup import Containerd, Listening, PidFile, Setting, SocketGroup, UnitCommands
from dockerdoctor.model import Status

FAIL, PASS, SKIP, UNKNOWN = Status.FAIL, Status.PASS, Status.SKIP, Status.UNKNOWN

HERE = ChosenEndpoint("unix:///var/run/docker.sock", "default")
ROOTLESS = ChosenEndpoint("unix:///run/user/1000/docker.sock", "context rootless")
FAR = ChosenEndpoint("tcp://192.0.2.1:2376", "DOCKER_HOST")
WELL = DaemonPing("ok", answered=True, status=200, outcome="ok", api_version="1.41")
DEAD = DaemonPing("ECONNREFUSED", answered=False, outcome="ECONNREFUSED")
DENIED = DaemonPing("EACCES", answered=False, outcome="EACCES")
RUNS = DaemonProcess(7, ("dockerd", "-H", "fd://"), state="S")
NONE = DaemonProcess(0)
ACTIVE = Unit("docker.service", "loaded", "active", "running", "success", "enabled", requires=("docker.socket",))
STOPPED = replace(ACTIVE, active="inactive", sub="dead")
FAILED = replace(ACTIVE, active="failed", sub="failed", result="exit-code")
RETRYING = replace(ACTIVE, active="activating", sub="auto-restart", result="exit-code")
SOCKET = Unit("docker.socket", "loaded", "active", "running", "success", "enabled")
SOCKET_FAILED = replace(SOCKET, active="failed", sub="failed", result="service-start-limit-hit")
CONTAINERD = Unit("containerd.service", "loaded", "active", "running", "success", "enabled")
PROGRAMS = Installed(
    "/usr/sbin/dockerd", "/usr/bin/docker", "/usr/bin/containerd", "20.10.24", package_manager="apt-get"
)
NOTHING = Installed("", "", "", package_manager="dnf")


def units(docker=ACTIVE, socket=SOCKET, containerd=CONTAINERD):
    return Units(True, docker, socket, containerd)


NO_SYSTEMD = Units(False, Unit("docker.service"), Unit("docker.socket"), Unit("containerd.service"))


@pytest.mark.parametrize(
    ("endpoint", "programs", "ping", "process", "others", "status", "says"),
    [
        (HERE, PROGRAMS, DEAD, NONE, None, PASS, "20.10.24"),
        (HERE, NOTHING, DEAD, NONE, None, FAIL, "Docker is not installed"),
        (HERE, replace(NOTHING, docker="/usr/bin/docker"), DEAD, NONE, None, FAIL, "only the docker client"),
        (HERE, replace(NOTHING, docker="/usr/bin/docker", podman_shim=True), DEAD, NONE, None, FAIL, "podman"),
        (HERE, NOTHING, WELL, NONE, None, PASS, "an engine runs"),
        (HERE, NOTHING, DEAD, RUNS, None, PASS, "an engine runs"),
        (HERE, NOTHING, DEAD, NONE, OtherEngines(("unix:///s",)), PASS, "unix:///s"),
        (FAR, NOTHING, DEAD, NONE, None, SKIP, "another host"),
    ],
)
def test_installed(endpoint, programs, ping, process, others, status, says):
    finding = prerequisites.installed.decide(endpoint, programs, ping, process, others)
    assert finding.status is status
    assert says in finding.summary
    if status is FAIL:
        assert finding.fix == ("dnf install -y moby-engine",)


MASKED = replace(STOPPED, load="masked", file_state="masked")


@pytest.mark.parametrize(
    ("endpoint", "known", "ping", "programs", "status"),
    [
        (HERE, units(), WELL, PROGRAMS, PASS),
        (HERE, units(MASKED), DEAD, PROGRAMS, FAIL),
        (HERE, units(replace(MASKED, file_state="masked-runtime", load="loaded")), DEAD, PROGRAMS, FAIL),
        (HERE, units(STOPPED, replace(MASKED, name="docker.socket")), DEAD, PROGRAMS, FAIL),
        # A unit of one's own that needs no socket unit.
        (HERE, units(replace(STOPPED, requires=()), replace(MASKED, name="docker.socket")), DEAD, PROGRAMS, PASS),
        # Masked while it runs: the next boot is refused.
        (HERE, units(replace(ACTIVE, load="masked")), WELL, PROGRAMS, FAIL),
        # Masked since the engine is started by other means.
        (HERE, units(MASKED), WELL, PROGRAMS, SKIP),
        (HERE, units(MASKED), DEAD, NOTHING, SKIP),
        (ROOTLESS, units(MASKED), WELL, PROGRAMS, SKIP),
        (HERE, NO_SYSTEMD, WELL, PROGRAMS, SKIP),
    ],
)
def test_unit_masked(endpoint, known, ping, programs, status):
    assert unit.unit_masked.decide(endpoint, known, ping, programs).status is status


TWICE = UnitCommands((("/lib/docker.service:13", "/usr/sbin/dockerd -H fd://"), ("/etc/d/x.conf:2", "dockerd")))
CLEARED = UnitCommands((TWICE.lines[0], ("/etc/d/x.conf:2", ""), ("/etc/d/x.conf:3", "dockerd")))


@pytest.mark.parametrize(
    ("known", "commands", "status"),
    [
        (units(), CLEARED, PASS),
        (units(), TWICE, FAIL),  # not reloaded yet: refused at the next reload
        (units(replace(ACTIVE, load="bad-setting")), TWICE, FAIL),
        (units(), replace(TWICE, oneshot=True), PASS),
        (units(replace(STOPPED, load="bad-setting", load_error="bad")), CLEARED, FAIL),
        (units(), UnitCommands(()), PASS),
        (NO_SYSTEMD, TWICE, SKIP),
    ],
)
def test_unit_valid(known, commands, status):
    finding = unit.unit_valid.decide(HERE, known, commands)
    assert finding.status is status
    if commands is TWICE and status is FAIL:
        assert finding.fix[:2] == ("sed -i '2i ExecStart=' /etc/d/x.conf", "systemctl daemon-reload")


EXEC = (("/etc/d/x.conf:3", "/usr/bin/dockerd -H fd://"),)
X = "/etc/d/x.conf"


@pytest.mark.parametrize(
    ("check", "commands", "known", "ping", "status", "fix"),
    [
        (unit.unit_program, UnitCommands(EXEC), units(), None, PASS, ""),
        (
            unit.unit_program,
            UnitCommands(EXEC, program="closed"),
            units(STOPPED),
            None,
            FAIL,
            "chmod 755 /usr/bin/dockerd",
        ),
        (
            unit.unit_program,
            UnitCommands(EXEC, program="missing"),
            units(FAILED),
            None,
            FAIL,
            f"sed -i '3s#/usr/bin/dockerd#/usr/sbin/dockerd#' {X}",
        ),
        (unit.unit_program, UnitCommands(EXEC, program="missing"), NO_SYSTEMD, None, SKIP, ""),
        (unit.unit_environment, UnitCommands(EXEC), units(), None, PASS, ""),
        (
            unit.unit_environment,
            UnitCommands(EXEC, absent=(Setting(f"{X}:2", "EnvironmentFile", "/etc/e"),)),
            units(FAILED),
            None,
            FAIL,
            f"sed -i '2s/=[[:space:]]*/=-/' {X}",
        ),
        (unit.unit_user, UnitCommands(EXEC, settings=(Setting(f"{X}:2", "User", "root"),)), units(), None, PASS, ""),
        (
            unit.unit_user,
            UnitCommands(EXEC, settings=(Setting(f"{X}:2", "User", "nobody"),)),
            units(FAILED),
            None,
            FAIL,
            f"sed -i '2s/^/# /' {X}",
        ),
        (
            unit.unit_condition,
            UnitCommands(EXEC, settings=(Setting(f"{X}:2", "ConditionPathExists", "/r"),)),
            units(replace(STOPPED, condition=False)),
            DEAD,
            FAIL,
            f"sed -i '2s/^/# /' {X}",
        ),
        # Met by now, or never asked to start.
        (
            unit.unit_condition,
            UnitCommands(EXEC, settings=(Setting(f"{X}:2", "ConditionPathExists", "/r"),)),
            units(STOPPED),
            DEAD,
            PASS,
            "",
        ),
        (
            unit.unit_requirement,
            UnitCommands(EXEC, settings=(Setting(f"{X}:2", "Requires", "data.mount"),)),
            replace(units(STOPPED), required=(Unit("data.mount", "not-found", "inactive"),)),
            DEAD,
            FAIL,
            f"sed -i '2s#data.mount##' {X}",
        ),
        (
            unit.unit_requirement,
            UnitCommands(EXEC),
            replace(units(STOPPED), required=(Unit("data.mount", "loaded", "failed"),)),
            DEAD,
            FAIL,
            "systemctl restart data.mount",
        ),
        # Not tried yet.
        (
            unit.unit_requirement,
            UnitCommands(EXEC),
            replace(units(STOPPED), required=(Unit("data.mount", "loaded", "inactive"),)),
            DEAD,
            PASS,
            "",
        ),
    ],
)
def test_what_the_unit_needs(check, commands, known, ping, status, fix):
    more = (PROGRAMS,) if check is unit.unit_program else (ping,) if ping else ()
    finding = check.decide(HERE, known, commands, *more)
    assert finding.status is status
    assert not fix or fix in finding.fix


SOCK = SocketFile("/var/run/docker.sock", "socket", 0o660, 0, 0, "root")


@pytest.mark.parametrize(
    ("endpoint", "group", "ping", "known", "status"),
    [
        (HERE, SocketGroup("docker", exists=True), WELL, units(), PASS),
        (HERE, SocketGroup("docker", exists=False), DEAD, units(STOPPED, SOCKET_FAILED), FAIL),
        (HERE, SocketGroup("docker", exists=False), DENIED, NO_SYSTEMD, FAIL),
        # Root needs no group.
        (HERE, SocketGroup("docker", exists=False), WELL, NO_SYSTEMD, PASS),
        (ROOTLESS, SocketGroup("docker", exists=False), DEAD, units(), SKIP),
    ],
)
def test_socket_group(endpoint, group, ping, known, status):
    finding = engine_socket.socket_group.decide(endpoint, group, ping, SOCK, known)
    assert finding.status is status
    assert (finding.fix[:1] == ("groupadd --system docker",)) == (status is FAIL)


@pytest.mark.parametrize(
    ("file", "status", "command"),
    [
        (SOCK, PASS, None),
        (replace(SOCK, kind="missing"), PASS, None),
        (replace(SOCK, kind="denied"), PASS, None),
        (replace(SOCK, kind="directory", empty_directory=True), FAIL, "rmdir /var/run/docker.sock"),
        (replace(SOCK, kind="directory"), FAIL, "mv /var/run/docker.sock /var/run/docker.sock.moved"),
        (replace(SOCK, kind="file"), FAIL, "mv /var/run/docker.sock /var/run/docker.sock.moved"),
        (SocketFile("", "missing"), SKIP, None),
    ],
)
def test_socket_file(file, status, command):
    finding = engine_socket.socket_file.decide(file, units(), NONE)
    assert finding.status is status
    assert command is None or command in finding.fix


GONE = DaemonPing("ENOENT", answered=False, outcome="ENOENT")
MUTE = DaemonPing("ok", answered=False, outcome="timeout", seconds=3)
HANDED = replace(SOCKET, listens=("/run/docker.sock",))
MOVED = replace(SOCKET, listens=("/run/dockr.sock",))
FD = Listening(("fd://",), bound=("/run/docker.sock",))
OTHER = Listening(("unix:///run/o.sock",), bound=("/run/o.sock",), there=("/run/o.sock",))
AT_X = StartFlags((Flag("-H", "unix:///run/o.sock", "/etc/d/x.conf", 3),), unit=True)
HOSTS_FILE = DaemonJson(
    "/etc/docker/daemon.json",
    exists=True,
    text='{"hosts": ["tcp://127.0.0.1:2375"]}',
    settings={"hosts": ["tcp://127.0.0.1:2375"]},
)


@pytest.mark.parametrize(
    ("ping", "process", "daemon", "known", "more", "status", "fix"),
    [
        (WELL, RUNS, FD, units(), {}, PASS, ""),
        (GONE, NONE, FD, units(STOPPED), {}, PASS, ""),
        # Waiting for containerd, say: it will make its socket.
        (GONE, RUNS, FD, units(replace(ACTIVE, active="activating")), {}, PASS, ""),
        (GONE, RUNS, FD, units(socket=HANDED), {}, FAIL, "systemctl restart docker.socket docker.service"),
        (
            GONE,
            RUNS,
            replace(FD, there=("/run/docker.sock",)),
            units(socket=HANDED),
            {},
            FAIL,
            "ln -sf /run/docker.sock /var/run/docker.sock",
        ),
        (
            GONE,
            RUNS,
            Listening(("fd://",), bound=("/run/dockr.sock",)),
            units(socket=MOVED),
            {"commands": UnitCommands(EXEC, settings=(Setting("/etc/s.conf:3", "ListenStream", "/run/dockr.sock"),))},
            FAIL,
            "sed -i '3s#=.*#=/run/docker.sock#' /etc/s.conf",
        ),
        (
            GONE,
            RUNS,
            OTHER,
            units(),
            {"commands": UnitCommands(EXEC), "start_flags": AT_X},
            FAIL,
            r"sed -i '3s#^\(ExecStart=[^ ]*\)#\1 -H unix:///var/run/docker.sock#' /etc/d/x.conf",
        ),
        # systemd holds the usual socket, and dockerd was not given it: nobody answers.
        (
            MUTE,
            RUNS,
            OTHER,
            units(),
            {"commands": UnitCommands(EXEC), "start_flags": AT_X},
            FAIL,
            "systemctl daemon-reload",
        ),
        (MUTE, RUNS, FD, units(socket=HANDED), {}, PASS, ""),
        (
            GONE,
            RUNS,
            Listening(("tcp://127.0.0.1:2375",), in_file=True),
            units(),
            {"config": HOSTS_FILE},
            FAIL,
            """tee /etc/docker/daemon.json <<< '{"hosts": ["unix:///var/run/docker.sock", "tcp://127.0.0.1:2375"]}'""",
        ),
        (GONE, RUNS, Listening(("tcp://127.0.0.1:2375",)), NO_SYSTEMD, {}, FAIL, "service docker restart"),
    ],
)
def test_listening(ping, process, daemon, known, more, status, fix):
    given = {"start_flags": None, "commands": None, "config": None, **more}
    finding = engine_socket.listening.decide(HERE, ping, process, daemon, known, **given)
    assert finding.status is status
    assert not fix or fix in finding.fix


@pytest.mark.parametrize(
    ("file", "process", "ping", "status"),
    [
        (PidFile("/var/run/docker.pid", 0), NONE, DEAD, PASS),
        (PidFile("/var/run/docker.pid", 9), NONE, DEAD, PASS),  # nobody has the number
        (PidFile("/var/run/docker.pid", 9, "dockerd", "dockerd"), NONE, DEAD, PASS),
        (PidFile("/var/run/docker.pid", 9, "sleep", "sleep 1000"), NONE, DEAD, FAIL),
        (PidFile("/var/run/docker.pid", 9, "sleep", "sleep 1000"), RUNS, WELL, PASS),
    ],
)
def test_pid_file(file, process, ping, status):
    finding = prerequisites.pid_file.decide(HERE, file, process, ping, units())
    assert finding.status is status
    if status is FAIL:
        assert finding.fix[0] == "rm /var/run/docker.pid"


USUAL = "/run/containerd/containerd.sock"
TOLD = StartFlags((Flag("--containerd", "/run/x.sock", "/etc/d/x.conf", 3),), unit=True)
C_STOPPED = replace(CONTAINERD, active="inactive", sub="dead")
NO_LOG = StartLog("journal", ())


@pytest.mark.parametrize(
    ("ctr", "process", "known", "flags", "log", "status", "says"),
    [
        (Containerd(USUAL, "ok", 5, "S"), RUNS, units(), None, None, PASS, "greets"),
        (Containerd(USUAL, "timeout", 5, "T"), RUNS, units(), None, None, FAIL, "stopped by a signal"),
        (Containerd(USUAL, "EACCES", 5, "T"), RUNS, units(), None, None, FAIL, "stopped by a signal"),
        (Containerd(USUAL, "timeout", 5, "S"), RUNS, units(), None, None, FAIL, "does not answer"),
        (Containerd(USUAL, "ECONNREFUSED"), RUNS, units(containerd=C_STOPPED), None, None, FAIL, "inactive"),
        (Containerd(USUAL, "ENOENT"), RUNS, NO_SYSTEMD, None, None, FAIL, "does not run"),
        (Containerd("/run/x.sock", "ENOENT", 5, "S"), RUNS, units(), TOLD, None, FAIL, "was told to use /run/x.sock"),
        # What a user can see of it.
        (Containerd(USUAL, "EACCES", 5, "S"), RUNS, units(), None, None, PASS, "runs"),
        (Containerd(USUAL, "EACCES"), RUNS, units(), None, None, UNKNOWN, "permission denied"),
        (Containerd(USUAL, "EACCES"), RUNS, units(containerd=C_STOPPED), None, None, FAIL, "inactive"),
        # A stopped dockerd starts containerd by itself, unless that is why it stopped.
        (Containerd(USUAL, "ECONNREFUSED"), NONE, units(STOPPED), None, NO_LOG, SKIP, "does not run"),
        (
            Containerd(USUAL, "ECONNREFUSED"),
            NONE,
            units(FAILED, containerd=C_STOPPED),
            None,
            StartLog("journal", (), 'failed to dial "/run/containerd/containerd.sock"', failed=True),
            FAIL,
            "inactive",
        ),
    ],
)
def test_containerd(ctr, process, known, flags, log, status, says):
    finding = prerequisites.containerd.decide(HERE, ctr, process, known, flags, log, PROGRAMS)
    assert finding.status is status
    assert says in finding.summary


PID_LINE = "failed to start daemon: pid file found, ensure docker is not running or delete /var/run/docker.pid"
SYNTAX = (
    "unable to configure the Docker daemon with file /etc/docker/daemon.json: invalid character '}' looking for beginning "
    "of object key string"
)


def log(line, failed=True):
    return StartLog("journalctl -u docker.service", (line,), line, failed)


@pytest.mark.parametrize(
    ("endpoint", "ping", "process", "known", "said", "status", "says", "because"),
    [
        (HERE, WELL, RUNS, units(), None, PASS, "answers", None),
        (HERE, DEAD, NONE, units(STOPPED), None, PASS, "did not fail", None),
        (HERE, DEAD, NONE, units(FAILED), log(PID_LINE), FAIL, "PID file", ("engine.pid-file",)),
        (HERE, DEAD, NONE, units(RETRYING), log(SYNTAX), FAIL, "invalid character", startup.CONFIG_ERRORS),
        (HERE, DEAD, NONE, units(FAILED), log("something new"), FAIL, "something new", None),
        (HERE, DEAD, NONE, units(FAILED), log("iptables not found"), FAIL, "iptables is not found", ("engine.programs",)),
        (HERE, DEAD, NONE, units(FAILED), log(""), FAIL, "failed to start", None),
        (HERE, DEAD, NONE, units(FAILED), None, FAIL, "its log cannot be read", None),
        # Restarted too often by hand: nothing of its own failed.
        (HERE, DEAD, NONE, units(replace(FAILED, result="start-limit-hit")), None, PASS, "did not fail", None),
        (HERE, DEAD, NONE, units(replace(FAILED, result="start-limit-hit")), log(PID_LINE), FAIL, "PID file", ("engine.pid-file",)),
        (HERE, DEAD, NONE, NO_SYSTEMD, log(PID_LINE), FAIL, "PID file", ("engine.pid-file",)),
        (HERE, DEAD, NONE, NO_SYSTEMD, log("old", failed=False), PASS, "no failed start", None),
        (HERE, DEAD, NONE, NO_SYSTEMD, None, PASS, "no failed start", None),
        (ROOTLESS, DEAD, NONE, units(FAILED), log(PID_LINE), SKIP, "not the socket", None),
    ],
)  # fmt: skip
def test_started(endpoint, ping, process, known, said, status, says, because):
    finding = startup.started.decide(endpoint, ping, process, known, said, None, PROGRAMS, None, None)
    assert finding.status is status
    assert says in finding.summary
    assert finding.because == because


def test_a_start_that_keeps_failing_is_failing_between_two_attempts():
    assert replace(ACTIVE, active="activating", sub="start", restarts=2).failing
    assert not replace(ACTIVE, active="activating", sub="start").failing


@pytest.mark.parametrize(
    ("known", "ping", "status"),
    [
        (units(), WELL, PASS),
        (units(replace(FAILED, result="start-limit-hit"), SOCKET_FAILED), DEAD, FAIL),
        (units(FAILED, SOCKET_FAILED), DEAD, FAIL),
        (units(FAILED), DEAD, PASS),
        (NO_SYSTEMD, DEAD, SKIP),
    ],
)
def test_start_limit(known, ping, status):
    assert startup.start_limit.decide(HERE, known, ping).status is status


@pytest.mark.parametrize(
    ("endpoint", "ping", "process", "known", "status", "command"),
    [
        (HERE, WELL, RUNS, units(), PASS, None),
        (HERE, DEAD, RUNS, units(), PASS, None),  # it runs; that it does not answer is judged elsewhere
        (HERE, DEAD, RUNS, units(RETRYING), FAIL, None),
        (HERE, DENIED, NONE, units(), PASS, None),  # /proc with hidepid=2
        (HERE, DEAD, NONE, units(STOPPED), FAIL, "systemctl start docker.service"),
        (
            HERE,
            DEAD,
            NONE,
            units(replace(STOPPED, file_state="disabled")),
            FAIL,
            "systemctl enable --now docker.service",
        ),
        (HERE, DEAD, NONE, NO_SYSTEMD, FAIL, "service docker start"),
        (ROOTLESS, DEAD, NONE, units(STOPPED), SKIP, None),
    ],
)
def test_running(endpoint, ping, process, known, status, command):
    finding = startup.running.decide(endpoint, ping, process, known)
    assert finding.status is status
    assert command is None or finding.fix == (command,)


# What real engines said, 20.10 unless noted, and as their sources and issues have it.
REAL = [
    ("program-missing", "docker.service: Failed at step EXEC spawning /usr/sbin/dockerd: No such file or directory"),
    ("environment-file", "docker.service: Failed to load environment files: No such file or directory"),
    ("unit-user", "docker.service: Failed to determine user credentials: No such process"),
    ("unit-user", "docker.service: Failed at step USER spawning /usr/sbin/dockerd: No such process"),
    (
        "unit-user",
        "dockerd needs to be started with root privileges. To run dockerd in rootless mode as an unprivileged user, see "
        "https://docs.docker.com/go/rootless/",
    ),
    ("pre-command", "docker.service: Control process exited, code=exited, status=1/FAILURE"),
    ("unit-step", "docker.service: Failed at step CHDIR spawning /usr/sbin/dockerd: No such file or directory"),
    ("flag-unknown", "unknown flag: --graphh"),
    ("flag-unknown", "unknown shorthand flag: 'x' in -x"),
    ("flag-value", 'invalid argument "resolver.local" for "--dns" flag: resolver.local is not an ip address'),
    (
        "flag-value",
        'invalid argument "foo://bar" for "-H, --host" flag: Invalid bind address format: foo://bar',
    ),
    ("argument", '"dockerd" accepts no argument(s).'),
    ("log-level", "unable to parse logging level: verbose"),
    ("log-level", "invalid logging level: verbose"),  # 26.1
    ("flag-value", "flag needs an argument: --dns"),
    ("flag-value", "flag needs an argument: 'H' in -H"),
    ("configuration", SYNTAX),
    (
        "configuration",
        "unable to configure the Docker daemon with file /etc/docker/daemon.json: configuration validation from file "
        "failed: specified default runtime 'nvidia' does not exist",
    ),
    ("data-root-is-file", "Unable to get the full path to root (/srv/f): canonical path points to a file '/srv/f'"),
    ("data-root-unwritable", "mkdir /srv/ro/d: read-only file system"),
    ("no-space", "failed to start daemon: write /var/lib/docker/x: no space left on device"),
    ("pid-file", PID_LINE),
    ("pid-file", "failed to start daemon: process with PID 1234 is still running"),  # 26.1
    (
        "socket-is-directory",
        "failed to load listeners: can't create unix socket /var/run/docker.sock: is a directory",
    ),
    (
        "group-missing",
        "failed to load listeners: can't create unix socket /var/run/docker.sock: group staff2 not found",
    ),
    ("port-taken", "failed to load listeners: listen tcp 127.0.0.1:2375: bind: address already in use"),
    ("address-absent", "failed to load listeners: listen tcp 192.0.2.7:2375: bind: cannot assign requested address"),
    (
        "no-activation",
        "failed to load listeners: no sockets found via socket activation: make sure the service was started by systemd",
    ),
    (
        "tls-files",
        'failed to create API server: Could not load X509 key pair (cert: "/etc/docker/c.pem", key: "/etc/docker/k.pem"): '
        "open /etc/docker/c.pem: no such file or directory",
    ),
    (
        "containerd",
        'failed to start daemon: failed to dial "/run/containerd/containerd.sock": failed to dial '
        '"/run/containerd/containerd.sock": context deadline exceeded',
    ),
    ("containerd", "failed to start containerd: timeout waiting for containerd to start"),
    (
        "several-drivers",
        "failed to start daemon: error initializing graphdriver: /var/lib/docker contains several valid graphdrivers: "
        "overlay, overlay2; Please cleanup or explicitly choose storage driver (-s <DRIVER>)",
    ),
    (
        "prior-driver",
        "failed to start daemon: error initializing graphdriver: prior storage driver aufs failed: driver not supported",
    ),
    (
        "prior-driver",
        "failed to start daemon: error initializing graphdriver: prior storage driver devicemapper is not supported: "
        "the devicemapper storage-driver has been deprecated and removed",
    ),
    (
        "removed-driver",
        "failed to start daemon: error initializing graphdriver: [graphdriver] ERROR: the aufs storage-driver has been "
        "deprecated and removed; visit https://docs.docker.com/go/storage-driver/ for more information: aufs",
    ),
    (
        "d-type",
        "failed to start daemon: error initializing graphdriver: overlay2: the backing extfs filesystem is formatted without "
        "d_type support, which leads to incorrect behavior. Reformat the filesystem (or use tune2fs) with -O filetype flag to "
        "enable d_type support. Backing filesystems without d_type support are not supported.",
    ),
    ("storage-driver", "failed to start daemon: error initializing graphdriver: driver not supported"),
    (
        "volume-database",
        "failed to start daemon: error while opening volume store metadata database: file size too small",
    ),
    ("database-locked", "failed to start daemon: error while opening volume store metadata database: timeout"),
    (
        "network-database",
        "failed to start daemon: Error initializing network controller: error obtaining controller instance: "
        "libnet controller initialization: file size too small 5000",
    ),
    (
        "network-database",
        "failed to start daemon: Error initializing network controller: error obtaining controller instance: failed to get "
        "bridge network configurations from store: error while populating kmap: file size too small",
    ),
    (
        "bip",
        'failed to start daemon: Error initializing network controller: Error creating default "bridge" network: failed to '
        "allocate gateway (172.17.0.0): Address already in use",
    ),
    ("bip", "failed to start daemon: Error initializing network controller: invalid CIDR address: 172.17.0.0"),
    (
        "iptables-missing",
        "failed to start daemon: Error initializing network controller: error obtaining controller instance: failed to "
        "create NAT chain DOCKER: Iptables not found",
    ),
    (
        "nat-table",
        "failed to start daemon: Error initializing network controller: error obtaining controller instance: failed to "
        "create NAT chain DOCKER: iptables failed: iptables -t nat -N DOCKER: iptables v1.8.9 (legacy): can't initialize "
        "iptables table `nat': Table does not exist (do you need to insmod?)",
    ),
    (
        "nat-table",
        "failed to start daemon: Error initializing network controller: error obtaining controller instance: failed to "
        "create NAT chain DOCKER: iptables failed: iptables -t nat -N DOCKER: iptables/1.8.7 Failed to initialize nft: "
        "Protocol not supported",
    ),
    (
        "firewalld-zone",
        'failed to start daemon: Error initializing network controller: Error creating default "bridge" network: Failed to '
        "program NAT chain: ZONE_CONFLICT: 'docker0' already bound to a zone",
    ),
    (
        "no-subnet",
        "failed to start daemon: Error initializing network controller: list bridge addresses failed: PredefinedLocalScope"
        "DefaultNetworks List: [172.17.0.0/16 172.18.0.0/16]: no available network",
    ),
    ("cgroups", "failed to start daemon: Devices cgroup isn't mounted"),
    ("bug", "panic: runtime error: invalid memory address or nil pointer dereference"),
]


GRAPHH = StartFlags((Flag("--graphh", "/x.y", "/etc/systemd/x.conf", 3),), unit=True)


@pytest.mark.parametrize(("name", "line"), REAL)
def test_signature(name, line):
    known, _ = signature_of(line)
    assert known
    assert known.id == name
    finding = startup.started.decide(
        HERE,
        DEAD,
        NONE,
        units(FAILED),
        log(line),
        DaemonJson("/etc/docker/daemon.json", exists=False),
        PROGRAMS,
        GRAPHH,
        None,
    )
    assert finding.status is FAIL
    assert not {"{", "}"} & set(
        "".join((finding.summary.replace(SYNTAX, "").replace("'}'", ""), *finding.fix)).replace("'}'", "")
    )


def test_a_flag_that_is_to_blame_can_be_taken_out():
    finding = startup.started.decide(
        HERE, DEAD, NONE, units(FAILED), log("unknown flag: --graphh"), None, PROGRAMS, GRAPHH, None
    )
    assert "/etc/systemd/x.conf:3" in finding.cause
    assert r"sed -i '3s# *--graphh[= ]/x\.y##' /etc/systemd/x.conf" in finding.fix


@pytest.mark.parametrize(
    "said",
    [
        "docker.service: Control process exited, code=exited, status=1/FAILURE",
        "docker.service: Failed at step EXEC spawning /opt/prep: No such file or directory",
    ],
)
def test_a_command_before_it(said):
    pre = UnitCommands((), settings=(Setting("/etc/d/x.conf:2", "ExecStartPre", "/opt/prep --now"),))
    finding = startup.started.decide(HERE, DEAD, NONE, units(FAILED), log(said), None, PROGRAMS, None, pre)
    assert "sed -i '2s/^/# /' /etc/d/x.conf" in finding.fix
    assert finding.because == ()


def test_a_log_is_no_command():
    line = next(line for name, line in REAL if name == "firewalld-zone").replace("docker0", "$(reboot)")
    finding = startup.started.decide(HERE, DEAD, NONE, units(FAILED), log(line), None, PROGRAMS, None, None)
    assert "--remove-interface='$(reboot)'" in finding.fix[0]


def test_signatures():
    assert {s.id for s in SIGNATURES} == {name for name, _ in REAL}
    assert len({s.id for s in SIGNATURES}) == len(SIGNATURES)
    assert all(s.issue.startswith("https://") for s in SIGNATURES)
    assert signature_of("anything else")[0] is None
    explained = set(startup.started.upstream)
    assert all(set(s.because) <= explained for s in SIGNATURES)


@pytest.mark.parametrize(
    ("command", "found"),
    [
        ("-H fd:// --containerd=/run/c.sock", []),
        ("-H fd:// --debug true --label a=b", ["true"]),
        ("-Hfd:// -D overlay2", ["overlay2"]),
        ("--storage-driver overlay2 extra $OPTS ${MORE}", ["extra"]),
        ("--tls=false --log-opt max-size=1m", []),
    ],
)
def test_strays(command, found):
    assert startup.strays(command.split()) == found


@pytest.mark.parametrize("said", ['"dockerd" accepts no argument(s).', ""])  # Docker 28 shows its usage alone
def test_a_stray_word_is_named(said):
    given = UnitCommands((("/etc/d/x.conf:3", "dockerd -H fd:// --debug true"),))
    finding = startup.started.decide(HERE, DEAD, NONE, units(FAILED), log(said), None, PROGRAMS, None, given)
    assert "true on its command line" in finding.summary
    assert finding.fix[0] == "sed -i '3s# true##' /etc/d/x.conf"


@pytest.mark.parametrize(
    ("docker", "ping", "process", "programs", "status"),
    [
        (ACTIVE, WELL, RUNS, PROGRAMS, PASS),
        (replace(STOPPED, load="not-found"), DEAD, NONE, PROGRAMS, FAIL),
        (replace(STOPPED, file_state="generated"), DEAD, NONE, PROGRAMS, FAIL),
        (replace(STOPPED, load="not-found"), WELL, RUNS, PROGRAMS, SKIP),
        (replace(STOPPED, load="not-found"), DEAD, NONE, NOTHING, SKIP),
    ],
)
def test_unit_missing(docker, ping, process, programs, status):
    found = unit.unit_missing.decide(HERE, units(docker), ping, process, programs)
    assert found.status is status
    assert status is not FAIL or found.fix[0] == "apt-get install -y --reinstall docker.io"


@pytest.mark.parametrize(("active", "verb"), [("inactive", "start"), ("failed", "start"), ("activating", "restart")])
def test_a_start_that_is_under_way_is_ended_first(active, verb):
    assert prerequisites.start(units(replace(ACTIVE, active=active)))[-1] == f"systemctl {verb} docker.service"

"""What a start depends on, read from files and sockets that a test makes."""

import shutil
import socket
import tempfile
import threading
from pathlib import Path

import pytest

from dockerdoctor.facts.daemon_json import DaemonJson, Flag, StartFlags
from dockerdoctor.facts.endpoint import ChosenEndpoint, DaemonPing
from dockerdoctor.facts.engine import DaemonProcess, Unit, Units, daemon_process, installed
from dockerdoctor.facts.startup import containerd, listening, pid_file, socket_group, unit_commands
from dockerdoctor.host import Completed, Host


def patient(root, files, **more):
    for path, text in files.items():
        file = root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return Host(root, env={"HOME": "/root", "PATH": ""}, **more)


LIB = "/lib/systemd/system/docker.service"
ETC = "/etc/systemd/system/docker.service"
DROP_IN = "/etc/systemd/system/docker.service.d/a.conf"


@pytest.mark.parametrize(
    ("files", "in_force"),
    [
        ({}, []),
        ({LIB: "[Service]\nExecStart=one\n"}, [f"{LIB}:2"]),
        ({LIB: "[Service]\nExecStart=one\n", ETC: "ExecStart=two"}, [f"{ETC}:1"]),  # a whole unit takes the other's place
        ({LIB: "ExecStart=one\n", DROP_IN: "[Service]\nExecStart=two"}, [f"{LIB}:1", f"{DROP_IN}:2"]),
        ({LIB: "ExecStart=one\n", DROP_IN: "[Service]\nExecStart=\nExecStart=two"}, [f"{DROP_IN}:3"]),
        ({LIB: "ExecStart=one\n", DROP_IN: "[Service]\n# ExecStart=two\nExecStartPre=three"}, [f"{LIB}:1"]),
        # A name in /etc hides the same name elsewhere.
        ({LIB: "ExecStart=one\n", DROP_IN: "", "/lib/systemd/system/docker.service.d/a.conf": "ExecStart=x"}, [f"{LIB}:1"]),
    ],
)  # fmt: skip
def test_unit_commands(tmp_path, files, in_force):
    commands = unit_commands.measure(patient(tmp_path, files))
    assert [where for where, _ in commands.in_force] == in_force
    assert not commands.oneshot


def test_oneshot(tmp_path):
    assert unit_commands.measure(patient(tmp_path, {LIB: "Type=oneshot\nExecStart=a\nExecStart=b"})).oneshot


@pytest.mark.parametrize(
    ("text", "program", "absent"),
    [
        ("ExecStart=/usr/sbin/dockerd -H fd://\n", "", []),
        ("ExecStart=-/usr/bin/dockerd\n", "missing", []),
        ("ExecStart=/opt/closed $OPTIONS\n", "closed", []),
        ("ExecStart=${DOCKERD} x\n", "", []),
        ("ExecStart=/usr/sbin/dockerd\nEnvironmentFile=-/etc/none\nEnvironmentFile=/etc/*.none\n", "", []),
        ("ExecStart=/usr/sbin/dockerd\nEnvironmentFile=/etc/none\n", "", [f"{LIB}:2"]),
        ("ExecStart=/usr/sbin/dockerd\n# EnvironmentFile=/etc/none\nEnvironmentFile=/opt/closed\n", "", []),
    ],
)
def test_what_a_unit_names(tmp_path, text, program, absent):
    host = patient(tmp_path, {LIB: text, "/usr/sbin/dockerd": "", "/opt/closed": ""})
    host.path("/usr/sbin/dockerd").chmod(0o755)
    commands = unit_commands.measure(host)
    assert commands.program == program
    assert [s.where for s in commands.absent] == absent


UNIX = """Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01 1713 /run/docker.sock
0000000000000000: 00000003 00000000 00000000 0001 03 1714 /run/docker.sock
0000000000000000: 00000002 00000000 00010000 0001 01 1715
0000000000000000: 00000002 00000000 00010000 0001 01 1716 /run/other.sock
0000000000000000: 00000002 00000000 00010000 0001 01 1717 /run/unrelated
"""


@pytest.mark.parametrize(
    ("arguments", "settings", "hosts", "bound"),
    [
        (("dockerd",), {}, ("unix:///var/run/docker.sock",), ("/run/docker.sock",)),
        (("dockerd", "-H", "fd://"), {}, ("fd://",), ("/run/docker.sock",)),
        (
            ("dockerd", "-H=unix:///run/other.sock"),
            {},
            ("unix:///run/other.sock",),
            ("/run/docker.sock", "/run/other.sock"),
        ),
        (("dockerd",), {"hosts": ["tcp://h:1"]}, ("tcp://h:1",), ("/run/docker.sock",)),
    ],
)
def test_listening(tmp_path, arguments, settings, hosts, bound):
    config = DaemonJson("/etc/docker/daemon.json", exists=True, settings=settings)
    host = patient(tmp_path, {"/proc/net/unix": UNIX})
    found = listening.measure(host, process=DaemonProcess(7, arguments), config=config, units=None)
    assert (found.hosts, found.bound, found.there) == (hosts, bound, ())
    assert found.in_file == bool(settings)


NO_FLAGS = StartFlags((), unit=True)


@pytest.mark.parametrize(
    ("text", "pid", "holder"),
    [(None, 0, ""), ("", 0, ""), ("garbage\n", 0, ""), ("12\n", 12, "sleep"), ("13", 13, "")],
)
def test_pid_file(tmp_path, text, pid, holder):
    files = {"/proc/12/comm": "sleep\n", "/proc/12/cmdline": "sleep\x001000\x00"}
    if text is not None:
        files["/var/run/docker.pid"] = text
    file = pid_file.measure(patient(tmp_path, files), start=NO_FLAGS)
    assert (file.pid, file.holder) == (pid, holder)


def test_pid_file_of_a_flag(tmp_path):
    host = patient(tmp_path, {"/run/d.pid": "12"})
    start = StartFlags((Flag("--pidfile", "/run/d.pid", "unit"),), unit=True)
    assert pid_file.measure(host, start=start).path == "/run/d.pid"


@pytest.mark.parametrize(
    ("flags", "unit_group", "name", "exists"),
    [
        ((), "", "docker", None),
        ((), "root", "root", True),
        ((Flag("-G", "nobody-has-this", "unit"),), "", "nobody-has-this", False),
        ((Flag("--group", "1234", "unit"),), "", "1234", True),
    ],
)
def test_socket_group(tmp_path, flags, unit_group, name, exists):
    units = Units(True, Unit("docker.service"), Unit("docker.socket", socket_group=unit_group), Unit("c"))
    host = patient(tmp_path, {})
    group = socket_group.measure(
        host, start=StartFlags(flags, unit=True), units=units, config=None, commands=unit_commands.measure(host)
    )
    assert group.name == name
    assert exists is None or group.exists is exists


@pytest.fixture
def short():
    # Not tmp_path: the name of a socket holds 107 bytes.
    root = Path(tempfile.mkdtemp(dir="/tmp"))
    yield root
    shutil.rmtree(root)


def ask_containerd(host, *, process=None, flags=(), config=None):
    process = process or DaemonProcess(0)
    return containerd.measure(host, process=process, start=StartFlags(flags, unit=True), config=config, units=None)


@pytest.mark.parametrize(("greeting", "outcome"), [(b"\0\0\x0c\x04\0\0\0\0\0", "ok"), (b"", "timeout")])
def test_containerd(short, greeting, outcome):
    host = patient(
        short, {"/run/containerd/x": "", "/proc/5/comm": "containerd\n", "/proc/5/stat": "5 (con tainerd) T 1"}
    )
    host.path("/proc/5/cmdline").write_text("containerd\0")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(host.path("/run/containerd/containerd.sock")))
        listener.listen()
        kept = []

        def accept():
            kept.append(listener.accept()[0])
            kept[0].sendall(greeting)

        threading.Thread(target=accept, daemon=True).start()
        found = ask_containerd(host)
    assert found.outcome == outcome
    assert (found.pid, found.state) == (5, "T")


def test_no_containerd(short):
    host = patient(short, {})
    assert ask_containerd(host).outcome == "ENOENT"
    told = ask_containerd(host, process=DaemonProcess(7, ("dockerd", "--containerd=/run/x.sock")))
    assert (told.address, told.outcome) == ("/run/x.sock", "ENOENT")
    planned = ask_containerd(host, flags=(Flag("--containerd", "unix:///run/y.sock", "unit"),))
    assert planned.address == "/run/y.sock"
    written = DaemonJson("/etc/docker/daemon.json", exists=True, settings={"containerd": "/run/z.sock"})
    assert ask_containerd(host, process=DaemonProcess(7, ("dockerd",)), config=written).address == "/run/z.sock"


def test_containerd_of_the_snap(short):
    own = "/run/snap.docker/containerd/containerd.sock"
    host = patient(short, {own: ""})
    snap = DaemonProcess(7, ("dockerd", "--group", "docker", "--exec-root=/run/snap.docker"))
    assert ask_containerd(host, process=snap).address == own


class Machine(Host):
    """A host whose programs are those of the test."""

    programs: dict[str, str]

    def which(self, name):
        return self.programs.get(name, "")

    def run(self, *argv, timeout=3.0, stdin="", env=None):
        return Completed(0, "Docker version 20.10.24+dfsg1, build 5d6db84\n", "")


@pytest.mark.parametrize(
    ("script", "podman"),
    [("\x7fELF", False), ('#!/bin/sh\nexec /usr/bin/podman "$@"\n', True), ("#!/bin/sh\nexec docker.real\n", False)],
)
def test_installed(tmp_path, script, podman):
    patient(tmp_path, {"/usr/bin/docker": script})
    host = Machine(tmp_path, env={})
    host.programs = {"docker": "/usr/bin/docker", "dockerd": "/usr/sbin/dockerd", "dnf": "/usr/bin/dnf"}
    found = installed.measure(host, ping=None)
    assert found.podman_shim is podman
    assert (found.dockerd_version, found.package_manager) == ("20.10.24+dfsg1", "dnf")
    answered = DaemonPing("ok", answered=True, api_version="1.41")
    assert installed.measure(host, ping=answered).dockerd_version == ""


@pytest.mark.parametrize(
    ("cmdline", "runs"),
    [("dockerd\0-H\0fd://\0", True), ("dockerd\0--version\0", False), ("dockerd\0--validate\0", False), ("", False)],
)
def test_a_question_to_dockerd_is_no_daemon(tmp_path, cmdline, runs):
    host = patient(
        tmp_path, {"/proc/9/comm": "dockerd\n", "/proc/9/cmdline": cmdline, "/proc/9/stat": "9 (dockerd) T 1"}
    )
    process = daemon_process.measure(host, endpoint=ChosenEndpoint("unix:///var/run/docker.sock", "default"), ping=None)
    assert bool(process.pid) is runs
    assert not runs or process.state == "T"


@pytest.mark.parametrize(("url", "pid"), [("unix:///run/second.sock", 9), ("unix:///var/run/docker.sock", 8)])
def test_the_daemon_is_the_one_that_listens_there(tmp_path, url, pid):
    files = {"/var/run/docker.pid": "8\n"}
    for one, cmdline in (
        (7, "dockerd\0"),
        (8, "dockerd\0-H\0fd://\0"),
        (9, "dockerd\0--host=unix:///run/second.sock\0"),
    ):
        files |= {
            f"/proc/{one}/comm": "dockerd\n",
            f"/proc/{one}/cmdline": cmdline,
            f"/proc/{one}/stat": "(dockerd) S 1",
        }
    process = daemon_process.measure(patient(tmp_path, files), endpoint=ChosenEndpoint(url, "default"), ping=None)
    assert process.pid == pid

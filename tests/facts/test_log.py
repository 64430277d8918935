"""The journal's last start, and the daemon's last word in it."""

import json

import pytest

from dockerdoctor.facts.endpoint import ChosenEndpoint, DaemonPing
from dockerdoctor.facts.engine import Unit, Units
from dockerdoctor.facts.log import SERVES, UNIT_STARTING, complaint, last_start, recent, recent_log, start_log
from dockerdoctor.host import Completed, Host
from dockerdoctor.measure import Unmeasured

STARTING_UP = 'time="2026-11-24T02:43:05.613711928Z" level=info msg="Starting up"'
PID = "failed to start daemon: pid file found, ensure docker is not running or delete /var/run/docker.pid"


def entry(text, who="dockerd", **more):
    return json.dumps({"MESSAGE": text, "SYSLOG_IDENTIFIER": who, **more})


def starting():
    return entry("Starting docker.service...", "systemd", MESSAGE_ID=UNIT_STARTING, UNIT="docker.service")


def test_last_start():
    journal = "\n".join(
        [
            entry("of an old start"),
            starting(),
            "no json",
            entry("panic: a container's", "dockerd", CONTAINER_ID="c"),
            entry(list(b"caf\xe9")),
            entry("x", "systemd"),
            entry(None),
        ]
    )
    assert last_start(journal) == [
        ("Starting docker.service...", "systemd"),
        ("caf\\xe9", "dockerd"),
        ("x", "systemd"),
        ("", "dockerd"),
    ]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([STARTING_UP, PID], PID),
        ([STARTING_UP], ""),
        # What iptables said goes on in a line of its own.
        ([STARTING_UP, "failed to start daemon: iptables failed: no table", " (exit status 3)"], "failed to start daemon: "
         "iptables failed: no table"),
        (['time="x" level=fatal msg="Error starting daemon: \\"boom\\""'], 'Error starting daemon: "boom"'),
        (['time="x" level=error msg="Handler failed" module=a error="no such file"'], "Handler failed: no such file"),
        # Once it has served, an error is not why it ended.
        ([f'time="x" level=info msg="{SERVES}"', 'time="x" level=error msg="Handler failed"'], ""),
        (["panic: runtime error: index out of range", "goroutine 1 [running]:", "main.main()", "\t/go/main.go:1"],
         "panic: runtime error: index out of range"),
        ([], ""),
    ],
)  # fmt: skip
def test_complaint(lines, expected):
    assert complaint(lines) == expected


class Journal(Host):
    """A host whose journalctl says what the test wants."""

    def __init__(self, root, done, *, uid=0):
        super().__init__(root, env={"HOME": "/root"})
        self.done, self.number = done, uid

    @property
    def uid(self):
        return self.number

    def run(self, *argv, timeout=3.0, stdin="", env=None):
        assert argv[0] == "journalctl"
        assert timeout <= 3
        return self.done


ENDPOINT = ChosenEndpoint("unix:///var/run/docker.sock", "default")
DEAD = DaemonPing("ECONNREFUSED", answered=False)
UNITS = Units(True, Unit("docker.service", active="failed"), Unit("docker.socket"), Unit("containerd.service"))
BARE = Units(False, Unit("docker.service"), Unit("docker.socket"), Unit("containerd.service"))


def read(host, ping=DEAD, units=UNITS):
    return start_log.measure(host, endpoint=ENDPOINT, ping=ping, units=units)


def test_journal(tmp_path):
    said = "\n".join([starting(), entry(STARTING_UP), entry(PID), entry("docker.service: Failed", "systemd")])
    log = read(Journal(tmp_path, Completed(0, said, "")))
    assert (log.complaint, log.failed) == (PID, True)
    assert log.lines[-1] == "docker.service: Failed"


def test_systemd_speaks_where_dockerd_cannot(tmp_path):
    said = "\n".join([starting(), entry("docker.service: Failed to load environment files: No such file", "systemd")])
    log = read(Journal(tmp_path, Completed(0, said, "")))
    assert "environment files" in log.complaint


def test_served_and_stopped(tmp_path):
    said = "\n".join([starting(), entry(STARTING_UP), entry(f'time="x" level=info msg="{SERVES}"')])
    assert not read(Journal(tmp_path, Completed(0, said, ""))).failed


def test_passwords_are_masked(tmp_path):
    said = "\n".join([starting(), entry("failed to start daemon: proxy http://bob:secret@p:1 refused")])
    log = read(Journal(tmp_path, Completed(0, said, "")))
    assert "secret" not in log.complaint + "".join(log.lines)


@pytest.mark.parametrize(
    "done", [Completed(1, "", ""), Completed(124, "", "no answer"), Completed(127, "", "not found")]
)
def test_no_journal(tmp_path, done):
    with pytest.raises(Unmeasured):
        read(Journal(tmp_path, done))


def test_a_user_without_the_journal(tmp_path):
    with pytest.raises(Unmeasured) as no:
        read(Journal(tmp_path, Completed(0, "", ""), uid=1000))
    assert no.value.how == "run as root"


def test_no_systemd(tmp_path):
    host = Host(tmp_path, env={"HOME": "/root"})
    with pytest.raises(Unmeasured):
        read(host, units=BARE)
    file = tmp_path / "var/log/docker.log"
    file.parent.mkdir(parents=True)
    file.write_text(f"{STARTING_UP}\n{SERVES}\n{STARTING_UP}\n{PID}\n")
    log = read(host, units=BARE)
    assert (log.source, log.complaint, log.failed) == ("/var/log/docker.log", PID, True)


def test_a_living_daemon_is_not_read_about(tmp_path):
    with pytest.raises(Unmeasured) as no:
        read(Host(tmp_path, env={}), ping=DaemonPing("ok", answered=True))
    assert no.value.skipped


def test_recent_lines_are_dated_and_name_the_speaker():
    journal = "\n".join(
        [
            entry("Starting up", __REALTIME_TIMESTAMP="1795490823836462"),
            entry("said by a container", CONTAINER_ID="c"),
            "[1]",
            "no json",
            entry("x", "", __REALTIME_TIMESTAMP="never"),
        ]
    )
    assert recent(journal) == ["2026-11-24T03:27:03Z dockerd: Starting up", "? ?: x"]


LOCAL = ChosenEndpoint("unix:///var/run/docker.sock", "default")


def test_a_file_is_read_to_its_end_and_masked(tmp_path):
    (tmp_path / "var/log").mkdir(parents=True)
    (tmp_path / "var/log/docker.log").write_text("old\n" * 500 + f"proxy http://al:s3cret@p {'x' * 2000}\n")
    log = recent_log.measure(Host(tmp_path, {}), LOCAL, None)
    assert log.source == "/var/log/docker.log"
    assert len(log.lines) == 400
    assert log.lines[-1].startswith("proxy http://al:***@p xxx")
    assert len(log.lines[-1]) == 1000


@pytest.mark.parametrize("endpoint", [LOCAL, ChosenEndpoint("tcp://h:2375", "--host")])
def test_no_log_is_said(tmp_path, endpoint):
    with pytest.raises(Unmeasured):
        recent_log.measure(Host(tmp_path, {}), endpoint, None)

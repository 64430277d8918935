"""One row for each verdict on what the kernel rations."""

import pytest

from dockerdoctor.checks.resources import default_ulimits, endless_files, inotify, open_files
from dockerdoctor.facts.containers import Container, Containers
from dockerdoctor.facts.engine import DaemonProcess
from dockerdoctor.facts.inside import Inside, View
from dockerdoctor.facts.resources import FileLimits, Holder, Inotify, OpenFiles
from dockerdoctor.facts.resources import open_files as look
from dockerdoctor.facts.startup import Setting, UnitCommands
from dockerdoctor.host import Host
from dockerdoctor.model import Status
from tests.checks.test_daemon_json import file_of, info_of
from tests.checks.test_startup import HERE, units

PASS, FAIL, SKIP = Status.PASS, Status.FAIL, Status.SKIP
MANY = 1_073_741_816


@pytest.mark.parametrize(
    ("check", "fact", "status", "words"),
    [
        (open_files, OpenFiles(()), SKIP, ""),
        (open_files, OpenFiles((Holder("dockerd", 9, 40, 1048576), Holder("web", 8, 900, 1024))), PASS, "none of 2"),
        (open_files, OpenFiles((Holder("dockerd", 9, 63, 64),)), FAIL, "dockerd holds 63 of 64"),
        (open_files, OpenFiles((Holder("web", 9, 1024, 1024),)), FAIL, "web holds 1024 of 1024"),
        # An endless limit harms nobody by itself; a busy program may just be busy.
        (endless_files, OpenFiles((Holder("web", 9, 4, MANY, 0, 60, 1.0),)), PASS, ""),
        (endless_files, OpenFiles((Holder("dockerd", 9, 4, MANY, 0, 60, 1.0, spins=True),)), PASS, ""),
        (
            endless_files,
            OpenFiles((Holder("web", 9, 4, MANY, 0, 60, 0.99, spins=True),)),
            FAIL,
            "web is busy calling the kernel for nothing",
        ),
        (inotify, Inotify("ok", "128", "8192"), PASS, "of 128"),
        (inotify, Inotify("EPERM", "128", "8192"), PASS, ""),
        (inotify, Inotify("EMFILE", "128", "8192"), FAIL, "its inotify instances (128)"),
        (inotify, Inotify("ENOSPC", "128", "8192"), FAIL, "its inotify watches (8192)"),
        (
            inotify,
            Inotify("ok", "128", "8192", ((1000, "EMFILE", ("web", "api")),)),
            FAIL,
            "user 1000 of web, api has used up its inotify instances (128)",
        ),
    ],
)
def test_verdict(check, fact, status, words):
    found = check.decide(fact, None, None, None) if check is open_files else check.decide(fact)
    assert found.status is status
    assert words in found.summary
    assert bool(found.fix) is (status is FAIL)


def test_fixes_raise_the_limit_that_was_met():
    for hard, value in ((0, "65536:"), (1024, "1024:"), (64, "65536:65536")):
        fix = open_files.decide(OpenFiles((Holder("dockerd", 9, 64, 64, hard),)), None, None, None).fix
        assert fix[0] == f"prlimit --pid 9 --nofile={value}"
    assert inotify.decide(Inotify("EMFILE", "128", "8192")).fix[0] == "sysctl -w fs.inotify.max_user_instances=8192"
    assert inotify.decide(Inotify("ENOSPC", "128", "8192")).fix[0] == "sysctl -w fs.inotify.max_user_watches=524288"


def test_a_unit_that_allows_too_few_is_corrected():
    told = UnitCommands((), False, (Setting("/etc/systemd/system/docker.service.d/a.conf:2", "LimitNOFILE", "30"),))
    found = open_files.decide(OpenFiles((Holder("dockerd", 9, 20, 30, 30),)), told, units(), None)
    assert found.status is FAIL
    assert "sed -i '2s/=.*/=infinity/' /etc/systemd/system/docker.service.d/a.conf" in found.fix


REFUSED = (
    "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during "
    "container init: error setting rlimits for ready process: error setting rlimit type 7: operation not permitted: unknown"
)


@pytest.mark.parametrize(
    ("text", "nr_open", "error", "status"),
    [
        ("{}", 1048576, "", SKIP),
        ('{"default-ulimits": {"nofile": {"Name": "nofile", "Hard": 65536, "Soft": 1024}}}', 1048576, "", PASS),
        ('{"default-ulimits": {"nofile": {"Name": "nofile", "Hard": 65536, "Soft": 1024}}}', 0, "", PASS),
        ('{"default-ulimits": {"nofile": {"Name": "nofile", "Hard": 2000000, "Soft": 1024}}}', 1048576, "", FAIL),
        ('{"default-ulimits": {"nofile": {"Name": "nofile", "Hard": 65536, "Soft": 1024}}}', 1048576, REFUSED, FAIL),
        ('{"default-ulimits": {"nofile": 3}}', 1048576, "", SKIP),
    ],
)
def test_default_ulimits(text, nr_open, error, status):
    inside = Inside(View("host"), View("default bridge", error=error), View("user network", error=error))
    files = OpenFiles((Holder("dockerd", 9, 4, 20000, 20000),))
    found = default_ulimits.decide(file_of(text), FileLimits(nr_open), inside, files, units(), info_of())
    assert found.status is status
    if status is FAIL:
        assert '"Hard": 20000, "Soft": 1024' in found.fix[1]


# /proc of real processes, each a few seconds old: Python and C closing descriptors that are not open, a loop of a shell's,
# dd from /dev/zero to /dev/null, and one that fills memory.
LOOPS = [
    ("close, Python", 1838, 126, 35, 75, 10, True),
    ("close, C", 1838, 79, 47, 86, 10, True),
    ("shell", 1087, 97, 2, 55, 8, False),
    ("dd", 1102, 22, 72, 2384673, 11, False),
    ("memory", 275878, 8, 74, 77, 14, False),
]


@pytest.mark.parametrize(("_what", "faults", "user", "system", "calls", "waits", "spins"), LOOPS)
@pytest.mark.parametrize("limit", [1048576, MANY])
def test_what_a_close_loop_looks_like(tmp_path, limit, _what, faults, user, system, calls, waits, spins):
    stat = f"7 (x) R 1 7 7 0 -1 4194304 {faults} 0 0 0 {user} {system} 0 0 20 0 1 0 1000 0 0 0"
    files = {
        "7/limits": f"Max open files            {limit}           {limit}           files     \n",
        "7/stat": stat,
        "7/io": f"rchar: 9\nwchar: 9\nsyscr: {calls}\nsyscw: 0\n",
        "7/status": f"Name:\tx\nvoluntary_ctxt_switches:\t{waits}\nnonvoluntary_ctxt_switches:\t3329\n",
        "uptime": "17.0 9.0\n",
    }
    for name, text in files.items():
        (tmp_path / "proc" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "proc" / name).write_text(text)
    (tmp_path / "proc/7/fd").mkdir()
    host = Host(root=tmp_path, env={})
    running = Containers((Container("1", "web", "web", "running", "Up", pid=7),))
    (found,) = look.measure(host, HERE, DaemonProcess(0), running).all
    assert found.spins is (spins and limit == MANY)

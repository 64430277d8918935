"""`doctor fix` and `doctor undo` on real engines: faults are repaired and taken back, and no kill leaves half of anything."""

import base64
import json
from fnmatch import fnmatchcase

import pytest

from tests.lab.fault import FIXED, Fault, NotProven, at, do, engines, fails, noted
from tests.lab.faults import FAULTS
from tests.lab.machine import Machine, wait_for
from tests.lab.matrix import require
from tests.lab.repairs import KILLED, KINDS, by_hand

pytestmark = pytest.mark.lab

BY_ID = {fault.id: fault for fault in FAULTS}
AUTOMATIC = [fault for fault in FAULTS if fault.verify_fix and not fault.user and not by_hand(fault)]
# One of each kind of step in `make test`: files, drop-ins, settings, rules, services, containers.
ALWAYS = {
    "daemon-json-syntax:trailing-comma",
    "daemon-json-syntax:still-running",
    "daemon-not-running:stopped",
    "docker-unit-masked:service",
    "net-ip-forward-off",
    "net-forward-drop-other-firewall:chain",
    "net-mtu-blackhole:nft",
    "proxy-percent-systemd",
    "res-oom-killed",
    "redis-name-not-resolved",
}
# dockerd writes its own rules whenever it starts: what was missing, or pending in a file, is there afterwards, and stays.
OWN_RULES = (
    *("daemon-json-not-reloaded*", "net-docker-chains-flushed*", "net-nft-flush-ruleset*", "net-iptables-false*"),
    *("net-forward-drop-other-firewall:policy", "port-lost-at-live-restore*"),
)
# All that a fix may touch, but for what every build notes of itself, and the order of rules: dockerd puts its own first
# whenever a network is made.
STATE = r"""
    for place in /etc/docker /etc/systemd /etc/sysctl.d /etc/sysctl.conf /etc/default /etc/nftables.conf /root/.docker /root/.profile
    do find $place -printf '%p %y %m %u %g %l\n' 2>/dev/null | grep -v -e /buildx -e .buildNodeID | sort; find $place -type f -not -path '*/buildx/*' -not -name .buildNodeID -exec sha256sum {} + 2>/dev/null | sort
    done
    getent group docker; sysctl net.ipv4.ip_forward
"""
# Of the engine's own; what the doctor asked from is labelled, and a kill leaves it to the next examination.
ENGINES_OWN = r"""
    timeout 10 docker ps --format '{{.Names}} {{.Networks}} {{.Label "io.dockerdoctor.probe"}}' | awk 'NF == 2' | sort
    timeout 10 docker network ls --format '{{.Name}} {{.Label "io.dockerdoctor.probe"}}' | awk 'NF == 1' | sort
    timeout 10 docker ps -a --format '{{.ID}} {{.Label "io.dockerdoctor.probe"}}' | awk 'NF == 1' |
        xargs -r docker inspect --format '{{.Name}} {{.HostConfig.Memory}} {{.HostConfig.PidsLimit}}' | sort
"""
# Rules, and policies that drop: dockerd leaves empty tables and chains behind.
RULES = r"""
    ip rule; iptables-save | sed 's/\[.*\]//' | grep -e '^-' -e DROP | sort
    nft --stateless list ruleset | grep -P '^\t\t' | grep -v 'policy accept;' | sort
"""


def state(m: Machine, *, rules: bool = True) -> str:
    """What must be the same after a fix was taken back."""
    return m.run(STATE).stdout + (m.run(RULES).stdout + m.run(ENGINES_OWN).stdout if rules else "")


def runs(m: Machine) -> bool:
    """Whether dockerd does, and answers: the rules of one that is dead are whatever they were left at."""
    return m.run("systemctl is-active --quiet docker && timeout 5 docker version", check=False).returncode == 0


def fixed(m: Machine, *args: str, **options) -> dict:
    """Run `doctor fix` and give what became of the first cause."""
    done = m.doctor("fix", *args, "--format", "json", timeout=200, **options)
    treated = json.loads(done.stdout)["fixes"]
    if not treated:
        raise NotProven(f"there is nothing to fix: {done.stderr}")
    return treated[0] | {"stderr": done.stderr, "exit_status": done.returncode}


def prove_fix(fault: Fault, engine: str) -> None:
    """Break, repair with `doctor fix`, see that it works, take it back, and see that all is as it was."""
    fault = at(fault, engine)
    with (
        noted({"fault": FIXED.format(fault.id)}, fault.machine) as watch,
        Machine.boot(**fault.machine) as m,
    ):
        do(m, fault.setup)
        if failure := fails(m, fault):
            raise NotProven(f"`broken` fails before the fault is there: {failure}")
        do(m, fault.inject)
        # What the user tried stands in the engine's log, and names registries to look at.
        if not fails(m, fault):
            raise NotProven("the fault does nothing: `broken` still succeeds")
        rules = runs(m) and not any(fnmatchcase(fault.id, pattern) for pattern in OWN_RULES)
        before = state(m, rules=rules)
        watch("inject")
        said = fixed(m, fault.check, "--write", "--yes", "--irreversible", env=fault.env)
        watch("check")
        if said["outcome"] != "applied":
            raise NotProven(f"{said['outcome']}: {said['reason']}\n{said['stderr']}")
        m.wait_docker()
        # What the user tries may write the client's file itself, which is then no more what the doctor left.
        m.run("rm -rf /srv/client; cp -a /root/.docker /srv/client || true")
        if failure := fails(m, fault):
            raise NotProven(f"`broken` still fails: {failure}")
        m.run("! test -d /srv/client || { rm -rf /root/.docker; cp -a /srv/client /root/.docker; }")
        m.run("doctor undo --yes", timeout=200)
        if (after := state(m, rules=rules)) != before:
            lines = set(before.splitlines()) ^ set(after.splitlines())
            raise NotProven(f"not as it was: {sorted(lines)}")


@pytest.mark.parametrize(
    ("fault", "engine"),
    [
        pytest.param(
            fault,
            engine,
            id=f"{fault.id}@{engine}",
            marks=() if fault.id in ALWAYS and engine == engines(fault)[0] else pytest.mark.matrix,
        )
        for fault in AUTOMATIC
        for engine in engines(fault)
    ],
)
def test_fixed_and_taken_back(fault, engine):
    require(engine)
    prove_fix(fault, engine)


# Kills the doctor as soon as it has written so many lines of its journal.
KILLS = """\
import os, signal, sys
from dockerdoctor import cli
from dockerdoctor.host import Host

left, append = int(sys.argv.pop(1)), Host.append_line


def note(self, path, line):
    global left
    append(self, path, line)
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)


Host.append_line = note
cli.main()
"""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.matrix if number else ()) for number, name in enumerate(KINDS)]
)
def test_killed_after_any_line_of_the_journal(name):
    fault = at(BY_ID[name], engines(BY_ID[name])[0])
    row = {"fault": KILLED.format(name)}
    with noted(row, fault.machine) as watch, Machine.boot(**fault.machine) as m:
        do(m, fault.setup)
        do(m, fault.inject)
        rules = runs(m)
        before = state(m, rules=rules)
        m.write("/srv/killed/doctor", KILLS)
        python = m.run("head -1 $(command -v doctor)").stdout.strip("#!\n ")
        for lines in range(1, 40):
            done = m.run(
                f"{python} /srv/killed/doctor {lines} fix {fault.check} --write --yes", check=False, timeout=120
            )
            if done.returncode == 0:
                break
            assert done.returncode in {-9, 137}, done
            last = m.run("cd /var/lib/dockerdoctor; tail -n 1 $(ls | tail -n 1)/progress").stdout.strip()
            found = json.loads(m.doctor("check", "--only", "changes.*", "--format", "json").stdout)["results"][0]
            assert (found["id"], found["status"]) == ("changes.unfinished", "pass" if last == "applied" else "fail")
            m.run("doctor undo --yes", timeout=200)
            assert state(m, rules=rules) == before, f"after {lines} lines"
        assert lines > 3, lines
        row["kills"] = lines - 1
        watch("check")
        m.run("doctor undo --yes", timeout=200)
        assert state(m, rules=rules) == before


@pytest.fixture
def sick():
    """A machine whose daemon.json has a comma too many, and whose dockerd has not noticed yet."""
    fault = at(BY_ID["daemon-json-syntax:still-running"], "20.10")
    with Machine.boot(**fault.machine) as m:
        do(m, fault.setup)
        do(m, fault.inject)
        yield m


CHECK = "daemon-json.syntax"
WRITE = (CHECK, "--write", "--yes")


def test_shows_what_it_would_do_and_touches_nothing(sick):
    before = state(sick)
    said = fixed(sick, CHECK)
    assert (said["outcome"], said["exit_status"]) == ("planned", 0)
    assert any(line.startswith("-") for line in said["diff"])
    assert "systemctl restart docker" in said["commands"]
    text = sick.doctor("fix")
    assert (text.returncode, "doctor undo" in text.stdout) == (0, True)
    # Nobody to ask, and no --yes; a person who says no; somebody who is not root.
    assert sick.doctor("fix", "--write").returncode == 2
    declined = sick.run("echo n | script -qec 'doctor fix --write' /dev/null", check=False)
    assert "nothing was changed" in declined.stdout
    said = json.loads(sick.doctor("fix", *WRITE, "--format", "json", user="alice").stdout)["fixes"]
    assert [one["outcome"] for one in said] in (["refused"], ["by-hand"], [])
    assert state(sick) == before
    assert "nothing" in sick.run("doctor history").stdout


# What stands in the way, how it ends, and what the reason says.
OBSTACLES = {
    "a journal that cannot be written": (
        "mkdir -p /var/lib/dockerdoctor && mount -t tmpfs -o size=4k,nr_inodes=1 none /var/lib/dockerdoctor",
        "refused",
        "journal",
    ),
    "a journal's disk that is full": (
        "mkdir -p /var/lib/dockerdoctor && mount -t tmpfs -o size=64k none /var/lib/dockerdoctor;"
        "head -c 1M /dev/zero > /var/lib/dockerdoctor/filler || true",
        "refused",
        "No space left",
    ),
    "read-only": (
        "mount --bind /etc/docker /etc/docker && mount -o remount,bind,ro /etc/docker",
        "rolled-back",
        "Read-only file system",
    ),
    "a disk that is full": (
        "cp -a /etc/docker /srv/was; mount -t tmpfs -o size=64k none /etc/docker; cp -a /srv/was/. /etc/docker;"
        "head -c 1M /dev/zero > /etc/docker/filler || true",
        "rolled-back",
        "No space left",
    ),
    "immutable": ("chattr +i /etc/docker/daemon.json", "rolled-back", "lsattr"),
    "an immutable folder": ("chattr +i /etc/docker", "rolled-back", "lsattr"),
    "a file that is mounted": (
        "cp -a /etc/docker/daemon.json /srv/mine; mount --bind /srv/mine /etc/docker/daemon.json",
        "rolled-back",
        "mounted on it",
    ),
    # It starts with no other file than this one.
    "a restart that fails": (
        "sum=$(sha256sum < /etc/docker/daemon.json); mkdir -p /etc/systemd/system/docker.service.d;"
        'printf \'[Service]\\nExecStartPost=/bin/sh -c "test \\\\"$(sha256sum < /etc/docker/daemon.json)\\\\" = \\\\"%s\\\\""\\n\' "$sum"'
        " > /etc/systemd/system/docker.service.d/picky.conf; systemctl daemon-reload",
        "rolled-back",
        "failed with status",
    ),
    # It starts, and does not answer; nor does it once the file is back, which is told.
    "an engine that does not answer": (
        "mkdir -p /etc/systemd/system/docker.service.d; printf '[Service]\\nExecStartPost=/bin/sh -c \"kill -STOP $MAINPID\"\\n'"
        " > /etc/systemd/system/docker.service.d/stopped.conf; systemctl daemon-reload",
        "rolled-back",
        "does not answer",
    ),
}
OFTEN = {"a journal that cannot be written", "read-only", "a restart that fails"}
LOOK = "sha256sum /etc/docker/daemon.json; stat -c '%a %u %g %Y' /etc/docker/daemon.json; ls -A /etc/docker"


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in OFTEN else pytest.mark.matrix) for name in OBSTACLES]
)
def test_obstacles_leave_the_file_as_it_was(sick, name):
    obstacle, outcome, why = OBSTACLES[name]
    sick.run(obstacle)
    before = sick.run(LOOK).stdout
    said = fixed(sick, *WRITE)
    assert (said["outcome"], why in said["reason"]) == (outcome, True), said
    assert said["exit_status"] == {"refused": 1, "rolled-back": 4}[outcome]
    assert any("which did not fail before" in step for step in said["next"]) is ("answer" in why), said
    assert sick.run(LOOK).stdout == before


# A file as somebody may have written it, and as it must be after a comma too many was taken out.
ODD_FILES = {
    "tabs and CRLF": ('{\r\n\t"debug":\ttrue,\r\n\t"dns":\t["{gateway}",]\r\n}\r\n', ('",]', '"]')),
    "no newline at the end": ('{"debug":true,"dns":["{gateway}",]}', ('",]', '"]')),
    "lines after it": ('{"debug":true,"dns":["{gateway}",]}\n\n\n', ('",]', '"]')),
    "keys in another order": ('{\n "log-level": "info"\n,"debug" : true\n ,"dns":["{gateway}"],}\n', ('"],}', '"]}')),
    "60 kB": ("{\n" + f'{" " * 79}\n' * 750 + '"dns":["{gateway}",]}\n', ('",]', '"]')),
    "letters": ('{"labels": ["é=ü", "a=\\u00fc"], "dns":["{gateway}",]}\n', ('",]', '"]')),
}  # fmt: skip
# And as it may lie there.
LIES = r"""
    mkdir -p /srv/conf && mv /etc/docker/daemon.json /srv/conf/docker.json && ln -s ../../srv/conf/docker.json /etc/docker/daemon.json
    chown 1000:4 /srv/conf/docker.json && chmod 0600 /srv/conf/docker.json
    python3 -c 'import os; os.setxattr("/srv/conf/docker.json", "trusted.lab", b"kept")'
"""
DIFFERS = r"""
    readlink /etc/docker/daemon.json; stat -c '%a %u %g' /srv/conf/docker.json
    python3 -c 'import os; print(os.listxattr("/srv/conf/docker.json"))'
"""
BYTES = "sha256sum /srv/conf/docker.json; stat -c %y /srv/conf/docker.json"


@pytest.mark.matrix
def test_odd_files_are_changed_where_they_are_wrong_and_nowhere_else(sick):
    sick.run(LIES)
    about = sick.run(DIFFERS).stdout
    assert "600 1000 4" in about
    for name, (text, (wrong, right)) in ODD_FILES.items():
        sick.run("cat > /srv/conf/docker.json", stdin=sick.fill(text))
        before = sick.run(BYTES).stdout
        said = fixed(sick, *WRITE)
        assert said["outcome"] == "applied", (name, said)
        read = sick.run("base64 /srv/conf/docker.json").stdout
        assert base64.b64decode(read).decode() == sick.fill(text).replace(wrong, right), name
        assert sick.run(DIFFERS).stdout == about, name
        sick.run("doctor undo --yes", timeout=200)
        assert sick.run(BYTES).stdout + sick.run(DIFFERS).stdout == before + about, name


@pytest.mark.matrix
def test_a_restart_that_takes_a_minute_keeps_other_doctors_waiting_and_is_proven(sick):
    sick.run("""
        mkdir -p /etc/systemd/system/docker.service.d
        printf '[Service]\nExecStartPre=/bin/sleep 60\n' > /etc/systemd/system/docker.service.d/slow.conf
        systemctl daemon-reload
        doctor fix --write --yes --format json > /srv/first 2> /srv/said < /dev/null &""")
    wait_for(lambda: "activating" in sick.run("systemctl is-active docker || true").stdout, "the restart", 60)
    before = state(sick, rules=False)
    said = fixed(sick, *WRITE) if "syntax" in sick.doctor("fix", CHECK).stdout else None
    assert said is None or (said["outcome"], "another doctor" in said["reason"]) == ("refused", True), said
    done = sick.doctor("undo", "--yes")
    assert (done.returncode, "another doctor" in done.stderr) == (1, True), done
    assert "at work now" in sick.run("doctor history").stdout
    found = json.loads(sick.doctor("check", "--only", "changes.*", "--format", "json").stdout)["results"][0]
    assert (found["status"], "in the middle of" in found["summary"]) == ("skip", True)
    assert state(sick, rules=False) == before
    wait_for(lambda: sick.run("cat /srv/first").stdout, "the end of the first", 150)
    assert [one["outcome"] for one in json.loads(sick.read("/srv/first"))["fixes"]] == ["applied"]


def test_what_somebody_changed_since_is_not_undone(sick):
    assert fixed(sick, *WRITE)["outcome"] == "applied"
    sick.run("echo '{}' > /etc/docker/daemon.json")
    done = sick.doctor("undo", "--yes")
    assert (done.returncode, "somebody else" in done.stderr) == (1, True)
    assert sick.read("/etc/docker/daemon.json") == "{}\n"

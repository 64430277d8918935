"""`doctor fix-dns` on real engines: what it writes, what it refuses, and that every failure leaves all as it was."""

import json
import shlex
import signal
import time

import pytest

from tests.lab.faults.dns import DEAD, KNOWN, RESOLVES, loopback_only, unreachable
from tests.lab.machine import Machine, wait_for

pytestmark = pytest.mark.lab

FILE = "/etc/docker/daemon.json"
CURE = ("fix-dns", "--write", "--yes")
DROP_IN = "/etc/systemd/system/docker.service.d/lab.conf"


@pytest.fixture
def sick():
    """A machine whose containers are given a nameserver that nobody answers at, and a container that runs."""
    with Machine.boot(daemon_json={"dns": [DEAD]}, **KNOWN) as m:
        unreachable(m, DEAD)
        m.run("docker run -d --name web busybox sleep 1000")
        yield m


def everything(m: Machine) -> str:
    """All that must be the same afterwards."""
    return m.run("""
        stat -c '%n %a %u %g %s %Y %F' /etc/docker /etc/docker/*
        sha256sum /etc/docker/*
        docker images -aq; docker network ls; docker ps -aq
        systemctl show -p MainPID docker.service""").stdout


def file_only(m: Machine) -> str:
    return m.run(f"stat -c '%a %u %g %s %Y' {FILE}; sha256sum {FILE}; ls /etc/docker").stdout


def outcome(m: Machine, *args: str, **options) -> dict:
    done = m.doctor(*args, "--format", "json", **options)
    said = json.loads(done.stdout)
    assert said["exit_status"] == done.returncode, done
    return said | {"stderr": done.stderr}


def drop_in(m: Machine, text: str) -> None:
    m.write(DROP_IN, f"[Service]\n{text}\n")
    m.run("systemctl daemon-reload")


def well(m: Machine) -> bool:
    return m.run(RESOLVES, check=False).returncode == 0


def test_shows_what_it_would_do_and_touches_nothing(sick):
    before = everything(sick)
    said = outcome(sick, "fix-dns")
    assert said["exit_status"] == 0
    assert said["ending"] == "planned"
    assert any(line.startswith("-") and DEAD in line for line in said["diff"])
    assert any(line.startswith("+") and sick.gateway in line for line in said["diff"])
    chosen = {s["server"]: s["chosen"] for s in said["servers"]}
    assert chosen == {DEAD: False, sick.gateway: True}
    assert any("web" in line for line in said["impact"])
    text = sick.doctor("fix-dns")
    assert (text.returncode, "web" in text.stdout, sick.gateway in text.stdout) == (0, True, True)
    # Nobody to ask, and no --yes.
    done = sick.doctor("fix-dns", "--write")
    assert done.returncode == 2
    assert "--yes" in done.stderr
    for bad in ("127.0.0.1", "::1", "dns.example", "0.0.0.0"):
        assert sick.doctor("fix-dns", "--dns", bad).returncode == 2
    # A person says no.
    refused = sick.run("echo n | script -qec 'doctor fix-dns --write' /dev/null", check=False)
    assert "Go ahead?" in refused.stdout
    assert "nothing was changed" in refused.stdout
    assert everything(sick) == before


def test_a_person_is_asked(sick):
    done = sick.run("(sleep 20; echo y) | script -qec 'doctor fix-dns --write' /dev/null", check=False, timeout=120)
    assert done.returncode == 0, done.stdout
    assert well(sick)


def test_writes_restarts_and_proves_and_is_taken_back(sick):
    before, was = sick.read(FILE), file_only(sick)
    said = outcome(sick, *CURE)
    assert said["ending"] == "applied", said
    assert well(sick)
    assert sick.read(FILE) == before.replace(DEAD, sick.gateway)
    assert sick.read(said["backup"]) == before
    assert said["next"] == ["docker start web"]
    sick.run("docker start web && docker exec web nslookup well.lab")
    again = everything(sick)
    assert outcome(sick, *CURE)["ending"] == "nothing-to-do"
    assert everything(sick) == again
    # And back, as if it had never been.
    assert f"{said['journal']} " in sick.run("doctor history").stdout
    sick.run("doctor undo --yes", timeout=120)
    assert file_only(sick) == was
    assert not well(sick)
    assert "taken back" in sick.run("doctor history").stdout


# What is written by hand, and what must become of it; {dead} and {good} are addresses of the same length or not.
FORMATS = {
    "tabs, CRLF": '{\r\n\t"debug":\ttrue,\r\n\t"dns":\t["{dead}"]\r\n}\r\n',
    "over lines": '{\n    "dns": [\n        "{dead}"\n    ],\n    "debug": true\n}',
    "minified": '{"dns":["{dead}"],"log-level":"info"}',
    "comma first, no newline": '{ "debug": true\n, "dns" : [ "{dead}" ]\n, "log-level": "warn"\n}',
    "duplicate": '{"dns": ["192.0.2.9"], "labels": ["a=\\u00fc"],\n\n "dns": ["{dead}"]}\n',
    "1 MB": "{\n" + f"{' ' * 99}\n" * 10_000 + '"dns": ["{dead}"]}\n',
    "what follows": '{"dns": ["{dead}"]}\n{"dns": ["192.0.2.9"]}\n',
}
INSERTED = {
    "{}": '{\n  "dns": ["{good}"]\n}',
    '{"debug":true}': '{"debug":true,"dns":["{good}"]}',
    '{\n\t"debug": true,\n\t"labels": ["a=b"]\n}\n': '{\n\t"debug": true,\n\t"labels": ["a=b"],\n\t"dns": ["{good}"]\n}\n',
    " \n": '{\n  "dns": ["{good}"]\n}\n',
}


def test_odd_files_keep_their_bytes(sick):
    cases = [(text, text.replace("{dead}", "{good}")) for text in FORMATS.values()] + list(INSERTED.items())
    for before, after in cases:
        sick.write(FILE, before.replace("{dead}", DEAD))
        said = outcome(sick, *CURE, "--no-restart")
        assert said["ending"] == "written", said
        assert "systemctl restart docker.service" in said["next"]
        assert sick.run(f"cat {FILE}").stdout == after.replace("{good}", sick.gateway)
    # The engine, which has read none of these, still is as it was: no restart happened.
    assert not well(sick)
    assert "web" in sick.run("docker ps").stdout


def test_keeps_link_mode_owner_and_attributes(sick):
    sick.run(f"""
        mkdir /srv/conf && mv {FILE} /srv/conf/docker.json && ln -s ../../srv/conf/docker.json {FILE}
        chown 1000:4 /srv/conf/docker.json && chmod 0600 /srv/conf/docker.json
        python3 -c 'import os; os.setxattr("/srv/conf/docker.json", "trusted.lab", b"kept")'""")
    said = outcome(sick, *CURE)
    assert said["ending"] == "applied", said
    assert said["path"] == "/srv/conf/docker.json"
    assert sick.run(f"readlink {FILE}").stdout.strip() == "../../srv/conf/docker.json"
    for path in ("/srv/conf/docker.json", said["backup"]):
        assert sick.run(f"stat -c '%a %u %g' {path}").stdout.strip() == "600 1000 4"
        assert sick.run(f'python3 -c \'import os; print(os.getxattr("{path}", "trusted.lab"))\'').stdout == "b'kept'\n"
    assert well(sick)


def test_without_a_file_one_is_made_with_the_servers_behind_dnsmasq():
    with Machine.boot(**KNOWN) as m:
        m.run(f"rm {FILE}")
        loopback_only(m)
        assert not well(m)
        said = outcome(m, *CURE)
        assert said["ending"] == "applied", said
        assert json.loads(m.read(FILE)) == {"dns": [m.gateway]}
        assert m.run(f"stat -c '%a %U %G' {FILE}").stdout.strip() == "644 root root"
        assert "dnsmasq" in next(s["source"] for s in said["servers"] if s["chosen"])
        assert said["backup"] == ""
        assert well(m)


def test_servers_behind_systemd_resolved_and_named_ones():
    with Machine.boot(**KNOWN) as m:
        unreachable(m, "8.8.8.8", "8.8.4.4", DEAD)
        # Two loopback lines: dockerd knows the stub only where it stands alone.
        m.write("/run/systemd/resolve/resolv.conf", f"nameserver {DEAD}\nnameserver {{gateway}}\n")
        m.run("printf 'nameserver 127.0.0.53\\nnameserver 127.0.0.54\\n' > /etc/resolv.conf; systemctl restart docker")
        assert not well(m)
        said = outcome(m, *CURE, "--dns", "198.51.100.99", "--dns", DEAD)
        assert said["ending"] == "applied", said
        sources = {s["server"]: s["source"] for s in said["servers"] if s["chosen"]}
        # The host's network answers for any address: the named one does, too, and comes second.
        assert list(sources) == [m.gateway, "198.51.100.99"]
        assert sources[m.gateway] == "/run/systemd/resolve/resolv.conf"
        assert well(m)


def test_a_restart_that_fails_is_rolled_back(sick):
    # The start limit is nearly reached when it begins.
    sick.run("systemctl restart docker")
    # Starts with the old file, and never with the new one.
    sick.write(
        "/srv/pre", f"#!/bin/sh\n! tr -d '[:space:]' < {FILE} | grep -q '\"dns\":.\"{sick.gateway}\"'\n", mode=0o755
    )
    drop_in(sick, "ExecStartPre=/srv/pre")
    before = file_only(sick)
    said = outcome(sick, *CURE)
    assert (said["ending"], said["exit_status"]) == ("rolled-back", 4), said
    assert "systemctl restart docker.service" in said["reason"]
    assert file_only(sick) == before
    sick.wait_docker()
    sick.run("docker start web")


def test_a_file_that_did_not_exist_is_removed_again():
    with Machine.boot(**KNOWN) as m:
        m.run(f"rm {FILE}")
        loopback_only(m)
        drop_in(m, f"ExecStartPre=/bin/sh -c '! test -e {FILE}'")
        before = m.run("ls -a /etc/docker").stdout
        said = outcome(m, *CURE)
        assert said["exit_status"] == 4, said
        assert m.run("ls -a /etc/docker").stdout == before
        m.wait_docker()


def test_a_proof_that_fails_is_rolled_back(sick):
    # From the restart on, nothing answers any more.
    drop_in(sick, "ExecStartPost=/sbin/iptables -I FORWARD -p udp --dport 53 -j DROP")
    before = file_only(sick)
    said = outcome(sick, *CURE)
    assert (said["ending"], said["exit_status"]) == ("rolled-back", 4), said
    assert "still do not resolve" in said["reason"]
    assert said["next"] == ["docker start web"]
    assert file_only(sick) == before
    sick.run("docker start web")


def test_a_rollback_that_fails_says_what_to_type(sick):
    drop_in(sick, "ExecStartPre=/bin/false")
    before = sick.read(FILE)
    said = outcome(sick, *CURE)
    assert (said["ending"], said["exit_status"]) == ("stranded", 5), said
    assert sick.read(FILE) == before
    assert "changes.unfinished" in sick.run("doctor check --only changes.*", check=False).stdout
    sick.run(f"rm {DROP_IN}; systemctl daemon-reload")
    sick.run(" && ".join(said["next"]))
    sick.wait_docker()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda s: s.name)
def test_an_interruption_puts_everything_back(sick, number):
    before = file_only(sick)
    # A shell starts what it puts into the background with SIGINT ignored, and Python would heed that.
    sick.write(
        "/srv/run.py",
        f"""import os, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
open("/srv/pid", "w").write(str(os.getpid()))
os.execvp("doctor", {["doctor", *CURE]!r})
""",
    )
    sick.run("setsid python3 /srv/run.py > /srv/out 2>&1 < /dev/null &")
    wait_for(lambda: "systemctl restart docker" in sick.run("cat /srv/out", check=False).stdout, "the restart", 90)
    time.sleep(0.3)
    pid = sick.read("/srv/pid")
    sick.run(f"kill -{number.value} {pid}")
    wait_for(lambda: sick.run(f"test -e /proc/{pid}", check=False).returncode, "its end", 90)
    assert "interrupted" in sick.read("/srv/out")
    assert "putting everything back" in sick.read("/srv/out")
    sick.wait_docker()
    assert file_only(sick) == before
    assert not sick.run("docker ps -aq --filter label=io.dockerdoctor.probe").stdout
    assert not well(sick)  # the old daemon, with the old file


def test_live_restore_keeps_containers():
    with Machine.boot(daemon_json={"dns": [DEAD], "live-restore": True}, **KNOWN) as m:
        unreachable(m, DEAD)
        m.run("""
            docker run -d --name web busybox sleep 1000
            docker run -d --name own --dns 192.0.2.7 busybox sleep 1000""")
        started = m.run("docker inspect -f '{{.State.StartedAt}}' web own").stdout
        said = outcome(m, *CURE)
        assert said["ending"] == "applied", said
        assert m.run("docker inspect -f '{{.State.StartedAt}}' web own").stdout == started
        assert any("live-restore" in line for line in said["impact"])
        assert "docker restart web" in said["next"]
        assert any(step.startswith("# own ") for step in said["next"])
        m.run("docker restart -t 0 web && docker exec web nslookup well.lab")


def test_refusals_name_the_cause_and_touch_nothing(sick):
    # Not JSON; the report holds the corrected file.
    good = sick.read(FILE)
    sick.write(FILE, good.replace("\n}", ",\n}"))
    before = everything(sick)
    said = outcome(sick, *CURE)
    assert said["exit_status"] == 1
    assert f"{FILE}:" in said["reason"]
    assert "daemon-json.syntax" in [c["id"] for c in said["root_causes"]]
    assert everything(sick) == before
    # Valid JSON that dockerd would not take.
    sick.write(FILE, good.replace("{", '{"no-such-key": 1,', 1))
    said = outcome(sick, *CURE)
    assert (said["exit_status"], "no-such-key" in said["reason"]) == (1, True)
    sick.write(FILE, good)
    # Not root.
    before = everything(sick)
    said = outcome(sick, "fix-dns", "--write", "--yes", user="alice")
    assert said["exit_status"] == 1
    assert said["next"][0].startswith("sudo ")
    assert outcome(sick, "fix-dns", user="alice")["ending"] == "planned"
    # A remote engine.
    assert outcome(sick, *CURE, "--host", "tcp://192.0.2.1:2375")["exit_status"] == 1
    assert everything(sick) == before


def test_refuses_where_a_flag_gives_servers_too():
    with Machine.boot(**KNOWN) as m:
        unreachable(m, DEAD)
        drop_in(m, f"ExecStart=\nExecStart=/usr/sbin/dockerd -H fd:// --dns {DEAD}")
        m.run("systemctl restart docker")
        assert not well(m)
        before = everything(m)
        said = outcome(m, *CURE)
        assert said["exit_status"] == 1
        assert f"{DROP_IN}:3" in said["reason"]
        assert everything(m) == before


def test_refuses_where_no_nameserver_would_help(sick):
    sick.run("iptables -I DOCKER-USER -p udp --dport 53 -j DROP; iptables -I DOCKER-USER -p tcp --dport 53 -j DROP")
    sick.run("iptables -I INPUT -i docker0 -p udp --dport 53 -j DROP")
    before = everything(sick)
    said = outcome(sick, *CURE)
    assert said["exit_status"] == 1
    assert "no nameserver answers containers" in said["reason"]
    assert said["root_causes"]
    assert "fix-dns" not in shlex.join(step for c in said["root_causes"] for step in c["fix"])
    assert everything(sick) == before


def test_nothing_to_do_on_a_healthy_machine():
    with Machine.boot(**KNOWN) as m:
        m.run("docker run -d --name web busybox sleep 1000")
        before = everything(m)
        for args in (("fix-dns",), CURE):
            assert outcome(m, *args)["ending"] == "nothing-to-do"
        assert everything(m) == before


@pytest.mark.parametrize("suite", ["trixie", "sid"])
def test_newer_engines(suite):
    """They are asked with --validate, and their user-defined networks go another way."""
    with Machine.boot(suite=suite, daemon_json={"dns": [DEAD]}, **KNOWN) as m:
        unreachable(m, DEAD)
        assert not well(m)
        m.write(FILE, "\ufeff" + m.read(FILE))  # these read a byte order mark
        said = outcome(m, *CURE)
        assert said["ending"] == "applied", said
        assert m.read(FILE).startswith("\ufeff{")
        assert well(m)

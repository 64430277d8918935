"""The lab itself: machines boot, do what real ones do, and leave nothing."""

import re
import signal
import subprocess
import sys
import time

import pytest

from tests.lab.machine import CommandFailed, Machine, wait_for
from tests.lab.slot import SLOTS
from tests.lab.store import REPO, LabError

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def machine():
    with Machine.boot(images=("busybox", "python:3.13-slim")) as booted:
        yield booted


def test_boots_quickly_and_well():
    start = time.monotonic()
    with Machine.boot() as machine:
        # 1 s alone on two cores; others may be at work.
        assert time.monotonic() - start < 10
        machine.settle()
        assert machine.run("systemctl is-system-running").stdout.strip() == "running"
        assert machine.run("hostname").stdout.strip() == machine.name
        assert "busybox" in machine.run("docker images").stdout


def test_two_at_once_are_apart():
    with Machine.boot() as one, Machine.boot() as other:
        assert one.address != other.address
        other.run("systemctl stop docker.socket docker.service")
        one.run("docker run --rm busybox true")
        assert one.read("/etc/machine-id") != other.read("/etc/machine-id")


def test_pulls_and_runs(machine):
    assert "Hello from Docker!" in machine.run("docker run --rm hello-world").stdout
    machine.run("docker run -d --name redis redis:7-alpine")
    assert "PONG" in machine.run("docker exec redis redis-cli ping").stdout


def test_builds_the_sample_with_packages_from_the_index(machine):
    for file in ("Dockerfile", ".dockerignore", "sample_app/app.py", "sample_app/requirements.txt"):
        machine.write(f"/srv/sample/{file}", (REPO / file).read_text())
    machine.run("cd /srv/sample && docker build -t sample .", timeout=240)
    assert "Flask" in machine.run("docker run --rm sample pip list").stdout


def test_restarts_docker(machine):
    machine.reset_start_limit()
    machine.run("systemctl restart docker")
    machine.wait_docker()
    machine.run("docker run --rm busybox true")


def test_names_are_a_cases_to_choose(machine):
    ask = "docker run --rm busybox nslookup -type=a chosen.lab"
    machine.dns.restart(address={"chosen.lab": "192.0.2.7"})
    assert "192.0.2.7" in machine.run(ask).stdout
    machine.dns.stop()
    with pytest.raises(CommandFailed):
        machine.run(ask)
    machine.dns.restart(address={})


def test_the_gateways_firewall_is_a_cases_to_choose():
    with Machine.boot() as machine:
        machine.run("ping -c1 -W2 {gateway}")
        machine.firewall("INPUT", "-s", "{address}", "-p", "icmp", "-j", "DROP")
        assert machine.run("ping -c1 -W1 {gateway}", check=False).returncode == 1


def test_users(machine):
    machine.run("docker ps", user="alice")
    assert "permission denied" in machine.run("docker ps", user="bob", check=False).stderr


def test_commands(machine):
    assert machine.run("echo out; echo err >&2").stdout == "out\n"
    assert machine.run("echo $WHERE", env={"WHERE": "{gateway}"}).stdout == f"{machine.gateway}\n"
    with pytest.raises(CommandFailed, match="said this"):
        machine.run("echo said this >&2; false")
    # A server left behind does not keep us waiting, and a command that hangs is ended.
    machine.run("sleep 1000 &", timeout=5)
    with pytest.raises(LabError, match=r"still running after 0\.5 s"):
        machine.run("exec sleep 1234", timeout=0.5)
    assert machine.run("pgrep -fx 'sleep 1234'", check=False).returncode == 1
    machine.write("/srv/deep/file", "$text\n", mode=0o600)
    assert machine.read("/srv/deep/file") == "$text\n"


def test_has_this_checkouts_doctor(machine):
    done = machine.run("/opt/doctor/bin/python -c 'import dockerdoctor; print(dockerdoctor.__file__)'", user="alice")
    assert done.stdout.startswith("/opt/doctor/")


def test_config_is_written_as_given():
    with Machine.boot(daemon_json='{"bip": }', resolv_conf="nameserver 192.0.2.1\n", wait=False) as machine:
        assert machine.read("/etc/docker/daemon.json") == '{"bip": }'
        assert machine.read("/etc/resolv.conf") == "nameserver 192.0.2.1\n"
        machine.settle()
        assert "invalid character" in machine.run("journalctl -u docker --no-pager").stdout


# -- nothing is left

OWNER = """
import sys, time
from tests.lab.machine import Machine
with Machine.boot() as machine:
    machine.run("docker run -d --name left busybox sleep 1000")
    machine.on_gateway(["sleep", "1000"])
    print(machine.slot.number, flush=True)
    time.sleep(1000)
"""


def traces(number):
    """Everything on the host that belongs to machine `number`."""
    name = f"dd{number}"
    commands = {
        "mounts": "cat /proc/self/mounts",
        "links": "ip -brief link",
        "rules": "iptables-save",
        "processes": "ps -eo args",
        "groups": "find /sys/fs/cgroup -type d",
        "nspawn": "find /run/systemd/nspawn",
    }
    ours = re.compile(rf"(lab-|ve-|machines/|propagate/|unix-export/){name}\b|\b10\.213\.{number}\.")
    found = {}
    for what, command in commands.items():
        lines = subprocess.run(command, shell=True, capture_output=True, text=True, check=False).stdout.splitlines()
        if hits := [line for line in lines if ours.search(line)]:
            found[what] = hits
    return found


def owner():
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER], cwd=REPO, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    return process, int(process.stdout.readline())


def test_leaves_nothing():
    with Machine.boot() as machine:
        number, home = machine.slot.number, machine.slot.home
        machine.run("docker run -d busybox sleep 1000")
        for table in ("raw", "mangle"):  # a case may use any
            machine.firewall("PREROUTING", "-i", machine.slot.link, "-d", "198.51.100.1", "-j", "DROP", table=table)
        assert {"mounts", "links", "rules", "processes", "groups"} <= set(traces(number))
    assert traces(number) == {}
    assert not home.exists()


def test_leaves_nothing_after_a_failure():
    with pytest.raises(ZeroDivisionError), Machine.boot() as machine:  # noqa: PT012 - the failure is in its body
        number = machine.slot.number
        raise ZeroDivisionError
    assert traces(number) == {}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_leaves_nothing_when_told_to_end(number):
    process, slot = owner()
    assert traces(slot)
    process.send_signal(number)
    process.wait(20)
    assert traces(slot) == {}


def test_what_a_killed_owner_left_is_swept_and_no_other():
    with Machine.boot() as living:
        process, slot = owner()
        process.kill()
        process.wait()
        assert traces(slot)
        done = subprocess.run(
            [sys.executable, "-m", "tests.lab.sweep"], cwd=REPO, capture_output=True, text=True, check=True
        )
        # A session that began just now may have swept it before us.
        wait_for(lambda: not traces(slot), "the sweep", 10)
        assert living.name not in done.stdout.split()
        living.run("docker run --rm busybox true")
    assert (SLOTS / str(slot)).stat().st_size == 0

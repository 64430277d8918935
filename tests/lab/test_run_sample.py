"""`doctor run-sample` on machines: what it builds, what it says when it cannot, and that it leaves nothing."""

import json
import shlex
import subprocess
import time

import pytest

from tests.lab.base import host_cas
from tests.lab.machine import Machine
from tests.lab.sample_cases import CASES, break_it, declared
from tests.lab.sample_cases import boot as boot_case

pytestmark = pytest.mark.lab

# As published: it trusts no certificate authority but the public ones.
PLAIN = "python:3.13-slim-plain"
NO_REDIS = "<i>cannot connect to Redis, counter disabled</i>"
SOURCE = "/opt/doctor/lib/python3*/site-packages/dockerdoctor/_sample"
# Containers, images but those with a name, and the sample's own.
LEFT = "docker ps -aq; docker images -aq -f dangling=true; docker images -q friendlyhello"


def boot(**options):
    return Machine.boot(images=("busybox", PLAIN), **options)


def plain(machine):
    """Make it the tutorial's base image."""
    machine.run(f"docker tag {PLAIN} python:3.13-slim")


def run_sample(machine, *args, expect=0, **options):
    done = machine.doctor("run-sample", "--format", "json", *args, timeout=300, **options)
    assert done.returncode == expect, f"{done.stdout}\n{done.stderr}"
    report = json.loads(done.stdout)
    assert report["passed"] == (expect == 0)
    return report


def stage(report, name):
    return next(s for s in report["stages"] if s["id"] == name)


def test_from_nothing_but_the_package():
    """The base image is pulled, the wheel's own files are built in an empty folder, by who is not root."""
    with Machine.boot() as machine:
        assert machine.run("ls", user="alice").stdout == ""
        report = run_sample(machine, user="alice")
        assert stage(report, "base-image")["summary"].startswith("python:3.13-slim was pulled")
        assert {s["id"]: s["status"] for s in report["stages"] if s["status"] != "pass"} == {"redis": "skip"}
        assert {"endpoint", "hello-world", "listening", "addresses", "neighbour"} <= {s["id"] for s in report["stages"]}
        short = stage(report, "hostname")["summary"]
        assert report["page"] == f"<h3>Hello World!</h3><b>Hostname:</b> {short}<br/><b>Visits:</b> {NO_REDIS}"
        assert report["url"] == "http://localhost:4000"
        assert report["diagnosis"] is None
        image = machine.run("docker images -q friendlyhello:latest").stdout.split()
        assert machine.run("docker ps -aq").stdout == ""
        assert len(image) == 1
        again = run_sample(machine, "--rm-image", "--port", "4001", user="alice")
        assert again["url"] == "http://localhost:4001"
        assert machine.run(LEFT).stdout == ""
        # The tutorial's own way, with the same files.
        machine.run(f"docker build -t friendlyhello {SOURCE}", timeout=120)


@pytest.mark.skipif(not host_cas(), reason="the package index is signed by a public authority here")
def test_authorities_of_the_host_reach_the_build():
    with boot() as machine:
        plain(machine)
        by_hand = machine.run(f"timeout 30 docker build -t friendlyhello {SOURCE}", check=False)
        assert "CERTIFICATE_VERIFY_FAILED" in by_hand.stdout + by_hand.stderr
        report = run_sample(machine)
        assert "certificate authorit" in " ".join(report["given_to_build"])


def test_proxy_of_the_shell_reaches_the_build_and_stays_out_of_the_image():
    with boot() as machine:
        plain(machine)
        machine.write("/etc/tinyproxy.conf", "Port 3128\nListen {address}\nBasicAuth alice s3cret\n")
        machine.run("tinyproxy -c /etc/tinyproxy.conf")
        # The proxy is the only way out for containers.
        machine.run("iptables -I FORWARD -i docker0 ! -o docker0 -j REJECT")
        proxy = machine.fill("http://alice:s3cret@{address}:3128")
        report = run_sample(machine, env={"https_proxy": proxy, "http_proxy": proxy})
        assert "s3cret" not in json.dumps(report)
        assert any("https_proxy" in note for note in report["given_to_build"])
        image = machine.run("docker history --no-trunc friendlyhello; docker inspect friendlyhello").stdout
        assert "s3cret" not in image
        assert "3128" not in image


def test_redis():
    with Machine.boot(images=("busybox", "python:3.13-slim", "redis:7-alpine")) as machine:
        report = run_sample(machine, "--redis")
        assert stage(report, "visits")["summary"].startswith("1, 2, 3")
        assert machine.run("docker ps -aq; docker network ls -q --filter label=io.dockerdoctor.sample").stdout == ""
        # One that is there already is used, and counts on.
        machine.run("docker network create n && docker run -d --name redis --network n redis:7-alpine")
        for first in (1, 8):
            report = run_sample(machine, "--network", "n", "--redis")
            # After the three, the page is asked for at three addresses of this host, and by another container.
            assert stage(report, "visits")["summary"].startswith(f"{first}, {first + 1}, {first + 2}")
        machine.run("docker rm -f redis && docker run -d --name redis --network n busybox sleep 600")
        report = run_sample(machine, "--network", "n", expect=1)
        assert report["failed_stage"] == "visits"
        assert "busybox" in json.dumps(stage(report, "visits")["evidence"])


def test_left_running_and_ended():
    with Machine.boot(images=("busybox", "python:3.13-slim")) as machine:
        done = machine.doctor("run-sample", "--detach", timeout=300)
        assert done.returncode == 0, done.stderr
        container = done.stdout.strip()
        assert len(container) == 64
        assert container[:12] in machine.run("curl -s localhost:4000").stdout
        # The next run knows it, and says how it is ended; it is not taken for a left-over.
        report = run_sample(machine, expect=1)
        assert report["failed_stage"] == "port"
        assert stage(report, "port")["fix"][0].endswith("doctor run-sample --stop")
        assert machine.run("docker ps -q --no-trunc").stdout.strip() == container
        assert "removed" in machine.doctor("run-sample", "--stop").stdout
        assert machine.run(LEFT).stdout.split() == machine.run("docker images -q friendlyhello").stdout.split()
        # In the foreground until Ctrl-C, which is no failure.
        code, said = interrupted(machine, "is there until Ctrl-C", "INT", "--foreground")
        assert code == 0, said
        assert machine.run("docker ps -aq").stdout == ""


def test_image_of_somebody_else_keeps_its_name():
    with Machine.boot(images=("busybox", "python:3.13-slim")) as machine:
        machine.run("docker tag busybox friendlyhello")
        before = machine.run("docker images -q friendlyhello:latest").stdout
        report = run_sample(machine, "--rm-image")
        assert report["image"] == "friendlyhello:dockerdoctor"
        assert machine.run("docker images -q friendlyhello").stdout == before


def test_killed_it_is_cleared_away_by_the_next_run():
    with Machine.boot(images=("busybox", "python:3.13-slim", "redis:7-alpine")) as machine:
        lines = (
            "Packing",
            "Step 3/",
            "Collecting Flask",
            "Starting Redis",
            "Creating the container",
            "Starting the container",
        )
        for line in (*lines, "Waiting for the application", "Fetching the page", "Asking at every address", "Removing"):
            interrupted(machine, line, "KILL", "--redis")
        run_sample(machine, "--rm-image")
        assert machine.run("docker ps -aq; docker network ls -q --filter label=io.dockerdoctor.sample").stdout == ""
        assert machine.run("docker images -aq -f dangling=true; docker images -q friendlyhello").stdout == ""


def test_port_that_is_taken():
    with Machine.boot(images=("busybox", "python:3.13-slim")) as machine:
        machine.run("python3 -m http.server 4000 >/dev/null 2>&1 & echo $! > /tmp/pid; sleep 1")
        report = run_sample(machine, expect=1)
        pid = machine.read("/tmp/pid").strip()
        assert stage(report, "port")["summary"].startswith(f"port 4000 is taken by python3 (pid {pid}")
        assert stage(report, "port")["fix"][0].endswith("doctor run-sample --port 4001")
        # All else is shown on another port.
        assert stage(report, "port")["instead"] == "port 4001"
        assert stage(report, "visits")["status"] == "pass"
        machine.run("kill $(cat /tmp/pid)")
        run_sample(machine)
        # A person's own container of the same image is no left-over.
        machine.run("docker run -d --name web -p 4000:80 friendlyhello")
        report = run_sample(machine, expect=1)
        assert "container web (" in stage(report, "port")["summary"]
        machine.run("docker rm -f web")
        left = "docker run -d --name old -p 4000:80 --label io.dockerdoctor.sample=1 --label io.dockerdoctor.sample.pid=99999"
        machine.run(f"{left} friendlyhello")
        report = run_sample(machine)
        assert "removed old" in stage(report, "port")["summary"]
        assert machine.run("docker ps -aq").stdout == ""


def test_interrupted_it_leaves_nothing():
    with boot() as machine:
        plain(machine)
        cases = [
            ("Step 3/", "INT"),
            ("Collecting Flask", "TERM"),
            ("Installing collected", "INT"),
            ("Step 8/", "TERM"),
            ("Creating the container", "INT"),
            ("Starting the container", "INT"),
            ("Waiting for the application", "TERM"),
            ("Fetching the page", "TERM"),
            ("Asking at every address", "INT"),
        ]
        for line, signal in cases:
            code, said = interrupted(machine, line, signal)
            assert code == 130, (line, signal, said)
            assert said == "", "standard output is the report's alone"
            machine.run("docker rmi -f friendlyhello 2>/dev/null; true")
            assert machine.run("docker ps -aq").stdout == "", (line, signal)
            assert machine.run("docker images -aq -f dangling=true").stdout == "", (line, signal)


def interrupted(machine, line, signal, *args):
    """Send a signal once progress shows a line; give the exit status and standard output."""
    words = shlex.join(["doctor", "run-sample", *args])
    command = machine.enter(["bash", "-c", f"echo $$ > /tmp/doctor.pid; exec {words}"])
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert any(line in heard for heard in run.stderr)
        machine.run(f"kill -{signal} $(cat /tmp/doctor.pid)")
        out, _ = run.communicate(timeout=60)
    finally:
        run.kill()
    return run.returncode, out


def test_dead_nameserver_is_the_cause_of_a_failed_build():
    with boot(daemon_json={"dns": ["192.0.2.53"]}) as machine:
        plain(machine)
        machine.run("iptables -I FORWARD -d 192.0.2.53 -j DROP; iptables -I OUTPUT -d 192.0.2.53 -j DROP")
        # Before pip's first try has failed, and without a limit: pip itself takes more than a minute.
        for limit in (("--timeout", "5"), ()):
            start = time.monotonic()
            report = run_sample(machine, *limit, expect=1)
            assert time.monotonic() - start < 50
            assert report["failed_stage"] == "build"
            assert report["root_causes"] == ["dns.server-dead"]
            assert machine.run(LEFT).stdout == ""


def test_dead_mirror_is_the_cause_of_a_failed_pull():
    with Machine.boot() as machine:
        machine.registry.kill()
        machine.registry.wait()
        report = run_sample(machine, expect=1)
        assert report["failed_stage"] == "base-image"
        assert [cause.split(".")[0] for cause in report["root_causes"]] == ["registry"]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if case.quick else pytest.mark.matrix) for name, case in CASES.items()]
)
def test_what_breaks_it(name):
    """The stage that fails, what is named, the rest that is sound, and nothing is left."""
    case = CASES[name]
    with boot_case(case) as machine:
        env = break_it(machine, case)
        report = driven(machine, case, env)
        shown = json.dumps({s["id"]: (s["status"], s["summary"], s["instead"]) for s in report["stages"]}, indent=1)
        assert report["failed_stage"] == case.stage, shown
        fault = declared(case)
        cause = case.cause or (fault.check if fault else "")
        told = [*report["root_causes"], json.dumps(stage(report, case.stage))]
        assert any(cause in one for one in told), (cause, report["root_causes"], stage(report, case.stage))
        if fault and fault.severity == "error":
            assert report["root_causes"][:1] == [cause], (cause, report["root_causes"])
        assert [s for s in case.sound if stage(report, s)["status"] not in ("pass", "skip")] == [], shown
        if case.stage != "endpoint" and not case.fault:
            ours = machine.run(
                "docker ps -aq --filter label=io.dockerdoctor.sample; docker network ls -q --filter label=io.dockerdoctor.sample"
            )
            assert ours.stdout == ""


def driven(machine, case, env):
    """Run it, and do what is to be done once progress shows a line."""
    if not case.during:
        return run_sample(machine, *case.args, expect=1, env=env)
    line, command = case.during
    words = shlex.join(["doctor", "run-sample", "--format", "json", *case.args])
    argv = machine.enter(["bash", "-c", f"{words} > /tmp/report"], env=env)
    run = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert any(line in heard for heard in run.stderr)
        machine.run(command)
        run.communicate(timeout=300)
    finally:
        run.kill()
    return json.loads(machine.read("/tmp/report"))


def test_frozen_engine_ends_the_run():
    with boot() as machine:
        machine.run("pkill -STOP -x dockerd")
        start = time.monotonic()
        report = run_sample(machine, expect=1)
        machine.run("pkill -CONT -x dockerd")
        assert time.monotonic() - start < 20
        assert report["failed_stage"] == "endpoint"
        assert [cause.split(".")[0] for cause in report["root_causes"]] == ["engine"]

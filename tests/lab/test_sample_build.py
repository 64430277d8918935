"""`doctor run-sample` where images, packages or trust are not to be had as in the tutorial: what it goes on with, and what it hides."""

import json
import re
import sys
from pathlib import Path

import pytest

from tests.lab import buildx
from tests.lab.base import ENGINES
from tests.lab.faults.proxy import PORT, proxy
from tests.lab.faults.registry import certificate
from tests.lab.machine import Machine
from tests.lab.test_run_sample import LEFT, NO_REDIS, PLAIN, plain, run_sample, stage

pytestmark = pytest.mark.lab

# On one engine with all else, on the others for a night.
OLDEST, *OTHERS = ENGINES.values()
EVERYWHERE = [OLDEST, *(pytest.param(suite, marks=pytest.mark.matrix) for suite in OTHERS)]
PIP = "/opt/doctor/bin/pip"
# Images of ours, the name of one that a base of this host's was given, and files of a run.
OURS = f"{LEFT}; docker images -q dockerdoctor-base; ls -d /tmp/dockerdoctor-sample-* 2>/dev/null; true"


def cached(machine, user="root"):
    """Give a user's pip what it has once fetched: answers of an index, as pip keeps them."""
    machine.run(
        f"""
        cd $(mktemp -d) && {PIP} download -q -d . Flask Redis
        mkdir -p ~/.cache/pip/http-v2/a && for wheel in *.whl; do cp $wheel ~/.cache/pip/http-v2/a/$RANDOM$RANDOM.body; done
        """,
        user=user,
        timeout=120,
    )


def without_network(machine):
    """Nothing outside the machine is reached, and no name is known."""
    machine.registry.kill()
    machine.registry.wait()
    machine.dns.stop()
    machine.firewall("FORWARD", "-i", machine.slot.link, "-j", "REJECT")
    machine.firewall("INPUT", "-i", machine.slot.link, "-p", "udp", "--dport", "53", "-j", "REJECT")


def well(report, *but):
    """Everything is, but for some stages."""
    return {s["id"]: s["summary"] for s in report["stages"] if s["status"] == "fail" and s["id"] not in but} == {}


@pytest.mark.parametrize("suite", EVERYWHERE)
def test_without_any_network(suite):
    """The tutorial's application runs all the same, for who is not root: this host's Python, and wheels of pip's cache."""
    with Machine.boot(suite=suite) as machine:
        cached(machine, "alice")
        without_network(machine)
        report = run_sample(machine, expect=1, user="alice")
        base = stage(report, "base-image")
        assert "could not be pulled" in base["summary"]
        assert "an image of this host's own Python 3." in base["instead"]
        assert well(report, "base-image", "hello-world", "build"), report
        assert report["page"].endswith(f"<b>Visits:</b> {NO_REDIS}")
        assert machine.run(OURS).stdout == ""


@pytest.mark.matrix
@pytest.mark.parametrize("suite", ENGINES.values())
def test_with_nothing_at_all(suite):
    """No network and no cache: a page of the standard library shows that building, running and publishing work."""
    with Machine.boot(suite=suite) as machine:
        without_network(machine)
        report = run_sample(machine, expect=1)
        assert well(report, "base-image", "build", "packages"), report
        assert "a page of its standard library" in stage(report, "build")["instead"]
        assert stage(report, "visits")["status"] == "skip"
        assert "stand-in" in report["page"]
        assert machine.run(OURS).stdout == ""
        report = run_sample(machine, "--base", "registry", expect=1)
        assert stage(report, "build")["status"] == "skip"


def test_registry_that_allows_no_more_pulls():
    """Only the base image is missing: the packages come from the index as in the tutorial."""
    with Machine.boot() as machine:
        front = Path(__file__).parent / "front.py"
        upstream = f"http://{machine.gateway}:5000"
        ways = json.dumps({"deny": 429})
        machine.on_gateway([sys.executable, str(front), machine.gateway, "5001", upstream, ways], port=5001)
        settings = f'{{"insecure-registries": ["{machine.gateway}:5001"]}}'
        machine.write("/etc/docker/daemon.json", settings)
        machine.run("systemctl restart docker")
        image = f"{machine.gateway}:5001/library/python:3.13-slim"
        report = run_sample(machine, "--image", image, expect=1)
        base = stage(report, "base-image")
        assert base["summary"].startswith(f"{image} could not be pulled: ")
        assert base["cause"] == "The registry allows no more pulls for now: log in, or wait."
        assert well(report, "base-image"), report
        assert "index" not in stage(report, "build")["instead"]
        assert report["page"].endswith(NO_REDIS)
        assert machine.run(OURS).stdout == ""


def asked_hosts(machine):
    """Whom pip asks here."""
    said = machine.run(f"{PIP} download -vv --no-deps -d /tmp/x redis 2>&1", timeout=120).stdout
    return sorted(set(re.findall(r"https://([^/:\s]+)", said)))


@pytest.mark.parametrize("builder", ["classic", pytest.param("buildkit", marks=pytest.mark.matrix)])
def test_intercepted_tls(builder):
    """The network's authority is given to the build, named, and left in no image; without it, it is the cause."""
    with Machine.boot(images=("busybox", PLAIN)) as machine:
        plain(machine)
        home = machine.slot.home
        names = ",".join(f"DNS:{host}" for host in asked_hosts(machine))
        certificate(machine, "corp", ca=True)
        certificate(machine, "inspector", signer="corp", names=names)
        machine.write("/root/corp.crt", (home / "corp.crt").read_text())
        proxy(machine, "--user", "alice:s3cret", "--inspect", f"{home}/inspector.crt", f"{home}/inspector.key")
        machine.run("iptables -I FORWARD -i docker0 -p tcp --dport 443 -j REJECT")
        way = f"http://alice:s3cret@{machine.gateway}:{PORT}"
        asked = ("--builder", builder, "--proxy", way)
        report = run_sample(machine, *asked, "--base", "registry", expect=1)
        assert report["failed_stage"] == "build"
        build = stage(report, "build")
        assert "is intercepted: its certificate is by O=Example, CN=corp" in build["cause"]
        assert build["fix"][-1].endswith("doctor run-sample --ca-bundle FILE.pem")
        report = run_sample(machine, *asked, "--ca-bundle", "/root/corp.crt")
        assert "is intercepted: its certificate is by O=Example, CN=corp" in stage(report, "build")["summary"]
        assert {"classic": "classic", "buildkit": "BuildKit"}[builder] in stage(report, "build")["summary"]
        hidden(machine, report, "s3cret", f"{machine.gateway}:{PORT}")
        machine.run("cp /root/corp.crt /usr/local/share/ca-certificates/ && update-ca-certificates")
        report = run_sample(machine, *asked, "--rm-image")
        assert "corp" in " ".join(report["given_to_build"])
        assert machine.run(OURS).stdout == ""


def hidden(machine, report, *words):
    """Nowhere in the image, in what is known of it, in what is left, nor in what was said, but masked."""
    machine.run(
        "docker create --name seen friendlyhello && mkdir /tmp/image && docker export seen | tar x -C /tmp/image"
    )
    machine.run("docker rm seen; docker inspect $(docker images -aq) > /tmp/image/inspected")
    machine.run("docker history --no-trunc friendlyhello > /tmp/image/history")
    first = (Path(machine.slot.home) / "corp.crt").read_text().splitlines()[1]
    for word in (*words, first):
        assert machine.run(f"grep -rlF -- '{word}' /tmp/image || true").stdout == ""
    assert words[0] not in json.dumps(report)
    machine.run("rm -r /tmp/image")


@pytest.mark.matrix
@pytest.mark.parametrize("suite", buildx.SUITES)
def test_the_builder_of_docker_build(suite):
    """Without buildx the engine's own, with it BuildKit; and what is wanted instead."""
    with Machine.boot(suite=suite, images=("busybox", "python:3.13-slim")) as machine:
        assert "by the classic builder" in stage(run_sample(machine), "build")["summary"]
        report = run_sample(machine, "--builder", "buildkit", expect=1)
        assert "has no buildx here" in stage(report, "build")["summary"]
        buildx.install(machine)
        assert "by BuildKit" in stage(run_sample(machine, "--index-url", index(machine)), "build")["summary"]
        assert "by the classic builder" in stage(run_sample(machine, "--builder", "classic"), "build")["summary"]
        report = run_sample(machine, "--base", "host", user="alice")
        assert "by BuildKit" in stage(report, "build")["summary"]
        assert machine.run("docker images -q dockerdoctor-base; docker images -q friendlyhello:host").stdout == ""


def index(machine):
    """Where pip gets packages here when nobody tells it."""
    said = machine.run(f"{PIP} install --help").stdout
    return re.search(r"\(default\s+(https?://[^\s)]+)", said)[1]

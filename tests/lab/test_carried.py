"""The doctor where it is not installed: as one file, and in a container."""

import json
import shutil
import subprocess
import sys

import pytest

from tests.lab.faults.dns import DEAD, KNOWN, unreachable
from tests.lab.install import contents
from tests.lab.machine import Machine
from tests.lab.store import REPO, built, key, prune

pytestmark = pytest.mark.lab

# All that it needs to see everything, and what everybody has.
CAPABLE = "--cap-add NET_ADMIN --cap-add SYS_ADMIN --cap-add SYS_PTRACE"
RUN = "docker run --rm {more} --pid=host --network=host -v /:/host:ro dockerdoctor"


@pytest.fixture(scope="module")
def pyz():
    """This checkout as one file."""
    packer = REPO / "deploy/zipapp.py"

    def build(draft):
        subprocess.run([sys.executable, packer, draft / "doctor.pyz"], check=True, stdout=subprocess.DEVNULL)

    folder = built(f"zipapps/{key(contents(), packer.read_bytes())}", build)
    prune(folder.parent, keep=5)
    return folder / "doctor.pyz"


def examined(m, command):
    """What each check came to, and the root causes."""
    report = json.loads(m.run(f"{command} check --format json", check=False).stdout)
    return {r["id"]: r["status"] for r in report["results"]}, report["root_causes"], report


def test_one_file_without_network_and_pip(pyz):
    with Machine.boot(doctor=False, daemon_json={"dns": [DEAD]}, **KNOWN) as m:
        m.firewall("FORWARD", "-i", m.slot.link, "-j", "DROP")
        assert m.run("command -v pip pip3", check=False).stdout == ""
        shutil.copy(pyz, m.slot.home / "root/usr/local/sbin/doctor")
        statuses, causes, report = examined(m, "doctor")
        assert causes[0] == "dns.server-dead"
        assert not {"crash"} & set(statuses.values())
        # What it says is for itself.
        fix = next(r["fix"] for r in report["results"] if r["id"] == "dns.server-dead")
        assert fix == ["/usr/local/sbin/doctor fix-dns --write --yes"]
        m.run(f"{fix[0]} && docker run --rm busybox nslookup well.lab", timeout=120)
        m.run("doctor plugin install && docker doctor check --only 'dns.*' && doctor completion bash | bash -n")


def build_image(m, pyz):
    context = m.slot.home / "root/srv/image"
    context.mkdir()
    shutil.copy(pyz, context)
    shutil.copy(REPO / "deploy/Dockerfile", context.parent)
    # As `make image` does.
    m.run("docker build --quiet --tag dockerdoctor --file /srv/Dockerfile /srv/image", timeout=120)


@pytest.mark.parametrize("more", [CAPABLE, pytest.param("", marks=pytest.mark.matrix)], ids=["capable", "as-is"])
def test_a_container_sees_what_is_seen_outside(pyz, more):
    with Machine.boot(images=("busybox", "python:3.13-slim"), **KNOWN) as m:
        build_image(m, pyz)
        inside = RUN.format(more=more)
        m.run("docker run -d --name web -p 8080:80 busybox httpd -f && sleep 6")
        judge(m, inside, whole=bool(more))
        m.write("/etc/docker/daemon.json", json.dumps({"dns": [DEAD], **json.loads(m.read("/etc/docker/daemon.json"))}))
        unreachable(m, DEAD)
        m.run("systemctl restart docker && docker start web && sleep 6")
        assert judge(m, inside, whole=bool(more)) == ["dns.server-dead"]
        # It would be ended by what it does.
        refused = m.run(f"{inside} fix-dns --write --yes", check=False)
        assert (refused.returncode, "nothing is changed" in refused.stderr) == (2, True)
        mounted = inside.replace(" dockerdoctor", " -v /srv/image:/host/mnt dockerdoctor")
        m.run(
            f"{mounted} report --passive /mnt/report.tar.gz && doctor diff /srv/image/report.tar.gz /srv/image/report.tar.gz"
        )
        # Without what it needs it says so.
        done = m.run("docker run --rm dockerdoctor check", check=False)
        assert (done.returncode, "-v /:/host:ro" in done.stderr) == (3, True)


def judge(m, inside, *, whole):
    """Examine from both sides: the same causes, nothing that is not there, and what is not known with its reason."""
    there, causes, _ = examined(m, "doctor")
    here, ours, report = examined(m, inside)
    assert ours == causes
    assert not [i for i, status in here.items() if status in {"fail", "crash"} and there[i] != "fail"]
    unknown = [r for r in report["results"] if r["status"] == "unknown" and there[r["id"]] != "unknown"]
    assert all(r["summary"] for r in unknown)
    assert not (whole and unknown)
    return ours

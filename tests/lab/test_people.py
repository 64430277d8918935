"""What people ask of the doctor, on a real machine: what is reached from where, their own targets, what they ignore."""

import json
import sys

import pytest

from tests.lab.machine import Machine

pytestmark = pytest.mark.lab

# Nobody's address (RFC 5737); the gateway drops what goes there.
DEAD = "192.0.2.53"
PLACES = ("host", "daemon", "default bridge", "user network", "build")


def report(machine, *args):
    done = machine.doctor("check", "--format", "json", *args)
    assert done.stdout, done.stderr
    return json.loads(done.stdout), done.returncode


def marks(document, target):
    (row,) = (row for row in document["matrix"]["rows"] if row["target"] == target)
    assert [cell["place"] for cell in row["cells"]] == list(PLACES)
    return [cell["mark"] for cell in row["cells"]]


def test_matrix_targets_and_what_is_ignored():
    with Machine.boot() as machine:
        gateway = machine.gateway
        served, refused = f"{gateway}:8099", f"{gateway}:81"
        machine.on_gateway([sys.executable, "-m", "http.server", "8099", "--bind", "{gateway}"], 8099)

        # Reached from everywhere.
        document, status = report(machine, "--target", served, "--image", "busybox")
        assert (document["root_causes"], status) == ([], 0)
        assert marks(document, f"tcp {served}") == ["ok", "none", "ok", "ok", "ok"]
        assert marks(document, f"nameserver {gateway}") == ["ok", "none", "ok", "ok", "ok"]
        assert marks(document, "image busybox") == ["none", "ok", "none", "none", "none"]

        # Refused; and then known, and accepted.
        document, status = report(machine, "--target", refused)
        assert (document["root_causes"], status) == (["targets.accept"], 1)
        assert marks(document, f"tcp {refused}") == ["fail", "none", "fail", "fail", "fail"]
        machine.write("/etc/dockerdoctor.toml", f'targets = ["{refused}"]\n[ignore]\n"targets.accept" = "next week"\n')
        document, status = report(machine)
        assert (document["root_causes"], status) == ([], 0)
        assert [r["ignored"] for r in document["results"] if r["id"] == "targets.accept"] == ["next week"]
        machine.run("rm /etc/dockerdoctor.toml")

        # Each step that can fail, at once.
        silent = f"{gateway}:82"
        machine.firewall("INPUT", "-i", machine.slot.link, "-p", "tcp", "--dport", "82", "-j", "DROP")
        wrong = ("--target", "nosuch.example.org:5432", "--target", silent, "--target", f"https://{served}")
        document, status = report(machine, *wrong, "--redis", served, "--image", "nosuch/thing:1")
        assert status == 1
        assert document["root_causes"] == [
            f"targets.{step}" for step in ("resolve", "answer", "certificate", "redis", "image")
        ]
        assert marks(document, f"tcp {silent}") == ["fail", "none", "fail", "fail", "fail"]
        assert marks(document, "image nosuch/thing:1") == ["none", "fail", "none", "none", "none"]

        # Dropped by a rule for it alone, which is named; its own command takes it away.
        machine.run("iptables -I DOCKER-USER -p tcp --dport 8099 -j DROP")
        document, status = report(machine, "--target", served)
        assert (document["root_causes"], status) == (["targets.firewall"], 1)
        assert marks(document, f"tcp {served}") == ["ok", "none", "fail", "fail", "fail"]
        (finding,) = (r for r in document["results"] if r["id"] == "targets.firewall")
        machine.run(finding["fix"][0])
        assert report(machine, "--target", served)[1] == 0

        # A nameserver that is dead, for containers alone.
        machine.firewall("PREROUTING", "-i", machine.slot.link, "-d", DEAD, "-j", "DROP", table="raw")
        edit = f"""python3 -c 'import json; p = "/etc/docker/daemon.json"; s = json.load(open(p)); \\
            s["dns"] = ["{DEAD}"]; json.dump(s, open(p, "w"))'"""
        machine.run(f"{edit}; systemctl restart docker")
        document, _ = report(machine)
        assert document["root_causes"] == ["dns.server-dead"]
        assert marks(document, f"nameserver {DEAD}") == ["fail", "none", "fail", "fail", "fail"]
        assert marks(document, f"nameserver {gateway}") == ["ok", "none", "none", "none", "none"]
        assert marks(document, "name resolution") == ["ok", "none", "fail", "fail", "fail"]


def test_a_configuration_that_is_broken_is_refused_with_its_place():
    with Machine.boot(images=()) as machine:
        machine.write("/etc/dockerdoctor.toml", "targets = [\n  oops\n]\n")
        done = machine.doctor("check")
        assert done.returncode == 2
        assert "/etc/dockerdoctor.toml:2:3: " in done.stderr

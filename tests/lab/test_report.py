"""`doctor report` on a living engine whose every setting holds a secret."""

import base64
import json
import shlex
from urllib.parse import quote

import pytest

from dockerdoctor.archive import unpack
from tests.lab.faults.dns import DEAD, KNOWN, unreachable
from tests.lab.machine import Machine

pytestmark = pytest.mark.lab

# Each in one place, so that what leaks tells where from; one that a URL must write otherwise.
SECRETS = {
    place: f"{place}-S3cr/t+{number}"
    for number, place in enumerate(
        (
            "daemonproxy",
            "dropin",
            "environment",
            "registry",
            "clientproxy",
            "header",
            "variable",
            "argument",
            "health",
            "redis",
            "label",
            "logged",
            "imageenv",
            "compose",
            "caller",
        )
    )
}
LOGIN = base64.b64encode(f"al:{SECRETS['registry']}".encode()).decode()


def url(place, host="proxy.test:3128"):
    return f"http://al:{quote(SECRETS[place], safe='')}@{host}"


def spellings(secret):
    bare = base64.b64encode(secret.encode()).decode().rstrip("=")
    return {secret, quote(secret), quote(secret, safe=""), json.dumps(secret)[1:-1], bare}


def plant(m):
    config = {
        "auths": {"reg.test": {"auth": LOGIN}},
        "HttpHeaders": {"X-Auth-Token": SECRETS["header"]},
        "proxies": {"default": {"httpProxy": url("clientproxy"), "noProxy": "*"}},
    }
    m.write("/root/.docker/config.json", json.dumps(config))
    m.write(
        "/etc/systemd/system/docker.service.d/proxy.conf",
        # systemd wants a "%" twice.
        f'[Service]\nEnvironment="HTTPS_PROXY={url("daemonproxy").replace("%", "%%")}" "NO_PROXY=*"\n'
        f'Environment="VAULT_ADDR={url("dropin", "vault.test").replace("%", "%%")}"\n',
    )
    m.write("/etc/environment", f"API_TOKEN={SECRETS['environment']}\n")
    daemon = json.loads(m.read("/etc/docker/daemon.json"))
    daemon["dns"] = [DEAD]
    m.write("/etc/docker/daemon.json", json.dumps(daemon))
    m.run("systemctl daemon-reload && systemctl reset-failed docker.service docker.socket && systemctl restart docker")
    m.write("/srv/image/Dockerfile", f"FROM busybox\nENV NPM_TOKEN={SECRETS['imageenv']}\n")
    m.write(
        "/srv/compose.yaml",
        f"services:\n  db:\n    image: busybox\n    environment:\n      MYSQL_PASSWORD: {SECRETS['compose']}\n",
    )
    said = {place: shlex.quote(secret) for place, secret in SECRETS.items()}
    cry = shlex.quote(f"echo ERROR: password={SECRETS['logged']} was refused by db >&2; exit 1")
    m.run(f"""
        docker build -q -t ours /srv/image
        docker run -d --name var -e DB_PASSWORD={said["variable"]} ours sleep 1000
        docker run -d --name arg busybox sh -c 'exec sleep 1000' -- --token {said["argument"]}
        docker run -d --name sick --health-cmd {shlex.quote("echo --password " + SECRETS["health"] + "; exit 1")} \
            --health-interval 1s --health-retries 1 --label secret={said["label"]} busybox sleep 1000
        docker run -d --name cries --restart always busybox sh -c {cry}
        docker run -d --name wants -e REDIS_URL=redis://:{quote(SECRETS["redis"], safe="")}@redis:6379 busybox sleep 1000
        docker pull reg.test/nothing || true
        sleep 6""")


def test_nothing_of_it_is_in_the_archive():
    with Machine.boot(**KNOWN) as m:
        unreachable(m, DEAD)
        plant(m)
        env = {"SERVICE_PASSWORD": SECRETS["caller"]}
        m.run("doctor check --save before.json", env=env, check=False)
        done = m.run("cd /srv && doctor report /root/report.tar.gz", env=env)
        assert done.stdout.strip() == "/root/report.tar.gz"
        assert m.run("stat -c %a /root/report.tar.gz").stdout == "600\n"
        files = unpack((m.slot.home / "root/root/report.tar.gz").read_bytes())
        files |= {"what was said": done.stdout + done.stderr}
        # What is not passed on must be clean as well: facts hold no secrets.
        files |= {"before.json": m.read("/root/before.json")}
        leaks = {
            (place, name)
            for place, secret in SECRETS.items()
            for name, text in files.items()
            if any(one in text for one in spellings(secret))
        }
        leaks |= {("login", name) for name, text in files.items() if LOGIN.rstrip("=") in text}
        assert leaks == set()
        # It was seen at all: what is hidden stands there as such, and the cause is found from the archive.
        assert "password=*** was refused by db" in files["report.txt"]
        again = json.loads(m.doctor("check", "--from", "/root/report.tar.gz", "--format", "json").stdout)
        assert again["root_causes"] == json.loads(files["report.json"])["root_causes"]
        assert again["root_causes"][0] == "dns.server-dead"
        # And what has changed since is told by two of them.
        m.run("docker rm -f cries sick var arg wants; doctor fix-dns --write --yes", timeout=120)
        m.run("doctor report /root/after.tar.gz")
        compared = json.loads(m.doctor("diff", "report.tar.gz", "after.tar.gz", "--format", "json").stdout)
        assert "dns.server-dead" in {one["id"] for one in compared["repaired"]}

"""One row a verdict: what ssh, or the docker command of the other host, said."""

from dataclasses import replace

import pytest

from dockerdoctor.checks import endpoint_ssh
from dockerdoctor.facts.endpoint import ChosenEndpoint, DaemonPing
from dockerdoctor.model import Status

FAR = ChosenEndpoint("ssh://ann@far.lab", "DOCKER_HOST")
KNOCKED = "no matching key exchange method found"


@pytest.mark.parametrize(
    ("said", "summary", "fix"),
    [
        ("ssh: Could not resolve hostname far.lab: Name or service not known", "name does not exist", "getent hosts"),
        (
            "ssh: connect to host far.lab port 22: Connection refused",
            "no ssh server listens",
            "# start sshd on far.lab",
        ),
        ("ann@far.lab: Permission denied (publickey,password).", "no key that we have", "ssh-copy-id ann@far.lab"),
        ("No ED25519 host key is known. Host key verification failed.", "not known here", "ssh ann@far.lab true"),
        (
            "WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! Host key verification failed.",
            "not the one that is remembered",
            "ssh-keygen -R far.lab",
        ),
        ("bash: line 1: docker: command not found", "docker command is not there", "# install docker on far.lab"),
        ("permission denied while trying to connect to the Docker daemon", "reaches no engine", "ssh ann@far.lab id"),
        ("Cannot connect to the Docker daemon at http://docker.example.com.", "reaches no engine", "docker version"),
        ("Connection closed by 10.0.0.9 port 22", "hangs up at once", "ssh ann@far.lab true"),
        (KNOCKED, "does not get through", "ssh ann@far.lab docker version"),
    ],
)
def test_ssh(said, summary, fix):
    finding = endpoint_ssh.ssh.decide(FAR, DaemonPing("EIO", answered=False, outcome=said))
    assert finding.status is Status.FAIL
    assert summary in finding.summary
    assert fix in "\n".join(finding.fix)


@pytest.mark.parametrize(
    ("endpoint", "ping", "status"),
    [
        (ChosenEndpoint("unix:///x.sock", "default"), DaemonPing("ENOENT", answered=False), Status.SKIP),
        (FAR, DaemonPing("ok", answered=True), Status.PASS),
        (FAR, DaemonPing("EINVAL", answered=False), Status.PASS),
        (replace(FAR, url="ssh://far.lab:2222"), DaemonPing("EIO", answered=False), Status.FAIL),
    ],
)
def test_where_it_applies(endpoint, ping, status):
    finding = endpoint_ssh.ssh.decide(endpoint, ping)
    assert finding.status is status
    if status is Status.FAIL:
        assert finding.fix == ("ssh -p 2222 far.lab docker version",)

"""Commands as they are shown to root and to others."""

import pytest

from dockerdoctor.facts.caller import Caller
from dockerdoctor.paste import bare, ready

ROOT = Caller("root", root=True, home="/root", doctor="/opt/d/bin/doctor")
ALICE = Caller("alice", root=False, home="/home/alice", doctor="/opt/d/bin/doctor")


@pytest.mark.parametrize(
    ("step", "for_root", "for_alice"),
    [
        ("# think", "# think", "# think"),
        ("systemctl restart docker", "systemctl restart docker", "sudo systemctl restart docker"),
        ("echo a > /etc/x", "echo a > /etc/x", "sudo sh -c 'echo a > /etc/x'"),
        (
            "doctor fix-dns --write",
            "/opt/d/bin/doctor fix-dns --write --yes",
            "sudo /opt/d/bin/doctor fix-dns --write --yes",
        ),
        ("doctor check --all", "/opt/d/bin/doctor check --all", "/opt/d/bin/doctor check --all"),
        ("tee /etc/x <<< '{\n \"a\": 1 > 0; it'\\''s'",) * 2 + ("sudo tee /etc/x <<< '{\n \"a\": 1 > 0; it'\\''s'",),
        ("tee /etc/x <<< 'a' | cat", "tee /etc/x <<< 'a' | cat", "sudo sh -c 'tee /etc/x <<< '\"'\"'a'\"'\"' | cat'"),
        ("docker restart web", "docker restart web", "docker restart web"),
        ("unset DOCKER_HOST", "unset DOCKER_HOST", "unset DOCKER_HOST"),
        (
            "sed -i s/a/b/ /home/alice/.docker/config.json",
            "sed -i s/a/b/ /home/alice/.docker/config.json",
            "sed -i s/a/b/ /home/alice/.docker/config.json",
        ),
    ],
)
def test_ready(step, for_root, for_alice):
    assert ready(step, ROOT) == for_root
    assert ready(step, ALICE) == for_alice
    assert bare(for_alice) == for_root

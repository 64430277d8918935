"""`docker doctor`, through the docker command itself."""

import json

import pytest

from tests.lab.machine import Machine
from tests.lab.matrix import on_engines

pytestmark = pytest.mark.lab

LINK = "/usr/local/lib/docker/cli-plugins/docker-doctor"


@pytest.mark.parametrize("suite", on_engines())
def test_docker_doctor(suite):
    with Machine.boot(suite=suite) as m:
        assert m.run("docker doctor version", check=False).returncode != 0
        assert "docker doctor works" in m.run("doctor plugin install").stdout
        assert m.run(f"readlink {LINK}").stdout.strip() == "/usr/local/bin/doctor"
        assert "misbehaves" in m.run("docker --help").stdout
        # alice has it, too, and its exit status is the doctor's.
        well = m.run("docker doctor check --short", user="alice")
        assert well.stdout.startswith("✓ Docker is well")
        assert m.run("docker doctor check --only nonsense", check=False).returncode == 2
        for said, url, source in (
            ("-H tcp://127.0.0.1:1", "tcp://127.0.0.1:1", "--host"),
            ("--context far", "tcp://127.0.0.1:2", "context far (--context)"),
        ):
            m.run("docker context inspect far || docker context create far --docker host=tcp://127.0.0.1:2")
            done = m.run(f"docker {said} doctor check --format json", check=False)
            assert json.loads(done.stdout)["endpoint"] == {"url": url, "from": source}
            assert done.returncode == 1
        assert "Usage: docker doctor check" in m.run("docker help doctor check; docker doctor check --help").stdout
        # The user's own goes before, and what is not ours stays.
        m.run("doctor plugin install && doctor plugin uninstall", user="alice")
        m.run("doctor plugin uninstall")
        assert m.run(f"test ! -e {LINK} && docker doctor version", check=False).returncode != 0
        m.write(LINK, "#!/bin/sh\n", 0o755)
        refused = m.doctor("plugin", "install")
        assert (refused.returncode, "none of ours" in refused.stderr) == (2, True)
        m.doctor("plugin", "uninstall")
        assert m.read(LINK) == "#!/bin/sh\n"

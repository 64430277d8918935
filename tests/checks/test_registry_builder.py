"""One row for each verdict on builders of buildx."""

from dataclasses import replace

import pytest

from dockerdoctor.checks.registry_builder import builder
from dockerdoctor.facts.builds import Builder
from dockerdoctor.facts.registry import Registries
from dockerdoctor.model import Status
from tests.checks.test_registry import HTTP, MIRROR, registry

PASS, FAIL, SKIP = Status.PASS, Status.FAIL, Status.SKIP
OWN = Builder("mine", "docker-container", "/root/.docker/buildx/instances/mine")
PLAIN = registry("named", "reg.test:5000", insecure=True, asked=HTTP(200, url="http://reg.test:5000/v2/"))
PRIVATE = registry("named", authorities=("/etc/docker/certs.d/reg.test/ca.crt",))


@pytest.mark.parametrize(
    ("mine", "there", "status", "step"),
    [
        (Builder(), PLAIN, SKIP, ""),
        (replace(OWN, driver="kubernetes"), PLAIN, SKIP, ""),
        (OWN, PLAIN, FAIL, '[registry."reg.test:5000"] http = true'),
        (OWN, PRIVATE, FAIL, 'ca = ["/etc/docker/certs.d/reg.test/ca.crt"]'),
        (replace(OWN, registries=("reg.test:5000",)), PLAIN, PASS, ""),
        (OWN, registry("named"), PASS, ""),
        # Not there at all: no builder pushes to it either.
        (OWN, replace(PLAIN, asked=replace(PLAIN.asked, outcome="ECONNREFUSED", layer="connect")), PASS, ""),
        (OWN, replace(PLAIN, role="mirror"), PASS, ""),
        (OWN, replace(PLAIN, asked=HTTP(200, url="http://127.0.0.1:5000/v2/")), PASS, ""),
    ],
)
def test_builder(mine, there, status, step):
    said = builder.decide(mine, Registries((MIRROR, there)))
    assert said.status is status
    assert all(line.startswith("#") for line in said.fix)
    assert not step or step in said.fix[0]

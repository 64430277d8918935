"""One row a verdict: the nameservers of builds."""

import pytest

from dockerdoctor.checks import dns_builds
from dockerdoctor.facts.builds import Builder, BuildResolver
from tests.checks.test_dns import DEAD, FAIL, PASS, SIX, SKIP, UP, inside, resolver, said

FILE = "/var/lib/docker/buildkit/executor/resolv.conf"
SILENT = said(DEAD, "timeout", "timeout")
NO_SIX = said(SIX, "EADDRNOTAVAIL", "EADDRNOTAVAIL")
WELL = inside(said(UP), SILENT, NO_SIX)


@pytest.mark.parametrize(
    ("build", "views", "resolv", "status", "fix"),
    [
        (BuildResolver(), WELL, resolver(UP), SKIP, ""),
        (BuildResolver(FILE, (UP,), kept=True), WELL, resolver(UP), PASS, ""),
        (BuildResolver(FILE, (DEAD, UP), kept=True), WELL, resolver(UP), PASS, ""),
        (BuildResolver(FILE, (DEAD,), kept=True), WELL, resolver(UP), FAIL, "touch /etc/resolv.conf"),
        (BuildResolver(FILE, (SIX,)), WELL, resolver(SIX), FAIL, f"echo 'nameserver {UP}' >> /etc/resolv.conf"),
        # Containers are no better off: that is judged elsewhere.
        (BuildResolver(FILE, (DEAD,), kept=True), inside(SILENT, servers=(DEAD,)), resolver(DEAD), SKIP, ""),
        (BuildResolver(FILE, (DEAD,), kept=True), inside(said(UP)), resolver(UP), SKIP, ""),
    ],
)
def test_builds(build, views, resolv, status, fix):
    finding = dns_builds.builds.decide(build, views, resolv, None)
    assert finding.status is status
    assert fix in " ".join(finding.fix)


@pytest.mark.parametrize(
    ("one", "views", "status"),
    [
        (Builder(), WELL, SKIP),
        (Builder("mine", "docker-container", "x"), WELL, SKIP),
        (Builder("mine", "docker-container", "x", (UP,)), WELL, PASS),
        (Builder("mine", "docker-container", "x", (DEAD, UP)), WELL, PASS),
        (Builder("mine", "docker-container", "x", (DEAD,)), WELL, FAIL),
        (Builder("mine", "docker-container", "x", (DEAD,)), inside(SILENT, servers=(DEAD,)), SKIP),
    ],
)
def test_builder(one, views, status):
    finding = dns_builds.builder.decide(one, views, None)
    assert finding.status is status
    assert (finding.fix[:1] == ("docker buildx use default",)) is (status is FAIL)

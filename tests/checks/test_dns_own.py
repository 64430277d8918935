"""One row a verdict: containers that were given nameservers of their own."""

from dataclasses import replace

import pytest

from dockerdoctor.checks import dns_own, dns_running
from dockerdoctor.facts.containers import Container, Containers
from dockerdoctor.facts.dns import ContainerResolvers, EmbeddedResolvers
from tests.checks.test_dns import DEAD, FAIL, PASS, SKIP, UP, decide, inside, running, said

SILENT = said(DEAD, "timeout", "timeout")
VIEWS = inside(said(UP), SILENT)
PATH = "/var/lib/docker/containers/1/resolv.conf"
WEB = Container("1" * 64, "web", "x", "running", "Up", network_mode="default", resolv_conf_path=PATH)
COMPOSED = replace(
    WEB,
    network_mode="app_default",
    labels=(
        ("com.docker.compose.project.config_files", "/srv/app/compose.yaml"),
        ("com.docker.compose.service", "api"),
    ),
)


def own(outcome):
    return EmbeddedResolvers((), (("web", outcome),))


def test_what_was_rewritten_since_is_no_longer_what_it_was_given():
    resolvers = running([UP], own=[DEAD])
    assert decide(dns_own.container_own, resolvers, VIEWS, Containers((WEB,)), None, own("NXDOMAIN")).status is SKIP
    assert decide(dns_running.stale_container, resolvers, VIEWS).status is PASS
    tunnel = running(["192.0.2.9"])
    silent = inside(said(UP), said("192.0.2.9", "timeout", "timeout"))
    assert decide(dns_running.stale_container, tunnel, silent, None, own("NOERROR")).status is PASS
    assert decide(dns_running.stale_container, tunnel, silent, None, own("timeout")).status is FAIL


@pytest.mark.parametrize(
    ("servers", "container", "there", "status", "fix"),
    [
        ((), WEB, None, SKIP, ""),
        ((UP,), WEB, None, PASS, ""),
        ((DEAD, UP), WEB, None, PASS, ""),
        ((DEAD,), WEB, None, FAIL, f"echo 'nameserver {UP}' > {PATH}"),
        ((DEAD,), WEB, own("timeout"), FAIL, "create web again"),
        # Reached from its own network alone: through the tunnel of a VPN client in it.
        ((DEAD,), WEB, own("NXDOMAIN"), PASS, ""),
        ((DEAD,), WEB, own("unable: no nsenter"), PASS, ""),
        # A resolver told to ask itself, and a program that is none.
        (("127.0.0.1",), WEB, own("NOERROR"), PASS, ""),
        (("127.0.0.1",), WEB, own("ECONNREFUSED"), FAIL, "create web again"),
        (("127.0.0.1",), WEB, None, PASS, ""),
        ((DEAD,), COMPOSED, EmbeddedResolvers((("web", "timeout"),)), FAIL, "service api in /srv/app/compose.yaml"),
        ((DEAD,), COMPOSED, EmbeddedResolvers((("web", "NOERROR"),)), PASS, ""),
        (("192.0.2.9",), WEB, None, PASS, ""),
    ],
)
def test_container_own(servers, container, there, status, fix):
    resolvers = running([], own=servers) if servers else ContainerResolvers(())
    finding = decide(dns_own.container_own, resolvers, VIEWS, Containers((container,)), None, there)
    assert finding.status is status
    assert fix in " ".join(finding.fix)

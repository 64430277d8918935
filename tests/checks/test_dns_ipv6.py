"""One row a verdict: nameservers that are reached over IPv6 alone."""

import pytest

from dockerdoctor.checks import dns, dns_ipv6
from tests.checks.test_dns import (
    DEAD,
    FAIL,
    PASS,
    SIX,
    SKIP,
    UP,
    config,
    decide,
    host,
    inside,
    resolver,
    said,
)

NO_SIX = said(SIX, "EADDRNOTAVAIL", "EADDRNOTAVAIL")
FALLBACK = said("8.8.8.8", "timeout", "timeout")
DEAF = said("127.0.0.11", "timeout", "timeout")


@pytest.mark.parametrize(
    ("views", "hosts", "resolv", "conf", "status", "words"),
    [
        (
            inside(NO_SIX, FALLBACK, user=(DEAF, NO_SIX), servers=("8.8.8.8",)),
            host(said(SIX)),
            resolver(SIX),
            config(),
            FAIL,
            "what they get instead, 8.8.8.8, does not answer",
        ),
        # Since 26.0 the embedded resolver asks from the host: user-defined networks are well.
        (
            inside(NO_SIX, FALLBACK, user=(said("127.0.0.11"), NO_SIX), servers=("8.8.8.8",)),
            host(said(SIX)),
            resolver(SIX),
            config(),
            FAIL,
            "IPv6 alone",
        ),
        # The public servers answer containers, or containers have IPv6.
        (
            inside(NO_SIX, said("8.8.8.8"), servers=("8.8.8.8",)),
            host(said(SIX)),
            resolver(SIX),
            config(),
            PASS,
            SIX,
        ),
        (inside(said(SIX), servers=(SIX,)), host(said(SIX)), resolver(SIX), config(), PASS, SIX),
        # Containers have IPv6, and the way to the server is closed: another fault.
        (
            inside(said(SIX, "timeout", "timeout"), user=(DEAF,), servers=(SIX,)),
            host(said(SIX)),
            resolver(SIX),
            config(),
            PASS,
            SIX,
        ),
        # daemon.json names it, whatever the host can reach.
        (
            inside(NO_SIX, user=(DEAF, NO_SIX), servers=(SIX,)),
            host(said(SIX, "ENETUNREACH", "ENETUNREACH")),
            resolver(UP),
            config(SIX),
            FAIL,
            "daemon.json",
        ),
        (inside(said(UP)), host(said(UP)), resolver(UP, SIX), config(), SKIP, "IPv4"),
        (
            inside(NO_SIX, FALLBACK, user=(DEAF,), servers=("8.8.8.8",)),
            host(said(SIX, "timeout", "timeout")),
            resolver(SIX),
            config(),
            SKIP,
            "host either",
        ),
        (inside(FALLBACK, servers=("8.8.8.8",)), host(), resolver("127.0.0.1"), config(), SKIP, "IPv4"),
    ],
)
def test_ipv6_only(views, hosts, resolv, conf, status, words):
    finding = decide(dns_ipv6.ipv6_only, views, hosts, resolv, conf)
    assert finding.status is status
    assert words in finding.summary


def test_a_dead_ipv4_server_beside_an_ipv6_one_is_dead():
    views = inside(NO_SIX, said(DEAD, "timeout", "timeout"), user=(DEAF, NO_SIX), servers=(DEAD,))
    hosts = host(said(SIX), said(DEAD, "timeout", "timeout"))
    finding = decide(dns.server_dead, views, hosts, resolver(DEAD, SIX), config())
    assert finding.status is FAIL
    assert DEAD in finding.summary
    assert SIX not in finding.summary.partition("(")[0]

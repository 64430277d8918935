"""The lines of a resolv.conf, as a C library reads them; and what puts a nameserver there again."""

from dataclasses import replace

import pytest

from dockerdoctor.checks import dns_file, dns_host
from dockerdoctor.facts.dns import parse_resolv_conf
from dockerdoctor.facts.dns_spare import SpareServers
from dockerdoctor.facts.resolv_conf import overlooked
from tests.checks.test_dns import DEAD, FAIL, PASS, SKIP, UP, decide, host, resolver, said


@pytest.mark.parametrize(
    ("text", "servers", "reasons"),
    [
        ("nameserver 10.0.0.1\n", (UP,), []),
        ("nameserver\t10.0.0.1 # ours\nnameserver fe80::1%eth0\n", (UP, "fe80::1%eth0"), []),
        (
            "# nameserver 10.0.0.1\n;nameserver 10.0.0.1\nsearch server.lan\noptions ndots:1\nsortlist 10.0.0.0\n",
            (),
            [],
        ),
        ("nameserver 10.0.0.1\r\nsearch lan\r\n", (), ["carriage return"]),
        ("  nameserver 10.0.0.1\n", (), ["white space"]),
        ("nameserver dns.corp\nnameserver 10.0.0.1\n", (UP,), ["“dns.corp” is no address"]),
        ("nameserver 10.0.0.1,10.0.0.2\n", (), ["“10.0.0.1,10.0.0.2” is no address"]),
        ("nameserver 10.0.0.1:53\n", (), ["is no address"]),
        ("nameserver 10.0.0.256\n", (), ["“10.0.0.256” is no address"]),
        ("nameserver\n", (), ["no address follows"]),
        ("nameserver=10.0.0.1\n", (), ["“nameserver=10.0.0.1” is no keyword"]),
        ("Nameserver 10.0.0.1\n", (), ["“Nameserver” is no keyword"]),
        ("nameservers 10.0.0.1\n", (), ["“nameservers” is no keyword"]),
        ("DNS=10.0.0.1\n", (), ["“DNS=10.0.0.1” is no keyword"]),
        ("some words\n", (), []),
    ],
)
def test_lines(text, servers, reasons):
    assert parse_resolv_conf(text)[0] == servers
    found = overlooked(text)
    assert len(found) == len(reasons)
    assert all(reason in line.reason for line, reason in zip(found, reasons, strict=True))


def written(text):
    """A host whose resolv.conf says this."""
    one = resolver(*parse_resolv_conf(text)[0])
    return replace(one, etc=replace(one.etc, overlooked=overlooked(text)))


ROUTER = SpareServers(said("10.0.0.254")[:1])


@pytest.mark.parametrize(
    ("text", "answers", "spare", "status", "fix"),
    [
        ("nameserver 10.0.0.1\n", host(said(UP)), None, PASS, ""),
        ("nameserver 10.0.0.1\r\n", host(said(UP)), None, FAIL, r"'s/\r$//' /etc/resolv.conf"),
        ("x\nnameserver=10.0.0.1\n", host(said(UP)), None, FAIL, "'2s/.*/nameserver 10.0.0.1/'"),
        ("nameserver dns.corp\n", host(), ROUTER, FAIL, "'1s/.*/nameserver 10.0.0.254/'"),
        ("nameserver dns.corp\n", host(), None, FAIL, "# write"),
        (
            "nameserver 10.0.0.99\r\n",
            host(said(DEAD, "timeout", "timeout")),
            ROUTER,
            FAIL,
            "1s/.*/nameserver 10.0.0.254/",
        ),
        ("nameserver dns.corp\nnameserver 10.0.0.1\n", host(said(UP)), None, PASS, ""),
        ("nameserver dns.corp\n", host(said("127.0.0.1")), None, PASS, ""),
    ],
)
def test_verdict(text, answers, spare, status, fix):
    finding = decide(dns_file.resolv_conf_lines, written(text), answers, spare)
    assert finding.status is status
    assert fix in "\n".join(finding.fix)
    if status is FAIL:
        assert decide(dns_host.resolv_conf, written(text), answers).status is SKIP


@pytest.mark.parametrize(
    ("resolv", "spare", "fix"),
    [
        (resolver(problem="missing"), ROUTER, "nameserver 10.0.0.254"),
        (resolver(), ROUTER, "nameserver 10.0.0.254"),
        (resolver(), None, "# write"),
        (resolver(problem="dangling link", link="../run/NetworkManager/resolv.conf"), ROUTER, "nameserver 10.0.0.254"),
        (
            resolver(problem="dangling link", link="../run/systemd/resolve/stub-resolv.conf"),
            replace(ROUTER, resolved=True),
            "systemctl enable --now systemd-resolved",
        ),
    ],
)
def test_what_stands_in_for_a_resolv_conf(resolv, spare, fix):
    finding = decide(dns_host.resolv_conf, resolv, host(), None, None, spare)
    assert finding.status is FAIL
    assert fix in "\n".join(finding.fix)

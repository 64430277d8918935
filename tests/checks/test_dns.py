"""One row a verdict: facts in, finding out."""

import inspect
from dataclasses import replace

import pytest

from dockerdoctor.checks import dns, dns_host, dns_paths, dns_running
from dockerdoctor.facts.containers import Network, Networks
from dockerdoctor.facts.daemon_json import DaemonJson
from dockerdoctor.facts.dns import (
    ContainerResolver,
    ContainerResolvers,
    EmbeddedResolvers,
    HostDns,
    HostResolver,
    ResolvConf,
)
from dockerdoctor.facts.firewall import Firewall, Moved
from dockerdoctor.facts.inside import Inside, View
from dockerdoctor.facts.registry import Registries, Registry
from dockerdoctor.facts.routes import Interface, Route, Routes
from dockerdoctor.facts.ruleset import Chain, iptables_rule
from dockerdoctor.host import DnsAnswer
from dockerdoctor.model import Status
from dockerdoctor.web import Attempt

FAIL, PASS, SKIP, UNKNOWN = Status.FAIL, Status.PASS, Status.SKIP, Status.UNKNOWN
UP, SPARE, DEAD, OWN, SIX = "10.0.0.1", "10.0.0.2", "10.0.0.99", "172.17.0.1", "2001:db8::53"
ETC, RESOLVED = "/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"


def said(server, udp="NOERROR", tcp="NOERROR"):
    return tuple(DnsAnswer(server, t, "registry-1.docker.io", o) for t, o in (("udp", udp), ("tcp", tcp)))


def view(place, *answers, servers=(UP,)):
    return View(place, nameservers=servers, dns=tuple(a for pair in answers for a in pair))


def inside(*answers, user=None, servers=(UP,)):
    bridge = view("default bridge", *answers, servers=servers)
    embedded = said("127.0.0.11") if user is None else ()
    others = answers if user is None else user
    return Inside(View("host"), bridge, view("user network", embedded, *others, servers=("127.0.0.11",)))


def waiting(first):
    """Containers with a first server that says `first`, a dead second one, and a silent embedded resolver."""
    answers = (said(UP, first, first), said(DEAD, "timeout", "timeout"))
    return inside(*answers, user=(said("127.0.0.11", "timeout", "timeout"), *answers), servers=(UP, DEAD))


def host(*answers):
    return HostDns(tuple(a for pair in answers for a in pair))


def config(*servers):
    text = '{\n  "dns": ["x"]\n}'
    return DaemonJson(
        "/etc/docker/daemon.json", exists=True, text=text, settings={"dns": list(servers)} if servers else {}
    )


def resolver(*servers, problem="", link="", resolved=()):
    etc = ResolvConf(ETC, True, link, problem or ("" if servers else "empty"), servers)
    return HostResolver(etc, ResolvConf(RESOLVED, bool(resolved), nameservers=tuple(resolved)))


def decide(check, *facts):
    """Decide with these facts, and without the optional ones that follow."""
    wanted = inspect.signature(check.decide).parameters
    return check.decide(*facts, *[None] * (len(wanted) - len(facts)))


ROUTES = Routes(
    (Route("0.0.0.0/0", "eth0", "10.0.0.254"),),
    (
        Interface("eth0", 1500, True, addresses=("10.0.0.5/24",)),
        Interface("docker0", 1500, True, addresses=(f"{OWN}/16",)),
    ),
)


SEALED = Routes((), (Interface("eth0", 1500, True, addresses=("10.0.0.5/24", "fe80::1/64")),))
PROXIED = Registries(
    (Registry("docker.io", "hub", "", Attempt("https://x/v2/", "http://10.0.0.9:3128", "http", "ok", 401)),)
)


NETWORKS = Networks(
    (
        Network(
            *("1" * 64, "bridge", "bridge", False, False, ("172.17.0.0/16",), (OWN,)),
            (("com.docker.network.bridge.name", "docker0"),),
            (),
        ),
    )
)


@pytest.mark.parametrize(
    ("one", "facts", "status", "words"),
    [
        (dns_host.resolv_conf, (resolver(UP), host(said(UP))), PASS, UP),
        (dns_host.resolv_conf, (resolver(problem="dangling link", link="../run/x"), host()), FAIL, "link to ../run/x"),
        (dns_host.resolv_conf, (resolver(problem="missing"), host()), FAIL, "does not exist"),
        (dns_host.resolv_conf, (resolver(), host(said("127.0.0.1", "ECONNREFUSED", "ECONNREFUSED"))), FAIL, "names no"),
        (dns_host.resolv_conf, (resolver(), host(said("127.0.0.1"))), PASS, "answers"),
        (dns_host.resolv_conf, (resolver(problem="EACCES"), host()), UNKNOWN, "cannot be read"),
        (dns_host.host_resolves, (resolver(UP), host(said(UP, "NXDOMAIN", "timeout")), None), PASS, UP),
        (dns_host.host_resolves, (resolver(UP), host(said(UP, "timeout", "timeout")), None), FAIL, "timeout"),
        # A C library does not ask over TCP because UDP is silent.
        (dns_host.host_resolves, (resolver(UP), host(said(UP, "timeout", "NOERROR")), None), FAIL, "timeout"),
        # Nobody there needs a nameserver.
        (
            dns_host.host_resolves,
            (resolver(UP), host(said(UP, "timeout", "timeout")), None, SEALED),
            SKIP,
            "no way out",
        ),
        (
            dns_host.host_resolves,
            (resolver(UP), host(said(UP, "timeout", "timeout")), None, ROUTES, PROXIED),
            SKIP,
            "none is needed",
        ),
        (dns_host.resolv_conf, (resolver(problem="missing"), host(), SEALED), SKIP, "no way out"),
        (dns_host.host_firewall, (resolver(UP), host(said(UP))), PASS, UP),
        (dns_host.host_firewall, (resolver(UP), host(said(UP, "timeout", "timeout")), ROUTES), PASS, "no rule"),
        (dns_host.host_firewall, (resolver(UP), host(said(UP, "EPERM", "timeout")), ROUTES), FAIL, UP),
        (dns_host.host_resolves, (resolver(UP), host(said(UP, "REFUSED", "closed")), None), FAIL, "REFUSED"),
        (
            dns_host.host_resolves,
            (resolver(DEAD, UP), host(said(DEAD, "timeout", "timeout"), said(UP)), None),
            PASS,
            UP,
        ),
        (dns.loopback_in_daemon_json, (config(), None), SKIP, "no nameservers"),
        (dns.loopback_in_daemon_json, (config(UP), None), PASS, UP),
        (
            dns.loopback_in_daemon_json,
            (config("127.0.0.53"), inside(said("127.0.0.53", "ECONNREFUSED", "ECONNREFUSED"))),
            FAIL,
            "127.0.0.53",
        ),
        (dns.loopback_in_daemon_json, (config("127.0.0.53", UP), inside(said(UP))), PASS, "10.0.0.1 answers"),
        (dns.server_dead, (inside(said(UP)), host(said(UP)), resolver(UP), config()), PASS, UP),
        (
            dns.server_dead,
            (
                inside(said(DEAD, "timeout", "timeout")),
                host(said(DEAD, "timeout", "timeout")),
                resolver(UP),
                config(DEAD),
            ),
            FAIL,
            "10.0.0.99 does not answer",
        ),
        (
            dns.server_dead,
            (inside(said(DEAD, "REFUSED", "REFUSED")), host(said(DEAD)), resolver(UP), config(DEAD)),
            FAIL,
            "says REFUSED",
        ),
        (
            dns.server_dead,
            (inside(said(DEAD, "timeout", "timeout")), host(said(DEAD)), resolver(UP), config(DEAD)),
            SKIP,
            "answers the host",
        ),
        (dns.server_dead, (inside(), host(), resolver("127.0.0.1"), config()), SKIP, "no nameserver"),
        (dns.loopback_fallback, (inside(said(UP)), resolver(UP), config()), PASS, UP),
        (dns.loopback_fallback, (inside(said(UP)), resolver("127.0.0.53", resolved=(UP,)), config()), PASS, UP),
        (
            dns.loopback_fallback,
            (inside(said("8.8.8.8", "timeout", "timeout"), servers=("8.8.8.8",)), resolver("127.0.0.1"), config()),
            FAIL,
            "8.8.8.8 does not answer",
        ),
        (
            dns.loopback_fallback,
            (inside(said("8.8.8.8"), servers=("8.8.8.8",)), resolver("127.0.0.1"), config()),
            PASS,
            "8.8.8.8 instead",
        ),
        (dns.loopback_fallback, (inside(said(UP)), resolver("127.0.0.1"), config(UP)), SKIP, "daemon.json"),
        (
            dns_paths.input_firewall,
            (inside(said(UP)), host(said(UP)), ROUTES, None, None, None),
            SKIP,
            "runs on this host",
        ),
        (dns_paths.input_firewall, (inside(said(OWN)), host(said(OWN)), ROUTES, None, None, None), PASS, OWN),
        (
            dns_paths.input_firewall,
            (inside(said(OWN, "timeout", "timeout")), host(said(OWN)), ROUTES, None, None, None),
            FAIL,
            OWN,
        ),
        # REJECT, in its various ways: who answers the host at this address listens there.
        (
            dns_paths.input_firewall,
            (inside(said(OWN, "ECONNREFUSED", "EHOSTUNREACH")), host(said(OWN)), ROUTES, None, None, None),
            FAIL,
            OWN,
        ),
        (
            dns_paths.forward_firewall,
            (inside(said(UP, "ECONNREFUSED", "ECONNREFUSED")), host(said(UP)), ROUTES, resolver(UP), config()),
            FAIL,
            "answers the host but not the default bridge",
        ),
        (
            dns_paths.udp_blocked,
            (inside(said(UP, "ECONNREFUSED", "NOERROR")), host(said(UP)), ROUTES, None, None, None, resolver(UP)),
            FAIL,
            "over TCP",
        ),
        # A server that containers are not given, or that is asked after one that answers, may be closed to them.
        (
            dns_paths.udp_blocked,
            (
                *(inside(said(UP), said(SPARE, "timeout", "NOERROR")), host(said(UP), said(SPARE)), ROUTES),
                *(None, None, None, resolver(SPARE), config(UP)),
            ),
            PASS,
            "alone",
        ),
        (
            dns_paths.forward_firewall,
            (inside(said(UP, "timeout", "timeout")), host(said(UP)), ROUTES, resolver(UP), config(), None, None, None),
            FAIL,
            "answers the host but not the default bridge",
        ),
        (
            dns_paths.forward_firewall,
            (inside(said(UP)), host(said(UP)), ROUTES, resolver(UP), config(), None, None, None),
            PASS,
            UP,
        ),
        # A host with a nameserver of IPv6 alone, and containers without IPv6: Docker gives them another.
        (
            dns_paths.forward_firewall,
            (
                inside(said(SIX, "ENETUNREACH", "ENETUNREACH")),
                host(said(SIX)),
                ROUTES,
                resolver(SIX),
                config(),
                None,
                None,
                None,
            ),
            PASS,
            SIX,
        ),
        (
            dns_paths.forward_firewall,
            (
                inside(said(UP, "timeout", "timeout")),
                host(said(UP, "timeout", "timeout")),
                ROUTES,
                resolver(UP),
                config(),
                None,
                None,
                None,
            ),
            SKIP,
            "no nameserver",
        ),
        (
            dns_paths.udp_blocked,
            (inside(said(UP, "timeout", "NOERROR")), host(said(UP)), ROUTES, None, None, None),
            FAIL,
            "over TCP",
        ),
        (
            dns_paths.udp_blocked,
            (inside(said(UP, "timeout", "closed")), host(said(UP)), ROUTES, None, None, None),
            FAIL,
            "over TCP",
        ),
        # A program on port 53 that speaks no DNS to anybody is a dead server, not a blocked one.
        (
            dns_paths.udp_blocked,
            (inside(said(UP, "timeout", "closed")), host(said(UP, "timeout", "closed")), ROUTES, None, None, None),
            PASS,
            "alone",
        ),
        (
            dns_paths.udp_blocked,
            (inside(said(UP, "NOERROR", "timeout")), host(said(UP)), ROUTES, None, None, None),
            PASS,
            "alone",
        ),
        (
            dns.first_server_slow,
            (inside(said(DEAD, "timeout", "timeout"), said(UP)), host(said(UP)), resolver(UP), config(DEAD, UP)),
            FAIL,
            "10.0.0.99",
        ),
        # Refused at once costs nothing.
        (
            dns.first_server_slow,
            (inside(said(DEAD, "ECONNREFUSED", "timeout"), said(UP)), host(said(UP)), resolver(UP), config(DEAD, UP)),
            PASS,
            "10.0.0.99",
        ),
        (
            dns.first_server_slow,
            (inside(said(UP), said(DEAD, "timeout", "timeout")), host(said(UP)), resolver(UP), config(UP, DEAD)),
            PASS,
            UP,
        ),
        (
            dns.spare_server,
            (inside(said(UP), said(DEAD, "timeout", "timeout")), host(said(UP)), resolver(UP), config(UP, DEAD)),
            FAIL,
            "10.0.0.99, which containers ask after 10.0.0.1",
        ),
        (dns.spare_server, (inside(said(UP), said(SPARE)), host(), resolver(UP), config(UP, SPARE)), PASS, SPARE),
        # Docker leaves out what a network without IPv6 cannot reach.
        (
            dns.spare_server,
            (inside(said(UP), said(SIX, "ENETUNREACH", "ENETUNREACH")), host(), resolver(UP, SIX), config()),
            SKIP,
            "single",
        ),
        (dns.not_applied, (inside(said(UP)), host(), resolver(UP), config()), PASS, UP),
        (
            dns.not_applied,
            (inside(said(DEAD, "timeout", "timeout"), said(UP), servers=(DEAD,)), host(), resolver(UP), config(UP)),
            FAIL,
            "still get 10.0.0.99",
        ),
        (
            dns.not_applied,
            (inside(said(DEAD), said(UP), servers=(DEAD,)), host(), resolver(UP), config(UP)),
            PASS,
            "no better off",
        ),
        (
            dns.server_dead,
            (inside(said(UP), said(DEAD, "timeout", "timeout")), host(said(UP)), resolver(UP), config(DEAD)),
            FAIL,
            "after the next restart",
        ),
        # The embedded resolver asks on past "no such name", and waits for a dead spare.
        (
            dns.containers_resolve,
            (waiting("NXDOMAIN"), config(UP, DEAD)),
            PASS,
            "the user network",
        ),
        (dns.containers_resolve, (waiting("NOERROR"), config(UP, DEAD)), FAIL, "the user network"),
        (dns.containers_resolve, (inside(said(UP)), None), PASS, "default bridge and the user network"),
        (dns.containers_resolve, (inside(said(UP, "SERVFAIL", "SERVFAIL")), None), FAIL, "the default bridge"),
        (dns.containers_resolve, (inside(said(UP), user=()), None), FAIL, "the user network"),
    ],
)
def test_verdict(one, facts, status, words):
    finding = decide(one, *facts)
    assert finding.status is status, finding
    assert words in finding.summary


def test_the_rule_that_drops_the_questions_is_named_and_taken_away():
    rule = "-p udp -m udp --dport 53 -j DROP"
    forward = Chain("iptables", "ip", "filter", "FORWARD", "forward", policy="ACCEPT", rules=(iptables_rule(rule, 0),))
    moved = Moved(((forward.label, rule, 3),))
    finding = decide(
        dns_paths.udp_blocked,
        inside(said(UP, "timeout", "closed")),
        host(said(UP)),
        ROUTES,
        Firewall((forward,)),
        NETWORKS,
        moved,
    )
    assert rule in finding.summary
    assert "3 packets dropped meanwhile" in finding.evidence[-1].saw
    assert finding.fix[0] == f"iptables -D FORWARD {rule}"


def running(servers, own=()):
    return ContainerResolvers((ContainerResolver("web", tuple(servers), tuple(own), "2026-01-01T00:00:00Z"),))


@pytest.mark.parametrize(
    ("containers", "answers", "status", "fix"),
    [
        (ContainerResolvers(()), (said(UP),), SKIP, ()),
        (running([UP]), (said(UP),), PASS, ()),
        (running([DEAD]), (said(UP), said(DEAD, "timeout", "timeout")), FAIL, ("docker restart web",)),
        (running([DEAD, UP]), (said(UP), said(DEAD, "timeout", "timeout")), PASS, ()),
        (
            running([DEAD], own=[DEAD]),
            (said(UP), said(DEAD, "timeout", "timeout")),
            PASS,  # judged by dns.container-own
            (),
        ),
        (replace(running([]), unread=1), (said(UP),), UNKNOWN, ("# run as root",)),
    ],
)
def test_stale_container(containers, answers, status, fix):
    finding = decide(dns_running.stale_container, containers, inside(*answers), host(said(UP)), None)
    assert finding.status is status, finding
    assert finding.fix == fix


@pytest.mark.parametrize(("theirs", "because"), [(UP, None), (DEAD, ())], ids=["as-new-ones", "of-old"])
def test_only_servers_that_new_containers_do_not_get_are_stale(theirs, because):
    silence = (said(UP, "timeout", "timeout"), said(DEAD, "timeout", "timeout"))
    finding = decide(dns_running.stale_container, running([theirs]), inside(*silence), host(said(UP)), None)
    assert finding.status is FAIL
    assert finding.because == because


@pytest.mark.parametrize(
    ("outcome", "user", "status"),
    [("NXDOMAIN", None, PASS), ("SERVFAIL", None, FAIL), ("timeout", None, FAIL), ("SERVFAIL", (), PASS)],
    ids=["answers", "refused", "silent", "new-ones-fail-too"],
)
def test_the_embedded_resolver_of_an_old_container(outcome, user, status):
    embedded = EmbeddedResolvers((("web", outcome),))
    finding = decide(dns_running.stale_container, running([UP]), inside(said(UP), user=user), host(said(UP)), embedded)
    assert finding.status is status, finding


def test_an_embedded_resolver_that_answers_reaches_what_containers_do_not():
    answers = (said(UP), said(SIX, "ENETUNREACH", "ENETUNREACH"))
    embedded = EmbeddedResolvers((("web", "NOERROR"),))
    assert (
        dns_running.stale_container.decide(running([SIX]), inside(*answers), host(said(SIX)), embedded).status is PASS
    )


def test_a_probe_container_that_could_not_start_is_no_dns_fault():
    dark = Inside(
        View("host"), View("default bridge", error="no space left"), View("user network", error="no space left")
    )
    assert decide(dns.containers_resolve, dark, None).status is UNKNOWN

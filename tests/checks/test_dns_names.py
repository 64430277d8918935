"""One row a verdict, for what some names meet and others do not: facts in, finding out."""

from dataclasses import replace

import pytest

from dockerdoctor.checks import dns_names, dns_records, dns_split
from dockerdoctor.examine import decide
from dockerdoctor.facts.daemon_json import DaemonJson
from dockerdoctor.facts.dns import ContainerResolver, ContainerResolvers, HostResolver, ResolvConf
from dockerdoctor.facts.firewall import Firewall, Moved
from dockerdoctor.facts.inside import Exchange, Inside, Lookup, View
from dockerdoctor.facts.names_in_use import NamesInUse, Use
from dockerdoctor.facts.records import NOBODY
from dockerdoctor.facts.routes import Interface, Route, Routes
from dockerdoctor.facts.split import Routed, SplitDns
from dockerdoctor.host import DnsAnswer
from dockerdoctor.model import Status
from dockerdoctor.web import HUB

FAIL, PASS, SKIP = Status.FAIL, Status.PASS, Status.SKIP
UP, CORP, EMBEDDED, STUB = "10.0.0.1", "10.0.0.53", "127.0.0.11", "127.0.0.53"
GIT, BIG, WILD = "git.corp.example", "big.example", f"{NOBODY}0.corp.example"


def answer(name, *addresses, server=UP, transport="udp", outcome="", kind="A", cut=False):
    said = outcome or ("NOERROR" if addresses else "NXDOMAIN")
    return DnsAnswer(server, transport, name, said, addresses, truncated=cut, kind=kind)


def view(place, *records, servers=(UP,), dns=(), lookups=(), resolv="", hosts=""):
    return View(place, "", resolv, hosts, servers, dns=dns, records=records, lookups=lookups)


def inside(bridge, user=None, host=None):
    return Inside(
        host or view("host"),
        bridge,
        user or replace(bridge, place="user network", nameservers=(EMBEDDED,)),
    )


def config(**settings):
    text = "{\n}" if not settings else '{\n  "dns": ["x"]\n}'
    return DaemonJson("/etc/docker/daemon.json", exists=True, text=text, settings=settings)


def resolver(*servers, options=(), search=(), link=""):
    return HostResolver(
        ResolvConf("/etc/resolv.conf", True, link, "", servers, search, options), ResolvConf("/r", False)
    )


def verdict(check, *facts):
    finding, crash = decide(check, {type(f): f for f in facts} | dict.fromkeys(()))
    assert not crash, crash
    return finding


ROUTES = Routes(
    (Route("0.0.0.0/0", "eth0", "10.0.0.254"),), (Interface("eth0", 1500, True, addresses=("10.0.0.5/24",)),)
)

# -- a search domain with a wildcard


def wild(user="ndots:0", bridge="", answers=("203.0.113.9",)):
    """Both places, with these options in their resolv.conf, and a domain that answers for every name or does not."""
    said = tuple(answer(WILD, *answers, server=s) for s in (UP, EMBEDDED))
    return inside(
        view("default bridge", *said, resolv=f"nameserver {UP}\nsearch corp.example\noptions {bridge}\n"),
        view(
            "user network",
            *said,
            servers=(EMBEDDED,),
            resolv=f"search corp.example\nnameserver {EMBEDDED}\noptions {user}\n",
        ),
    )


@pytest.mark.parametrize(
    ("facts", "status", "words"),
    [
        # Healthy: Docker's own ndots:0 has names tried as they are, and on the bridge there are no names of containers.
        ((wild(),), PASS, "without it first"),
        ((wild(bridge="ndots:1"),), PASS, "without it first"),
        ((wild(user="ndots:1", answers=()),), PASS, "does not exist"),
        ((wild(user="edns0 ndots:1"),), FAIL, "names of containers"),
        ((wild(user=""),), FAIL, "ndots:1"),
        ((wild(bridge="ndots:5"),), FAIL, "fewer than 5 dots"),
        # Not a domain of these containers.
        ((inside(view("default bridge", answer(WILD, "203.0.113.9"), resolv="options ndots:5")),), PASS, "not exist"),
    ],
)
def test_a_wildcard_matters_where_names_are_tried_with_it_first(facts, status, words):
    finding = verdict(dns_names.search_wildcard, *facts)
    assert finding.status is status
    assert words in finding.summary


@pytest.mark.parametrize(
    ("facts", "command"),
    [
        ((resolver(UP, options=("ndots:1",)), config()), "sed -i -E '/^options/s/"),
        # What another program writes is left alone.
        ((resolver(UP, options=("edns0", "ndots:1"), link="../run/x"), config()), '"dns-opts": ["edns0", "ndots:0"]'),
        ((resolver(UP), config(**{"dns-opts": ["ndots:2", "attempts:1"]})), '"dns-opts": ["attempts:1", "ndots:0"]'),
    ],
)
def test_ndots_goes_where_it_was_set(facts, command):
    assert command in "\n".join(verdict(dns_names.search_wildcard, wild(user="ndots:1"), *facts).fix)


# -- answers that are too long


def cut(tcp, *, server=UP, host_tcp="NOERROR"):
    """A name whose answer is cut short, and what comes over TCP then."""
    short = answer(BIG, "192.0.2.1", server=server, cut=True)
    there = answer(BIG, *(("192.0.2.1",) if tcp == "NOERROR" else ()), server=server, transport="tcp", outcome=tcp)
    here = answer(BIG, server=server, transport="tcp", outcome=host_tcp)
    return inside(view("default bridge", short, there), host=view("host", short, here))


@pytest.mark.parametrize(
    ("facts", "status", "words"),
    [
        ((cut("NOERROR"),), PASS, "no name"),
        ((cut("timeout"),), FAIL, f"{BIG}: the answer does not fit"),
        ((cut("ECONNREFUSED"),), FAIL, UP),
        # With room for it, over UDP, nothing is lost.
        ((inside(view("default bridge", answer(BIG, "192.0.2.1"))),), PASS, "no name"),
    ],
)
def test_long_answers_come_over_tcp(facts, status, words):
    finding = verdict(dns_records.truncated, ROUTES, resolver(UP), *facts)
    assert finding.status is status
    assert words in finding.summary


def test_whom_to_blame_for_a_lost_answer_shows_on_the_host():
    by_server = verdict(dns_records.truncated, ROUTES, resolver(UP), cut("timeout", host_tcp="timeout"))
    on_the_way = verdict(dns_records.truncated, ROUTES, resolver(UP), cut("timeout"))
    assert f"by {UP}" in by_server.cause
    assert "on the way from containers" in on_the_way.cause


def asked(udp, tcp):
    return tuple(DnsAnswer(UP, t, HUB, said) for t, said in (("udp", udp), ("tcp", tcp)))


@pytest.mark.parametrize(
    ("here", "there", "udp", "status"),
    [
        ("ok", "ok", "NOERROR", PASS),
        ("ok", "timeout", "NOERROR", FAIL),
        ("ok", "ECONNREFUSED", "NXDOMAIN", FAIL),
        # A router that speaks no TCP at all: so it is, and nobody's firewall.
        ("ECONNREFUSED", "ECONNREFUSED", "NOERROR", PASS),
        # Nothing gets through: judged elsewhere.
        ("ok", "timeout", "timeout", PASS),
    ],
)
def test_tcp_is_open_to_containers_as_to_the_host(here, there, udp, status):
    assert verdict(dns_records.tcp_blocked, doors(here, there, udp), ROUTES, resolver(UP)).status is status


def doors(here, there, udp):
    """A nameserver's port, tried over TCP from the host and from containers, and what it says over UDP."""
    tried = [(Exchange(f"{UP}:53", outcome, "", 0.1),) for outcome in (here, there)]
    bridge = replace(view("default bridge", dns=asked(udp, "timeout")), exchanges=tried[1])
    return inside(bridge, host=replace(view("host"), exchanges=tried[0]))


def test_a_name_that_was_lost_says_more_than_closed_tcp():
    blocked, lost = doors("ok", "timeout", "NOERROR"), cut("timeout")
    both = inside(replace(blocked.bridge, records=lost.bridge.records), host=blocked.host)
    assert verdict(dns_records.tcp_blocked, both, ROUTES, resolver(UP)).status is SKIP


# -- IPv6 addresses


def both_kinds(a="NOERROR", aaaa="timeout", waited=(), other=""):
    said = [answer(HUB, kind="AAAA", outcome=aaaa)]
    dns = [DnsAnswer(UP, "udp", HUB, a)]
    if other:
        said.append(answer(HUB, kind="AAAA", outcome="NOERROR", server=other))
        dns.append(DnsAnswer(other, "udp", HUB, "NOERROR"))
    lookups = tuple(Lookup(HUB, "ok", ("192.0.2.1",), seconds) for seconds in waited)
    return inside(view("default bridge", *said, dns=tuple(dns), lookups=lookups))


def cut_off():
    dns = (DnsAnswer(UP, "udp", "well.example", "NOERROR"), DnsAnswer(UP, "udp", HUB, "timeout"))
    return view("default bridge", answer(HUB, kind="AAAA", outcome="timeout"), dns=dns)


@pytest.mark.parametrize(
    ("facts", "status", "words"),
    [
        ((both_kinds(aaaa="NOERROR"),), PASS, "A and AAAA"),
        ((both_kinds(aaaa="NXDOMAIN"),), PASS, "A and AAAA"),
        ((both_kinds(),), FAIL, "not for AAAA"),
        # A resolver that does not ask for them (options no-aaaa), or does not wait.
        ((both_kinds(waited=(0.1,)),), PASS, "no program waits"),
        ((both_kinds(waited=(5.1,)),), FAIL, "not for AAAA"),
        ((both_kinds(a="timeout"),), SKIP, "either"),
        # A resolver without a way out knows the names of its own network, and is silent about all others.
        ((inside(cut_off()),), SKIP, "either"),
        # Not asked: a report of an older doctor.
        ((inside(view("default bridge", dns=asked("NOERROR", "NOERROR"))),), SKIP, "either"),
    ],
)
def test_silence_about_ipv6_addresses(facts, status, words):
    finding = verdict(dns_records.aaaa_silent, config(), resolver(UP), *facts)
    assert finding.status is status
    assert words in finding.summary


def test_another_server_that_answers_for_both_is_the_repair():
    settings = config(dns=[UP])
    alone = verdict(dns_records.aaaa_silent, both_kinds(), resolver(UP, options=("edns0",)), config())
    spared = verdict(dns_records.aaaa_silent, both_kinds(other=CORP), resolver(CORP), settings)
    assert '"dns-opts": ["edns0", "no-aaaa"]' in "\n".join(alone.fix)
    assert f'"dns": ["{CORP}"]' in "\n".join(spared.fix)


# -- names that only the host resolves

APP = NamesInUse((Use(GIT, "app", "GIT_URL"),))


def company(there="", host="192.0.2.7", hosts="", corp="", own=(STUB,)):
    """The host finds the name, through its own resolver; containers ask another server."""
    here = view("host", answer(GIT, *filter(None, [host]), server=STUB), servers=own, hosts=hosts)
    records = [answer(GIT, *filter(None, [there]))]
    records += [answer(GIT, corp, server=CORP)] if corp else []
    return inside(view("default bridge", *records), host=here)


@pytest.mark.parametrize(
    ("facts", "status", "words"),
    [
        ((company(), APP), FAIL, f"{GIT}, which app wants, resolves on the host"),
        ((company(there="192.0.2.7"), APP), PASS, "as on the host"),
        # Other addresses inside than outside are split DNS that works.
        ((company(there="192.0.2.99"), APP), PASS, "as on the host"),
        # A name that nobody knows is the application's own mistake.
        ((company(host=""), APP), PASS, "as on the host"),
        # What runs here is often told its own name.
        ((company(host="10.0.0.5"), APP, ROUTES), PASS, "as on the host"),
        ((company(host="", hosts=f"127.0.1.1 {GIT}\n"), APP), PASS, "as on the host"),
        # An inside name that no container wants harms nobody.
        ((company(), NamesInUse(())), SKIP, "no container"),
        ((company(hosts=f"192.0.2.7 git {GIT}\n"), APP), FAIL, "/etc/hosts alone"),
        ((company(host="", hosts=f"192.0.2.7 {GIT}\n"), APP), FAIL, "/etc/hosts alone"),
        ((company(there="192.0.2.7", hosts=f"192.0.2.7 {GIT}\n"), APP), PASS, "as on the host"),
        (
            (company(corp="192.0.2.7"), APP, ContainerResolvers((ContainerResolver("app", (), (CORP,), ""),))),
            PASS,
            "as on",
        ),
    ],
)
def test_names_that_containers_want(facts, status, words):
    finding = verdict(dns_split.split_names, config(dns=[UP]), resolver(STUB), *facts)
    assert finding.status is status
    assert words in finding.summary


def test_the_server_that_knows_the_name_comes_first():
    settings = config(dns=[UP])
    known = verdict(dns_split.split_names, settings, company(corp="192.0.2.7"), APP, resolver(STUB))
    unknown = verdict(dns_split.split_names, settings, company(), APP, resolver(STUB))
    assert f'"dns": ["{CORP}", "{UP}"]' in "\n".join(known.fix)
    assert all(step.startswith("#") for step in unknown.fix)


def domains(here="NOERROR", there="NXDOMAIN"):
    host = view("host", answer("corp.example", server=STUB, outcome=here), servers=(STUB,))
    return inside(view("default bridge", answer("corp.example", outcome=there)), host=host)


SPLIT = SplitDns((Routed("corp.example", (CORP,), "resolvectl, Link 3 (tun0)"),))


@pytest.mark.parametrize(
    ("facts", "status"),
    [
        ((domains(), SPLIT), FAIL),
        ((domains(there="NOERROR"), SPLIT), PASS),
        ((domains(here="NXDOMAIN"), SPLIT), PASS),
        ((domains(here="SERVFAIL"), SPLIT), PASS),
        ((domains(), SplitDns(())), SKIP),
    ],
)
def test_domains_that_only_the_host_knows(facts, status):
    assert verdict(dns_split.split_domains, config(), resolver(UP), *facts).status is status


def test_no_firewall_is_blamed_without_a_rule():
    facts = (cut("timeout"), ROUTES, resolver(UP), Firewall((), ()), Moved(()))
    assert verdict(dns_records.truncated, *facts).status is FAIL

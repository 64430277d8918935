"""Targets of one's own: each failing step has its own check, and what explains it."""

from dataclasses import replace

import pytest

from dockerdoctor.checks import targets as checks
from dockerdoctor.facts.endpoint import Settings
from dockerdoctor.facts.inside import BRIDGE, HOST, USER, Exchange, Inside, View
from dockerdoctor.facts.preferences import Preferences, Target
from dockerdoctor.facts.targets import AskedImage, AskedImages, NamedTargets, WebTargets
from dockerdoctor.model import Status
from dockerdoctor.web import Attempt
from tests.checks.test_network import NETWORKS, OLD, ROUTES, rules

PASS, FAIL, SKIP, UNKNOWN = Status.PASS, Status.FAIL, Status.SKIP, Status.UNKNOWN
DB = Target("tcp", "db.corp.test", 5432)
CACHE = Target("redis", "10.9.0.7", 6379)


DROPPING = rules(
    OLD.replace(
        "-A DOCKER-USER -j RETURN", "-A DOCKER-USER -p tcp -m tcp --dport 5432 -j DROP\n-A DOCKER-USER -j RETURN"
    )
)


def asked(*targets, images=()):
    return Settings(preferences=Preferences(targets=targets, images=images))


def view(place, outcome, target=DB, reply=""):
    said = () if outcome is None else (Exchange(str(target), outcome, reply, 0.01, "10.9.0.7"),)
    return View(place, targets=said)


def seen(host, bridge, user, target=DB, reply="+PONG\r\n"):
    return Inside(view(HOST, host, target, reply), view(BRIDGE, bridge, target, reply), view(USER, user, target, reply))


STEPS = ("resolve", "route", "answer", "accept")


def verdicts(inside, firewall=None, settings=None):
    settings = settings or asked(DB)
    found = {"firewall": checks.firewall.decide(settings, inside, ROUTES, firewall, NETWORKS, None)}
    found["resolve"] = checks.resolve.decide(settings, inside, None)
    for name in STEPS[1:]:
        found[name] = getattr(checks, name).decide(settings, inside, firewall, NETWORKS, ROUTES, None)
    return found


@pytest.mark.parametrize(
    ("host", "bridge", "user", "failing", "because"),
    [
        ("ok", "ok", "ok", "", None),
        ("ECONNREFUSED", "ok", "ok", "", None),  # nobody but containers has to get there
        ("ok", "closed", "ok", "", None),
        ("EAI_NONAME", "EAI_NONAME", "EAI_NONAME", "resolve", ()),
        ("EAI_AGAIN", "EAI_AGAIN", "EAI_AGAIN", "resolve", checks.HOST_DNS),
        ("ok", "EAI_AGAIN", "ok", "resolve", checks.CONTAINER_DNS),
        ("ok", "ok", "EAI_NONAME", "resolve", checks.CONTAINER_DNS),
        ("ok", None, "ok", "resolve", checks.CONTAINER_DNS),
        ("EHOSTUNREACH", "EHOSTUNREACH", "EHOSTUNREACH", "route", ()),
        ("timeout", "EHOSTUNREACH", "timeout", "route", ()),
        ("ok", "ENETUNREACH", "ok", "route", checks.WAYS),
        ("timeout", "timeout", "timeout", "answer", ()),
        ("ok", "timeout", "timeout", "answer", checks.WAYS),
        ("ECONNREFUSED", "ECONNREFUSED", "ECONNREFUSED", "accept", ()),
        ("ok", "ECONNREFUSED", "ok", "accept", checks.WAYS),
        ("ok", "ok", "ECONNRESET", "accept", checks.WAYS),
    ],
)
def test_each_step_has_its_own_check(host, bridge, user, failing, because):
    found = verdicts(seen(host, bridge, user))
    assert [name for name, one in found.items() if one.status is FAIL] == [failing] * bool(failing)
    assert not failing or found[failing].because == because
    assert not failing or found[failing].evidence


def test_a_rule_that_drops_it_is_named_and_nothing_else():
    found = verdicts(seen("ok", "timeout", "timeout"), DROPPING)
    assert [name for name, one in found.items() if one.status is FAIL] == ["firewall"]
    assert found["firewall"].fix[0] == "iptables -D DOCKER-USER -p tcp -m tcp --dport 5432 -j DROP"
    other = verdicts(seen("ok", "timeout", "timeout", CACHE), DROPPING, asked(CACHE))
    assert [name for name, one in other.items() if one.status is FAIL] == ["answer"]


def test_without_targets_nothing_is_said():
    assert {one.status for one in verdicts(seen("ok", "ok", "ok"), settings=Settings()).values()} == {SKIP}
    assert checks.redis.decide(Settings(), seen("ok", "ok", "ok"), None).status is SKIP
    assert checks.certificate.decide(Settings(), WebTargets()).status is SKIP
    assert checks.image.decide(Settings(), AskedImages()).status is SKIP


def test_without_containers_the_host_is_judged():
    dark = [View(place, error="no such bridge") for place in (BRIDGE, USER)]
    inside = Inside(view(HOST, "ECONNREFUSED"), *dark)
    assert verdicts(inside)["accept"].status is FAIL
    assert verdicts(Inside(View(HOST, error="x"), *dark))["accept"].status is UNKNOWN


def test_the_loopback_is_the_hosts_alone():
    here = Target("tcp", "127.0.0.1", 5432)
    inside = seen("ok", "ECONNREFUSED", "ECONNREFUSED", here)
    assert verdicts(inside, settings=asked(here))["accept"].status is PASS


def test_a_containers_name_is_asked_for_on_its_own_network():
    inside = seen("EAI_NONAME", "EAI_NONAME", "EAI_NONAME", replace(CACHE, host="cache"))
    named = NamedTargets((("cache", "app"),), (view("app", "ok", replace(CACHE, host="cache"), "+PONG\r\n"),))
    settings = asked(replace(CACHE, host="cache"))
    assert checks.resolve.decide(settings, inside, named).status is PASS
    assert checks.redis.decide(settings, inside, named).status is PASS


@pytest.mark.parametrize(
    ("reply", "status", "words"),
    [
        ("+PONG\r\n", PASS, "+PONG"),
        ("-NOAUTH Authentication required.\r\n", PASS, "-NOAUTH"),
        ("-DENIED Redis is running in protected mode\r\n", FAIL, "-DENIED"),
        ("-LOADING Redis is loading the dataset in memory\r\n", FAIL, "-LOADING"),
        ("HTTP/1.1 400 Bad Request\r\n", FAIL, "HTTP/1.1 400"),
    ],
)
def test_redis(reply, status, words):
    finding = checks.redis.decide(asked(CACHE), seen("ok", "ok", "ok", CACHE, reply), None)
    assert finding.status is status
    assert words in finding.summary


HTTPS = Target("https", "api.test", 443)


@pytest.mark.parametrize(
    ("attempt", "status"),
    [
        (Attempt("https://api.test:443/", layer="http", outcome="ok", status=404), PASS),
        (Attempt("https://api.test:443/", layer="http", outcome="timeout"), PASS),
        (Attempt("https://api.test:443/", layer="tls", outcome="x509: certificate has expired", verify_code=10), FAIL),
        (Attempt("https://api.test:443/", layer="tls", outcome="not TLS"), FAIL),
        (Attempt("https://api.test:443/", layer="connect", outcome="ECONNREFUSED"), SKIP),
    ],
)
def test_certificates(attempt, status):
    finding = checks.certificate.decide(asked(HTTPS), WebTargets((("api.test:443", attempt),)))
    assert finding.status is status


@pytest.mark.parametrize(
    ("image", "status", "because"),
    [
        (AskedImage("a", present=True, pullable=False, said="denied"), PASS, None),
        (AskedImage("a", present=False, pullable=True), PASS, None),
        (AskedImage("a", present=False, pullable=None, said="no answer"), UNKNOWN, None),
        (AskedImage("a", present=False, pullable=False, said="manifest unknown"), FAIL, ()),
        (AskedImage("r.test/a", present=False, pullable=False, said="denied: login"), FAIL, ()),
        (AskedImage("a", present=False, pullable=False, said="dial tcp: timeout"), FAIL, checks.PULL_CAUSES),
    ],
)
def test_images(image, status, because):
    finding = checks.image.decide(asked(images=("a",)), AskedImages((image,)))
    assert (finding.status, finding.because) == (status, because)

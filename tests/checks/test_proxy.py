"""One row for each verdict on proxies."""

from dataclasses import replace

import pytest

from dockerdoctor.checks import (
    proxy_answers,
    proxy_containers,
    proxy_interception,
    proxy_past,
    proxy_registries,
    proxy_units,
    proxy_values,
)
from dockerdoctor.facts.container_details import Details, Health
from dockerdoctor.facts.containers import Attachment, Container, Containers
from dockerdoctor.facts.endpoint import ClientConfig
from dockerdoctor.facts.engine import Unit, Units
from dockerdoctor.facts.inside import Exchange, Inside, View
from dockerdoctor.facts.listeners import InContainer, Listener, Listeners
from dockerdoctor.facts.proxy import ProxySettings, ProxyTrials, Setting, Trial, UnitSetting
from dockerdoctor.facts.proxy_detours import Detour, ProxyDetours
from dockerdoctor.facts.registry import OWN_ENVIRONMENT, Interception, Registries
from dockerdoctor.model import Status
from dockerdoctor.tls import Certificate
from dockerdoctor.web import Attempt
from tests.checks.test_registry import HTTP, REFUSED, registry, stopped

PASS, FAIL, SKIP, UNKNOWN = Status.PASS, Status.FAIL, Status.SKIP, Status.UNKNOWN
P = "http://10.0.0.9:3128"
ENVIRON = "/proc/7/environ"
DROP_IN = "/etc/systemd/system/docker.service.d/http-proxy.conf"
UNITS = Units(True, Unit("docker.service"), Unit("docker.socket"), Unit("containerd.service"))
STALE = replace(UNITS, docker=Unit("docker.service", need_reload=True))

WELL = Registries((registry("mirror", "http://m.test"),))
DOWN = Registries((registry("mirror", "http://m.test", asked=REFUSED),))


def through(status=0, outcome="ECONNREFUSED", **more):
    """A mirror that is asked through the proxy, which fails."""
    asked = Attempt("http://m.test/v2/", P, "proxy", outcome, status)
    return Registries((registry("mirror", "http://m.test", asked=asked, **more),))


def daemon(*pairs, **more):
    pairs = pairs or (("HTTP_PROXY", P), ("HTTPS_PROXY", P))
    unit = tuple(UnitSetting(DROP_IN, 2, name, value, in_force=True) for name, value in pairs)
    settings = tuple(Setting(name, value, ENVIRON) for name, value in pairs)
    return ProxySettings(**{"daemon": settings, "daemon_seen": True, "unit": unit, **more})


def client(value=P, **more):
    return ProxySettings(client=(Setting("httpProxy", value, "/root/.docker/config.json"),), daemon_seen=True, **more)


def trial(value=P, layer="http", outcome="ok", status=200, host="10.0.0.9", port=3128, **more):
    return Trial(
        value, scheme="http", host=host, port=port, asked=Attempt("https://hub", value, layer, outcome, status), **more
    )


ALIVE = ProxyTrials((trial(),))
DEAD = ProxyTrials((trial(layer="proxy", outcome="ECONNREFUSED", status=0),))
NOT_TLS = ProxyTrials(
    (trial(layer="proxy", outcome="not TLS", status=0, plainly=Attempt("", P, "proxy", "answers HTTP 502", 502)),)
)
DENIED = ProxyTrials((trial(layer="proxy", outcome="answers HTTP 407", status=407),))
NONE = ProxyTrials()


def inside(bridge="ok", host="ok", target="10.0.0.9:3128", user=None):
    def view(place, outcome):
        return View(place, exchanges=(Exchange(target, outcome, "", 0.0),))

    return Inside(view("host", host), view("default bridge", bridge), view("user network", user or bridge))


@pytest.mark.parametrize(
    ("setting", "status"),
    [
        (UnitSetting(DROP_IN, 2, "HTTP_PROXY", P, lone_percent=True, in_force=False), FAIL),
        (UnitSetting(DROP_IN, 2, "HTTP_PROXY", P, lone_percent=True), FAIL),
        # An old systemd passes it on as it is.
        (UnitSetting(DROP_IN, 2, "HTTP_PROXY", P, lone_percent=True, in_force=True), PASS),
        (UnitSetting(DROP_IN, 2, "HTTP_PROXY", P, in_force=True), PASS),
    ],
)
def test_percent(setting, status):
    said = proxy_units.unit_percent.decide(ProxySettings(unit=(setting,)), UNITS)
    assert said.status is status
    if status is FAIL:
        assert said.fix[0] == f"sed -i '2s/%%/%/g; 2s/%/%%/g' {DROP_IN}"


LATE = ProxySettings(daemon_seen=True, unit=(UnitSetting(DROP_IN, 2, "HTTP_PROXY", P, in_force=False),))


@pytest.mark.parametrize(
    ("settings", "registries", "units", "in_force", "pending", "words"),
    [
        (ProxySettings(daemon_seen=True), DOWN, UNITS, SKIP, SKIP, ""),
        (daemon(), DOWN, UNITS, PASS, PASS, ""),
        (LATE, DOWN, STALE, FAIL, FAIL, "neither has systemd read it"),
        (LATE, DOWN, UNITS, FAIL, FAIL, "after the daemon had started"),
        (LATE, WELL, UNITS, PASS, FAIL, ""),
        (replace(LATE, daemon_seen=False), DOWN, UNITS, UNKNOWN, UNKNOWN, ""),
        (
            ProxySettings(daemon_seen=True, unit=(UnitSetting("/etc/systemd/system/docker.d/p.conf", 2, "HTTP_PROXY", P, "stray", in_force=False),)),
            DOWN, UNITS, FAIL, FAIL, "that nobody reads: stray",
        ),
        # Something else gave the daemon a proxy: the stray file is not missed.
        (daemon(unit=(UnitSetting("/etc/default/docker", 2, "HTTP_PROXY", P, "stray", in_force=True),)), DOWN, UNITS, PASS, PASS, ""),
    ],
)  # fmt: skip
def test_in_force(settings, registries, units, in_force, pending, words):
    said = proxy_units.unit_in_force.decide(settings, registries, units)
    assert said.status is in_force
    assert words in said.cause
    assert proxy_units.unit_pending.decide(settings, units).status is pending


@pytest.mark.parametrize(
    ("settings", "trials", "status", "words"),
    [
        (ProxySettings(), NONE, SKIP, ""),
        (client(), ALIVE, PASS, ""),
        (client("10.0.0.9:3128"), ProxyTrials((trial("10.0.0.9:3128", has_scheme=False),)), FAIL, "has no scheme"),
        # Go takes it.
        (daemon(("HTTP_PROXY", "10.0.0.9:3128")), ProxyTrials((trial("10.0.0.9:3128", has_scheme=False),)), PASS, ""),
        (client("host:port"), ProxyTrials((Trial("host:port", problem="the port is 'port'"),)), FAIL, "not a proxy's URL"),
        (daemon(("HTTP_PROXY", "x:y")), ProxyTrials((Trial("x:y", problem="the port is 'y'"),)), FAIL, "not a proxy's URL"),
    ],
)  # fmt: skip
def test_url(settings, trials, status, words):
    said = proxy_values.url.decide(settings, trials, through(), UNITS)
    assert said.status is status
    assert words in said.summary


@pytest.mark.parametrize(
    ("check", "settings", "trials", "registries", "status"),
    [
        (proxy_values.tls_scheme, daemon(), NOT_TLS, through(), FAIL),
        (proxy_values.tls_scheme, client(), NOT_TLS, WELL, FAIL),
        (proxy_values.tls_scheme, daemon(), ALIVE, WELL, PASS),
        (proxy_values.tls_scheme, ProxySettings(), NONE, WELL, SKIP),
        (proxy_answers.credentials, daemon(), DENIED, through(407), FAIL),
        (proxy_answers.credentials, client(), DENIED, WELL, FAIL),
        (proxy_answers.credentials, daemon(), ALIVE, WELL, PASS),
        (
            proxy_answers.credentials,
            daemon(),
            ProxyTrials((replace(DENIED.all[0], secret_hidden=True),)),
            through(407),
            UNKNOWN,
        ),
        # Nothing that the daemon needs goes through it.
        (proxy_values.tls_scheme, daemon(), NOT_TLS, WELL, PASS),
        (proxy_answers.credentials, daemon(), DENIED, WELL, PASS),
    ],
)
def test_what_a_proxy_says(check, settings, trials, registries, status):
    assert check.decide(settings, trials, registries, UNITS).status is status


def test_the_scheme_is_rewritten_and_no_password_shown():
    value = "https://al:***@10.0.0.9:3128"
    settings = daemon(("HTTPS_PROXY", value))
    trials = ProxyTrials((replace(NOT_TLS.all[0], value=value),))
    fix = proxy_values.tls_scheme.decide(settings, trials, through(), UNITS).fix
    assert fix[0].startswith("sed -i -E 's#https://")
    assert fix[0].endswith(DROP_IN)
    assert "***" not in fix[0]
    assert fix[-1] == "systemctl restart docker"


@pytest.mark.parametrize(
    ("settings", "trials", "registries", "view", "status"),
    [
        (daemon(), DEAD, through(), None, FAIL),
        (daemon(), DEAD, WELL, None, PASS),
        (daemon(), ALIVE, WELL, None, PASS),
        (client(), DEAD, WELL, None, FAIL),
        # The host does not get there, but containers do.
        (client(), DEAD, WELL, inside("ok", "ECONNREFUSED"), PASS),
        # A container's name, perhaps.
        (client(), ProxyTrials((trial(layer="proxy", outcome="EAI_NONAME", status=0),)), WELL, None, PASS),
        (client(), ProxyTrials((trial(layer="proxy", outcome="EAI_NONAME", status=0),)), WELL, inside("EAI_AGAIN"), FAIL),
        # Loopback is judged elsewhere.
        (client(), ProxyTrials((trial(layer="proxy", outcome="ECONNREFUSED", status=0, host="127.0.0.1"),)), WELL, None, PASS),
        # It lives and waits for a slow server.
        (daemon(), ProxyTrials((trial(layer="proxy", outcome="silent", status=0),)), through(outcome="silent"), None, PASS),
        # What accepts connections and speaks no HTTP is no proxy.
        (daemon(), ProxyTrials((trial(layer="proxy", outcome="silent", status=0, speaks=False),)), through(outcome="silent"), None, FAIL),
        (daemon(), ProxyTrials((trial(layer="proxy", outcome="silent", status=0, speaks=False),)), WELL, None, PASS),
        (daemon(), ProxyTrials((trial(layer="proxy", outcome="silent", status=0, speaks=True),)), through(outcome="silent"), None, PASS),
        # The shell's own proxy is none of Docker's.
        (ProxySettings(shell=(Setting("http_proxy", P, "shell"),)), NONE, WELL, None, SKIP),
    ],
)  # fmt: skip
def test_dead(settings, trials, registries, view, status):
    assert proxy_answers.dead.decide(settings, trials, registries, view, UNITS).status is status


def test_a_dead_proxy_is_taken_out_only_where_the_direct_way_works():
    there = through(direct=HTTP(200))
    assert proxy_answers.dead.decide(daemon(), DEAD, there, None, UNITS).fix[0] == f"sed -i '2s/^/#/' {DROP_IN}"
    assert proxy_answers.dead.decide(daemon(), DEAD, through(), None, UNITS).fix[0].startswith("# set HTTP_PROXY")


def test_case():
    low = "http://10.0.0.8:3128"
    settings = daemon(("HTTP_PROXY", P), ("http_proxy", low))
    good = trial(low, host="10.0.0.8")
    said = proxy_values.case.decide(settings, ProxyTrials((*DEAD.all, good)), UNITS)
    assert said.status is FAIL
    assert "read HTTP_PROXY first" in said.cause
    assert proxy_values.case.decide(settings, ProxyTrials((*ALIVE.all, good)), UNITS).status is PASS
    assert proxy_values.case.decide(daemon(("HTTP_PROXY", P), ("http_proxy", P)), ALIVE, UNITS).status is PASS
    assert proxy_values.case.decide(ProxySettings(), NONE, UNITS).status is SKIP


@pytest.mark.parametrize(
    ("registries", "status"),
    [
        (through(503, "answers HTTP 503", direct=HTTP(200)), FAIL),
        (through(403, "answers HTTP 403", direct=HTTP(401)), FAIL),
        (Registries((registry("named", asked=HTTP(503, via=P), direct=HTTP(200)),)), FAIL),
        # Neither way: the registry itself is down.
        (through(503, "answers HTTP 503", direct=REFUSED), PASS),
        (through(407, "answers HTTP 407", direct=HTTP(200)), PASS),
        (through(direct=HTTP(200)), PASS),
        (WELL, PASS),
    ],
)
def test_no_proxy(registries, status):
    assert proxy_registries.no_proxy.decide(daemon(), registries, UNITS).status is status


def test_where_no_proxy_is_edited():
    sick = through(503, "answers HTTP 503", direct=HTTP(200))
    pairs = (("HTTP_PROXY", P), ("NO_PROXY", "localhost"))
    assert proxy_registries.no_proxy.decide(daemon(*pairs), sick, UNITS).fix[0].startswith("sed -i -E '2s#(no_proxy=")
    assert '"NO_PROXY=localhost,127.0.0.1,::1,m.test"' in proxy_registries.no_proxy.decide(daemon(), sick, UNITS).fix[0]
    in_file = replace(
        daemon(), daemon=(Setting("HTTP_PROXY", P, "/d.json"), Setting("NO_PROXY", "a", "/d.json")), unit=()
    )
    assert proxy_registries.no_proxy.decide(in_file, sick, UNITS).fix[0].endswith("/d.json")


def around(by, value=P, url="https://reg.test/v2/"):
    return Registries(
        (registry("mirror", asked=stopped("connect", "timeout", url=url), around=HTTP(200, via=value), around_by=by),)
    )


OWN = f"HTTP_PROXY in {OWN_ENVIRONMENT}"
SHELL = "http_proxy in environment of root"


@pytest.mark.parametrize(
    ("settings", "registries", "https_missing", "daemon_missing"),
    [
        (ProxySettings(), WELL, SKIP, PASS),
        # A proxy in the shell, and a direct way that works.
        (ProxySettings(shell=(Setting("http_proxy", P, "shell"),)), WELL, SKIP, PASS),
        (ProxySettings(), DOWN, SKIP, PASS),
        (ProxySettings(), around(SHELL), SKIP, FAIL),
        (daemon(("HTTP_PROXY", P)), around(OWN), FAIL, FAIL),
        (daemon(("HTTP_PROXY", P)), WELL, PASS, PASS),
        (daemon(), WELL, PASS, PASS),
    ],
)
def test_missing(settings, registries, https_missing, daemon_missing):
    assert proxy_registries.https_missing.decide(settings, registries, UNITS).status is https_missing
    assert proxy_registries.daemon_missing.decide(settings, registries, UNITS).status is daemon_missing


@pytest.mark.parametrize(
    ("no_proxy", "url", "fix"),
    [
        ("*", "http://10.0.0.5:5000/v2/", "\\1localhost,127.0.0.1#I"),
        ("localhost,10.0.0.0/8,.corp", "http://10.0.0.5:5000/v2/", "\\1localhost,.corp#I"),
        ("reg.test", "https://reg.test/v2/", "\\1localhost,127.0.0.1#I"),
        ("localhost", "https://reg.test/v2/", ""),
    ],
)
def test_a_no_proxy_that_covers_too_much(no_proxy, url, fix):
    settings = daemon(("HTTP_PROXY", P), ("HTTPS_PROXY", P), ("NO_PROXY", no_proxy))
    found = proxy_registries.no_proxy_too_wide.decide(settings, around(OWN, url=url), UNITS)
    assert found.status is (FAIL if fix else PASS)
    # One of the two says so, never both.
    assert proxy_registries.daemon_missing.decide(settings, around(OWN, url=url), UNITS).status is (
        PASS if fix else FAIL
    )
    assert not fix or fix in found.fix[0]
    assert proxy_registries.no_proxy_too_wide.decide(daemon(), around(OWN, url=url), UNITS).status is SKIP


def test_a_masked_password_is_never_written():
    secret = around(SHELL, "http://al:***@10.0.0.9:3128")
    assert all(
        line.startswith("#")
        for line in proxy_registries.daemon_missing.decide(ProxySettings(), secret, UNITS).fix[0].split("\n")
    )
    assert f"HTTP_PROXY={P}" in proxy_registries.daemon_missing.decide(ProxySettings(), around(SHELL), UNITS).fix[0]


LOOP = "http://127.0.0.1:3128"


@pytest.mark.parametrize(
    ("at_gateway", "first"),
    [
        ("172.17.0.1:3128 ok", "sed -i -E"),
        ("172.17.0.1:3128 ECONNREFUSED", "# let the proxy listen on 172.17.0.1"),
        ("", "# give containers an address"),
    ],
)
def test_container_loopback(at_gateway, first):
    trials = ProxyTrials((trial(LOOP, host="127.0.0.1", at_gateway=at_gateway),))
    said = proxy_containers.container_loopback.decide(client(LOOP), trials, None, None, None)
    assert said.status is FAIL
    assert said.fix[0].startswith(first)
    # The daemon's own loopback is the host's.
    assert (
        proxy_containers.container_loopback.decide(daemon(("HTTP_PROXY", LOOP)), trials, None, None, None).status
        is SKIP
    )
    assert proxy_containers.container_loopback.decide(client(), ALIVE, None, None, None).status is PASS


@pytest.mark.parametrize(
    ("view", "name", "blocked"),
    [
        (inside(), PASS, PASS),
        (inside("EAI_AGAIN"), FAIL, PASS),
        (inside("EAI_AGAIN", "EAI_NONAME"), PASS, PASS),
        (inside("timeout"), PASS, FAIL),
        (inside("timeout", "timeout"), PASS, PASS),
        (inside("timeout", user="ok"), PASS, PASS),
        (Inside(View("host"), View("default bridge", error="x"), View("user network", error="x")), PASS, PASS),
    ],
)
def test_from_containers(view, name, blocked):
    assert proxy_containers.container_name.decide(client(), ALIVE, view).status is name
    assert proxy_containers.container_blocked.decide(client(), ALIVE, view).status is blocked
    assert proxy_containers.container_name.decide(ProxySettings(), NONE, view).status is SKIP


@pytest.mark.parametrize(
    ("direct", "through_proxy", "settings", "status"),
    [
        ("ECONNREFUSED", "ok", daemon(), FAIL),
        ("ok", "ok", daemon(), PASS),
        ("timeout", "timeout", daemon(), PASS),
        ("ECONNREFUSED", "ok", ProxySettings(), SKIP),
        ("ECONNREFUSED", "ok", daemon(client=(Setting("httpProxy", P, "c"),)), PASS),
    ],
)
def test_container_missing(direct, through_proxy, settings, status):
    def view(place):
        return View(
            place, exchanges=(Exchange("m.test:80", direct, "", 0.0), Exchange("10.0.0.9:3128", through_proxy, "", 0.0))
        )

    there = Inside(view("host"), view("default bridge"), view("user network"))
    served = Registries((registry("mirror", asked=HTTP(200, via=P, url="http://m.test/v2/")),))
    assert proxy_containers.container_missing.decide(settings, served, there, None).status is status


@pytest.mark.parametrize(
    ("config", "first"),
    [
        (None, "# add to ~/.docker/config.json"),
        (ClientConfig("/c", exists=False), "install -D -m 600 /dev/stdin /c"),
        (ClientConfig("/c", exists=True, empty=True), "sed -i -z"),
        (ClientConfig("/c", exists=True), "sed -i -z"),
        (ClientConfig("/c", exists=True, problem="line 1"), "# add to /c"),
        (ClientConfig("/c", exists=True, proxies=(("tcp://x", "httpProxy", "p"),)), "# add to /c"),
    ],
)
def test_the_proxy_is_put_before_all_that_the_configuration_has(config, first):
    there = Inside(
        *(
            View(p, exchanges=(Exchange("m.test:80", "timeout", "", 0.0), Exchange("10.0.0.9:3128", "ok", "", 0.0)))
            for p in ("a", "b", "c")
        )
    )
    served = Registries((registry("mirror", asked=HTTP(200, via=P, url="http://m.test/v2/")),))
    (step,) = proxy_containers.container_missing.decide(daemon(), served, there, config).fix
    assert step.startswith(first)
    assert ('3128"}},' in step) is bool(config and config.exists and not config.empty and "sed" in step)


def asking(test, output, *env, network="bridge", code=1):
    health = Health("unhealthy", 3, ("CMD-SHELL", test), code, output)
    web = Container(
        "c" * 64, "web", "web", "running", "Up (unhealthy)", networks=(Attachment(network, "n", "172.18.0.2"),), env=env
    )
    peer = Container("d" * 64, "api", "api", "running", "Up", networks=(Attachment(network, "n", "172.18.0.3"),))
    return Containers((replace(web, details=Details(health=health)), peer))


HTTP_PROXY = ("http_proxy", P)
PAST = ("no_proxy", "localhost,127.0.0.1")
REFUSES = "wget: server returned error: HTTP/1.1 403 Forbidden"


@pytest.mark.parametrize(
    ("containers", "status"),
    [
        (asking("curl -f http://localhost:8000/", "error: 403", HTTP_PROXY), FAIL),
        (asking("curl -f localhost:8000/health", "error: 403", HTTP_PROXY), FAIL),
        (asking("curl -f http://localhost:8000/", "error: 500", HTTP_PROXY, PAST), PASS),
        (asking("curl --noproxy '*' -f http://localhost/", "error: 500", HTTP_PROXY), PASS),
        # curl does not read it in capitals, Python does.
        (asking("curl -f http://localhost:8000/", "error: 500", ("HTTP_PROXY", P)), PASS),
        (asking("python3 -c 'urllib.request.urlopen(\"http://localhost:80/\")'", "403", ("HTTP_PROXY", P)), FAIL),
        # A network is no name.
        (asking("curl -f http://localhost/", "403", HTTP_PROXY, ("no_proxy", "127.0.0.0/8")), FAIL),
        (asking("curl -f http://127.0.0.1/", "500", HTTP_PROXY, ("no_proxy", "127.0.0.0/8")), PASS),
        # BusyBox passes over no_proxy; GNU wget does not.
        (asking("wget -qO- http://localhost/", REFUSES, HTTP_PROXY, PAST), FAIL),
        (asking("wget -qO- http://localhost/", "", HTTP_PROXY, PAST), PASS),
        (asking("wget -Y off -qO- http://localhost/", REFUSES, HTTP_PROXY, PAST), PASS),
        # Its image has no curl: that is why.
        (asking("curl -f http://localhost/", "curl: not found", HTTP_PROXY, code=127), PASS),
        # Another container, by name; on the default bridge there are no names.
        (asking("curl -f http://api:80/", "503", HTTP_PROXY, PAST, network="app"), FAIL),
        (asking("curl -f http://example.com/", "503", HTTP_PROXY, PAST, network="app"), PASS),
        (asking("redis-cli ping", "refused", HTTP_PROXY), PASS),
        (Containers(()), SKIP),
    ],
)  # fmt: skip
def test_captures_localhost(containers, status):
    assert proxy_past.captures_localhost.decide(ProxySettings(), containers).status is status


@pytest.mark.parametrize(
    ("no_proxy", "status"),
    [("", FAIL), ("corp.test", FAIL), ("localhost", PASS), ("127.0.0.0/8", PASS), ("127.0.0.1", PASS), ("*", PASS)],
)
def test_localhost_exempt(no_proxy, status):
    noproxy = (Setting("noProxy", no_proxy, "c"),) if no_proxy else ()
    settings = client()
    said = proxy_past.localhost_exempt.decide(replace(settings, client=settings.client + noproxy), ALIVE)
    assert said.status is status
    assert proxy_past.localhost_exempt.decide(ProxySettings(), None).status is SKIP


def detour(through, direct, no_proxy="10.0.0.0/8", host="10.0.0.1"):
    def said(status, via=""):
        return (
            Attempt(f"http://{host}:80/", via, "http", "ok", status)
            if status
            else Attempt(host, via, "proxy", "timeout")
        )

    setting = "/root/.docker/config.json"
    return ProxyDetours(
        (Detour(f"http://{host}:80/", "U of container c", setting, P, no_proxy, ("GNU wget",), ("Go",), "", ("10.0.0.1",), said(through, P), said(direct)),)
    )  # fmt: skip


@pytest.mark.parametrize(
    ("detours", "status", "words"),
    [
        (ProxyDetours(), SKIP, ""),
        (detour(403, 200), FAIL, "for Go and not for the others"),
        (detour(403, 200, host="reg.lab"), FAIL, "reg.lab is a name"),
        (detour(503, 404), FAIL, ""),
        # It says the same, or nothing at all, either way.
        (detour(404, 404), PASS, ""),
        (detour(403, 0), PASS, ""),
        (detour(0, 200), PASS, ""),
        (detour(200, 200), PASS, ""),
        (detour(407, 200), PASS, ""),
    ],
)
def test_container_no_proxy(detours, status, words):
    said = proxy_past.container_no_proxy.decide(client(), detours)
    assert said.status is status
    assert words in said.cause


RUNNING = Setting("http_proxy", LOOP, "container web")


def listening(*ports):
    return Listeners(
        (), (), (), (InContainer("c" * 64, 9.0, tuple(Listener("tcp", "0.0.0.0", p) for p in ports)),), True, 0.0
    )


@pytest.mark.parametrize(
    ("listeners", "status"), [(listening(), FAIL), (listening(3128), PASS), (None, PASS)]
)  # its own proxy, perhaps
def test_a_running_container_s_loopback(listeners, status):
    trials = ProxyTrials((trial(LOOP, host="127.0.0.1"),))
    settings = ProxySettings(containers=(RUNNING,), daemon_seen=True)
    web = Containers((Container("c" * 64, "web", "web", "running", "Up"),))
    said = proxy_containers.container_loopback.decide(settings, trials, None, web, listeners)
    assert said.status is status


def test_a_running_container_s_dead_proxy():
    settings = ProxySettings(containers=(Setting("http_proxy", P, "container web"),), daemon_seen=True)
    said = proxy_answers.dead.decide(settings, DEAD, None, inside("ECONNREFUSED", "ECONNREFUSED"), UNITS)
    assert said.status is FAIL
    assert said.fix[0].startswith("# replace container web")


def test_all_proxy():
    settings = daemon(("ALL_PROXY", P))
    by = f"ALL_PROXY in {OWN_ENVIRONMENT}"
    needs = Registries((registry("mirror", "http://m.test", asked=REFUSED, around=HTTP(200, via=P), around_by=by),))
    assert settings.in_daemon == {}
    assert proxy_registries.all_proxy.decide(settings, needs, UNITS).status is FAIL
    assert proxy_registries.all_proxy.decide(settings, WELL, UNITS).status is PASS
    assert proxy_registries.all_proxy.decide(daemon(), needs, UNITS).status is SKIP


CORP = Certificate("CN=hub", "CN=Corp Proxy CA")
CA_FILE = "/usr/local/share/ca-certificates/corp.pem"


def intercepted(**more):
    found = Interception("https://reg.test/v2/", (CORP,), **{"bundle": "/etc/ssl/certs/ca-certificates.crt", **more})
    asked = Attempt("https://reg.test/v2/", P, "tls", "x509: unable to get local issuer certificate", verify_code=20)
    if found.trusted:
        asked = HTTP(200, via=P, url="https://reg.test/v2/")
    return Registries((registry("named", "reg.test", asked=asked, interception=found),))


@pytest.mark.parametrize(
    ("registries", "settings", "daemon_s", "containers"),
    [
        (WELL, client(), PASS, PASS),
        (intercepted(), client(), FAIL, PASS),
        (intercepted(trusted=True, authority=CA_FILE), client(), PASS, FAIL),
        # The daemon's proxy is not the containers'.
        (intercepted(trusted=True, authority=CA_FILE), daemon(), PASS, SKIP),
    ],
)
def test_interception(registries, settings, daemon_s, containers):
    said = proxy_interception.tls_interception.decide(registries, UNITS)
    assert said.status is daemon_s
    assert proxy_interception.container_interception.decide(settings, registries).status is containers
    assert "CN=Corp Proxy CA" in said.summary or said.status is PASS


@pytest.mark.parametrize(
    ("more", "fix"),
    [
        ({}, "# get the certificate of CN=Corp Proxy CA"),
        ({"authority": CA_FILE}, f"mv {CA_FILE} {CA_FILE[:-3]}crt"),
        ({"authority": f"{CA_FILE[:-3]}crt"}, "update-ca-certificates"),
        (
            {"authority": "/etc/pki/ca-trust/source/anchors/corp.pem", "bundle": "/etc/pki/tls/certs/ca-bundle.crt"},
            "update-ca-trust",
        ),
    ],
)
def test_who_intercepts_is_trusted(more, fix):
    assert proxy_interception.tls_interception.decide(intercepted(**more), UNITS).fix[0].startswith(fix)


def test_a_dead_proxy_captures_nothing():
    assert proxy_past.localhost_exempt.decide(client(), DEAD).status is SKIP

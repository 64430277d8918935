"""One row for each verdict on registries."""

from dataclasses import replace

import pytest

from dockerdoctor.checks import registry as checks
from dockerdoctor.checks import registry_steps as steps
from dockerdoctor.checks import registry_trust as trust
from dockerdoctor.facts.containers import Container, Containers
from dockerdoctor.facts.daemon_json import DaemonJson
from dockerdoctor.facts.engine import EngineInfo
from dockerdoctor.facts.registry import CONNECTING, Registries, Registry
from dockerdoctor.facts.routes import Route, Routes
from dockerdoctor.model import Status
from dockerdoctor.tls import Certificate
from dockerdoctor.web import Attempt

PASS, FAIL, SKIP, UNKNOWN = Status.PASS, Status.FAIL, Status.SKIP, Status.UNKNOWN
ONLINE = Routes((Route("0.0.0.0/0", "eth0", "10.0.0.1"),), ())
OFFLINE = Routes((), ())


def info(**changes):
    empty = EngineInfo(
        "", "/var/lib/docker", "overlay2", (), "", "", "", (), (), live_restore=False, debug=False, logging_driver="",
        cgroup_driver="", cgroup_version="", default_runtime="", runtimes=(), labels=(), warnings=(),
        containers_running=0, swarm="", experimental=False, address_pools=(),
    )  # fmt: skip
    return replace(empty, **changes)


def container(name, image):
    return Containers((Container("0" * 64, name, image, "running", "Up"),))


def HTTP(status, *headers, via="", url="https://reg.test/v2/", body=""):  # noqa: N802 - an answer's kind
    return Attempt(url, via, "http", "ok", status, headers, body)


def stopped(layer, outcome, *, via="", url="https://reg.test/v2/", **more):
    return Attempt(url, via, layer, outcome, **more)


def registry(role, name="reg.test", **changes):
    return Registry(name, role, **{"named_by": "a test", "asked": HTTP(200), **changes})


REFUSED, NAMELESS = stopped("connect", "ECONNREFUSED"), stopped("name", "EAI_NONAME")
HUB_DOWN = registry("hub", "docker.io", asked=NAMELESS)
MIRROR = registry("mirror", "http://m.test")
DEAD_MIRROR = registry("mirror", "http://d.test", asked=REFUSED)
HTML = ("content-type", "text/html")
BASIC = ("www-authenticate", 'Basic realm="x"')
BEARER = ("www-authenticate", 'Bearer realm="https://auth.test/token"')
LEAF = Certificate("CN=reg", "CN=Corp CA", ("other.test",), "a", "b")


def x509(code, *, role="named", chain=(LEAF,), **more):
    asked = stopped("tls", "x509: no", verify_code=code, chain=chain)
    return registry(role, asked=asked, **more)


PLAIN = registry("named", "reg.test", asked=stopped("tls", "not TLS"), plain=HTTP(200, url="http://reg.test/v2/"))
LIMITED = registry("mirror", manifest=HTTP(429, ("ratelimit-remaining", "0;w=21600"), ("retry-after", "60")))


@pytest.mark.parametrize(
    ("found", "status", "words", "because"),
    [
        ((MIRROR,), PASS, "http://m.test serves", None),
        ((DEAD_MIRROR, MIRROR), PASS, "http://m.test serves", None),
        ((DEAD_MIRROR, registry("hub", "docker.io", asked=HTTP(401))), PASS, "docker.io serves", None),
        ((HUB_DOWN,), FAIL, "docker.io its name does not resolve", ("dns.host-resolves",)),
        ((replace(HUB_DOWN, asked=REFUSED),), FAIL, "refuses connections", ()),
        # The mirror is how images are meant to come: what ails Docker Hub itself is beside the point.
        ((DEAD_MIRROR, HUB_DOWN), FAIL, "http://d.test refuses connections", ()),
        ((LIMITED, HUB_DOWN), FAIL, "HTTP 429 for a manifest", ("registry.rate-limit",)),
        ((replace(HUB_DOWN, around=HTTP(401, via="http://p:1")),), FAIL, "no image", checks.MISSING_PROXY),
        ((replace(HUB_DOWN, asked=stopped("proxy", "ECONNREFUSED", via="http://p:1")),), FAIL, "the proxy refuses", checks.PROXIES),
        ((replace(HUB_DOWN, secret_hidden=True),), UNKNOWN, "only root", None),
    ],
)  # fmt: skip
def test_hub(found, status, words, because):
    said = checks.hub.decide(Registries(found, "somebody"))
    assert (said.status, said.because) == (status, because)
    assert words in said.summary


@pytest.mark.parametrize(
    ("found", "containers", "routes", "status"),
    [
        ((HUB_DOWN,), None, ONLINE, FAIL),
        ((HUB_DOWN,), None, OFFLINE, SKIP),
        ((HUB_DOWN, registry("named")), container("web", "reg.test/app"), ONLINE, SKIP),
        ((HUB_DOWN, registry("named")), container("web", "busybox"), ONLINE, FAIL),
        ((registry("hub", asked=HTTP(401)),), None, ONLINE, SKIP),
        ((MIRROR,), None, ONLINE, SKIP),
        # Told to ask a mirror or a proxy, it is meant to reach it: an error of its own.
        ((DEAD_MIRROR, HUB_DOWN), None, OFFLINE, SKIP),
    ],
)
def test_a_host_that_may_be_offline_on_purpose(found, containers, routes, status):
    assert checks.no_hub.decide(Registries(found), containers, routes).status is status
    wanted = checks.hub.decide(Registries(found))
    assert (wanted.status is FAIL) == (DEAD_MIRROR in found)
    if status is FAIL:
        assert checks.hub.decide(Registries(found, "a pull 5 seconds ago")).status is FAIL
        assert checks.no_hub.decide(Registries(found, "a pull 5 seconds ago"), containers, routes).status is SKIP


@pytest.mark.parametrize(
    ("found", "status"),
    [
        ((MIRROR,), PASS),
        ((DEAD_MIRROR, MIRROR), FAIL),
        ((HUB_DOWN,), SKIP),
    ],
)
def test_mirrors(found, status):
    assert checks.mirrors.decide(Registries(found), None).status is status


def test_a_dead_mirror_is_taken_out_of_the_file():
    config = DaemonJson("/d.json", exists=True, settings={"registry-mirrors": ["http://d.test/", "http://m.test"]})
    fix = checks.mirrors.decide(Registries((DEAD_MIRROR, MIRROR)), config).fix
    assert '"http://d.test/"' in fix[0]
    assert fix[-1] == "systemctl reload docker"


@pytest.mark.parametrize(
    ("found", "status"),
    [
        ((MIRROR,), SKIP),
        ((registry("named"),), PASS),
        ((registry("named", asked=REFUSED),), FAIL),
        ((registry("listed", asked=REFUSED),), SKIP),
        # A name that was only tagged may never have been a registry's.
        ((registry("tagged", asked=REFUSED),), SKIP),
        ((registry("tagged", asked=stopped("tls", "not TLS"), plain=HTTP(404, HTML)),), SKIP),
        ((replace(PLAIN, role="tagged"),), FAIL),
        ((PLAIN,), FAIL),
    ],
)
def test_named(found, status):
    assert checks.others_serve.decide(Registries(found)).status is status


@pytest.mark.parametrize(
    ("sick", "words"),
    [
        (x509(18), "self-signed"),
        (x509(19), "unknown authority (CN=Corp CA)"),
        (x509(20), "unknown authority (CN=Corp CA)"),
        (x509(20, chain=(replace(LEAF, issuer_url="http://ca.test/ca.crt"),)), "does not send the intermediate"),
        (x509(20, authorities=("/etc/docker/certs.d/reg.test/ca.crt",)), "does not send the intermediate"),
        (x509(62), "is not for reg.test"),
        (x509(62, chain=(replace(LEAF, names=()),)), "is not for reg.test"),
        (x509(10), "expired on b"),
        (x509(9), "is not valid yet"),
        (x509(20, chain=()), "unknown authority"),
        (registry("named", fresh_authority="/x.crt"), "after the daemon had started"),
        (x509(18, role="listed"), "self-signed"),
        (x509(20, flaws=("/etc/docker/certs.d/reg.test/ca.crt is not a certificate in PEM form",)), "not in PEM form"),
        (
            registry("named", asked=stopped("tls", "tls: TLSV13_ALERT_CERTIFICATE_REQUIRED")),
            "wants a certificate of ours",
        ),
    ],
)
def test_certificate(sick, words):
    said = trust.certificate.decide(Registries((MIRROR, sick)))
    assert said.status is FAIL
    assert words in said.summary
    assert said.because == ()


def test_what_explains_a_certificate():
    lost = x509(20, misplaced=("/etc/docker/certs.d/reg/ca.crt",))
    assert trust.certificate.decide(Registries((lost,))).because == ("registry.certs-d",)
    said = trust.certs_d.decide(Registries((lost,)))
    assert said.fix[-1] == "cp /etc/docker/certs.d/reg/ca.crt /etc/docker/certs.d/reg.test/ca.crt"
    late = x509(9, clock_off=-90000.0)
    assert trust.certificate.decide(Registries((late,))).because == ("registry.clock",)
    assert "25 hours behind" in trust.clock.decide(Registries((late,))).summary


def test_a_mirror_that_nobody_needs_is_no_error():
    sick = x509(18, role="mirror")
    for one in (trust.certificate, trust.certs_d, trust.clock, steps.rate_limit):
        assert one.decide(Registries((sick, MIRROR))).status is PASS
    assert steps.plain_http.decide(Registries((MIRROR,)), None).status is PASS


CONFIG = "/etc/docker/daemon.json"


@pytest.mark.parametrize(
    ("config", "words", "command"),
    [
        (None, "does not list it", "install -D"),
        (DaemonJson(CONFIG, exists=False), "does not list it", "install -D"),
        (DaemonJson(CONFIG, True, text='{"a": 1}', settings={"a": 1}), "does not list it", "sed -z"),
        (DaemonJson(CONFIG, True, text="{}", settings={"insecure-registries": []}), "does not list it", "# add"),
        (DaemonJson(CONFIG, True, text="{}", settings={"insecure-registries": ["x:1"]}), "does not list it", "sed -z"),
        (DaemonJson(CONFIG, True, text="{}", settings={"insecure-registries": ["reg.test:81"]}), "'reg.test:81', which is not", "sed -i"),
        (DaemonJson(CONFIG, True, text="{}", settings={"insecure-registries": ["http://reg.test"]}), "has not read it", "systemctl reload"),
        (DaemonJson(CONFIG, True, text="{}", settings={"insecure-registries": ["REG.test"]}), "'REG.test', which is not", "sed -i"),
        (DaemonJson(CONFIG, True, text="{}", settings={"insecure-registries": ["reg.test.x"]}), "does not list it", "sed -z"),
        (DaemonJson(CONFIG, True, text="{}", settings={"insecure-registries": ["reg.test"]}), "has not read it", "systemctl reload"),
    ],
)  # fmt: skip
def test_plain_http(config, words, command):
    said = steps.plain_http.decide(Registries((PLAIN,)), config)
    assert words in said.cause
    assert said.fix[1].startswith(command)
    assert said.fix[-1] == "systemctl reload docker"


def test_rate_limit():
    said = steps.rate_limit.decide(Registries((LIMITED, HUB_DOWN)))
    assert "retry after 60 s" in said.summary
    assert "Docker Hub is used up" in said.cause
    other = registry("named", asked=HTTP(429))
    assert "its own limit" in steps.rate_limit.decide(Registries((MIRROR, other))).cause
    left = registry("hub", "docker.io", asked=HTTP(401), manifest=HTTP(200, ("ratelimit-remaining", "76;w=21600")))
    assert "76" in steps.rate_limit.decide(Registries((left,))).summary


def test_a_web_server_is_no_registry():
    page = registry("named", asked=stopped("tls", "not TLS"), plain=HTTP(404, HTML))
    assert steps.plain_http.decide(Registries((MIRROR, page)), None).status is PASS
    assert steps.plain_http.decide(Registries((MIRROR, replace(PLAIN, role="tagged"))), None).status is PASS


def test_another_registry_of_the_same_host_keeps_its_entry():
    config = DaemonJson(CONFIG, True, text="{}", settings={"insecure-registries": ["reg.test:81"]})
    said = steps.plain_http.decide(Registries((PLAIN, registry("listed", "reg.test:81"))), config)
    assert said.fix[1].startswith("sed -z")


def test_flags_are_not_put_into_the_file():
    config = DaemonJson(CONFIG, True, text="{}", settings={}, flags=("--insecure-registry", "other:1"))
    said = steps.plain_http.decide(Registries((PLAIN,)), config)
    assert said.fix[1:] == (
        "# add --insecure-registry=reg.test to dockerd's flags, beside those there",
        "systemctl restart docker",
    )


V6 = registry("named", asked=stopped("connect", "ENETUNREACH"), addresses=("2001:db8::1",))


@pytest.mark.parametrize(
    ("check", "found", "status", "words"),
    [
        (steps.ipv6, V6, FAIL, "2001:db8::1"),
        (steps.ipv6, replace(V6, addresses=("2001:db8::1", "192.0.2.1")), PASS, ""),
        (steps.ipv6, replace(V6, addresses=()), PASS, ""),
        (steps.token_server, registry("named", asked=HTTP(401, BEARER), token=REFUSED), FAIL, "refuses connections"),
        (steps.token_server, registry("named", asked=HTTP(401, BEARER), token=HTTP(401)), PASS, ""),
        (steps.login, registry("named"), SKIP, ""),
        (steps.login, registry("named", login="accepted"), PASS, ""),
        (steps.login, registry("named", login="refused"), FAIL, "reg.test refuses the login"),
        (steps.layers, registry("named"), SKIP, ""),
        (steps.layers, registry("detour", "cdn.test", asked=HTTP(403, HTML)), PASS, ""),
        (steps.layers, registry("detour", "cdn.test", asked=stopped("connect", "timeout")), FAIL, "cdn.test, which does not answer"),
        (steps.layers, registry("detour", "192.0.2.9:443", asked=stopped("tls", "x509: not for 192.0.2.9")), PASS, ""),
        (steps.layers, registry("detour", "192.0.2.9:80", asked=stopped("connect", "timeout")), FAIL, "192.0.2.9:80, which"),
        (steps.layers, registry("detour", "192.0.2.9:443", named_by=CONNECTING, asked=stopped("connect", "timeout")), FAIL, "dockerd waits for 192"),
        (steps.slow, registry("named"), PASS, ""),
        (steps.slow, registry("named", asked=replace(HTTP(200), seconds=3.0)), FAIL, "3.0 s"),
    ],
)  # fmt: skip
def test_steps(check, found, status, words):
    said = check.decide(Registries((MIRROR, found)))
    assert said.status is status
    assert words in said.summary


CDN = "https://cdn.test/layer"


@pytest.mark.parametrize(
    ("layer", "status", "words"),
    [
        (HTTP(200, url=CDN), PASS, ""),
        (HTTP(200, HTML, url=CDN), FAIL, "layers to cdn.test: a web page"),
        (HTTP(403, HTML, url=CDN), FAIL, "layers to cdn.test: HTTP 403"),
        (stopped("tls", "x509: unknown authority", url=CDN), FAIL, "layers to cdn.test"),
        (stopped("connect", "timeout", url=CDN), FAIL, "layers to cdn.test: does not answer"),
    ],
)
def test_layers_that_were_asked_for(layer, status, words):
    hub = registry("hub", "docker.io", asked=HTTP(200), layer=layer)
    stray = registry("detour", "cdn.test", asked=HTTP(200))
    said = steps.layers.decide(Registries((hub, stray)))
    assert (said.status, words in said.summary) == (status, True)
    whole = checks.hub.decide(Registries((hub,), "somebody"))
    assert (whole.status, whole.because) == ((FAIL, ("registry.layers",)) if status is FAIL else (PASS, None))


def test_what_dockerd_waits_for_is_the_registry_that_is_down():
    waits = registry("detour", "192.0.2.9:443", named_by=CONNECTING, asked=stopped("connect", "timeout"))
    down = registry("named", asked=stopped("connect", "timeout"), addresses=("192.0.2.7",))
    assert steps.layers.decide(Registries((MIRROR, down, waits))).status is SKIP
    # Another address of the same registry, from an older answer, tells nothing either.
    stray = replace(waits, name="192.0.2.7:443", named_by="a pull that failed")
    assert steps.layers.decide(Registries((MIRROR, down, stray))).status is SKIP


def test_what_explains_docker_hub():
    hub = registry("hub", "docker.io", asked=HTTP(401, BEARER), token=REFUSED)
    assert checks.hub.decide(Registries((hub,), "somebody")).because == ("registry.token-server",)
    hub = replace(V6, role="hub", name="docker.io")
    assert checks.hub.decide(Registries((hub,), "somebody")).because == ("registry.ipv6",)


def test_a_key_without_its_certificate():
    lone = registry("named", flaws=("/c/client.cert has no client.key beside it",))
    said = trust.certs_d.decide(Registries((lone,)))
    assert said.status is FAIL
    assert said.fix[-1] == "mv /c/client.cert /c/client.crt"

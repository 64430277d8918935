"""The matrix: facts in, cells out; what was not measured is never guessed."""

import pytest

from dockerdoctor.facts.builds import Builder, BuildResolver
from dockerdoctor.facts.daemon_json import DaemonJson
from dockerdoctor.facts.dns import HostDns, HostResolver, ResolvConf
from dockerdoctor.facts.endpoint import ChosenEndpoint, Settings
from dockerdoctor.facts.inside import BRIDGE, HOST, NO_INTERFACE, USER, Exchange, Inside, Lookup, Ping, Published, View
from dockerdoctor.facts.preferences import Preferences, Target
from dockerdoctor.facts.registry import Registries, Registry
from dockerdoctor.facts.targets import AskedImage, AskedImages, NamedTargets, WebTargets
from dockerdoctor.facts.wanted import Wanted
from dockerdoctor.host import DnsAnswer
from dockerdoctor.matrix import matrix_of
from dockerdoctor.measure import Missing
from dockerdoctor.model import Mark
from dockerdoctor.web import HUB, Attempt

SERVER, GATEWAY, MIRROR = "10.0.0.53", "10.0.0.1", "http://10.0.0.9:5000"
SIGNS = {Mark.OK: "+", Mark.FAIL: "x", Mark.UNKNOWN: "?", Mark.NONE: "-"}


def said(outcome="NOERROR", server=SERVER):
    return DnsAnswer(server, "udp", HUB, outcome, seconds=0.01)


def view(place, *, dns="NOERROR", name="ok", tcp="ok", ping="ok", servers=(SERVER,), **more):
    return View(
        place,
        nameservers=servers,
        dns=(said(dns), said(server="10.0.0.54")),
        lookups=(Lookup(HUB, name, (), 0.02),) if name else (),
        exchanges=(Exchange("10.0.0.9:5000", tcp, "", 0.003),),
        pings=(Ping(GATEWAY, 56, ping, 1500, 0.0002),),
        **more,
    )


WELL = {HOST: view(HOST), BRIDGE: view(BRIDGE), USER: view(USER, servers=("127.0.0.11",))}
RESOLVER = HostResolver(ResolvConf("/etc/resolv.conf", True, nameservers=(SERVER,)), ResolvConf("/run/x", exists=False))
SERVES = Registry(
    MIRROR, "mirror", "GET /info", Attempt(f"{MIRROR}/v2/", layer="http", outcome="ok", status=200, seconds=0.1)
)


def rows(places=WELL, published=(), **more):
    facts = {
        Inside: Inside(places[HOST], places[BRIDGE], places[USER], published),
        HostResolver: RESOLVER,
        HostDns: HostDns((said(),)),
        Registries: Registries((SERVES,)),
        Wanted: Wanted(exchanges=(("10.0.0.9", 5000, "", 0.0),)),
        BuildResolver: BuildResolver(),
        Builder: Builder(),
    } | {type(fact): fact for fact in more.values()}
    return matrix_of(facts)


def signs(matrix):
    return {row.target: "".join(SIGNS[cell.mark] for cell in row.cells) for row in matrix.rows}


def cell(matrix, target, place):
    row = next(row for row in matrix.rows if row.target == target)
    return row.cells[matrix.places.index(place)]


def test_all_is_well():
    assert signs(rows()) == {
        "name resolution": "+-+++",
        f"nameserver {SERVER}": "+-+++",
        f"gateway {GATEWAY}": "+-+++",
        "mirror 10.0.0.9:5000": "+++++",
    }
    assert cell(rows(), "mirror 10.0.0.9:5000", "daemon").seconds == 0.1
    assert cell(rows(), f"gateway {GATEWAY}", "default bridge").seconds == 0.0002


@pytest.mark.parametrize(
    ("changed", "target", "place", "mark", "words"),
    [
        (view(BRIDGE, dns="timeout"), f"nameserver {SERVER}", BRIDGE, Mark.FAIL, "no answer"),
        (view(BRIDGE, dns="REFUSED"), f"nameserver {SERVER}", "build", Mark.FAIL, "REFUSED"),
        (view(BRIDGE, name="EAI_AGAIN"), "name resolution", BRIDGE, Mark.FAIL, "no answer"),
        (view(BRIDGE, name="EAI_NONAME"), "name resolution", BRIDGE, Mark.OK, "no name"),
        (view(BRIDGE, name=""), "name resolution", BRIDGE, Mark.FAIL, "no answer"),
        (view(BRIDGE, tcp="ECONNREFUSED"), "mirror 10.0.0.9:5000", BRIDGE, Mark.FAIL, "refused"),
        (view(BRIDGE, tcp="closed"), "mirror 10.0.0.9:5000", "build", Mark.OK, "connected"),
        (view(BRIDGE, ping="timeout"), f"gateway {GATEWAY}", BRIDGE, Mark.FAIL, "no answer"),
        (
            view(BRIDGE, ping="unable: EPERM"),
            f"gateway {GATEWAY}",
            BRIDGE,
            Mark.UNKNOWN,
            "pings are not for this user to send",
        ),
        (View(BRIDGE, error="no such interface"), "mirror 10.0.0.9:5000", BRIDGE, Mark.UNKNOWN, "no such interface"),
        (View(BRIDGE, error="no such interface"), "mirror 10.0.0.9:5000", "build", Mark.UNKNOWN, "no such interface"),
    ],
)
def test_the_default_bridge(changed, target, place, mark, words):
    found = cell(rows(WELL | {BRIDGE: changed}), target, place)
    assert (found.mark, found.said) == (mark, words)


def test_a_gateway_that_answers_nobody_is_not_held_against_containers():
    silent = {place: view(place, ping="timeout") for place in (HOST, BRIDGE, USER)}
    assert f"gateway {GATEWAY}" not in signs(rows(silent))


def test_builds_ask_servers_of_their_own():
    matrix = rows(build=BuildResolver("/var/lib/docker/x", ("10.0.0.54",), kept=True))
    assert signs(matrix)[f"nameserver {SERVER}"] == "+-++-"
    assert signs(matrix)["nameserver 10.0.0.54"] == "+---+"
    assert "with nameserver 10.0.0.54" in matrix.build


def test_builds_on_another_machine_are_not_guessed_at():
    matrix = rows(builder=Builder("far", "kubernetes"))
    assert {line[-1] for line in signs(matrix).values()} == {"?"}
    assert "works elsewhere" in matrix.build


def test_a_registry_behind_a_proxy_is_the_daemons_alone():
    asked = Attempt("https://registry-1.docker.io/v2/", "http://10.0.0.3:3128", "proxy", "answers HTTP 403", 403)
    matrix = rows(registries=Registries((Registry("docker.io", "hub", "", asked),)), wanted=Wanted())
    assert signs(matrix)["registry docker.io"] == "-x---"
    direct = {
        p: view(p, targets=(Exchange("registry-1.docker.io:443", "timeout", "", 1.5),)) for p in (HOST, BRIDGE, USER)
    }
    matrix = rows(direct, registries=Registries((Registry("docker.io", "hub", "", asked),)), wanted=Wanted())
    assert signs(matrix)["registry docker.io"] == "-x---"


def test_where_a_proxy_resolves_names_no_nameserver_is_missed():
    asked = Attempt("https://registry-1.docker.io/v2/", "http://10.0.0.3:3128", "http", "ok", 200)
    silent = {p: view(p, dns="timeout", name="EAI_AGAIN") for p in (HOST, BRIDGE, USER)}
    nobody = HostDns((said("timeout"),))
    found = signs(rows(silent, registries=Registries((Registry("docker.io", "hub", "", asked),)), dns=nobody))
    assert "name resolution" not in found
    assert found["registry docker.io"] == "-+---"
    assert signs(rows(silent, dns=nobody))["name resolution"] == "x-xxx"


def test_what_was_wanted_and_did_not_end_in_time_failed():
    matrix = rows(wanted=Wanted(targets=(("db.test", 5432, ""),)))
    assert signs(matrix)["registry db.test:5432"] == "x-xxx"


def test_a_published_port():
    dialled = (Published("host", "127.0.0.1:4", "ok", 0.001), Published("host", "10.0.0.5:4", "timeout"))
    assert signs(rows(published=dialled))["a published port"] == "x----"
    assert (
        signs(rows(published=(*dialled[:1], Published("user network", "10.0.0.5:4", "ok"))))["a published port"]
        == "+--+-"
    )


def test_without_containers_the_rest_is_still_shown():
    matrix = matrix_of(
        {
            Inside: Missing("the engine is busy"),
            Registries: Registries((SERVES,)),
            HostResolver: RESOLVER,
            HostDns: HostDns((said(),)),
        }
    )
    assert signs(matrix) == {
        f"nameserver {SERVER}": "+-???",
        "mirror 10.0.0.9:5000": "?+???",
    }
    assert cell(matrix, "mirror 10.0.0.9:5000", "build").said == "the engine is busy"


def test_nothing_measured_is_no_matrix():
    assert matrix_of({}).rows == ()
    assert matrix_of({Inside: Missing("x"), Registries: Missing("y")}).rows == ()


HTTPS = Target("https", "api.test", 443)


def wanting(*targets):
    return {
        "settings": Settings(preferences=Preferences(targets=targets)),
        "wanted": Wanted(targets=tuple(t.question for t in targets)),
    }


def test_targets_of_ones_own():
    cache = Target("redis", "cache", 6379)
    own = View("app", targets=(Exchange("cache:6379", "ok", "+PONG", 0.001),))
    matrix = rows(named=NamedTargets((("cache", "app"),), (own,)), **wanting(cache, Target("tcp", "127.0.0.1", 8080)))
    assert signs(matrix)["redis cache:6379 (on app)"] == "---+-"
    assert signs(matrix)["tcp 127.0.0.1:8080"] == "x----"


def test_a_default_bridge_that_is_none_is_no_failure():
    matrix = rows(
        WELL | {BRIDGE: View(BRIDGE, error=NO_INTERFACE)}, (Published("user network", "10.0.0.5:4", "closed"),)
    )
    assert signs(matrix)["mirror 10.0.0.9:5000"] == "++-+-"
    assert "a published port" not in signs(matrix)


def test_rules_by_hand_need_not_cover_a_network_that_was_made_to_ask_from():
    lost = WELL | {USER: view(USER, dns="timeout", tcp="timeout")}
    config = DaemonJson("/etc/docker/daemon.json", exists=True, settings={"iptables": False})
    assert signs(rows(lost))["mirror 10.0.0.9:5000"] == "+++x+"
    assert signs(rows(lost, config=config))["mirror 10.0.0.9:5000"] == "+++-+"


def test_a_target_that_is_not_trusted():
    places = {p: view(p, targets=(Exchange("api.test:443", "ok", "", 0.001),)) for p in (HOST, BRIDGE, USER)}
    refused = WebTargets((("api.test:443", Attempt("https://api.test:443/", layer="tls", outcome="x509: expired")),))
    assert signs(rows(places, web=refused, **wanting(HTTPS)))["https api.test:443"] == "x-+++"


@pytest.mark.parametrize(
    ("present", "pullable", "sign"),
    [(True, False, "+"), (False, True, "+"), (False, False, "x"), (False, None, "?"), (True, None, "+")],
)
def test_images(present, pullable, sign):
    matrix = rows(images=AskedImages((AskedImage("app:1", present, pullable),)))
    assert signs(matrix)["image app:1"] == f"-{sign}---"


def test_of_an_engine_elsewhere_this_host_is_no_place():
    matrix = rows(chosen=ChosenEndpoint("tcp://far:2375", "--host"))
    assert {line[0] for line in signs(matrix).values()} <= {"?", "-"}

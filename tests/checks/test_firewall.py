"""Rules that keep containers in, one row a verdict."""

import json
from dataclasses import replace

import pytest

from dockerdoctor.checks import chains, firewall, host_firewall, neighbours, publishing
from dockerdoctor.facts.containers import Attachment, Container, Containers, Networks, PortBinding
from dockerdoctor.facts.firewall import Firewall
from dockerdoctor.facts.inside import Published
from dockerdoctor.facts.listeners import InContainer, Listener, Listeners
from dockerdoctor.facts.routes import Routes
from tests.checks.test_network import (
    DEFAULT,
    FAIL,
    LOST,
    NETWORKS,
    OLD,
    PASS,
    ROUTES,
    SHOP,
    SKIP,
    UNKNOWN,
    WELL,
    config,
    info,
    inside,
    kernel,
    managers,
    rules,
)


def nft(chain, *exprs, sets=(), **more):
    """One chain of one table, with its rules, as nft prints them."""
    table = {"family": more.get("family", "inet"), "table": "fw"}
    held = [{"set": {**table, "name": name, "type": "ipv4_addr", "elem": elem}} for name, elem in sets]
    given = {**table, "name": "onward", "type": "filter", "prio": 0, "policy": "accept", **chain}
    listed = [{"rule": {**table, "chain": "onward", "handle": n, "expr": e}} for n, e in enumerate(exprs, 2)]
    return json.dumps({"nftables": [{"chain": given}, *held, *listed]})


def match(protocol, field, right):
    return {"match": {"op": "==", "left": {"payload": {"protocol": protocol, "field": field}}, "right": right}}


DROP = {"drop": None}
FROM_DOCKER0 = {"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": "docker0"}}
PREFIX = {"prefix": {"addr": "172.17.0.0", "len": 16}}
CASES = {
    "named-set": (nft({"hook": "forward"}, [match("ip", "saddr", "@s"), DROP], sets=(("s", [PREFIX]),)), FAIL),
    "other-set": (nft({"hook": "forward"}, [match("ip", "saddr", "@s"), DROP], sets=(("s", ["192.0.2.1"]),)), PASS),
    "timed-set": (
        nft({"hook": "forward"}, [match("ip", "saddr", "@s"), DROP], sets=(("s", [{"elem": {"val": PREFIX}}]),)),
        FAIL,
    ),
    "netdev": (nft({"hook": "ingress", "dev": "docker0"}, [DROP], family="netdev"), FAIL),
    "netdev-untold": (nft({"hook": "ingress"}, [DROP], family="netdev"), FAIL),  # nft 1.0.6 names no device
    "netdev-elsewhere": (nft({"hook": "ingress", "dev": "eth9"}, [DROP], family="netdev"), PASS),
    "bridge": (nft({"hook": "input"}, [DROP], family="bridge"), FAIL),
    "bridge-answers": (nft({"hook": "postrouting", "policy": "drop"}, family="bridge"), FAIL),
    "bridge-neighbours": (nft({"hook": "forward", "policy": "drop"}, family="bridge"), PASS),
}


@pytest.mark.parametrize("case", CASES)
def test_nft_drop(case):
    listed, status = CASES[case]
    for seen, expected in ((LOST, status), (WELL, PASS)):
        found = firewall.nft_drop.decide(rules(nft=listed), NETWORKS, ROUTES, seen, None, None, None)
        assert found.status is expected


NOTRACK = "*raw\n:PREROUTING ACCEPT [0:0]\n[0:0] -A PREROUTING {} -j CT --notrack\n"


@pytest.mark.parametrize(
    ("ruleset", "seen", "status"),
    [
        (rules(OLD + NOTRACK.format("-i docker0")), LOST, FAIL),
        (rules(OLD + NOTRACK.format("-i docker0")), WELL, PASS),
        (rules(OLD + NOTRACK.format("-i eth0")), LOST, FAIL),  # the answers
        (rules(OLD + NOTRACK.format("-i eth9")), LOST, PASS),
        (rules(OLD + NOTRACK.format("-i docker0").replace("--notrack", "--zone 7")), LOST, FAIL),  # tracked apart
        (rules(nft=nft({"hook": "prerouting", "prio": -300}, [FROM_DOCKER0, {"notrack": None}])), LOST, FAIL),
        (rules(nft=nft({"hook": "prerouting", "prio": -100}, [FROM_DOCKER0, {"notrack": None}])), LOST, PASS),
    ],
)
def test_untracked(ruleset, seen, status):
    assert firewall.connections_untracked.decide(ruleset, NETWORKS, ROUTES, seen, None).status is status


def running(name="app", network="shop", ip="172.18.0.2", **more):
    return Container(name * 8, name, name, "running", "Up", networks=(Attachment(network, "x", ip),), **more)


CLOSED_SHOP = OLD.replace("-A DOCKER-USER -j RETURN", "-A DOCKER-USER -i br-shop -j DROP")


@pytest.mark.parametrize(
    ("ruleset", "containers", "status"),
    [
        (rules(CLOSED_SHOP), (running(),), FAIL),
        (rules(CLOSED_SHOP), (), PASS),  # nobody is on it
        (rules(CLOSED_SHOP.replace("br-shop", "br-shop -p udp")), (running(),), PASS),
        (rules(CLOSED_SHOP.replace("br-shop", "br-shop -d 10.0.0.0/8")), (running(),), PASS),
        # It has another way out.
        (
            rules(CLOSED_SHOP),
            (replace(running(), networks=(*running().networks, *running(network="bridge").networks)),),
            PASS,
        ),
    ],
)
def test_a_network_that_nobody_asked_from(ruleset, containers, status):
    found = firewall.docker_user.decide(ruleset, NETWORKS, ROUTES, WELL, None, None, Containers(containers))
    assert found.status is status


RAW = OLD + "*raw\n:PREROUTING ACCEPT [0:0]\n[0:0] -A PREROUTING {} -j DROP\n"


@pytest.mark.parametrize(
    ("rule", "status"),
    [
        ("-d 172.18.0.2/32 ! -i br-shop", PASS),  # Engine 28's own: nobody comes past the published ports
        ("-s 172.18.0.0/16 -i br-shop", FAIL),
    ],
)
def test_who_wrote_a_rule_in_raw(rule, status):
    found = firewall.forward_drop.decide(
        rules(RAW.format(rule)), NETWORKS, ROUTES, None, WELL, None, None, Containers((running(),)), None
    )
    assert found.status is status


WEB = running("web", "bridge", "172.17.0.2", ports=(PortBinding(80, "tcp", "0.0.0.0", 8080),))
LED = "[0:0] -A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80\n"
LET_IN = "[0:0] -A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT\n"
ALL = OLD.replace("*filter\n", f"*nat\n:DOCKER - [0:0]\n{LED}*filter\n:DOCKER - [0:0]\n{LET_IN}")


def listeners(*host, age=60.0, of=WEB):
    return Listeners(host, (), (), (InContainer(of.id, age, ()),), all_named=True, now=0.0)


@pytest.mark.parametrize(
    ("text", "age", "status"),
    [
        (ALL, 60.0, PASS),
        (ALL.replace(LED, ""), 60.0, FAIL),
        (ALL.replace(LET_IN, ""), 60.0, FAIL),
        (ALL.replace(LED, ""), 1.0, PASS),  # its rules may be younger than the list
    ],
)
def test_rules_of_published_ports(text, age, status):
    found = chains.docker_chains.decide(
        rules(text), Networks((DEFAULT,)), info(), managers(), None, Containers((WEB,)), listeners(age=age)
    )
    assert found.status is status
    if status is FAIL:
        assert found.fix[0] == "docker restart web"


def test_rules_that_cannot_be_listed_are_not_missing():
    blind = Firewall((), iptables=True, nft=False)
    settings = config(firewall_backend="nftables")
    found = chains.docker_chains.decide(blind, NETWORKS, info(), managers(), settings, None, None)
    assert found.status is UNKNOWN


SNAT = "[0:0] -A POSTROUTING -s 172.17.0.0/16 -o eth0 -j SNAT --to-source {}\n"
FIRST = "[0:0] -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE\n"


@pytest.mark.parametrize(
    ("before", "seen", "status"),
    [
        ("[0:0] -A POSTROUTING -o eth0 -j ACCEPT\n", LOST, FAIL),
        ("[0:0] -A POSTROUTING -o eth0 -j ACCEPT\n", WELL, PASS),
        ("[0:0] -A POSTROUTING -o eth0 -j RETURN\n", LOST, FAIL),
        ("[0:0] -A POSTROUTING -o eth9 -j ACCEPT\n", LOST, PASS),
        (SNAT.format("192.0.2.7"), LOST, FAIL),
        (SNAT.format("192.0.2.7"), WELL, PASS),
        (SNAT.format("10.0.0.5"), LOST, PASS),
    ],
)
def test_what_comes_before_masquerade(before, seen, status):
    ruleset = rules(OLD.replace(FIRST, before + FIRST))
    found = chains.masquerade.decide(ruleset, Networks((DEFAULT,)), ROUTES, info(), None, seen, None)
    assert found.status is status
    if status is FAIL:
        assert any(before.split("-j ")[1].strip() in e.saw for e in found.evidence)


DEAD = inside(published=(Published("host", "127.0.0.1:4", "closed"), Published("host", "10.0.0.5:4", "timeout")))


@pytest.mark.parametrize(
    ("rule", "seen", "status"),
    [
        ("-o docker0 -j DROP", DEAD, FAIL),
        ("-o docker0 -j DROP", WELL, PASS),
        ("-o eth0 -j DROP", DEAD, PASS),
    ],
)
def test_output_drop(rule, seen, status):
    ruleset = rules(OLD.replace("[0:0] -A FORWARD", f"[0:0] -A OUTPUT {rule}\n[0:0] -A FORWARD", 1))
    found = host_firewall.output_drop.decide(ruleset, NETWORKS, seen, None)
    assert found.status is status


def caller(value, *extra_hosts, name="API_URL"):
    return replace(running(), env=((name, value),), extra_hosts=extra_hosts)


GIVEN = "host.docker.internal:host-gateway"


@pytest.mark.parametrize(
    ("one", "where", "status"),
    [
        (caller("http://host.docker.internal:3000/x", GIVEN), "127.0.0.1", FAIL),
        (caller("http://host.docker.internal:3000/x", GIVEN), "0.0.0.0", PASS),
        (caller("postgres://u:***@172.17.0.1:3000/db"), "127.0.0.1", FAIL),
        (caller("http://192.0.2.1:3000"), "127.0.0.1", PASS),
        (caller("http://h:3000", "h:host-gateway"), "127.0.0.1", FAIL),
        (caller("http://h:3000", "h:192.0.2.7"), "127.0.0.1", PASS),
    ],
)
def test_host_service_loopback(one, where, status):
    found = host_firewall.host_service_loopback.decide(
        Containers((one,)), NETWORKS, listeners(Listener("tcp", where, 3000), of=one)
    )
    assert found.status is status


SHUT = OLD.replace("*filter\n:INPUT ACCEPT", "*filter\n:INPUT DROP")


@pytest.mark.parametrize(
    ("one", "ruleset", "status"),
    [
        (caller("http://host.docker.internal:3000/x", GIVEN), rules(), PASS),
        (caller("http://host.docker.internal:3000/x", GIVEN), rules(SHUT), FAIL),
        (caller("http://192.0.2.1:3000"), rules(SHUT), SKIP),
        (
            caller("host.docker.internal", GIVEN, name="DB_HOST"),
            rules(
                SHUT.replace(
                    "[0:0] -A FORWARD", "[0:0] -A INPUT -i br-+ -p tcp --dport 5432 -j ACCEPT\n[0:0] -A FORWARD", 1
                )
            ),
            PASS,  # its port is not known
        ),
    ],
)
def test_host_firewall(one, ruleset, status):
    assert host_firewall.host_firewall.decide(ruleset, Containers((one,)), NETWORKS).status is status


@pytest.mark.parametrize(
    ("one", "status"),
    [
        (caller("http://host.docker.internal:3000/x", GIVEN), PASS),
        (caller("http://host.docker.internal:3000/x"), FAIL),
        (caller("not-host.docker.internal"), PASS),
        (caller("http://172.17.0.1:3000"), PASS),
    ],
)
def test_host_name(one, status):
    assert host_firewall.host_name.decide(Containers((one,)), NETWORKS).status is status


def test_frames_between_neighbours():
    ruleset = rules(nft=nft({"hook": "forward", "policy": "drop"}, family="bridge"))
    found = neighbours.bridge_filter.decide(ruleset, Networks((DEFAULT, SHOP)), kernel(), None)
    assert found.status is FAIL
    assert found.fix[0] == "nft chain bridge fw onward '{ policy accept ; }'"


def test_no_uplink_blames_nobody():
    nowhere = Routes((), ROUTES.interfaces)
    assert (
        firewall.blocked_ways(rules(CLOSED_SHOP), NETWORKS, nowhere, LOST, None, None, Containers((running(),))) == ()
    )


DEAD_LO = inside(published=(Published("host", "127.0.0.1:4", "timeout"), Published("host", "10.0.0.5:4", "ok")))
INPUT = "*mangle\n:INPUT ACCEPT [0:0]\n[0:0] -A INPUT {}\n"


@pytest.mark.parametrize(
    ("ruleset", "seen", "status"),
    [
        (rules(OLD + INPUT.format("-i lo -j DROP")), DEAD_LO, FAIL),
        (rules(OLD + INPUT.format("-i lo -j DROP")), WELL, PASS),
        (rules(OLD + INPUT.format("! -i lo -j DROP")), DEAD_LO, PASS),
        (rules(OLD + INPUT.format("-i lo -p udp -j DROP")), DEAD_LO, PASS),
        (rules(nft=nft({"hook": "input", "policy": "drop"})), DEAD_LO, FAIL),
    ],
)
def test_loopback_drop(ruleset, seen, status):
    found = host_firewall.loopback_drop.decide(ruleset, NETWORKS, seen, None)
    assert found.status is status
    assert status is PASS or " lo -j ACCEPT" in found.fix[0] or '"lo" accept' in found.fix[0]


LED_FIRST = OLD.replace(
    "*filter\n",
    "*nat\n:PREROUTING ACCEPT [0:0]\n:DOCKER - [0:0]\n{}[0:0] -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER\n{}"
    + LED
    + "*filter\n",
)


@pytest.mark.parametrize(
    ("before", "within", "status"),
    [
        ("", "", PASS),
        ("-A PREROUTING -p tcp --dport 8080 -j REDIRECT --to-ports 9999", "", FAIL),  # nobody listens there
        ("-A PREROUTING -p tcp --dport 8080 -j REDIRECT --to-ports 9000", "", PASS),
        ("-A PREROUTING -i eth9 -p tcp --dport 8080 -j REDIRECT --to-ports 9999", "", PASS),
        ("-A PREROUTING -p tcp --dport 8080 -m time --timestart 1 -j REDIRECT --to-ports 9999", "", PASS),  # perhaps
        ("-A PREROUTING -p tcp --dport 8080 -j DNAT --to-destination 198.51.100.7:80", "", PASS),  # who knows
        ("-A PREROUTING -p tcp --dport 8080 -j ACCEPT", "", PASS),  # docker-proxy takes it
        ("", "-A DOCKER -p tcp --dport 8080 -j DNAT --to-destination 172.17.0.9:80", FAIL),  # of a container that is gone
        ("", "-A DOCKER -p tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:81", PASS),
        ("", "-A DOCKER -p tcp --dport 8080 -j DNAT --to-destination 172.17.0.1:80", PASS),  # the host
    ],
)  # fmt: skip
def test_led_elsewhere(before, within, status):
    text = LED_FIRST.format(*(f"[0:0] {r}\n" if r else "" for r in (before, within)))
    found = publishing.led_elsewhere.decide(
        Containers((WEB,)), NETWORKS, listeners(Listener("tcp", "0.0.0.0", 9000)), rules(text), ROUTES
    )
    assert found.status is status
    assert status is PASS or found.fix[0].startswith("iptables -t nat -D ")

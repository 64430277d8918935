"""What happens to packets of containers on their way, one row a verdict."""

from dataclasses import replace

import pytest

from dockerdoctor.checks import transit
from dockerdoctor.facts.ways import Policy, Ways, read_policies
from tests.checks.test_firewall import FROM_DOCKER0, nft
from tests.checks.test_network import FAIL, LOST, NETWORKS, OLD, PASS, ROUTES, WELL, rules

TTL = "*mangle\n:PREROUTING ACCEPT [0:0]\n[0:0] -A PREROUTING {}\n"
SET = {"mangle": {"key": {"payload": {"protocol": "ip", "field": "ttl"}}, "value": 1}}


@pytest.mark.parametrize(
    ("ruleset", "seen", "status"),
    [
        (rules(OLD + TTL.format("-i docker0 -j TTL --ttl-set 1")), LOST, FAIL),
        (rules(OLD + TTL.format("-i docker0 -j TTL --ttl-set 1")), WELL, PASS),
        (rules(OLD + TTL.format("-j TTL --ttl-dec 64")), LOST, FAIL),
        (rules(OLD + TTL.format("-j TTL --ttl-set 65")), LOST, PASS),  # against tethering
        (rules(OLD + TTL.format("-j TTL --ttl-set 10")), LOST, PASS),
        (rules(OLD + TTL.format("-i eth9 -j TTL --ttl-set 1")), LOST, PASS),
        (rules(nft=nft({"hook": "prerouting", "prio": -150}, [FROM_DOCKER0, SET])), LOST, FAIL),
        (
            rules(nft=nft({"hook": "forward"}, [FROM_DOCKER0, {**SET, "mangle": {**SET["mangle"], "value": 64}}])),
            LOST,
            PASS,
        ),
    ],
)
def test_time_to_live(ruleset, seen, status):
    found = transit.time_to_live.decide(ruleset, NETWORKS, ROUTES, seen, None)
    assert found.status is status
    assert status is PASS or found.fix[0].startswith(("iptables -t mangle -D PREROUTING -", "nft delete rule"))


BLOCK = Policy("172.17.0.0/16", "0.0.0.0/0", "fwd", "block")


@pytest.mark.parametrize(
    ("ways", "seen", "status"),
    [
        (Ways(policies=(BLOCK,)), LOST, FAIL),
        (Ways(policies=(BLOCK,)), WELL, PASS),
        (Ways(), LOST, PASS),
    ],
)
def test_ipsec(ways, seen, status):
    assert transit.ipsec.decide(ways, NETWORKS, ROUTES, seen, None).status is status


SHOWN = """\
src 172.17.0.0/16 dst 0.0.0.0/0 
\tdir fwd action block priority 0 ptype main 
src 172.16.0.0/12 dst 10.0.0.0/8 
\tdir out priority 375423 ptype main 
\ttmpl src 10.0.0.5 dst 203.0.113.7
\t\tproto esp spi 0xc0ffee00 reqid 1 mode tunnel
src 0.0.0.0/0 dst 0.0.0.0/0 
\tsocket in priority 0 ptype main 
src 172.17.0.0/16 dst 10.0.0.0/8 
\tdir out priority 100 ptype main 
"""  # noqa: W291 - as ip(8) prints it


def test_policies():
    block, tunnel, passing = read_policies(SHOWN)
    assert block == BLOCK
    assert tunnel == Policy("172.16.0.0/12", "10.0.0.0/8", "out", "allow", "esp")
    assert block.catches("172.17.0.2", "10.0.0.254")
    assert not block.catches("172.18.0.2", "10.0.0.254")
    assert not replace(tunnel, tunnel="").catches("172.17.0.2", "10.0.0.254")
    assert not passing.catches("172.17.0.2", "10.0.0.254")  # what strongSwan calls a connection of type pass

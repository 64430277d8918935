"""Routing of containers' packets, one row a verdict."""

import pytest

from dockerdoctor.checks import ways
from dockerdoctor.facts.forwarding import strict_paths
from dockerdoctor.facts.ways import Hop, Way, Ways, read_rules
from tests.checks.test_network import FAIL, GATEWAY, LOST, NETWORKS, PASS, ROUTES, WELL, kernel, rules

SUBNET = "172.17.0.0/16"
HOST = Hop("ip route get 10.0.0.254", "eth0")
AS_HOST = Hop("out", "eth0")
BY_VPN = Hop("out", "vpn0", "10.8.0.1")
HOME, ASTRAY = Hop("back", "docker0"), Hop("back", "vpn0")
CROSSED, UNTOLD = Hop("back", error="Invalid cross-device link"), Hop("back", error="Invalid argument")
NOWHERE = Hop("out", error="Network is unreachable")
RULES = ("100: from 172.16.0.0/12 lookup 100",)
MARKING = "*mangle\n:PREROUTING ACCEPT [0:0]\n[9:9] -A PREROUTING -i docker0 -j MARK --set-xmark 0x10/0xffffffff\n"


def way(out, back=HOME, mark=""):
    return Way(GATEWAY, "docker0", mark, HOST, out, back)


@pytest.mark.parametrize(
    ("way", "refused", "inside", "strict", "text", "rp_filter", "policy"),
    [
        (way(AS_HOST), 0, LOST, (), "", PASS, PASS),
        (way(BY_VPN, CROSSED), 4, LOST, ("vpn0",), "", FAIL, FAIL),  # which of the two explains: upstream
        (way(BY_VPN, UNTOLD), 4, LOST, ("vpn0",), "", FAIL, FAIL),  # as Linux 6.18 says it
        (way(BY_VPN, UNTOLD), 4, LOST, (), "", PASS, FAIL),
        (way(BY_VPN, CROSSED), 0, LOST, ("vpn0",), "", PASS, FAIL),  # nothing was refused
        (way(BY_VPN, CROSSED), 4, WELL, ("vpn0",), "", PASS, PASS),  # what was measured has the last word
        (way(BY_VPN, CROSSED, "0x10"), 4, LOST, ("vpn0",), "", PASS, PASS),  # nobody sets this mark
        (way(BY_VPN, CROSSED, "0x10"), 4, LOST, ("vpn0",), MARKING, FAIL, FAIL),
        (way(CROSSED, None), 4, LOST, ("docker0",), "", FAIL, FAIL),
        (way(NOWHERE, None), 0, LOST, (), "", PASS, FAIL),
        (way(AS_HOST, ASTRAY), 0, LOST, (), "", PASS, FAIL),
        (way(BY_VPN), 0, LOST, (), "", PASS, FAIL),  # a tunnel that is dead
        (way(BY_VPN), 0, WELL, (), "", PASS, PASS),  # and one that is not
    ],
)
def test_ways(way, refused, inside, strict, text, rp_filter, policy):
    facts = Ways((way,), refused, RULES)
    firewall = rules(text + rules.__defaults__[0]) if text else rules()
    found = ways.rp_filter.decide(facts, kernel(strict=strict), NETWORKS, ROUTES, firewall, inside, None)
    assert found.status is rp_filter
    if rp_filter is FAIL:
        assert found.fix[0] == f"sysctl -w net.ipv4.conf.{strict[0]}.rp_filter=2"
    found = ways.policy_routing.decide(facts, NETWORKS, ROUTES, firewall, inside, None)
    assert found.status is policy
    if policy is FAIL:
        assert found.fix[0] == f"ip rule add from {SUBNET} lookup main priority 98"


def test_every_hosts_rules_are_left_out():
    listed = """\
0:\tfrom all lookup local
219:\tfrom all fwmark 0x10/0xff lookup 100
220:\tfrom all lookup 220
221:\tnot from all fwmark 0xca6c lookup 51820
32766:\tfrom all lookup main
32767:\tfrom all lookup default
"""
    own, marks = read_rules(listed)
    assert [r.split(":")[0] for r in own] == ["219", "220", "221"]
    assert marks == ("0x10",)


def test_the_greater_of_two_settings_counts():
    assert strict_paths({"all": "1", "eth0": "0", "vpn0": "2", "lo": "0"}) == ("eth0",)
    assert strict_paths({"all": "0", "eth0": "1", "vpn0": "0"}) == ("eth0",)

"""One row a verdict: rules that lead questions elsewhere, and rules that are beyond reading."""

import json

import pytest

from dockerdoctor.checks import dns, dns_paths, dns_redirect
from dockerdoctor.facts.firewall import Firewall, _in_network
from dockerdoctor.facts.ruleset import Chain, iptables_rule, nft_chains
from tests.checks.test_dns import (
    FAIL,
    NETWORKS,
    OWN,
    PASS,
    ROUTES,
    SKIP,
    UP,
    config,
    decide,
    host,
    inside,
    resolver,
    said,
)


def nat(*rules, name="PREROUTING"):
    base = Chain("iptables", "ip", "nat", "PREROUTING", "prerouting", -100, "ACCEPT")
    chain = Chain("iptables", "ip", "nat", name, *(("prerouting", -100, "ACCEPT") if name == "PREROUTING" else ()))
    chain = chain.__class__(**{f: getattr(chain, f) for f in chain.__dataclass_fields__} | {"rules": rules})
    return Firewall((chain,) if name == "PREROUTING" else (base, chain))


TURNED = iptables_rule("-i docker0 -p udp -m udp --dport 53 -j REDIRECT --to-ports 5353", 0)
REFUSED = inside(said(UP, "ECONNREFUSED", "NOERROR"))


@pytest.mark.parametrize(
    ("rule", "views", "hosts", "status"),
    [
        (TURNED, REFUSED, host(said(UP)), FAIL),
        # It answers, or nobody's question meets it, or the server is dead for all.
        (TURNED, inside(said(UP)), host(said(UP)), PASS),
        (iptables_rule("-i eth0 -p udp --dport 53 -j REDIRECT --to-ports 5353", 0), REFUSED, host(said(UP)), SKIP),
        (iptables_rule("-i docker0 -p udp --dport 5353 -j REDIRECT --to-ports 53", 0), REFUSED, host(said(UP)), SKIP),
        (TURNED, REFUSED, host(said(UP, "timeout", "timeout")), PASS),
    ],
)
def test_redirected(rule, views, hosts, status):
    finding = decide(dns_redirect.redirected, views, hosts, ROUTES, nat(rule), NETWORKS, resolver(UP), config())
    assert finding.status is status
    if status is FAIL:
        assert (
            "iptables -t nat -D PREROUTING -i docker0 -p udp -m udp --dport 53 -j REDIRECT --to-ports 5353"
            in finding.fix
        )


def test_a_published_port_is_dockers_own_rule():
    rules = nat(
        iptables_rule("! -i docker0 -p udp --dport 53 -j DNAT --to-destination 172.17.0.9:53", 0), name="DOCKER"
    )
    views = inside(said(OWN, "timeout", "timeout"), servers=(OWN,))
    assert (
        decide(dns_redirect.redirected, views, host(said(OWN)), ROUTES, rules, NETWORKS, None, config(OWN)).status
        is SKIP
    )


def ruleset(*rules):
    chain = {
        "family": "inet",
        "table": "fw",
        "name": "f",
        "type": "filter",
        "hook": "forward",
        "prio": 5,
        "policy": "accept",
    }
    head = {"family": "inet", "table": "fw", "chain": "f"}
    items = [{"chain": chain}, *({"rule": {**head, "handle": n, "expr": e}} for n, e in enumerate(rules, 7))]
    return Firewall(nft_chains(json.dumps({"nftables": items})))


# As nft 1.0.6 prints `udp dport . ip daddr @blocked drop`.
PAIRS = [
    {
        "match": {
            "op": "==",
            "left": {
                "concat": [
                    {"payload": {"protocol": "udp", "field": "dport"}},
                    {"payload": {"protocol": "ip", "field": "daddr"}},
                ]
            },
            "right": "@blocked",
        }
    },
    {"drop": None},
]
LIMITED = [{"limit": {"rate": 4, "per": "second"}}, {"drop": None}]


@pytest.mark.parametrize(
    ("rules", "fix"),
    [
        ((PAIRS,), "nft delete rule inet fw f handle 7"),
        # Which of them did it cannot be told.
        ((PAIRS, LIMITED, LIMITED), "nft list ruleset"),
        ((), "nft list ruleset"),
    ],
)
def test_a_rule_beyond_reading_is_named_where_it_stands_alone(rules, fix):
    views = inside(said(UP, "timeout", "timeout"))
    facts = (views, host(said(UP)), ROUTES, resolver(UP), config(), ruleset(*rules), NETWORKS)
    finding = decide(dns_paths.forward_firewall, *facts)
    assert finding.status is FAIL
    assert fix in " ".join(finding.fix)


@pytest.mark.parametrize(
    ("networks", "within"),
    [
        (("10.0.0.0:10.255.255.200",), True),
        (("10.0.0.2:10.0.0.9",), False),
        (("192.0.2.0/24", "10.0.0.0/8"), True),
        (("2001:db8::/64",), False),
        (("x:y",), None),
    ],
)
def test_ranges(networks, within):
    assert _in_network(UP, networks) is within


def test_a_server_that_says_no_over_tcp_alone_is_not_dead():
    views = inside(said(OWN, "ECONNREFUSED", "REFUSED"), servers=(OWN,))
    assert decide(dns.server_dead, views, host(said(OWN, "NXDOMAIN", "REFUSED")), None, config(OWN)).status is SKIP

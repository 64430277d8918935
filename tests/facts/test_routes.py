"""Routes, as ip(8) prints them."""

import json

import pytest

from dockerdoctor.facts.routes import Route, Routes, parse_routes

ETH = {"dst": "default", "gateway": "10.0.0.1", "dev": "eth0", "metric": 100}
WLAN = {"dst": "default", "gateway": "10.1.0.1", "dev": "wlan0", "metric": 600}
POLICY = {"dst": "default", "dev": "wg0", "table": "51820"}
SHARED = {
    "dst": "default",
    "nexthops": [{"gateway": "10.0.0.1", "dev": "eth0"}, {"gateway": "10.1.0.1", "dev": "eth1"}],
}
NARROW = {"dst": "10.9.0.0/16", "dev": "tun0", "metrics": [{"mtu": 1300}]}
LOCAL = {"dst": "10.0.0.5", "dev": "eth0", "table": "local", "type": "local"}
BLACKHOLE = {"dst": "10.8.0.0/16", "type": "blackhole"}


@pytest.mark.parametrize(
    ("listed", "first"),
    [
        ([WLAN, ETH], Route("0.0.0.0/0", "eth0", "10.0.0.1")),
        ([POLICY, ETH], Route("0.0.0.0/0", "eth0", "10.0.0.1")),
        ([SHARED], Route("0.0.0.0/0", "eth0", "10.0.0.1")),
        ([LOCAL, BLACKHOLE, NARROW], Route("10.9.0.0/16", "tun0", mtu=1300)),
    ],
    ids=["by-metric", "main-before-policy", "several-next-hops", "neither-local-nor-blackhole"],
)
def test_the_first_route(listed, first):
    assert parse_routes(json.dumps(listed))[0] == first


def test_a_host_without_routes():
    assert parse_routes("") == ()
    assert Routes((), ()).uplink is None

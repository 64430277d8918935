"""Routes, as ip(8) prints them."""

import json

import pytest

from dockerdoctor.facts.endpoint import ChosenEndpoint
from dockerdoctor.facts.routes import Interface, Route, Routes, loose, parse_interfaces, parse_routes, routes
from dockerdoctor.host import Completed, Host

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


def linked(*addresses):
    return tuple(Interface(name, 1500, True, addresses=(address,)) for name, address in addresses)


LINKS = linked(("eth0", "10.0.0.5/24"), ("wg0", "10.9.0.2/32"), ("lo", "10.7.7.7/32"))
HALVES = (Route("0.0.0.0/0", "eth0", "10.0.0.1"), Route("0.0.0.0/1", "wg0"), Route("128.0.0.0/1", "wg0"))


@pytest.mark.parametrize(
    ("known", "chosen", "uplink", "source"),
    [
        (HALVES[:1], "", "eth0", "10.0.0.5"),
        (HALVES[:1], "10.0.0.5", "eth0", "10.0.0.5"),
        (HALVES, "10.9.0.2", "wg0", "10.9.0.2"),  # a VPN that takes all
        ((*HALVES[:1], Route("0.0.0.0/0", "wg0")), "10.9.0.2", "wg0", "10.9.0.2"),  # the same by a policy's table
        (HALVES[:1], "10.7.7.7", "eth0", "10.0.0.5"),  # an address of the loopback, as routers have it
    ],
)
def test_the_way_to_the_world(known, chosen, uplink, source):
    facts = Routes(known, LINKS, chosen)
    assert (facts.uplink.name, facts.source) == (uplink, source)


def test_loose():
    cables = (Interface("veth0a1b2c3", 1500, True, master="docker0"), Interface("veth0a1b2c4", 1500, True))
    assert loose((*cables, Interface("vethweXyz12", 1500, True))) == ("veth0a1b2c4",)


class Looks(Host):
    """A host whose interfaces are others at each look: names, with "!" for one that is on a bridge."""

    def __init__(self, *looks):
        super().__init__()
        self.looks = list(looks)

    def run(self, *argv, timeout=3.0, stdin="", env=None):
        if "route" in argv:
            return Completed(0, "[]", "")
        names = (self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]).split()
        cables = [
            {"ifname": n.rstrip("!"), "flags": ["UP"], "master": "docker0" if n.endswith("!") else None} for n in names
        ]
        return Completed(0, json.dumps(cables), "")

    def sleep(self, seconds):
        pass

    def source_towards(self, address):
        return ""


@pytest.mark.parametrize(
    ("looks", "cut"),
    [
        (("veth0000001!",), ()),
        (("veth0000001", "veth0000001"), ("veth0000001",)),
        (("veth0000001", "veth0000001!"), ()),
        (("veth0000001", "veth0000001", "veth0000001", "veth0000001!"), ()),  # a busy host
        # A container that restarts without end: each look meets another cable.
        (("veth0000001", "veth0000002"), ()),
        (("veth0000001 veth0000002", "veth0000002 veth0000003"), ("veth0000002",)),
    ],
)
def test_a_cable_on_its_way_to_the_bridge_is_not_cut(looks, cut):
    found = routes.measure(Looks(*looks), endpoint=ChosenEndpoint("unix:///run/docker.sock", "default"))
    assert loose(found.interfaces) == cut


def test_bridges_and_their_ports():
    listed = [
        {
            "ifname": "docker0",
            "flags": ["UP", "NOARP"],
            "linkinfo": {"info_kind": "bridge", "info_data": {"stp_state": 1}},
        },
        {"ifname": "veth0a1b2c3", "flags": ["UP"], "master": "docker0", "linkinfo": {"info_kind": "veth"}},
    ]
    docker0, cable = parse_interfaces(json.dumps(listed))
    assert (docker0.arp, docker0.spanning, docker0.ports) == (False, True, 1)
    assert (cable.arp, cable.spanning, cable.ports) == (True, False, 0)

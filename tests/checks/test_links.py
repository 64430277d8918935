"""Docker's interfaces, exposure and isolation, one row a verdict."""

from dataclasses import replace

import pytest

from dockerdoctor.checks import connections, exposure, links
from dockerdoctor.facts.containers import Attachment, Containers, Networks
from dockerdoctor.facts.forwarding import neighbours
from dockerdoctor.facts.inside import Published
from dockerdoctor.facts.routes import Interface
from tests.checks.test_firewall import WEB, listeners, running
from tests.checks.test_network import (
    DEFAULT,
    FAIL,
    LINKS,
    LOST,
    NETWORKS,
    NEW,
    PASS,
    ROUTES,
    SHOP,
    SKIP,
    config,
    inside,
    kernel,
    net,
    rules,
)
from tests.checks.test_network import WELL as REACHING

CABLE = Interface("veth0a1b2c3", 1500, True, "veth", "docker0", hairpin=True)


def having(*interfaces):
    return replace(ROUTES, interfaces=(*LINKS, *interfaces))


@pytest.mark.parametrize(
    ("routes", "status"),
    [
        (having(CABLE), PASS),
        (having(replace(CABLE, up=False)), FAIL),
        (having(replace(CABLE, up=False, master="virbr0")), PASS),  # somebody else's
        (replace(ROUTES, interfaces=(LINKS[0], replace(LINKS[1], up=False), LINKS[2])), FAIL),
    ],
)
def test_links_up(routes, status):
    assert links.links_up.decide(NETWORKS, routes).status is status


def docker0(**more):
    return replace(ROUTES, interfaces=(LINKS[0], replace(LINKS[1], **more), LINKS[2]))


def test_arp():
    assert links.arp.decide(NETWORKS, ROUTES).status is PASS
    assert links.arp.decide(NETWORKS, having(replace(CABLE, name="tun0", arp=False))).status is PASS
    assert links.arp.decide(NETWORKS, docker0(arp=False)).fix == ("ip link set docker0 arp on",)


@pytest.mark.parametrize(
    ("routes", "seen", "status"),
    [
        (docker0(spanning=True), LOST, FAIL),
        (docker0(spanning=True), REACHING, PASS),  # its delay is short
        (docker0(spanning=True), None, PASS),
        (ROUTES, LOST, PASS),
    ],
)
def test_spanning_tree(routes, seen, status):
    assert links.spanning_tree.decide(NETWORKS, routes, seen, None).status is status


OFF = config(userland_proxy=False)
REACHED = inside(published=(Published("host", "127.0.0.1:4", "ok"),))


@pytest.mark.parametrize(
    ("sysctls", "settings", "seen", "status"),
    [
        (kernel(), config(), None, SKIP),
        (kernel(), OFF, None, FAIL),
        (kernel(), OFF, REACHED, PASS),
        (kernel(localnet=("docker0", "br-shop")), OFF, None, PASS),
        (kernel(localnet=("all",)), OFF, None, PASS),
        (kernel(), replace(config(), flags=("--userland-proxy=false",)), None, FAIL),
    ],
)
def test_route_localnet(sysctls, settings, seen, status):
    assert links.route_localnet.decide(sysctls, NETWORKS, ROUTES, settings, None, seen).status is status


@pytest.mark.parametrize(
    ("cable", "settings", "containers", "status"),
    [
        (CABLE, OFF, (WEB,), PASS),
        (replace(CABLE, hairpin=False), OFF, (WEB,), FAIL),
        (replace(CABLE, hairpin=None), OFF, (WEB,), PASS),  # an ip(8) that does not tell
        (replace(CABLE, hairpin=False), OFF, (), SKIP),
        (replace(CABLE, hairpin=False), config(), (WEB,), SKIP),
    ],
)
def test_hairpin(cable, settings, containers, status):
    found = links.hairpin.decide(NETWORKS, having(cable), Containers(containers), settings, listeners())
    assert found.status is status


SEALED = net("sealed", "br-sealed", "172.19.0.0/16", internal=True)
IN = running("vault", "sealed", "172.19.0.2")


@pytest.mark.parametrize(
    ("containers", "status"),
    [
        ((), PASS),
        ((IN,), FAIL),
        ((replace(IN, networks=(*IN.networks, Attachment("shop", "x", "172.18.0.9"))),), PASS),
        ((running(),), PASS),
        ((replace(IN, networks=()),), PASS),
    ],
)
def test_internal(containers, status):
    assert links.internal.decide(Networks((DEFAULT, SHOP, SEALED)), Containers(containers)).status is status


@pytest.mark.parametrize(("members", "status"), [((), PASS), ((running(),), PASS), ((running(), running("b")), FAIL)])
def test_icc(members, status):
    mute = Networks((net("shop", "br-shop", "172.18.0.0/16", enable_icc="false"),))
    assert links.icc.decide(mute, Containers(members)).status is status
    assert links.icc.decide(NETWORKS, Containers(members)).status is PASS


ARP = """\
entries  allocs   destroys hash_grows lookups  hits     res_failed table_fulls
000003f8  00000e21 00000c10 00000003   0001f0a2 0001c2b1 00000011   00000007
000003f8  00000001 00000000 00000000   00000001 00000001 00000000   00000002
"""


@pytest.mark.parametrize(
    ("table", "most", "status"), [(ARP, 1024, FAIL), (ARP, 8192, PASS), (ARP, 0, SKIP), ("", 1024, PASS)]
)
def test_neighbours(table, most, status):
    entries, limit, refused = neighbours(table, most)
    assert (entries, refused) == ((1016, 9) if table else (0, 0))
    sysctls = kernel(neighbours=entries, neighbours_max=limit, neighbours_refused=refused)
    found = connections.neighbours.decide(sysctls)
    assert found.status is status
    if status is FAIL:
        assert found.fix[0] == "sysctl -w net.ipv4.neigh.default.gc_thresh3=4096"


UFW = NEW.replace("*filter\n:INPUT ACCEPT", "*filter\n:ufw-user-input - [0:0]\n:INPUT DROP").replace(
    "[0:0] -A FORWARD", "{}[0:0] -A FORWARD", 1
)
ALLOW = "[0:0] -A ufw-user-input -p tcp -m tcp --dport 8080 -j ACCEPT\n[0:0] -A INPUT -j ufw-user-input\n"
HOME = ALLOW.replace("-p tcp", "-s 10.0.0.0/8 -p tcp", 1)
GUARD = "[0:0] -A DOCKER-USER -i eth0 ! -s 10.0.0.0/8 -j DROP\n"


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (NEW, SKIP),
        (UFW.format(""), FAIL),
        (UFW.format(ALLOW), PASS),
        (UFW.format(HOME), FAIL),
        (UFW.format(GUARD), PASS),
    ],
    ids=["no-ufw", "denied", "allowed", "allowed-at-home", "guarded"],
)
def test_ufw_bypass(text, status):
    found = exposure.ufw_bypass.decide(rules(text), Networks((DEFAULT,)), ROUTES, Containers((WEB,)), None)
    assert found.status is status

"""The kernel's tables, one row a verdict."""

from dataclasses import replace

import pytest

from dockerdoctor.checks import connections, resources
from dockerdoctor.facts.containers import Attachment, Container, Containers, Networks, PortBinding
from dockerdoctor.facts.flows import UdpFlows, parse
from dockerdoctor.facts.listeners import DockerProxy, Listeners
from dockerdoctor.facts.resources import Inotify
from dockerdoctor.fixes.vocabulary import automatic
from tests.checks.test_network import DEFAULT, ETH0, FAIL, NETWORKS, PASS, ROUTES, SKIP, kernel, net, rules

NOW = 1_000_000.0


@pytest.mark.parametrize(
    ("count", "most", "dropped", "full", "room"),
    [
        (0, 0, 0, SKIP, SKIP),
        (10, 1000, 0, PASS, PASS),
        (10, 1000, 7, PASS, PASS),  # that was once
        (960, 1000, 7, FAIL, PASS),
        (1000, 1000, 0, PASS, FAIL),  # those that nobody answered made room
    ],
)
def test_conntrack(count, most, dropped, full, room):
    facts = kernel(conntrack_count=count, conntrack_max=most, conntrack_dropped=dropped, conntrack_evicted=3)
    assert connections.conntrack.decide(facts).status is full
    assert connections.conntrack_room.decide(facts).status is room


def test_the_kernels_tables_are_made_wider_by_the_doctor_itself():
    """They belong to the kernel as a whole, which no machine of the lab may change."""
    full = kernel(conntrack_count=1000, conntrack_max=1000, neighbours=1024, neighbours_max=1024)
    used_up = Inotify("EMFILE", "128", "8192")
    for finding in (
        connections.conntrack_room.decide(full),
        connections.conntrack.decide(replace(full, conntrack_dropped=7)),
        connections.neighbours.decide(full),
        resources.inotify.decide(used_up),
    ):
        assert (finding.status, automatic(finding.fix)) == (FAIL, True)


def entry(source, destination, answering, answered_to, left=29, port=5353, flags=""):
    line = (
        f"ipv4     2 udp      17 {left} src={source} dst={destination} sport=40000 dport={port} "
        f"src={answering} dst={answered_to} sport=53 dport=40000 {flags} mark=0 zone=0 use=2"
    )
    (flow,) = parse(line, 30, 120)
    return flow


HOST, CLIENT, ONE, OTHER = ETH0.addresses[0].split("/")[0], "10.0.0.77", "172.17.0.2", "172.17.0.3"


def dns(host_ip="0.0.0.0", protocol="udp", age="1970-01-12T13:46:20Z"):
    return Container(
        "d" * 64,
        "dns",
        "dns",
        "running",
        "Up",
        ports=(PortBinding(53, protocol, host_ip, 5353),),
        networks=(Attachment("bridge", "x", ONE),),
        started=age,
    )


RELAYED = Listeners((), (DockerProxy(1, "udp", "0.0.0.0", 5353, ONE, 53),), (), (), True, NOW)
ALONE = Listeners((), (), (), (), True, NOW)
ELSEWHERE = "198.51.100.9"


@pytest.mark.parametrize(
    ("flow", "container", "listeners", "status"),
    [
        (entry(CLIENT, HOST, ONE, CLIENT), dns(), ALONE, PASS),
        (entry(CLIENT, HOST, OTHER, CLIENT), dns(), ALONE, FAIL),  # another's address
        (entry(CLIENT, HOST, OTHER, CLIENT), dns("10.0.0.5"), ALONE, FAIL),
        (entry(CLIENT, HOST, OTHER, CLIENT), dns("127.0.0.1"), ALONE, PASS),  # it is published elsewhere
        (entry(CLIENT, HOST, OTHER, CLIENT), dns(protocol="tcp"), ALONE, PASS),
        (entry(CLIENT, HOST, OTHER, CLIENT, left=5), dns(), ALONE, PASS),  # not used since
        (entry(CLIENT, HOST, "192.168.122.5", CLIENT), dns(), ALONE, PASS),  # somebody's own translation
        (entry(CLIENT, HOST, HOST, CLIENT), dns(), ALONE, FAIL),  # begun while nobody was there
        (entry(CLIENT, HOST, HOST, CLIENT), dns(), RELAYED, PASS),  # docker-proxy hands it on
        (entry(CLIENT, "10.0.0.99", "10.0.0.99", CLIENT), dns(), ALONE, PASS),  # passes through
        (entry(ONE, ELSEWHERE, ELSEWHERE, HOST, port=514, flags="[UNREPLIED]"), dns(), ALONE, PASS),  # as it should be
        (entry(ONE, ELSEWHERE, ELSEWHERE, ONE, port=514, flags="[UNREPLIED]"), dns(), ALONE, FAIL),  # not masqueraded
        (entry(ONE, ELSEWHERE, ELSEWHERE, ONE, port=514), dns(), ALONE, PASS),  # somebody knows the way back
        (entry(ONE, OTHER, OTHER, ONE, port=514, flags="[UNREPLIED]"), dns(), ALONE, PASS),
        (entry(ONE, HOST, HOST, ONE, port=514, flags="[UNREPLIED]"), dns(), ALONE, PASS),
        (entry(ONE, "224.0.0.251", "224.0.0.251", ONE, port=514, flags="[UNREPLIED]"), dns(), ALONE, PASS),
    ],
)
def test_stale_udp(flow, container, listeners, status):
    told = UdpFlows((flow,), NOW)
    found = connections.stale_udp.decide(Containers((container,)), NETWORKS, told, ROUTES, listeners, rules())
    assert found.status is status
    if status is FAIL:
        assert found.fix[0] == "conntrack -D -p udp --orig-" + (f"src {ONE}" if flow.source == ONE else "port-dst 5353")


def test_packets_that_no_rule_would_translate_are_meant_to_leave_so():
    told = UdpFlows((entry(ONE, ELSEWHERE, ELSEWHERE, ONE, port=514, flags="[UNREPLIED]"),), NOW)
    spared = rules().__class__(())
    for networks, firewall in ((Networks((DEFAULT,)), spared), (Networks((net(),)), None)):
        facts = Containers((dns(),)), networks, told, ROUTES, ALONE, firewall
        assert connections.stale_udp.decide(*facts).status is PASS

"""Ports: one row for each verdict."""

from dataclasses import replace

import pytest

from dockerdoctor.checks import ports, publishing
from dockerdoctor.facts.containers import Attachment, Container, Containers, Network, Networks, PortBinding
from dockerdoctor.facts.listeners import (
    DockerProxy,
    InContainer,
    Listener,
    Listeners,
    PortDial,
    PortDials,
    Process,
)

NOW = 1_800_000_000.0  # 2027-01-15
RECENT, LONG_AGO = "2027-01-15T07:59:00Z", "2026-01-01T00:00:00Z"
BINDING = PortBinding(80, "tcp", "0.0.0.0", 8080)
WANTED = PortBinding(80, "tcp", "", 8080)
WEB = Container(
    "a" * 64, "web", "web:1", "running", "Up 9 minutes", ports=(BINDING,), wanted_ports=(WANTED,), pid=4,
    network_mode="default", networks=(Attachment("bridge", "n", "172.17.0.2"),), created=RECENT, exposed=("80/tcp",),
)  # fmt: skip
IN_USE = "driver failed programming external connectivity on endpoint job (f00d): Error starting userland proxy: listen tcp4 0.0.0.0:8080: bind: address already in use"
TAKEN = "driver failed programming external connectivity on endpoint job (f00d): Bind for 0.0.0.0:8080 failed: port is already allocated"
JOB = replace(WEB, id="b" * 64, name="job", image="job:1", state="created", status="Created", ports=(), error=IN_USE)
NGINX = Listener("tcp", "0.0.0.0", 8080, 1, Process(9, "nginx", "nginx.service"))
PROXY = DockerProxy(5, "tcp", "0.0.0.0", 8080, "172.17.0.2", 80)
BEHIND = Listener("tcp", "0.0.0.0", 8080, 2)


def heard(*host, proxies=(), stale=(), inside=(), all_named=True):
    return Listeners(tuple(host), tuple(proxies), tuple(stale), tuple(inside), all_named, NOW)


def within(*tcp, age=60.0):
    return InContainer(WEB.id, age, tuple(Listener("tcp", a, p) for a, p in tcp))


def verdict(check, *facts):
    found = check.decide(*facts)
    return found.status.value, found


@pytest.mark.parametrize(
    ("containers", "listeners", "expected", "text"),
    [
        ((), heard(NGINX), "skip", ""),
        ((JOB,), heard(NGINX), "fail", "held by nginx (pid 9, nginx.service)"),
        ((JOB,), heard(replace(NGINX, address="127.0.0.1")), "fail", "cannot start"),
        ((JOB,), heard(replace(NGINX, address="::")), "fail", "cannot start"),
        ((JOB,), heard(replace(NGINX, address="::1")), "pass", ""),
        ((JOB,), heard(replace(NGINX, process=None)), "fail", "only root can name"),
        ((JOB,), heard(), "pass", ""),  # free again
        ((JOB,), heard(BEHIND, proxies=[PROXY]), "pass", ""),  # another container's, or a stale proxy's
        ((replace(JOB, error=""),), heard(NGINX), "pass", ""),  # it was stopped, and nobody wants it now
        ((replace(JOB, created=LONG_AGO),), heard(NGINX), "pass", ""),  # the rest of an old attempt
        ((replace(JOB, created=LONG_AGO, restart_policy="always"),), heard(NGINX), "fail", "cannot start"),
        ((replace(JOB, state="exited", finished=LONG_AGO),), heard(NGINX), "pass", ""),
        ((replace(JOB, state="exited", finished=RECENT),), heard(NGINX), "fail", "cannot start"),
        ((JOB, replace(WEB, image="job:1", created="2027-01-15T07:59:30Z", ports=())), heard(NGINX), "pass", ""),
        ((replace(JOB, wanted_ports=(replace(WANTED, host_ip="10.0.0.1"),)),), heard(replace(NGINX, address="127.0.0.1")), "pass", ""),
        ((replace(JOB, wanted_ports=(replace(WANTED, host_port=443), WANTED)),), heard(replace(NGINX, port=443)), "pass", ""),
        ((replace(JOB, error="failed to bind host port 0.0.0.0:8080/tcp: address already in use"),), heard(NGINX), "fail", "nginx"),
    ],
)  # fmt: skip
def test_in_use_by_host_process(containers, listeners, expected, text):
    status, found = verdict(ports.in_use_by_host_process, Containers(containers), listeners)
    assert status == expected
    assert text in found.summary


@pytest.mark.parametrize(
    ("process", "first"),
    [
        (Process(9, "nginx", "nginx.service"), "systemctl stop nginx.service"),
        (Process(9, "python3"), "kill 9"),
        (Process(9, "python3", "$(reboot).service"), "systemctl stop '$(reboot).service'"),
        (Process(9, "sshd", "ssh.service"), "# sshd has it"),
        (Process(9, "sshd"), "# sshd has it"),
        (
            Process(1, "systemd", "init.scope"),
            "# systemd holds it for a socket unit: systemctl list-sockets | grep 8080",
        ),
        (Process(9, "httpd", "docker.service", WEB.id), "docker stop web"),
        (Process(9, "systemd-resolve", "systemd-resolved.service"), "# leave systemd-resolved"),
        (None, "# find its holder"),
    ],
)
def test_freeing_a_port(process, first):
    host_web = replace(WEB, ports=(), wanted_ports=(), network_mode="host")
    found = ports.in_use_by_host_process.decide(Containers((JOB, host_web)), heard(replace(NGINX, process=process)))
    assert found.fix[0].startswith(first)
    assert "docker start job" in found.fix
    assert "-p 8081:80" in found.fix[-1]


@pytest.mark.parametrize(
    ("containers", "expected"),
    [
        ((replace(JOB, error=TAKEN), WEB), "fail"),
        ((replace(JOB, error=TAKEN),), "pass"),
        ((replace(JOB, error=TAKEN, wanted_ports=(replace(WANTED, host_ip="10.0.0.1"),)), replace(WEB, ports=(replace(BINDING, host_ip="10.0.0.2"),))), "pass"),
        ((), "skip"),
    ],
)  # fmt: skip
def test_already_allocated(containers, expected):
    status, found = verdict(ports.already_allocated, Containers(containers), heard(BEHIND, proxies=[PROXY]))
    assert status == expected
    if expected == "fail":
        assert found.fix[:2] == ("docker stop web", "docker start job")


@pytest.mark.parametrize(("stale", "expected"), [((), "pass"), ((PROXY,), "fail")])
def test_stale_docker_proxy(stale, expected):
    status, found = verdict(ports.stale_docker_proxy, heard(BEHIND, proxies=[PROXY], stale=stale))
    assert status == expected
    assert found.fix == (("kill 5",) if stale else ())


@pytest.mark.parametrize(
    ("inside", "loopback", "wrong", "partly"),
    [
        ([], "unknown", "unknown", "unknown"),
        ([within(("0.0.0.0", 80))], "pass", "pass", "pass"),
        ([within(("::", 80))], "pass", "pass", "pass"),
        ([within(("172.17.0.2", 80))], "pass", "pass", "pass"),
        ([within(("127.0.0.1", 80))], "fail", "pass", "pass"),
        ([within(("::1", 80))], "fail", "pass", "pass"),
        ([within(("::1", 80), ("0.0.0.0", 80))], "pass", "pass", "pass"),
        ([within(("127.0.0.1", 80), age=2)], "pass", "pass", "pass"),
        ([within(("0.0.0.0", 5000))], "pass", "fail", "pass"),
        ([within(("127.0.0.1", 5000))], "pass", "fail", "pass"),
        ([within(("0.0.0.0", 5000), age=2)], "pass", "pass", "pass"),
        ([within()], "pass", "fail", "pass"),
        ([within(age=20)], "pass", "pass", "pass"),  # it may still load
    ],
)
def test_behind_published_ports(inside, loopback, wrong, partly):
    facts = Containers((WEB,)), heard(BEHIND, proxies=[PROXY], inside=inside), None
    assert verdict(ports.app_binds_loopback, *facts)[0] == loopback
    assert verdict(ports.wrong_container_port, *facts)[0] == wrong
    assert verdict(ports.unserved_port, *facts)[0] == partly


def test_what_listens_instead():
    facts = Containers((WEB,)), heard(inside=[within(("0.0.0.0", 5000))]), None
    found = ports.wrong_container_port.decide(*facts)
    assert "it listens on 5000 instead" in found.summary
    assert "-p 8080:5000" in found.fix[0]
    in_compose = replace(WEB, labels=(("com.docker.compose.service", "front"),))
    found = ports.wrong_container_port.decide(Containers((in_compose,)), *facts[1:])
    assert 'service front: ports: ["8080:5000"]' in found.fix[0]


def test_one_of_two_ports():
    second = PortBinding(443, "tcp", "0.0.0.0", 8443)
    two = replace(WEB, ports=(BINDING, second), wanted_ports=(WANTED, replace(second, host_ip="")))
    facts = heard(inside=[within(("0.0.0.0", 80))])
    assert verdict(ports.wrong_container_port, Containers((two,)), facts, None)[0] == "pass"
    assert verdict(ports.unserved_port, Containers((two,)), facts, None)[0] == "fail"
    # Published by -P, because the image exposes it.
    assert verdict(ports.unserved_port, Containers((replace(two, wanted_ports=()),)), facts, None)[0] == "pass"


@pytest.mark.parametrize("status", ["Up 9 minutes (health: starting)"])
def test_health_says_that_it_starts(status):
    facts = Containers((replace(WEB, status=status),)), heard(inside=[within()]), None
    assert verdict(ports.wrong_container_port, *facts)[0] == "pass"


def test_udp_is_left_alone():
    udp = replace(WEB, ports=(replace(BINDING, protocol="udp"),))
    assert verdict(ports.wrong_container_port, Containers((udp,)), heard(inside=[within()]), None)[0] == "skip"


def dial(outcome, direct):
    return PortDials((PortDial(WEB.id, 80, "127.0.0.1:8080", outcome, "172.17.0.2:80", direct),))


@pytest.mark.parametrize(
    ("dials", "expected", "text"),
    [
        (PortDials(()), "skip", ""),
        (dial("ok", "ok"), "pass", ""),
        (dial("closed", "closed"), "pass", ""),  # a program that hangs up on strangers
        (dial("ok", "timeout"), "pass", ""),  # an overlay's address is not ours to reach
        (dial("timeout", "ok"), "fail", "while 172.17.0.2:80 answers"),
        (dial("closed", "ok"), "fail", "(closed)"),
        (dial("closed", "ECONNREFUSED"), "fail", "gives ECONNREFUSED"),
        (dial("timeout", "timeout"), "fail", "gives timeout"),
    ],
)
def test_published_unanswered(dials, expected, text):
    facts = heard(inside=[within(("::", 80))])
    status, found = verdict(ports.published_unanswered, Containers((WEB,)), dials, facts)
    assert status == expected
    assert text in found.summary
    if text == "gives ECONNREFUSED":
        assert "IPV6_V6ONLY" in found.cause


@pytest.mark.parametrize("tcp", [(), (("127.0.0.1", 80),)])
def test_what_answers_is_well_whoever_listens(tcp):
    facts = Containers((WEB,)), heard(inside=[within(*tcp)])
    for check in (ports.app_binds_loopback, ports.wrong_container_port, ports.unserved_port):
        assert verdict(check, *facts, dial("ok", "ok"))[0] == "pass"
    refused = dial("closed", "ECONNREFUSED")
    assert verdict(ports.wrong_container_port, *facts, refused)[0] == ("pass" if tcp else "fail")
    assert verdict(ports.app_binds_loopback, *facts, refused)[0] == ("fail" if tcp else "pass")
    # Where nothing listens for others, nothing is lost on the way.
    assert verdict(ports.published_unanswered, facts[0], refused, facts[1])[0] == "pass"


@pytest.mark.parametrize(
    ("host", "proxies", "expected"),
    [
        ([BEHIND], [PROXY], "pass"),
        ([], [], "pass"),
        ([NGINX], [], "fail"),
        ([replace(NGINX, address="127.0.0.1")], [], "fail"),
        ([replace(NGINX, process=Process(3, "dockerd"))], [], "pass"),  # since Engine 28 it binds the port itself
        ([replace(NGINX, process=None)], [], "unknown"),
        ([replace(NGINX, address="::1"), BEHIND], [PROXY], "pass"),
        ([replace(NGINX, process=Process(4, "httpd", "", WEB.id))], [], "pass"),
    ],
)
def test_shadowed_host_service(host, proxies, expected):
    facts = Containers((WEB,)), heard(*host, proxies=proxies)
    assert verdict(ports.shadowed_host_service, *facts)[0] == expected


@pytest.mark.parametrize(
    ("address", "binding", "expected"),
    [
        ("::1", replace(BINDING, host_ip="127.0.0.1"), "fail"),
        ("::", replace(BINDING, host_ip="127.0.0.1"), "fail"),
        ("127.0.0.1", replace(BINDING, host_ip="10.0.0.1"), "pass"),
    ],
)
def test_ipv6_localhost(address, binding, expected):
    facts = Containers((replace(WEB, ports=(binding,)),)), heard(replace(NGINX, address=address))
    assert verdict(ports.ipv6_localhost, *facts)[0] == expected


@pytest.mark.parametrize(
    ("container", "expected"),
    [
        (WEB, "pass"),
        (replace(WEB, ports=()), "skip"),
        (replace(WEB, ports=(replace(BINDING, host_ip="127.0.0.1"),)), "fail"),
        (replace(WEB, ports=(replace(BINDING, host_ip="127.0.0.1"),), wanted_ports=(replace(WANTED, host_ip="127.0.0.1"),)), "pass"),
        (replace(WEB, ports=(BINDING, replace(BINDING, host_ip="127.0.0.1")), wanted_ports=(WANTED, replace(WANTED, host_ip="127.0.0.1"))), "pass"),
    ],
)  # fmt: skip
def test_published_on_loopback_only(container, expected):
    assert verdict(ports.published_on_loopback_only, Containers((container,)))[0] == expected


HIDDEN = replace(WEB, ports=(), wanted_ports=())


@pytest.mark.parametrize(
    ("containers", "expected"),
    [
        ((HIDDEN,), "fail"),
        ((WEB,), "pass"),
        ((replace(HIDDEN, exposed=("6379/tcp",)),), "pass"),
        ((replace(HIDDEN, network_mode="app"),), "pass"),
        ((HIDDEN, replace(JOB, links=("/web:/job/web",))), "pass"),
    ],
)
def test_not_published(containers, expected):
    facts = heard(inside=[within(("0.0.0.0", 80))])
    assert verdict(ports.not_published, Containers(containers), facts)[0] == expected


def test_a_free_port_is_found_where_the_usual_ones_are_taken():
    facts = heard(NGINX, inside=[within(("0.0.0.0", 80))])  # port 8080 has gone to somebody else
    finding = ports.not_published.decide(Containers((HIDDEN,)), facts)
    assert "-p 8081:80" in finding.fix[0]
    assert heard(replace(NGINX, port=65535)).free_port(65535) == 1024


NAMES = PortBinding(53, "udp", "0.0.0.0", 5300)
RELAY, RELAYS = DockerProxy(5, "udp", "0.0.0.0", 5300, "172.17.0.2", 53), Process(5, "docker-proxy")
SHARER = Listener("udp", "0.0.0.0", 5300, 3, Process(9, "dnsmasq", "dnsmasq.service"))


@pytest.mark.parametrize(
    ("host", "binding", "expected"),
    [
        ([Listener("udp", "0.0.0.0", 5300, 2)], NAMES, "pass"),  # nobody shares: its holder was not looked for
        ([Listener("udp", "0.0.0.0", 5300, 2, RELAYS), SHARER], NAMES, "fail"),
        ([Listener("udp", "0.0.0.0", 5353, 2, RELAYS), replace(SHARER, port=5353)], replace(NAMES, host_port=5353), "pass"),
    ],
)  # fmt: skip
def test_a_udp_port_that_is_shared(host, binding, expected):
    listeners = heard(*host, proxies=[replace(RELAY, host_port=binding.host_port)])
    facts = Containers((replace(WEB, ports=(binding,), wanted_ports=()),)), listeners
    assert verdict(ports.shadowed_host_service, *facts)[0] == expected
    assert bool(listeners.shared) is (len(host) > 1)


def bridge(name="bridge", *, internal=False, **options):
    named = tuple((f"com.docker.network.bridge.{k}", v) for k, v in options.items())
    return Network("n", name, "bridge", internal, False, ("172.17.0.0/16",), (), named, ())


BARE = replace(WEB, ports=(), inspected=True, started=RECENT)


@pytest.mark.parametrize(
    ("container", "network", "host", "expected"),
    [
        (replace(BARE, ports=(BINDING,)), bridge(), [], "pass"),
        (BARE, bridge(), [], "fail"),
        (BARE, bridge(), [NGINX], "fail"),
        (replace(BARE, ports=(BINDING,), wanted_ports=(WANTED, NAMES)), bridge(), [], "fail"),  # one of two
        (replace(BARE, started="2027-01-15T07:59:58Z"), bridge(), [], "pass"),  # just started
        (replace(BARE, networks=()), bridge(), [], "pass"),
        (replace(BARE, networks=(Attachment("host", "h", ""),)), bridge(), [], "pass"),
        (BARE, bridge(internal=True), [], "pass"),
        (BARE, bridge(gateway_mode_ipv4="routed"), [], "pass"),
        (replace(BARE, inspected=False), bridge(), [], "pass"),
    ],
)
def test_lost(container, network, host, expected):
    status, found = verdict(publishing.lost, Containers((container,)), Networks((network,)), heard(*host))
    assert status == expected
    if status == "fail":
        assert found.fix[-1] == "docker restart web"
        assert ("systemctl stop nginx.service" in found.fix) is bool(host)

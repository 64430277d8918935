"""One row a verdict: facts in, finding out."""

import ipaddress
from dataclasses import replace
from pathlib import Path

import pytest

from dockerdoctor.checks import addresses, chains, exposure, firewall, neighbours, network, reach
from dockerdoctor.facts.containers import Attachment, Container, Containers, Network, Networks, PortBinding
from dockerdoctor.facts.daemon_json import DaemonJson
from dockerdoctor.facts.dns import HostDns, HostResolver, ResolvConf
from dockerdoctor.facts.engine import DaemonProcess, EngineInfo
from dockerdoctor.facts.firewall import Firewall, Moved
from dockerdoctor.facts.forwarding import Claim, Forwarding, Managers, Service, Setting
from dockerdoctor.facts.inside import Exchange, Inside, Ping, Published, View
from dockerdoctor.facts.routes import Interface, Route, Routes
from dockerdoctor.facts.ruleset import iptables_chains, nft_chains
from dockerdoctor.host import DnsAnswer
from dockerdoctor.model import Status

FAIL, PASS, SKIP, UNKNOWN = Status.FAIL, Status.PASS, Status.SKIP, Status.UNKNOWN
RULES = Path(__file__).parents[1] / "facts/rules"
OLD = (RULES / "engine-20.10.iptables-save").read_text()
NEW = (RULES / "engine-28.iptables-save").read_text()
SECOND = (RULES / "second-chain.nft.json").read_text()
GATEWAY = "10.0.0.254"


def net(name="bridge", bridge="docker0", subnet="172.17.0.0/16", internal=False, gateways=(), **options):
    named = (
        ("com.docker.network.bridge.name", bridge),
        *((f"com.docker.network.bridge.{k}", v) for k, v in options.items()),
    )
    return Network("0" * 64, name, "bridge", internal, False, (subnet,), gateways, named, ())


DEFAULT = net(gateways=("172.17.0.1",))
SHOP = net("shop", "br-shop", "172.18.0.0/16", gateways=("172.18.0.1",))
NETWORKS = Networks((DEFAULT, SHOP))
NONE = Networks(())
ETH0 = Interface("eth0", 1500, True, addresses=("10.0.0.5/24",))
DOCKER0 = Interface("docker0", 1500, True, "bridge", addresses=("172.17.0.1/16",))
BR_SHOP = Interface("br-shop", 1500, True, "bridge", addresses=("172.18.0.1/16",))
LINKS = (ETH0, DOCKER0, BR_SHOP)
OWN = (
    Route("0.0.0.0/0", "eth0", GATEWAY),
    Route("10.0.0.0/24", "eth0"),
    Route("172.17.0.0/16", "docker0"),
    Route("172.18.0.0/16", "br-shop"),
)
ROUTES = Routes(OWN, LINKS)


def routed(*routes, kind="tun"):
    return Routes((*OWN, *routes), (*LINKS, Interface("tun0", 1420, True, kind)))


def info(*pools, security=()):
    text = dict.fromkeys(EngineInfo.__dataclass_fields__, "")
    return EngineInfo(**{**text, "security_options": security, "address_pools": pools})


def config(**settings):
    settings = {k.replace("_", "-"): v for k, v in settings.items()}
    return DaemonJson("/etc/docker/daemon.json", exists=True, text="{\n" + str(settings) + "\n}", settings=settings)


def pings(small="ok", large="ok", size=1472):
    return (Ping(GATEWAY, 56, small, 1500), Ping(GATEWAY, size, large, 1500))


def view(place, small="ok", large="ok", tcp="", mtu=1500, error=""):
    exchanges = (Exchange("10.0.0.9:5000", tcp, "", 0.1),) if tcp else ()
    return View(place, error, pings=() if error else pings(small, large, mtu - 28), exchanges=exchanges, mtu=mtu)


HOST = view("host", tcp="ok")


def inside(bridge="ok", user="ok", host=HOST, **more):
    """What containers see: how pings end, or a view."""
    views = [v if isinstance(v, View) else view(p, v) for p, v in (("default bridge", bridge), ("user network", user))]
    return Inside(host, *views, **more)


WELL, LOST = inside(), inside("timeout", "timeout")


def rules(text=OLD, more="", policy="", nft="", legacy="", flavour="nf_tables"):
    if policy:
        text = text.replace(":FORWARD ACCEPT", f":FORWARD {policy}")
    first = text.index("[0:0] -A FORWARD")
    base = iptables_chains(text[:first] + more + text[first:])
    known = frozenset((c.table, c.name) for c in base)
    return Firewall(
        (*base, *nft_chains(nft or "{}", without=known), *iptables_chains(legacy, "iptables-legacy")), flavour
    )


EMPTY = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n[0:0] -A FORWARD -i lo -j ACCEPT\n*nat\n:POSTROUTING ACCEPT [0:0]\n"
CLOSED = EMPTY.replace("FORWARD ACCEPT", "FORWARD DROP")


def managers(*services, docker=100.0, **more):
    named = tuple(Service(f"{name}.service", state, "enabled", at) for name, state, at in services)
    return Managers(named, Service("docker.service", "active", "enabled", docker), **more)


def kernel(ip_forward="1", off=(), settings=(), **more):
    return Forwarding(
        ip_forward, tuple((i.name, "0" if i.name in off else "1") for i in LINKS), settings=settings, **more
    )


@pytest.mark.parametrize(
    ("sysctls", "networks", "status", "fix"),
    [
        (kernel(), NETWORKS, PASS, None),
        (kernel(""), NETWORKS, UNKNOWN, None),
        (kernel("0"), NONE, SKIP, None),
        (kernel("0"), NETWORKS, FAIL, "sysctl -w net.ipv4.ip_forward=1"),
        (kernel(off=["docker0"]), NETWORKS, FAIL, "sysctl -w net.ipv4.conf.docker0.forwarding=1"),
        (kernel(off=["eth0"]), NETWORKS, FAIL, "sysctl -w net.ipv4.conf.eth0.forwarding=1"),
        # A file that says so and was overruled since.
        (kernel(settings=(Setting("/etc/sysctl.d/a.conf", 1, "net.ipv4.ip_forward", "0"),)), NETWORKS, PASS, None),
    ],
)
def test_ip_forward(sysctls, networks, status, fix):
    found = network.ip_forward.decide(sysctls, networks, ROUTES, None)
    assert found.status is status
    assert fix is None or found.fix[0] == fix


def test_ip_forward_names_the_file():
    setting = Setting("/etc/sysctl.d/50-hard.conf", 3, "net.ipv4.ip_forward", "0")
    found = network.ip_forward.decide(kernel("0", settings=(setting,)), NETWORKS, ROUTES, config(ip_forward=False))
    assert "/etc/sysctl.d/50-hard.conf" in found.summary
    assert {e.source for e in found.evidence} >= {"/etc/sysctl.d/50-hard.conf:3", "/etc/docker/daemon.json"}
    assert "/etc/sysctl.d/50-hard.conf" in found.fix[1]


@pytest.mark.parametrize(
    ("check", "links", "networks", "status"),
    [
        (network.bridge, LINKS, NETWORKS, PASS),
        (network.bridge, LINKS, NONE, SKIP),
        (network.bridge, (ETH0, BR_SHOP), NETWORKS, FAIL),
        # Down without containers is how a bridge should be.
        (network.bridge, (replace(DOCKER0, up=False), BR_SHOP), NETWORKS, PASS),
        (network.bridge_address, LINKS, NETWORKS, PASS),
        (network.bridge_address, (replace(DOCKER0, addresses=("fe80::1/64",)), BR_SHOP), NETWORKS, FAIL),
        (network.bridge_address, (replace(DOCKER0, addresses=()),), Networks((net(inhibit_ipv4="true"),)), PASS),
        (
            network.bridge_address,
            (replace(DOCKER0, addresses=()),),
            Networks((net(gateway_mode_ipv4="isolated"),)),
            PASS,
        ),
        (network.bridge_address, (replace(DOCKER0, addresses=("172.17.0.254/16",)),), NETWORKS, PASS),
    ],
)
def test_bridges(check, links, networks, status):
    more = [None] if "config" in check.needs else []
    assert check.decide(networks, Routes(OWN, links), *more).status is status


RUNNING = Containers((Container("1" * 64, "app", "app", "running", "Up"),))
CLAIM = Claim("/etc/systemd/network/all.network", "veth*", "systemd-networkd")
LOOSE = Interface("veth1a2b3c4", 1500, True, "veth")


@pytest.mark.parametrize(
    ("links", "who", "containers", "status"),
    [
        (LINKS, managers(), RUNNING, PASS),
        (LINKS, managers(("systemd-networkd", "active", 1), claims=(CLAIM,)), RUNNING, PASS),
        ((*LINKS, replace(LOOSE, master="docker0")), managers(), RUNNING, PASS),
        ((*LINKS, LOOSE), managers(), RUNNING, FAIL),
        ((*LINKS, replace(LOOSE, name="ve-machine")), managers(), RUNNING, PASS),
        ((*LINKS, LOOSE), managers(), Containers(()), PASS),
        ((ETH0, replace(DOCKER0, addresses=())), managers(claims=(CLAIM,)), RUNNING, PASS),  # networkd does not run
        (
            (ETH0, replace(DOCKER0, addresses=())),
            managers(("systemd-networkd", "active", 1), claims=(CLAIM,)),
            RUNNING,
            FAIL,
        ),
    ],
)
def test_managed_interfaces(links, who, containers, status):
    assert network.managed_interfaces.decide(NETWORKS, Routes(OWN, links), who, containers).status is status


NARROW = Routes(OWN, (replace(ETH0, mtu=1300), DOCKER0))
TELLS = view("host", large="ok", mtu=1300)
FILTERED = OLD.replace(
    "[0:0] -A FORWARD", "[0:0] -A OUTPUT -p icmp -m icmp --icmp-type 3/4 -j DROP\n[0:0] -A FORWARD", 1
)
CLAMPED = (
    OLD
    + "*mangle\n:FORWARD ACCEPT [0:0]\n[0:0] -A FORWARD -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu\n"
)


@pytest.mark.parametrize(
    ("seen", "routes", "ruleset", "status"),
    [
        (WELL, ROUTES, OLD, PASS),
        (LOST, ROUTES, OLD, UNKNOWN),
        (
            inside(view("default bridge", large="EMSGSIZE"), view("user network", large="EMSGSIZE"), TELLS),
            NARROW,
            OLD,
            PASS,
        ),
        (inside(view("default bridge", large="timeout"), "ok", TELLS), NARROW, OLD, FAIL),
        (inside(view("default bridge", large="timeout"), "ok", TELLS), NARROW, FILTERED, FAIL),
        (inside(view("default bridge", large="timeout"), "ok", TELLS), NARROW, CLAMPED, PASS),
        # A gateway that never answers large pings does not answer the host's either.
        (inside(view("default bridge", large="timeout"), "ok", view("host", large="timeout")), ROUTES, OLD, PASS),
        (inside(view("default bridge", large="timeout"), "ok"), ROUTES, OLD, FAIL),
    ],
)
def test_mtu(seen, routes, ruleset, status):
    found = network.mtu.decide(seen, routes, NETWORKS, rules(ruleset), None)
    assert found.status is status
    if ruleset is FILTERED:
        assert found.fix[0] == "iptables -D OUTPUT -p icmp -m icmp --icmp-type 3/4 -j DROP"


def resolver(*servers):
    return HostResolver(ResolvConf("/etc/resolv.conf", True, nameservers=servers), ResolvConf("/run/x", False))


CONTAINER = Container("1" * 64, "dns", "dns", "running", "Up", networks=(Attachment("shop", "x", "172.18.0.2"),))


@pytest.mark.parametrize(
    ("routes", "servers", "status"),
    [
        (ROUTES, (), PASS),
        (routed(Route("10.8.0.0/24", "tun0")), (), PASS),
        (routed(Route("172.18.0.0/16", "tun0")), (), FAIL),  # the same range
        (routed(Route("172.16.0.0/12", "tun0", "10.8.0.1")), (), FAIL),  # Docker's is the more specific
        (routed(Route("172.17.40.0/24", "tun0")), (), FAIL),  # the VPN's is
        (routed(Route("0.0.0.0/1", "tun0"), Route("128.0.0.0/1", "tun0")), (), PASS),  # "redirect-gateway def1"
        (routed(Route("172.16.0.0/12", "eth0", GATEWAY)), (), PASS),  # where the default route leads anyway
        (routed(Route("172.18.0.0/16", "tun1")), (), PASS),  # its interface is down
        (ROUTES, ("172.18.0.53",), FAIL),
        (ROUTES, ("172.18.0.2",), PASS),  # a container's
        (ROUTES, ("172.17.0.1",), PASS),  # the host's own
        (ROUTES, ("10.0.0.53", "fe80::1", "127.0.0.53"), PASS),
    ],
)
def test_subnet_overlap(routes, servers, status):
    found = addresses.subnet_overlap.decide(
        NETWORKS, routes, resolver(*servers), None, info(), Containers((CONTAINER,))
    )
    assert found.status is status


def test_subnet_overlap_moves_to_a_free_range():
    routes = routed(Route("172.18.0.0/16", "tun0"), Route("10.210.0.0/15", "tun0"))
    found = addresses.subnet_overlap.decide(NETWORKS, routes, None, None, None, Containers((CONTAINER,)))
    commands = [c for c in found.fix if not c.startswith("#")]
    assert commands == [
        "docker network disconnect --force shop dns",
        "docker network rm shop",
        "docker network create --subnet 10.212.0.0/24 shop",
        "docker network connect shop dns",
    ]


def test_a_bridge_that_was_left():
    left = Interface("br-0123456789ab", 1500, True, "bridge")
    for bridge, fix in ((left, "ip link delete br-0123456789ab"), (replace(left, ports=1), addresses.OVERLAP_STEP)):
        routes = Routes((*OWN, Route("172.17.0.0/16", left.name)), (*LINKS, bridge))
        found = addresses.subnet_overlap.decide(NETWORKS, routes, None, None, None, None)
        assert found.fix[0] == fix


def test_what_a_network_is_called_is_no_command():
    odd = replace(NETWORKS.all[-1], name="a $(reboot)", labels=(("x", "y; reboot"),))
    commands = list(addresses.move(odd, ipaddress.ip_network("10.9.0.0/16"), None, None))
    assert commands == [
        "docker network rm 'a $(reboot)'",
        "docker network create --subnet 10.9.0.0/24 --label 'x=y; reboot' 'a $(reboot)'",
    ]


FULL = View("user network", error="all predefined address pools have been fully subnetted")


@pytest.mark.parametrize(
    ("pools", "routes", "seen", "status"),
    [
        ((), ROUTES, None, PASS),
        ((("172.17.0.0/16", 16), ("172.18.0.0/16", 16)), ROUTES, None, FAIL),
        ((("172.17.0.0/16", 16), ("172.18.0.0/16", 16)), ROUTES, WELL, PASS),  # measured: there was room
        ((), ROUTES, inside(user=FULL), FAIL),
        ((("10.99.0.0/16", 24),), routed(Route("10.0.0.0/8", "tun0")), None, FAIL),
        ((), routed(Route("10.0.0.0/8", "tun0")), None, PASS),
        # Pools of IPv6 beside others, and alone: the default ones for IPv4 stay.
        ((("fd00::/48", 64), ("172.17.0.0/16", 16)), ROUTES, None, FAIL),
        ((("fd00::/48", 64),), ROUTES, None, PASS),
    ],
)
def test_address_pools(pools, routes, seen, status):
    found = addresses.address_pools.decide(NETWORKS, routes, info(*pools), seen, Containers((CONTAINER,)), None)
    assert found.status is status


LATER = managers(("firewalld", "active", 130.0))
FLUSHING = managers(("nftables", "active", 130.0), flushes=("/etc/nftables.conf:3",), nft_tables=("inet filter",))


def without(*starts, text=OLD):
    return (
        "\n".join(line for line in text.splitlines() if not line.startswith(starts))
        + "\n[0:0] -A FORWARD -i lo -j ACCEPT\n"
    )


@pytest.mark.parametrize(
    ("ruleset", "settings", "networks", "engine", "status"),
    [
        (rules(), None, NETWORKS, info(), PASS),
        (rules(NEW), None, NETWORKS, info(), PASS),
        (rules(EMPTY), None, NETWORKS, info(), FAIL),
        (rules(without("[0:0] -A FORWARD")), None, NETWORKS, info(), FAIL),
        (rules(without("[0:0] -A PREROUTING")), None, NETWORKS, info(), FAIL),
        (rules(EMPTY), config(iptables=False), NETWORKS, info(), SKIP),
        (rules(EMPTY), None, NONE, info(), SKIP),
        (rules(EMPTY), None, NETWORKS, info(security=("name=rootless",)), SKIP),
        (rules(EMPTY, legacy=OLD), None, NETWORKS, info(), PASS),  # they are in the other backend
        (rules(EMPTY, nft=SECOND.replace('"fw"', '"docker-bridges"')), None, NETWORKS, info(), PASS),  # Engine 29
        (rules(EMPTY), config(firewall_backend="nftables"), NETWORKS, info(), FAIL),
    ],
)
def test_docker_chains(ruleset, settings, networks, engine, status):
    assert chains.docker_chains.decide(ruleset, networks, engine, LATER, settings, None, None).status is status


def test_docker_chains_names_who_flushed_them():
    found = chains.docker_chains.decide(rules(EMPTY), NETWORKS, info(), LATER, None, None, None)
    assert "firewalld.service" in found.cause
    assert any("30 s after" in e.saw for e in found.evidence)
    found = chains.docker_chains.decide(
        rules(EMPTY), NETWORKS, info(), managers(("firewalld", "active", 5.0)), None, None, None
    )
    assert "firewalld" not in found.cause


@pytest.mark.parametrize(
    ("ruleset", "who", "status"),
    [
        (rules(), FLUSHING, PASS),
        (rules(EMPTY), FLUSHING, FAIL),
        (rules(EMPTY), LATER, PASS),
        (rules(EMPTY), replace(FLUSHING, docker=Service("docker.service", "active", "enabled", 200.0)), PASS),
        (rules(EMPTY), replace(FLUSHING, flushes=()), PASS),
        (rules(EMPTY), replace(FLUSHING, flushes=(), nftables_stop_flushes=True), FAIL),
    ],
)
def test_nft_flush(ruleset, who, status):
    assert chains.nft_flush.decide(ruleset, NETWORKS, info(), who, None).status is status


OFF = config(iptables=False)
MASKED = EMPTY + "[0:0] -A POSTROUTING -s 172.16.0.0/12 -o eth0 -j MASQUERADE\n"


@pytest.mark.parametrize(
    ("settings", "ruleset", "seen", "status"),
    [
        (None, rules(), WELL, PASS),
        (OFF, rules(EMPTY), WELL, PASS),
        (OFF, rules(EMPTY), LOST, FAIL),
        (OFF, rules(MASKED), LOST, PASS),  # something else is wrong then
        (OFF, rules(MASKED.replace("FORWARD ACCEPT", "FORWARD DROP")), LOST, FAIL),
        (OFF, rules(MASKED), None, PASS),
        (OFF, None, None, UNKNOWN),
        (replace(config(), flags=("--iptables=false",)), rules(EMPTY), LOST, FAIL),
    ],
)
def test_iptables_off(settings, ruleset, seen, status):
    found = chains.iptables_off.decide(NETWORKS, ROUTES, settings or config(), ruleset, seen, None)
    assert found.status is status


UNMASKED = OLD.replace("[0:0] -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE\n", "")
NO_MASQ = net(enable_ip_masquerade="false")


@pytest.mark.parametrize(
    ("ruleset", "networks", "seen", "status"),
    [
        (rules(), NETWORKS, WELL, PASS),
        (rules(UNMASKED), NETWORKS, LOST, FAIL),
        (rules(UNMASKED), NETWORKS, None, FAIL),
        (rules(UNMASKED), NETWORKS, WELL, PASS),  # measured: somebody knows the way back
        (rules(UNMASKED), Networks((NO_MASQ,)), LOST, FAIL),
        (rules(UNMASKED), Networks((NO_MASQ,)), WELL, PASS),
        (rules(UNMASKED), Networks((NO_MASQ,)), None, PASS),
        (rules(), Networks((DEFAULT, net("x", "br-x", "10.44.0.0/24"))), WELL, FAIL),
        (rules(), Networks((DEFAULT, net("x", "br-x", "10.44.0.0/24", internal=True))), WELL, PASS),
        (rules(), Networks((DEFAULT, net("x", "br-x", "10.44.0.0/24", enable_ip_masquerade="false"))), WELL, PASS),
        (rules(), Networks((DEFAULT, net("x", "br-x", "10.44.0.0/24", gateway_mode_ipv4="routed"))), WELL, PASS),
    ],
)
def test_masquerade(ruleset, networks, seen, status):
    found = chains.masquerade.decide(ruleset, networks, ROUTES, info(), None, seen, None)
    assert found.status is status


DROP = "[0:0] -A FORWARD -i docker0 -j DROP\n"
USER = OLD.replace(
    "[0:0] -A DOCKER-USER -j RETURN", "[0:0] -A DOCKER-USER -i docker0 -j DROP\n[0:0] -A DOCKER-USER -j RETURN"
)
CASES = {
    "well": (rules(policy="DROP"), LOST, None),
    "engine-28": (rules(NEW), LOST, None),
    "drop": (rules(more=DROP), LOST, "network.forward-drop"),
    "drop-passive": (rules(more=DROP), None, "network.forward-drop"),
    # What was measured has the last word.
    "drop-yet-well": (rules(more=DROP), WELL, None),
    "policy": (rules(without("[0:0] -A FORWARD -i docker0 ! -o"), policy="DROP"), LOST, "network.forward-drop"),
    "user": (rules(USER), LOST, "network.docker-user"),
    "nft": (rules(nft=SECOND), LOST, "network.nft-drop"),
    "legacy": (rules(legacy=CLOSED), LOST, "network.iptables-split"),
    "legacy-open": (rules(legacy=EMPTY), LOST, None),
}
DECIDERS = (firewall.forward_drop, firewall.docker_user, firewall.nft_drop, firewall.iptables_split)


@pytest.mark.parametrize("case", CASES)
def test_blocked(case):
    ruleset, seen, expected = CASES[case]
    known = {"managers": managers(), "config": None, "firewall": ruleset, "networks": NETWORKS, "routes": ROUTES}
    known |= {"inside": seen, "dns": None, "moved": None, "containers": None}
    failing = [c.id for c in DECIDERS if c.decide(**{n: known[n] for n in c.needs}).status is FAIL]
    assert failing == ([expected] if expected else [])


def test_a_rule_that_only_counters_convict():
    ruleset = rules(more="[0:0] -A FORWARD -m length --length 40:2000 -j DROP\n")
    drops = Moved((("iptables -t filter, chain FORWARD", "-m length --length 40:2000 -j DROP", 4),))
    for moved, status in ((None, PASS), (drops, FAIL)):
        found = firewall.forward_drop.decide(ruleset, NETWORKS, ROUTES, None, LOST, None, moved, None, None)
        assert found.status is status


@pytest.mark.parametrize(
    ("ruleset", "calls", "status"),
    [
        (rules(policy="DROP"), "1", PASS),
        (rules(CLOSED), "0", SKIP),
        (rules(CLOSED), "1", FAIL),
        (rules(NEW), "1", PASS),
    ],
)
def test_bridge_filter(ruleset, calls, status):
    found = neighbours.bridge_filter.decide(ruleset, Networks((DEFAULT,)), kernel(bridge_calls_iptables=calls), None)
    assert found.status is status


def web(host_ip="0.0.0.0"):
    ports = (PortBinding(80, "tcp", host_ip, 8080),)
    return Containers(
        (Container("1" * 64, "web", "web", "running", "Up", (), ports, (Attachment("bridge", "x", "172.17.0.2"),)),)
    )


SHUT = NEW.replace("-A DOCKER-USER -j RETURN", "").replace(
    "[0:0] -A DOCKER -d", "[0:0] -A DOCKER-USER -i eth0 -o docker0 -j DROP\n[0:0] -A DOCKER -d", 1
)
SOME = SHUT.replace("-A DOCKER-USER -i", "-A DOCKER-USER ! -s 10.0.0.0/8 -i")


@pytest.mark.parametrize(
    ("ruleset", "containers", "status"),
    [
        (rules(NEW), web(), PASS),
        (rules(NEW), Containers(()), SKIP),
        (rules(SHUT), web(), FAIL),
        (rules(SHUT), web("127.0.0.1"), SKIP),
        (rules(SOME), web(), PASS),  # open to some
    ],
)
def test_published_filter(ruleset, containers, status):
    found = exposure.published_filter.decide(ruleset, Networks((DEFAULT,)), ROUTES, containers, None)
    assert found.status is status


DNS = HostDns((DnsAnswer("10.0.0.53", "udp", "x", "NXDOMAIN"),))
SAID = (DnsAnswer("10.0.0.53", "udp", "x", "NXDOMAIN"),)
MUTE = (DnsAnswer("10.0.0.53", "udp", "x", "timeout"),)


@pytest.mark.parametrize(
    ("seen", "networks", "settings", "status"),
    [
        (WELL, NETWORKS, None, PASS),
        (LOST, NETWORKS, None, FAIL),
        (LOST, NONE, None, SKIP),
        (inside("ok", "timeout"), NETWORKS, None, FAIL),
        (inside("ok", "timeout"), NETWORKS, OFF, PASS),  # rules made by hand know nothing of a new network
        # The gateway answers nobody: nothing can be compared, or the nameserver can.
        (inside("timeout", "timeout", view("host", "timeout")), NETWORKS, None, UNKNOWN),
        (
            Inside(view("host", "timeout"), View("default bridge", dns=SAID), View("user network", dns=SAID)),
            NETWORKS,
            None,
            PASS,
        ),
        (
            Inside(view("host", "timeout"), View("default bridge", dns=MUTE), View("user network", dns=SAID)),
            NETWORKS,
            None,
            FAIL,
        ),
        # Pings pass, and no conversation does.
        (inside(view("default bridge", tcp="timeout"), view("user network", tcp="timeout")), NETWORKS, None, FAIL),
        (inside(View("default bridge", error="could not find bridge docker0"), "ok"), NETWORKS, None, FAIL),
        (
            inside(View("default bridge", error="no space left"), View("user network", error="no space left")),
            NETWORKS,
            None,
            UNKNOWN,
        ),
    ],
)
def test_egress(seen, networks, settings, status):
    assert reach.egress.decide(seen, ROUTES, networks, DNS, None, settings, None).status is status


def dialled(*outcomes):
    return tuple(Published("host", f"{a}:8080", o) for a, o in zip(("127.0.0.1", "10.0.0.5"), outcomes, strict=False))


@pytest.mark.parametrize(
    ("seen", "status"),
    [
        (inside(published=dialled("ok", "ok")), PASS),
        (inside(published=dialled("ok", "timeout")), FAIL),
        (inside(publish_error="driver failed programming external connectivity"), FAIL),
        (inside(), UNKNOWN),
        # Between networks of Docker's, isolation is by design.
        (inside(published=(*dialled("ok"), Published("user network", "10.0.0.5:8080", "timeout"))), PASS),
    ],
)
def test_published_port(seen, status):
    assert reach.published_port.decide(seen, NETWORKS, None, DaemonProcess(7)).status is status


AWAY = replace(NETWORKS, elsewhere="a rootless engine keeps its networks in a namespace of its own")


@pytest.mark.parametrize(
    "finding",
    [
        network.ip_forward.decide(kernel("0"), AWAY, Routes((), (ETH0,)), None),
        network.bridge.decide(AWAY, Routes((), (ETH0,)), None),
        network.bridge_address.decide(AWAY, Routes((), (ETH0,))),
        network.managed_interfaces.decide(AWAY, Routes((), (ETH0,)), Managers(), None),
        addresses.subnet_overlap.decide(AWAY, routed(Route("172.18.0.0/16", "tun0")), None, None, None, None),
        addresses.address_pools.decide(
            AWAY, routed(Route("10.99.0.0/16", "tun0")), info(("10.99.0.0/16", 16)), None, None, None
        ),
        chains.docker_chains.decide(Firewall(()), AWAY, info(), None, None, None, None),
        chains.iptables_off.decide(AWAY, ROUTES, config(iptables=False), Firewall(()), None, None),
        chains.masquerade.decide(Firewall(()), AWAY, ROUTES, info(), None, None, None),
        neighbours.bridge_filter.decide(rules(policy="DROP"), AWAY, kernel(bridge_calls_iptables="1"), None),
        exposure.published_filter.decide(rules(), AWAY, ROUTES, Containers(()), None),
        reach.published_port.decide(inside(published=dialled("ECONNREFUSED")), AWAY, None, DaemonProcess(0)),
    ],
)
def test_networks_that_are_elsewhere(finding):
    assert finding.status is SKIP


def test_rules_of_this_host_do_not_convict_networks_elsewhere():
    assert firewall.blocked_ways(rules(policy="DROP"), AWAY, ROUTES, None, None, None, None) == ()


BARE_LINKS = (ETH0, replace(DOCKER0, addresses=("172.17.0.1/32",)), BR_SHOP)


@pytest.mark.parametrize(
    ("routes", "networks", "status"),
    [
        (ROUTES, NETWORKS, PASS),
        (Routes(tuple(r for r in OWN if r.device != "docker0"), LINKS), NETWORKS, FAIL),
        (Routes(tuple(r for r in OWN if r.device != "docker0"), BARE_LINKS), NETWORKS, FAIL),
        (
            Routes((*OWN[:2], Route("172.17.0.0/24", "docker0"), OWN[3]), LINKS),
            NETWORKS,
            PASS,
        ),  # somebody's own, narrower
        (Routes((*OWN[:2], OWN[3]), (ETH0, replace(DOCKER0, up=False), BR_SHOP)), NETWORKS, PASS),  # links-up says it
        (Routes((*OWN[:2], OWN[3]), (ETH0, replace(DOCKER0, addresses=()), BR_SHOP)), NETWORKS, PASS),  # bridge-address
        (Routes(OWN[:2], LINKS), Networks((net(inhibit_ipv4="true"),)), PASS),
        (ROUTES, NONE, SKIP),
    ],
)
def test_bridge_route(routes, networks, status):
    found = network.bridge_route.decide(networks, routes)
    assert found.status is status
    if status is FAIL:
        assert found.fix == ("ip route replace 172.17.0.0/16 dev docker0 src 172.17.0.1",)


TO_PROXY = "*nat\n:PREROUTING ACCEPT [0:0]\n[0:0] -A PREROUTING {} -p tcp -j REDIRECT --to-ports 3129\n"
NO_TCP = inside(view("default bridge", tcp="ECONNREFUSED"))


@pytest.mark.parametrize(
    ("where", "inside", "status"),
    [
        ("-i docker0", NO_TCP, FAIL),
        ("-i eth0", NO_TCP, PASS),
        ("-i docker0 -d 192.0.2.1/32", NO_TCP, PASS),
        ("-i docker0", WELL, PASS),  # the proxy answers
        ("-i docker0", LOST, PASS),  # pings are lost, which it does not touch
    ],
)
def test_redirected(where, inside, status):
    text = OLD.replace("*nat\n", TO_PROXY.format(where).partition(":PREROUTING")[0]).replace(
        "-A PREROUTING", f"-A PREROUTING {where} -p tcp -j REDIRECT --to-ports 3129\n[0:0] -A PREROUTING", 1
    )
    found = firewall.sent_elsewhere.decide(rules(text), NETWORKS, ROUTES, inside, None)
    assert found.status is status

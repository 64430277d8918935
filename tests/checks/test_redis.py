"""Redis: each client's first obstacle is named, and by one check only."""

from dataclasses import replace

import pytest

from dockerdoctor.checks import redis as checks
from dockerdoctor.facts.containers import Attachment, Container, Containers, Network, Networks, PortBinding
from dockerdoctor.facts.redis import Redis, RedisClient, RedisServer
from dockerdoctor.model import Check, Status

BRIDGE = Network(
    "0",
    "bridge",
    "bridge",
    internal=False,
    ipv6=False,
    subnets=("172.17.0.0/16",),
    gateways=("172.17.0.1",),
    options=(),
    labels=(),
)
APP = replace(BRIDGE, id="1", name="app", subnets=("10.1.0.0/24",), gateways=("10.1.0.1",))
OTHER = replace(BRIDGE, id="2", name="other", subnets=("10.2.0.0/24",), gateways=("10.2.0.1",))
NETWORKS = Networks((BRIDGE, APP, OTHER))


def on(network, ip, *aliases):
    return Attachment(network.name, network.id, ip, aliases)


WEB = Container("w" * 64, "web", "app:1", "running", "Up", networks=(on(APP, "10.1.0.9"),))
REDIS = Container("r" * 64, "redis", "redis:7", "running", "Up", networks=(on(APP, "10.1.0.2"),))
STOPPED = replace(REDIS, state="exited", status="Exited (1)", exit_code=1)
SERVER = RedisServer(REDIS.id, "redis", running=True, listening=("0.0.0.0:6379", "[::]:6379"))
WELL = RedisClient(
    WEB.id, "web", "REDIS_HOST", "redis", 6379, optional=False, password=False, asked_from="container",
    resolution="ok", addresses=("10.1.0.2",), said_by="127.0.0.11", tried="10.1.0.2", dial="ok", reply="+PONG",
)  # fmt: skip
LOST = replace(WELL, resolution="NXDOMAIN", addresses=(), tried="", dial="", reply="")
STRANGER = replace(
    WELL, addresses=("203.0.113.9",), said_by="127.0.0.11, as for any name in lab", tried="203.0.113.9", dial="timeout", reply=""
)  # fmt: skip
REFUSED = replace(WELL, dial="ECONNREFUSED", reply="")
SILENT = replace(WELL, dial="timeout", reply="")
ALONE = replace(REFUSED, host="localhost", addresses=("127.0.0.1",), tried="127.0.0.1")


def says(reply, **more):
    return replace(WELL, reply=reply, **more)


def told(**info):
    return replace(WELL, info=tuple(info.items()))


def moved(container, *ends):
    return replace(container, networks=ends)


def results(client, containers, server=SERVER, on_host=()):
    servers = (server,) if server else ()
    facts = Redis(servers, tuple(on_host), (client,)), Containers(tuple(containers)), NETWORKS
    return {c.id: c.decide(*facts) for c in vars(checks).values() if isinstance(c, Check)}


def only(kind, found):
    assert [i for i, f in found.items() if f.status is Status.FAIL] == ([f"redis.{kind}"] if kind else [])
    return found.get(f"redis.{kind}")


BOTH = (WEB, REDIS)
NAMES = "name-not-resolved"


@pytest.mark.parametrize(
    ("client", "containers", "kind", "first_step"),
    [
        (WELL, BOTH, "", ""),
        (LOST, (WEB, STOPPED), "server-not-running", "# first repair"),
        (LOST, (WEB, replace(STOPPED, exit_code=0)), "server-not-running", "docker start redis"),
        (LOST, (WEB, replace(STOPPED, state="paused")), "server-not-running", "docker unpause redis"),
        (LOST, (moved(WEB, on(BRIDGE, "172.17.0.2")), moved(REDIS, on(BRIDGE, "172.17.0.3"))), NAMES, "docker network create redis-net"),
        (LOST, (WEB, replace(REDIS, name="cache")), NAMES, "docker network create redis-net"),
        (LOST, (replace(WEB, network_mode="host", networks=()), REDIS), NAMES, "# publish Redis on 127.0.0.1:6379"),
        (replace(LOST, host="redis.example.org"), BOTH, NAMES, "# correct REDIS_HOST"),
        (LOST, (WEB, moved(REDIS, on(OTHER, "10.2.0.2"))), "different-network", "docker network connect other web"),
        # A search domain that has an address for any name stands in for the container that cannot be seen.
        (STRANGER, (WEB, moved(REDIS, on(OTHER, "10.2.0.2"))), "different-network", "docker network connect other web"),
        (replace(STRANGER, dial="ok", reply=""), (WEB, moved(REDIS, on(OTHER, "10.2.0.2"))), "different-network", "docker network connect other web"),
        (replace(STRANGER, dial="ok", reply="+PONG"), (WEB, moved(REDIS, on(OTHER, "10.2.0.2"))), "", ""),
        (LOST, (WEB, moved(REDIS, on(BRIDGE, "172.17.0.3"))), "different-network", "docker network create redis-net"),
        (LOST, (moved(WEB, on(BRIDGE, "172.17.0.2")), REDIS), "different-network", "docker network connect app web"),
        (replace(SILENT, host="10.2.0.2", resolution="literal", tried="10.2.0.2"), (WEB, moved(REDIS, on(OTHER, "10.2.0.2"))), "different-network", "docker network connect other web"),
        (ALONE, BOTH, "host-localhost-in-container", "# replace web by"),
        (ALONE, (WEB, moved(REDIS, on(BRIDGE, "172.17.0.3"))), "host-localhost-in-container", "docker network create redis-net"),
        (SILENT, BOTH, "firewalled-timeout", "iptables-save"),
        (replace(SILENT, dial="EHOSTUNREACH"), BOTH, "firewalled-timeout", "iptables-save"),
        (replace(REFUSED, host="10.1.0.77", tried="10.1.0.77", dial="EHOSTUNREACH"), BOTH, "server-not-running", "# let REDIS_HOST of web say redis"),
        (replace(REFUSED, host="192.0.2.1", tried="192.0.2.1"), BOTH, "server-not-running", "# start Redis at"),
        (says("-DENIED Redis is running in protected mode"), BOTH, "protected-mode", "docker exec redis redis-cli CONFIG SET"),
        (says("-DENIED Redis"), (WEB, replace(REDIS, ports=(PortBinding(6379, "tcp", "0.0.0.0", 6379),))), "protected-mode", "# set a password"),
        (says("-NOAUTH Authentication required."), BOTH, "auth-required", "# give it the password of Redis"),
        (says("-NOAUTH Authentication required.", password=None), BOTH, "", ""),
        (says("-WRONGPASS invalid", password=True), BOTH, "auth-required", "# give it the password of Redis"),
        (says("-ERR AUTH <password> called without any password configured", password=True), BOTH, "auth-required", "# take the password away"),
        (says("-LOADING Redis is loading the dataset in memory"), BOTH, "loading-or-maxclients", "# wait"),
        (says("-ERR max number of clients reached"), BOTH, "loading-or-maxclients", "# find who"),
        (says("timeout"), BOTH, "loading-or-maxclients", "docker stats"),
        (says("-NOPERM this user has no permissions to run the 'ping' command"), BOTH, "", ""),
        (replace(WELL, tls=True, reply=""), BOTH, "", ""),
        (told(role="slave", slave_read_only="1", master_host="primary"), BOTH, "writes-refused", "# let REDIS_HOST"),
        (replace(told(role="slave", slave_read_only="1"), source="REDIS_REPLICA_HOST"), BOTH, "", ""),
        (told(rdb_last_bgsave_status="err"), BOTH, "writes-refused", "# see why"),
        (told(rdb_last_bgsave_status="err", save=""), BOTH, "", ""),
        (told(rdb_last_bgsave_status="err", save="60 1", **{"stop-writes-on-bgsave-error": "no"}), BOTH, "", ""),
        (replace(told(rdb_last_bgsave_status="err"), reply="-MISCONF Redis is configured"), BOTH, "writes-refused", "# see why"),
        (says("-MISCONF Redis is configured"), BOTH, "writes-refused", "# see why"),
        (told(aof_last_write_status="err"), BOTH, "writes-refused", "# see why"),
        (told(maxmemory="1000", maxmemory_policy="noeviction", used_memory="1000"), BOTH, "writes-refused", "# raise"),
        (told(maxmemory="1000", maxmemory_policy="allkeys-lru", used_memory="1000"), BOTH, "", ""),
        (told(role="master", rdb_last_bgsave_status="ok", maxmemory="0", maxmemory_policy="noeviction", used_memory="9"), BOTH, "", ""),
        (replace(REFUSED, asked_from="host", dial="timeout"), BOTH, "", ""),  # what the host may not, the container may
    ],
)  # fmt: skip
def test_obstacles(client, containers, kind, first_step):
    found = only(kind, results(client, containers))
    if found:
        assert found.fix[0].startswith(first_step)


@pytest.mark.parametrize(
    ("listening", "kind"),
    [
        (("127.0.0.1:6379", "[::1]:6379"), "bind-loopback"),
        (("0.0.0.0:6380",), "server-not-running"),
        ((), "server-not-running"),
        (("0.0.0.0:6379",), "firewalled-timeout"),  # a firewall that rejects
    ],
)
def test_refused(listening, kind):
    only(kind, results(REFUSED, BOTH, replace(SERVER, listening=listening)))


@pytest.mark.parametrize(
    ("client", "restarts", "listening", "age", "kind"),
    [
        # It is started over and over: whatever is met between two ends follows from that.
        (REFUSED, 5, (), 0.3, "server-not-running"),
        (SILENT, 5, (), 0.3, "server-not-running"),
        (LOST, 5, (), 0.3, "server-not-running"),
        (SILENT, 5, ("0.0.0.0:6379",), 3600.0, "firewalled-timeout"),
        # It was started a moment ago, and listens in the next.
        (REFUSED, 0, (), 0.3, ""),
        (REFUSED, 0, ("127.0.0.1:6379",), 0.3, "bind-loopback"),
        (REFUSED, 0, (), 60.0, "server-not-running"),
    ],
)
def test_just_started(client, restarts, listening, age, kind):
    anew = replace(REDIS, restart_count=restarts, restart_policy="always")
    found = only(kind, results(client, (WEB, anew), replace(SERVER, listening=listening, age=age)))
    if restarts and age < 1:
        assert "containers.restart-loop" in found.because
        assert "started again 5 times" in found.summary


@pytest.mark.parametrize(
    ("addresses", "kind"),
    [(("127.0.0.1",), "bind-loopback"), ((), "server-not-running"), (("0.0.0.0",), "firewalled-timeout")],
)
def test_redis_on_the_host(addresses, kind):
    client = replace(REFUSED, host="host.docker.internal", tried="172.17.0.1")
    only(kind, results(client, (WEB,), None, addresses))


@pytest.mark.parametrize(
    ("addresses", "text"), [(("0.0.0.0",), "Redis runs on this host"), ((), "no Redis in any container")]
)
def test_localhost_without_a_redis_container(addresses, text):
    found = only("host-localhost-in-container", results(ALONE, (WEB,), None, addresses))
    assert text in found.cause


def test_no_redis_at_all():
    found = only(NAMES, results(LOST, (WEB,), None))
    assert found.fix == ("docker run -d --name redis --network app redis:7-alpine",)
    found = only(NAMES, results(LOST, (moved(WEB, on(BRIDGE, "172.17.0.2")),), None))
    assert found.fix[:2] == ("docker network create redis-net", "docker network connect redis-net web")


def test_a_port_that_could_not_be_had_is_the_cause():
    found = only("server-not-running", results(LOST, (WEB, replace(STOPPED, error="… bind: address already in use"))))
    assert set(found.because) == set(checks.PORT_CAUSES)
    assert only("server-not-running", results(LOST, (WEB, STOPPED))).because == ()
    # Why a container restarts over and over is the containers' area to say.
    looping = only("server-not-running", results(LOST, (WEB, replace(STOPPED, state="restarting"))))
    assert "containers.restart-loop" in looping.because


def test_only_what_concerns_names_outside_follows_from_dns():
    assert only(NAMES, results(replace(LOST, host="redis.example.org"), (WEB,), None)).because == (
        "dns.containers-resolve",
        "dns.split-names",
    )
    assert only(NAMES, results(LOST, (WEB, replace(REDIS, name="cache")))).because == ()


@pytest.mark.parametrize(
    ("client", "server", "kind"),
    [
        (replace(LOST, optional=True), SERVER, "optional-unreached"),
        (replace(WELL, optional=True), SERVER, ""),
        (replace(LOST, optional=True), None, ""),  # the page works without
    ],
)
def test_who_can_do_without(client, server, kind):
    only(kind, results(client, (WEB, *((replace(REDIS, name="cache"),) if server else ())), server))


def test_later_stages_are_not_judged():
    found = results(LOST, (WEB, STOPPED))
    assert found["redis.protected-mode"].status is Status.SKIP
    assert found["redis.different-network"].status is Status.PASS


def test_nobody_wants_redis():
    facts = Redis((), (), ()), Containers(()), NETWORKS
    assert {c.decide(*facts).status for c in vars(checks).values() if isinstance(c, Check)} == {Status.SKIP}


def test_what_only_root_sees():
    found = results(replace(WELL, resolution="unknown", dial="", reply="", addresses=()), BOTH)
    assert {f.status for i, f in found.items() if i != "redis.optional-unreached"} == {Status.UNKNOWN}


def test_an_own_network_gets_a_free_name():
    taken = Networks((*NETWORKS.all, replace(APP, name="redis-net")))
    facts = Redis((SERVER,), (), (LOST,)), Containers((WEB, replace(REDIS, name="cache"))), taken
    assert checks.name_not_resolved.decide(*facts).fix[0] == "docker network create redis-net2"


def verdict_of(client, containers, networks=NETWORKS):
    facts = Redis((SERVER,), (), (client,)), Containers(tuple(containers)), networks
    found = [c for c in vars(checks).values() if isinstance(c, Check) and c.decide(*facts).status is Status.FAIL]
    return [(c.id, c.decide(*facts)) for c in found]


def test_a_paused_redis_is_named_as_such():
    ((check, found),) = verdict_of(says("timeout"), (WEB, replace(REDIS, state="paused")))
    assert check == "redis.server-not-running"
    assert found.fix == ("docker unpause redis",)


def test_a_redis_published_on_the_hosts_loopback_alone():
    published = replace(REDIS, ports=(PortBinding(6379, "tcp", "127.0.0.1", 6379),))
    client = replace(REFUSED, host="h", addresses=("172.17.0.1",), tried="172.17.0.1")
    ((check, found),) = verdict_of(client, (WEB, published))
    assert check == "redis.bind-loopback"
    assert "say redis instead of h" in found.fix[-1]


def test_a_network_without_icc_is_the_cause():
    mute = replace(APP, options=(("com.docker.network.bridge.enable_icc", "false"),))
    ((check, found),) = verdict_of(SILENT, (WEB, REDIS), Networks((BRIDGE, mute)))
    assert (check, found.because) == ("redis.firewalled-timeout", ("network.icc",))
    assert "docker network disconnect app redis" in found.fix


def test_a_container_without_network_leaves_none_first():
    alone = replace(WEB, network_mode="none", networks=(Attachment("none", "n", ""),))
    ((_, found),) = verdict_of(LOST, (alone, REDIS))
    assert found.fix[:2] == ("docker network disconnect none web", "docker network connect app web")

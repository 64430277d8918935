"""Whether each container that wants Redis gets it; every check is one kind of obstacle."""

from __future__ import annotations

from dockerdoctor.checks.redis_obstacles import (
    BEYOND,
    CONNECT,
    DNS_CAUSES,
    GREETING,
    NAME,
    NEIGHBOURS,
    PORT_CAUSES,
    SERVER_CAUSES,
    WRITING,
    Case,
    Scene,
    case_of,
)
from dockerdoctor.examine import check, failed, passed, skipped, unknown
from dockerdoctor.facts.containers import Containers, Networks
from dockerdoctor.facts.redis import Redis
from dockerdoctor.model import Finding, Severity

USER_NETWORKS = "https://docs.docker.com/engine/network/drivers/bridge/"
SECURITY = "https://redis.io/docs/latest/operate/oss_and_stack/management/security/"


def judge(
    kind: str,
    stage: int,
    redis: Redis,
    containers: Containers,
    networks: Networks,
    good: str,
) -> Finding:
    """Fail when a client's first obstacle is of this kind."""
    required = [c for c in redis.clients if not c.optional]
    if not required:
        return skipped("no running container needs Redis")
    scene = Scene(redis, containers, networks)
    cases = [case_of(c, scene) for c in required]
    mine = [c for c in cases if c and c.kind == kind]
    if mine:
        return told(mine)
    told_of = [c for c in required if c.resolution not in {"", "unknown"}]
    if not told_of:
        return unknown(f"what {required[0].name} finds at {required[0].target} only root can see", how="# run as root")
    if all(case and case.stage < stage for case in cases):
        return skipped("no container gets as far as this")
    return passed(good)


def told(cases: list[Case]) -> Finding:
    """One finding of several cases."""
    first = cases[0]
    others = sorted({c.client.name for c in cases[1:]} - {first.client.name})
    because = {b for c in cases for b in c.because}
    return failed(
        first.summary + (f" (and so for {', '.join(others)})" if others else ""),
        *dict.fromkeys(e for c in cases for e in c.evidence),
        cause=first.cause,
        fix=tuple(dict.fromkeys(step for c in cases for step in c.fix)),
        impact=first.impact,
        because=sorted(because),
    )


# -- the catalogue ----------------------------------------------------------------------------------------------------


@check(
    "redis.server-not-running",
    title="The Redis that containers want runs",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/reference/cli/docker/container/start/",
    upstream=(*PORT_CAUSES, *SERVER_CAUSES),
)
def server_not_running(redis: Redis, containers: Containers, networks: Networks) -> Finding:
    """
    A container's name and address exist only while it runs.

    Why it matters: clients see "Name or service not known" or "Connection refused".
    How to fix: see why it ended, then start it.
    """
    return judge("not-running", NAME, redis, containers, networks, "every Redis that is wanted runs")


@check(
    "redis.host-localhost-in-container",
    title="No container looks for Redis in itself",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/engine/network/",
)
def host_localhost_in_container(redis: Redis, containers: Containers, networks: Networks) -> Finding:
    """
    “localhost” inside a container is the container: Redis is in another one, or on the host.

    Why it matters: "Error 111 connecting to localhost:6379. Connection refused."
    How to fix: name the Redis container, on a network that both are connected to.
    """
    return judge(
        "host-localhost-in-container",
        NAME,
        redis,
        containers,
        networks,
        "no container that needs Redis looks for it in itself",
    )


@check(
    "redis.different-network",
    title="Containers have a network in common with their Redis",
    severity=Severity.ERROR,
    docs=USER_NETWORKS,
)
def different_network(redis: Redis, containers: Containers, networks: Networks) -> Finding:
    """
    Docker's networks are apart: names are not resolved across them, and packets are dropped.

    Why it matters: two compose projects do not see each other's services.
    How to fix: connect the client to the server's network.
    """
    return judge("different-network", NAME, redis, containers, networks, "clients and servers are on one network")


@check(
    "redis.name-not-resolved",
    title="Containers resolve the name of their Redis",
    severity=Severity.ERROR,
    docs=USER_NETWORKS,
    upstream=DNS_CAUSES,
)
def name_not_resolved(redis: Redis, containers: Containers, networks: Networks) -> Finding:
    """
    Docker resolves container names on user-defined networks; on the default bridge it resolves none.

    Why it matters: "Error -2 connecting to redis:6379. Name or service not known."
    How to fix: put both on a user-defined network, under the name that is asked for.
    """
    return judge(
        "name-not-resolved", NAME, redis, containers, networks, "the name of each Redis is resolved where it is wanted"
    )


@check(
    "redis.bind-loopback",
    title="Redis listens where its clients are",
    severity=Severity.ERROR,
    docs=SECURITY,
)
def bind_loopback(redis: Redis, containers: Containers, networks: Networks) -> Finding:
    """
    `bind 127.0.0.1 -::1`, as distributions ship it, listens on the loopback only: in a container that is nobody's.

    Why it matters: connections are refused, while redis-cli in the container gets its PONG.
    How to fix: remove the directive, and protect Redis by its network or a password.
    """
    return judge(
        "bind-loopback", CONNECT, redis, containers, networks, "no Redis that is wanted listens on its loopback only"
    )


@check(
    "redis.firewalled-timeout",
    title="Packets between containers and their Redis arrive",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/engine/network/packet-filtering-firewalls/",
    upstream=(*NEIGHBOURS, *BEYOND),
)
def firewalled_timeout(redis: Redis, containers: Containers, networks: Networks) -> Finding:
    """
    A closed port refuses at once; silence means that packets are dropped, or that the address is nobody's.

    Why it matters: clients hang until their timeout.
    How to fix: find the rule that drops them.
    """
    return judge("firewalled-timeout", CONNECT, redis, containers, networks, "whoever is asked for Redis answers")


@check(
    "redis.protected-mode",
    title="Redis is not in protected mode towards its clients",
    severity=Severity.ERROR,
    docs=SECURITY,
)
def protected_mode(redis: Redis, containers: Containers, networks: Networks) -> Finding:
    """
    Redis without a password and without `bind` turns all but its own loopback away; the official image switches this off.

    Why it matters: "DENIED Redis is running in protected mode".
    How to fix: set a password, or switch it off where the network protects Redis.
    """
    return judge("protected-mode", GREETING, redis, containers, networks, "no Redis turns its clients away")


@check(
    "redis.auth-required", title="Containers have the password of their Redis", severity=Severity.ERROR, docs=SECURITY
)
def auth_required(redis: Redis, containers: Containers, networks: Networks) -> Finding:
    """
    The password in a client's settings must be the server's; one that the server does not have is refused as well.

    Why it matters: "NOAUTH Authentication required", "WRONGPASS invalid username-password pair".
    How to fix: give the client the server's password.
    """
    return judge("auth-required", GREETING, redis, containers, networks, "no Redis refuses a password or misses one")


@check(
    "redis.loading-or-maxclients",
    title="Redis has time for its clients",
    severity=Severity.ERROR,
    docs="https://redis.io/docs/latest/develop/reference/clients/",
)
def loading_or_maxclients(redis: Redis, containers: Containers, networks: Networks) -> Finding:
    """
    While it loads its data Redis answers nothing else, and it serves so many clients and no more.

    Why it matters: "LOADING Redis is loading the dataset in memory", "max number of clients reached".
    How to fix: wait; find who keeps connections open.
    """
    return judge("loading-or-maxclients", GREETING, redis, containers, networks, "every Redis that is reached answers")


@check(
    "redis.writes-refused",
    title="Redis accepts writes",
    severity=Severity.ERROR,
    docs="https://redis.io/docs/latest/operate/oss_and_stack/management/persistence/",
)
def writes_refused(redis: Redis, containers: Containers, networks: Networks) -> Finding:
    """
    A Redis that cannot save, has no memory left or is a replica answers reads and refuses writes.

    Why it matters: "MISCONF Redis is configured to save RDB snapshots", "READONLY", "OOM command not allowed".
    How to fix: free its disk, raise its limit, or use the primary.
    """
    return judge("writes-refused", WRITING, redis, containers, networks, "no Redis that is reached refuses writes")


@check(
    "redis.optional-unreached",
    title="Containers that can do without Redis reach the one that is there",
    severity=Severity.WARNING,
    docs=USER_NETWORKS,
    upstream=PORT_CAUSES,
)
def optional_unreached(redis: Redis, containers: Containers, networks: Networks) -> Finding:
    """
    The sample's page works without its counter, and an image may name a Redis that nobody asked for.

    Where a Redis was started it is meant to be used, so one that is not reached is worth a word.

    Why it matters: the page says "cannot connect to Redis, counter disabled".
    How to fix: as the cause says.
    """
    optional = [c for c in redis.clients if c.optional]
    if not optional or not redis.servers:
        return skipped("no container that can do without Redis has one nearby")
    scene = Scene(redis, containers, networks)
    cases = [case for c in optional if (case := case_of(c, scene))]
    if cases:
        return told(cases)
    return passed(f"{', '.join(c.name for c in optional)}: Redis is reached")

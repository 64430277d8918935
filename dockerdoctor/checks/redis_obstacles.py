"""What stands between a container and its Redis: name, network, port, greeting, writes; the first obstacle is named."""

from __future__ import annotations

import ipaddress
import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass

from dockerdoctor.checks.endings import END_CAUSES, PROGRAM_CAUSES, SETTLED, START_CAUSES
from dockerdoctor.facts.containers import Container, Containers, Networks
from dockerdoctor.facts.endings import restarted
from dockerdoctor.facts.redis import Redis, RedisClient, RedisServer, named, peers
from dockerdoctor.model import Evidence

# How far a client got before it failed.
NAME, CONNECT, GREETING, WRITING = range(4)
ICC = "com.docker.network.bridge.enable_icc"
COMPOSE_PROJECT = "com.docker.compose.project"
# A client of a replica is content with reading.
READS_ONLY = re.compile(r"REPLICA|SLAVE|READ", re.IGNORECASE)
DNS_CAUSES = ("dns.containers-resolve", "dns.split-names")
# What comes between two containers on one bridge, and between a container and what lies beyond its bridge.
NEIGHBOURS = ("network.bridge", "network.managed-interfaces", "network.bridge-filter", "network.icc")
BEYOND = (
    "network.ip-forward",
    "network.bridge-address",
    "network.docker-chains",
    "network.masquerade",
    "network.forward-drop",
    "network.docker-user",
    "network.nft-drop",
    "network.host-firewall",
    "network.egress",
)
PORT_CAUSES = ("ports.in-use-by-host-process", "ports.already-allocated")
# Why a server's own container does not run, or not for long.
SERVER_CAUSES = (*PROGRAM_CAUSES, *START_CAUSES, *END_CAUSES, "containers.restart-loop")


@dataclass(frozen=True)
class Case:
    """Why one client has no Redis."""

    kind: str
    stage: int
    client: RedisClient
    summary: str
    cause: str
    evidence: tuple[Evidence, ...] = ()
    fix: tuple[str, ...] = ()
    impact: str = ""
    because: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scene:
    """All that a case is judged by."""

    redis: Redis
    containers: Containers
    networks: Networks

    def container(self, container_id: str) -> Container:
        """One container by its id."""
        return next(c for c in self.containers.all if c.id == container_id)

    def place(self, client: RedisClient) -> Container:
        """The container whose network a client uses: its own, or the one that shares its network with it."""
        app = self.container(client.container)
        other = app.network_mode.partition("container:")[2]
        return next((c for c in self.containers.all if other and c.id == other), app)

    def server(self, app: Container) -> tuple[Container | None, RedisServer | None]:
        """The Redis that an application most likely means: of its compose project, and running, before all others."""
        project = dict(app.labels).get(COMPOSE_PROJECT)

        def rank(server: RedisServer) -> tuple[bool, bool]:
            return (dict(self.container(server.container).labels).get(COMPOSE_PROJECT) != project, not server.running)

        best = min(self.redis.servers, key=rank, default=None)
        return (self.container(best.container), best) if best else (None, None)

    def listening(self, container: Container) -> tuple[str, ...]:
        """What a Redis server listens on."""
        return next((s.listening for s in self.redis.servers if s.container == container.id), ())

    def young(self, container: Container) -> bool:
        """Whether it was started so short a while ago that what it does not do yet says nothing."""
        return any(s.container == container.id and 0 <= s.age < SETTLED for s in self.redis.servers)

    def ends_again(self, container: Container) -> bool:
        """Whether it was met between two of its ends, or may have been."""
        return restarted(container) and self.young(container)

    def log(self, container: Container) -> tuple[str, ...]:
        """The last lines of one that does not run."""
        return next((s.log for s in self.redis.servers if s.container == container.id), ())

    def owner(self, address: str) -> Container | None:
        """The running container that has an address."""
        return next((c for c in self.containers.running for n in c.networks if n.ip == address), None)

    def is_host(self, address: str) -> bool:
        """Whether an address is this host's, as containers see it."""
        return any(address in n.gateways for n in self.networks.all)

    def in_docker(self, address: str) -> bool:
        """Whether an address belongs to one of Docker's networks."""
        try:
            there = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(there in ipaddress.ip_network(s, strict=False) for n in self.networks.all for s in n.subnets)


def all_networks(container: Container) -> frozenset[str]:
    """Its networks, the default bridge included."""
    return frozenset(n.network for n in container.networks)


def is_loopback(name: str) -> bool:
    """Whether a name or address means the container itself."""
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return name == "localhost"


def listens_on(where: Iterable[str], port: int) -> list[str]:
    """The addresses among "127.0.0.1:6379" on which a port is listened to."""
    return [w.rpartition(":")[0].strip("[]") for w in where if w.endswith(f":{port}")]


def looked_up(client: RedisClient) -> Evidence:
    """Show how the name was resolved."""
    by = f" @{client.said_by}" if client.said_by else ""
    return Evidence(f"{client.host}{by}, from {client.name}", ", ".join(client.addresses) or client.resolution)


def wanted(client: RedisClient) -> Evidence:
    """Show where the wish is written."""
    where = f"docker inspect {client.name}" if client.source != "its code" else client.name
    return Evidence(f"{where}: {client.source}", client.target)


def on_networks(container: Container) -> Evidence:
    """Show what a container is connected to."""
    ends = (f"{n.network} ({', '.join(n.aliases)})" if n.aliases else n.network for n in container.networks)
    state = container.status if not container.running else ""
    return Evidence(f"docker inspect {container.name}: networks", ", ".join(ends) or state or "none")


def join(app: Container, server: Container, name: str, networks: Networks) -> tuple[str, ...]:
    """The commands after which an application finds a server under a name: none where it does; nothing is taken away."""
    known = [n for n in sorted(peers(server)) if named(name, server, n)]
    if set(known) & all_networks(app):
        return ()
    if known:
        # A container that was run without a network takes no other beside it.
        leave = (f"docker network disconnect none {app.name}",) if app.network_mode == "none" else ()
        # An internal network too: the two only talk to each other.
        return (*leave, f"docker network connect {shlex.quote(known[0])} {app.name}")
    return join_anew(app, server, name, networks)


def join_anew(app: Container, server: Container, name: str, networks: Networks) -> tuple[str, ...]:
    """The commands that give the two a network of their own."""
    taken = {n.name for n in networks.all}
    stem = f"{name.partition('.')[0]}-net"
    fresh = next(n for i in range(1, 99) if (n := f"{stem}{i if i > 1 else ''}") not in taken)
    return (
        f"docker network create {fresh}",
        f"docker network connect --alias {name} {fresh} {server.name}",
        f"docker network connect {fresh} {app.name}",
    )


def keep(app: Container) -> tuple[str, ...]:
    """Say what makes it last."""
    if COMPOSE_PROJECT in dict(app.labels):
        return ("# to keep it, give both services a network in common in the compose file",)
    return ()


def start(server: Container) -> tuple[str, ...]:
    """The commands that bring a stopped server back."""
    return (f"docker unpause {server.name}" if server.state == "paused" else f"docker start {server.name}",)


# -- the stages -------------------------------------------------------------------------------------------------------


def causes_of(server: Container) -> tuple[str, ...]:
    """The checks that may say why a server does not run."""
    if "already in use" in server.error or "already allocated" in server.error:
        return PORT_CAUSES
    return SERVER_CAUSES if server.error or server.oom_killed or restarted(server) else ()


def not_running(client: RedisClient, server: Container, scene: Scene) -> Case:
    """Its Redis is a container that does not run, or never for long."""
    log = scene.log(server)
    ended = f"exit code {server.exit_code}" + (", out of memory" if server.oom_killed else "")
    state = server.state if server.state in {"paused", "created", "restarting"} else f"{server.state}, {ended}"
    if server.running:
        state = f"started again {server.restart_count} times, and only just"
    reason = server.error or (f"Its last words: {log[-1]}" if log and server.exit_code else "")
    by_itself = server.exit_code in {0, 137, 143} and not server.error and not server.oom_killed
    look = () if by_itself or server.state == "paused" else ("# first repair what it complained of",)
    return Case(
        "not-running",
        NAME,
        client,
        f"{client.name} wants Redis at {client.target}, but container {server.name} does not run ({state})",
        f"Container {server.name} is {'restarting' if server.running else server.state}: "
        f"a container's name and address vanish when it ends. {reason}".strip(),
        (
            wanted(client),
            Evidence(f"docker inspect {server.name}: State", f"{server.status or server.state}; {ended}"),
            *(Evidence(f"docker logs {server.name}", line) for line in log[-4:]),
        ),
        (*look, *start(server)),
        because=causes_of(server),
    )


def unresolved(client: RedisClient, app: Container, scene: Scene) -> Case:
    """The name of its Redis leads nowhere."""
    same = [c for c in scene.containers.all if named(client.host, c)]
    meant = next((c for c in same if c.running), same[0] if same else None)
    if meant and (not meant.running or scene.ends_again(meant)):
        return not_running(client, meant, scene)
    seen: tuple[Evidence, ...] = (wanted(client), looked_up(client), on_networks(app))
    what = f"{client.name} cannot resolve {client.host}"
    if meant and not all_networks(app) & all_networks(meant) and app.network_mode != "host":
        return Case(
            "different-network",
            NAME,
            client,
            f"{client.name} and {meant.name} have no network in common",
            "Containers find and reach each other only on a network that both are connected to.",
            (*seen, on_networks(meant)),
            (*join(app, meant, client.host, scene.networks), *keep(app)),
        )
    server = meant or scene.server(app)[0]
    if app.network_mode == "host":
        cause = "A container on the host's network uses the host's resolver, which knows no container by name."
        fix: tuple[str, ...] = (f"# publish Redis on 127.0.0.1:{client.port}, and let {client.name} use that address",)
    elif not meant and "." in client.host:
        return Case(
            "name-not-resolved",
            NAME,
            client,
            f"{what} ({client.resolution})",
            f"The nameserver of {client.name} knows no address for {client.host}.",
            seen,
            (f"# correct {client.source} of {client.name}, or the name's DNS record",),
            because=DNS_CAUSES,
        )
    elif not server:
        network = min(peers(app), default="")
        cause = f"No container is called {client.host}, and none runs Redis."
        made = (
            ()
            if network
            else (f"docker network create {client.host}-net", f"docker network connect {client.host}-net {app.name}")
        )
        fix = (
            *made,
            f"docker run -d --name {client.host} --network {shlex.quote(network or f'{client.host}-net')} redis:7-alpine",
        )
    else:
        seen = (*seen, on_networks(server))
        fix = (*(() if server.running else start(server)), *join(app, server, client.host, scene.networks), *keep(app))
        if not peers(app):
            cause = f"{client.name} is on the default bridge, where Docker resolves no names; only user-defined networks have them."
        elif meant:
            cause = f"Docker's resolver did not find {client.host} for {client.name} ({client.resolution}), though both are on one network."
            fix = (f"docker restart {app.name}", "# if that does not help, see what dockerd says: journalctl -u docker")
        else:
            cause = f"No container on a network of {client.name} is called {client.host}; Redis runs in {server.name}."
        if not meant:
            fix = (*fix, f"# or let {client.source} of {client.name} say {server.name}")
    return Case("name-not-resolved", NAME, client, f"{what} ({client.resolution})", cause, seen, fix)


def lonely_localhost(client: RedisClient, app: Container, scene: Scene) -> Case:
    """It looks for Redis in itself."""
    server, _ = scene.server(app)
    seen: tuple[Evidence, ...] = (wanted(client), Evidence(f"connect {client.target}, from {client.name}", client.dial))
    fix: tuple[str, ...]
    if server:
        name = server.name
        there = f"Redis is in container {name}"
        fix = (
            *(() if server.running else start(server)),
            *join(app, server, name, scene.networks),
            f"# replace {client.name} by a container in which {client.source} says {name} instead of {client.host}",
            *keep(app),
        )
        seen = (*seen, on_networks(server))
    elif scene.redis.on_host:
        there = "Redis runs on this host"
        fix = (
            (
                f"# replace {client.name} by a container that is run with --add-host host.docker.internal:host-gateway, "
                f"and in which {client.source} says host.docker.internal instead of {client.host}"
            ),
        )
        seen = (*seen, Evidence("/proc/net/tcp", f"listening: {', '.join(f'{a}:6379' for a in scene.redis.on_host)}"))
        if all(is_loopback(a) for a in scene.redis.on_host):
            fix = (
                *fix,
                "# and let Redis listen on the address of Docker's bridge too (“bind” in redis.conf), with a password",
            )
    else:
        there = "there is no Redis in any container, nor on this host"
        fix = (f"# run Redis, and let {client.source} of {client.name} name it",)
    return Case(
        "host-localhost-in-container",
        NAME,
        client,
        f"{client.name} looks for Redis at {client.target}, which is {client.name} itself ({client.dial})",
        f"“{client.host}” inside a container is the container, not the host: {there}.",
        seen,
        fix,
        impact=f"replaces {client.name}",
    )


def unreached(client: RedisClient, app: Container, scene: Scene) -> Case | None:
    """The name leads to an address that does not accept."""
    owner = scene.owner(client.tried)
    where = f"{client.tried}:{client.port}"
    seen: tuple[Evidence, ...] = (wanted(client), *(() if client.resolution == "literal" else (looked_up(client),)))
    seen = (*seen, Evidence(f"connect {where}, from {client.asked_from}", client.dial))
    refused = client.dial == "ECONNREFUSED"
    if client.asked_from == "host" and not refused:
        return None  # what this host may not reach, the container may
    if owner and not all_networks(owner) & all_networks(app) and "host" not in {app.network_mode, owner.network_mode}:
        return Case(
            "different-network",
            NAME,
            client,
            f"{client.name} and {owner.name} have no network in common: {where} {client.dial}",
            "Docker keeps its networks apart: packets from one to another are dropped, whatever the address.",
            (*seen, on_networks(app), on_networks(owner)),
            (
                *join(app, owner, owner.name, scene.networks),
                f"# and let {client.source} of {client.name} say {owner.name}: addresses change"
                if client.resolution == "literal"
                else "# a name, not an address, keeps working",
                *keep(app),
            ),
        )
    if owner and scene.ends_again(owner):
        return not_running(client, owner, scene)
    if owner and refused and scene.young(owner) and not scene.listening(owner):
        return None  # it has only just been started
    if refused and (owner or scene.is_host(client.tried)):
        listening = scene.listening(owner) if owner else tuple(f"{a}:{client.port}" for a in scene.redis.on_host)
        name = owner.name if owner else "this host"
        if owner and not listening and not any(s.container == owner.id for s in scene.redis.servers):
            listening = ()  # no Redis server that we know of: what it listens on was not read
        on = listens_on(listening, client.port)
        source = Evidence(f"/proc/net/tcp of {name}", f"listening: {', '.join(listening) or 'nothing'}")
        if on and all(is_loopback(a) for a in on):
            persist = "the “bind” line of its redis.conf or its --bind argument"
            return Case(
                "bind-loopback",
                CONNECT,
                client,
                f"Redis in {name} listens on {', '.join(on)} only"
                if owner
                else f"Redis on {name} listens on {', '.join(on)} only",
                f"{client.name} asks at {where}, and loopback addresses can be reached from {name} itself alone.",
                (*seen, source),
                (
                    f"# remove {persist} ({name}), or add the address that containers use; set a password, or keep the port unpublished",
                    f"docker restart {owner.name}" if owner else "# then restart Redis",
                ),
                impact=f"restarts {name}" if owner else "",
            )
        if not on:
            instead = f"; it listens on {', '.join(listening)}" if listening else ""
            if kept := published_on_loopback(client, scene):
                return Case(
                    "bind-loopback",
                    CONNECT,
                    client,
                    f"Redis in {kept.name} is published on the host's loopback only, where {client.name} does not come by",
                    f"{client.name} asks at {where}; a container reaches another by its name, not by way of the host.",
                    (*seen, on_networks(kept)),
                    (
                        *join(app, kept, kept.name, scene.networks),
                        f"# and let {client.source} of {client.name} say {kept.name} instead of {client.host}",
                        *keep(app),
                    ),
                )
            return Case(
                "not-running",
                CONNECT,
                client,
                f"nothing listens on port {client.port} of {name}, where {client.name} looks for Redis{instead}",
                f"{name} is there, but no Redis answers at {where}.",
                (*seen, source),
                (
                    f"docker logs --tail 20 {owner.name}" if owner else "# start Redis on this host",
                    f"# then let {client.source} of {client.name} name the port that Redis has, or start Redis",
                ),
            )
    if not owner and scene.in_docker(client.tried) and not scene.is_host(client.tried):
        stopped = next((scene.container(s.container) for s in scene.redis.servers if not s.running), None)
        if stopped:
            return not_running(client, stopped, scene)
        server, _ = scene.server(app)
        name = server.name if server else "a name"
        return Case(
            "not-running",
            CONNECT,
            client,
            f"{client.name} looks for Redis at {where}, an address that no container has",
            "Addresses are given out anew when containers start; only names last.",
            seen,
            (
                *(join(app, server, name, scene.networks) if server else ()),
                f"# let {client.source} of {client.name} say {name} instead of {client.host}",
            ),
        )
    if refused and not owner and not scene.is_host(client.tried):
        return Case(
            "not-running",
            CONNECT,
            client,
            f"{where}, where {client.name} looks for Redis, refuses connections",
            "The machine is there, and nothing listens on that port, or a firewall rejects it.",
            seen,
            (f"# start Redis at {client.host}, or correct {client.source} of {client.name}",),
        )
    mute = [
        n for n in scene.networks.all if owner and n.name in all_networks(owner) and dict(n.options).get(ICC) == "false"
    ]
    fix: tuple[str, ...] = (
        f"iptables-save -c | grep -e '--dport {client.port}' -e DROP -e REJECT; nft list ruleset | grep -e drop -e reject",
        "# remove the rule whose counter grows when it is tried again",
    )
    if owner and mute:
        cause = f"Network {mute[0].name} has icc switched off: containers on it do not reach each other."
        # Where both networks know the name, the dead address could be had still.
        apart = [f"docker network disconnect {shlex.quote(n.name)} {owner.name}" for n in mute if n.name != "bridge"]
        fix = (*join_anew(app, owner, client.host, scene.networks), *apart, *keep(app))
    elif owner:
        cause = f"{owner.name} is on a network of {client.name} and listens: something between the two drops packets."
    else:
        cause = (
            f"No packet comes back from {where}: the address is wrong, its host is down, or a firewall drops packets."
        )
    return Case(
        "firewalled-timeout",
        CONNECT,
        client,
        f"{client.name} does not reach Redis at {where}: {client.dial}",
        cause,
        seen,
        fix,
        because=("network.icc",) if mute else NEIGHBOURS if owner else BEYOND,
    )


def published_on_loopback(client: RedisClient, scene: Scene) -> Container | None:
    """The container that has the wanted port on the host's loopback alone."""
    return next(
        (
            c
            for c in scene.containers.running
            for b in c.ports
            if b.host_port == client.port and is_loopback(b.host_ip or "x")
        ),
        None,
    )


def unwelcome(client: RedisClient, scene: Scene) -> Case | None:
    """It answers, but not with PONG."""
    owner = scene.owner(client.tried)
    name = owner.name if owner else client.host
    seen: tuple[Evidence, ...] = (
        wanted(client),
        Evidence(f"PING {client.tried}:{client.port}, from {client.asked_from}", client.reply),
    )
    says = client.reply.lstrip("-")
    if client.reply.startswith("-DENIED"):
        published = owner and any(
            b.container_port == client.port and not b.host_ip.startswith("127.") for b in owner.ports
        )
        now = () if published or not owner else (f"docker exec {owner.name} redis-cli CONFIG SET protected-mode no",)
        last = (
            f"# to keep it, start {name} with --protected-mode no"
            if now
            else f"# set a password: --requirepass PASSWORD for {name}, the same for {client.name}"
        )
        return Case(
            "protected-mode",
            GREETING,
            client,
            f"Redis in {name} is in protected mode and turns {client.name} away",
            "Without a password Redis serves its own loopback alone, unless it is told to listen to all (protected-mode no).",
            seen,
            (*now, last),
            impact="every container on its networks may use this Redis without a password" if now else "",
        )
    auth = ("-NOAUTH", "-WRONGPASS", "-ERR AUTH", "-ERR invalid password", "-ERR Client sent AUTH")
    if client.reply.startswith(auth):
        if client.password is None:
            return None  # its password is in a file, which is not ours to read
        if not client.password:
            cause, step = "It wants a password, and none is set", "give it the password of Redis"
        elif "without any password" in says or "no password is set" in says:
            cause, step = (
                "It sends a password, and Redis has none",
                "take the password away, or set it in Redis (--requirepass)",
            )
        else:
            cause, step = "Its password is not the one that Redis has", "give it the password of Redis"
        stem = client.source.rpartition("_")[0] or "REDIS"
        url = "URL" in client.source.upper()
        setting = (
            f"{client.source} (redis://:PASSWORD@{client.target}, special characters %-encoded)"
            if url
            else f"{stem}_PASSWORD"
        )
        return Case(
            "auth-required",
            GREETING,
            client,
            f"Redis in {name} turns {client.name} away: {says}",
            f"{cause}.",
            seen,
            (f"# {step}: replace {client.name} by a container that is run with the right {setting}",),
            impact=f"replaces {client.name}",
        )
    if client.reply.startswith(("-LOADING", "-ERR max number of clients", "-MASTERDOWN")) or client.reply == "timeout":
        fix: tuple[str, ...]
        if "max number" in client.reply:
            cause, fix = (
                "Every connection that it allows is in use.",
                (
                    f"# find who holds them: docker exec {name} redis-cli CLIENT LIST",
                    "# then close them, or raise maxclients",
                ),
            )
        elif client.reply == "timeout":
            cause, fix = (
                "It accepts connections but does not answer: a slow command or a frozen process holds it up.",
                (
                    f"docker stats --no-stream {name}",
                    f"docker restart {name}",
                ),
            )
        else:
            cause, fix = "It reads its data from disk and answers when it is done.", ("# wait, and look again",)
        return Case(
            "loading-or-maxclients",
            GREETING,
            client,
            f"Redis in {name} answers {client.name}: {says}",
            cause,
            seen,
            fix,
        )
    return None


def unwritable(client: RedisClient, scene: Scene) -> Case | None:
    """It answers, and refuses writes."""
    info = dict(client.info)
    owner = scene.owner(client.tried)
    name = owner.name if owner else client.host
    run = f"docker exec {name} redis-cli" if owner else f"redis-cli -h {client.host}"

    def number(key: str) -> int:
        return int(info.get(key, "0")) if info.get(key, "0").isdigit() else 0

    limit = number("maxmemory")
    saves = info.get("save", "by default") != "" and info.get("stop-writes-on-bgsave-error") != "no"
    if info.get("role") == "slave" and info.get("slave_read_only") == "1" and not READS_ONLY.search(client.source):
        code, cause = (
            "READONLY",
            f"It is a replica of {info.get('master_host') or 'another server'} and takes no writes itself.",
        )
        facts: tuple[str, ...] = ("role", "master_host")
        fix: tuple[str, ...] = (
            (
                f"# let {client.source} of {client.name} name {info.get('master_host') or 'the primary'}; "
                f"or, if {name} is to stand alone: {run} REPLICAOF NO ONE"
            ),
        )
    elif info.get("aof_last_write_status") == "err":
        code, cause = "MISCONF", "It could not append to its log of commands on disk."
        facts = ("aof_last_write_status",)
        fix = (
            f"# see why in its log: docker logs --tail 20 {name}; free space or correct the owner of its data folder",
        )
    elif client.reply.startswith("-MISCONF") or (info.get("rdb_last_bgsave_status") == "err" and saves):
        code, cause = "MISCONF", "It could not save its data to disk, and refuses writes until it can."
        facts = ("rdb_last_bgsave_status", "save")
        fix = (
            f"# see why in its log: docker logs --tail 20 {name}; free space or correct the owner of its data folder",
            f"{run} BGSAVE",
        )
    elif limit and info.get("maxmemory_policy") == "noeviction" and number("used_memory") >= limit:
        code, cause = "OOM", f"It may use {limit} bytes, uses {number('used_memory')}, and evicts nothing."
        facts = ("used_memory", "maxmemory", "maxmemory_policy")
        fix = (
            f"# raise its limit ({run} CONFIG SET maxmemory …), or let a cache evict: {run} CONFIG SET maxmemory-policy allkeys-lru",
        )
    else:
        return None
    return Case(
        "writes-refused",
        WRITING,
        client,
        f"Redis in {name} answers {client.name}, but refuses writes ({code})",
        cause,
        (wanted(client), *(Evidence(f"INFO of {name}: {key}", info.get(key, "")) for key in facts if key in info)),
        fix,
    )


def case_of(client: RedisClient, scene: Scene) -> Case | None:
    """What stands between a client and its Redis; None when nothing does, or nothing could be told."""
    if not any(c.id == client.container for c in scene.containers.all):
        return None
    app = scene.place(client)
    if client.resolution in {"", "unknown"}:
        return None
    if not client.addresses:
        return unresolved(client, app, scene)
    if (
        client.by_wildcard
        and client.reply[:1] not in {"+", "-"}
        and any(named(client.host, c) for c in scene.containers.all)
    ):
        return unresolved(client, app, scene)
    if client.dial not in {"", "ok"}:
        alone = is_loopback(client.host) and app.network_mode != "host"
        return lonely_localhost(client, app, scene) if alone else unreached(client, app, scene)
    frozen = next(
        (c for c in scene.containers.all for n in c.networks if c.state == "paused" and n.ip == client.tried), None
    )
    if frozen and client.reply == "timeout":
        return not_running(client, frozen, scene)
    if client.reply.startswith(("+PONG", "-MISCONF")):
        return unwritable(client, scene)
    return unwelcome(client, scene) if client.reply else None

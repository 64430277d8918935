"""Name resolution as the host is set up for it, and the nameservers that stand behind that."""

from __future__ import annotations

import inspect
import ipaddress
import json
import re
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from dockerdoctor.facts.containers import Container, Containers, Networks
from dockerdoctor.facts.daemon_json import DaemonJson
from dockerdoctor.facts.endpoint import ChosenEndpoint
from dockerdoctor.facts.resolv_conf import Overlooked, nameserver_of, overlooked
from dockerdoctor.facts.wanted import Wanted
from dockerdoctor.host import DnsAnswer, Host, failure_name
from dockerdoctor.incontainer import ask
from dockerdoctor.measure import Unmeasured, probe
from dockerdoctor.web import HUB

RESOLV_CONF = "/etc/resolv.conf"
# dockerd hands out this file instead of one that names only the stub (moby/moby, libnetwork/resolvconf).
RESOLVED_CONF = "/run/systemd/resolve/resolv.conf"
RESOLVED_STUB = "127.0.0.53"
# What dockerd gives containers when only loopback servers are left; up to 27.x on every network.
FALLBACK = ("8.8.8.8", "8.8.4.4")
HOST_TIMEOUT = 1.5  # seconds; as long as the question from a container gets


@dataclass(frozen=True, slots=True)
class ResolvConf:
    """One resolver configuration file (resolv.conf(5))."""

    path: str
    exists: bool  # links followed
    link: str = ""  # target when it is a symbolic link
    problem: str = ""  # "dangling link", "EACCES", "empty"
    nameservers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    modified: float = 0.0
    overlooked: tuple[Overlooked, ...] = ()  # lines that were meant to name a nameserver

    @property
    def meant(self) -> tuple[str, ...]:
        """Nameservers of lines that a C library passes over."""
        return tuple(dict.fromkeys(line.address for line in self.overlooked if line.address))

    @property
    def for_dockerd(self) -> tuple[str, ...]:
        """Nameservers as dockerd reads them."""
        return self.nameservers or tuple(line.address for line in self.overlooked if line.read_by_dockerd)


@dataclass(frozen=True, slots=True)
class HostResolver:
    """What the host is configured with, and what dockerd makes of it for containers."""

    etc: ResolvConf
    resolved: ResolvConf  # systemd-resolved's own file, with the real servers

    @property
    def given(self) -> ResolvConf:
        """The file that dockerd starts from."""
        return self.resolved if self.etc.nameservers == (RESOLVED_STUB,) and self.resolved.nameservers else self.etc

    @property
    def for_containers(self) -> tuple[str, ...]:
        """Servers of the host's that a container can use as they are: loopback means another machine in there."""
        return tuple(s for s in self.given.for_dockerd if not is_loopback(s))


@dataclass(frozen=True, slots=True)
class HostDns:
    """Every nameserver of interest, asked from the host over both transports with dnspython."""

    answers: tuple[DnsAnswer, ...]

    def said(self, server: str, transport: str = "udp") -> tuple[DnsAnswer, ...]:
        """The answers of one nameserver over one transport."""
        return tuple(a for a in self.answers if a.server == server and a.transport == transport)


@dataclass(frozen=True, slots=True)
class ContainerResolver:
    """The nameservers one running container was started with."""

    container: str  # its name
    servers: tuple[str, ...]  # of its resolv.conf, loopback ones left out
    own: tuple[str, ...]  # --dns
    started: str  # RFC 3339

    @property
    def follows(self) -> bool:
        """Whether it asks the servers that --dns gave it; its resolv.conf may have been rewritten since."""
        return bool(self.own) and (not self.servers or bool(set(self.servers) & set(self.own)))


@dataclass(frozen=True, slots=True)
class ContainerResolvers:
    """What running containers use to resolve names; they keep what they were started with (moby/moby#42752)."""

    all: tuple[ContainerResolver, ...]
    unread: int = 0  # containers whose file could not be read, for want of root


@dataclass(frozen=True, slots=True)
class EmbeddedResolvers:
    """What the resolver of each running container on a user-defined network says: (container, outcome)."""

    answers: tuple[tuple[str, str], ...]
    # Of those that ask servers that no new container gets: one may be reached from there alone, through a tunnel.
    own: tuple[tuple[str, str], ...] = ()


def is_loopback(address: str) -> bool:
    """Whether an address means "this machine" to whoever uses it; not an address at all counts as no."""
    try:
        return ipaddress.ip_address(address.split("%", maxsplit=1)[0]).is_loopback
    except ValueError:
        return False


def parse_resolv_conf(text: str) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Take nameservers, search domains and options out of a resolv.conf."""
    servers: list[str] = []
    search: tuple[str, ...] = ()
    options: list[str] = []
    for line in text.split("\n"):
        if server := nameserver_of(line):
            servers.append(server)
        fields = re.split(r"[#;]", line, maxsplit=1)[0].split()
        if len(fields) < 2:
            continue
        if fields[0] in {"search", "domain"}:
            search = tuple(fields[1:])
        elif fields[0] == "options":
            options += fields[1:]
    return tuple(dict.fromkeys(servers)), search, tuple(options)


def ndots(options: Iterable[str]) -> int:
    """How many dots a name needs to be asked for as it is, before the search domains (resolv.conf(5))."""
    told = [o.removeprefix("ndots:") for o in options if o.startswith("ndots:")]
    return min(int(told[-1]), 15) if told and told[-1].isdigit() else 1


def read_resolv_conf(host: Host, path: str) -> ResolvConf:
    """Read one file; a broken one is a measurement."""
    link = host.readlink(path)
    try:
        text = host.read(path)
        modified = host.path(path).stat().st_mtime
    except FileNotFoundError:
        return ResolvConf(path, exists=False, link=link, problem="dangling link" if link else "missing")
    except OSError as no:
        return ResolvConf(path, exists=True, link=link, problem=failure_name(no))
    servers, search, options = parse_resolv_conf(text)
    problem = "" if servers else "empty"
    return ResolvConf(path, True, link, problem, servers, search, options, modified, overlooked(text))


@probe()
def host_resolver(host: Host, endpoint: ChosenEndpoint) -> HostResolver:
    """Read both files; which of them dockerd uses is a property of the fact."""
    if not endpoint.local:
        raise Unmeasured("the engine is on another host", skipped=True)
    return HostResolver(read_resolv_conf(host, RESOLV_CONF), read_resolv_conf(host, RESOLVED_CONF))


# One resolv.conf each: reading a few hundred costs nothing, and a fault of this kind shows in the first of them.
MAX_CONTAINERS = 200


@probe()
def container_resolvers(host: Host, containers: Containers) -> ContainerResolvers:
    """Read each running container's own file, in Docker's folder; only root may."""
    found: list[ContainerResolver] = []
    unread = 0
    for c in containers.running[:MAX_CONTAINERS]:
        if not c.inspected or c.network_mode in {"host", "none"} or c.network_mode.startswith("container:"):
            continue
        text = host.text(c.resolv_conf_path) if c.resolv_conf_path else ""
        unread += not text
        servers = tuple(s for s in parse_resolv_conf(text)[0] if not is_loopback(s)) or external_servers(text)
        found.append(ContainerResolver(c.name, servers, c.dns, c.started))
    return ContainerResolvers(tuple(found), unread)


# Each takes an interpreter's start; a fault of this kind shows in the first of them.
MAX_ASKED = 12
EMBEDDED = "127.0.0.11"


@probe(deadline=6)
def embedded_resolvers(
    host: Host,
    containers: Containers,
    networks: Networks,
    resolver: HostResolver | None,
    config: DaemonJson | None,
) -> EmbeddedResolvers:
    """Ask each from its container's own network namespace, since nobody else can; an internal network has no way out."""
    if not host.is_root:
        raise Unmeasured("the network of other containers is closed", how="run as root")
    open_networks = {n.name for n in networks.bridges if not n.internal and n.name != "bridge"}
    theirs = {c.name: parse_resolv_conf(host.text(c.resolv_conf_path))[0] for c in containers.running if c.pid}
    chosen = [
        c
        for c in containers.running
        # One that was given another server since, a VPN client's say, has no need of the embedded one.
        if EMBEDDED in theirs.get(c.name, ())
        and any(a.network in open_networks for a in c.networks)
        and all(a.network != "bridge" for a in c.networks)
    ][:MAX_ASKED]
    usual = {EMBEDDED, *FALLBACK, *(config.dns if config else ()), *(resolver.for_containers if resolver else ())}
    own = [
        c
        for c in containers.running
        if theirs.get(c.name) and not usual & {*theirs[c.name]} and c.networks and c.network_mode != "host"
    ]
    asked = [(c, (EMBEDDED,)) for c in chosen] + [(c, theirs[c.name]) for c in own[:MAX_ASKED]]

    def said(c: Container, servers: tuple[str, ...]) -> tuple[str, str]:
        questions = json.dumps({"dns": {"servers": servers, "names": [HUB]}, "deadline": 2 * HOST_TIMEOUT})
        enter = ("nsenter", "--target", str(c.pid), "--net", "--", sys.executable, "-I", "-S", "-c")
        done = host.run(*enter, inspect.getsource(ask), questions, timeout=4)
        try:
            outcomes = [str(a["outcome"]) for a in json.loads(done.out)["dns"] if a["transport"] == "udp"]
            return c.name, next((o for o in outcomes if o in {"NOERROR", "NXDOMAIN"}), outcomes[0])
        except (ValueError, LookupError, TypeError):
            return c.name, f"unable: {done.err.strip()[-100:]}"

    with ThreadPoolExecutor(max(1, len(asked))) as pool:
        answers = tuple(pool.map(lambda one: said(*one), asked))
    return EmbeddedResolvers(answers[: len(chosen)], answers[len(chosen) :])


def external_servers(text: str) -> tuple[str, ...]:
    """The servers behind the embedded resolver, which engines since 25.0 leave in a comment: `# ExtServers: [a b]`."""
    match = re.search(r"^# ExtServers: \[(.*)\]", text, re.MULTILINE)
    return tuple(re.sub(r"host\(([^)]*)\)", r"\1", s) for s in match.group(1).split()) if match else ()


@probe(deadline=5)
def host_dns(
    host: Host,
    resolver: HostResolver,
    config: DaemonJson | None,
    wanted: Wanted | None,
    running: ContainerResolvers | None,
) -> HostDns:
    """Ask everything at once; a question takes as long as its own timeout at most."""
    servers = {
        *resolver.etc.nameservers,
        *resolver.etc.meant,
        *resolver.for_containers,
        *(config.dns if config else ()),
    }
    if not resolver.etc.nameservers:
        servers.add("127.0.0.1")  # what resolv.conf(5) means by an empty file
    servers |= {s for c in running.all for s in (*c.servers, *c.own)} if running else set()
    names = (HUB, *(wanted.names if wanted else ()))
    return HostDns(ask_all(host, servers, names))


def ask_all(
    host: Host, servers: Iterable[str], names: Iterable[str], transports: tuple[str, ...] = ("udp", "tcp")
) -> tuple[DnsAnswer, ...]:
    """Ask every server for every name over each transport, all at once."""
    jobs = [(s, n, t) for s in sorted(servers) for n in names for t in transports]
    with ThreadPoolExecutor(max(1, len(jobs))) as pool:
        return tuple(pool.map(lambda job: host.ask_dns(job[0], job[1], job[2], HOST_TIMEOUT), jobs))

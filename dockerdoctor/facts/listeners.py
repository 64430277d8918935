"""Who listens on the host's ports and inside containers, and whether published ports lead there."""

from __future__ import annotations

import contextlib
import ipaddress
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from itertools import chain, pairwise

from dockerdoctor.facts.containers import Container, Containers, Networks, PortBinding
from dockerdoctor.facts.endpoint import ChosenEndpoint, DaemonPing
from dockerdoctor.facts.engine import DaemonProcess, EngineInfo, ask
from dockerdoctor.facts.routes import Routes
from dockerdoctor.host import Host
from dockerdoctor.measure import Unmeasured, probe

TCP_LISTEN, TCP_SYN_SENT, UDP_UNCONNECTED = "0A", "02", "07"  # of proc_net_tcp(5)
EMBEDDED_DNS = "127.0.0.11"  # Docker's own resolver listens there in every container of a user-defined network
# A proxy this young may belong to a container that started while we looked.
PROXY_SETTLED = 3.0  # seconds
# A server that listens on something by now, only not there, will not begin to.
SETTLED = 5.0  # seconds
# Two file reads for each container; a host with more of them is examined in part.
MAX_CONTAINERS = 200
# Each takes a thread and, where nobody answers, its timeout.
MAX_DIALS = 32
DIAL_TIMEOUT = 1.0
# docker-proxy accepts before it knows whether the container does, and hangs up within a millisecond or two when not.
HANGS_UP_WITHIN = 0.05
# Runtimes that bring a network stack of their own: the kernel's tables say nothing of what listens in there.
OPAQUE_RUNTIME = re.compile(r"runsc|gvisor|kata|firecracker|sysbox", re.IGNORECASE)
CONTAINER_CGROUP = re.compile(r"(?:docker[-/]|/)([0-9a-f]{64})")

DOCKERS = frozenset({"docker-proxy", "dockerd", "rootlesskit", "slirp4netns", "pasta"})


@dataclass(frozen=True, slots=True)
class Process:
    """A process that holds a socket; its arguments are left out, since they may hold secrets."""

    pid: int
    name: str
    unit: str = ""  # "nginx.service"
    container: str = ""  # full id, for a process in a container

    @property
    def dockers(self) -> bool:
        """Whether it holds ports for containers."""
        return self.name in DOCKERS


@dataclass(frozen=True, slots=True)
class Listener:
    """One listening socket; an IPv4 address mapped into IPv6 is shown as IPv4."""

    protocol: str  # "tcp" | "udp"
    address: str
    port: int
    inode: int = 0
    process: Process | None = None  # None: not looked for, or not ours to see

    @property
    def wildcard(self) -> bool:
        """Whether it listens on every address (of its family at least)."""
        return self.address in {"0.0.0.0", "::"}  # noqa: S104 - it is read, not bound

    @property
    def loopback(self) -> bool:
        """Whether only its own host or container reaches it."""
        return ipaddress.ip_address(self.address).is_loopback

    @property
    def where(self) -> str:
        """As ss(8) shows it."""
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


@dataclass(frozen=True, slots=True)
class DockerProxy:
    """A docker-proxy process: Docker's relay for one published port."""

    pid: int
    protocol: str
    host_ip: str
    host_port: int
    container_ip: str
    container_port: int


@dataclass(frozen=True, slots=True)
class InContainer:
    """What listens inside one running container, from /proc/PID/net/tcp and tcp6."""

    container: str  # full id
    age: float  # seconds since it started
    tcp: tuple[Listener, ...]

    def on(self, port: int) -> tuple[Listener, ...]:
        """The listeners on one port."""
        return tuple(x for x in self.tcp if x.port == port)

    def serves(self, port: int) -> bool:
        """Whether something listens on a port where others can reach it."""
        return any(not x.loopback for x in self.on(port))


@dataclass(frozen=True, slots=True)
class Listeners:
    """The host's listening sockets, Docker's proxies, and what listens in containers."""

    host: tuple[Listener, ...]
    proxies: tuple[DockerProxy, ...]
    stale: tuple[DockerProxy, ...]  # proxies that lead to no container
    inside: tuple[InContainer, ...]
    all_named: bool  # whether every process could be looked at: root
    now: float  # seconds since the epoch, when it was read

    def within(self, container: Container) -> InContainer | None:
        """What listens in one container, where that could be read."""
        return next((i for i in self.inside if i.container == container.id), None)

    def proxied(self, listener: Listener) -> DockerProxy | None:
        """The docker-proxy that is behind a listener of the host, if one is."""
        process = listener.process
        return next(
            (
                p
                for p in self.proxies
                if (p.protocol, p.host_port) == (listener.protocol, listener.port)
                and (
                    (p.host_ip == listener.address and (not process or process.dockers))
                    or (process and process.pid == p.pid)
                )
            ),
            None,
        )

    @property
    def shared(self) -> frozenset[int]:
        """Sockets that share their address and port with another: UDP allows it with SO_REUSEADDR, as dockerd 28 asks for."""
        seats = Counter((x.protocol, x.address, x.port) for x in self.host)
        return frozenset(x.inode for x in self.host if seats[x.protocol, x.address, x.port] > 1)

    def proxies_missing(self, dial: PortDial) -> bool:
        """Whether no docker-proxy stands for a port that was tried."""
        return not any(f":{p.host_port}" == dial.target[dial.target.rindex(":") :] for p in self.proxies)

    def free_port(self, near: int) -> int:
        """The next port of the host on which nobody listens."""
        taken = {x.port for x in self.host}
        near = near if near > 1023 else near + 8000
        return next(p for p in chain(range(near + 1, 65536), range(1024, near)) if p not in taken)


@dataclass(frozen=True, slots=True)
class PortDial:
    """One published port tried from the host: through Docker's forwarding, and directly at the container."""

    container: str  # full id
    container_port: int
    target: str  # "127.0.0.1:8080"
    outcome: str
    direct_target: str  # "172.17.0.2:80"
    direct: str


@dataclass(frozen=True, slots=True)
class PortDials:
    """Every published TCP port, tried."""

    dials: tuple[PortDial, ...]
    left_out: int = 0


def _address(text: str) -> tuple[str, int]:
    """Read "0100007F:0050": 32-bit words in the host's byte order, which is little on every machine Docker runs on."""
    packed, _, port = text.partition(":")
    words = (bytes.fromhex(packed[i : i + 8])[::-1] for i in range(0, len(packed), 8))
    address = ipaddress.ip_address(b"".join(words))
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address), int(port, 16)


def parse(protocol: str, table: str) -> Iterator[Listener]:
    """Read the sockets that wait for others out of /proc/net/{tcp,tcp6,udp,udp6}."""
    waiting = TCP_LISTEN if protocol == "tcp" else UDP_UNCONNECTED
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 9 and fields[3] == waiting:
            address, port = _address(fields[1])
            yield Listener(protocol, address, port, int(fields[9]))


def tcp_of(host: Host, net: str) -> tuple[Listener, ...]:
    """The TCP listeners of the network namespace behind a /proc/.../net folder; raises OSError."""
    first = tuple(parse("tcp", host.read(f"{net}/tcp")))
    return (*first, *parse("tcp", host.text(f"{net}/tcp6")))


def connecting(host: Host, pid: int) -> tuple[tuple[str, int], ...]:
    """To whom a process wants to connect, and nobody has answered yet; empty without root."""
    lines = [
        fields
        for family in ("tcp", "tcp6")
        for line in host.text(f"/proc/net/{family}").splitlines()[1:]
        if len(fields := line.split()) > 9 and fields[3] == TCP_SYN_SENT
    ]
    if not lines or not pid:
        return ()
    mine = {host.readlink(f"/proc/{pid}/fd/{fd}") for fd in host.listdir(f"/proc/{pid}/fd")}
    return tuple(dict.fromkeys(_address(fields[2]) for fields in lines if f"socket:[{fields[9]}]" in mine))


def stamp(written: str) -> float:
    """Read a time as the engine writes it, "2026-01-01T00:00:00.123456789Z", in seconds since the epoch; 0 where there is none."""
    try:
        whole = datetime.strptime(written[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)
    except ValueError:
        return 0.0
    # No fraction is written where there is none.
    fraction = re.match(r"\.\d+", written[19:])
    return whole.timestamp() + (float(fraction[0]) if fraction else 0.0)


def seconds_since(written: str, now: float) -> float:
    """Age of a time as the engine writes it; 0 where there is none."""
    then = stamp(written)
    return max(0.0, now - then) if then else 0.0


def proxy_of(pid: int, cmdline: Iterable[str]) -> DockerProxy | None:
    """Read a docker-proxy's arguments; they are complete, and the only record of what it does."""
    words = tuple(cmdline)
    given = {a.lstrip("-"): b for a, b in pairwise(words) if a.startswith("-")}
    try:
        return DockerProxy(
            pid,
            given.get("proto", "tcp"),
            given["host-ip"],
            int(given["host-port"]),
            given["container-ip"],
            int(given["container-port"]),
        )
    except (KeyError, ValueError):
        return None


def container_of(host: Host, pid: int) -> str:
    """The full id of the container that a process is in, by its control group; empty for the host's own."""
    found = CONTAINER_CGROUP.search(host.text(f"/proc/{pid}/cgroup"))
    return found.group(1) if found else ""


def process_of(host: Host, pid: int) -> Process:
    """Name a process, its systemd unit and its container."""
    # The innermost unit: user@1000.service holds the services of a user's own manager.
    units = re.findall(r"/([^/\s]+\.service)", host.text(f"/proc/{pid}/cgroup"))
    unit = units[-1] if units and not units[-1].startswith("user@") else ""
    return Process(pid, host.comm(pid), unit, container_of(host, pid))


def holders(host: Host, inodes: frozenset[int]) -> dict[int, Process]:
    """Find the processes that hold some sockets: the only way there is goes through every descriptor of every process."""
    found: dict[int, Process] = {}
    for pid in host.pids() if inodes else ():
        for fd in host.listdir(f"/proc/{pid}/fd"):
            link = host.readlink(f"/proc/{pid}/fd/{fd}")
            inode = int(link[8:-1]) if link.startswith("socket:[") else 0
            # The first holder has the lowest number: a server's parent, where workers share its socket.
            if inode in inodes and inode not in found:
                found[inode] = process_of(host, pid)
        if len(found) == len(inodes):
            break
    return found


def _inside(host: Host, container: Container, now: float) -> InContainer | None:
    if not container.pid or OPAQUE_RUNTIME.search(container.runtime):
        return None
    # The number may be another machine's, as with Docker Desktop: only its control group proves that it is this one.
    if container_of(host, container.pid) != container.id:
        return None
    try:
        listening = tcp_of(host, f"/proc/{container.pid}/net")
    except OSError:
        return None
    return InContainer(
        container.id,
        seconds_since(container.started, now),
        tuple(x for x in listening if x.address != EMBEDDED_DNS),
    )


def _stale(
    host: Host,
    endpoint: ChosenEndpoint,
    ping: DaemonPing,
    daemon: DaemonProcess,
    proxies: Iterable[DockerProxy],
    known: frozenset[str],
    networks: Networks,
) -> tuple[DockerProxy, ...]:
    """
    Proxies that lead to an address which no container has.

    A nested engine's proxies are its own, and a container may have come or gone since the list was read: so the
    networks are asked again, and the process must still be there afterwards.
    """
    suspects = []
    for proxy in proxies:
        parent, age = _origin(host, proxy.pid)
        # A rootless engine's may be the child of rootlesskit's helper.
        ours = parent not in daemon.others and not container_of(host, proxy.pid)
        ours = ours and not host.comm(parent).startswith("rootlesskit")
        if ours and proxy.container_ip not in known and age > PROXY_SETTLED:
            suspects.append(proxy)
    if not suspects:
        return ()
    present: set[str] = set()
    for network in networks.bridges:
        # An address is shown with its prefix: "172.17.0.2/16".
        for end in (ask(host, endpoint, ping, f"/networks/{network.id}").get("Containers") or {}).values():
            present |= {str(end.get(key) or "").split("/")[0] for key in ("IPv4Address", "IPv6Address")}
    return tuple(p for p in suspects if p.container_ip not in present and host.comm(p.pid) == "docker-proxy")


def _origin(host: Host, pid: int) -> tuple[int, float]:
    """The parent of a process, and its age in seconds (proc_pid_stat(5), fields 4 and 22)."""
    fields = host.process_stat(pid)
    return (int(fields[1]), host.age(pid)) if len(fields) > 19 else (0, 0.0)


def wants_port(container: Container) -> bool:
    """Whether it failed to start over a port: the engine keeps the reason (State.Error)."""
    return not container.running and (
        "address already in use" in container.error or "already allocated" in container.error
    )


def _questionable(facts: Listeners, containers: Containers) -> frozenset[int]:
    """The sockets whose holders matter: naming costs a look at every process, so a healthy host is spared it."""
    published = {(b.protocol, b.host_port) for c in containers.running for b in (*c.ports, *c.wanted_ports)}
    wanted = {(b.protocol, b.host_port) for c in containers.all if wants_port(c) for b in c.wanted_ports}
    found = {
        x.inode
        for x in facts.host
        if (x.protocol, x.port) in wanted | published and (not facts.proxied(x) or x.inode in facts.shared)
    }
    for container in containers.running:
        inner = facts.within(container)
        if inner and not all(inner.serves(b.container_port) for b in container.ports if b.protocol == "tcp"):
            found |= {x.inode for x in inner.tcp}
    return frozenset(found)


@probe(deadline=5, upstream=("engine.reachable", "engine.responsive"))
def listeners(
    host: Host,
    endpoint: ChosenEndpoint,
    ping: DaemonPing,
    daemon: DaemonProcess,
    containers: Containers,
    networks: Networks,
) -> Listeners:
    """Read the kernel's tables, which are open to everybody; who holds a socket is for root to see."""
    if not daemon.pid:
        raise Unmeasured("dockerd is not among this host's processes: its ports are another machine's", skipped=True)
    now = host.clock()
    wanted = {(b.protocol, b.host_port) for c in containers.all for b in (*c.wanted_ports, *c.ports)}
    udp = [x for file in ("udp", "udp6") for x in parse("udp", host.text(f"/proc/net/{file}"))]
    listening = (*tcp_of(host, "/proc/net"), *(x for x in udp if (x.protocol, x.port) in wanted))
    proxies = tuple(
        p
        for pid in host.pids()
        if host.comm(pid) == "docker-proxy" and host.ours(pid)
        if (p := proxy_of(pid, host.cmdline(pid)))
    )
    inner = tuple(i for c in containers.running[:MAX_CONTAINERS] if (i := _inside(host, c, now)))
    known = frozenset(n.ip for c in containers.running for n in c.networks)
    stale = _stale(host, endpoint, ping, daemon, proxies, known, networks)
    facts = Listeners(listening, proxies, stale, inner, host.is_root, now)
    names = holders(host, _questionable(facts, containers))

    def named(found: Iterable[Listener]) -> tuple[Listener, ...]:
        return tuple(replace(x, process=names.get(x.inode)) for x in found)

    return replace(facts, host=named(facts.host), inside=tuple(replace(i, tcp=named(i.tcp)) for i in facts.inside))


def _targets(binding: PortBinding, own: str) -> tuple[str, ...]:
    """Where the host itself reaches a published port; IPv6 is Docker's proxy to the same IPv4 address."""
    if binding.host_ip in {"", "0.0.0.0"}:  # noqa: S104 - it is read, not bound
        return ("127.0.0.1", own) if own else ("127.0.0.1",)
    return () if ":" in binding.host_ip else (binding.host_ip,)


def _attempt(host: Host, address: str, port: int) -> str:
    outcome = host.dial(address, port, DIAL_TIMEOUT, HANGS_UP_WITHIN).outcome
    # A lost packet is sent again after a second: only a second silence says anything.
    return host.dial(address, port, DIAL_TIMEOUT, HANGS_UP_WITHIN).outcome if outcome == "timeout" else outcome


# It starts no container, but it does touch running ones: a --passive run must not.
@probe(deadline=6, starts_container=True)
def port_dials(
    host: Host, info: EngineInfo, containers: Containers, listeners: Listeners, routes: Routes | None
) -> PortDials:
    """Connect to each published TCP port, and to the container itself, to compare."""
    if info.rootless:
        raise Unmeasured("a rootless engine's containers have addresses that this host does not reach", skipped=True)
    own = routes.source if routes else ""
    jobs: list[tuple[Container, PortBinding, str]] = []
    for container in containers.running:
        inner = listeners.within(container)
        addresses = [n.ip for n in container.networks if n.ip]
        if inner and addresses:
            jobs += [
                (container, binding, target)
                for binding in container.ports
                if binding.protocol == "tcp"
                for target in _targets(binding, own)
            ]

    def work(job: tuple[Container, PortBinding, str]) -> PortDial:
        container, binding, target = job
        port, direct, address = binding.container_port, "", ""
        outcome = _attempt(host, target, binding.host_port)
        for address in (n.ip for n in container.networks if n.ip):
            direct = _attempt(host, address, port)
            if direct in {"ok", "closed"}:
                break
        return PortDial(container.id, port, f"{target}:{binding.host_port}", outcome, f"{address}:{port}", direct)

    dials: tuple[PortDial, ...] = ()
    if jobs:
        # Every dial ends by its own timeout, so this pool never outlives the probe.
        with ThreadPoolExecutor(MAX_DIALS) as pool, contextlib.suppress(RuntimeError):
            dials = tuple(pool.map(work, jobs[:MAX_DIALS]))
    return PortDials(dials, max(0, len(jobs) - MAX_DIALS))

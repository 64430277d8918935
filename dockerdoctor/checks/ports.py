"""Whether published ports can be had, and whether they lead to a process that listens."""

from __future__ import annotations

import ipaddress
import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dockerdoctor.examine import check, failed, passed, skipped, unknown
from dockerdoctor.facts.containers import Container, Containers, PortBinding
from dockerdoctor.facts.listeners import (
    SETTLED,
    InContainer,
    Listener,
    Listeners,
    PortDial,
    PortDials,
    Process,
    seconds_since,
    wants_port,
)
from dockerdoctor.model import Evidence, Finding, Severity

PUBLISHING = "https://docs.docker.com/engine/network/port-publishing/"
# A server that listens on nothing yet may still load: a JVM or a data set takes its time.
STARTED = 30.0
# What failed to start a day ago, and nobody keeps running, is the rest of an old attempt and no longer troubles anybody.
FORGOTTEN = 24 * 3600.0
# Ports at which people point a browser: an image that exposes one of them wants to be reached from outside.
WEB_PORTS = frozenset({80, 443, 3000, 4000, 5000, 8000, 8080, 8443, 8888, 9000})
# A program may hang up on strangers, and is there all the same.
ACCEPTED = frozenset({"ok", "closed"})
# What breaks the way to every published port.
FORWARDING = (
    "network.published-port",
    "network.bridge",
    "network.bridge-address",
    "network.links-up",
    "network.arp",
    "ports.redirected",
    "network.route-localnet",
    "network.managed-interfaces",
    "network.subnet-overlap",
    "network.docker-chains",
    "network.iptables-split",
    "network.nft-drop",
)
# mDNS, LLMNR, SSDP, WS-Discovery: multicast.
GROUPS = frozenset({5353, 5355, 1900, 3702})
COMPOSE_SERVICE = "com.docker.compose.service"
STARTING = re.compile(r"health: starting", re.IGNORECASE)


def overlap(one: str, other: str) -> bool:
    """Whether two addresses to listen on get into each other's way; an empty one is every address."""
    if not one or not other or one == other:
        return True
    a, b = ipaddress.ip_address(one), ipaddress.ip_address(other)
    # "::" takes IPv4 too, unless its process chose otherwise (IPV6_V6ONLY, ipv6(7)).
    return any(x.is_unspecified and x.version in {y.version, 6} for x, y in ((a, b), (b, a)))


def names(containers: Iterable[Container]) -> str:
    """Name some containers in one breath."""
    return ", ".join(dict.fromkeys(c.name for c in containers))


def by(process: Process | None, containers: Containers) -> str:
    """Name who holds a socket."""
    if not process:
        return "a process that only root can name"
    inside = next((c.name for c in containers.all if c.id == process.container), "")
    where = f", in container {inside}" if inside else f", {process.unit}" if process.unit else ""
    return f"{process.name} (pid {process.pid}{where})"


def published_again(
    container: Container, binding: PortBinding, host_port: int, container_port: int | None = None
) -> str:
    """Say how to publish a port differently: only a new container can."""
    address = f"{binding.host_ip}:" if binding.host_ip not in {"", "0.0.0.0", "::"} else ""  # noqa: S104 - it is read
    ports = f"{address}{host_port}:{container_port or binding.container_port}"
    service = dict(container.labels).get(COMPOSE_SERVICE)
    if service:
        return (
            f'# in the compose file, under service {service}: ports: ["{ports}"]; then docker compose up -d {service}'
        )
    return (
        f"# replace {container.name} by a container that is run with -p {ports} (a container's ports cannot be changed)"
    )


# -- containers that could not have their port ------------------------------------------------------------------------


@dataclass(frozen=True)
class Refused:
    """A container that failed to start over a port, the port, and the sockets in its way now."""

    container: Container
    binding: PortBinding
    held: tuple[Listener, ...]
    by_proxy: bool

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """What the engine said."""
        # Since Engine 28 the message has no "driver failed programming…" before it.
        message = self.container.error.rpartition("): ")[2]
        return (Evidence(f"docker inspect {self.container.name}: State.Error", message[-200:]),)


def moved_on(container: Container, containers: Containers, now: float) -> bool:
    """Whether a container was given up: a day has passed, or another was made of its image since the attempt."""
    since = any(c.running and c.image == container.image and c.created > container.created for c in containers.all)
    if container.state == "created" and since:
        return True
    last = container.created if container.state == "created" else container.finished
    kept = container.restart_policy in {"always", "unless-stopped", "on-failure"}
    return not kept and seconds_since(last, now) > FORGOTTEN


def refused(containers: Containers, listeners: Listeners, words: str) -> Iterator[Refused]:
    """Containers whose last start failed with those words, and whose port is still held."""
    for container in containers.all:
        if not wants_port(container) or words not in container.error or moved_on(container, containers, listeners.now):
            continue
        for binding in container.wanted_ports:
            # With several ports, the message names the one that could not be had.
            if len(container.wanted_ports) > 1 and not re.search(rf":{binding.host_port}\b", container.error):
                continue
            ip = binding.host_ip
            if ip in {"", "0.0.0.0", "::"}:  # noqa: S104 - it is read
                # "listen tcp4 0.0.0.0:80: bind: …" says which of the two Docker could not have.
                ip = "0.0.0.0" if f"0.0.0.0:{binding.host_port}" in container.error else ""  # noqa: S104
            held = tuple(
                x
                for x in listeners.host
                if (x.protocol, x.port) == (binding.protocol, binding.host_port) and overlap(ip, x.address)
            )
            proxied = any(listeners.proxied(x) for x in held)
            yield Refused(container, binding, held, proxied)


def freeing(listener: Listener, containers: Containers) -> tuple[str, ...]:
    """The commands that take a port from its holder."""
    process = listener.process
    if not process:
        return (f"# find its holder: ss -lntup 'sport = :{listener.port}' (as root)",)
    inside = next((c.name for c in containers.all if c.id == process.container), "")
    if inside:
        return (f"docker stop {inside}",)
    if process.unit == "systemd-resolved.service":
        # It holds port 53 of 127.0.0.53 alone: an address of its own spares the host's own name resolution.
        return ("# leave systemd-resolved its port: publish on one address of this host only, -p ADDRESS:53:53/udp",)
    if process.name.startswith("sshd") or process.unit in {"ssh.service", "sshd.service"}:
        return ("# sshd has it, which may be how people log in to this host: publish on another port",)
    if process.pid == 1:
        return (f"# systemd holds it for a socket unit: systemctl list-sockets | grep {listener.port}",)
    if process.unit:
        # A user may give a unit of his own any name.
        unit = shlex.quote(process.unit)
        return (f"systemctl stop {unit}", f"# to keep it from starting at boot: systemctl disable {unit}")
    return (f"kill {process.pid}",)


@check(
    "ports.in-use-by-host-process",
    title="No process of the host holds a port that a container wants",
    severity=Severity.ERROR,
    docs=PUBLISHING,
)
def in_use_by_host_process(containers: Containers, listeners: Listeners) -> Finding:
    """
    Docker binds a published port on the host, which fails when a process of the host has it already.

    Only containers whose start failed for this reason count, and only while the port is still held. A listener on
    another address, or on IPv6 only, is in nobody's way.

    Why it matters: the container does not start ("bind: address already in use").
    How to fix: stop the process, or publish on another port.
    """
    if not containers.all:
        return skipped("there are no containers")
    stuck = [r for r in refused(containers, listeners, "address already in use") if r.held and not r.by_proxy]
    if not stuck:
        return passed("no container failed to start over a port that a process of this host holds")
    one = stuck[0]
    holder = by(one.held[0].process, containers)
    seen = [e for r in stuck for e in r.evidence]
    seen += [
        Evidence("/proc/net", f"{x.where}/{x.protocol} held by {by(x.process, containers)}")
        for r in stuck
        for x in r.held
    ]
    fix = [c for r in stuck for c in (*freeing(r.held[0], containers), f"docker start {r.container.name}")]
    other = published_again(one.container, one.binding, listeners.free_port(one.binding.host_port))
    return failed(
        f"{names(r.container for r in stuck)} cannot start: port {one.binding.host_port}/{one.binding.protocol} "
        f"of this host is held by {holder}",
        *dict.fromkeys(seen),
        cause=f"{holder} listens on {one.held[0].where}, and two processes cannot listen on the same port.",
        fix=(*dict.fromkeys(fix), f"# or keep {holder.split(' ')[0]}: {other[2:]}"),
        impact=f"ends {holder}",
    )


@check(
    "ports.already-allocated",
    title="No two containers want the same port of the host",
    severity=Severity.ERROR,
    docs=PUBLISHING,
)
def already_allocated(containers: Containers, listeners: Listeners) -> Finding:
    """
    Docker keeps a list of the ports that its containers publish, and gives each to one container only.

    Why it matters: the second container does not start ("port is already allocated").
    How to fix: stop the one that has it, or publish the other on another port.
    """
    if not containers.all:
        return skipped("there are no containers")
    stuck = [
        (r, holder)
        for words in ("already allocated", "address already in use")
        for r in refused(containers, listeners, words)
        for holder in containers.running
        for b in holder.ports
        if (b.protocol, b.host_port) == (r.binding.protocol, r.binding.host_port)
        and overlap("" if r.binding.host_ip == "0.0.0.0" else r.binding.host_ip, b.host_ip)  # noqa: S104 - it is read
    ]
    if not stuck:
        return passed("no container failed to start over a port that another container has")
    one, holder = stuck[0]
    port = one.binding.host_port
    seen = [e for r, _ in stuck for e in r.evidence]
    seen.append(
        Evidence(
            f"docker port {holder.name}",
            ", ".join(f"{b.container_port}/{b.protocol} -> {b.host_ip}:{b.host_port}" for b in holder.ports),
        )
    )
    return failed(
        f"{names(r.container for r, _ in stuck)} cannot start: port {port}/{one.binding.protocol} is published by {holder.name}",
        *dict.fromkeys(seen),
        cause=f"Container {holder.name} ({holder.image}, {holder.status}) has port {port} of this host.",
        fix=(
            *dict.fromkeys(f"docker stop {h.name}" for _, h in stuck),
            *dict.fromkeys(f"docker start {r.container.name}" for r, _ in stuck),
            f"# or keep {holder.name}: {published_again(one.container, one.binding, listeners.free_port(port))[2:]}",
        ),
        impact=f"stops {holder.name}",
    )


@check(
    "ports.stale-docker-proxy",
    title="Every docker-proxy leads to a container",
    severity=Severity.ERROR,
    docs=PUBLISHING,
)
def stale_docker_proxy(listeners: Listeners) -> Finding:
    """
    Docker runs one docker-proxy for each published port and ends it with its container.

    Why it matters: one that was left behind keeps the port, accepts connections and drops them.
    How to fix: end it; restart Docker when it comes back.
    """
    if not listeners.stale:
        return passed(f"each of {len(listeners.proxies)} leads to a container" if listeners.proxies else "none runs")
    one = listeners.stale[0]
    return failed(
        f"port {one.host_port}/{one.protocol} of this host is held by a docker-proxy (pid {one.pid}) whose container is gone",
        *(
            Evidence(
                f"/proc/{p.pid}/cmdline",
                f"docker-proxy -host-ip {p.host_ip} -host-port {p.host_port} "
                f"-container-ip {p.container_ip} -container-port {p.container_port}",
            )
            for p in listeners.stale
        ),
        Evidence(
            "GET /networks", f"no container has {', '.join(dict.fromkeys(p.container_ip for p in listeners.stale))}"
        ),
        cause="The engine lost track of this proxy, as happens when dockerd is killed: the port stays taken, and nobody answers.",
        fix=(f"kill {' '.join(str(p.pid) for p in listeners.stale)}",),
        impact="none: they lead nowhere",
    )


# -- containers that run, and what listens in them --------------------------------------------------------------------


def tcp_ports(container: Container) -> dict[int, PortBinding]:
    """Its published TCP ports: container port → the first binding."""
    found: dict[int, PortBinding] = {}
    for binding in container.ports:
        if binding.protocol == "tcp":
            found.setdefault(binding.container_port, binding)
    return found


def publishing(
    containers: Containers, listeners: Listeners
) -> list[tuple[Container, InContainer, dict[int, PortBinding]]]:
    """Containers with published TCP ports that have had the time to listen."""
    found = []
    for container in containers.running:
        inner, ports = listeners.within(container), tcp_ports(container)
        if inner and ports and inner.age > SETTLED and not STARTING.search(container.status):
            found.append((container, inner, ports))
    return found


def answered(container: Container, port: int, dials: PortDials | None) -> bool:
    """Whether a port accepts although nothing is seen to listen: a redirection inside the container's namespace."""
    tried = dials.dials if dials else ()
    return any((d.container, d.container_port) == (container.id, port) and d.direct in ACCEPTED for d in tried)


def nothing_to_see(containers: Containers, listeners: Listeners) -> Finding | None:
    """Why no published port was looked behind, if none was."""
    wanted = [c for c in containers.running if tcp_ports(c)]
    if not wanted:
        return skipped("no running container publishes a TCP port")
    if not any(listeners.within(c) for c in wanted):
        return unknown(f"what listens in {names(wanted)} could not be read", how="# run as root")
    return None


def listening(inner: InContainer, containers: Containers) -> Evidence:
    """Show what listens in a container."""
    container = next(c for c in containers.all if c.id == inner.container)
    seen = ", ".join(x.where + (f" {x.process.name}" if x.process else "") for x in inner.tcp)
    return Evidence(
        f"/proc/{container.pid}/net/tcp, tcp6 (container {container.name})", f"listening: {seen or 'nothing'}"
    )


def listen_everywhere(port: int, container: Container) -> tuple[str, ...]:
    """How common servers are told to listen on every address."""
    words = " ".join(container.command)
    known = (
        ("gunicorn", f"gunicorn --bind 0.0.0.0:{port} …"),
        ("uvicorn", f"uvicorn --host 0.0.0.0 --port {port} …"),
        ("flask", f"flask run --host=0.0.0.0 --port={port}"),
        ("runserver", f"python manage.py runserver 0.0.0.0:{port}"),
        ("http.server", f"python3 -m http.server --bind 0.0.0.0 {port}"),
        ("vite", "vite --host 0.0.0.0"),
        ("rails", "rails server --binding 0.0.0.0"),
        ("jupyter", "jupyter … --ip 0.0.0.0"),
        ("redis-server", "redis-server --bind '* -::*' (and a password)"),
    )
    how = next(
        (line for word, line in known if word in words),
        f'host "0.0.0.0", port {port}; in Flask: app.run(host="0.0.0.0", port={port})',
    )
    return (
        f"# make the program in {container.name} listen on every address of its container: {how}",
        f"# then rebuild its image and replace {container.name}",
    )


@check(
    "ports.app-binds-loopback",
    title="What listens behind published ports listens on more than its container's loopback",
    severity=Severity.ERROR,
    docs=PUBLISHING,
)
def app_binds_loopback(containers: Containers, listeners: Listeners, dials: PortDials | None) -> Finding:
    """
    Docker hands connections to a container's own address; 127.0.0.1 inside it is another, which only itself can reach.

    Why it matters: clients see "connection reset by peer" or "empty reply from server" while the program looks well.
    How to fix: make the program listen on 0.0.0.0; the published port alone decides who gets in.
    """
    if nothing := nothing_to_see(containers, listeners):
        return nothing
    deaf = [
        (container, inner, ports[port], inner.on(port))
        for container, inner, ports in publishing(containers, listeners)
        for port in ports
        if inner.on(port) and not inner.serves(port) and not answered(container, port, dials)
    ]
    if not deaf:
        return passed("nothing behind a published port listens on its loopback only")
    container, _, binding, on = deaf[0]
    where = on[0].where
    return failed(
        f"{container.name} publishes port {binding.host_port}, but its program listens on {where} only",
        *dict.fromkeys(listening(i, containers) for _, i, _, _ in deaf),
        *(
            Evidence(f"docker port {c.name}", f"{b.container_port}/tcp -> {b.host_ip}:{b.host_port}")
            for c, _, b, _ in deaf
        ),
        cause=f"{where} is the container's own loopback: what Docker forwards from port {binding.host_port} arrives at "
        f"the container's network address, where nothing listens.",
        fix=[step for c, _, b, _ in deaf for step in listen_everywhere(b.container_port, c)],
        impact=f"restarts {names(c for c, *_ in deaf)}",
    )


def unserved(
    containers: Containers, listeners: Listeners, dials: PortDials | None
) -> Iterator[tuple[Container, InContainer, list[PortBinding], bool]]:
    """Containers with published ports on which nothing listens, and whether others of its ports are served."""
    for container, inner, ports in publishing(containers, listeners):
        silent = [b for port, b in ports.items() if not inner.on(port) and not answered(container, port, dials)]
        if silent and (inner.tcp or inner.age > STARTED):
            yield container, inner, silent, len(silent) < len(ports)


@check(
    "ports.wrong-container-port",
    title="Something listens behind the published ports of each container",
    severity=Severity.ERROR,
    docs=PUBLISHING,
)
def wrong_container_port(containers: Containers, listeners: Listeners, dials: PortDials | None) -> Finding:
    """
    The second number of -p 8080:80 must be the port that the program in the container listens on.

    Why it matters: clients see "connection reset by peer" or "connection refused".
    How to fix: publish the port that the program listens on, or make it listen on the published one.
    """
    if nothing := nothing_to_see(containers, listeners):
        return nothing
    lost = [(c, i, s) for c, i, s, partly in unserved(containers, listeners, dials) if not partly]
    if not lost:
        return passed("no container publishes only ports that nothing listens on")
    container, inner, silent = lost[0]
    binding = silent[0]
    instead = list(dict.fromkeys(x.port for x in inner.tcp))
    said = f"it listens on {', '.join(map(str, instead))} instead" if instead else "and nothing listens in it at all"
    fix = []
    for c, i, (b, *_) in lost:
        others = [x.port for x in i.tcp if not x.loopback] or [x.port for x in i.tcp]
        if others:
            fix.append(published_again(c, b, b.host_port, others[0]))
        else:
            fix += [f"docker logs --tail 20 {c.name}", f"# see above why the program in {c.name} does not listen"]
    return failed(
        f"nothing listens on port {binding.container_port} of {container.name}, which port {binding.host_port} "
        f"of this host leads to; {said}",
        *(listening(i, containers) for _, i, _ in lost),
        *(
            Evidence(f"docker port {c.name}", f"{b.container_port}/tcp -> {b.host_ip}:{b.host_port}")
            for c, _, s in lost
            for b in s
        ),
        cause=f"Port {binding.host_port} is forwarded to port {binding.container_port} of the container, where its program does not listen.",
        fix=fix,
        impact=f"replaces {names(c for c, *_ in lost)}" if instead else "",
    )


@check(
    "ports.unserved-port",
    title="Every published port has something that listens behind it",
    severity=Severity.WARNING,
    docs=PUBLISHING,
)
def unserved_port(containers: Containers, listeners: Listeners, dials: PortDials | None) -> Finding:
    """
    A container may serve some of its published ports and not others.

    Why it matters: who uses the others is refused; often nobody does, and the port need not be published.
    How to fix: make the program listen there, or do not publish the port.
    """
    if nothing := nothing_to_see(containers, listeners):
        return nothing
    # Ports that `-P` published were nobody's choice: the image exposes them.
    idle = [
        (c, i, [b for b in s if any(w.container_port == b.container_port for w in c.wanted_ports)])
        for c, i, s, partly in unserved(containers, listeners, dials)
        if partly
    ]
    idle = [(c, i, s) for c, i, s in idle if s]
    if not idle:
        return passed("each published port of a container that serves is served")
    container, _, silent = idle[0]
    return failed(
        f"{container.name} publishes port {', '.join(str(b.host_port) for b in silent)}, behind which nothing listens",
        *(listening(i, containers) for _, i, _ in idle),
        cause=f"The program in {container.name} serves its other published ports, and not this one.",
        fix=[
            f"# make {c.name} listen on port {b.container_port}, or run it without -p {b.host_port}:{b.container_port}"
            for c, _, s in idle
            for b in s
        ],
    )


@check(
    "ports.published-unanswered",
    title="Published ports lead to what listens behind them",
    severity=Severity.ERROR,
    docs=PUBLISHING,
    upstream=FORWARDING,
)
def published_unanswered(containers: Containers, dials: PortDials, listeners: Listeners) -> Finding:
    """
    The program listens, so a connection to the published port must reach it, as one to the container's address does.

    Why it matters: what fails between the two is Docker's forwarding or a firewall, not the program.
    How to fix: see which of the two attempts fails.
    """
    if not dials.dials:
        return skipped("no published port has a process that listens behind it")

    def lost(dial: PortDial) -> bool:
        inner = next((i for i in listeners.inside if i.container == dial.container), None)
        if not inner or not inner.serves(dial.container_port):
            return False  # nothing to be reached
        # docker-proxy accepts for a container that does not, and then hangs up.
        return dial.outcome not in ACCEPTED or (dial.outcome == "closed" and dial.direct in {"ok", "ECONNREFUSED"})

    dead = [d for d in dials.dials if lost(d)]
    if not dead:
        return passed(f"{len({d.target for d in dials.dials})} connections to published ports arrived")
    one = dead[0]
    container = next((c for c in containers.all if c.id == one.container), None)
    name = container.name if container else one.container[:12]
    seen = [Evidence(f"connect {d.target}, which leads to {d.direct_target}", d.outcome) for d in dead]
    seen += [Evidence(f"connect {d.direct_target}", d.direct) for d in dead]
    inner = listeners.within(container) if container else None
    because: tuple[str, ...] | None = None
    if inner and one.direct == "ECONNREFUSED" and {x.address for x in inner.on(one.container_port)} == {"::"}:
        cause = f"The program in {name} listens on IPv6 only (IPV6_V6ONLY), and Docker forwards to its IPv4 address."
        fix = listen_everywhere(one.container_port, container) if container else ()
        because = ()
    elif one.direct in ACCEPTED:
        cause = f"{name} answers at {one.direct_target}, so its program is well: Docker's forwarding to it is broken, or a firewall drops it."
        fix = (
            f"docker restart {name}",
            "# it writes the container's rules anew and starts its docker-proxy; if that does not help, look at the rules:",
            "# iptables-save -t nat | grep -e DOCKER -e DNAT",
        )
        if one.outcome == "ECONNREFUSED" and listeners.proxies_missing(one):
            cause = f"The docker-proxy that listened for {name} has ended, and nobody listens on {one.target} any more."
    else:
        cause = f"The program listens in {name}, but not even this host reaches {one.direct_target}: the container's network or a firewall is in the way."
        fix = (
            f"docker restart {name}",
            "# if that does not help, look for a firewall in the container or on its bridge",
        )
    return failed(
        f"{one.target} does not lead to {name} ({one.outcome}), while {one.direct_target} "
        + ("answers" if one.direct in ACCEPTED else f"gives {one.direct}"),
        *dict.fromkeys(seen),
        cause=cause,
        fix=fix,
        because=because,
    )


# -- ports that are had, but not as one thinks ------------------------------------------------------------------------


def strangers(containers: Containers, listeners: Listeners) -> Iterator[tuple[Container, PortBinding, Listener]]:
    """Listeners of the host on a port that a running container publishes, Docker's own left out."""
    for container in containers.running:
        for binding in container.ports:
            for x in listeners.host:
                same = (x.protocol, x.port) == (binding.protocol, binding.host_port)
                ours = listeners.proxied(x) or (x.process and x.process.dockers)
                if same and not ours and not (x.process and x.process.container == container.id):
                    yield container, binding, x


@check(
    "ports.shadowed-host-service",
    title="No container publishes a port that a process of the host serves",
    severity=Severity.ERROR,
    docs=PUBLISHING,
)
def shadowed_host_service(containers: Containers, listeners: Listeners) -> Finding:
    """
    Without its userland proxy Docker binds no port: it redirects packets, and a process of the host may have the same port.
    Since 28 dockerd shares UDP ports with whoever allows it (SO_REUSEADDR).

    Why it matters: both start without an error, and requests reach one or the other, depending on where they come from.
    How to fix: give one of the two another port.
    """
    both = [
        (c, b, x)
        for c, b, x in strangers(containers, listeners)
        if ":" not in x.address
        and ":" not in b.host_ip
        and overlap(b.host_ip, x.address)
        # A program of the host listens to a group there; what goes to groups is nothing that Docker redirects.
        and not (b.protocol == "udp" and b.host_port in GROUPS)
    ]
    if not both:
        return passed("no process of the host listens on a port that a container publishes")
    container, binding, x = both[0]
    if not x.process:
        # It may be dockerd itself, which holds the port for the container.
        return unknown(
            f"{x.where}, which {container.name} publishes, is held by a process that only root can name",
            how="# run as root",
        )
    holder = by(x.process, containers)
    other = published_again(container, binding, listeners.free_port(binding.host_port))
    return failed(
        f"port {binding.host_port} is published by {container.name} and served by {holder} as well",
        *(Evidence("/proc/net", f"{y.where}/{y.protocol} held by {by(y.process, containers)}") for _, _, y in both),
        *(
            Evidence(f"docker port {c.name}", f"{b.container_port}/{b.protocol} -> {b.host_ip}:{b.host_port}")
            for c, b, _ in both
        ),
        cause="Two have the same port without knowing of each other, since Docker only redirects packets: "
        "which of them answers depends on where a request comes from.",
        fix=(*freeing(x, containers), f"docker restart {container.name}", f"# or keep {x.process.name}: {other[2:]}"),
        impact=f"ends {holder}, restarts {container.name}",
    )


@check(
    "ports.ipv6-localhost",
    title="“localhost” means the container on IPv6 as well",
    severity=Severity.WARNING,
    docs=PUBLISHING,
)
def ipv6_localhost(containers: Containers, listeners: Listeners) -> Finding:
    """
    A name is tried on IPv6 first: "localhost" is ::1, where another process may listen on the port of a container.

    Why it matters: http://localhost:8080 is answered by another program than http://127.0.0.1:8080.
    How to fix: use 127.0.0.1, or free the port on ::1.
    """
    split = [
        (c, b, x)
        for c, b, x in strangers(containers, listeners)
        if x.address in {"::1", "::"} and ":" not in b.host_ip and b.protocol == "tcp"
    ]
    if not split:
        return passed("no other process listens on ::1 at a published port")
    container, binding, x = split[0]
    holder = by(x.process, containers)
    return failed(
        f"localhost:{binding.host_port} is {holder} on IPv6 and {container.name} on IPv4",
        *(Evidence("/proc/net/tcp6", f"{y.where} held by {by(y.process, containers)}") for _, _, y in split),
        *(
            Evidence(f"docker port {c.name}", f"{b.container_port}/tcp -> {b.host_ip}:{b.host_port}")
            for c, b, _ in split
        ),
        cause=f"Most clients try ::1 before 127.0.0.1, and {container.name} is published on {binding.host_ip} only.",
        fix=(f"# use 127.0.0.1:{binding.host_port} for {container.name}", *freeing(x, containers)),
        impact=f"ends {holder}",
    )


@check(
    "ports.published-on-loopback-only",
    title="Ports published without an address are published on every address",
    severity=Severity.INFO,
    docs="https://docs.docker.com/engine/network/drivers/bridge/#default-host-binding-address",
)
def published_on_loopback_only(containers: Containers) -> Finding:
    """
    `-p 8080:80` names no address: Docker takes "ip" of daemon.json, or the network's host_binding_ipv4.

    Why it matters: set to 127.0.0.1, which is a wise default, ports answer on this host only.
    How to fix: name the address where a port should answer: -p 0.0.0.0:8080:80.
    """
    if not any(c.ports for c in containers.running):
        return skipped("no running container publishes a port")
    unasked = [
        (c, b)
        for c in containers.running
        for b in c.ports
        if b.host_ip.startswith("127.")
        and any(w.container_port == b.container_port and not w.host_ip for w in c.wanted_ports)
        and not any((w.container_port, w.host_ip) == (b.container_port, b.host_ip) for w in c.wanted_ports)
    ]
    if not unasked:
        return passed("ports answer on the addresses that were asked for")
    container, binding = unasked[0]
    return failed(
        f"{names(c for c, _ in unasked)}: published without an address, and answering on {binding.host_ip} only",
        *(
            Evidence(f"docker port {c.name}", f"{b.container_port}/{b.protocol} -> {b.host_ip}:{b.host_port}")
            for c, b in unasked
        ),
        cause=f"The default address is {binding.host_ip}: “ip” in daemon.json, or the option host_binding_ipv4 of the network.",
        fix=(
            f"# if other machines should reach {container.name}: run it with -p 0.0.0.0:{binding.host_port}:{binding.container_port}",
        ),
    )


@check(
    "ports.not-published",
    title="Web servers in containers are published, or on a network of their own",
    severity=Severity.INFO,
    docs=PUBLISHING,
)
def not_published(containers: Containers, listeners: Listeners) -> Finding:
    """
    EXPOSE in a Dockerfile is a note to the reader: it publishes nothing.

    Only containers on the default bridge count: on a user-defined network others reach them by name, as a proxy does.

    Why it matters: http://localhost is refused although the program runs.
    How to fix: publish the port with -p.
    """
    linked = {link.split(":")[0].lstrip("/") for c in containers.all for link in c.links}
    hidden = []
    for container in containers.running:
        inner = listeners.within(container)
        alone = container.network_mode in {"default", "bridge"} and len(container.networks) == 1
        asked = container.ports or container.wanted_ports
        if not inner or not alone or asked or container.name in linked or inner.age <= SETTLED:
            continue
        exposed = {int(e.split("/")[0]) for e in container.exposed if e.endswith("/tcp") and e.split("/")[0].isdigit()}
        hidden += [(container, port) for port in sorted(exposed & WEB_PORTS) if inner.serves(port)]
    if not hidden:
        return passed("no web server on the default bridge is without a published port")
    container, port = hidden[0]
    taken = {x.port for x in listeners.host}
    free = next((p for p in (port, port + 8000) if p > 1023 and p not in taken), listeners.free_port(port))
    return failed(
        f"{names(c for c, _ in hidden)} serves port {port}, which is exposed but not published",
        *(Evidence(f"docker inspect {c.name}", f"ExposedPorts {p}/tcp, no Ports") for c, p in hidden),
        cause="EXPOSE documents a port; only -p makes this host answer for it.",
        fix=(
            f"# if it should be reached from outside, replace {container.name} by a container that is run with -p {free}:{port}",
        ),
    )

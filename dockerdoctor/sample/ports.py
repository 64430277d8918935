"""The port of this host that the sample wants: whether it is free, who has it, and what another run left there."""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from dockerdoctor.checks.ports import by, freeing
from dockerdoctor.examine import passed
from dockerdoctor.facts.containers import Containers
from dockerdoctor.facts.engine import EngineInfo
from dockerdoctor.facts.listeners import holders, tcp_of
from dockerdoctor.facts.probes import PROBES
from dockerdoctor.host import Host
from dockerdoctor.measure import measure, required_probes
from dockerdoctor.model import Evidence, Finding
from dockerdoctor.sample.cleanup import left_over
from dockerdoctor.sample.judge import Holder, port_ours, port_privileged, port_taken
from dockerdoctor.sample.model import stage
from dockerdoctor.sample.scene import STAYS, Scene

# The tutorial's, and where the search for a free one begins.
FIRST = 4000


def _next(scene: Scene) -> str:
    """Go on with another port, as the person will."""
    scene.port = next_free(max(scene.port, FIRST))
    return f"port {scene.port}"


@stage("port", title="The port of this host is free", doing="Looking at the port", needs=("endpoint",), otherwise=_next)
def port(scene: Scene) -> Finding:
    """Remove what earlier runs left behind, then see whether the port can be had."""
    removed = left_over(scene, scene.api())
    gone = f"; removed {', '.join(removed)}, left from an earlier run" if removed else ""
    scene.port = scene.wishes.port or next_free(FIRST - 1)
    if finding := privileged(scene) or taken(scene):
        return finding
    return passed(f"{scene.port}{gone}")


def privileged(scene: Scene) -> Finding | None:
    """Say that an engine without root may not have the port, if so."""
    info = scene.facts.of(EngineInfo)
    lowest = scene.host.sysctl("net.ipv4.ip_unprivileged_port_start")
    if not (scene.local and info and info.rootless and lowest.isdigit() and scene.port < int(lowest)):
        return None
    free = next_free(max(int(lowest), FIRST) - 1)
    return port_privileged(scene.port, int(lowest), free)


def taken(scene: Scene) -> Finding | None:
    """Say who has the port, if anybody has."""
    running = scene.api().containers()
    if (found := publishing(scene.port, running)) and STAYS in (found.get("Labels") or {}):
        return port_ours(scene.port, found, next_free(scene.port))
    holder = container_holder(scene.port, running)
    if not holder and (not scene.local or is_free(scene.port)):
        return None
    if not holder:
        known, _ = measure(required_probes(PROBES, (Containers,)), scene.host, scene.facts)
        holder = process_holder(scene.host, scene.port, known.of(Containers) or Containers(()))
    return port_taken(scene.port, holder, next_free(scene.port))


def is_free(port: int) -> bool:
    """Try to bind as the engine's proxy will; a port that we may not bind ourselves counts as free."""
    with socket.socket() as sock:
        # As Go's net package does: connections that linger are no hindrance.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("0.0.0.0", port))  # noqa: S104 - where a published port listens
        except OSError as no:
            return no.errno != errno.EADDRINUSE
        return True


def next_free(port: int) -> int:
    """Find a port to suggest instead."""
    above = range(port + 1, min(port + 200, 65536))
    return next((p for p in above if is_free(p)), 0) or next(p for p in range(49152, 65536) if is_free(p))


def publishing(port: int, running: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Find the container that publishes a TCP port, in `GET /containers/json`."""
    return next(
        (c for c in running if any(p.get("PublicPort") == port and p.get("Type") == "tcp" for p in c["Ports"] or ())),
        None,
    )


def container_holder(port: int, running: Iterable[Mapping[str, Any]]) -> Holder | None:
    """Name the container that has the port."""
    found = publishing(port, running)
    if not found:
        return None
    name, short = str(found["Names"][0]).lstrip("/"), str(found["Id"])[:12]
    return Holder(
        f"container {name} ({short})",
        f"or free the port: docker stop {name}",
        Evidence("docker ps", f"{short}  {found.get('Image')}  {name}  0.0.0.0:{port}"),
    )


def process_holder(host: Host, port: int, containers: Containers) -> Holder | None:
    """Name the process that listens on the port, as far as we may see it."""
    with contextlib.suppress(OSError):
        held = tuple(x for x in tcp_of(host, "/proc/net") if x.port == port)
        processes = holders(host, frozenset(x.inode for x in held))
        for listener in (replace(x, process=processes.get(x.inode)) for x in held):
            free = freeing(listener, containers)[0]
            who = by(listener.process, containers)
            return Holder(who, f"or free the port: {free.lstrip('# ')}", Evidence("/proc/net/tcp", listener.where))
    return None

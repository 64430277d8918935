"""Who has the port of this host that the sample wants."""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from dockerdoctor.checks.ports import by, freeing
from dockerdoctor.facts.containers import Containers
from dockerdoctor.facts.listeners import holders, tcp_of
from dockerdoctor.host import Host
from dockerdoctor.model import Evidence
from dockerdoctor.sample.judge import Holder


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

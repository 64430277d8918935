"""Who has the port of this host that the sample wants."""

from __future__ import annotations

import errno
import re
import socket
from collections.abc import Iterable, Mapping
from typing import Any

from dockerdoctor.host import Host
from dockerdoctor.model import Evidence
from dockerdoctor.sample.judge import Holder

LISTEN = "0A"  # TCP_LISTEN, as /proc/net/tcp writes it


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


def process_holder(host: Host, port: int) -> Holder | None:
    """Name the process that listens on the port, as far as we may see it."""
    for path in ("/proc/net/tcp", "/proc/net/tcp6"):
        for inode in listening(host.text(path), port):
            for pid in host.pids():
                if any(
                    host.readlink(f"/proc/{pid}/fd/{fd}") == f"socket:[{inode}]"
                    for fd in host.listdir(f"/proc/{pid}/fd")
                ):
                    seen = Evidence(f"/proc/{pid}/cmdline", " ".join(host.cmdline(pid))[:200])
                    return Holder(f"process {host.comm(pid)} (pid {pid})", f"or free the port: kill {pid}", seen)
            seen = Evidence(path, f"a socket listens on port {port}")
            return Holder(
                "a process of another user", f"or see which process it is, as root: ss -ltnp 'sport = :{port}'", seen
            )
    return None


def listening(table: str, port: int) -> tuple[str, ...]:
    """Find the inodes of the sockets that listen on a port, in /proc/net/tcp (proc(5))."""
    rows = (line.split() for line in table.splitlines()[1:])
    return tuple(
        row[9] for row in rows if len(row) > 9 and row[3] == LISTEN and re.fullmatch(rf"[0-9A-F]+:{port:04X}", row[1])
    )

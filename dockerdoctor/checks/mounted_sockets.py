"""Containers that use the engine themselves, through its socket."""

from __future__ import annotations

from shlex import quote

from dockerdoctor.examine import check, failed, passed, skipped
from dockerdoctor.facts.mounted_sockets import MountedSockets
from dockerdoctor.model import Evidence, Finding, Severity


@check(
    "containers.mounted-socket",
    title="Containers that mount the engine's socket hold the one that is there now",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/engine/daemon/live-restore/",
)
def mounted_socket(sockets: MountedSockets) -> Finding:
    """
    A bind mount of a file holds that very file: a socket that is made anew under the same name is another one.

    Why it matters: agents, proxies and panels in containers say "Cannot connect to the Docker daemon" after the socket
    was made anew, while the host's own commands work; only containers that live-restore kept running are in this state.
    How to fix: restart the containers. Mounting the socket's folder, or leaving docker.socket running, avoids it.
    """
    if not sockets.all:
        return skipped("no running container mounts the engine's socket")
    names = ", ".join(dict.fromkeys(s.container for s in sockets.all))
    stale = sockets.stale
    if not stale:
        return passed(f"the socket that {names} mounted is the one that is there")
    broken = tuple(dict.fromkeys(s.container for s in stale))
    return failed(
        f"{', '.join(broken)}: the {stale[0].source} mounted there was deleted, and another one made since",
        *(Evidence(f"/proc/PID/mountinfo of {s.container}", s.mount) for s in stale),
        cause="The engine's socket was made anew while these containers went on running; their mounts lead to the old one, "
        "where nobody listens.",
        fix=(f"docker restart {' '.join(map(quote, broken))}",),
        impact=f"restarts {', '.join(broken)}",
    )

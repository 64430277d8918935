"""What only some editions of the engine forbid: one without root its low ports, Ubuntu's snap most folders of the host."""

from __future__ import annotations

import re

from dockerdoctor.checks.ended_starts import message_of
from dockerdoctor.checks.endings import anew
from dockerdoctor.examine import check, failed, passed, skipped
from dockerdoctor.facts.containers import Container, Containers
from dockerdoctor.facts.engine import EngineInfo, Installed
from dockerdoctor.facts.ports_below import LowPorts
from dockerdoctor.model import Evidence, Finding, Severity

PRIVILEGED = re.compile(
    r"cannot expose privileged port (?P<port>\d+)|listen tcp\S* \S*:(?P<bind>\d+): bind: permission denied"
)


@check(
    "ports.rootless-privileged",
    title="An engine without root may publish the ports that are asked of it",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/engine/security/rootless/tips/#exposing-privileged-ports",
)
def rootless_privileged(info: EngineInfo, containers: Containers, low: LowPorts) -> Finding:
    """
    Ports below 1024 are root's, unless the kernel is told otherwise (ip(7), ip_unprivileged_port_start).

    Why it matters: "cannot expose privileged port 80", and the container does not start.
    How to fix: lower the limit, give rootlesskit the right, or publish another port.
    """
    if not info.rootless:
        return skipped("the engine runs as root")
    refused: list[tuple[Container, int]] = []
    for one in containers.all:
        match = PRIVILEGED.search(one.error) if not one.running else None
        port = int(match["port"] or match["bind"]) if match else 0
        if 0 < port < low.start:
            refused.append((one, port))
    if not refused or low.allowed:
        return passed("no container was refused a low port")
    first, port = refused[0]
    lowest = min(p for _, p in refused)
    return failed(
        f"{first.name} cannot start: an engine without root may not publish port {port}",
        *(message_of(c) for c, _ in refused),
        Evidence("/proc/sys/net/ipv4/ip_unprivileged_port_start", str(low.start)),
        cause=f"Ports below {low.start} are for processes with CAP_NET_BIND_SERVICE, which rootlesskit does not have.",
        fix=(
            f"sysctl -w net.ipv4.ip_unprivileged_port_start={lowest}",
            f"echo net.ipv4.ip_unprivileged_port_start={lowest} > /etc/sysctl.d/60-docker-rootless.conf",
            f"docker start {first.name}",
            f"# or without a change to the host: {anew(first, f'-p {port + 8000}:…').removeprefix('# ')}",
        ),
    )


SNAP = "/var/snap/docker/"
UNSEEN = re.compile(
    r"error while creating mount source path '(?P<path>[^']+)': mkdir [^:]+: (?:read-only file system|permission denied)|"
    r"invalid mount config for type \"bind\": bind source path does not exist: (?P<path2>\S+)"
)


@check(
    "engine.snap",
    title="The engine may use the folders that containers mount",
    severity=Severity.ERROR,
    docs="https://github.com/canonical/docker-snap#usage",
)
def snap(info: EngineInfo, containers: Containers, programs: Installed | None) -> Finding:
    """
    Ubuntu's snap of Docker is confined: of the host it sees what lies below /home, and nothing hidden there.

    Why it matters: "error while creating mount source path: read-only file system" for folders that are there.
    How to fix: keep what is mounted below a home, or install Docker from a package.
    """
    if not info.root_dir.startswith(SNAP):
        return skipped("this engine is not the snap's")
    seen = Evidence("GET /info DockerRootDir", info.root_dir)
    refused = [(c, m["path"] or m["path2"]) for c in containers.all if (m := UNSEEN.search(c.error))]
    if not refused:
        return passed(f"the snap's engine ({info.root_dir}) refused no mount", seen)
    first, path = refused[0]
    return failed(
        f"{first.name} cannot start: the snap's engine does not see {path}",
        *(message_of(c) for c, _ in refused),
        seen,
        *((Evidence("docker in PATH", programs.docker),) if programs and programs.docker.startswith("/snap/") else ()),
        cause="A snap is confined to its own folders and those below /home that are not hidden; nothing there is read-only.",
        fix=(
            f"# move what lies in {path} below a home, and mount it from there",
            "# or use Docker from a package instead of the snap (containers, images and volumes must be moved):",
            "# snap remove docker; apt-get install docker.io",
        ),
    )

"""Whether a container can be started at all."""

from __future__ import annotations

import re

from dockerdoctor.checks.reach import NETWORK_TROUBLE, TOO_MANY_FILES
from dockerdoctor.examine import check, failed, passed, unknown
from dockerdoctor.facts.engine import DaemonProcess
from dockerdoctor.facts.inside import Inside
from dockerdoctor.facts.probe_container import NO_PYTHON
from dockerdoctor.model import Evidence, Finding, Severity

# An authorization plugin, or a proxy before the socket that lets nothing be created: policy, not a fault.
FORBIDDEN = re.compile(r"authorization denied|forbidden|not allowed|\b403\b", re.IGNORECASE)


CAUSES = (
    "engine.containerd",
    "engine.containerd-plugins",
    "engine.programs",
    "engine.unit-sandbox",
    "storage.read-only",
    "storage.space",
    "storage.inodes",
    # The questions are asked from threads.
    "kernel.clone3",
    "kernel.modules-needed",
    "kernel.apparmor",
    "resources.default-ulimits",
    "cgroups.mounted",
    "cgroups.version",
    "cgroups.systemd-driver",
    "network.bridge",
    "network.bridge-address",
    "network.docker-chains",
    "network.address-pools",
)
# Docker copies the host's: a link in a circle stops every container, an empty file none.
RESOLV_CONF = "dns.resolv-conf"


@check(
    "containers.start",
    title="A container can be started",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/engine/daemon/troubleshoot/",
    upstream=(*CAUSES, RESOLV_CONF, "resources.open-files"),
)
def start(inside: Inside, process: DaemonProcess | None) -> Finding:
    """
    The doctor starts containers of its own to ask questions from inside; they need no image and no registry.

    Why it matters: when these do not start, none does.
    How to fix: the engine's message says what failed; the daemon's log says more.
    """
    if inside.views:
        return passed(f"a container started on the {' and the '.join(v.place for v in inside.views)}")
    lines = tuple(Evidence(f"docker run, on the {v.place}", v.error) for v in (inside.bridge, inside.user))
    message = inside.bridge.error
    if message == NO_PYTHON:
        return unknown(f"no container could be asked: {message}", how="docker pull python:3.13-slim")
    if message.startswith("no answer within"):
        return unknown(f"the probe containers did not answer: {message}", *lines)
    if FORBIDDEN.search(message):
        return unknown(f"this engine forbids what the doctor asks of it: {message}", *lines)
    if NETWORK_TROUBLE.search(message):
        return unknown("what keeps a container's network from being set up is judged elsewhere", *lines)
    if process is not None and not process.pid:
        # docker.sock given to a container, or Docker Desktop's in WSL: what we bind is looked for over there.
        return unknown(
            f"the engine is another machine's, and did not start a container of our files: {message}", *lines
        )
    return failed(
        f"no container can be started: {message}",
        *lines,
        cause="The engine answers, but fails to start a container from nothing but the host's own Python.",
        fix=("# the daemon's own words, which may say more:", "journalctl -u docker.service -n 50 --no-pager"),
        because=(RESOLV_CONF,)
        if "resolv.conf" in message
        else (*CAUSES, *(("resources.open-files",) if TOO_MANY_FILES in message else ())),
    )

"""What settings of docker.service take away from dockerd: mounts that containerd sees, the network, rights, files."""

from __future__ import annotations

import re

from dockerdoctor.checks.prerequisites import NOT_OURS, of_this_host, shown, start
from dockerdoctor.checks.rewriting import impact, restarted
from dockerdoctor.checks.unit import RELOAD, edited, line
from dockerdoctor.examine import check, failed, passed, skipped
from dockerdoctor.facts.endpoint import ChosenEndpoint, DaemonPing
from dockerdoctor.facts.engine import EngineInfo, Units
from dockerdoctor.facts.log import StartLog
from dockerdoctor.facts.namespaces import Namespaces
from dockerdoctor.facts.startup import SANDBOX, Setting, UnitCommands
from dockerdoctor.model import Evidence, Finding, Severity

EXEC = "https://www.freedesktop.org/software/systemd/man/latest/systemd.exec.html#Sandboxing"
# What the kernel says to a process that has been deprived of something.
DENIED = re.compile(
    r"read-only file system|permission denied|not permitted|not supported|no such (?:file or directory|device)|^panic:",
    re.IGNORECASE,
)
# These drivers, and containerd's own snapshots, need no mount of dockerd's for a container's files.
NO_MOUNTS = frozenset({"vfs", "overlayfs", "native", "stargz"})
NO_SETTING = "# start dockerd in the namespaces of the host; systemctl cat docker.service shows how it is started"
# Only a namespace of mounts of its own is made for these.
OFF = frozenset({"", "no", "false", "off", "0", "shared"})


def _on(commands: UnitCommands | None) -> list[Setting]:
    """The settings that are in force; an empty value takes back those before."""
    found: dict[str, list[Setting]] = {}
    for setting in commands.settings if commands else ():
        if SANDBOX.fullmatch(setting.key):
            off = setting.value.lower() in OFF
            found[setting.key] = [] if off else [*found.get(setting.key, []), setting]
    return [s for listed in found.values() for s in listed]


@check(
    "engine.unit-sandbox",
    title="systemd gives dockerd the whole host",
    severity=Severity.ERROR,
    docs=EXEC,
    upstream=("engine.unit-valid", "engine.network-namespace"),
)
def unit_sandbox(
    endpoint: ChosenEndpoint,
    ping: DaemonPing,
    commands: UnitCommands | None,
    units: Units | None,
    log: StartLog | None,
    spaces: Namespaces | None,
    info: EngineInfo | None,
) -> Finding:
    """
    PrivateTmp=, ProtectSystem= and their like, meant to harden a service, give it mounts of its own.

    A container's file system is mounted by dockerd and used by containerd: what one of them mounts the other must see.

    Why it matters: a container's files are not there ("executable file not found"), folders of the host cannot be mounted,
    or dockerd does not even start ("read-only file system").
    How to fix: take these settings out of docker.service.
    """
    if not of_this_host(endpoint):
        return skipped(NOT_OURS)
    on = _on(commands)
    undo = (*(edited(s, "s/^/# /") for s in on), RELOAD) if on else ()
    names = ", ".join(f"{s.key}={s.value}" for s in on)
    if not ping.answered:
        failing = bool(units and units.docker.failing and log and DENIED.search(log.complaint))
        if not (on and failing and log and units):
            return passed("no setting of docker.service keeps dockerd from the host")
        return failed(
            f"docker.service takes from dockerd what it needs to start: {names}",
            *map(line, on),
            Evidence(log.source, log.complaint),
            shown(units.docker),
            cause="These settings restrict a service; dockerd manages mounts, networks and rights, and cannot do without.",
            fix=(*undo, *start(units)),
        )
    if spaces is None or spaces.containerd_mounts in {"", spaces.mounts} or (info and info.driver in NO_MOUNTS):
        return passed("dockerd answers, and sees the mounts that containerd sees")
    return failed(
        "dockerd has mounts of its own, which containerd does not see" + (f": {names}" if names else ""),
        Evidence("/proc/PID/ns/mnt", f"dockerd {spaces.mounts}, containerd {spaces.containerd_mounts}"),
        *map(line, on),
        cause="dockerd mounts the files of a container, and containerd, which starts it, finds an empty folder.",
        fix=(*(undo or (NO_SETTING,)), *restarted(units)),
        impact=impact(info),
        # Newer versions of systemd make both for the one setting.
        because=("engine.network-namespace",) if on and all("Network" in s.key for s in on) else ("engine.unit-valid",),
    )


@check(
    "engine.network-namespace",
    title="dockerd is in this host's network",
    severity=Severity.ERROR,
    docs=EXEC,
    upstream=("engine.unit-valid",),
)
def network_namespace(
    endpoint: ChosenEndpoint,
    spaces: Namespaces,
    commands: UnitCommands | None,
    units: Units | None,
    info: EngineInfo | None,
) -> Finding:
    """
    Bridges, addresses and published ports are made in the network that dockerd itself is in.

    Why it matters: with PrivateNetwork= or NetworkNamespacePath= containers reach nobody, and nobody reaches a port.
    How to fix: take the setting out of docker.service.
    """
    if not of_this_host(endpoint):
        return skipped(NOT_OURS)
    if not spaces.network or spaces.network == spaces.own_network:
        return passed("dockerd is in this host's network")
    on = [s for s in _on(commands) if "Network" in s.key]
    return failed(
        "dockerd is in a network of its own" + (f": {on[-1].key}={on[-1].value}" if on else ""),
        Evidence("/proc/PID/ns/net", f"dockerd {spaces.network}, this host {spaces.own_network}"),
        *map(line, on),
        cause="Docker's bridges and published ports are in a network namespace that nothing else is connected to.",
        fix=(*(edited(s, "s/^/# /") for s in on), *((RELOAD,) if on else (NO_SETTING,)), *restarted(units)),
        impact=impact(info),
    )

"""What settings of docker.service take away from dockerd: mounts that containerd sees, the network, rights, files."""

from __future__ import annotations

import re

from dockerdoctor.checks.prerequisites import NOT_OURS, of_this_host, shown, start
from dockerdoctor.checks.rewriting import impact, restarted
from dockerdoctor.checks.unit import RELOAD, edited, line
from dockerdoctor.examine import check, failed, passed, skipped, unknown
from dockerdoctor.facts.dns import EMBEDDED
from dockerdoctor.facts.endpoint import ChosenEndpoint, DaemonPing
from dockerdoctor.facts.engine import EngineInfo, Units
from dockerdoctor.facts.inside import Inside
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
# The same of a container that dockerd was to make.
REFUSED = re.compile(r"permission denied|not permitted", re.IGNORECASE)
KILLED = frozenset({"core-dump", "signal"})  # $SERVICE_RESULT of systemd.exec(5)
# These drivers, and containerd's own snapshots, need no mount of dockerd's for a container's files.
NO_MOUNTS = frozenset({"vfs", "overlayfs", "native", "stargz"})
NO_SETTING = "# start dockerd in the namespaces of the host; systemctl cat docker.service shows how it is started"
# These filter packets, and take nothing else.
ADDRESSES = frozenset({"IPAddressDeny", "IPAddressAllow"})
# Only a namespace of mounts of its own is made for these.
OFF = frozenset({"", "no", "false", "off", "0", "shared"})


def _on(commands: UnitCommands | None) -> list[Setting]:
    """The settings that are in force; an empty value takes back those before."""
    found: dict[str, list[Setting]] = {}
    for setting in commands.settings if commands else ():
        if SANDBOX.fullmatch(setting.key):
            off = setting.value.lower() in OFF or setting.key in ADDRESSES
            found[setting.key] = [] if off else [*found.get(setting.key, []), setting]
    return [s for listed in found.values() for s in listed]


def denied(commands: UnitCommands | None) -> list[Setting]:
    """The lines of IPAddressDeny= that are in force; an empty one takes back those before."""
    found: list[Setting] = []
    for setting in commands.settings if commands else ():
        if setting.key == "IPAddressDeny":
            found = [*found, setting] if setting.value else []
    return found


@check(
    "engine.unit-addresses",
    title="systemd lets dockerd talk to every address",
    severity=Severity.ERROR,
    docs="https://www.freedesktop.org/software/systemd/man/latest/systemd.resource-control.html#IPAddressAllow=ADDRESS%5B/PREFIXLENGTH%5D%E2%80%A6",
    upstream=("engine.unit-valid", "engine.network-namespace"),
)
def unit_addresses(
    endpoint: ChosenEndpoint,
    commands: UnitCommands,
    units: Units | None,
    inside: Inside | None,
    info: EngineInfo | None,
) -> Finding:
    """
    IPAddressDeny= filters packets of a service; dockerd pulls images, resolves for user networks, and carries ports.

    Containers are not in docker.service, and are not touched by it.

    Why it matters: pulls end with "operation not permitted"; names time out on user networks, ports on 127.0.0.1.
    How to fix: take the setting out of docker.service, or allow what dockerd needs.
    """
    if not of_this_host(endpoint):
        return skipped(NOT_OURS)
    on = denied(commands)
    if not on:
        return passed("docker.service may talk to every address")
    if not inside:
        return unknown("docker.service may not talk to every address; whether it must was not tried")
    dead = [p for p in inside.published if p.source == "host" and p.target.startswith("127.") and p.outcome != "ok"]
    silent = [a for a in inside.user.dns if a.server == EMBEDDED and a.silent]
    if not dead and not (silent and len(silent) == len([a for a in inside.user.dns if a.server == EMBEDDED])):
        return passed("docker.service may not talk to every address, and needs none of those")
    return failed(
        f"docker.service may not talk to what dockerd needs: {', '.join(f'{s.key}={s.value}' for s in on)}",
        *map(line, on),
        *(Evidence(f"connect {p.target}, from the host", p.outcome) for p in dead),
        *(Evidence(f"{a.kind} {a.name} @{a.server} {a.transport}, from the user network", a.outcome) for a in silent),
        cause="systemd drops packets of dockerd and docker-proxy, whatever the firewall's rules say.",
        fix=(*(edited(s, "s/^/# /") for s in on), RELOAD, *restarted(units)),
        impact=impact(info),
    )


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
    inside: Inside | None,
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
        said = log.complaint if log else ""
        # A forbidden system call kills at once, unless SystemCallErrorNumber= makes an error of it.
        killed = units is not None and units.docker.result in KILLED and any("SystemCall" in s.key for s in on)
        failing = bool(units and units.docker.failing and (killed or DENIED.search(said)))
        if not (on and failing and units):
            return passed("no setting of docker.service keeps dockerd from the host")
        return failed(
            f"docker.service takes from dockerd what it needs to start: {names}",
            *map(line, on),
            *((Evidence(log.source, said),) if log and said else ()),
            shown(units.docker),
            cause="These settings restrict a service; dockerd manages mounts, networks and rights, and cannot do without.",
            fix=(*undo, *start(units)),
        )
    refused = [m for m in (inside.bridge.error, inside.user.error) if REFUSED.search(m)] if inside else []
    if refused and on:
        return failed(
            f"docker.service takes from dockerd what it needs for a container: {names}",
            *map(line, on),
            *dict.fromkeys(Evidence("docker run", m) for m in refused),
            cause="These settings restrict a service; dockerd makes namespaces, mounts and networks, and cannot do without.",
            fix=(*undo, *restarted(units)),
            impact=impact(info),
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

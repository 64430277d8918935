"""The programs and parts that the engine needs for a container, where it said that one of them is not to be had."""

from __future__ import annotations

import re
from shlex import quote

from dockerdoctor.checks.prerequisites import NOT_OURS, TROUBLE, of_this_host, start
from dockerdoctor.checks.rewriting import impact, restarted
from dockerdoctor.checks.unit import RELOAD, edited, line
from dockerdoctor.examine import check, failed, passed, skipped
from dockerdoctor.facts.bad_programs import CONTAINERD_TOML, BadProgram, BadPrograms
from dockerdoctor.facts.endpoint import ChosenEndpoint, DaemonPing
from dockerdoctor.facts.engine import EngineInfo, Installed, Units
from dockerdoctor.facts.startup import UnitCommands
from dockerdoctor.model import Evidence, Finding, Severity

AGAIN = {
    "apt-get": "apt-get install --reinstall -y {}",
    "dnf": "dnf reinstall -y {}",
    "yum": "yum reinstall -y {}",
    "zypper": "zypper install --force -y {}",
}
# Links that the packages' scripts make (update-alternatives) are in no list of files; the names are every distribution's.
BRINGS = {"iptables": "iptables", "ip6tables": "iptables", "nft": "nftables"}
# Where nobody knows which package it was.
PACKAGES = {"docker-init": "docker-ce, or tini", "docker-proxy": "docker-ce, or docker.io"}


def repaired(bad: BadProgram, manager: str) -> tuple[str, ...]:
    """Make a program one that can be run."""
    if bad.problem == "may not be executed":
        return (f"chmod 755 {quote(bad.path)}",)
    package = bad.package or BRINGS.get(bad.name, "")
    if package and manager in AGAIN:
        return (AGAIN[manager].format(package),)
    whose = PACKAGES.get(bad.name, "containerd.io, or runc and containerd")
    return (f"# install the package again that brings {bad.name}: {whose}",)


@check(
    "engine.programs",
    title="The programs that the engine runs can be run",
    severity=Severity.ERROR,
    docs=TROUBLE,
    upstream=("engine.installed", "engine.containerd", "storage.read-only"),
)
def programs(
    endpoint: ChosenEndpoint,
    bad: BadPrograms,
    ping: DaemonPing,
    units: Units | None,
    commands: UnitCommands | None,
    installed: Installed | None,
    info: EngineInfo | None,
) -> Finding:
    """
    For each container runc, a shim, docker-proxy and iptables are run; an upgrade cut short, or a clean-up, takes one away.

    Why it matters: dockerd runs and answers, and no container starts, or none with a port.
    How to fix: install the package again that brings the program; give it back its mode; correct the unit's PATH.
    """
    if not of_this_host(endpoint):
        return skipped(NOT_OURS)
    sick = [b for b in bad.all if b.problem]
    if not sick:
        return passed("the engine missed no program")
    again = restarted(units) if ping.answered else start(units)
    manager = installed.package_manager if installed else ""
    one = sick[0]
    paths = [s for s in commands.settings if s.key == "Environment"] if commands else []
    lost = [b for b in sick if b.problem == "is not in PATH"]
    if lost:
        steps = (
            (*(edited(s, "s/^/# /") for s in paths), RELOAD) if paths else ("# correct PATH where dockerd is started",)
        )
        repair = (*steps, *again)
        cause = f"docker.service gives dockerd the PATH {bad.path}, in which {one.name} does not lie."
    else:
        # What dockerd found missing at its start it does not look for again.
        repair = (*dict.fromkeys(c for b in sick for c in repaired(b, manager)), *(() if ping.answered else again))
        cause = f"The engine runs {one.name} for what it does, and cannot: it {one.problem}."
    where = f" ({one.path})" if one.path else ""
    return failed(
        f"the engine cannot run {one.name}{where}: it {one.problem}",
        *(Evidence("the engine's message", b.said) for b in sick),
        *(Evidence(b.path or f"command -v {b.name}", b.problem) for b in sick),
        *(map(line, paths) if lost else ()),
        cause=cause,
        fix=repair,
        impact=impact(info) if lost or not ping.answered else "",
    )


@check(
    "engine.containerd-plugins",
    title="containerd has the parts that Docker needs",
    severity=Severity.ERROR,
    docs="https://github.com/containerd/containerd/blob/main/docs/man/containerd-config.toml.5.md",
    upstream=("engine.containerd",),
)
def containerd_plugins(
    endpoint: ChosenEndpoint, bad: BadPrograms, units: Units | None, info: EngineInfo | None
) -> Finding:
    """
    Containerd's parts can be turned off one by one; Docker's packages turn off "cri" alone, which only Kubernetes needs.

    Why it matters: dockerd answers, and no container starts ("unknown service containerd.services…").
    How to fix: leave the others on.
    """
    if not of_this_host(endpoint):
        return skipped(NOT_OURS)
    if not bad.unserved:
        return passed("containerd offers what was asked of it")
    # As it is written there: the file's second version wants "io.containerd.grpc.v1.cri", and does not start with "cri".
    kept = ", ".join(re.findall(r'"[^"]*\bcri"', bad.disabled))
    edit = f"{bad.disabled_at}s/=.*/= [{kept}]/"
    repair = (
        (f"sed -i {quote(edit)} {CONTAINERD_TOML}",)
        if bad.disabled
        else ("containerd config dump", "# find what turns the part off that the message names")
    )
    return failed(
        "containerd lacks a part that Docker needs" + (f": {bad.disabled}" if bad.disabled else ""),
        Evidence("the engine's message", bad.unserved),
        *((Evidence(f"{CONTAINERD_TOML}:{bad.disabled_at}", bad.disabled),) if bad.disabled else ()),
        cause="containerd's configuration turns off a part that Docker uses."
        if bad.disabled
        else "A part of containerd is turned off, or failed to load.",
        fix=(*repair, "systemctl restart containerd.service", *restarted(units)),
        impact=impact(info),
    )

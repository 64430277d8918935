"""Control groups: whether containers have any, what can be limited by them, and who is to make them."""

from __future__ import annotations

from itertools import groupby

from dockerdoctor import jsontext
from dockerdoctor.checks.daemon_json import unparsable
from dockerdoctor.checks.daemon_keys import members, shown
from dockerdoctor.checks.rewriting import impact, restarted, rewritten, with_value, without
from dockerdoctor.checks.startup import flag_removed, place
from dockerdoctor.checks.unit import RELOAD
from dockerdoctor.examine import check, failed, passed, skipped
from dockerdoctor.facts.cgroups import TOP, Cgroups
from dockerdoctor.facts.daemon_json import DaemonJson, StartFlags
from dockerdoctor.facts.engine import EngineInfo, EngineVersion, Installed, Units, version_parts
from dockerdoctor.model import Evidence, Finding, Severity

DRIVER = "native.cgroupdriver=systemd"
# Engines before it know version 1 only (moby/moby#40174).
KNOWS_VERSION_2 = (20, 10)
# What runc uses of version 1. Without the first no container starts; without another its limits are not kept.
USED = ("devices", "memory", "cpu", "cpuacct", "cpuset", "blkio", "pids", "freezer")


def _kept(groups: Cgroups) -> Evidence:
    kind = {"cgroup2": "version 2", "": "nothing is mounted"}.get(groups.top, f"version 1 ({groups.top})")
    return Evidence(f"/proc/self/mountinfo: {TOP}", f"{kind}; controllers: {', '.join(groups.mounted) or 'none'}")


def _mounts(groups: Cgroups, names: tuple[str, ...]) -> tuple[str, ...]:
    """Mount controllers of version 1; those that share a hierarchy can only be mounted together."""
    steps: list[str] = []
    lacking = sorted((c for c in groups.known if c.enabled and c.name not in groups.mounted), key=lambda c: c.hierarchy)
    for number, together in groupby(lacking, key=lambda c: c.hierarchy):
        listed = [c.name for c in together]
        for hierarchy in [listed] if number else [[name] for name in listed]:
            if set(hierarchy) & set(names):
                folder = f"{TOP}/{','.join(hierarchy)}"
                steps += [f"mkdir -p {folder}", f"mount -t cgroup -o {','.join(hierarchy)} cgroup {folder}"]
    return tuple(steps)


@check(
    "cgroups.mounted",
    title="The kernel's control groups are mounted",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/engine/daemon/troubleshoot/",
)
def mounted(groups: Cgroups, units: Units | None, info: EngineInfo | None) -> Finding:
    """
    Every container is put into control groups; systemd mounts them at boot, on other systems a script has to.

    Why it matters: "Devices cgroup isn't mounted", "cgroup mountpoint does not exist"; no container starts.
    How to fix: mount them (the package cgroupfs-mount does it at boot), and restart Docker.
    """
    if groups.top == "cgroup2":
        return passed(f"version 2, with {', '.join(groups.unified) or 'no controllers'}")
    if not groups.known:
        return skipped("/proc/cgroups cannot be read")
    if "devices" in groups.mounted:
        return passed(f"version 1: {', '.join(groups.mounted)}")
    if groups.top:
        top: tuple[str, ...] = ()
        steps = _mounts(groups, USED)
    elif all(c.hierarchy == 0 for c in groups.known):
        top, steps = (), (f"mount -t cgroup2 cgroup2 {TOP}",)
    else:
        top, steps = (f"mount -t tmpfs cgroup {TOP}",), _mounts(groups, USED)
    what = "no control groups are mounted" if not groups.mounted else "the control group of devices is not mounted"
    return failed(
        f"{what}{f' at {TOP}' if not groups.mounted else ''}, and no container starts without it",
        _kept(groups),
        Evidence("/proc/cgroups", ", ".join(c.name for c in groups.known if c.enabled)),
        cause="Nothing mounted them at boot, or somebody unmounted them.",
        fix=(*top, *steps, *restarted(units), "# so that it lasts without systemd: install the package cgroupfs-mount"),
        impact=impact(info),
    )


@check(
    "cgroups.version",
    title="The engine knows this host's version of control groups",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/engine/containers/runmetrics/#control-groups",
)
def version(groups: Cgroups, engine: EngineVersion | None, programs: Installed | None) -> Finding:
    """
    Distributions of 2021 and later have control groups of version 2 only, which Docker knows since 20.10.

    Why it matters: "cgroups: cgroup mountpoint does not exist", and no container starts.
    How to fix: a newer engine; or tell the kernel to keep version 1, which costs a reboot.
    """
    parts = engine.parts if engine else version_parts(programs.dockerd_version) if programs else ()
    if groups.top != "cgroup2" or not parts:
        return passed("version 1" if groups.top else "no control groups are mounted")
    told = engine.version if engine else programs.dockerd_version if programs else ""
    if parts >= KNOWS_VERSION_2:
        return passed(f"Engine {told} knows version 2")
    return failed(
        f"this host has control groups of version 2, and Engine {told} knows version 1 only",
        _kept(groups),
        Evidence("GET /version" if engine else "dockerd --version", told),
        cause="The host is newer than the engine: version 2 is known to Engine 20.10 and later.",
        fix=(
            "# install a newer Docker Engine: https://docs.docker.com/engine/install/",
            "# or, as a last resort: add systemd.unified_cgroup_hierarchy=0 to the kernel's command line, and reboot",
        ),
    )


@check(
    "kernel.memory-limits",
    title="The kernel can limit the memory of containers",
    severity=Severity.WARNING,
    docs="https://docs.docker.com/engine/containers/resource_constraints/",
    upstream=("cgroups.mounted",),
)
def memory_limits(info: EngineInfo, groups: Cgroups | None, units: Units | None) -> Finding:
    """
    Some systems, Raspberry Pi OS among them, start the kernel without the memory controller.

    Why it matters: `--memory` is discarded, and one container can take all of the host's memory.
    How to fix: turn the controller on, or mount it. That swap alone cannot be limited is harmless.
    """
    wrong = [w for w in info.warnings if "No memory limit support" in w]
    if not wrong:
        return passed("GET /info has no complaint about memory limits")
    cause, fix = _without_memory(info, groups, units)
    return failed(
        "the memory of containers cannot be limited: --memory is discarded",
        Evidence("GET /info warnings", wrong[0].strip()),
        *((_kept(groups),) if groups else ()),
        cause=cause,
        fix=fix,
        impact="" if fix[0].startswith("#") else impact(info),
    )


def _without_memory(info: EngineInfo, groups: Cgroups | None, units: Units | None) -> tuple[str, tuple[str, ...]]:
    command_line = ("# add cgroup_enable=memory cgroup_memory=1 to the kernel's command line, and reboot",)
    if info.rootless:
        return "The user's share of the control groups does not have the memory controller.", (
            "# as root: mkdir -p /etc/systemd/system/user@.service.d",
            "# as root: echo '[Service]' > /etc/systemd/system/user@.service.d/delegate.conf",
            "# as root: echo 'Delegate=cpu cpuset io memory pids' >> /etc/systemd/system/user@.service.d/delegate.conf",
            "# as root: systemctl daemon-reload; then log out and in again (this needs control groups of version 2)",
        )
    if groups is None:
        return "The memory controller of the control groups is off.", command_line
    memory = next((c for c in groups.known if c.name == "memory"), None)
    if "memory" in (*groups.mounted, *groups.unified):
        return "The memory controller is there by now; dockerd looked for it when it was started.", restarted(units)
    if groups.top and groups.top != "cgroup2" and memory and memory.enabled:
        return (
            "The kernel has the memory controller, and it is not mounted.",
            (*_mounts(groups, ("memory",)), *restarted(units)),
        )
    return "The memory controller of the control groups is off.", command_line


@check(
    "cgroups.systemd-driver",
    title="systemd can be asked for control groups, where it is to make them",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/reference/cli/dockerd/#configure-cgroup-driver",
)
def systemd_driver(
    groups: Cgroups,
    config: DaemonJson | None,
    flags: StartFlags | None,
    info: EngineInfo | None,
    units: Units | None,
) -> Finding:
    """
    With native.cgroupdriver=systemd, often copied from instructions for Kubernetes, each container is a unit of systemd's.

    Why it matters: dockerd starts, and no container does: "systemd cgroup flag passed, but systemd support for managing
    cgroups is not available", "systemd not running on this host", "failed to connect to dbus".
    How to fix: let Docker make them itself, or bring systemd's bus back.
    """
    options = config.settings.get("exec-opts") if config and config.settings else None
    in_file = [o for o in options if _asks(o)] if isinstance(options, list) else []
    in_flags = [f for f in flags.flags if f.name == "--exec-opt" and _asks(f.value)] if flags else []
    asked = bool(in_file or in_flags)
    if info and info.rootless:
        return skipped("an engine without root asks its user's systemd")
    if not asked and not (info and info.cgroup_driver == "systemd"):
        return passed("Docker makes the control groups itself")
    if groups.systemd and groups.buses:
        return passed(f"systemd is there to be asked, at {groups.buses[0]}")
    seen = [Evidence(f"{place(f)}", f"{f.name} {f.value}") for f in in_flags]
    fix: list[str] = [step for f in in_flags if (step := flag_removed(f))]
    if fix:
        fix.append(RELOAD)
    if config and in_file:
        root = unparsable(config, ())
        member = None if isinstance(root, Finding) else members(root).get("exec-opts")
        if member and not isinstance(root, Finding):
            seen.append(shown(config, member))
            left = [o for o in options or () if not _asks(o)]
            new = (
                jsontext.edited(config.text, [with_value(member.node, left)])
                if left
                else without(config.text, root, ["exec-opts"])
            )
            fix += rewritten(config, new, units, restart=False)
    bus = Evidence("/run/systemd/system", "is there" if groups.systemd else "is not there")
    what = "does not run here" if not groups.systemd else "cannot be reached: its bus has no socket"
    return failed(
        f"containers' control groups are to be made by systemd ({DRIVER}), which {what}",
        *seen,
        *((Evidence("GET /info CgroupDriver", info.cgroup_driver),) if info else ()),
        bus,
        *(() if not groups.systemd else (Evidence("/run/dbus/system_bus_socket, /run/systemd/private", "not there"),)),
        cause="runc asks systemd for a scope for each container, and nobody is there to answer.",
        fix=(*(fix or [f"# take {DRIVER} out of the daemon's options"]), *restarted(units)),
        impact=impact(info),
    )


def _asks(option: object) -> bool:
    return str(option).replace(" ", "").lower() == DRIVER

"""daemon.json against what runs: the flags of the next start, and the settings of the daemon that is up."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_network
from typing import Any

from dockerdoctor.checks.daemon_json import engine_version, unparsable
from dockerdoctor.checks.daemon_keys import members, shown
from dockerdoctor.checks.rewriting import impact, quoted, restarted, rewritten, typed, without
from dockerdoctor.daemonkeys import BY_NAME, flattened, keys_of_flag
from dockerdoctor.examine import check, failed, passed, skipped
from dockerdoctor.facts.containers import Networks
from dockerdoctor.facts.daemon_json import DaemonJson, Flag, StartFlags
from dockerdoctor.facts.dns import is_loopback
from dockerdoctor.facts.engine import DaemonProcess, EngineInfo, EngineVersion, Installed, Units
from dockerdoctor.facts.inside import Inside
from dockerdoctor.model import Evidence, Finding, Severity

DROP_IN = "/etc/systemd/system/docker.service.d/hosts-from-file.conf"


@check(
    "daemon-json.flag-conflict",
    title="No setting is given both in the configuration file and as a flag",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/engine/daemon/troubleshoot/",
)
def flag_conflict(
    file: DaemonJson,
    start: StartFlags,
    installed: Installed | None,
    version: EngineVersion | None,
    units: Units | None,
    info: EngineInfo | None,
) -> Finding:
    """
    Dockerd refuses a setting that it gets twice, even with equal values; units of distributions pass -H fd://.

    Why it matters: dockerd stops with "specified both as a flag and in the configuration file".
    How to fix: give it in one place.
    """
    engine = engine_version(version, installed)
    root = unparsable(file, engine)
    if isinstance(root, Finding):
        return root
    present = dict(flattened(file.settings or {}, engine))
    clashes = [(key, flag) for flag in start.flags for key in keys_of_flag(flag.name) if key in present]
    if not clashes:
        return passed(f"{len(start.flags)} flags and {len(present)} settings have none in common")
    names = tuple(dict.fromkeys(key for key, _ in clashes))
    seen: list[Evidence] = []
    for name in names:
        member = members(root, present[name]).get(name)
        seen += [shown(file, member)] if member else []
    seen += [Evidence(_where(flag), f"{flag.name} {flag.value}".rstrip()) for _, flag in clashes]
    said = ", ".join(f'"{key}" and {flag.name}' for key, flag in clashes)
    outers = tuple(dict.fromkeys(present[name] or name for name in names))
    if names == ("hosts",) and _keeps_hosts(file, start):
        fix = _without_host_flag(units, start)
    else:
        fix = rewritten(file, without(file.text, root, outers), units)
        if "hosts" in names:
            fix = (f"# docker.service decides where dockerd listens ({_flag_hosts(start)}), so take hosts out", *fix)
    return failed(
        f"{said} set the same, and dockerd refuses both at once",
        *seen,
        cause=f"{file.path} and {_where(clashes[0][1])} both set {', '.join(names)}; dockerd takes a setting from one place "
        "only, equal or not.",
        fix=fix,
        impact=impact(info),
    )


def _where(flag: Flag) -> str:
    return f"{flag.source}:{flag.line}" if flag.line else flag.source


def _flag_hosts(start: StartFlags) -> str:
    return " ".join(f"{f.name} {f.value}" for f in start.flags if f.name in {"-H", "--host"})


def _keeps_hosts(file: DaemonJson, start: StartFlags) -> bool:
    """
    Tell whether the file's hosts are worth keeping, so that the flag has to go.

    They are when they add a TCP socket that TLS protects to the local one; an unprotected one hands the machine to
    whoever reaches the port, and nothing but a local socket is what the flag already gives.
    """
    hosts = (file.settings or {}).get("hosts")
    hosts = [str(h) for h in hosts] if isinstance(hosts, list) else []
    local = any(h.startswith(("unix://", "fd://")) for h in hosts)
    return (
        start.unit
        and local
        and any(h.startswith("tcp://") for h in hosts)
        and (file.settings or {}).get("tlsverify") is True
    )


def _without_host_flag(units: Units | None, start: StartFlags) -> tuple[str, ...]:
    """A drop-in that starts dockerd with the unit's other arguments."""
    program = units.docker.exec_start[-1].split()[0] if units and units.docker.exec_start else "/usr/bin/dockerd"
    rest = " ".join(
        f"{f.name}={f.value}" if f.value and f.name.startswith("--") else f"{f.name} {f.value}".rstrip()
        for f in start.flags
        if f.name not in {"-H", "--host"}
    )
    if "***" in rest:
        # What is masked must not be written back.
        return (
            "# one of its flags holds a password, which is not shown here; take -H out of ExecStart= by hand:",
            "# systemctl edit --full docker.service",
            *restarted(units),
        )
    text = f"[Service]\nExecStart=\nExecStart={program} {rest}".rstrip()
    return (
        f"mkdir -p {DROP_IN.rpartition('/')[0]}",
        f"tee {DROP_IN} <<< {quoted(text)}",
        "systemctl daemon-reload",
        *restarted(units),
    )


@check(
    "daemon-json.applied",
    title="The running daemon has the settings of its configuration file",
    severity=Severity.WARNING,
    docs="https://docs.docker.com/reference/cli/dockerd/#configuration-reload-behavior",
    # Nameservers that are configured and not in force are such a difference.
    upstream=("dns.not-applied",),
)
def applied(
    file: DaemonJson,
    process: DaemonProcess,
    info: EngineInfo,
    networks: Networks | None,
    inside: Inside | None,
    installed: Installed | None,
    version: EngineVersion | None,
    units: Units | None,
) -> Finding:
    """
    Dockerd reads its file when it starts; a reload (SIGHUP) applies some keys, all others wait for a restart.

    Why it matters: what was changed since has no effect, dns and log-opts among it.
    How to fix: reload when the changed keys allow it, else restart.
    """
    engine = engine_version(version, installed)
    root = unparsable(file, engine)
    if isinstance(root, Finding):
        return root
    if not process.pid or not process.started:
        return skipped("the daemon's process is not ours to see")
    if file.modified <= process.started:
        return passed(f"{file.path} was last changed before dockerd started")
    settings = file.settings or {}
    differing = (*_differing(settings, info), *_other_bridge(settings, networks), *_other_dns(settings, inside))
    if not differing:
        return passed(f"{file.path} was changed after dockerd started, and all that can be compared is in effect")
    names = [name for name, _, _ in differing]
    reload_only = all(BY_NAME[name].reload for name in names)
    seen: list[Evidence] = []
    for name, now, source in differing:
        member = members(root).get(name)
        seen += [shown(file, member) if member else Evidence(file.path, f'no "{name}"'), Evidence(source, now)]
    how = "a reload applies it" if reload_only else "only a restart applies it"
    return failed(
        f"{', '.join(names)} in {file.path} differ{'s' if len(names) == 1 else ''} from the running daemon: {how}",
        *seen,
        cause="The file was changed after dockerd started.",
        fix=("systemctl reload docker",) if reload_only and units and units.systemd else restarted(units),
        impact="interrupts nothing" if reload_only else impact(info),
    )


def _differing(settings: dict[str, Any], info: EngineInfo) -> Iterable[tuple[str, str, str]]:
    """Settings whose value in the running daemon is seen to be another: (key, the running value, where it was seen)."""
    for name, now in (("debug", info.debug), ("live-restore", info.live_restore)):
        if name in settings and settings[name] is not None and settings[name] != now:
            yield name, f"{name}: {typed(now)}", "GET /info"
    for name, named in (
        ("log-driver", info.logging_driver),
        ("default-runtime", info.default_runtime),
        ("storage-driver", info.driver),
    ):
        if settings.get(name) and named and settings[name] != named:
            yield name, f"{name}: {named}", "GET /info"
    if _listed(settings, "registry-mirrors") is not None:
        wanted = {m.rstrip("/") for m in _listed(settings, "registry-mirrors") or ()}
        if wanted != {m.rstrip("/") for m in info.mirrors}:
            yield "registry-mirrors", f"Mirrors: {', '.join(info.mirrors) or 'none'}", "GET /info"
    if _listed(settings, "labels") is not None and set(_listed(settings, "labels") or ()) != set(info.labels):
        yield "labels", f"Labels: {', '.join(info.labels) or 'none'}", "GET /info"
    insecure = _listed(settings, "insecure-registries")
    if insecure and not {_registry(r) for r in insecure} <= {_registry(r) for r in info.insecure_registries}:
        yield "insecure-registries", f"insecure: {', '.join(info.insecure_registries) or 'none'}", "GET /info"


def _other_bridge(settings: dict[str, Any], networks: Networks | None) -> Iterable[tuple[str, str, str]]:
    """Settings of the default bridge that it was made without."""
    bridge = next((n for n in networks.all if n.name == "bridge" and n.driver == "bridge"), None) if networks else None
    if bridge is None:
        return
    source = "docker network inspect bridge"
    bip = settings.get("bip")
    if isinstance(bip, str) and "/" in bip and bridge.gateways and bip.split("/")[0] not in bridge.gateways:
        yield "bip", f"Gateway: {', '.join(bridge.gateways)}", source
    options = dict(bridge.options)
    for name, option in (
        ("mtu", "com.docker.network.driver.mtu"),
        ("icc", "com.docker.network.bridge.enable_icc"),
        ("ip", "com.docker.network.bridge.host_binding_ipv4"),
    ):
        value, now = settings.get(name), options.get(option)
        # 0 and "" leave the default in place
        if (value or value is False) and now and typed(value).strip('"') != now:
            yield name, f"{option}: {now}", source


def _other_dns(settings: dict[str, Any], inside: Inside | None) -> Iterable[tuple[str, str, str]]:
    """Nameservers that a new container does not get."""
    wanted = [s.strip() for s in _listed(settings, "dns") or () if not is_loopback(s.strip())]
    bridge = inside.bridge if inside else None
    if wanted and bridge and bridge.asked and bridge.nameservers and not set(wanted) & set(bridge.nameservers):
        yield "dns", f"nameserver {', '.join(bridge.nameservers)}", "/etc/resolv.conf in a new container"


def _listed(settings: dict[str, Any], name: str) -> list[str] | None:
    value = settings.get(name)
    return [str(v) for v in value] if isinstance(value, list) else None


def _registry(name: str) -> str:
    """A registry as the engine reports it: networks in their canonical form, names without a scheme."""
    try:
        return str(ip_network(name, strict=False))
    except ValueError:
        return name.lower().removeprefix("http://").removeprefix("https://").rstrip("/")

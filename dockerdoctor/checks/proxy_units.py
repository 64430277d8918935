"""Where the daemon's proxy is set: whether systemd reads it, reads it as it was meant, and has restarted the daemon since."""

from __future__ import annotations

from dockerdoctor.checks.proxy_places import DAEMON, DROP_INS, RESTARTS, restart, shown, written
from dockerdoctor.examine import check, failed, passed, skipped, unknown
from dockerdoctor.facts.engine import Units
from dockerdoctor.facts.proxy import ProxySettings, UnitSetting
from dockerdoctor.facts.registry import Registries, Registry
from dockerdoctor.model import Evidence, Finding, Severity


@check(
    "proxy.unit-percent",
    title="No percent sign in a proxy setting is eaten by systemd",
    severity=Severity.ERROR,
    docs="https://www.freedesktop.org/software/systemd/man/latest/systemd.unit.html#Specifiers",
)
def unit_percent(settings: ProxySettings, units: Units | None) -> Finding:
    """
    In a unit file “%” begins a specifier; since systemd 236 a line with an unknown one is ignored as a whole.

    Why it matters: a URL-encoded password makes the proxy vanish without a word to be seen but in the journal.
    How to fix: write each “%” twice.
    """
    wrong = [u for u in settings.unit if u.lone_percent and not u.ignored and u.in_force is not True]
    if not settings.unit:
        return skipped("no unit file sets a proxy for the daemon")
    if not wrong:
        return passed("no proxy in a unit file holds a lone “%”")
    places = dict.fromkeys((u.path, u.line) for u in wrong)
    return failed(
        f"{wrong[0].source}: systemd takes a “%” of {wrong[0].name} for a specifier",
        *shown(wrong),
        *(Evidence("the running daemon", f"{u.name} is {_has(settings, u)}") for u in wrong if u.in_force is False),
        cause="A “%” in Environment= must be doubled; systemd ignores the line, or puts something else in its place.",
        fix=(*(f"sed -i '{line}s/%%/%/g; {line}s/%/%%/g' {path}" for path, line in places), *restart(units)),
        impact=RESTARTS,
    )


def _has(settings: ProxySettings, unit: UnitSetting) -> str:
    return next((s.value for s in settings.daemon if s.name.upper() == unit.name.upper()), "not set")


def _not_in_force(settings: ProxySettings) -> tuple[UnitSetting, ...]:
    """What files say and the daemon does not do: read too late, or by nobody."""
    last = {u.name: u for u in settings.unit if not u.ignored and u.value}
    late = [u for u in last.values() if u.in_force is False and not u.lone_percent]
    has = {s.kind for s in settings.daemon} | {u.name.upper() for u in last.values()}
    unread = [u for u in settings.unit if u.ignored and u.value and u.name.upper() not in has]
    return (*late, *unread)


def _blocked(registries: Registries) -> tuple[Registry, ...]:
    """Registries that are not even reached: a proxy may change that."""
    return tuple(r for r in registries.sick if not r.asked.answered)


def _intent(settings: ProxySettings, units: Units | None) -> Finding:
    wrong = _not_in_force(settings)
    first = wrong[0]
    target = f"{DROP_INS}/http-proxy.conf"
    if first.ignored:
        cause = f"{first.path} sets a proxy that nobody reads: {first.ignored}."
        if first.path.startswith(f"{DROP_INS}/") and "[Service]" in first.ignored:
            fix: tuple[str, ...] = (f"sed -i '{first.line}i [Service]' {first.path}",)
        elif first.path.startswith(f"{DROP_INS}/"):
            fix = (f"mv {first.path} {first.path.rpartition('.')[0] or first.path}.conf",)
        elif first.path.startswith("/etc/sys"):
            fix = (f"mkdir -p {DROP_INS}", f"mv {first.path} {target}")
        else:
            fix = (
                written(f"{DROP_INS}/environment.conf", f"[Service]\nEnvironmentFile=-{first.path}"),
                f"sed -i -E 's/^[[:space:]]*export[[:space:]]+//' {first.path}",
            )
        fix += restart(units)
    elif units is not None and units.docker.need_reload:
        cause = f"{first.path} was changed, and neither has systemd read it nor the daemon been restarted since."
        fix = restart(units)
    else:
        cause = f"{first.path} was changed after the daemon had started: a running process keeps its environment."
        fix = restart(units)[1:] if units and units.systemd else restart(units)
    return failed(
        f"{first.source} sets {first.name}={first.value}, the running daemon has {_has(settings, first)}",
        *shown(wrong),
        *shown(settings.daemon),
        cause=cause,
        fix=fix,
        impact=RESTARTS,
    )


@check(
    "proxy.unit-in-force",
    title="The daemon runs with the proxy that was set for it",
    severity=Severity.ERROR,
    docs=DAEMON,
    upstream=("proxy.unit-percent",),
)
def unit_in_force(settings: ProxySettings, registries: Registries, units: Units | None) -> Finding:
    """
    A drop-in counts once systemd has read it and dockerd has been restarted, and only where systemd looks for it.

    Why it matters: the proxy is configured, and the daemon still does not get out.
    How to fix: the one step that is missing.
    """
    if not settings.unit:
        return skipped("no file sets a proxy for the daemon")
    if not settings.daemon_seen:
        return unknown("the daemon's environment could not be read", how="# run as root")
    if not _not_in_force(settings):
        return passed("the daemon has what its unit files set", *shown(settings.daemon))
    if not _blocked(registries):
        return passed("registries are reached as it is")
    return _intent(settings, units)


@check(
    "proxy.unit-pending",
    title="No proxy setting waits for the daemon's next restart",
    severity=Severity.WARNING,
    docs=DAEMON,
    # What is needed now and not in force is not in force either.
    upstream=("proxy.unit-in-force", "proxy.unit-percent"),
)
def unit_pending(settings: ProxySettings, units: Units | None) -> Finding:
    """
    Files and the running daemon differ; pulls work for now.

    Why it matters: whoever wrote the file believes it to be in force, and the next restart changes how images are pulled.
    How to fix: restart the daemon at a time of your choice, or take the setting back.
    """
    if not settings.unit:
        return skipped("no file sets a proxy for the daemon")
    if not settings.daemon_seen:
        return unknown("the daemon's environment could not be read", how="# run as root")
    if not _not_in_force(settings):
        return passed("the daemon has what its unit files set")
    return _intent(settings, units)

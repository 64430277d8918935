"""Where a proxy is set, who uses it, and the commands that change it there: what all checks of proxies say alike."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from dockerdoctor.facts.engine import Units
from dockerdoctor.facts.inside import Exchange, Inside
from dockerdoctor.facts.proxy import ProxySettings, Setting, Trial, UnitSetting
from dockerdoctor.facts.registry import Registries
from dockerdoctor.model import Evidence

DAEMON = "https://docs.docker.com/engine/daemon/proxy/"
CLIENT = "https://docs.docker.com/engine/cli/proxy/"
DROP_INS = "/etc/systemd/system/docker.service.d"
RESTARTS = "restarts dockerd"
UNIT = ("proxy.unit-percent", "proxy.unit-in-force")


def restart(units: Units | None) -> tuple[str, ...]:
    """Reload what is read, and restart the daemon."""
    if units is not None and not units.systemd:
        return ("# restart dockerd",)
    # The start limit counts every restart of the last minute.
    return (
        "systemctl daemon-reload",
        "systemctl reset-failed docker.service docker.socket",
        "systemctl restart docker",
    )


def written(path: str, text: str) -> str:
    """A command that makes a file; with sudo in front it still does."""
    return f"install -D -m 644 /dev/stdin {path} <<'END'\n{text}\nEND"


def shown(settings: Iterable[Setting | UnitSetting]) -> Iterator[Evidence]:
    """Show settings as evidence."""
    for s in settings:
        yield Evidence(s.source, f"{s.name}={s.value}")


def tried(trial: Trial) -> tuple[Evidence, ...]:
    """Show what came of asking a proxy."""
    lines = []
    for attempt, how in ((trial.asked, ""), (trial.plainly, ", as http://")):
        if attempt is not None:
            said = f"HTTP {attempt.status}" if attempt.status else attempt.words
            offers = attempt.header("proxy-authenticate")
            said += f", Proxy-Authenticate: {offers}" if offers else ""
            lines.append(Evidence(f"CONNECT through {trial.value}{how}", "ok" if attempt.layer != "proxy" else said))
    return tuple(lines)


def users_of(settings: ProxySettings, trial: Trial) -> tuple[Setting, ...]:
    """Who uses a proxy: the daemon, what the client starts, the image of a Dockerfile, or a running container."""
    return tuple(s for s in (*settings.in_daemon.values(), *settings.inside) if s.value == trial.value)


def in_containers(settings: ProxySettings, trial: Trial) -> tuple[Setting, ...]:
    """Who gives a proxy to containers: the client, the image of a Dockerfile, or whoever made a running one."""
    return tuple(s for s in settings.inside if s.value == trial.value)


def place_of(settings: ProxySettings, setting: Setting) -> str:
    """The file to edit for a setting; empty when none was found."""
    if setting in settings.client:
        return setting.source
    if setting in settings.dockerfile:
        return setting.source.rsplit(":", 1)[0]
    if setting in settings.containers:
        return ""
    unit = settings.daemon_source(setting.kind)
    if unit:
        return unit.path
    return setting.source if setting.source.endswith(".json") else ""


def rewrite(settings: ProxySettings, users: Iterable[Setting], old: str, new: str) -> tuple[str, ...]:
    """Commands that rewrite part of a proxy's URL wherever it is set; a password on the line is neither shown nor touched."""
    found = []
    for setting in users:
        if place := place_of(settings, setting):
            found.append(f"sed -i -E 's#{old}#{new}#g' {place}")
        elif setting in settings.containers:
            now = re.sub(old, new, setting.value)
            found.append(f"# replace {setting.source} by one that is run with -e {setting.name}={now}")
        else:
            found.append(f"# in {setting.source}, where it is set")
    return tuple(dict.fromkeys(found))


def address_of(trial: Trial) -> str:
    """A proxy's host and port as a regular expression, for sed."""
    return re.escape(f"{trial.host}:{trial.port}").replace("\\-", "-").replace("\\:", ":")


def after(settings: ProxySettings, users: Iterable[Setting], units: Units | None) -> tuple[str, ...]:
    """What must follow the edit: containers get the client's settings anew each time, the daemon must restart."""
    return restart(units) if any(s in settings.daemon for s in users) else ()


def daemon_matters(settings: ProxySettings, trial: Trial, registries: Registries | None) -> bool:
    """Whether the use that the daemon makes of a proxy is what keeps it from a registry."""
    if not any(s.value == trial.value for s in settings.in_daemon.values()):
        return False
    # A plain question that is not answered has come as far as HTTP.
    return registries is None or any(r.asked.layer == "proxy" or r.asked.via == trial.value for r in registries.sick)


def exchanges(inside: Inside | None, host: str, port: int) -> list[tuple[str, Exchange]]:
    """The conversations of the containers with one target, each with its place."""
    return [(v.place, e) for v in (inside.views if inside else ()) if (e := v.exchange(host, port))]

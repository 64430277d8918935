"""Proxies: what is set is in force, and each answers from where it is used: the daemon's from the host, the rest inside."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from dockerdoctor.checks.dns_answers import NO_SERVER
from dockerdoctor.checks.registry import seen
from dockerdoctor.examine import check, failed, passed, skipped, unknown
from dockerdoctor.facts.engine import Units
from dockerdoctor.facts.inside import Exchange, Inside
from dockerdoctor.facts.proxy import ProxySettings, ProxyTrials, Setting, Trial, UnitSetting
from dockerdoctor.facts.registry import OWN_ENVIRONMENT, Registries, Registry
from dockerdoctor.model import Evidence, Finding, Severity
from dockerdoctor.web import DEFAULT_PORTS, bypasses, parse_proxy, split_port

DAEMON = "https://docs.docker.com/engine/daemon/proxy/"
CLIENT = "https://docs.docker.com/engine/cli/proxy/"
DROP_INS = "/etc/systemd/system/docker.service.d"
RESTARTS = "restarts dockerd"
UNIT = ("proxy.unit-percent", "proxy.unit-in-force")


def _restart(units: Units | None) -> tuple[str, ...]:
    if units is not None and not units.systemd:
        return ("# restart dockerd",)
    # The start limit counts every restart of the last minute.
    return (
        "systemctl daemon-reload",
        "systemctl reset-failed docker.service docker.socket",
        "systemctl restart docker",
    )


def _write(path: str, text: str) -> str:
    """A command that makes a file; with sudo in front it still does."""
    return f"install -D -m 644 /dev/stdin {path} <<'END'\n{text}\nEND"


def _shown(settings: Iterable[Setting | UnitSetting]) -> Iterator[Evidence]:
    for s in settings:
        yield Evidence(s.source, f"{s.name}={s.value}")


def _tried(trial: Trial) -> tuple[Evidence, ...]:
    lines = []
    for attempt, how in ((trial.asked, ""), (trial.plainly, ", as http://")):
        if attempt is not None:
            said = f"HTTP {attempt.status}" if attempt.status else attempt.words
            offers = attempt.header("proxy-authenticate")
            said += f", Proxy-Authenticate: {offers}" if offers else ""
            lines.append(Evidence(f"CONNECT through {trial.value}{how}", "ok" if attempt.layer != "proxy" else said))
    return tuple(lines)


def _users(settings: ProxySettings, trial: Trial) -> tuple[Setting, ...]:
    """Who uses a proxy: the daemon, what the client starts, or the image of a Dockerfile."""
    used = (*settings.in_daemon.values(), *settings.client, *settings.dockerfile)
    return tuple(s for s in used if s.value == trial.value and s.kind != "NO_PROXY")


def _in_containers(settings: ProxySettings, trial: Trial) -> tuple[Setting, ...]:
    return tuple(s for s in (*settings.client, *settings.dockerfile) if s.value == trial.value and s.kind != "NO_PROXY")


def _place(settings: ProxySettings, setting: Setting) -> str:
    """The file to edit for a setting; empty when none was found."""
    if setting in settings.client:
        return setting.source
    if setting in settings.dockerfile:
        return setting.source.rsplit(":", 1)[0]
    unit = settings.daemon_source(setting.kind)
    if unit:
        return unit.path
    return setting.source if setting.source.endswith(".json") else ""


def _replace(settings: ProxySettings, users: Iterable[Setting], old: str, new: str) -> tuple[str, ...]:
    """Commands that rewrite part of a proxy's URL wherever it is set; a password on the line is neither shown nor touched."""
    places = dict.fromkeys((_place(settings, s), s.source) for s in users)
    found = []
    for place, source in places:
        found.append(f"sed -i -E 's#{old}#{new}#g' {place}" if place else f"# in {source}, where it is set")
    return tuple(dict.fromkeys(found))


def _address(trial: Trial) -> str:
    """A proxy's host and port as a regular expression, for sed."""
    return re.escape(f"{trial.host}:{trial.port}").replace("\\-", "-").replace("\\:", ":")


def _after(settings: ProxySettings, users: Iterable[Setting], units: Units | None) -> tuple[str, ...]:
    """What must follow the edit: containers get the client's settings anew each time, the daemon must restart."""
    return _restart(units) if any(s in settings.daemon for s in users) else ()


def _daemon_matters(settings: ProxySettings, trial: Trial, registries: Registries | None) -> bool:
    """Whether the daemon's use of a proxy is what keeps it from a registry."""
    if not any(s.value == trial.value for s in settings.in_daemon.values()):
        return False
    # A plain question that is not answered has come as far as HTTP.
    return registries is None or any(r.asked.layer == "proxy" or r.asked.via == trial.value for r in registries.sick)


# -- files for the daemon ---------------------------------------------------------------------------------------------


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
        *_shown(wrong),
        *(Evidence("the running daemon", f"{u.name} is {_has(settings, u)}") for u in wrong if u.in_force is False),
        cause="A “%” in Environment= must be doubled; systemd ignores the line, or puts something else in its place.",
        fix=(*(f"sed -i '{line}s/%%/%/g; {line}s/%/%%/g' {path}" for path, line in places), *_restart(units)),
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
                _write(f"{DROP_INS}/environment.conf", f"[Service]\nEnvironmentFile=-{first.path}"),
                f"sed -i -E 's/^[[:space:]]*export[[:space:]]+//' {first.path}",
            )
        fix += _restart(units)
    elif units is not None and units.docker.need_reload:
        cause = f"{first.path} was changed, and neither has systemd read it nor the daemon been restarted since."
        fix = _restart(units)
    else:
        cause = f"{first.path} was changed after the daemon had started: a running process keeps its environment."
        fix = _restart(units)[1:] if units and units.systemd else _restart(units)
    return failed(
        f"{first.source} sets {first.name}={first.value}, the running daemon has {_has(settings, first)}",
        *_shown(wrong),
        *_shown(settings.daemon),
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
        return passed("the daemon has what its unit files set", *_shown(settings.daemon))
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


# -- the URLs ---------------------------------------------------------------------------------------------------------


@check(
    "proxy.url",
    title="Proxies are set as URLs",
    severity=Severity.ERROR,
    docs=CLIENT,
)
def url(settings: ProxySettings, trials: ProxyTrials, registries: Registries | None, units: Units | None) -> Finding:
    """
    Dockerd takes "host:port" for http://host:port; apt and many libraries in containers refuse it.

    Why it matters: "Unsupported proxy configured", or a proxy that is silently not used, in containers and builds only.
    How to fix: write the scheme; percent-encode what is special in a password.
    """
    if not trials.all:
        return skipped("no proxy is set for the daemon, its containers or ./Dockerfile")
    broken = [
        t for t in trials.all if t.problem and (_in_containers(settings, t) or _daemon_matters(settings, t, registries))
    ]
    bare = [t for t in trials.all if not t.problem and not t.has_scheme and _in_containers(settings, t)]
    if not broken and not bare:
        return passed("every proxy is a URL that programs agree on")
    first = (broken or bare)[0]
    users = _users(settings, first) if first.problem else _in_containers(settings, first)
    where = users[0].source
    if first.problem:
        return failed(
            f"{users[0].name}={first.value} in {where} is not a proxy's URL: {first.problem}",
            *_shown(users),
            cause=f"Programs cannot use {first.value!r}: {first.problem}.",
            fix=(f"# write the proxy's URL, http://HOST:PORT, into {where}", *_after(settings, users, units)),
        )
    old = f'(^|[" =])(([^" =/]*@)?{_address(first)})'
    return failed(
        f"{users[0].name}={first.value} in {where} has no scheme",
        *_shown(users),
        cause="Without http:// apt and many libraries refuse the proxy, though dockerd and curl take it.",
        fix=_replace(settings, users, old, r"\1http://\2"),
    )


@check(
    "proxy.tls-scheme",
    title="Proxies are spoken to the way they listen",
    severity=Severity.ERROR,
    docs=DAEMON,
    upstream=UNIT,
)
def tls_scheme(
    settings: ProxySettings, trials: ProxyTrials, registries: Registries | None, units: Units | None
) -> Finding:
    """
    The scheme in HTTPS_PROXY is that of the hop to the proxy, not of what is asked through it.

    Why it matters: "proxyconnect tcp: tls: first record does not look like a TLS handshake" on every pull.
    How to fix: write http:// in HTTPS_PROXY too, unless the proxy really listens with TLS.
    """
    if not trials.all:
        return skipped("no proxy is set for the daemon, its containers or ./Dockerfile")
    wrong = [
        t for t in trials.all if t.not_tls and (_in_containers(settings, t) or _daemon_matters(settings, t, registries))
    ]
    if not wrong:
        return passed("no proxy is asked over TLS that does not speak it", *(e for t in trials.all for e in _tried(t)))
    first = wrong[0]
    users = _users(settings, first)
    return failed(
        f"{users[0].name}={first.value}: the proxy speaks plain HTTP, not TLS",
        *_shown(users),
        *_tried(first),
        cause=f"{first.host}:{first.port} answers plain HTTP and no TLS, but is set with https://.",
        fix=(
            *_replace(settings, users, f'https://(([^" /]*@)?{_address(first)})', r"http://\1"),
            *_after(settings, users, units),
        ),
        impact=RESTARTS if _after(settings, users, units) else "",
    )


def _as_lower(settings: ProxySettings, upper: Setting, lower: Setting, bad: Trial) -> str:
    """Set one variable to what its other spelling is."""
    unit = next((u for u in settings.unit if u.name == upper.name and not u.ignored and u.in_force), None)
    if unit is None or "***" in lower.value:
        return f"# set {upper.name} to what {lower.name} is, in {unit.source if unit else upper.source}"
    old = f'(https?://)?([^" /]*@)?{_address(bad)}' if bad.host else re.escape(upper.value)
    return f"sed -i -E '{unit.line}s#({upper.name}=){old}#\\1{lower.value}#' {unit.path}"


@check(
    "proxy.case",
    title="Upper- and lower-case proxy variables agree",
    severity=Severity.ERROR,
    docs=DAEMON,
    upstream=UNIT,
)
def case(settings: ProxySettings, trials: ProxyTrials, units: Units | None) -> Finding:
    """
    Go reads HTTPS_PROXY before https_proxy, curl reads http_proxy in lower case only.

    Why it matters: two programs on one host use two proxies, and the wrong one may be the daemon's.
    How to fix: set both to the same.
    """
    pairs = [
        (upper, lower)
        for upper in settings.daemon
        for lower in settings.daemon
        if upper.name == lower.name.upper() and upper.name != lower.name and upper.value != lower.value
    ]
    wrong = []
    for upper, lower in pairs:
        bad, good = trials.of(upper.value), trials.of(lower.value)
        if (
            bad
            and good
            and (bad.dead or bad.not_tls or bad.problem)
            and not (good.dead or good.problem or good.not_tls)
        ):
            wrong.append((upper, lower, bad, good))
    if wrong:
        upper, lower, bad, good = wrong[0]
        return failed(
            f"{upper.name}={upper.value} does not work, {lower.name}={lower.value} does",
            *_shown(s for pair in wrong for s in pair[:2]),
            *_tried(bad),
            *_tried(good),
            cause=f"The daemon is given both, and Go programs read {upper.name} first.",
            fix=(*(_as_lower(settings, up, low, trial) for up, low, trial, _ in wrong), *_restart(units)),
            impact=RESTARTS,
        )
    if not settings.daemon:
        return skipped("the daemon has no proxy")
    return passed("no variable of the daemon's is spelt twice and set differently" if not pairs else "both work")


# -- the proxies themselves -------------------------------------------------------------------------------------------


@check(
    "proxy.dead",
    title="The proxies that are set accept connections",
    severity=Severity.ERROR,
    docs=DAEMON,
    upstream=(*UNIT, "proxy.case"),
)
def dead(
    settings: ProxySettings,
    trials: ProxyTrials,
    registries: Registries | None,
    inside: Inside | None,
    units: Units | None,
) -> Finding:
    """
    Proxies move, and machines leave the network that had one.

    Why it matters: "proxyconnect tcp: dial tcp …: connection refused" on every pull, and nothing resolves to blame.
    How to fix: take the setting out where the direct way works; else give it the proxy of this network.
    """
    if not trials.all:
        return skipped("no proxy is set for the daemon, its containers or ./Dockerfile")
    for trial in (t for t in trials.all if t.dead or t.mute):
        users: tuple[Setting, ...] = ()
        if _daemon_matters(settings, trial, registries):
            users += tuple(s for s in settings.in_daemon.values() if s.value == trial.value)
        # A name that the host does not know may be a container's, on the containers' own network.
        known_inside = _reached(inside, trial)
        by_name = bool(trial.asked and trial.asked.outcome.startswith("EAI"))
        if not trial.mute and not trial.loopback and not known_inside and not (by_name and inside is None):
            users += _in_containers(settings, trial)
        if users:
            return _dead(settings, trial, users, registries, units)
    return passed("every proxy in use accepts connections", *(e for t in trials.all for e in _tried(t)))


def _dead(
    settings: ProxySettings,
    trial: Trial,
    users: tuple[Setting, ...],
    registries: Registries | None,
    units: Units | None,
) -> Finding:
    said = trial.asked.words.removeprefix("the proxy ") if trial.asked else ""
    outside = [r for r in registries.sick if r.direct and r.direct.answered] if registries else []
    fix: list[str] = []
    for user in users:
        unit = settings.daemon_source(user.kind) if user in settings.daemon else None
        if unit and outside:
            fix.append(f"sed -i '{unit.line}s/^/#/' {unit.path}")
        else:
            fix.append(
                f"# set {user.name} to this network's proxy, or take it out, in {unit.source if unit else user.source}"
            )
    if trial.mute:
        cause = f"What listens at {trial.host}:{trial.port} does not speak HTTP: it is no proxy of this kind."
    elif outside:
        cause = f"Nothing answers at {trial.host}:{trial.port}, and {outside[0].host_port} can be reached without it."
    else:
        cause = f"Nothing answers at {trial.host}:{trial.port}: the proxy is down, has moved, or belongs to another network."
    return failed(
        f"{users[0].name}={trial.value}: {trial.host}:{trial.port} {said}",
        *_shown(users),
        *_tried(trial),
        *(seen(r.direct) for r in outside if r.direct),
        cause=cause,
        fix=(*dict.fromkeys(fix), *_after(settings, users, units)),
        impact=RESTARTS if _after(settings, users, units) else "",
    )


def _exchanges(inside: Inside | None, host: str, port: int) -> list[tuple[str, Exchange]]:
    return [(v.place, e) for v in (inside.views if inside else ()) if (e := v.exchange(host, port))]


def _reached(inside: Inside | None, trial: Trial) -> bool:
    return any(e.ok for _, e in _exchanges(inside, trial.host, trial.port))


@check(
    "proxy.credentials",
    title="The proxies accept the user name and password that are set",
    severity=Severity.ERROR,
    docs=DAEMON,
    upstream=UNIT,
)
def credentials(
    settings: ProxySettings, trials: ProxyTrials, registries: Registries | None, units: Units | None
) -> Finding:
    """
    407 means that the proxy lives and wants to know who asks.

    Why it matters: "proxyconnect tcp: Proxy Authentication Required" on every pull.
    How to fix: put the right user and password into the URL, percent-encoded, with each “%” doubled in a unit file.
    """
    if not trials.all:
        return skipped("no proxy is set for the daemon, its containers or ./Dockerfile")
    wrong = [
        t for t in trials.all if t.denied and (_in_containers(settings, t) or _daemon_matters(settings, t, registries))
    ]
    if not wrong:
        hidden = [t for t in trials.all if t.secret_hidden]
        if hidden:
            return unknown(f"the password of {hidden[0].value} cannot be read", how="# run as root")
        return passed("no proxy asks for other credentials")
    first = wrong[0]
    users = _users(settings, first)
    offers = (first.asked.header("proxy-authenticate") if first.asked else "") or "?"
    scheme = offers.split()[0].lower()
    if scheme in {"ntlm", "negotiate", "kerberos"}:
        cause = f"The proxy wants {offers}, which neither dockerd nor most programs in containers speak."
        fix: tuple[str, ...] = ("# run a proxy on this host that speaks it, as cntlm or px do, and set that one",)
    else:
        given = (
            "refuses the user name and password that are set" if first.credentials else "wants a user name and password"
        )
        cause = f"The proxy {given} ({offers})."
        fix = (
            f"# write http://USER:PASSWORD@{first.host}:{first.port} into {_place(settings, users[0]) or users[0].source},",
            "# with special characters percent-encoded, and each “%” written twice where it is a unit file",
        )
    return failed(
        f"{users[0].name}={first.value}: 407, {'wrong' if first.credentials else 'no'} credentials",
        *_shown(users),
        *_tried(first),
        cause=cause,
        fix=(*fix, *_after(settings, users, units)),
        impact=RESTARTS if _after(settings, users, units) else "",
    )


# -- the daemon's way to its registries ---------------------------------------------------------------------------------


def _no_proxy_edit(settings: ProxySettings, host: str) -> tuple[str, ...]:
    now = settings.in_daemon.get("NO_PROXY")
    unit = settings.daemon_source("NO_PROXY")
    if unit:
        return (f"sed -i -E '{unit.line}s#(no_proxy=[^\" ]*)#\\1,{host}#I' {unit.path}",)
    if now and now.source.endswith(".json"):
        return (f"""sed -i -E 's#("no-proxy"[[:space:]]*:[[:space:]]*"[^"]*)#\\1,{host}#' {now.source}""",)
    value = ",".join([*(now.value.split(",") if now else ("localhost", "127.0.0.1", "::1")), host])
    return (_write(f"{DROP_INS}/no-proxy.conf", f'[Service]\nEnvironment="NO_PROXY={value}"'),)


@check(
    "proxy.no-proxy",
    title="Registries that only the direct way reaches are not asked through the proxy",
    severity=Severity.ERROR,
    docs=DAEMON,
    upstream=UNIT,
)
def no_proxy(settings: ProxySettings, registries: Registries, units: Units | None) -> Finding:
    """
    Go's NO_PROXY: "corp.test" is it and its subdomains, ".corp.test" subdomains only, a CIDR literal addresses only.

    Why it matters: "received unexpected HTTP status: 503", blamed on a registry that never saw the question.
    How to fix: name the registry in the NO_PROXY of the daemon, where its proxy is set.
    """
    if not settings.in_daemon:
        return skipped("the daemon has no proxy")
    wrong = [
        r
        for r in registries.sick
        if r.asked.via and r.asked.status and r.asked.status != 407 and r.direct and r.direct.status in {200, 401}
    ]
    if not wrong:
        return passed("the proxy turns no registry away that can be reached directly")
    first = wrong[0]
    host = split_port(first.host_port)[0]
    now = settings.in_daemon.get("NO_PROXY")
    return failed(
        f"{first.host_port} is asked through {first.asked.via}, which answers {first.asked.status}; directly it answers",
        seen(first.asked),
        seen(first.direct) if first.direct else Evidence("", ""),
        Evidence(now.source if now else "the running daemon", f"NO_PROXY={now.value}" if now else "no NO_PROXY"),
        cause=f"The daemon's NO_PROXY does not match {host}, and the proxy does not serve it.",
        fix=(*_no_proxy_edit(settings, host), *_restart(units)),
        impact=RESTARTS,
    )


def _own_http(registry: Registry) -> bool:
    return registry.around_by.upper() == f"HTTP_PROXY in {OWN_ENVIRONMENT}".upper()


@check(
    "proxy.https-missing",
    title="The daemon's proxy is set for HTTPS too",
    severity=Severity.ERROR,
    docs=DAEMON,
    upstream=UNIT,
)
def https_missing(settings: ProxySettings, registries: Registries, units: Units | None) -> Finding:
    """
    HTTP_PROXY is for http:// only; up to Engine 20.10.7 it stood in for HTTPS_PROXY as well (Go 1.16).

    Why it matters: `docker info` shows a proxy, and pulls time out all the same.
    How to fix: set HTTPS_PROXY to the same value.
    """
    has = settings.in_daemon
    if "HTTP_PROXY" not in has:
        return skipped("the daemon has no HTTP_PROXY")
    wrong = [r for r in registries.sick if r.around and _own_http(r) and urlsplit(r.asked.url).scheme == "https"]
    if "HTTPS_PROXY" in has or not wrong:
        return passed("HTTPS_PROXY is set" if "HTTPS_PROXY" in has else "registries are reached without HTTPS_PROXY")
    first, source = wrong[0], settings.daemon_source("HTTP_PROXY")
    if source:
        fix: tuple[str, ...] = (f"sed -i -E '{source.line}{{p;s/http_proxy=/HTTPS_PROXY=/I}}' {source.path}",)
    else:
        fix = (f"# set HTTPS_PROXY to the value of HTTP_PROXY in {has['HTTP_PROXY'].source}",)
    return failed(
        f"HTTP_PROXY={has['HTTP_PROXY'].value} is set, HTTPS_PROXY is not, and {first.host_port} is out of reach without",
        *_shown(settings.daemon),
        seen(first.asked),
        *([seen(first.around)] if first.around else []),
        cause="Registries are asked over HTTPS, for which HTTP_PROXY does not count.",
        fix=(*fix, *_restart(units)),
        impact=RESTARTS,
    )


def _kept_direct(settings: ProxySettings, registry: Registry) -> tuple[str, ...]:
    """The entries of the daemon's NO_PROXY for which a registry is asked directly, though a proxy is set for it."""
    parts = urlsplit(registry.asked.url)
    no_proxy = settings.in_daemon.get("NO_PROXY")
    if registry.asked.via or not no_proxy or f"{parts.scheme}_PROXY".upper() not in settings.in_daemon:
        return ()
    host, port = parts.hostname or "", parts.port or DEFAULT_PORTS[parts.scheme]
    return tuple(e for e in no_proxy.value.split(",") if bypasses(e, host, port))


@check(
    "proxy.no-proxy-too-wide",
    title="Registries that only the proxy reaches are not asked directly",
    severity=Severity.ERROR,
    docs=DAEMON,
    upstream=UNIT,
)
def no_proxy_too_wide(settings: ProxySettings, registries: Registries, units: Units | None) -> Finding:
    """
    What NO_PROXY matches is asked directly: "*" is everything, and a CIDR every address in it.

    Why it matters: a proxy is set, `docker info` shows it, and pulls time out all the same.
    How to fix: take out of NO_PROXY what only the proxy reaches.
    """
    if "NO_PROXY" not in settings.in_daemon:
        return skipped("the daemon has no NO_PROXY")
    wrong = [(r, entries) for r in registries.sick if r.around and (entries := _kept_direct(settings, r))]
    if not wrong:
        return passed("NO_PROXY keeps the proxy from no registry that needs it")
    first, entries = wrong[0]
    now, unit = settings.in_daemon["NO_PROXY"], settings.daemon_source("NO_PROXY")
    rest = ",".join(e for e in now.value.split(",") if e not in entries) or "localhost,127.0.0.1"
    if unit:
        edit = f"sed -i -E '{unit.line}s#(no_proxy=)[^\" ]*#\\1{rest.replace('%', '%%')}#I' {unit.path}"
    else:
        edit = f"# set NO_PROXY to {rest} in {now.source}"
    return failed(
        f"{first.host_port} {first.asked.words}; NO_PROXY={now.value} keeps it from the proxy, through which it answers",
        Evidence(unit.source if unit else now.source, f"NO_PROXY={now.value}"),
        seen(first.asked),
        *([seen(first.around)] if first.around else []),
        cause=f"“{', '.join(entries)}” in the daemon's NO_PROXY matches {first.host_port}, which cannot be reached directly.",
        fix=(edit, *_restart(units)),
        impact=RESTARTS,
    )


@check(
    "proxy.daemon-missing",
    title="The daemon has a proxy if it needs one",
    severity=Severity.ERROR,
    docs=DAEMON,
    upstream=(*UNIT, "proxy.https-missing"),
)
def daemon_missing(settings: ProxySettings, registries: Registries, units: Units | None) -> Finding:
    """
    Dockerd is a service: it sees neither the shell's variables nor those of config.json, which are for containers.

    Why it matters: curl works and every pull times out.
    How to fix: set the proxy in a drop-in of docker.service and restart it.
    """
    wrong = [r for r in registries.sick if r.around and not _kept_direct(settings, r)]
    if not wrong:
        return passed("the daemon needs no other proxy than it has")
    first = wrong[0]
    via = first.around.via if first.around else ""
    near = [s for s in (*settings.shell, *settings.host, *settings.client) if s.kind == "NO_PROXY"]
    no_proxy_value = near[0].value if near else "localhost,127.0.0.1,::1"
    taken = {u.path for u in settings.unit} | set(units.docker.drop_ins if units else ())
    target = f"{DROP_INS}/http-proxy.conf"
    target = target if target not in taken else f"{DROP_INS}/zz-http-proxy.conf"
    lines = f'[Service]\nEnvironment="HTTP_PROXY={via}" "HTTPS_PROXY={via}" "NO_PROXY={no_proxy_value}"'.replace(
        "%", "%%"
    )
    write = _write(target, lines)
    if "***" in via:
        write = f"# write into {target}, with the password in place of ***, each “%” doubled:\n# " + lines.replace(
            "\n", "\n# "
        )
    return failed(
        f"{first.host_port} {first.asked.words}, but answers through {via} ({first.around_by})",
        seen(first.asked),
        *([seen(first.around)] if first.around else []),
        *_shown((*settings.shell, *settings.host, *settings.client)),
        Evidence("the running daemon", ", ".join(f"{s.name}={s.value}" for s in settings.daemon) or "no proxy"),
        cause="This network needs a proxy; the daemon has not been given it.",
        fix=(write, *_restart(units)),
        impact=RESTARTS,
    )


# -- in containers ----------------------------------------------------------------------------------------------------


@check(
    "proxy.container-loopback",
    title="Containers are not sent to a proxy on their own loopback",
    severity=Severity.ERROR,
    docs=CLIENT,
)
def container_loopback(settings: ProxySettings, trials: ProxyTrials, inside: Inside | None) -> Finding:
    """
    127.0.0.1 in a container is the container, not the host whose proxy listens there.

    Why it matters: "Failed to connect to 127.0.0.1 port …" from apt, pip and curl, in containers and builds only.
    How to fix: let the proxy listen on the bridge's address too, and give containers that one.
    """
    if not settings.client and not settings.dockerfile:
        return skipped("containers are given no proxy")
    wrong = [t for t in trials.all if t.loopback and _in_containers(settings, t)]
    if not wrong:
        return passed("containers are given no loopback proxy", *_shown((*settings.client, *settings.dockerfile)))
    first = wrong[0]
    users = _in_containers(settings, first)
    gateway, _, outcome = first.at_gateway.partition(" ")
    address = gateway.rpartition(":")[0]
    edit = _replace(settings, users, f'(//|@|[" =]){_address(first)}', rf"\1{gateway}")
    lives = "answers on the host's" if not first.dead else "does not answer on the host either"
    if not gateway:
        fix: tuple[str, ...] = (f"# give containers an address of the proxy that they can reach, in {users[0].source}",)
    elif outcome == "ok":
        fix = edit
    else:
        fix = (f"# let the proxy listen on {address} as well as on {first.host}, then:", *edit)
    return failed(
        f"{users[0].name}={first.value} in {users[0].source} means the container itself",
        *_shown(users),
        *(
            Evidence(f"connect {e.target}, from the {place}", e.outcome)
            for place, e in _exchanges(inside, first.host, first.port)
        ),
        *([Evidence(f"connect {gateway}, from the host", outcome)] if gateway else []),
        *_tried(first),
        cause=f"A container has a loopback of its own; the proxy {lives} ({first.host}:{first.port}).",
        fix=fix,
    )


@check(
    "proxy.container-name",
    title="Containers can resolve the name of their proxy",
    severity=Severity.ERROR,
    docs=CLIENT,
    upstream=NO_SERVER,
)
def container_name(settings: ProxySettings, trials: ProxyTrials, inside: Inside) -> Finding:
    """
    An inside name is known to the company's nameservers, and containers may be given public ones.

    Why it matters: "Temporary failure resolving 'proxy.corp'", in containers and builds only.
    How to fix: give containers the nameserver that knows it, or the proxy's address.
    """
    if not settings.client and not settings.dockerfile:
        return skipped("containers are given no proxy")
    for trial in trials.all:
        users = _in_containers(settings, trial)
        said = _exchanges(inside, trial.host, trial.port)
        if not users or not said or not all(e.outcome.startswith("EAI") for _, e in said):
            continue
        here = inside.host.exchange(trial.host, trial.port)
        if here is None or not here.ok:
            continue
        return failed(
            f"{trial.host} ({users[0].source}) does not resolve in containers; it does on the host",
            *_shown(users),
            *(Evidence(f"connect {e.target}, from the {place}", e.outcome) for place, e in said),
            Evidence(f"connect {here.target}, from the host", here.outcome),
            *(Evidence(f"nameservers, in the {v.place}", ", ".join(v.nameservers)) for v in inside.views),
            cause=f"The nameservers that containers are given do not know {trial.host}.",
            fix=(
                "# give containers the nameserver that knows it: doctor fix-dns --dns IP --write",
                f"# or write the proxy's address in place of {trial.host} in {_place(settings, users[0])}",
            ),
        )
    return passed("containers resolve their proxy, or are given its address")


@check(
    "proxy.container-blocked",
    title="Containers can reach their proxy",
    severity=Severity.ERROR,
    docs=CLIENT,
)
def container_blocked(settings: ProxySettings, trials: ProxyTrials, inside: Inside) -> Finding:
    """
    The host reaches its proxy from another address than containers do, and past fewer rules.

    Why it matters: builds and containers time out, though the proxy works from the host.
    How to fix: let the container networks through to the proxy's port.
    """
    if not settings.client and not settings.dockerfile:
        return skipped("containers are given no proxy")
    for trial in (t for t in trials.all if not t.loopback):
        users = _in_containers(settings, trial)
        said = _exchanges(inside, trial.host, trial.port)
        here = inside.host.exchange(trial.host, trial.port)
        stopped = [e for _, e in said if not e.ok and not e.outcome.startswith("EAI")]
        if users and said and len(stopped) == len(said) and here and here.ok:
            return failed(
                f"{trial.host}:{trial.port} cannot be reached from containers ({stopped[0].outcome}); the host reaches it",
                *_shown(users),
                *(Evidence(f"connect {e.target}, from the {place}", e.outcome) for place, e in said),
                Evidence(f"connect {here.target}, from the host", here.outcome),
                cause="Something between the container networks and the proxy drops or rejects connections to it.",
                fix=(f"# let the container networks through to TCP port {trial.port} of {trial.host}",),
            )
    return passed("containers reach the proxy that they are given")


@check(
    "proxy.container-missing",
    title="Containers are given the proxy that is the only way out",
    severity=Severity.WARNING,
    docs=CLIENT,
)
def container_missing(settings: ProxySettings, registries: Registries, inside: Inside) -> Finding:
    """
    The daemon's proxy is for pulls alone; what runs in containers and builds is told by the client's config.json.

    Why it matters: pulls work, and RUN apt-get update or pip install in a build time out.
    How to fix: set "proxies" in ~/.docker/config.json of whoever runs docker; new containers and builds get it.
    """
    has = settings.in_daemon
    if "HTTP_PROXY" not in has and "HTTPS_PROXY" not in has:
        return skipped("the daemon has no proxy")
    if any(s.kind != "NO_PROXY" for s in settings.client):
        return passed("the client gives containers a proxy", *_shown(settings.client))
    proxied = [r for r in registries.all if r.asked.via and r.serves]
    chosen = has.get("HTTPS_PROXY") or has["HTTP_PROXY"]
    proxy = parse_proxy(chosen.value)
    if not proxied or isinstance(proxy, str):
        return passed("nothing shows that containers need it")
    target = urlsplit(proxied[0].asked.url)
    host, port = target.hostname or "", target.port or (443 if target.scheme == "https" else 80)
    direct = [*_exchanges(inside, host, port), *([("host", e)] if (e := inside.host.exchange(host, port)) else [])]
    through = _exchanges(inside, proxy.host, proxy.port)
    if not direct or any(e.ok for _, e in direct) or not any(e.ok for _, e in through):
        return passed("containers get out without it, or would not get to it")
    entries = {"httpProxy": has.get("HTTP_PROXY"), "httpsProxy": has.get("HTTPS_PROXY"), "noProxy": has.get("NO_PROXY")}
    body = ", ".join(f'"{k}": "{s.value}"' for k, s in entries.items() if s)
    return failed(
        f"containers are given no proxy, and {host}:{port} is out of their reach without {chosen.value}",
        *_shown(settings.daemon),
        *(Evidence(f"connect {e.target}, from the {place}", e.outcome) for place, e in (*direct, *through)),
        cause="Only the daemon has the proxy; builds and containers have no way out.",
        fix=(f'# add to ~/.docker/config.json: "proxies": {{"default": {{{body}}}}}',),
    )

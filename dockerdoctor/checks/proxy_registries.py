"""The daemon's way to its registries: which it should ask through a proxy, and which directly."""

from __future__ import annotations

from urllib.parse import urlsplit

from dockerdoctor.checks.proxy_places import DAEMON, DROP_INS, RESTARTS, UNIT, restart, shown, written
from dockerdoctor.checks.registry import seen
from dockerdoctor.examine import check, failed, passed, skipped
from dockerdoctor.facts.engine import Units
from dockerdoctor.facts.proxy import ProxySettings
from dockerdoctor.facts.registry import OWN_ENVIRONMENT, Registries, Registry
from dockerdoctor.model import Evidence, Finding, Severity
from dockerdoctor.noproxy import meant
from dockerdoctor.web import DEFAULT_PORTS, bypasses, split_port


def _no_proxy_edit(settings: ProxySettings, host: str) -> tuple[str, ...]:
    now = settings.in_daemon.get("NO_PROXY")
    unit = settings.daemon_source("NO_PROXY")
    if unit:
        return (f"sed -i -E '{unit.line}s#(no_proxy=)#\\1{host},#I' {unit.path}",)
    if now and now.source.endswith(".json"):
        return (f"""sed -i -E 's#("no-proxy"[[:space:]]*:[[:space:]]*")#\\1{host},#' {now.source}""",)
    value = ",".join([*(now.value.split(",") if now else ("localhost", "127.0.0.1", "::1")), host])
    return (written(f"{DROP_INS}/no-proxy.conf", f'[Service]\nEnvironment="NO_PROXY={value}"'),)


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
    entry, why = meant(now.value if now else "", host, first.addresses)
    return failed(
        f"{first.host_port} is asked through {first.asked.via}, which answers {first.asked.status}; directly it answers",
        seen(first.asked),
        seen(first.direct) if first.direct else Evidence("", ""),
        Evidence(now.source if now else "the running daemon", f"NO_PROXY={now.value}" if now else "no NO_PROXY"),
        *([Evidence(f"the host's resolver, for {host}", ", ".join(first.addresses))] if first.addresses else []),
        cause=(
            f"The daemon's NO_PROXY says {entry!r}, which does not count for {host}: {why}."
            if entry
            else f"The daemon's NO_PROXY does not match {host}, and the proxy does not serve it."
        ),
        fix=(*_no_proxy_edit(settings, host), *restart(units)),
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
        *shown(settings.daemon),
        seen(first.asked),
        *([seen(first.around)] if first.around else []),
        cause="Registries are asked over HTTPS, for which HTTP_PROXY does not count.",
        fix=(*fix, *restart(units)),
        impact=RESTARTS,
    )


@check(
    "proxy.all-proxy",
    title="The daemon's proxy is not left to ALL_PROXY",
    severity=Severity.ERROR,
    docs=DAEMON,
    upstream=UNIT,
)
def all_proxy(settings: ProxySettings, registries: Registries, units: Units | None) -> Finding:
    """
    Curl and Python's requests take ALL_PROXY for every scheme; dockerd, as most Go programs, does not read it.

    Why it matters: "curl" works with the very same variable, and every pull times out.
    How to fix: set HTTPS_PROXY and HTTP_PROXY to its value; they take socks5:// too.
    """
    has = next((s for s in settings.daemon if s.kind == "ALL_PROXY"), None)
    if has is None:
        return skipped("the daemon has no ALL_PROXY")
    wrong = [
        r for r in registries.sick if r.around and r.around_by.upper() == f"ALL_PROXY in {OWN_ENVIRONMENT}".upper()
    ]
    if not wrong:
        return passed("registries are reached without ALL_PROXY")
    first, source = wrong[0], settings.daemon_source("ALL_PROXY")
    fix: tuple[str, ...] = (f"# set HTTPS_PROXY and HTTP_PROXY to the value of {has.name} in {has.source}",)
    if source:
        fix = (
            f"sed -i -E '{source.line}{{p;s/all_proxy=/HTTPS_PROXY=/I;p;s/HTTPS_PROXY=/HTTP_PROXY=/}}' {source.path}",
        )
    return failed(
        f"{has.name}={has.value} is set for the daemon, which does not read it; {first.host_port} {first.asked.words}",
        *shown(settings.daemon),
        seen(first.asked),
        *([seen(first.around)] if first.around else []),
        cause="The daemon reads HTTP_PROXY, HTTPS_PROXY and NO_PROXY alone: ALL_PROXY counts for nothing.",
        fix=(*fix, *restart(units)),
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
        fix=(edit, *restart(units)),
        impact=RESTARTS,
    )


@check(
    "proxy.daemon-missing",
    title="The daemon has a proxy if it needs one",
    severity=Severity.ERROR,
    docs=DAEMON,
    upstream=(*UNIT, "proxy.https-missing", "proxy.all-proxy"),
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
    write = written(target, lines)
    if "***" in via:
        write = f"# write into {target}, with the password in place of ***, each “%” doubled:\n# " + lines.replace(
            "\n", "\n# "
        )
    return failed(
        f"{first.host_port} {first.asked.words}, but answers through {via} ({first.around_by})",
        seen(first.asked),
        *([seen(first.around)] if first.around else []),
        *shown((*settings.shell, *settings.host, *settings.client)),
        Evidence("the running daemon", ", ".join(f"{s.name}={s.value}" for s in settings.daemon) or "no proxy"),
        cause="This network needs a proxy; the daemon has not been given it.",
        fix=(write, *restart(units)),
        impact=RESTARTS,
    )

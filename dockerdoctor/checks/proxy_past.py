"""What must go past the proxy in containers: their own localhost, each other, and what NO_PROXY is meant to name."""

from __future__ import annotations

from dockerdoctor.checks.endings import anew
from dockerdoctor.checks.health import captured, names_near, said, sick, test_of
from dockerdoctor.checks.proxy_places import CLIENT, shown
from dockerdoctor.checks.registry import seen
from dockerdoctor.examine import check, failed, passed, skipped
from dockerdoctor.facts.containers import Container, Containers
from dockerdoctor.facts.proxy import ProxySettings, ProxyTrials, Setting
from dockerdoctor.facts.proxy_detours import Detour, ProxyDetours, proxies
from dockerdoctor.model import Evidence, Finding, Severity
from dockerdoctor.noproxy import BUSYBOX, CURL, URLLIB, WGET, Client, meant

LOOPBACK = ("localhost", "127.0.0.1")
EXEMPT = "localhost,127.0.0.1,::1"


def _shown_env(container: Container) -> tuple[Evidence, ...]:
    env = dict(container.env)
    lines = [f"{n}={v}" for n, v in env.items() if n.lower() == "no_proxy"] or ["no_proxy is not set"]
    return (
        Evidence(
            f"docker inspect {container.name}: Env", ", ".join([*(f"{n}={v}" for n, v in proxies(env).items()), *lines])
        ),
    )


@check(
    "proxy.captures-localhost",
    title="No health check asks a proxy for its own container",
    severity=Severity.ERROR,
    docs=CLIENT,
)
def captures_localhost(settings: ProxySettings, containers: Containers) -> Finding:
    """
    Programs ask their proxy for localhost too, and for other containers by name, unless NO_PROXY says otherwise.

    Go alone never does so for localhost. BusyBox wget, which Alpine images have, knows no NO_PROXY at all.

    Why it matters: the application is well, its container is "unhealthy", and what depends on it does not start.
    How to fix: name localhost and the other containers in noProxy, and make the container anew; BusyBox wget wants -Y off.
    """
    found = []
    for c, health in sick(containers):
        if way := captured(c, health, names_near(c, containers)):
            found.append((c, health, way))
    if not found:
        return (
            passed("no health check that fails asks a proxy for what is near")
            if sick(containers)
            else skipped("no health check fails")
        )
    first, health, (client, host, proxy) = found[0]
    others = ", ".join(c.name for c, _, _ in found[1:])
    return failed(
        f"{first.name} is unhealthy: its check asks {proxy} for {host}" + (f" (and so {others})" if others else ""),
        *(e for c, _, _ in found for e in _shown_env(c)),
        *(e for c, h, _ in found for e in said(c, h)),
        cause=(
            f"BusyBox wget passes over no_proxy, and asks http_proxy for everything, {host} too."
            if client is BUSYBOX
            else f"By no_proxy as {client.name} reads it, {host} is asked for through the proxy, which has another {host}."
        ),
        fix=_way_past(settings, first, client, host, test_of(health)),
    )


def _way_past(settings: ProxySettings, container: Container, client: Client, host: str, test: str) -> tuple[str, ...]:
    if client is BUSYBOX:
        return (anew(container, f"--health-cmd '{test.replace('wget ', 'wget -Y off ', 1)}'"),)
    names = ",".join(dict.fromkeys([*EXEMPT.split(","), host]))
    env = dict(container.env)
    if any(s.value in env.values() for s in settings.client if s.kind != "NO_PROXY"):
        return (
            *_exempt(settings.client, names),
            anew(container, "the same options: it keeps the variables it was made with"),
        )
    now = env.get("no_proxy") or env.get("NO_PROXY") or ""
    value = ",".join(filter(None, [now, *(n for n in names.split(",") if n not in now.split(","))]))
    return (anew(container, f"-e no_proxy={value} -e NO_PROXY={value}"),)


def _exempt(client: tuple[Setting, ...], names: str) -> tuple[str, ...]:
    """The command that adds names to noProxy of the client's configuration."""
    path = client[0].source
    now = next((s for s in client if s.kind == "NO_PROXY"), None)
    if now:
        more = ",".join(n for n in names.split(",") if n not in now.value.split(","))
        return (f"""sed -i -E 's#("noProxy"[[:space:]]*:[[:space:]]*")#\\1{more},#' {path}""",)
    return (f"""sed -z -i -E 's#("https?Proxy"[[:space:]]*:)#"noProxy": "{names}", \\1#' {path}""",)


@check(
    "proxy.localhost-exempt",
    title="Containers that are given a proxy are told not to ask it for localhost",
    severity=Severity.WARNING,
    docs=CLIENT,
    # Where a health check shows it, this is why.
    upstream=("proxy.captures-localhost",),
)
def localhost_exempt(settings: ProxySettings, trials: ProxyTrials | None) -> Finding:
    """
    Without NO_PROXY curl, wget and Python ask the proxy for http://localhost, and the proxy asks itself.

    Why it matters: health checks and whatever else a container asks of itself end with 403 or 503 of the proxy.
    How to fix: set "noProxy" in the client's config.json; containers are given it when they are made.
    """
    given = [s for s in settings.client if s.kind in {"HTTP_PROXY", "ALL_PROXY"}]
    if not given:
        return skipped("the client gives containers no proxy for HTTP")
    tried = trials.of(given[0].value) if trials else None
    if tried and (tried.dead or tried.mute or tried.problem):
        return skipped(f"{given[0].value} is no proxy that answers")
    no_proxy = next((s.value for s in settings.client if s.kind == "NO_PROXY"), "")
    env = {"http_proxy": given[0].value, "no_proxy": no_proxy}
    if any(not client.proxy(env, "http", host, 80) for host in LOOPBACK for client in (CURL, WGET, URLLIB)):
        return passed(f"noProxy is {no_proxy}", *shown(settings.client))
    return failed(
        f"{given[0].name}={given[0].value} counts for localhost too: "
        + (f"noProxy is {no_proxy}" if no_proxy else "noProxy is not set"),
        *shown(settings.client),
        cause="New containers ask the proxy for their own localhost.",
        fix=_exempt(settings.client, EXEMPT),
    )


@check(
    "proxy.container-no-proxy",
    title="What is near is not asked of a proxy in containers",
    severity=Severity.WARNING,
    docs=CLIENT,
    upstream=("proxy.captures-localhost",),
)
def container_no_proxy(settings: ProxySettings, detours: ProxyDetours) -> Finding:
    """
    NO_PROXY has no standard: a CIDR counts for Go, for curl since 7.86 and for Python's requests, and for addresses alone.

    GNU wget, apt and Python's urllib compare names, and an address letter by letter; "*.corp" is Go's alone.

    Why it matters: one program gets through, and the other is turned away by a proxy that does not serve inside servers.
    How to fix: list names and addresses one by one, in addition to the networks.
    """
    wrong = [d for d in detours.all if d.lost]
    if not detours.all:
        return skipped("no container is told of a server that it might ask a proxy for by mistake")
    if not wrong:
        return passed(f"{', '.join(d.url for d in detours.all)}: served by the proxy, or asked directly")
    first = wrong[0]
    entry, why = meant(first.no_proxy, first.host, first.addresses)
    return failed(
        f"{first.url} ({first.wanted_by}): {', '.join(first.astray)} ask {first.proxy} for it, which answers "
        f"{first.through.status if first.through else '?'}",
        *(e for d in wrong for e in _both_ways(d)),
        cause=(
            f"no_proxy says {entry}, but {why}."
            if entry
            else f"“{first.no_proxy}” names {first.host} for {', '.join(first.straight)} and not for the others."
            if first.straight
            else f"no_proxy does not name {first.host}."
        ),
        fix=_named(settings, first),
    )


def _both_ways(one: Detour) -> tuple[Evidence, ...]:
    table = f"through the proxy: {', '.join(one.astray)}; directly: {', '.join(one.straight) or 'nobody'}"
    return (
        Evidence(one.setting, f"proxy {one.proxy}, no_proxy {one.no_proxy or 'not set'}"),
        Evidence(f"{one.host} by that no_proxy", table),
        *(seen(a, "HEAD") for a in (one.through, one.direct) if a),
    )


def _named(settings: ProxySettings, one: Detour) -> tuple[str, ...]:
    name = one.setting.removeprefix("container ")
    if name == one.setting:
        return _exempt(settings.client, one.host)
    value = ",".join(filter(None, [one.no_proxy, one.host]))
    if any(s.value == one.proxy for s in settings.client):
        return (
            *_exempt(settings.client, one.host),
            f"# then replace {one.setting} by a new one: it keeps the variables it was made with",
        )
    return (f"# replace {one.setting} by one that is run with -e no_proxy={value} -e NO_PROXY={value}",)

"""The proxies that the client gives to new containers and builds: whether it does, and whether they get to them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from shlex import quote
from urllib.parse import urlsplit

from dockerdoctor.checks.dns_answers import NO_SERVER
from dockerdoctor.checks.proxy_places import (
    CLIENT,
    address_of,
    exchanges,
    in_containers,
    place_of,
    rewrite,
    shown,
    tried,
)
from dockerdoctor.checks.rewriting import typed
from dockerdoctor.examine import check, failed, passed, skipped
from dockerdoctor.facts.containers import Containers
from dockerdoctor.facts.endpoint import ClientConfig
from dockerdoctor.facts.inside import Inside
from dockerdoctor.facts.listeners import Listeners
from dockerdoctor.facts.proxy import ProxySettings, ProxyTrials, Setting, Trial
from dockerdoctor.facts.registry import Registries
from dockerdoctor.model import Evidence, Finding, Severity
from dockerdoctor.web import parse_proxy


@check(
    "proxy.container-loopback",
    title="Containers are not sent to a proxy on their own loopback",
    severity=Severity.ERROR,
    docs=CLIENT,
)
def container_loopback(
    settings: ProxySettings,
    trials: ProxyTrials,
    inside: Inside | None,
    containers: Containers | None,
    listeners: Listeners | None,
) -> Finding:
    """
    127.0.0.1 in a container is the container, not the host whose proxy listens there.

    Why it matters: "Failed to connect to 127.0.0.1 port …" from apt, pip and curl, in containers and builds only.
    How to fix: let the proxy listen on the bridge's address too, and give containers that one.
    """
    if not settings.inside:
        return skipped("containers are given no proxy")
    wrong = [
        (t, users)
        for t in trials.all
        if t.loopback
        and (users := tuple(s for s in in_containers(settings, t) if not _at_home(s, t, containers, listeners)))
    ]
    if not wrong:
        return passed("containers are given no loopback proxy", *shown(settings.inside))
    first, users = wrong[0]
    gateway, _, outcome = first.at_gateway.partition(" ")
    address = gateway.rpartition(":")[0]
    edit = rewrite(settings, users, f'(//|@|[" =]){address_of(first)}', rf"\1{gateway}")
    lives = "answers on the host's" if not first.dead else "does not answer on the host either"
    if not gateway:
        fix: tuple[str, ...] = (f"# give containers an address of the proxy that they can reach, in {users[0].source}",)
    elif outcome == "ok":
        fix = edit
    else:
        fix = (f"# let the proxy listen on {address} as well as on {first.host}, then:", *edit)
    return failed(
        f"{users[0].name}={first.value} in {users[0].source} means the container itself",
        *shown(users),
        *(
            Evidence(f"connect {e.target}, from the {place}", e.outcome)
            for place, e in exchanges(inside, first.host, first.port)
        ),
        *([Evidence(f"connect {gateway}, from the host", outcome)] if gateway else []),
        *tried(first),
        cause=f"A container has a loopback of its own; the proxy {lives} ({first.host}:{first.port}).",
        fix=fix,
    )


def _at_home(setting: Setting, trial: Trial, containers: Containers | None, listeners: Listeners | None) -> bool:
    """Whether a running container may have that proxy in it: it listens there, or nobody could see what listens."""
    name = setting.source.removeprefix("container ")
    if name == setting.source:
        return False
    container = next((c for c in (containers.all if containers else ()) if c.name == name), None)
    inner = listeners.within(container) if listeners and container else None
    return inner is None or bool(inner.on(trial.port))


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
    if not settings.inside:
        return skipped("containers are given no proxy")
    for trial in trials.all:
        users = in_containers(settings, trial)
        said = exchanges(inside, trial.host, trial.port)
        if not users or not said or not all(e.outcome.startswith("EAI") for _, e in said):
            continue
        here = inside.host.exchange(trial.host, trial.port)
        if here is None or not here.ok:
            continue
        return failed(
            f"{trial.host} ({users[0].source}) does not resolve in containers; it does on the host",
            *shown(users),
            *(Evidence(f"connect {e.target}, from the {place}", e.outcome) for place, e in said),
            Evidence(f"connect {here.target}, from the host", here.outcome),
            *(Evidence(f"nameservers, in the {v.place}", ", ".join(v.nameservers)) for v in inside.views),
            cause=f"The nameservers that containers are given do not know {trial.host}.",
            fix=(
                "# better, where there is one: give containers the nameserver that knows it: doctor fix-dns --dns IP --write",
                *_by_address(settings, users, trial, here.address),
            ),
        )
    return passed("containers resolve their proxy, or are given its address")


def _by_address(settings: ProxySettings, users: Sequence[Setting], trial: Trial, address: str) -> tuple[str, ...]:
    """Write the proxy's address where its name is; one that is asked with TLS has a certificate for its name alone."""
    place = place_of(settings, users[0]) or users[0].source
    if not address or ":" in address or trial.scheme == "https":
        return (f"# or write the proxy's address in place of {trial.host} in {place}",)
    return rewrite(settings, users, f'(//|@|[" =]){address_of(trial)}', rf"\1{address}:{trial.port}")


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
    if not settings.inside:
        return skipped("containers are given no proxy")
    for trial in (t for t in trials.all if not t.loopback):
        # A container that runs may be let through where new ones are not.
        users = tuple(s for s in in_containers(settings, trial) if s not in settings.containers)
        said = exchanges(inside, trial.host, trial.port)
        here = inside.host.exchange(trial.host, trial.port)
        stopped = [e for _, e in said if not e.ok and not e.outcome.startswith("EAI")]
        if users and said and len(stopped) == len(said) and here and here.ok:
            return failed(
                f"{trial.host}:{trial.port} cannot be reached from containers ({stopped[0].outcome}); the host reaches it",
                *shown(users),
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
def container_missing(
    settings: ProxySettings, registries: Registries, inside: Inside, config: ClientConfig | None
) -> Finding:
    """
    The daemon's proxy is for pulls alone; what runs in containers and builds is told by the client's config.json.

    Why it matters: pulls work, and RUN apt-get update or pip install in a build time out.
    How to fix: set "proxies" in ~/.docker/config.json of whoever runs docker; new containers and builds get it.
    """
    has = settings.in_daemon
    if "HTTP_PROXY" not in has and "HTTPS_PROXY" not in has:
        return skipped("the daemon has no proxy")
    if any(s.kind != "NO_PROXY" for s in settings.client):
        return passed("the client gives containers a proxy", *shown(settings.client))
    proxied = [r for r in registries.all if r.asked.via and r.serves]
    chosen = has.get("HTTPS_PROXY") or has["HTTP_PROXY"]
    proxy = parse_proxy(chosen.value)
    if not proxied or isinstance(proxy, str):
        return passed("nothing shows that containers need it")
    target = urlsplit(proxied[0].asked.url)
    host, port = target.hostname or "", target.port or (443 if target.scheme == "https" else 80)
    direct = [*exchanges(inside, host, port), *([("host", e)] if (e := inside.host.exchange(host, port)) else [])]
    through = exchanges(inside, proxy.host, proxy.port)
    if not direct or any(e.ok for _, e in direct) or not any(e.ok for _, e in through):
        return passed("containers get out without it, or would not get to it")
    entries = {"httpProxy": has.get("HTTP_PROXY"), "httpsProxy": has.get("HTTPS_PROXY"), "noProxy": has.get("NO_PROXY")}
    proxies = {k: s.value for k, s in entries.items() if s}
    return failed(
        f"containers are given no proxy, and {host}:{port} is out of their reach without {chosen.value}",
        *shown(settings.daemon),
        *(Evidence(f"connect {e.target}, from the {place}", e.outcome) for place, e in (*direct, *through)),
        cause="Only the daemon has the proxy; builds and containers have no way out.",
        fix=_told(proxies, config),
    )


def _told(proxies: dict[str, str], config: ClientConfig | None) -> tuple[str, ...]:
    """Put proxies into the client's configuration: before all that it has, which may be secret and is not shown."""
    member = f'"proxies": {typed({"default": proxies})}'
    if config is None or config.problem or config.proxies or "***" in member or not member.isascii():
        return (f"# add to {config.path if config else '~/.docker/config.json'}: {member}",)
    path = quote(config.path)
    if not config.exists:
        return (f"install -D -m 600 /dev/stdin {path} <<'END'\n{{\n  {member}\n}}\nEND",)
    # The first brace is the object's own; what sed would take for its own signs is marked.
    literal = re.sub(r"([#&\\])", r"\\\1", member) + ("" if config.empty else ",")
    script = f"s#{{#{{\\n  {literal}#"
    return (f"sed -i -z {quote(script)} {path}",)

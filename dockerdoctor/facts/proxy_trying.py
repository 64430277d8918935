"""The probes of proxies: every place is read, and every proxy that is in use tried once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from dockerdoctor.facts.containers import Containers, Networks
from dockerdoctor.facts.daemon_json import DaemonJson
from dockerdoctor.facts.endpoint import ChosenEndpoint, ClientConfig, mask_url
from dockerdoctor.facts.engine import PROXY_VARIABLES, DaemonProcess, EngineInfo, EngineVersion, Units
from dockerdoctor.facts.proxy import ProxySettings, ProxyTrials, Setting, Trial, UnitSetting
from dockerdoctor.facts.proxy_reading import (
    bare_address,
    dockerfile_settings,
    hidden_secrets,
    raw_client,
    raw_daemon,
    raw_known,
    raw_units,
)
from dockerdoctor.host import Host
from dockerdoctor.measure import Unmeasured, probe
from dockerdoctor.web import HUB, PATIENCE, Attempt, Proxy, ask, at_once, is_loopback_host, parse_proxy


@probe(deadline=4)
def proxy_settings(
    host: Host,
    endpoint: ChosenEndpoint,
    client: ClientConfig | None,
    process: DaemonProcess | None,
    units: Units | None,
    info: EngineInfo | None,
    config: DaemonJson | None,
    version: EngineVersion | None,
    containers: Containers | None,
    networks: Networks | None,
) -> ProxySettings:
    """Read every place; only what is in force comes from the running daemon."""
    daemon, source = raw_daemon(host, process, info, config)
    seen = bool(info) or bool(process and process.environment_read)
    unit = tuple(
        UnitSetting(u.path, u.line, u.name, u.value, u.ignored, u.lone_percent, _in_force(raw, u, daemon, seen=seen))
        for u, raw in raw_units(host, units)
    )
    known = raw_known(host)
    given = {k: v for k, v in raw_client(host, client, endpoint).items() if k != "allProxy" or _knows_all(version)}
    return ProxySettings(
        shell=tuple(Setting(k, mask_url(v), s) for k, v, s in known if s.startswith("environment")),
        host=tuple(Setting(k, mask_url(v), s) for k, v, s in known if not s.startswith("environment")),
        daemon=tuple(Setting(k, mask_url(v), source) for k, v in sorted(daemon.items())),
        daemon_seen=seen,
        unit=unit if endpoint.local else (),
        client=tuple(Setting(k, mask_url(v), client.path if client else "") for k, v in given.items()),
        dockerfile=dockerfile_settings(host.text(f"{host.cwd}/Dockerfile")) if host.cwd else (),
        containers=running_settings(containers, networks, frozenset(mask_url(v) for v in given.values())),
    )


def _knows_all(version: EngineVersion | None) -> bool:
    """Whether this client gives containers ALL_PROXY; it is taken to be as old as its engine."""
    return version is None or not version.parts or version.parts >= (23,)


# The values of a host's containers are few; more than these need not be tried.
MAX_VALUES = 8


def running_settings(
    containers: Containers | None, networks: Networks | None, given: frozenset[str]
) -> tuple[Setting, ...]:
    """
    The proxies that running containers were made with, other than those the client gives anyway.

    Left out are those that the host cannot judge: names that mean a container, and proxies of who is on a network that
    the host has no part in.
    """
    reached = {n.name for n in (networks.bridges if networks else ())}
    everybody = containers.all if containers else ()
    names = {a for c in everybody for a in (c.name, *(x for n in c.networks for x in n.aliases))}
    names |= {entry.partition(":")[0] for c in everybody for entry in c.extra_hosts}
    names |= {part for c in everybody for link in c.links for part in link.split(":")}
    found: list[Setting] = []
    for container in everybody:
        if container.state not in {"running", "restarting"} or container.dns:
            continue
        if not container.networks or not {n.network for n in container.networks} <= reached:
            continue
        for name, value in container.env:
            proxy = parse_proxy(value)
            if name.lower() not in PROXY_VARIABLES or name.lower() == "no_proxy" or not value or value in given:
                continue
            if isinstance(proxy, str) or proxy.host not in names:
                found.append(Setting(name, value, f"container {container.name}"))
    values = list(dict.fromkeys(s.value for s in found))[:MAX_VALUES]
    return tuple(s for s in found if s.value in values)


def _in_force(raw: str, setting: UnitSetting, daemon: Mapping[str, str], *, seen: bool) -> bool | None:
    if not seen:
        return None
    # GET /info does not tell the spelling, nor the password.
    has = daemon.get(setting.name) or daemon.get(setting.name.upper()) or ""
    return has == raw or (bare_address(has) == bare_address(raw) and "@" not in has)


# A proxy answers a bad question at once, however slow the servers behind it are.
MANNERS = 1.0  # seconds


@probe(deadline=PATIENCE + MANNERS + 1)
def proxy_trials(
    host: Host,
    endpoint: ChosenEndpoint,
    settings: ProxySettings,
    process: DaemonProcess | None,
    info: EngineInfo | None,
    config: DaemonJson | None,
    client: ClientConfig | None,
    networks: Networks | None,
) -> ProxyTrials:
    """Try each proxy from the host, as it is set; containers try theirs from inside (see `Wanted`)."""
    if not endpoint.local:
        raise Unmeasured("the engine is on another host", skipped=True)
    raw = [
        v for k, v in raw_daemon(host, process, info, config)[0].items() if k.upper() not in {"NO_PROXY", "ALL_PROXY"}
    ]
    given = {s.name for s in settings.client} - {"noProxy"}
    raw += [v for k, v in raw_client(host, client, endpoint).items() if k in given]
    raw += [s.value for s in settings.dockerfile if s.kind != "NO_PROXY"]
    known = {mask_url(v) for v in raw}
    # A container's password is masked already: whether it is right cannot be told.
    masked = dict.fromkeys(s.value for s in settings.containers if s.value not in known)
    raw += masked
    gateway = next((g for n in (networks.all if networks else ()) if n.name == "bridge" for g in n.gateways), "")
    values = list(dict.fromkeys(raw))
    hidden = hidden_secrets(info, raw_daemon(host, process, info, config)[0])
    tried = at_once(
        [partial(try_proxy, host, v, gateway, hidden=v in hidden or (v in masked and "***" in v)) for v in values],
        PATIENCE + MANNERS,
    )
    return ProxyTrials(
        tuple(
            done or Trial(mask_url(v), asked=Attempt("", mask_url(v), "proxy", "timeout"))
            for v, done in zip(values, tried, strict=True)
        )
    )


def try_proxy(host: Host, value: str, gateway: str = "", *, hidden: bool = False) -> Trial:
    """Ask one proxy for a tunnel."""
    proxy = parse_proxy(value)
    if isinstance(proxy, str):
        return Trial(mask_url(value), problem=proxy)
    target = f"https://{HUB}/v2/"
    asked = ask(target, proxy, patience=PATIENCE - 0.2)
    plainly = None
    if proxy.scheme == "https" and asked.layer == "proxy" and not asked.status:
        plainly = ask(target, Proxy("http", proxy.host, proxy.port, proxy.userinfo), patience=PATIENCE - 0.2)
        if plainly.layer != "proxy":
            plainly = Attempt(plainly.url, plainly.via, "proxy", "ok", 200)
    speaks = None
    if asked.outcome == "silent" and proxy.scheme == "http":
        reply = host.exchange(proxy.host, proxy.port, b"GET / HTTP/1.0\r\n\r\n", MANNERS)
        speaks = isinstance(reply, bytes) and reply.startswith(b"HTTP/")
    at_gateway = ""
    if gateway and is_loopback_host(proxy.host):
        at_gateway = f"{gateway}:{proxy.port} {host.dial(gateway, proxy.port, 1.0).outcome}"
    return Trial(
        mask_url(value),
        "",
        proxy.scheme,
        proxy.has_scheme,
        proxy.host,
        proxy.port,
        asked,
        plainly,
        bool(proxy.userinfo),
        hidden,
        speaks,
        at_gateway,
    )

"""What containers are told to use and may be sent to a proxy for: asked both ways, where a proxy is not meant for it."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from urllib.parse import urlsplit

from dockerdoctor.facts.containers import Containers
from dockerdoctor.facts.endpoint import ChosenEndpoint
from dockerdoctor.facts.engine import EngineInfo
from dockerdoctor.facts.proxy import ProxySettings
from dockerdoctor.host import Host
from dockerdoctor.measure import Unmeasured, probe
from dockerdoctor.noproxy import address, meant, ways
from dockerdoctor.web import DEFAULT_PORTS, Attempt, Proxy, ask, at_once, is_loopback_host, parse_proxy

# Each costs two questions.
MAX_TARGETS = 8
# What is within the own network answers at once.
WITHIN = 1.2  # seconds
URL = re.compile(r"https?://[^\s\"'<>|,;]+", re.IGNORECASE)
REFUSALS = frozenset({403, 404, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Detour:
    """One server that some programs in containers ask a proxy for, though it is near."""

    url: str  # "http://10.1.2.3:8080/", nothing of the path
    wanted_by: str  # "API_URL of container web", "registry-mirrors"
    setting: str  # who sets proxy and NO_PROXY: "container web", "/root/.docker/config.json"
    proxy: str  # masked
    no_proxy: str
    astray: tuple[str, ...]  # the programs that ask the proxy for it
    straight: tuple[str, ...]  # those that ask it directly, by the same settings
    peer: str = ""  # the address of the container that the name means
    addresses: tuple[str, ...] = ()  # of another name
    through: Attempt | None = None
    direct: Attempt | None = None

    @property
    def host(self) -> str:
        """Name or address."""
        return urlsplit(self.url).hostname or ""

    @property
    def lost(self) -> bool:
        """Whether the proxy turns away what answers directly."""
        said, own = self.through, self.direct
        if said is None or own is None or not own.answered or own.status >= 500:
            return False
        return said.status in REFUSALS and said.status != own.status


@dataclass(frozen=True, slots=True)
class ProxyDetours:
    """Every such server that was asked for, both ways."""

    all: tuple[Detour, ...] = ()


def servers(text: str) -> Iterator[str]:
    """The servers in a text, each as the URL of its root."""
    for found in URL.findall(text):
        with contextlib.suppress(ValueError):
            parts = urlsplit(found)
            if parts.hostname and not is_loopback_host(parts.hostname):
                host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
                yield f"{parts.scheme}://{host}:{parts.port or DEFAULT_PORTS[parts.scheme]}/"


def peers(containers: Containers) -> dict[str, dict[str, str]]:
    """The names that containers know each other by: network → name → address. The default bridge knows none."""
    found: dict[str, dict[str, str]] = {}
    for one in containers.running:
        for n in one.networks:
            if n.ip and n.network != "bridge":
                found.setdefault(n.network, {}).update(dict.fromkeys((one.name, *n.aliases), n.ip))
    return found


def proxies(env: Mapping[str, str]) -> dict[str, str]:
    """The variables of an environment that name a proxy."""
    return {n: v for n, v in env.items() if n.lower() in {"http_proxy", "https_proxy", "all_proxy"} and v}


def _detour(env: Mapping[str, str], url: str, wanted_by: str, setting: str, peer: str = "") -> Detour | None:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or DEFAULT_PORTS[parts.scheme]
    astray, straight = ways(env, parts.scheme, host, port)
    if not astray:
        return None
    kinds = (f"{parts.scheme}_proxy", "all_proxy")
    proxy = next(v for kind in kinds for n, v in proxies(env).items() if n.lower() == kind)
    no_proxy = env.get("no_proxy") or env.get("NO_PROXY") or ""
    return Detour(url, wanted_by, setting, proxy, no_proxy, astray, straight, peer)


def candidates(containers: Containers, settings: ProxySettings, mirrors: tuple[str, ...]) -> Iterator[Detour]:
    """What programs may be sent to a proxy for: servers in the variables of containers, and mirrors that have an address."""
    known = peers(containers)
    for container in containers.running:
        env = dict(container.env)
        if not proxies(env):
            continue
        names = {k: v for n in container.networks for k, v in known.get(n.network, {}).items()}
        for name, value in env.items():
            if not name.lower().endswith("_proxy"):
                for url in servers(value):
                    whose = f"container {container.name}"
                    found = _detour(env, url, f"{name} of {whose}", whose, names.get(urlsplit(url).hostname or "", ""))
                    if found:
                        yield found
    env = {spelt: s.value for s in settings.client for spelt in (s.kind, s.kind.lower())}
    for url in (u for mirror in mirrors for u in servers(mirror)):
        if proxies(env) and (found := _detour(env, url, "registry-mirrors", settings.client[0].source)):
            yield found


def near(one: Detour) -> bool:
    """Whether no proxy is meant for it: it is a container, NO_PROXY names it for some programs, or nearly so."""
    ours = address(one.host)
    if one.peer or one.straight:
        return True
    if meant(one.no_proxy, one.host, one.addresses)[0]:
        return True
    return bool(ours and ours.is_private and one.wanted_by != "registry-mirrors")


def ask_both(host: Host, one: Detour) -> Detour | None:
    """Ask for a near one both ways, with HEAD and for nothing but the root."""
    if "/" in one.no_proxy and not one.peer and not address(one.host):
        one = replace(one, addresses=host.resolve(one.host, WITHIN)[0])
    proxy = parse_proxy(one.proxy)
    if not near(one) or not isinstance(proxy, Proxy) or "***" in one.proxy:
        return None
    through = ask(one.url, proxy, method="HEAD", patience=WITHIN)
    if through.status not in REFUSALS:
        return replace(one, through=through)
    there = one.url.replace(f"//{one.host}:", f"//{one.peer}:", 1) if one.peer else one.url
    return replace(one, through=through, direct=ask(there, method="HEAD", patience=WITHIN))


@probe(deadline=3 * WITHIN + 1, upstream=("engine.reachable", "engine.responsive"))
def proxy_detours(
    host: Host, endpoint: ChosenEndpoint, containers: Containers, settings: ProxySettings, info: EngineInfo | None
) -> ProxyDetours:
    """Look only where containers have a proxy at all."""
    if not endpoint.local:
        raise Unmeasured("the engine is on another host", skipped=True)
    wanted = {
        (d.url, d.proxy, d.no_proxy, d.peer): d for d in candidates(containers, settings, info.mirrors if info else ())
    }
    some = sorted(wanted.values(), key=lambda d: not near(d))[:MAX_TARGETS]
    asked = at_once([partial(ask_both, host, d) for d in some], 3 * WITHIN)
    return ProxyDetours(tuple(d for d in asked if d))

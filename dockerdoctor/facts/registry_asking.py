"""The registries this engine pulls from, each asked the way the daemon asks it: same names, proxies and trust."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

from dockerdoctor.facts.containers import Containers
from dockerdoctor.facts.daemon_json import DaemonJson
from dockerdoctor.facts.endpoint import ChosenEndpoint, ClientConfig, DaemonPing
from dockerdoctor.facts.engine import DaemonProcess, EngineInfo, ask, ask_list
from dockerdoctor.facts.interception import LOCAL_AUTHORITIES, interception
from dockerdoctor.facts.proxy import CLIENT_KEYS
from dockerdoctor.facts.proxy_reading import hidden_secrets, proxy_variables, raw_client, raw_daemon, raw_known
from dockerdoctor.facts.pulls import FailedPulls
from dockerdoctor.facts.registry import CONNECTING, OWN_ENVIRONMENT, Registries, Registry, in_networks
from dockerdoctor.facts.registry_names import CERTS_D, named, wants_hub
from dockerdoctor.host import Host
from dockerdoctor.measure import Unmeasured, probe
from dockerdoctor.tls import BUNDLES, trust_store
from dockerdoctor.web import (
    DEFAULT_PORTS,
    HUB,
    PATIENCE,
    Attempt,
    Proxy,
    at_once,
    is_loopback_host,
    parse_proxy,
    proxy_for,
    shown_chain,
    split_port,
)
from dockerdoctor.web import ask as ask_web

# Docker Hub's own repository for reading the limit; HEAD does not count (docs.docker.com, docker-hub/usage/pulls).
LIMIT_PREVIEW = "/v2/ratelimitpreview/test/manifests/latest"
PREVIEW_SCOPE = "repository:ratelimitpreview/test:pull"
# Every engine has it: the smallest official image.
SMALLEST = "/v2/library/hello-world/manifests/latest"
SMALLEST_SCOPE = "repository:library/hello-world:pull"
ACCEPT = {
    "Accept": "application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.index.v1+json, "
    "application/vnd.oci.image.manifest.v1+json"
}
# OpenSSL's codes for "not yet valid" and "expired".
OUT_OF_DATE = frozenset({9, 10})
# The daemon itself waits fifteen seconds for one that has accepted its connection: slow is not dead.
WAIT = 4.0
REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class Way:
    """How the daemon asks: its proxies, its trust, and the proxies that it could use but does not."""

    env: Mapping[str, str]
    known: tuple[tuple[str, str, str], ...]
    info: EngineInfo
    host: Host
    bundle: str
    started: float
    hidden: frozenset[str]  # proxies whose password could not be read
    refuses: Callable[[str], str]  # the daemon's own words for one registry's certificate; empty when it takes it
    logins: Mapping[str, str]  # base64, by registry; never part of a fact
    layers: bool = False  # whether to fetch a layer too: one did not come lately

    def unheard(self, attempt: Attempt) -> bool:
        """Whether a proxy refused us where it may serve the daemon."""
        return attempt.layer == "proxy" and attempt.status == 407 and attempt.via in self.hidden

    def proxy(self, url: str) -> Proxy | str | None:
        """The proxy for a URL; None for the direct way, or what is wrong with its setting."""
        parts = urlsplit(url)
        port = parts.port or DEFAULT_PORTS[parts.scheme]
        value = proxy_for(self.env, parts.scheme, parts.hostname or "", port)
        return parse_proxy(value) if value else None

    def ask(self, url: str, trust: ssl.SSLContext | None, hops: int = 3, **more: Any) -> Attempt:
        """Ask one URL as the daemon does, and go where one is sent."""
        proxy = self.proxy(url)
        if isinstance(proxy, str):
            return Attempt(url, "?", "proxy", f"cannot be used: {proxy}")
        said = ask_web(url, proxy, trust, **{"wait": WAIT, **more})
        onward = urljoin(url, said.header("location")) if said.answered and said.status in REDIRECTS else url
        if onward == url or not hops or urlsplit(onward).scheme not in {"http", "https"}:
            return said
        there = urlsplit(onward).netloc
        if url.startswith("http:") and onward.startswith("https:") and not self.insecure(there):
            trust = self.trust(there, self.authorities(there))
        return self.ask(onward, trust, hops - 1, **more)

    def insecure(self, host_port: str) -> bool:
        """Whether the running daemon takes this registry without TLS or with any certificate."""
        host = split_port(host_port)[0]
        listed = self.info.insecure_registries
        if host_port in listed or is_loopback_host(host) or in_networks(host, listed):
            return True
        if not any("/" in entry and not in_networks("127.0.0.1", (entry,)) for entry in listed):
            return False
        return any(in_networks(a, listed) for a in self.host.resolve(host, 1.0)[0])

    def authorities(self, host_port: str) -> tuple[str, ...]:
        """The CA files that the daemon reads for one registry: *.crt in the folder of that very name."""
        folder = f"{self.certs_d}/{host_port}"
        return tuple(f"{folder}/{name}" for name in self.host.listdir(folder, "*.crt"))

    @property
    def certs_d(self) -> str:
        """Where the daemon looks for registries' CA files."""
        return f"{self.host.home}/.config/docker/certs.d" if self.info.rootless else CERTS_D

    def trust(self, host_port: str, authorities: tuple[str, ...]) -> ssl.SSLContext:
        """The host's bundle, what certs.d adds for one registry, and the certificate that it has for ourselves there."""
        folder = f"{self.certs_d}/{host_port}"
        cert = next(iter(self.host.listdir(folder, "*.cert")), "")
        key = f"{cert.removesuffix('.cert')}.key"
        own = [str(self.host.path(f"{folder}/{name}")) for name in (cert, key)] if cert else ["", ""]
        return trust_store(
            str(self.host.path(self.bundle)), (str(self.host.path(a)) for a in authorities), (own[0], own[1])
        )

    def flaws(self, host_port: str) -> tuple[str, ...]:
        """What makes the daemon refuse a registry's folder, or pass over a file there (docker/docker, registry.go)."""
        folder = f"{self.certs_d}/{host_port}"
        names = self.host.listdir(folder)
        wants = {name: f"{name[:-5]}.key" for name in names if name.endswith(".cert")}
        wants |= {name: f"{name[:-4]}.cert" for name in names if name.endswith(".key")}
        found = [f"{folder}/{name} has no {pair} beside it" for name, pair in wants.items() if pair not in names]
        for name in names:
            if name.endswith(".crt"):
                with contextlib.suppress(OSError):
                    if "-----BEGIN " not in self.host.read(f"{folder}/{name}"):
                        found.append(f"{folder}/{name} is not a certificate in PEM form")
        return tuple(found)


def examine(way: Way, registry: Registry, note: Callable[[Registry], None]) -> Registry:
    """Ask one registry, and where that fails find out which step of it did; `note` what is known before going on."""
    url = registry.asked.url
    secure = urlsplit(url).scheme == "https"
    host_port = urlsplit(url).netloc
    insecure = secure and way.insecure(host_port)
    authorities = way.authorities(host_port) if secure else ()
    trust = way.trust(host_port, authorities) if secure and not insecure else None
    asked = way.ask(url, trust)
    registry = replace(
        registry,
        asked=asked,
        origin=url if asked.url != url else "",
        insecure=insecure or not secure,
        authorities=authorities,
        flaws=way.flaws(host_port) if secure else (),
    )
    if way.unheard(asked):
        return replace(registry, secret_hidden=True)
    if insecure and not asked.answered:
        # The daemon falls back to plain HTTP for these.
        plain = way.ask(url.replace("https:", "http:", 1), None)
        registry = replace(registry, asked=plain if plain.answered else asked)
    elif asked.outcome == "not TLS":
        registry = replace(registry, plain=way.ask(asked.url.replace("https:", "http:", 1), None))
    elif asked.verify_code:
        told = way.ask(asked.url, None).header("date") if asked.verify_code in OUT_OF_DATE else ""
        registry = replace(
            registry,
            asked=replace(asked, chain=shown_chain(asked.url, _usable(way.proxy(asked.url)))),
            clock_off=way.host.clock() - parsedate_to_datetime(told).timestamp() if told else 0.0,
            misplaced=_misplaced(way, url, authorities),
        )
    elif secure and asked.answered and not insecure:
        registry = replace(registry, fresh_authority=_fresh(way, url, authorities))
    note(registry)
    registry = replace(registry, interception=interception(way, registry))
    note(registry)
    if registry.asked.answered:
        registry = _next_steps(way, registry, trust)
        return registry if registry.interception else replace(registry, interception=interception(way, registry))
    return _other_ways(way, registry, trust) if not registry.plain else registry


def _usable(proxy: Proxy | str | None) -> Proxy | None:
    return proxy if isinstance(proxy, Proxy) else None


def _other_ways(way: Way, registry: Registry, trust: ssl.SSLContext | None) -> Registry:
    """Where the daemon's way fails before anything of the registry's own: try the ways it does not take."""
    url = registry.asked.url
    if registry.asked.via:
        direct = ask_web(url, None, trust)
        return replace(registry, direct=direct, addresses=_addresses(url) if direct.answered else ())
    if registry.asked.layer not in {"name", "connect"}:
        return registry
    registry = replace(registry, addresses=_addresses(url) if registry.asked.layer == "connect" else ())
    scheme = urlsplit(url).scheme.upper()
    # The daemon's own first: HTTP_PROXY's will do for HTTPS as well, and setting both is what people forget.
    ranked = sorted(way.known, key=lambda item: (item[2] != OWN_ENVIRONMENT, item[0].upper() != f"{scheme}_PROXY"))
    tried: set[str] = set()
    for name, value, source in ranked:
        proxy = parse_proxy(value)
        if name.upper() == "NO_PROXY" or isinstance(proxy, str) or value in tried or len(tried) >= 2:
            continue
        tried.add(value)
        around = ask_web(url, proxy, trust, patience=1.5)
        if around.answered and around.status < 500 and around.status not in {403, 407}:
            return replace(registry, around=around, around_by=f"{name} in {source}")
    return registry


def _addresses(url: str) -> tuple[str, ...]:
    """What the host's resolver says to a registry's name; nothing for an address."""
    name = urlsplit(url).hostname or ""
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError:
        return ()
    return tuple(dict.fromkeys(str(one[4][0]) for one in found if one[4][0] != name))


def _next_steps(way: Way, registry: Registry, trust: ssl.SSLContext | None) -> Registry:
    """Go on as a pull does: fetch a token where one is wanted, then a manifest. A limit or a broken upstream shows there."""
    if registry.asked.status == 429:
        return registry
    preview = (SMALLEST, SMALLEST_SCOPE) if way.layers else (LIMIT_PREVIEW, PREVIEW_SCOPE)
    target, scope = {"mirror": (SMALLEST, SMALLEST_SCOPE), "hub": preview}.get(registry.role, ("", ""))
    headers, realm = dict(ACCEPT), _realm(registry.asked, scope)
    if realm:
        told = way.ask(realm, trust, limit=1 << 16)
        token = re.search(r'"(?:access_)?token"\s*:\s*"([^"]+)"', told.body)
        if token:
            headers["Authorization"] = f"Bearer {token[1]}"
        registry = replace(registry, token=replace(told, body="" if token else told.body[:300]))
    registry = replace(registry, login=_login(way, registry, realm, trust))
    if not target or (realm and "Authorization" not in headers):
        return registry
    base = registry.asked.url.removesuffix("/v2/")
    said = way.ask(base + target, trust, method="HEAD", headers=headers)
    lists = way.ask(f"{base}/v2/_catalog?n=1", trust, headers=headers) if said.status == 404 else None
    empty = bool(lists and lists.answered and re.search(r'"repositories"\s*:\s*(?:\[\s*\]|null)', lists.body))
    registry = replace(registry, manifest=said, empty=empty)
    return replace(registry, layer=_layer(way, base, headers, trust)) if way.layers and said.status == 200 else registry


def _layer(way: Way, base: str, headers: Mapping[str, str], trust: ssl.SSLContext | None) -> Attempt | None:
    """Fetch the configuration of the smallest image, which comes the way that layers come; Docker Hub counts it as a pull."""
    repository, _, reference = SMALLEST.partition("/manifests/")
    for _ in range(2):  # a list of manifests, and one of these
        said = way.ask(f"{base}{repository}/manifests/{reference}", trust, headers=headers, limit=1 << 16)
        try:
            manifest = json.loads(said.body)
            reference = str((manifest.get("config") or manifest["manifests"][0])["digest"])
        except (ValueError, LookupError, TypeError, AttributeError):
            return None
        if "config" in manifest:
            break
    there = way.ask(f"{base}{repository}/blobs/{reference}", trust, headers=headers, hops=0)
    if there.status not in REDIRECTS:
        return there
    onward = urljoin(there.url, there.header("location"))
    host_port = urlsplit(onward).netloc
    # Who is sent on takes no token along.
    return way.ask(onward, None if way.insecure(host_port) else way.trust(host_port, way.authorities(host_port)))


def _realm(asked: Attempt, scope: str) -> str:
    """Where a registry sends one for a token (distribution's token specification); empty when it does not."""
    challenge = asked.header("www-authenticate") if asked.status == 401 else ""
    fields = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    if not challenge.lower().startswith("bearer") or urlsplit(fields.get("realm", "")).scheme not in {"http", "https"}:
        return ""
    query = f"service={quote(fields.get('service', ''))}" + (f"&scope={quote(scope)}" if scope else "")
    return f"{fields['realm']}?{query}"


def _login(way: Way, registry: Registry, realm: str, trust: ssl.SSLContext | None) -> str:
    """Whether the registry still takes the login that the client has for it; what it cannot tell counts as none."""
    secret = way.logins.get(registry.name, "")
    if not secret or registry.asked.status != 401:
        return ""
    headers = {"Authorization": f"Basic {secret}"}
    said = way.ask(realm or registry.asked.url, trust, headers=headers, hops=0)
    if not said.answered or said.status >= 500:
        return ""
    return "refused" if said.status in {400, 401, 403} else "accepted"


def logins(host: Host, client: ClientConfig | None) -> dict[str, str]:
    """The client's logins by registry, for asking only: what a helper keeps is left where it is."""
    if client is None or not client.auths:
        return {}
    try:
        table = json.loads(host.read(client.path)).get("auths") or {}
    except (OSError, ValueError, AttributeError):
        return {}
    found = {}
    for url, entry in table.items():
        name = re.sub(r"^https?://", "", url).split("/")[0]
        if isinstance(entry, dict) and isinstance(entry.get("auth"), str):
            found["docker.io" if name == "index.docker.io" else name] = entry["auth"]
    return found


def _misplaced(way: Way, url: str, authorities: tuple[str, ...]) -> tuple[str, ...]:
    """Files below certs.d that the daemon does not read for this registry, and that would verify it."""
    host = urlsplit(url).hostname or ""
    found = []
    for folder in way.host.listdir(way.certs_d):
        if split_port(folder)[0] != host:
            continue
        for name in way.host.listdir(f"{way.certs_d}/{folder}"):
            path = f"{way.certs_d}/{folder}/{name}"
            if path not in authorities and not name.endswith(".key"):
                said = ask_web(url, _usable(way.proxy(url)), trust_store("", (str(way.host.path(path)),)))
                if said.answered:
                    found.append(path)
    return tuple(found[:3])


def _fresh(way: Way, url: str, authorities: tuple[str, ...]) -> str:
    """A CA file that was added to the host after the daemon started, when nothing else verifies this registry."""
    if not way.started:
        return ""
    # Who is on the way shows something else than what the files of certs.d are for.
    if (
        authorities
        and ask_web(url, _usable(way.proxy(url)), trust_store("", map(str, map(way.host.path, authorities)))).answered
    ):
        return ""
    for folder in LOCAL_AUTHORITIES:
        for name in way.host.listdir(folder):
            path = f"{folder}/{name}"
            status = way.host.lstat(path)
            # ctime: a copied file keeps its old mtime.
            if status and status.st_ctime > way.started:
                said = ask_web(url, _usable(way.proxy(url)), trust_store("", (str(way.host.path(path)),)))
                # Go loads the bundle with its first certificate: only the daemon can tell whether that was before.
                if said.answered and way.refuses(urlsplit(url).netloc):
                    return path
    return ""


# With these the daemon sends no log anywhere.
LOCAL_LOGS = frozenset({"json-file", "local", "journald", "none"})
# Servers that failed pulls were sent to for layers: there are one or two.
MAX_DETOURS = 3
# Mirrors and others first, then Docker Hub: each round as patient as one that connects, and waits for an answer.
ROUND = PATIENCE + WAIT - 1.0


@probe(deadline=ROUND + PATIENCE + 1.5, upstream=("engine.reachable", "engine.responsive"))
def registries(
    host: Host,
    endpoint: ChosenEndpoint,
    ping: DaemonPing,
    info: EngineInfo,
    process: DaemonProcess | None,
    config: DaemonJson | None,
    client: ClientConfig | None,
    containers: Containers | None,
    pulls: FailedPulls | None,
) -> Registries:
    """Ask them all at once; Docker Hub itself only when no mirror serves."""
    if not endpoint.local:
        raise Unmeasured("the engine is on another host", skipped=True)
    env, _ = raw_daemon(host, process, info, config)
    known = [(k, v, OWN_ENVIRONMENT) for k, v in env.items()] + raw_known(host)
    known += [(CLIENT_KEYS[k], v, client.path if client else "") for k, v in raw_client(host, client, endpoint).items()]
    way = Way(
        proxy_variables(env),
        tuple(known),
        info,
        host,
        next((b for b in BUNDLES if host.exists(b)), ""),
        process.started if process else 0.0,
        frozenset(p.masked for v in hidden_secrets(info, env) if isinstance(p := parse_proxy(v), Proxy)),
        partial(_daemons_word, host, endpoint, ping),
        logins(host, client),
        pulls.of_layers if pulls else False,
    )
    images = _images(host, endpoint, ping)
    mirrors = [
        Registry(m, "mirror", "GET /info RegistryConfig.Mirrors", Attempt(f"{m}/v2/"))
        for m in (re.sub(r"//[^/]*@", "//", mirror).rstrip("/") for mirror in info.mirrors)
    ]
    others = [
        Registry(name, role, by, Attempt(f"https://{name}/v2/"))
        for name, (role, by) in named(host, client, config, containers, images, info, pulls).items()
    ]
    detours = dict.fromkeys(pulls.waiting, CONNECTING) if pulls and info.logging_driver in LOCAL_LOGS else {}
    detours |= dict.fromkeys(pulls.elsewhere.values(), "a pull that failed") if pulls else {}
    others += [
        Registry(urlsplit(url).netloc, "detour", by, Attempt(f"{urlsplit(url).scheme}://{urlsplit(url).netloc}/"))
        for url, by in list(detours.items())[:MAX_DETOURS]
    ]
    done = _examined(way, [*mirrors, *others], ROUND)
    if not any(r.serves for r in done if r.role == "mirror"):
        hub = Registry("docker.io", "hub", "every engine's default", Attempt(f"https://{HUB}/v2/"))
        done[len(mirrors) : len(mirrors)] = _examined(way, [hub], PATIENCE + 1.0)
    return Registries(tuple(done), wants_hub(host, images, pulls))


def _examined(way: Way, asked: list[Registry], patience: float) -> list[Registry]:
    # A name that no resolver answers for keeps getaddrinfo(3) waiting beyond any time-out of ours.
    known = [replace(one, asked=replace(one.asked, layer="name", outcome="timeout")) for one in asked]
    jobs: list[Callable[[], Registry]] = [
        partial(examine, way, one, partial(known.__setitem__, n)) for n, one in enumerate(asked)
    ]
    return [said or partly for said, partly in zip(at_once(jobs, patience), known, strict=True)]


def _daemons_word(host: Host, endpoint: ChosenEndpoint, ping: DaemonPing, host_port: str) -> str:
    """Let the daemon look up an image there: a GET that changes nothing, and fails with its own words."""
    try:
        ask(host, endpoint, ping, f"/distribution/{host_port}/library/hello-world/json", PATIENCE)
    except Unmeasured as no:
        return no.reason if "x509" in no.reason else ""
    return ""


def _images(host: Host, endpoint: ChosenEndpoint, ping: DaemonPing) -> list[dict[str, Any]]:
    try:
        return ask_list(host, endpoint, ping, "/images/json")
    except Unmeasured:
        return []

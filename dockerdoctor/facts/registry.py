"""The registries this engine pulls from, each asked the way the daemon asks it: same names, proxies and trust."""

from __future__ import annotations

import ipaddress
import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from functools import partial
from urllib.parse import urlsplit

from dockerdoctor.facts.containers import Containers
from dockerdoctor.facts.daemon_json import DaemonJson
from dockerdoctor.facts.endpoint import ChosenEndpoint, ClientConfig, DaemonPing
from dockerdoctor.facts.engine import DaemonProcess, EngineInfo, ask
from dockerdoctor.facts.proxy import hidden_secrets, proxy_variables, raw_client, raw_daemon, raw_known
from dockerdoctor.host import Host
from dockerdoctor.measure import Unmeasured, probe
from dockerdoctor.web import (
    BUNDLES,
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
    trust_store,
)
from dockerdoctor.web import ask as ask_web

# Docker Hub's own repository for reading the limit; HEAD does not count (docs.docker.com, docker-hub/usage/pulls).
LIMIT_PREVIEW = "/v2/ratelimitpreview/test/manifests/latest"
HUB_TOKEN = "https://auth.docker.io/token?service=registry.docker.io&scope=repository:ratelimitpreview/test:pull"  # noqa: S105
# Every engine has it: the smallest official image.
SMALLEST = "/v2/library/hello-world/manifests/latest"
ACCEPT = {
    "Accept": "application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.index.v1+json"
}
HUB_NAMES = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"})
OWN_ENVIRONMENT = "the daemon's own environment"
CERTS_D = "/etc/docker/certs.d"
# OpenSSL's codes for "not yet valid" and "expired".
OUT_OF_DATE = frozenset({9, 10})
# Beyond this many registries, those named by most places are asked.
MAX_NAMED = 8


@dataclass(frozen=True, slots=True)
class Registry:
    """One registry or mirror, and what came of asking it."""

    name: str  # "docker.io", "http://10.0.0.1:5000" for a mirror, "reg.test:5000"
    role: str  # "mirror", "hub", "named" (something here comes from it), "listed" (by configuration only)
    named_by: str  # "GET /info RegistryConfig.Mirrors", "image of web"
    asked: Attempt  # as the daemon asks
    insecure: bool = False  # the running daemon does without TLS, or without its certificates
    direct: Attempt | None = None  # past the proxy, when the way through it failed
    around: Attempt | None = None  # through a proxy that the daemon does not use, when the direct way failed
    around_by: str = ""  # who knows that proxy
    plain: Attempt | None = None  # over HTTP, when what answers does not speak TLS
    manifest: Attempt | None = None  # HEAD of a manifest: what a pull asks next
    misplaced: tuple[str, ...] = ()  # files below certs.d that would have verified it, where they are not read
    authorities: tuple[str, ...] = ()  # CA files that are read for it
    secret_hidden: bool = False  # the proxy wants the password that the daemon has and we could not read
    clock_off: float = 0.0  # seconds that our clock is ahead of the server's, asked when a date did not fit
    fresh_authority: str = ""  # a local CA that verifies it, but was added after the daemon had started

    @property
    def serves(self) -> bool:
        """Whether a pull can come from it."""
        told = self.asked.status in {200, 401} or (
            bool(self.asked.header("docker-distribution-api-version")) and self.asked.status < 429
        )
        late = self.manifest is not None and self.manifest.answered and self.manifest.status in REFUSED
        return self.asked.answered and told and not late and not self.fresh_authority

    @property
    def reached(self) -> bool:
        """Whether something of the registry's own answered."""
        return self.asked.layer in {"tls", "http"}

    @property
    def limited(self) -> Attempt | None:
        """The answer that says "too many requests"."""
        return next((a for a in (self.asked, self.manifest) if a and a.answered and a.status == 429), None)

    @property
    def trouble(self) -> str:
        """What keeps a pull from it, in a few words."""
        if self.fresh_authority:
            return "is signed by an authority the daemon has not loaded"
        if self.asked.answered and self.manifest and self.manifest.status in REFUSED:
            return f"HTTP {self.manifest.status} for a manifest"
        return self.asked.words

    @property
    def host_port(self) -> str:
        """As certs.d and insecure-registries name it."""
        return urlsplit(self.asked.url).netloc


REFUSED = frozenset({403, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Registries:
    """Docker Hub's group, mirrors first (Hub itself is asked only when no mirror serves), and the others."""

    all: tuple[Registry, ...] = ()

    @property
    def mirrors(self) -> tuple[Registry, ...]:
        """The mirrors of Docker Hub, in the daemon's order."""
        return tuple(r for r in self.all if r.role == "mirror")

    @property
    def hub(self) -> Registry | None:
        """Docker Hub itself, if it had to be asked."""
        return next((r for r in self.all if r.role == "hub"), None)

    @property
    def hub_serves(self) -> bool:
        """Whether an image of Docker Hub's can be pulled, from wherever."""
        return any(r.serves for r in self.all if r.role in {"mirror", "hub"})

    @property
    def needed(self) -> tuple[Registry, ...]:
        """Those whose failure keeps something from being pulled: mirrors count only when nothing else serves."""
        group = () if self.hub_serves else tuple(r for r in self.all if r.role in {"mirror", "hub"})
        # What only a configuration names need not be there; if it is, it must be usable.
        return (*group, *(r for r in self.all if r.role == "named" or (r.role == "listed" and r.reached)))

    @property
    def sick(self) -> tuple[Registry, ...]:
        """Those of them that do not serve; Docker Hub itself only where no mirror stands for it."""
        sick = (r for r in self.needed if not r.serves and not r.secret_hidden)
        return tuple(r for r in sick if not (r.role == "hub" and self.mirrors))


def registry_of(image: str) -> str:
    """The registry in an image's name; empty for Docker Hub's (distribution/reference)."""
    first, slash, _ = image.partition("/")
    if not slash or not ("." in first or ":" in first or first == "localhost"):
        return ""
    return "" if first in HUB_NAMES else first


def in_networks(address: str, networks: tuple[str, ...]) -> bool:
    """Whether an address lies in one of the CIDRs among insecure-registries."""
    try:
        ours = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(ours in ipaddress.ip_network(entry, strict=False) for entry in networks if "/" in entry)


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

    def unheard(self, attempt: Attempt) -> bool:
        """Whether a proxy refused us where it may serve the daemon."""
        return attempt.layer == "proxy" and attempt.status == 407 and attempt.via in self.hidden

    def proxy(self, url: str) -> Proxy | str | None:
        """The proxy for a URL; None for the direct way, or what is wrong with its setting."""
        parts = urlsplit(url)
        port = parts.port or DEFAULT_PORTS[parts.scheme]
        value = proxy_for(self.env, parts.scheme, parts.hostname or "", port)
        return parse_proxy(value) if value else None

    def ask(self, url: str, trust: ssl.SSLContext | None, **more: object) -> Attempt:
        """Ask one URL as the daemon does."""
        proxy = self.proxy(url)
        if isinstance(proxy, str):
            return Attempt(url, "?", "proxy", f"cannot be used: {proxy}")
        return ask_web(url, proxy, trust, **more)  # type: ignore[arg-type]

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

    def trust(self, authorities: tuple[str, ...]) -> ssl.SSLContext:
        """The host's bundle and what certs.d adds for one registry."""
        return trust_store(str(self.host.path(self.bundle)), (str(self.host.path(a)) for a in authorities))


def examine(way: Way, registry: Registry) -> Registry:
    """Ask one registry, and where that fails find out which step of it did."""
    url = registry.asked.url
    secure = urlsplit(url).scheme == "https"
    host_port = urlsplit(url).netloc
    insecure = secure and way.insecure(host_port)
    authorities = way.authorities(host_port) if secure else ()
    trust = way.trust(authorities) if secure and not insecure else None
    asked = way.ask(url, trust)
    registry = replace(registry, asked=asked, insecure=insecure or not secure, authorities=authorities)
    if way.unheard(asked):
        return replace(registry, asked=asked, secret_hidden=True)
    if insecure and not asked.answered:
        # The daemon falls back to plain HTTP for these.
        plain = way.ask(url.replace("https:", "http:", 1), None)
        registry = replace(registry, asked=plain if plain.answered else asked)
    elif asked.outcome == "not TLS":
        registry = replace(registry, plain=way.ask(url.replace("https:", "http:", 1), None))
    elif asked.verify_code:
        told = way.ask(url, None).header("date") if asked.verify_code in OUT_OF_DATE else ""
        registry = replace(
            registry,
            asked=replace(asked, chain=shown_chain(url, _usable(way.proxy(url)))),
            clock_off=way.host.clock() - parsedate_to_datetime(told).timestamp() if told else 0.0,
            misplaced=_misplaced(way, url, authorities),
        )
    elif secure and asked.answered and not insecure:
        registry = replace(registry, fresh_authority=_fresh(way, url, authorities))
    if registry.asked.answered:
        return replace(registry, manifest=_manifest(way, registry, trust))
    return _other_ways(way, registry, trust) if not registry.plain else registry


def _usable(proxy: Proxy | str | None) -> Proxy | None:
    return proxy if isinstance(proxy, Proxy) else None


def _other_ways(way: Way, registry: Registry, trust: ssl.SSLContext | None) -> Registry:
    """Where the daemon's way fails before anything of the registry's own: try the ways it does not take."""
    url = registry.asked.url
    if registry.asked.via:
        return replace(registry, direct=ask_web(url, None, trust))
    if registry.asked.layer not in {"name", "connect"}:
        return registry
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


def _manifest(way: Way, registry: Registry, trust: ssl.SSLContext | None) -> Attempt | None:
    """HEAD one manifest, as a pull does next: a limit or a broken upstream shows only there."""
    base = registry.asked.url.removesuffix("/v2/")
    if registry.role == "mirror":
        return way.ask(base + SMALLEST, trust, method="HEAD", headers=ACCEPT)
    if registry.role != "hub" or registry.asked.status == 429:
        return None
    told = way.ask(HUB_TOKEN, trust)
    token = re.search(r'"token"\s*:\s*"([^"]+)"', told.body)
    if not token:
        return None
    return way.ask(
        base + LIMIT_PREVIEW, trust, method="HEAD", headers={**ACCEPT, "Authorization": f"Bearer {token[1]}"}
    )


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


LOCAL_AUTHORITIES = ("/usr/local/share/ca-certificates", "/etc/pki/ca-trust/source/anchors", "/etc/pki/trust/anchors")


def _fresh(way: Way, url: str, authorities: tuple[str, ...]) -> str:
    """A CA file that was added to the host after the daemon started, when nothing else verifies this registry."""
    if authorities or not way.started:
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


def named(
    host: Host, client: ClientConfig | None, containers: Containers | None, images: list[str], info: EngineInfo
) -> dict[str, tuple[str, str]]:
    """Every registry that something here names, with its role and who names it."""
    found: dict[str, tuple[str, str]] = {}

    def add(name: str, by: str, role: str = "named") -> None:
        if name and name not in HUB_NAMES:
            found.setdefault(name, (role, by))

    for container in containers.all if containers else ():
        add(registry_of(container.image), f"image of {container.name}")
    for line in host.text(f"{host.cwd}/Dockerfile").splitlines() if host.cwd else ():
        match = re.match(r"\s*FROM\s+(?:--\S+\s+)*([^\s$]+)", line, re.IGNORECASE)
        add(registry_of(match[1]) if match else "", "./Dockerfile")
    for image in images:
        add(registry_of(image), f"image {image}")
    for auth in client.auths if client else ():
        add(re.sub(r"^https?://", "", auth).split("/")[0], f"{client.path if client else ''} auths")
    certs_d = CERTS_D
    for folder in host.listdir(certs_d):
        add(folder, f"{certs_d}/{folder}", "listed")
    for entry in info.insecure_registries:
        if "/" not in entry:
            add(entry, "GET /info insecure registries", "listed")
    return dict(list(found.items())[:MAX_NAMED])


# Three rounds of questions, each as patient as one: as asked, the other ways, and Docker Hub after its mirrors.
@probe(deadline=3 * PATIENCE + 1, upstream=("engine.reachable", "engine.responsive"))
def registries(
    host: Host,
    endpoint: ChosenEndpoint,
    ping: DaemonPing,
    info: EngineInfo,
    process: DaemonProcess | None,
    config: DaemonJson | None,
    client: ClientConfig | None,
    containers: Containers | None,
) -> Registries:
    """Ask them all at once; Docker Hub itself only when no mirror serves."""
    if not endpoint.local:
        raise Unmeasured("the engine is on another host", skipped=True)
    env, _ = raw_daemon(host, process, info, config)
    known = [(k, v, OWN_ENVIRONMENT) for k, v in env.items()] + raw_known(host)
    known += [
        (CLIENT_NAMES.get(k, k), v, client.path if client else "")
        for k, v in raw_client(host, client, endpoint).items()
    ]
    way = Way(
        proxy_variables(env),
        tuple(known),
        info,
        host,
        next((b for b in BUNDLES if host.exists(b)), ""),
        process.started if process else 0.0,
        frozenset(p.masked for v in hidden_secrets(info, env) if isinstance(p := parse_proxy(v), Proxy)),
        partial(_daemons_word, host, endpoint, ping),
    )
    mirrors = [
        Registry(m, "mirror", "GET /info RegistryConfig.Mirrors", Attempt(f"{m}/v2/"))
        for m in (re.sub(r"//[^/]*@", "//", mirror).rstrip("/") for mirror in info.mirrors)
    ]
    others = [
        Registry(name, role, by, Attempt(f"https://{name}/v2/"))
        for name, (role, by) in named(host, client, containers, _images(host, endpoint, ping), info).items()
    ]
    done = _examined(way, [*mirrors, *others])
    if not any(r.serves for r in done if r.role == "mirror"):
        hub = Registry("docker.io", "hub", "every engine's default", Attempt(f"https://{HUB}/v2/"))
        done[len(mirrors) : len(mirrors)] = _examined(way, [hub])
    return Registries(tuple(done))


CLIENT_NAMES = {"httpProxy": "HTTP_PROXY", "httpsProxy": "HTTPS_PROXY", "noProxy": "NO_PROXY"}


def _examined(way: Way, asked: list[Registry]) -> list[Registry]:
    # A name that no resolver answers for keeps getaddrinfo(3) waiting beyond any time-out of ours.
    jobs: list[Callable[[], Registry]] = [partial(examine, way, one) for one in asked]
    answers = at_once(jobs, PATIENCE + 1.0)
    return [
        said or replace(one, asked=replace(one.asked, layer="name", outcome="timeout"))
        for one, said in zip(asked, answers, strict=True)
    ]


def _daemons_word(host: Host, endpoint: ChosenEndpoint, ping: DaemonPing, host_port: str) -> str:
    """Let the daemon look up an image there: a GET that changes nothing, and fails with its own words."""
    try:
        ask(host, endpoint, ping, f"/distribution/{host_port}/library/hello-world/json", PATIENCE)
    except Unmeasured as no:
        return no.reason if "x509" in no.reason else ""
    return ""


def _images(host: Host, endpoint: ChosenEndpoint, ping: DaemonPing) -> list[str]:
    try:
        said = ask(host, endpoint, ping, "/images/json")
    except Unmeasured:
        return []
    return [str(tag) for image in said if isinstance(image, dict) for tag in image.get("RepoTags") or ()]

"""What is known of a registry: who named it, and what came of each step of a pull from it."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from dockerdoctor.tls import Certificate
from dockerdoctor.web import Attempt

HUB_NAMES = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"})
OWN_ENVIRONMENT = "the daemon's own environment"
CONNECTING = "dockerd, whose connection nobody accepts"
REFUSED = frozenset({403, 429, 500, 502, 503, 504})
# What a registry's own answers are; a web server's pages are not.
NO_PAGE = ("application/", "text/plain")


@dataclass(frozen=True, slots=True)
class Interception:
    """Somebody on the way to a server takes TLS apart, and shows certificates of his own."""

    url: str  # that was asked
    shown: tuple[Certificate, ...]  # by who is on the way
    real: tuple[Certificate, ...] = ()  # by the server itself, asked past the proxy; empty where that cannot be
    trusted: bool = False  # the daemon has been told to trust him
    authority: str = ""  # a file of this host with his CA's certificate
    bundle: str = ""  # the file of CAs that the daemon reads when it starts

    @property
    def issuer(self) -> str:
        """Who signs in the servers' place."""
        return self.shown[-1].issuer if self.shown else "?"


@dataclass(frozen=True, slots=True)
class Registry:
    """One registry or mirror, and what came of asking it."""

    name: str  # "docker.io", "http://10.0.0.1:5000" for a mirror, "reg.test:5000"
    role: str  # "mirror", "hub", "named" (something here comes from it), "listed", "tagged" (only by these), "detour"
    named_by: str  # "GET /info RegistryConfig.Mirrors", "image of web"
    asked: Attempt  # as the daemon asks; where it is led on, the last answer
    insecure: bool = False  # the running daemon does without TLS, or without its certificates
    direct: Attempt | None = None  # past the proxy, when the way through it failed
    around: Attempt | None = None  # through a proxy that the daemon does not use, when the direct way failed
    around_by: str = ""  # who knows that proxy
    plain: Attempt | None = None  # over HTTP, when what answers does not speak TLS
    token: Attempt | None = None  # what the server answered that it sends one to for a token
    manifest: Attempt | None = None  # HEAD of a manifest: what a pull asks next
    layer: Attempt | None = (
        None  # a layer of its smallest image, from wherever it sends one; asked after layers did not come
    )
    empty: bool = False  # it lists no repository at all
    misplaced: tuple[str, ...] = ()  # files below certs.d that would have verified it, where they are not read
    authorities: tuple[str, ...] = ()  # CA files that are read for it
    flaws: tuple[str, ...] = ()  # what the daemon does not take in its folder: "client.cert has no client.key"
    secret_hidden: bool = False  # the proxy wants the password that the daemon has and we could not read
    clock_off: float = 0.0  # seconds that our clock is ahead of the server's, asked when a date did not fit
    fresh_authority: str = ""  # a local CA that verifies it, but was added after the daemon had started
    addresses: tuple[str, ...] = ()  # of its name, when no connection came about
    login: str = ""  # of the client's configuration: "accepted", "refused", empty without one
    interception: Interception | None = None  # of its TLS, or of its token server's
    origin: str = ""  # the URL that was asked first, when `asked` was led on to another

    @property
    def serves(self) -> bool:
        """Whether a pull can come from it."""
        return not self.trouble

    @property
    def trouble(self) -> str:
        """What keeps a pull from it, in a few words; empty when nothing does."""
        if self.fresh_authority:
            return "is signed by an authority the daemon has not loaded"
        if not self.asked.answered or not _told(self.asked):
            return self.asked.words
        if is_page(self.asked):
            return "answers with a web page, not as a registry"
        if self.wants_login:
            return "wants a login, which pulls from a mirror do not have"
        if self.token and (not self.token.answered or self.token.status >= 429):
            return f"sends one for a token to {urlsplit(self.token.url).netloc}: {self.token.words}"
        if self.manifest and self.manifest.answered:
            if self.manifest.status in REFUSED:
                return f"HTTP {self.manifest.status} for a manifest"
            if is_page(self.manifest):
                return "answers with a web page, not as a registry"
        if self.empty:
            return "has no image at all"
        if self.layer and (not self.layer.answered or self.layer.status >= 400 or is_page(self.layer)):
            said = "a web page" if self.layer.status == 200 else self.layer.words
            server = urlsplit(self.layer.url).netloc
            return (
                f"gives no layer: {said}" if server == self.host_port else f"sends one for layers to {server}: {said}"
            )
        return ""

    @property
    def wants_login(self) -> bool:
        """Whether a mirror gives nothing to strangers."""
        if self.role != "mirror" or self.asked.status != 401 or self.login:
            return False
        basic = self.asked.header("www-authenticate").lower().startswith("basic")
        return basic or (self.token is not None and self.token.status in {401, 403})

    @property
    def reached(self) -> bool:
        """Whether something of the registry's own answered."""
        return self.asked.layer in {"tls", "http"}

    @property
    def is_registry(self) -> bool:
        """Whether what was reached over HTTP, against the daemon's expectation, speaks as a registry does."""
        said = self.plain
        return said is not None and said.answered and _told(said) and not is_page(said)

    @property
    def limited(self) -> Attempt | None:
        """The answer that says "too many requests"."""
        return next((a for a in (self.asked, self.token, self.manifest) if a and a.answered and a.status == 429), None)

    @property
    def host_port(self) -> str:
        """As certs.d and insecure-registries name it."""
        return urlsplit(self.origin or self.asked.url).netloc


def _told(attempt: Attempt) -> bool:
    named = bool(attempt.header("docker-distribution-api-version")) and attempt.status < 429
    return attempt.status in {200, 401} or named


def is_page(attempt: Attempt) -> bool:
    """Whether this is somebody else's answer: a web server's, or the log-in page of a network."""
    kind = attempt.header("content-type")
    stranger = not attempt.header("docker-distribution-api-version") and attempt.status == 200
    return stranger and bool(kind) and not kind.startswith(NO_PAGE)


@dataclass(frozen=True, slots=True)
class Registries:
    """Docker Hub's group, mirrors first (Hub itself is asked only when no mirror serves), and the others."""

    all: tuple[Registry, ...] = ()
    hub_wanted: str = ""  # who asked for an image of Docker Hub's that is not here; empty when nothing shows it

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

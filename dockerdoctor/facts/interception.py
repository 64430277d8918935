"""Whether somebody on the way to a registry takes TLS apart: what is shown through the proxy and past it, and who signs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol
from urllib.parse import urlsplit

from dockerdoctor.facts.registry import HUB_NAMES, Interception, Registry
from dockerdoctor.host import Host
from dockerdoctor.tls import Certificate, trust_store
from dockerdoctor.web import HUB, Attempt, Proxy, ask, shown_chain

# Where an administrator puts authorities of his own: Debian and Alpine, Red Hat, SUSE.
LOCAL_AUTHORITIES = ("/usr/local/share/ca-certificates", "/etc/pki/ca-trust/source/anchors", "/etc/pki/trust/anchors")
# OpenSSL's codes for a chain that leads to nobody who is trusted (openssl-verification-options(1)).
UNTRUSTED = frozenset({18, 19, 20, 21})
# Registries that everybody's CAs vouch for; who shows something else there is not them.
PUBLIC = HUB_NAMES | {
    "auth.docker.io",
    "ghcr.io",
    "quay.io",
    "gcr.io",
    "mcr.microsoft.com",
    "public.ecr.aws",
    "registry.k8s.io",
    "registry.gitlab.com",
}
# A second look, where the first has shown that there is something to see.
LOOK = 1.5  # seconds


class Way(Protocol):
    """How the daemon asks."""

    @property
    def host(self) -> Host:
        """Where it is."""

    @property
    def bundle(self) -> str:
        """The file of CAs that it reads."""

    def proxy(self, url: str) -> Proxy | str | None:
        """The proxy for a URL."""


def interception(way: Way, registry: Registry) -> Interception | None:
    """Compare what was shown with what the server itself shows, or another server on the same way."""
    if registry.insecure:
        return None
    for asked in filter(None, (registry.asked, registry.token)):
        if urlsplit(asked.url).scheme == "https" and (found := _intercepted(way, registry, asked)):
            return found
    return None


def _intercepted(way: Way, registry: Registry, asked: Attempt) -> Interception | None:
    said = way.proxy(asked.url)
    proxy = said if isinstance(said, Proxy) else None
    fails = asked.verify_code in UNTRUSTED or bool(registry.fresh_authority)
    public = (urlsplit(asked.url).hostname or "") in PUBLIC
    if not fails and not (asked.answered and (proxy or public)):
        return None
    # A proxy that is trusted has its CA among this host's own: without any there is nobody to be.
    files = tuple(_files(way.host))
    if not fails and not files:
        return None
    authority = ""
    if files and _verifies(way, asked.url, proxy, *files):
        authority = next((path for path in files if _verifies(way, asked.url, proxy, path)), "")
    if not fails and not authority:
        return None
    shown = asked.chain or shown_chain(asked.url, proxy, LOOK)
    real = shown_chain(asked.url, None, LOOK) if proxy and shown else ()
    if not shown or not (public or _differ(shown, real) or (not real and _same_hand(asked.url, proxy, shown))):
        return None
    return Interception(asked.url, shown, real, not fails, authority, way.bundle)


def _differ(shown: tuple[Certificate, ...], real: tuple[Certificate, ...]) -> bool:
    return bool(real) and shown[-1].issuer != real[-1].issuer


def _same_hand(url: str, proxy: Proxy | None, shown: tuple[Certificate, ...]) -> bool:
    """Whether who signs for this server signs for Docker Hub too."""
    hub = f"https://{HUB}/v2/"
    if proxy is None or urlsplit(url).hostname == HUB:
        return False
    other = shown_chain(hub, proxy, LOOK)
    return bool(other) and other[-1].issuer == shown[-1].issuer


def _files(host: Host) -> Iterator[str]:
    for folder in LOCAL_AUTHORITIES:
        for name in host.listdir(folder):
            path = f"{folder}/{name}"
            inner = host.listdir(path)
            yield from (f"{path}/{n}" for n in inner) if inner else [path]


def _verifies(way: Way, url: str, proxy: Proxy | None, *paths: str) -> bool:
    trust = trust_store("", (str(way.host.path(path)) for path in paths))
    return ask(url, proxy, trust, method="HEAD", patience=LOOK).answered

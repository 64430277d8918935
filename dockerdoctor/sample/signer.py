"""Who signs for the package index here: where nobody public does, TLS is taken apart on the way, or the index is a private one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from dockerdoctor.facts.interception import UNTRUSTED
from dockerdoctor.host import Host
from dockerdoctor.sample.hostpython import NoPython, host_python, interpreter
from dockerdoctor.sample.wheels import find_pip
from dockerdoctor.tls import Certificate, trust_store
from dockerdoctor.web import Proxy, ask, bypasses, parse_proxy, shown_chain

# "(default https://.../simple)": the one index that is named nowhere is named by pip itself.
DEFAULT_INDEX = re.compile(r"--index-url.*?\(default\s+(https?://[^\s)]+)", re.DOTALL)
LOOK = 2.5  # seconds


@dataclass(frozen=True, slots=True)
class Signer:
    """Who vouches for an index where no public authority does."""

    server: str
    issuer: str  # "CN=Acme Root, O=Acme"
    private: bool  # an index that somebody chose; what its owner signs is not taken apart on the way

    @property
    def words(self) -> str:
        """For the verdict."""
        if self.private:
            return f"{self.server} is signed for by {self.issuer}, which is no public authority"
        return f"TLS to {self.server} is intercepted: its certificate is by {self.issuer}, which is no public authority"


def find_signer(host: Host, index_url: str, proxies: Mapping[str, str], public: str) -> Signer | None:
    """Look at the index's certificate as it is shown to this host; `public` is the file of the world's authorities."""
    url = index_url or default_index(host)
    if not url.startswith("https://"):
        return None
    parts = urlsplit(url)
    server = parts.hostname or ""
    bare = f"https://{server}{f':{parts.port}' if parts.port else ''}/"
    proxy = _proxy(server, parts.port or 443, proxies)
    if ask(bare, proxy, trust_store(public), method="HEAD", patience=LOOK).verify_code not in UNTRUSTED:
        return None
    chain = shown_chain(bare, proxy, LOOK)
    return Signer(server, root_of(chain), private=bool(index_url)) if chain else None


def root_of(chain: tuple[Certificate, ...]) -> str:
    """Name who stands behind a chain: the issuer of the last that was shown."""
    return chain[-1].issuer


def default_index(host: Host) -> str:
    """Ask this host's pip where it gets packages when nobody tells it; empty without one."""
    try:
        pip = find_pip(host, host_python(host, interpreter()))
    except NoPython:
        return ""
    done = host.run(*pip.command, "install", "--help", timeout=15) if pip else None
    found = DEFAULT_INDEX.search(re.sub(r"\s+", " ", done.out)) if done else None
    return found[1] if found else ""


def _proxy(server: str, port: int, proxies: Mapping[str, str]) -> Proxy | None:
    value = proxies.get("https_proxy", "")
    if not value or bypasses(proxies.get("no_proxy", ""), server, port):
        return None
    proxy = parse_proxy(value)
    return proxy if isinstance(proxy, Proxy) else None

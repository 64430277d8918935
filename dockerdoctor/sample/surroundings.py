"""What a build must know of this host: its proxies, its package index, and the certificate authorities it trusts."""

from __future__ import annotations

import base64
import binascii
import configparser
import hashlib
import re
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from dockerdoctor.facts.dns import is_loopback
from dockerdoctor.facts.endpoint import ClientConfig, mask_url
from dockerdoctor.host import Host
from dockerdoctor.sample.recipe import HIDDEN

PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy")
# Each names a file of certificate authorities to some client; any of them shows what this user's host trusts.
CA_VARIABLES = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE")
# What the system's clients trust: Debian, Red Hat, SUSE, Alpine.
SYSTEM_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
# Where an administrator puts authorities of his own: Debian and Alpine, Red Hat, Arch, SUSE.
ANCHORS = (
    "/usr/local/share/ca-certificates",
    "/etc/pki/ca-trust/source/anchors",
    "/etc/ca-certificates/trust-source/anchors",
    "/etc/pki/trust/anchors",
)
# Where the distribution's own package puts the public ones.
PUBLIC = ("/usr/share/ca-certificates/mozilla", "/usr/share/pki/ca-trust-source", "/usr/share/pki/trust")
PEM = re.compile(r"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the caller wants the build to be given, in the place of what is found on this host."""

    proxy: str = ""  # may hold a password
    no_proxy: str = ""
    index_url: str = ""  # may hold a password
    ca_bundle: str = ""  # a file
    arguments: tuple[tuple[str, str], ...] = ()  # further build arguments


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the build is given."""

    proxies: tuple[tuple[str, str], ...] = ()  # may hold passwords; the engine keeps them out of the image
    pip: tuple[
        tuple[str, str], ...
    ] = ()  # settings that pip on this host has, and pip in the build needs: passwords too
    bundle: str = ""  # certificate authorities as PEM; empty where the public ones do
    notes: tuple[str, ...] = ()  # for people, without secrets
    more: tuple[tuple[str, str], ...] = ()  # the caller's own build arguments

    @property
    def pip_settings(self) -> dict[str, str]:
        """What pip is to be told in the build."""
        return {**dict(self.pip), **({"cert": f"{HIDDEN}/ca-bundle.crt"} if self.bundle else {})}

    @property
    def hidden(self) -> dict[str, str]:
        """Files for the installation alone: they must not stay in the image."""
        settings = "".join(f"{key} = {value}\n" for key, value in self.pip_settings.items())
        files = {"pip.conf": f"[global]\n{settings}" if settings else "", "ca-bundle.crt": self.bundle}
        return {name: text for name, text in files.items() if text}

    @property
    def arguments(self) -> dict[str, str]:
        """The build arguments."""
        config = {"PIP_CONFIG_FILE": f"{HIDDEN}/pip.conf"} if self.pip_settings else {}
        return {**dict(self.proxies), **config, **dict(self.more)}


NOTHING_ASKED = Asked()


def arguments(given: Iterable[str], env: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Read build arguments as `docker build` does: a name alone takes its value of the environment, if it has one."""
    pairs = (text.partition("=") for text in given)
    return tuple(
        (name, value if equals else env[name]) for name, equals, value in pairs if name and (equals or name in env)
    )


def surroundings(host: Host, config: ClientConfig | None, public: str, asked: Asked = NOTHING_ASKED) -> Surroundings:
    """Gather all of it; `public` are the authorities that the world trusts, as PEM."""
    pip = pip_settings(host)
    if asked.index_url:
        # The caller's index alone: what the host has besides may not be meant.
        pip = {**{k: v for k, v in pip.items() if k != "extra-index-url"}, "index-url": asked.index_url}
    if asked.ca_bundle:
        pip["cert"] = asked.ca_bundle
    proxies, proxy_notes = proxies_asked(asked) if asked.proxy else proxy_arguments(host.env, config)
    if asked.no_proxy:
        proxies |= {"no_proxy": asked.no_proxy, "NO_PROXY": asked.no_proxy}
    index, index_notes = index_settings(pip)
    bundle, names = authorities(host, pip, public)
    trust = f"{len(names)} certificate authorit{'y' if len(names) == 1 else 'ies'} of this host: {'; '.join(names)}"
    own = (f"build argument {name}" for name, _ in asked.arguments)
    notes = (*proxy_notes, *index_notes, *((trust,) if bundle else ()), *own)
    return Surroundings(tuple(proxies.items()), tuple(index.items()), bundle, notes, asked.arguments)


def proxies_asked(asked: Asked) -> tuple[dict[str, str], tuple[str, ...]]:
    """Take the caller's proxy for everything."""
    return proxy_arguments({"http_proxy": asked.proxy, "https_proxy": asked.proxy}, None)


# -- proxies


def proxy_arguments(env: Mapping[str, str], config: ClientConfig | None) -> tuple[dict[str, str], tuple[str, ...]]:
    """
    Choose the proxies of the shell, which `docker build` does not hand on, but where the client has its own.

    They are predefined build arguments: the engine keeps them out of the image and its history
    (https://docs.docker.com/reference/dockerfile/#predefined-args).
    """
    if config and config.proxies:
        return {}, (f"the proxies of {config.path}",)
    args: dict[str, str] = {}
    notes: list[str] = []
    for name in PROXIES:
        value = env.get(name) or env.get(name.upper()) or ""
        if not value:
            continue
        if name != "no_proxy" and loops_back(value):
            notes.append(f"not {name} {mask_url(value)}: a container's loopback is not this host's")
            continue
        args |= {name: value, name.upper(): value}
        if name != "no_proxy":
            notes.append(
                f"{name} {mask_url(value)}, as a build argument, which stays in no image; in a Dockerfile of your own:"
            )
            notes.append(f"ENV {name} {mask_url(value)}")
    return (args, tuple(notes)) if set(args) - {"no_proxy", "NO_PROXY"} else ({}, tuple(notes))


def loops_back(url: str) -> bool:
    """Whether a URL, with or without its scheme, leads back to the machine that reads it."""
    try:
        name = urlsplit(url if "://" in url else f"//{url}").hostname or ""
    except ValueError:
        return False
    return name == "localhost" or is_loopback(name)


# -- pip


def pip_settings(host: Host) -> dict[str, str]:
    """Read what pip on this host is told, in pip's own order: later files win, and the environment over all."""
    files = ["/etc/xdg/pip/pip.conf", "/etc/pip.conf", f"{host.home}/.pip/pip.conf"]
    files.append(f"{host.env.get('XDG_CONFIG_HOME') or f'{host.home}/.config'}/pip/pip.conf")
    if virtual := host.env.get("VIRTUAL_ENV"):
        files.append(f"{virtual}/pip.conf")
    named = host.env.get("PIP_CONFIG_FILE", "")
    # The null device says: no configuration files at all (pip, "Configuration").
    files = [] if named == "/dev/null" else [*files, *([named] if named else [])]
    settings: dict[str, str] = {}
    for path in files:
        settings |= parse_pip_conf(host.text(path))
    for name, value in host.env.items():
        if name.startswith("PIP_") and value:
            settings[name.removeprefix("PIP_").lower().replace("_", "-")] = value
    return settings


def parse_pip_conf(text: str) -> dict[str, str]:
    """Take what concerns `pip install` out of a pip.conf; a broken file says nothing."""
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(text)
    except configparser.Error:
        return {}
    sections = [dict(parser[s]) for s in ("global", "install") if parser.has_section(s)]
    return {key.replace("_", "-"): value.strip() for section in sections for key, value in section.items()}


def index_settings(pip: Mapping[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Choose the package indexes that a container can reach."""
    chosen: dict[str, str] = {}
    notes: list[str] = []
    for key in ("index-url", "extra-index-url"):
        kept = []
        for url in pip.get(key, "").split():
            if not url.startswith(("http://", "https://")):
                continue  # a folder of this host is none of the container's
            if loops_back(url):
                notes.append(f"not {key} {mask_url(url)}: a container's loopback is not this host's")
                continue
            notes.append(f"{key} {mask_url(url)}")
            kept.append(url)
        if kept:
            chosen[key] = " ".join(kept)
    if chosen and pip.get("trusted-host"):
        chosen["trusted-host"] = " ".join(pip["trusted-host"].split())
    return chosen, tuple(notes)


# -- certificate authorities


def authorities(host: Host, pip: Mapping[str, str], public: str) -> tuple[str, tuple[str, ...]]:
    """
    Put together what the build must trust, and name what is not public in it; nothing where nothing is.

    pip trusts a bundle instead of the public authorities, not besides them: it must hold both.
    """
    own = _certificates(_texts(host, ANCHORS))
    named = [host.env.get(name, "") for name in CA_VARIABLES] + [pip.get("cert", "")]
    trusted = _certificates(host.text(path) for path in (*SYSTEM_BUNDLES, *(n for n in named if n)))
    known = _certificates([public])
    shipped = _certificates(_texts(host, PUBLIC))
    extra = own | {der: pem for der, pem in trusted.items() if der not in known and der not in shipped}
    readable = {der: name for der, pem in extra.items() if (name := subject(pem, der))}
    if not readable:
        return "", ()
    return "\n".join([*known.values(), *(extra[der] for der in readable)]) + "\n", tuple(sorted(readable.values()))


def _texts(host: Host, folders: Iterable[str]) -> Iterable[str]:
    """Read the files in folders, and in the folders in those."""
    for folder in folders:
        for name in host.listdir(folder):
            path = f"{folder}/{name}"
            inner = host.listdir(path)
            yield from (host.text(f"{path}/{n}") for n in inner) if inner else [host.text(path)]


def _certificates(texts: Iterable[str]) -> dict[bytes, str]:
    """Find the certificates in PEM texts: their bytes, which are the same however they are written down."""
    found: dict[bytes, str] = {}
    for text in texts:
        for body in PEM.findall(text):
            try:
                der = base64.b64decode("".join(body.split()), validate=True)
            except binascii.Error:
                continue
            found[der] = ssl.DER_cert_to_PEM_cert(der).strip()
    return found


def subject(pem: str, der: bytes) -> str:
    """Name a certificate; empty when OpenSSL cannot read it, and a bundle with it would be of no use."""
    reader = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        reader.load_verify_locations(cadata=pem)
    except ssl.SSLError:
        return ""
    for ca in reader.get_ca_certs():
        fields: dict[str, str] = dict(pair for part in cast("Any", ca["subject"]) for pair in part)
        if name := fields.get("commonName") or fields.get("organizationName"):
            return name
    return f"SHA-256 {hashlib.sha256(der).hexdigest()[:16]}"


def public_bundle() -> str:
    """Name the file of certificate authorities that the world trusts, as this program's own TLS library has them."""
    import certifi  # noqa: PLC0415 - only builds need it

    return certifi.where()


def public_authorities() -> str:
    """Read them."""
    return Path(public_bundle()).read_text(encoding="ascii", errors="replace")

"""Mirrors and registries."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from dockerdoctor.daemonvalues.wrong import (
    REMOVE,
    UNSURE,
    Engine,
    Settings,
    Wrong,
    is_address,
    network_of,
    texts,
)


def mirrors(settings: Settings, engine: Engine) -> Iterator[Wrong]:
    """http:// or https://, a host, and nothing else; newer engines allow a path."""
    listed = texts(settings, "registry-mirrors")
    reasons, new = [], []
    for mirror in listed:
        reason, meant = _mirror(mirror, engine)
        reasons += [reason] if reason else []
        new.append(meant)
    if reasons:
        meant_all = UNSURE if None in new else [m for m in new if m] or REMOVE
        yield Wrong("registry-mirrors", "; ".join(reasons), meant_all, "give every mirror as http://HOST:PORT")


def _mirror(mirror: str, engine: Engine) -> tuple[str, str | None]:
    """Why a mirror is refused, and what was meant: "" to leave it out, None when nobody can tell."""
    try:
        parts = urlsplit(mirror.strip())
    except ValueError:
        return f"registry-mirrors: {mirror!r} is not a valid URL", None
    if not mirror.strip():
        return "registry-mirrors: an empty string is no URL", ""
    if parts.scheme not in {"http", "https"} or not mirror.lower().startswith(("http:", "https:")):
        if "://" in mirror and parts.scheme not in {"http", "https"}:
            return f"registry-mirrors: {mirror!r} is neither http:// nor https://", None
        # A port other than 443, an address or a name without a dot: a registry of one's own, without TLS.
        host = mirror.strip().removeprefix("//").rstrip("/")
        name, _, port = host.partition(":")
        plain = (port and port != "443") or is_address(name, zone=False) or "." not in name
        return (
            f"registry-mirrors: {mirror!r} has no http:// or https:// in front",
            f"{'http' if plain else 'https'}://{host}",
        )
    bare = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    if parts.username is not None:
        return f"registry-mirrors: {bare} with a user and a password, which are not allowed there", bare
    path = parts.path.rstrip("/")
    if parts.query or parts.fragment or (path and engine and engine < (24,)) or (parts.path.startswith("//")):
        return f"registry-mirrors: {mirror!r} has a path or a query behind the host", bare
    if mirror != mirror.strip():
        return f"registry-mirrors: {mirror!r} has blanks around it", mirror.strip()
    return "", mirror


# docker/distribution's reference.DomainRegexp
HOST_PORT = re.compile(
    r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*(?::[0-9]+)?"
)


def insecure_registries(settings: Settings, _engine: Engine) -> Iterator[Wrong]:
    """host, host:port or a network; http:// in front is taken off by the engine itself."""
    listed = texts(settings, "insecure-registries")
    bad = [r for r in listed if not _registry(r)]
    if not bad:
        return
    new = [r if r not in bad else re.sub(r"^\w+://", "", r.strip()).split("/")[0] for r in listed]
    meant = [r for r in new if r] if all(not r or _registry(r) for r in new) else UNSURE
    reason = f"insecure-registries: {', '.join(map(repr, bad))} is neither host:port nor a network"
    yield Wrong("insecure-registries", reason, meant or REMOVE, "give every registry as HOST:PORT")


def _registry(name: str) -> bool:
    if name.startswith("-") or name.endswith("-"):
        return False
    name = re.sub(r"^https?://", "", name, flags=re.IGNORECASE)
    if network_of(name):
        return True
    port = re.search(r":(\d+)$", name)
    if HOST_PORT.fullmatch(name):
        return not port or int(port.group(1)) <= 65535
    return is_address(re.sub(r"^\[(.*)\](:\d+)?$", r"\1", name), zone=False)

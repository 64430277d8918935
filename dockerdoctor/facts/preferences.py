"""What the users of this host want of the doctor: what to ignore, from where on to complain, what else to reach."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

REDIS_PORT = 6379
WEB_PORTS = {"http": 80, "https": 443}
HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?\.?")
ADDRESS = re.compile(r"[0-9A-Fa-f:.]+")


@dataclass(frozen=True, slots=True)
class Ignored:
    """A check whose failing is known and accepted."""

    check: str
    reason: str


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From where on a check complains; None is its own measure."""

    disk_free_percent: float | None = None  # storage.low-space: less of the data root's filesystem is too little
    log_mib: float | None = None  # storage.logs: a container's log that is longer grows without end
    build_cache_percent: float | None = None  # storage.build-cache: more of the filesystem is too much
    build_context_mib: float | None = None  # build.context-size: more is sent by mistake
    registry_seconds: float | None = None  # registry.slow: an answer that takes longer is late


@dataclass(frozen=True, slots=True)
class Target:
    """Something that somebody wants reached from containers."""

    kind: str  # "tcp", "http", "https", "redis"
    host: str
    port: int

    def __str__(self) -> str:
        """As a report names it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def question(self) -> tuple[str, int, str]:
        """As probe containers are asked; only Redis is spoken to: others may take what they do not know amiss."""
        return self.host, self.port, "PING\r\n" if self.kind == "redis" else ""


@dataclass(frozen=True, slots=True)
class Preferences:
    """All of it, from the configuration file and the command line."""

    path: str = ""  # of the file; empty where there is none
    ignored: tuple[Ignored, ...] = ()
    thresholds: Thresholds = Thresholds()
    targets: tuple[Target, ...] = ()
    images: tuple[str, ...] = ()

    def ignores(self, check: str) -> str:
        """The reason for which a check's failing is accepted; empty where it is not."""
        return next((one.reason for one in self.ignored if one.check == check), "")


def target_of(said: str, kind: str = "tcp") -> Target | str:
    """Read "host:port", "[address]:port" or a URL; returns what is wrong with it otherwise."""
    scheme, sep, rest = said.partition("://") if "://" in said else ("", "", said)
    if sep:
        kind = scheme.lower()
    if kind not in {"tcp", "http", "https", "redis"}:
        return f"{scheme}:// is none of tcp, http, https, redis"
    try:
        parts = urlsplit(f"//{rest}")
        host, port = parts.hostname or "", parts.port
    except ValueError as no:
        return f"it cannot be read: {no}"
    if parts.username is not None:
        return "a login is of no use here; leave it out"
    if port is None:
        port = {**WEB_PORTS, "redis": REDIS_PORT}.get(kind)
    if not (HOST.fullmatch(host) or (":" in host and ADDRESS.fullmatch(host))):
        return "it names no host"
    if not port:
        return "it names no port: HOST:PORT"
    return Target("https" if (kind, port) == ("tcp", 443) else kind, host, port)

"""Names that containers will ask for: what their settings and commands say."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from dockerdoctor.facts.containers import Container, Containers, mask_env
from dockerdoctor.facts.endings import LATELY
from dockerdoctor.facts.endpoint import ChosenEndpoint, DaemonPing, Settings
from dockerdoctor.facts.engine import ask, table, texts
from dockerdoctor.facts.listeners import seconds_since
from dockerdoctor.facts.wanted import host_name
from dockerdoctor.host import Host
from dockerdoctor.measure import Unmeasured, probe

# Each is one question more to every nameserver.
MAX_NAMES = 8
URL = re.compile(r"[a-z][a-z0-9+.-]*://[^\s'\",;]+", re.IGNORECASE)
LABEL = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
FULL_NAME = re.compile(rf"(?<![\w./@$%:-])((?:{LABEL}\.)+[a-z](?:[a-z0-9-]*[a-z0-9]))(?::\d+)?(?![\w./@(-])")
# What looks like a name and is a file.
SUFFIXES = frozenset(
    [
        "bak",
        "cfg",
        "class",
        "conf",
        "crt",
        "css",
        "csv",
        "db",
        "env",
        "gz",
        "html",
        "ini",
        "jar",
        "js",
        "json",
        "key",
        "lock",
        "log",
        "mjs",
        "md",
        "pem",
        "php",
        "pid",
        "pl",
        "properties",
        "py",
        "rb",
        "service",
        "sh",
        "so",
        "sock",
        "sql",
        "tar",
        "toml",
        "ts",
        "txt",
        "war",
        "xml",
        "yaml",
        "yml",
        "zip",
    ]
)
# Variables that say what the container itself is called, which it need not look up.
OWN_NAME = re.compile(
    r"DOMAIN|ORIGIN|FQDN|(?:^|_)(?:ADVERTISED|ALLOWED|APP|BASE|CALLBACK|CORS|EXTERNAL|FRONTEND|HOME|LETSENCRYPT|PUBLIC|"
    r"REDIRECT|ROOT|SITE|TRUSTED|VIRTUAL|WEB|WEBSITE)(?:_(?:URL|URI|HOST|NAME|ADDRESS|PROXIE)S?)?$|"
    r"^(?:HOST|HOSTNAME|NODE_NAME|SERVER_NAME|URL|VHOST)$",
    re.IGNORECASE,
)
# Containers that look names up with a resolver of their own.
OWN_RESOLVER = {"host", "none"}
OWN_FILES = {"/etc/hosts", "/etc/resolv.conf"}


@dataclass(frozen=True, slots=True)
class Use:
    """One name, and who wants it."""

    name: str
    container: str  # its name
    source: str  # "GIT_HOST", "its command", "its health check"


@dataclass(frozen=True, slots=True)
class NamesInUse:
    """Names with a dot in them, which nameservers are asked for; others are Docker's own to answer."""

    all: tuple[Use, ...]


def names_in(text: str) -> Iterator[str]:
    """Find the names in one setting or argument; addresses and files are none."""
    yield from map(host_name, URL.findall(text))
    yield from FULL_NAME.findall(URL.sub(" ", text))


def is_full_name(name: str) -> bool:
    """Whether it is a name for a nameserver: with a dot, and neither an address nor a file."""
    last = name.rstrip(".").rpartition(".")[2]
    return "." in name.strip(".") and FULL_NAME.fullmatch(name) is not None and last not in SUFFIXES


def uses(container: Container) -> Iterator[Use]:
    """What one container's settings, command and health check name."""
    test = container.details.health.test if container.details and container.details.health else ()
    texts = (
        # A proxy's name is the business of the checks of proxies, and NO_PROXY names what nobody need want.
        *(
            (name, value)
            for name, value in container.env
            if not OWN_NAME.search(name) and not name.lower().endswith("_proxy")
        ),
        *(("its command", word) for word in container.command),
        *(("its health check", word) for word in test),
    )
    known = {entry.partition(":")[0] for entry in container.extra_hosts}
    for source, text in texts:
        for name in names_in(text):
            if is_full_name(name) and name not in known:
                yield Use(name, container.name, source)


def concerned(container: Container, now: float) -> bool:
    """Whether it looks names up where we can ask for it, and matters still: it runs, or failed of late."""
    mode = container.network_mode
    failed = container.state == "exited" and container.exit_code != 0
    lives = container.state in {"running", "restarting"} or (failed and seconds_since(container.finished, now) < LATELY)
    mounts = container.details.mounts if container.details else ()
    own = mode in OWN_RESOLVER or mode.startswith("container:") or any(m.destination in OWN_FILES for m in mounts)
    return container.inspected and lives and not own


def of_image(host: Host, endpoint: ChosenEndpoint, ping: DaemonPing, container: Container) -> frozenset[str]:
    """What an image sets for all its containers, as "NAME=value": where it was made, mostly, and nobody's wish."""
    image = container.details.image_id if container.details else ""
    with contextlib.suppress(Unmeasured):
        said = table(ask(host, endpoint, ping, f"/images/{image}/json")) if image else {}
        pairs = (item.partition("=")[::2] for item in texts(table(said.get("Config")).get("Env")))
        return frozenset(f"{name}={mask_env(name, value)}" for name, value in pairs)
    return frozenset()


@probe(deadline=3)
def names_in_use(
    host: Host, endpoint: ChosenEndpoint, ping: DaemonPing, containers: Containers, settings: Settings
) -> NamesInUse:
    """
    Gather the names, those that were asked for and of running containers first.

    Images are looked at where their containers name any.
    """
    ordered = sorted((c for c in containers.all if concerned(c, host.clock())), key=lambda c: not c.running)
    own = {word for c in containers.all for a in c.networks for word in (f"{c.name}.{a.network}", *a.aliases)}
    asked = (t.host for t in settings.preferences.targets if is_full_name(t.host) and t.host not in own)
    first = {name: Use(name, "a container", "a target") for name in asked}
    for container in ordered:
        wanted = [u for u in uses(container) if u.name not in own and u.name not in first]
        given = of_image(host, endpoint, ping, container) if wanted else frozenset()
        env = dict(container.env)
        for use in wanted:
            if f"{use.source}={env.get(use.source)}" not in given:
                first.setdefault(use.name, use)
        if len(first) >= MAX_NAMES:
            break
    return NamesInUse(tuple(first.values())[:MAX_NAMES])

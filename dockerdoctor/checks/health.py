"""Health checks that fail: whose they are, what they said, and whether they ask a proxy for what is near."""

from __future__ import annotations

import re
import shlex
from urllib.parse import urlsplit

from dockerdoctor.facts.container_details import Health
from dockerdoctor.facts.containers import Container, Containers
from dockerdoctor.facts.proxy_detours import peers
from dockerdoctor.model import Evidence
from dockerdoctor.noproxy import BUSYBOX, CURL, REQUESTS, URLLIB, WGET, Client, address
from dockerdoctor.web import DEFAULT_PORTS, is_loopback_host

ASKED = re.compile(
    r"(?P<url>https?://[^\s\"'|;)&]+)|\b(?:curl|wget)\b[^|;&]*?\s(?P<bare>(?:localhost|127\.0\.0\.1)(?::\d+)?(?:/\S*)?)"
)
# GNU wget begins each line with a time, or says nothing (-q).
BUSYBOX_SAYS = re.compile(r"^wget: |^Connecting to \S+ \(", re.MULTILINE)


def sick(containers: Containers) -> list[tuple[Container, Health]]:
    """The running containers whose health check fails."""
    return [
        (c, c.details.health)
        for c in containers.running
        if c.details and c.details.health and c.details.health.status == "unhealthy"
    ]


def test_of(health: Health) -> str:
    """The health check's command, as a person reads it."""
    words = health.test[1:] if health.test[:1] in {("CMD",), ("CMD-SHELL",)} else health.test
    return words[0] if len(words) == 1 else shlex.join(words)


def said(container: Container, health: Health) -> tuple[Evidence, ...]:
    """Show what the check is and what it said."""
    name = container.name
    return (
        Evidence(f"docker inspect {name}: Healthcheck", test_of(health)[:200]),
        Evidence(
            f"docker inspect {name}: State.Health",
            f"{health.streak} failures in a row; exit code {health.exit_code}: {health.output or 'nothing said'}",
        ),
    )


def program(health: Health) -> Client | None:
    """The program that a health check asks with, if it is one whose rules are known."""
    test = test_of(health)
    if re.search(r"\bcurl\b", test):
        return None if "--noproxy" in test else CURL
    if re.search(r"\bwget\b", test):
        if re.search(r"--no-proxy|(?:-Y|--proxy)[ =]?off", test):
            return None
        return BUSYBOX if BUSYBOX_SAYS.search(health.output) else WGET
    if "requests" in test:
        return REQUESTS
    return URLLIB if "urllib" in test else None


def captured(container: Container, health: Health, near: dict[str, str]) -> tuple[Client, str, str] | None:
    """The program of a health check that asks a proxy for what is near, for what, and the proxy."""
    client, asked = program(health), ASKED.search(test_of(health))
    if client is None or asked is None or health.exit_code in {126, 127}:
        return None
    parts = urlsplit(asked["url"] or f"http://{asked['bare']}")
    host = parts.hostname or ""
    ours = address(host)
    if not is_loopback_host(host) and host not in near and not (ours and ours.is_private):
        return None
    proxy = client.proxy(dict(container.env), parts.scheme, host, parts.port or DEFAULT_PORTS[parts.scheme])
    return (client, host, proxy) if proxy else None


def names_near(container: Container, containers: Containers) -> dict[str, str]:
    """The names by which a container knows others, and their addresses."""
    known = peers(containers)
    return {name: ip for n in container.networks for name, ip in known.get(n.network, {}).items()}

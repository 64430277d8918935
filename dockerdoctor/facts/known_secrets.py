"""The secrets that this host's settings hold: never a fact, only what `doctor report` must find nowhere in its files."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from dockerdoctor.facts.endpoint import ClientConfig
from dockerdoctor.facts.engine import DaemonProcess
from dockerdoctor.host import Host
from dockerdoctor.redact import secrets_among, secrets_in

FOLDERS = ("/etc/systemd/system/docker.service.d", "/run/systemd/system/docker.service.d")
FILES = ("/etc/docker/daemon.json", "/etc/default/docker", "/etc/sysconfig/docker", "/etc/environment")


def known_secrets(host: Host, client: ClientConfig | None, process: DaemonProcess | None) -> frozenset[str]:
    """Read them where Docker and its client do; what this user may not read, the doctor has not read either."""
    found = secrets_among(host.env.items())
    for path in _settings(host, client):
        found |= secrets_in(host.text(path))
    if process and process.pid:
        with contextlib.suppress(OSError):
            pairs = (item.partition("=")[::2] for item in host.read(f"/proc/{process.pid}/environ").split("\0"))
            found |= secrets_among(pairs)
    return frozenset(found)


def _settings(host: Host, client: ClientConfig | None) -> Iterator[str]:
    yield from FILES
    for folder in FOLDERS:
        yield from (f"{folder}/{name}" for name in host.listdir(folder, "*.conf"))
    if client:
        yield client.path

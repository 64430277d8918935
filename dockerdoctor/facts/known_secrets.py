"""The secrets that this host's settings hold: never a fact, only what `doctor report` must find nowhere in its files."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from dockerdoctor.facts.containers import Containers, command_of
from dockerdoctor.facts.endpoint import ChosenEndpoint, ClientConfig, DaemonPing
from dockerdoctor.facts.engine import DaemonProcess, ask, listed, table
from dockerdoctor.host import Host
from dockerdoctor.measure import Facts, FactsView, Unmeasured
from dockerdoctor.redact import secrets_among, secrets_in

FOLDERS = ("/etc/systemd/system/docker.service.d", "/run/systemd/system/docker.service.d")
FILES = ("/etc/docker/daemon.json", "/etc/default/docker", "/etc/sysconfig/docker", "/etc/environment")
# To ask for two hundred containers takes an engine a second; one that stalls is not waited for.
PATIENCE = 5.0


def known_secrets(host: Host, facts: Facts) -> frozenset[str]:
    """Read them where Docker and its client do; what this user may not read, the doctor has not read either."""
    known = FactsView(facts)
    found = secrets_among(host.env.items())
    for path in _settings(host, known.of(ClientConfig)):
        found |= secrets_in(host.text(path))
    process = known.of(DaemonProcess)
    if process and process.pid:
        found |= secrets_among(_variables(host.text(f"/proc/{process.pid}/environ").split("\0")))
    for variables, command in _containers(host, known):
        # What a container was given it may have written to its log.
        found |= secrets_among(_variables(variables)) | secrets_in(command)
    return frozenset(found)


def _variables(items: list[str]) -> Iterator[tuple[str, str]]:
    for item in items:
        name, _, value = item.partition("=")
        yield name, value


def _settings(host: Host, client: ClientConfig | None) -> Iterator[str]:
    yield from FILES
    for folder in FOLDERS:
        yield from (f"{folder}/{name}" for name in host.listdir(folder, "*.conf"))
    if client:
        yield client.path


def _containers(host: Host, known: FactsView) -> Iterator[tuple[list[str], str]]:
    """Ask again for what the facts know masked: each container's environment and command."""
    endpoint, ping, containers = known.of(ChosenEndpoint), known.of(DaemonPing), known.of(Containers)
    until = host.clock() + PATIENCE
    for container in containers.all if endpoint and ping and containers else ():
        if not container.inspected or host.clock() > until or not (endpoint and ping):
            continue
        with contextlib.suppress(Unmeasured):  # gone since
            data = table(ask(host, endpoint, ping, f"/containers/{container.id}/json", PATIENCE))
            variables = [str(item) for item in listed(table(data.get("Config")).get("Env"))]
            yield variables, " ".join(map(str, command_of(data)))

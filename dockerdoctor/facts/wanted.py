"""What containers on this host will want to reach: registries and their mirrors, proxies, nameservers."""

from __future__ import annotations

from dataclasses import dataclass

from dockerdoctor.facts.daemon_json import DaemonJson
from dockerdoctor.facts.endpoint import ClientConfig
from dockerdoctor.host import Host
from dockerdoctor.measure import probe


@dataclass(frozen=True, slots=True)
class Wanted:
    """Extra questions for the probe containers; each area adds what its checks judge."""

    servers: tuple[str, ...] = ()  # nameservers
    names: tuple[str, ...] = ()  # names to ask every nameserver for
    exchanges: tuple[tuple[str, int, str, float], ...] = ()  # host, port, what to send, patience in seconds


@probe()
def wanted(host: Host, config: DaemonJson | None, client: ClientConfig | None) -> Wanted:  # noqa: ARG001 - areas to come
    """Gather the questions."""
    return Wanted()

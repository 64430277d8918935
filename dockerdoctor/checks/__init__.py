"""One module per area: pure decisions with their catalogue entries. Order is dependency order, and the report's."""

from types import ModuleType

from dockerdoctor.checks import (
    addresses,
    cgroups,
    chains,
    connections,
    containers,
    daemon_json,
    daemon_keys,
    daemon_state,
    daemon_values,
    dns,
    dns_embedded,
    dns_host,
    dns_ipv6,
    dns_paths,
    dns_running,
    ended,
    endpoint,
    engine,
    engine_socket,
    exposure,
    firewall,
    host_firewall,
    kernel,
    links,
    mounted_sockets,
    neighbours,
    network,
    ports,
    prerequisites,
    proxy_answers,
    proxy_containers,
    proxy_registries,
    proxy_units,
    proxy_values,
    reach,
    redis,
    registry,
    registry_pulls,
    registry_steps,
    registry_trust,
    resources,
    running,
    startup,
    storage,
    storage_mount,
    storage_use,
    unit,
)
from dockerdoctor.model import Check

AREAS: tuple[ModuleType, ...] = (
    prerequisites,
    unit,
    engine_socket,
    startup,
    endpoint,
    engine,
    daemon_json,
    daemon_keys,
    daemon_values,
    daemon_state,
    storage,
    storage_mount,
    storage_use,
    cgroups,
    kernel,
    resources,
    network,
    connections,
    links,
    addresses,
    chains,
    firewall,
    host_firewall,
    neighbours,
    exposure,
    containers,
    reach,
    dns_paths,
    dns_host,
    dns_ipv6,
    dns,
    dns_running,
    dns_embedded,
    proxy_units,
    proxy_values,
    proxy_answers,
    proxy_registries,
    proxy_containers,
    registry_trust,
    registry_steps,
    registry_pulls,
    registry,
    ports,
    ended,
    running,
    mounted_sockets,
    redis,
)


def catalogue(areas: tuple[ModuleType, ...]) -> tuple[Check, ...]:
    """Collect the checks of all areas in file order; raises ValueError when an id is used twice."""
    checks = tuple(c for area in areas for c in vars(area).values() if isinstance(c, Check))
    ids = [c.id for c in checks]
    twice = sorted({i for i in ids if ids.count(i) > 1})
    if twice:
        raise ValueError(f"check ids used twice: {', '.join(twice)}")
    return checks


CATALOGUE: tuple[Check, ...] = catalogue(AREAS)

"""Every probe there is: one line per area."""

from types import ModuleType

from dockerdoctor.facts import (
    caller,
    containers,
    counters,
    daemon_json,
    dns,
    endpoint,
    engine,
    firewall,
    forwarding,
    helpers,
    inside,
    kernel,
    listeners,
    log,
    proxy,
    pulls,
    redis,
    registry_asking,
    routes,
    startup,
    storage,
    upstreams,
    wanted,
)
from dockerdoctor.measure import Probe

AREAS: tuple[ModuleType, ...] = (
    caller,
    endpoint,
    engine,
    log,
    daemon_json,
    startup,
    storage,
    kernel,
    containers,
    routes,
    forwarding,
    firewall,
    dns,
    upstreams,
    proxy,
    helpers,
    pulls,
    registry_asking,
    listeners,
    redis,
    wanted,
    inside,
    counters,
)
PROBES: tuple[Probe, ...] = tuple(p for area in AREAS for p in vars(area).values() if isinstance(p, Probe))

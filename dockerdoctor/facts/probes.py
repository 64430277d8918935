"""Every probe there is: one line per area."""

from types import ModuleType

from dockerdoctor.facts import (
    caller,
    containers,
    daemon_json,
    dns,
    endpoint,
    engine,
    firewall,
    inside,
    listeners,
    log,
    proxy,
    redis,
    registry,
    routes,
    storage,
    wanted,
)
from dockerdoctor.measure import Probe

AREAS: tuple[ModuleType, ...] = (
    caller,
    endpoint,
    engine,
    log,
    daemon_json,
    storage,
    containers,
    routes,
    firewall,
    dns,
    proxy,
    registry,
    listeners,
    redis,
    wanted,
    inside,
)
PROBES: tuple[Probe, ...] = tuple(p for area in AREAS for p in vars(area).values() if isinstance(p, Probe))

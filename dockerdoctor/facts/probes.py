"""Every probe there is: one line per area."""

from types import ModuleType

from dockerdoctor.facts import containers, daemon_json, dns, endpoint, engine, inside, routes, wanted
from dockerdoctor.measure import Probe

AREAS: tuple[ModuleType, ...] = (endpoint, engine, daemon_json, containers, routes, dns, wanted, inside)
PROBES: tuple[Probe, ...] = tuple(p for area in AREAS for p in vars(area).values() if isinstance(p, Probe))

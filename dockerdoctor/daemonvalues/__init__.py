"""
The values that dockerd refuses although their type is right, with the value that was meant where it is certain.

Each rule was tried on a real engine (20.10, and 26.1 with --validate). Where one came or went with a version, it is
applied only to versions that are known to have it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dockerdoctor.daemonvalues import daemon, log, network, registry
from dockerdoctor.daemonvalues.wrong import Engine, Rule, Settings, Wrong

RULES: tuple[Rule, ...] = (
    network.nameservers,
    network.addresses,
    network.search_domains,
    network.bridge_address,
    network.networks,
    network.address_pools,
    registry.mirrors,
    registry.insecure_registries,
    daemon.numbers,
    daemon.words,
    daemon.labels,
    daemon.runtimes,
    daemon.drivers,
    daemon.together,
    daemon.sockets,
    daemon.certificates,
    log.log_options,
)


def wrong_values(settings: Settings, engine: Engine, absent: Iterable[tuple[str, str]] = ()) -> Iterator[Wrong]:
    """Try every rule on settings that the engine knows and whose types are right; `absent` names files that are not there."""
    for rule in RULES:
        yield from rule(settings, engine)
    yield from daemon.files(settings, absent)

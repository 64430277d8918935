"""The values that dockerd refuses although their type is right, with the value that was meant where it is certain."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_interface
from typing import Any

# The key has to go; its default is what was meant.
REMOVE = object()
# Only a person knows what was meant.
UNSURE = object()


@dataclass(frozen=True, slots=True)
class Wrong:
    """One value that dockerd refuses."""

    key: str
    reason: str  # with the value in it
    new: Any = UNSURE  # the value of the key as a whole
    how: str = ""  # what to do by hand


Rule = Callable[[Mapping[str, Any], tuple[int, ...]], Iterator[Wrong]]


def wrong_values(settings: Mapping[str, Any], engine: tuple[int, ...]) -> Iterator[Wrong]:
    """Try every rule on settings that the engine knows and whose types are right."""
    for rule in RULES:
        yield from rule(settings, engine)


def _is_address(text: str) -> bool:
    try:
        ip_address(text.partition("%")[0] if ":" in text else text)
    except ValueError:
        return False
    return True


def nameservers(settings: Mapping[str, Any], _engine: tuple[int, ...]) -> Iterator[Wrong]:
    """Addresses only: no names, no ports."""
    listed = [str(s) for s in settings.get("dns") or () if s is not None]
    bad = [s for s in listed if not _is_address(s.strip())]
    if bad:
        good = [s for s in listed if s not in bad]
        yield Wrong("dns", f"dns: {', '.join(bad)} is no IP address", good or REMOVE)


def bridge_address(settings: Mapping[str, Any], _engine: tuple[int, ...]) -> Iterator[Wrong]:
    """`bip` is the bridge's own address with the length of its network's prefix."""
    bip = settings.get("bip")
    if not bip:
        return
    try:
        ip_interface(bip)
        plain = "/" not in bip
    except ValueError:
        yield Wrong("bip", f"bip: {bip} is no address with a prefix", how='give bip as "172.26.0.1/16"')
        return
    if plain:
        yield Wrong("bip", f"bip: {bip} lacks the length of the prefix", f"{bip}/16")


RULES: tuple[Rule, ...] = (nameservers, bridge_address)

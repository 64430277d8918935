"""What a wrong value is, and what rules have in common."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

# docker/go-units, RAMInBytes
SIZE = re.compile(r"\d+(\.\d+)* ?[kKmMgGtTpP]?i?[bB]?")
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


Settings = Mapping[str, Any]
Engine = tuple[int, ...]
Rule = Callable[[Settings, Engine], Iterator[Wrong]]


def texts(settings: Settings, key: str) -> list[str]:
    """The entries of a list of strings."""
    value = settings.get(key)
    return ["" if v is None else str(v) for v in value] if isinstance(value, list) else []


def without(settings: Settings, key: str, bad: list[str]) -> Any:
    """A list without its bad entries, or nothing when none is left."""
    return [v for v in texts(settings, key) if v not in bad] or REMOVE


def is_address(text: str, *, zone: bool) -> bool:
    """Whether Go's net.ParseIP takes it; netip.ParseAddr of newer engines takes a zone as well."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return zone or "%" not in text


def network_of(value: str) -> Any:
    """The network of an address with a prefix length; None when it is none."""
    try:
        return ip_network(value, strict=False) if "/" in value else None
    except ValueError:
        return None

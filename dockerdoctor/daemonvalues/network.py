"""Addresses, networks and names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import IPv4Interface, ip_address, ip_interface
from typing import Any

from dockerdoctor.daemonvalues.wrong import (
    REMOVE,
    UNSURE,
    Engine,
    Settings,
    Wrong,
    is_address,
    network_of,
    texts,
    without,
)


def nameservers(settings: Settings, engine: Engine) -> Iterator[Wrong]:
    """Addresses only: no names, no ports, and from 25.0 on no blanks around them."""
    listed = texts(settings, "dns")
    zone = not engine or engine >= (29,)
    strict = engine >= (25,)
    bad = [s for s in listed if not is_address(s if strict else s.strip(), zone=zone) and not (strict and not s)]
    if not bad:
        return
    kept = [_bare_address(s) for s in listed]
    meant = [s for s in kept if is_address(s, zone=zone)] or REMOVE
    yield Wrong("dns", f"dns: {', '.join(map(repr, bad))} is no IP address", meant)


def _bare_address(text: str) -> str:
    """Take the port and the blanks off an address."""
    text = text.strip()
    match = re.fullmatch(r"(\d+\.\d+\.\d+\.\d+):\d+", text) or re.fullmatch(r"\[([0-9a-fA-F:]+)\](?::\d+)?", text)
    return match.group(1) if match else text


def addresses(settings: Settings, engine: Engine) -> Iterator[Wrong]:
    """Keys that hold one address."""
    for key in ("ip", "default-gateway", "default-gateway-v6", "host-gateway-ip"):
        value = settings.get(key)
        if value and not is_address(value, zone=engine >= (29,)):
            yield Wrong(key, f"{key}: {value!r} is no IP address", how=f"give {key} an IP address, or take it out")


# As moby's opts.ValidateDNSSearch has it.
DOMAIN = re.compile(
    r"(:?(:?[a-zA-Z0-9]|(:?[a-zA-Z0-9][a-zA-Z0-9\-]*[a-zA-Z0-9]))"
    r"(:?\.(:?[a-zA-Z0-9]|(:?[a-zA-Z0-9][a-zA-Z0-9\-]*[a-zA-Z0-9])))*)\.?\s*"
)


def search_domains(settings: Settings, _engine: Engine) -> Iterator[Wrong]:
    """Domain names with at least one letter, or a dot for none at all."""
    listed = texts(settings, "dns-search")
    bad = [
        d for d in listed if d.strip(" ") != "." and not (re.search("[a-zA-Z]", d) and DOMAIN.fullmatch(d.strip(" ")))
    ]
    if bad:
        yield Wrong("dns-search", f"dns-search: {bad[0]!r} is not a valid domain", without(settings, "dns-search", bad))


def bridge_address(settings: Settings, engine: Engine) -> Iterator[Wrong]:
    """`bip` is the bridge's own address with the length of its network's prefix."""
    bip = settings.get("bip")
    if not bip:
        return
    if settings.get("bridge"):
        yield Wrong("bip", "bip and bridge are mutually exclusive", REMOVE)
        return
    try:
        address = ip_interface(bip)
    except ValueError:
        yield Wrong("bip", f"bip: {bip!r} is no address with a prefix", how='give bip as "172.26.0.1/16"')
        return
    network = address.network
    if "/" not in bip:
        # A private network's usual prefix: 172.17.0.0/16 is the default bridge's own.
        length = 24 if bip.startswith("192.168.") else 16
        yield Wrong("bip", f"bip: {bip!r} has no prefix length", _bridge(ip_interface(f"{bip}/{length}")))
    elif not isinstance(address, IPv4Interface):
        yield Wrong("bip", f"bip: {bip!r} is no IPv4 address", how="use fixed-cidr-v6 for IPv6")
    elif network.prefixlen > 30 and engine and engine < (23,):
        yield Wrong("bip", f"bip: {bip!r} leaves no address for containers", how="give bip a prefix of 30 bits or less")
    elif network.prefixlen > 30:
        return
    elif address.ip == network.network_address:
        yield Wrong("bip", f"bip: {bip!r} is the address of the network, not of the bridge", _bridge(address))
    elif address.ip == network.broadcast_address:
        yield Wrong("bip", f"bip: {bip!r} is the network's broadcast address", _bridge(address))


def _bridge(address: Any) -> Any:
    """The address itself where a host may have it, else the network's first."""
    network = address.network
    if network.prefixlen > 30 or network.version != 4 or not network.prefixlen:
        return UNSURE
    usable = address.ip not in {network.network_address, network.broadcast_address}
    return f"{address.ip if usable else network[1]}/{network.prefixlen}"


def networks(settings: Settings, engine: Engine) -> Iterator[Wrong]:
    """Networks in CIDR notation, and what must lie in them."""
    for key in ("fixed-cidr", "fixed-cidr-v6"):
        value = settings.get(key)
        if value and not network_of(value):
            example = "172.17.1.0/24" if key == "fixed-cidr" else "fd00:d0c::/64"
            yield Wrong(key, f"{key}: {value!r} is no network", how=f'give {key} as "{example}", or take it out')
    gateway, bip = settings.get("default-gateway"), settings.get("bip")
    if (
        gateway
        and bip
        and network_of(bip)
        and is_address(gateway, zone=False)
        and ip_address(gateway) not in network_of(bip)
    ):
        yield Wrong("default-gateway", f"default-gateway: {gateway} is not in the bridge's network {bip}", REMOVE)
    bases = [str((pool or {}).get("base")) for pool in settings.get("default-address-pools") or ()]
    # A pool of IPv6 is one to take the network from.
    lacking = not settings.get("fixed-cidr-v6") and not any(":" in base for base in bases)
    if settings.get("ipv6") is True and lacking and engine and engine < (27,):
        yield Wrong(
            "ipv6",
            "ipv6 without fixed-cidr-v6: the default bridge has no IPv6 network",
            how='add "fixed-cidr-v6": "fd00:d0c::/64" with a network of your own, or take ipv6 out',
        )


def address_pools(settings: Settings, _engine: Engine) -> Iterator[Wrong]:
    """Each pool is an IPv4 or IPv6 network and the prefix length of what is cut from it."""
    for pool in settings.get("default-address-pools") or ():
        fields = {k.lower(): v for k, v in (pool or {}).items()}
        base, size = fields.get("base") or "", fields.get("size") or 0
        network = network_of(base)
        if not network:
            reason = f"default-address-pools: base {base!r} is no network"
        elif not network.prefixlen <= size <= network.max_prefixlen:
            reason = f"default-address-pools: size {size} does not fit into {base}"
        else:
            continue
        yield Wrong("default-address-pools", reason, how='give each pool as {"base": "10.99.0.0/16", "size": 24}')

"""The nameservers that the host itself relies on, also where it hides them behind a resolver of its own."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dockerdoctor.facts.dns import RESOLVED_CONF, HostResolver, is_loopback, parse_resolv_conf
from dockerdoctor.facts.routes import Routes
from dockerdoctor.host import Host
from dockerdoctor.measure import probe

DNSMASQ_CONF = "/etc/dnsmasq.conf"
DNSMASQ_FOLDERS = ("/etc/dnsmasq.d", "/etc/NetworkManager/dnsmasq.d", "/etc/NetworkManager/dnsmasq-shared.d")
# dnsmasq(8) skips these in a folder of configuration: editors' and packagers' leavings.
NOT_READ = (".dpkg-old", ".dpkg-new", ".dpkg-dist", ".bak", "~")
NETWORK_MANAGER_CONFS = ("/run/NetworkManager/no-stub-resolv.conf", "/run/NetworkManager/resolv.conf")
RESOLVCONF_FOLDERS = ("/run/resolvconf/interface", "/run/resolvconf/interfaces", "/run/dhcpcd/hook-state/resolv.conf")
LEASE_FOLDERS = (
    ("/run/systemd/netif/leases", "*"),
    ("/var/lib/NetworkManager", "*.lease"),
    ("/var/lib/dhcp", "dhclient*.lease*"),
    ("/var/lib/dhclient", "*.lease*"),
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A nameserver that could be given to containers, and who says so."""

    server: str
    source: str  # "/run/systemd/resolve/resolv.conf", "dnsmasq: /etc/dnsmasq.conf:3", "NetworkManager", "DHCP lease"


@dataclass(frozen=True, slots=True)
class Upstreams:
    """The host's real nameservers, best first, and the routers that may be nameservers too."""

    candidates: tuple[Candidate, ...]
    gateways: tuple[Candidate, ...] = ()


def usable(address: str) -> bool:
    """Whether a container on another network could reach such an address, and daemon.json could hold it."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    # A link-local one needs a zone, which daemon.json cannot name.
    return not (ip.is_loopback or ip.is_unspecified or ip.is_multicast or (ip.version == 6 and ip.is_link_local))


@probe(deadline=4)
def upstreams(host: Host, resolver: HostResolver, routes: Routes | None) -> Upstreams:
    """Look for them wherever a host keeps them."""
    return find_upstreams(host, resolver, routes)


def find_upstreams(host: Host, resolver: HostResolver, routes: Routes | None) -> Upstreams:
    """
    Read every place where a host keeps the servers behind its own resolver.

    Servers that /etc/resolv.conf names outright come first, since the host uses those itself; where it names loopback
    only, the resolver there is followed. Files of resolvers that no longer run are read too: what they name is used
    only after it has answered.
    """
    found = [
        *_of(resolver.etc.nameservers, resolver.etc.path),
        *_of(resolver.resolved.nameservers, RESOLVED_CONF),
        *_dnsmasq(host),
        *_network_manager(host),
        *_resolvconf(host),
        *_leases(host),
    ]
    best: dict[str, Candidate] = {}
    for candidate in found:
        if usable(candidate.server):
            best.setdefault(candidate.server, candidate)
    return Upstreams(
        tuple(best.values()),
        tuple(Candidate(g, "the default gateway") for g in (routes.gateways if routes else ()) if g not in best),
    )


def _of(servers: Iterable[str], source: str) -> Iterator[Candidate]:
    return (Candidate(server, source) for server in servers)


def _dnsmasq(host: Host) -> Iterator[Candidate]:
    for key, value, source in dnsmasq_settings(host):
        yield from dnsmasq_servers(host, ((key, value),), source)


def dnsmasq_settings(host: Host) -> Iterator[tuple[str, str, str]]:
    """Read dnsmasq's files, and the options of those that run, as (key, value, source); see dnsmasq(8)."""
    files = [DNSMASQ_CONF, *(f"{folder}/{name}" for folder in DNSMASQ_FOLDERS for name in host.listdir(folder))]
    for pid in host.pids():
        if host.comm(pid) == "dnsmasq" and host.ours(pid):
            options = _options(host.cmdline(pid)[1:])
            yield from ((key, value, f"dnsmasq (process {pid})") for key, value in options)
            files += [value for key, value in options if key == "conf-file"]
            files += [
                f"{folder}/{name}"
                for key, value in options
                if key == "conf-dir"
                for folder in value.split(",")[:1]
                for name in host.listdir(folder)
            ]
    for path in dict.fromkeys(files):
        if path.endswith(NOT_READ):
            continue
        for number, line in enumerate(host.text(path).splitlines(), 1):
            # "server=10.0.0.1#53" names a port; a comment has white space before it, or nothing.
            key, _, value = re.split(r"(?:^|\s)#", line, maxsplit=1)[0].partition("=")
            yield key.strip(), value.strip(), f"dnsmasq: {path}:{number}"


def dnsmasq_servers(host: Host, options: Iterable[tuple[str, str]], source: str) -> Iterator[Candidate]:
    """Take servers out of `server=` and `resolv-file=`; one for a single domain is no server for everything."""
    for key, value in options:
        if key == "server" and not value.startswith("/"):
            # "10.0.0.1#5353@eth0": Docker asks on port 53 only.
            address, _, port = value.partition("@")[0].partition("#")
            if port in {"", "53"}:
                yield Candidate(address.strip(), source)
        elif key == "resolv-file":
            yield from _of(parse_resolv_conf(host.text(value))[0], f"{source}: {value}")


SHORT = {"-S": "server", "-r": "resolv-file", "-C": "conf-file", "-7": "conf-dir"}


def _options(arguments: tuple[str, ...]) -> list[tuple[str, str]]:
    """Pair up the options of a running dnsmasq, in all spellings of getopt_long(3)."""
    found: list[tuple[str, str]] = []
    for n, argument in enumerate(arguments):
        key, equals, value = argument.removeprefix("--").partition("=")
        following = arguments[n + 1] if n + 1 < len(arguments) else ""
        if argument.startswith("--"):
            found.append((key, value if equals else following))
        elif argument[:2] in SHORT:
            found.append((SHORT[argument[:2]], argument[2:] or following))
    return found


def _network_manager(host: Host) -> Iterator[Candidate]:
    found = False
    for path in NETWORK_MANAGER_CONFS:
        for server in parse_resolv_conf(host.text(path))[0]:
            found = found or not is_loopback(server)
            yield Candidate(server, f"NetworkManager: {path}")
    if not found and host.exists("/run/NetworkManager"):
        # One device a paragraph, several values split by " | " (nmcli(1), --get-values).
        said = host.run("nmcli", "--get-values", "IP4.DNS", "device", "show", timeout=2).out
        yield from _of(re.findall(r"[0-9.]+", said), "NetworkManager: nmcli device show")


def _resolvconf(host: Host) -> Iterator[Candidate]:
    for folder in RESOLVCONF_FOLDERS:
        for name in host.listdir(folder):
            yield from _of(parse_resolv_conf(host.text(f"{folder}/{name}"))[0], f"resolvconf: {folder}/{name}")


def _leases(host: Host) -> Iterator[Candidate]:
    for folder, pattern in LEASE_FOLDERS:
        for name in host.listdir(folder, pattern):
            yield from _of(lease_servers(host.text(f"{folder}/{name}")), f"DHCP lease: {folder}/{name}")


def lease_servers(text: str) -> tuple[str, ...]:
    """Take the nameservers out of the newest lease, as systemd-networkd, NetworkManager or dhclient write it."""
    plain = re.findall(r"^DNS=(.*)$", text, re.MULTILINE)
    isc = re.findall(r"option domain-name-servers ([^;]*);", text)
    newest = (plain or isc or [""])[-1]
    return tuple(newest.replace(",", " ").split())

"""What the kernel was told about forwarding, by whom, and the services that rewrite networks and firewalls."""

from __future__ import annotations

import configparser
import contextlib
import fnmatch
import re
from dataclasses import dataclass

from dockerdoctor.facts.endpoint import ChosenEndpoint
from dockerdoctor.host import Host
from dockerdoctor.measure import Unmeasured, probe

# Where sysctl(8) and systemd-sysctl(8) look, the first folder's file hiding one of the same name in a later folder.
SYSCTL_FOLDERS = ("/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d")
SYSCTL_CONF = "/etc/sysctl.conf"
FORWARDING_KEY = re.compile(r"^-?net[./]ipv4[./](ip_forward|conf[./](\S+)[./]forwarding)$")


@dataclass(frozen=True, slots=True)
class Setting:
    """One line of a sysctl file about forwarding."""

    path: str
    line: int
    key: str  # "net.ipv4.ip_forward"
    value: str

    @property
    def off(self) -> bool:
        """Whether it turns forwarding off."""
        return self.value == "0"


@dataclass(frozen=True, slots=True)
class Forwarding:
    """The kernel's settings (/proc/sys/net) and the files that made them so."""

    ip_forward: str  # "1"; empty when there is no such file
    interfaces: tuple[tuple[str, str], ...] = ()  # net.ipv4.conf.NAME.forwarding
    bridge_calls_iptables: str = ""  # net.bridge.bridge-nf-call-iptables; empty without br_netfilter
    conntrack_count: int = 0
    conntrack_max: int = 0  # 0 when connections are not tracked
    settings: tuple[Setting, ...] = ()
    localnet: tuple[str, ...] = ()  # interfaces with route_localnet, by which 127.0.0.1 leads to containers
    neighbours: int = 0  # entries of the table of neighbours (ARP), over all namespaces
    neighbours_max: int = 0  # net.ipv4.neigh.default.gc_thresh3; 0 when it is not known
    neighbours_refused: int = 0  # how often the table was full since boot
    conntrack_dropped: int = 0  # packets that found no room in the table of connections, since boot
    conntrack_evicted: int = 0  # entries that made room, being unanswered
    refused_paths: int = 0  # packets that came in where their answers would not leave, since boot (rp_filter)
    strict: tuple[str, ...] = ()  # interfaces that refuse them: rp_filter is 1

    def of(self, interface: str) -> str:
        """Whether packets that come in there are forwarded."""
        return dict(self.interfaces).get(interface, "")


def read_settings(host: Host) -> tuple[Setting, ...]:
    """Find every line about forwarding, in the order in which the files are applied at boot."""
    files: dict[str, str] = {}
    for folder in reversed(SYSCTL_FOLDERS):
        files |= {name: f"{folder}/{name}" for name in host.listdir(folder, "*.conf")}
    found: dict[tuple[str, int], Setting] = {}
    for path in (*(files[name] for name in sorted(files)), SYSCTL_CONF):
        real = SYSCTL_CONF if host.readlink(path).endswith("sysctl.conf") else path
        for number, line in enumerate(host.text(real).splitlines(), 1):
            key, equals, value = (part.strip() for part in line.partition("="))
            if equals and FORWARDING_KEY.match(key):
                name = key.lstrip("-").replace("/", ".")
                found[real, number] = Setting(real, number, name, value)
    return tuple(found.values())


def statistics(table: str) -> list[dict[str, str]]:
    """Read a file of /proc/net/stat: names in the first line, then a line a processor, in hexadecimal."""
    names, *lines = [line.split() for line in table.splitlines()] or [[]]
    return [dict(zip(names, line, strict=False)) for line in lines]


def neighbours(table: str, most: int) -> tuple[int, int, int]:
    """Entries, limit and refusals, of /proc/net/stat/arp_cache."""
    rows = statistics(table)
    # Every line repeats the number of entries, which are common to all processors.
    entries = int(rows[0].get("entries", "0"), 16) if rows else 0
    return entries, most, sum(int(row.get("table_fulls", "0"), 16) for row in rows)


def refused_paths(host: Host) -> int:
    """Packets refused by rp_filter since boot: IPReversePathFilter of /proc/net/netstat, names in one line, numbers in the next."""
    lines = [line.split() for line in host.text("/proc/net/netstat").splitlines() if line.startswith("TcpExt:")]
    return int(dict(zip(*lines, strict=False)).get("IPReversePathFilter", 0)) if len(lines) == 2 else 0


def strict_paths(values: dict[str, str]) -> tuple[str, ...]:
    """Interfaces whose rp_filter is 1: the greater of their own value and that of "all" counts (ip-sysctl.rst)."""
    common = values.get("all", "0")
    return tuple(n for n, own in values.items() if n not in {"all", "default", "lo"} and max(own, common) == "1")


@probe()
def forwarding(host: Host, endpoint: ChosenEndpoint) -> Forwarding:
    """Read /proc/sys and the files of sysctl.d(5)."""
    if not endpoint.local:
        raise Unmeasured("the engine is on another host", skipped=True)

    def number(name: str) -> int:
        text = host.sysctl(name)
        return int(text) if text.isdigit() else 0

    folder = "/proc/sys/net/ipv4/conf"
    tracked = statistics(host.text("/proc/net/stat/nf_conntrack"))
    return Forwarding(
        host.sysctl("net.ipv4.ip_forward"),
        # Not through sysctl(): an interface's name may hold dots.
        tuple((name, host.text(f"{folder}/{name}/forwarding").strip()) for name in host.listdir(folder)),
        host.sysctl("net.bridge.bridge-nf-call-iptables"),
        number("net.netfilter.nf_conntrack_count"),
        number("net.netfilter.nf_conntrack_max"),
        read_settings(host),
        tuple(n for n in host.listdir(folder) if host.text(f"{folder}/{n}/route_localnet").strip() == "1"),
        *neighbours(host.text("/proc/net/stat/arp_cache"), number("net.ipv4.neigh.default.gc_thresh3")),
        conntrack_dropped=sum(int(row.get("drop", "0"), 16) for row in tracked),
        conntrack_evicted=sum(int(row.get("early_drop", "0"), 16) for row in tracked),
        refused_paths=refused_paths(host),
        strict=strict_paths({name: host.text(f"{folder}/{name}/rp_filter").strip() for name in host.listdir(folder)}),
    )


@dataclass(frozen=True, slots=True)
class Service:
    """A unit that rewrites the firewall or the interfaces."""

    name: str
    active: str  # "active", "inactive", "failed"
    enabled: str
    changed: float  # seconds since boot at which its state last changed: a start, a reload or a stop


@dataclass(frozen=True, slots=True)
class Claim:
    """A rule of a network manager that covers Docker's interfaces."""

    source: str  # "/etc/systemd/network/50-all.network:2"
    pattern: str  # "*", "Type=ether"
    manager: str  # "systemd-networkd"


@dataclass(frozen=True, slots=True)
class Managers:
    """Who else works on this host's firewall and interfaces."""

    services: tuple[Service, ...] = ()  # those that are installed
    docker: Service | None = None
    flushes: tuple[str, ...] = ()  # where nftables.service's file says "flush ruleset": "/etc/nftables.conf:3"
    nft_tables: tuple[str, ...] = ()  # that this file declares: "inet filter"
    nftables_stop_flushes: bool = False  # its ExecStop is "nft flush ruleset"
    claims: tuple[Claim, ...] = ()

    def service(self, name: str) -> Service | None:
        """One of them."""
        return next((s for s in self.services if s.name == name), None)

    @property
    def since_docker(self) -> tuple[Service, ...]:
        """Those whose state changed after dockerd had started, the latest first."""
        if not self.docker or not self.docker.changed:
            return ()
        later = [s for s in self.services if s.name in FIREWALLS and s.changed > self.docker.changed]
        return tuple(sorted(later, key=lambda s: -s.changed))

    def running(self, name: str) -> bool:
        """Whether one of them runs now."""
        one = self.service(name)
        return bool(one and one.active == "active")


FIREWALLS = (
    *("firewalld.service", "nftables.service", "netfilter-persistent.service", "iptables.service", "ufw.service"),
    *("shorewall.service", "csf.service", "apf.service", "ferm.service"),
)
NETWORK_MANAGERS = ("systemd-networkd.service", "NetworkManager.service")
SERVICE_PROPERTIES = "Id,LoadState,ActiveState,UnitFileState,StateChangeTimestampMonotonic,ActiveEnterTimestampMonotonic,ExecStop,ExecStart"
NETWORKD_FOLDERS = (
    "/etc/systemd/network",
    "/run/systemd/network",
    "/usr/local/lib/systemd/network",
    "/usr/lib/systemd/network",
)
# Interfaces as Docker names them: its bridge, a user network's, and a container's cable.
DOCKERS = ("docker0", "br-0123456789ab", "veth0123456")
NFTABLES_CONF = "/etc/nftables.conf"


def networkd_claims(name: str, text: str) -> tuple[tuple[str, ...], bool]:
    """Patterns of a .network file that cover Docker's interfaces, and whether it leaves them unmanaged."""
    parser = configparser.ConfigParser(strict=False, interpolation=None, allow_no_value=True, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # systemd's keys have capitals
    with contextlib.suppress(configparser.Error):
        parser.read_string(text, name)
    if not parser.has_section("Match"):
        return (), False
    match = dict(parser["Match"])
    patterns = (match.get("Name") or "").split()
    excluded = [p[1:] for p in patterns if p.startswith("!")]
    hits = [p for p in patterns if not p.startswith("!") and fnmatch.filter(DOCKERS, p)]
    covered = [d for d in DOCKERS if not any(fnmatch.fnmatch(d, e) for e in excluded)]
    kinds = (match.get("Type") or "").split()
    if not patterns and {"ether", "bridge", "*"} & set(kinds) and not match.keys() - {"Type"}:
        # networkctl(1) says "bridge" of docker0 and "ether" of a container's cable.
        hits = [f"Type={k}" for k in kinds]
    if not covered or (kinds and hits and patterns and not {"ether", "bridge", "*"} & set(kinds)):
        return (), False
    unmanaged = parser.has_section("Link") and str(parser["Link"].get("Unmanaged")).lower() in {
        "yes",
        "true",
        "1",
        "on",
    }
    return tuple(hits), unmanaged


def read_claims(host: Host) -> tuple[Claim, ...]:
    """Find the files that give Docker's interfaces to networkd: the first file that matches an interface counts."""
    files: dict[str, str] = {}
    for folder in reversed(NETWORKD_FOLDERS):
        files |= {name: f"{folder}/{name}" for name in host.listdir(folder, "*.network")}
    claims = []
    for name in sorted(files):
        patterns, unmanaged = networkd_claims(name, host.text(files[name]))
        if patterns and unmanaged:
            break
        claims += [Claim(files[name], pattern, "systemd-networkd") for pattern in patterns]
    return tuple(claims)


def _services(shown: str) -> dict[str, dict[str, str]]:
    blocks = [dict(line.split("=", 1) for line in text.splitlines() if "=" in line) for text in shown.split("\n\n")]
    return {b["Id"]: b for b in blocks if b.get("LoadState") == "loaded"}


def _service(block: dict[str, str], stamp: str) -> Service:
    microseconds = block.get(stamp) or "0"
    return Service(
        block["Id"],
        block.get("ActiveState", ""),
        block.get("UnitFileState", ""),
        int(microseconds) / 1e6 if microseconds.isdigit() else 0.0,
    )


@probe()
def managers(host: Host, endpoint: ChosenEndpoint) -> Managers:
    """Ask systemd once about all services that are known to work on firewalls and interfaces."""
    if not endpoint.local:
        raise Unmeasured("the engine is on another host", skipped=True)
    claims = read_claims(host)
    rules = host.text(NFTABLES_CONF)
    flushes = tuple(
        f"{NFTABLES_CONF}:{number}"
        for number, line in enumerate(rules.splitlines(), 1)
        if re.match(r"\s*flush\s+ruleset\b", line)
    )
    declared = re.findall(r"^\s*table\s+(?:(\w+)\s+)?(\w+)\s*\{", rules, re.MULTILINE)
    tables = tuple(dict.fromkeys(f"{family or 'ip'} {name}" for family, name in declared))
    if not host.exists("/run/systemd/system"):
        return Managers((), None, flushes, tables, claims=claims)
    names = ("docker.service", *FIREWALLS, *NETWORK_MANAGERS)
    blocks = _services(host.run("systemctl", "show", "--property", SERVICE_PROPERTIES, "--", *names).out)
    # A restart of dockerd writes its rules anew; a reload does not: its time is that of becoming active.
    docker = _service(blocks["docker.service"], "ActiveEnterTimestampMonotonic") if "docker.service" in blocks else None
    return Managers(
        tuple(_service(blocks[n], "StateChangeTimestampMonotonic") for n in names[1:] if n in blocks),
        docker,
        flushes,
        tables,
        "flush ruleset" in blocks.get("nftables.service", {}).get("ExecStop", ""),
        claims,
    )

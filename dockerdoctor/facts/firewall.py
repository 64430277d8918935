"""Netfilter as it is: iptables in both backends, nftables base chains, and the counters that move."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from dockerdoctor.facts.endpoint import ChosenEndpoint
from dockerdoctor.facts.ruleset import Chain, Condition, Rule, iptables_chains, iptables_flavour, nft_chains
from dockerdoctor.host import Host
from dockerdoctor.measure import Unmeasured, probe

# The rules of a machine with a hundred published ports are listed in some ten milliseconds.
LIST_TIMEOUT = 2.0
FORWARDING_HOOKS = ("prerouting", "forward", "postrouting")  # what a packet passes on its way through the host
BRIDGE_OUT = ("output", "postrouting")  # what a frame passes that this host sends to a member of its bridge
CONNTRACK = -200  # the priority at which connections begin to be tracked (linux/netfilter_ipv4.h)
ICMP_NAMES = {
    "8": ("echo-request",),
    "3": ("destination-unreachable",),
    "3/4": ("fragmentation-needed", "frag-needed"),
}
# As Docker names the bridges that it makes; of other interfaces the kind is not known here.
DOCKER_BRIDGE = re.compile(r"docker\d+|br-[0-9a-f]{12}")
# Chains that call each other in a circle are refused by the kernel; the limit is there for saved facts that lie.
MAX_DEPTH = 32


NO_PROCESS = "-"


@dataclass(frozen=True, slots=True)
class Packet:
    """The first packet of a connection; what is left empty is not known."""

    in_interface: str = ""
    out_interface: str = ""
    protocol: str = ""
    dport: int = 0
    source: str = ""
    destination: str = ""
    state: str = "NEW"
    local: bool | None = None  # whether it goes to an address of this host
    icmp: str = "8"  # "type" or "type/code"; an echo request
    uid: str = ""  # of the sending process; NO_PROCESS for what is forwarded
    dnat: bool | None = None  # whether its connection was given another destination

    def answer(self) -> Packet:
        """The packet that comes back."""
        return Packet(
            self.out_interface,
            self.in_interface,
            self.protocol,
            0,
            self.destination,
            self.source,
            "ESTABLISHED",
            False,
            uid=self.uid,
            dnat=self.dnat,
        )


# Engine 28 and newer keep out who would reach a container past its published ports, before any other rule is met
# (moby/moby#48724): `-d 172.17.0.2/32 ! -i docker0 -j DROP`, `-d 127.0.0.1/32 ! -i lo -p tcp --dport 80 -j DROP`.
DIRECT_ACCESS = re.compile(r"-d \S+ ! -i \S+( -p \w+( -m \w+)? --dport \d+)? -j DROP")


@dataclass(frozen=True, slots=True)
class Drop:
    """Where a packet is dropped or rejected."""

    chain: Chain
    rule: Rule | None  # None: the chain's policy
    certain: bool  # False: the rule has conditions that depend on more than is known of the packet
    path: tuple[str, ...]  # the chains that led there, the base chain first
    packets: int = 0  # that it dropped while the probe containers ran

    @property
    def sure(self) -> bool:
        """Whether it is read from the rules, or was seen to happen."""
        return self.certain or self.packets > 0

    @property
    def dockers(self) -> bool:
        """Whether dockerd wrote it."""
        if self.chain.dockers or self.rule is None:
            return self.chain.dockers
        return self.chain.table == "raw" and DIRECT_ACCESS.fullmatch(self.rule.text) is not None

    @property
    def somewhere(self) -> bool:
        """Whether it is on a device that nft did not tell, as older ones do not in JSON."""
        return self.chain.family == "netdev" and not self.chain.devices

    @property
    def text(self) -> str:
        """The rule as its tool prints it."""
        if self.rule is None:
            return f"policy {self.chain.policy}"
        prefix = f"-A {self.chain.name} " if self.chain.backend != "nftables" else ""
        return prefix + self.rule.text

    @property
    def delete(self) -> str:
        """The command that takes the rule away, or turns the policy to accept."""
        chain = self.chain
        if chain.backend == "nftables":
            if self.rule:
                return f"nft delete rule {chain.family} {chain.table} {chain.name} handle {self.rule.handle}"
            return f"nft chain {chain.family} {chain.table} {chain.name} '{{ policy accept ; }}'"
        program = chain.backend if chain.table == "filter" else f"{chain.backend} -t {chain.table}"
        return f"{program} -D {chain.name} {self.rule.text}" if self.rule else f"{program} -P {chain.name} ACCEPT"


@dataclass(frozen=True, slots=True)
class Firewall:
    """Every chain that IPv4 packets pass on this host."""

    chains: tuple[Chain, ...]
    flavour: str = ""  # of the iptables command: "nf_tables", "legacy", or nothing before 1.8 (then legacy)
    iptables: bool = True  # the iptables command is there
    nft: bool = True  # the nft command is there

    def chain(self, table: str, name: str, backend: str = "iptables", family: str = "ip") -> Chain | None:
        """One chain."""
        wanted = (backend, family, table, name)
        return next((c for c in self.chains if (c.backend, c.family, c.table, c.name) == wanted), None)

    def base(self, hook: str) -> tuple[Chain, ...]:
        """The chains on a hook of IPv4, in the order that packets pass them."""
        found = (c for c in self.chains if c.hook == hook and c.family in {"ip", "inet"})
        return tuple(sorted(found, key=lambda c: c.priority))

    def beneath(self, device: str, *, incoming: bool) -> tuple[Chain, ...]:
        """Chains that a frame passes below IPv4: those on its device, and those of the bridge it crosses."""
        on_device, of_bridges = ("ingress", ("prerouting", "input")) if incoming else ("egress", BRIDGE_OUT)
        return tuple(
            c
            for c in self.chains
            if (c.family == "netdev" and c.hook == on_device and (device in c.devices or not c.devices))
            or (c.family == "bridge" and c.hook in of_bridges)
        )

    @property
    def legacy(self) -> tuple[Chain, ...]:
        """Chains of the backend that the iptables command does not show, where they hold anything."""
        return tuple(c for c in self.chains if c.backend == "iptables-legacy" and (c.rules or c.policy == "DROP"))

    @property
    def nftables_backend(self) -> bool:
        """Whether dockerd keeps its rules in nftables tables of its own (Engine 29, "firewall-backend")."""
        return any(c.backend == "nftables" and c.table.startswith("docker-") for c in self.chains)


@dataclass(frozen=True, slots=True)
class Moved:
    """Rules and policies that dropped packets while the probe containers asked their questions."""

    drops: tuple[tuple[str, str, int], ...] = ()  # (chain's label, rule's text or "policy", packets)

    def by(self, chain: Chain, rule: Rule | None) -> int:
        """How many packets one of them dropped."""
        key = (chain.label, rule.text if rule else "policy")
        return sum(packets for label, text, packets in self.drops if (label, text) == key)


# -- walking the rules


def _in_network(address: str, networks: tuple[str, ...]) -> bool | None:
    try:
        return any(_within(ipaddress.ip_address(address), n) for n in networks)
    except ValueError:
        return None


def _within(address: ipaddress.IPv4Address | ipaddress.IPv6Address, network: str) -> bool:
    """Whether an address lies in "10.0.0.0/8", or in a range of nftables': "10.0.0.1:10.0.0.9"."""
    low, _, high = network.partition(":")
    if "." in low and high:
        return int(ipaddress.IPv4Address(low)) <= int(address) <= int(ipaddress.IPv4Address(high))
    return address in ipaddress.ip_network(network, strict=False)


def _in_ports(port: int, ranges: tuple[str, ...]) -> bool | None:
    for one in ranges:
        low, _, high = one.partition(":")
        if not low.isdigit():
            return None
        if int(low) <= port <= int(high or low):
            return True
    return False


def _named(interface: str, patterns: tuple[str, ...]) -> bool:
    return any(interface.startswith(p[:-1]) if p.endswith("+") else interface == p for p in patterns)


def holds(condition: Condition, packet: Packet) -> bool | None:
    """Whether a packet meets a condition; None when that depends on more than is known."""
    met: bool | None = None
    key, values = condition.key, condition.values
    if key in {"in", "out"}:
        interface = packet.in_interface if key == "in" else packet.out_interface
        met = _named(interface, values) if interface else None
    elif key in {"source", "destination"}:
        address = packet.source if key == "source" else packet.destination
        met = _in_network(address, values) if address else None
    elif key == "protocol":
        met = packet.protocol in values or "all" in values if packet.protocol else None
    elif key == "dport":
        met = _in_ports(packet.dport, values) if packet.dport else None
        if packet.protocol not in {"tcp", "udp", ""}:
            met = False
    elif key == "state":
        # DNAT and SNAT stand beside NEW and the like; who is given another source is not known here.
        unknown = "SNAT" in values or ("DNAT" in values and packet.dnat is None)
        met = packet.state in values or ("DNAT" in values and packet.dnat) or (None if unknown else False)
    elif key == "direction":
        met = ("reply" if packet.state == "ESTABLISHED" else "original") in values
    elif key in {"inkind", "outkind"}:
        interface = packet.in_interface if key == "inkind" else packet.out_interface
        met = "bridge" in values if DOCKER_BRIDGE.fullmatch(interface) else None
    elif key == "icmp":
        kind = packet.icmp.partition("/")[0]
        names = {packet.icmp, kind, "any", *ICMP_NAMES.get(packet.icmp, ()), *ICMP_NAMES.get(kind, ())}
        met = packet.protocol == "icmp" and bool(names & set(values))
    elif key == "uid":
        met = packet.uid in values or (packet.uid == "0" and "root" in values) if packet.uid else None
    elif key == "family":
        met = bool({"ip", "ipv4"} & set(values))
    elif key == "local":
        met = packet.local if values == ("LOCAL",) else None
    return met if met is None else met is not condition.negated


def matches(rule: Rule, packet: Packet) -> bool | None:
    """Whether a packet meets all conditions of a rule; None when it may."""
    met = [holds(c, packet) for c in rule.conditions]
    if False in met:
        return False
    return None if None in met else True


@dataclass
class _Walk:
    """One packet on its way through the chains of one table."""

    chains: dict[str, Chain]
    packet: Packet
    doubt: bool = False  # a rule that may have matched would have let it pass
    suspects: list[Drop] = field(default_factory=list)  # rules that may drop it

    def through(self, chain: Chain, path: tuple[str, ...], *, maybe: bool = False) -> Drop | str:
        """Return the Drop, "ACCEPT" (or another final verdict), or "" when the packet leaves the chain at its end."""
        path = (*path, chain.name)
        for rule in chain.rules if len(path) < MAX_DEPTH else ():
            match = matches(rule, self.packet)
            if match is False:
                continue
            unsure = maybe or match is None
            end: Drop | str = rule.verdict
            if rule.jump and rule.jump in self.chains:
                end = self.through(self.chains[rule.jump], path, maybe=unsure)
                if rule.goto and not end:
                    end = "RETURN"
            elif rule.verdict in {"DROP", "REJECT"}:
                end = Drop(chain, rule, not (self.doubt or unsure), path)
            if not end:
                continue
            if not unsure:
                return "" if end == "RETURN" else end
            if isinstance(end, Drop):
                self.suspects.append(end)
            elif end != "RETURN" or rule.verdict:
                self.doubt = True
        return ""


def verdict(firewall: Firewall, base: Chain, packet: Packet) -> tuple[Drop | str, tuple[Drop, ...]]:
    """What one base chain does with a packet: a Drop or a final verdict, and the rules that may drop it earlier."""
    chains = {
        c.name: c for c in firewall.chains if (c.backend, c.family, c.table) == (base.backend, base.family, base.table)
    }
    walk = _Walk(chains, packet)
    end = walk.through(base, ())
    if not end:
        end = Drop(base, None, not walk.doubt, (base.name,)) if base.policy == "DROP" else "ACCEPT"
    return end, tuple(walk.suspects)


def drops(firewall: Firewall, hook: str, packet: Packet, moved: Moved | None = None) -> tuple[Drop, ...]:
    """
    Name what drops a packet on a hook, the surest first.

    Every base chain on the hook has its say: an accept in one does not undo a drop in another (nft(8)). A rule whose
    conditions are not all known is named with `certain=False`; `sure` tells whether it dropped anything.
    """
    return dropped_by(firewall, firewall.base(hook), packet, moved)


def dropped_by(
    firewall: Firewall, bases: tuple[Chain, ...], packet: Packet, moved: Moved | None = None
) -> tuple[Drop, ...]:
    """The same for some base chains."""
    found: list[Drop] = []
    for base in bases:
        end, suspects = verdict(firewall, base, packet)
        found += [*suspects, *([end] if isinstance(end, Drop) else [])]
        if isinstance(end, Drop) and end.certain:
            break
    counted = [Drop(d.chain, d.rule, d.certain, d.path, moved.by(d.chain, d.rule) if moved else 0) for d in found]
    return tuple(sorted(counted, key=lambda d: (not d.sure, not d.certain)))


def dropped_on_the_way(firewall: Firewall, packet: Packet, moved: Moved | None = None) -> tuple[Drop, ...]:
    """Name what drops a forwarded packet or the answer to it, the surest first."""
    found: list[Drop] = []
    for one in (packet, packet.answer()):
        for hook in FORWARDING_HOOKS:
            # Each hook knows one interface only, but for FORWARD.
            seen = replace(
                one,
                in_interface="" if hook == "postrouting" else one.in_interface,
                out_interface="" if hook == "prerouting" else one.out_interface,
            )
            found += drops(firewall, hook, seen, moved)
        # Below IPv4 interfaces have other names: the bridge's is that of a container's cable there.
        frame = replace(one, in_interface="", out_interface="")
        for device, incoming in ((one.in_interface, True), (one.out_interface, False)):
            below = dropped_by(firewall, firewall.beneath(device, incoming=incoming), frame, moved)
            found += [replace(d, certain=d.certain and not d.somewhere) for d in below]
    return tuple(sorted(found, key=lambda d: (not d.sure, not d.certain)))


def met(firewall: Firewall, base: Chain, packet: Packet) -> Iterator[tuple[Chain, Rule, bool | None]]:
    """The rules that a packet meets, or may meet (None), in a base chain and those it leads to."""
    names = {
        c.name: c for c in firewall.chains if (c.backend, c.family, c.table) == (base.backend, base.family, base.table)
    }
    queue, seen = [base], {base.name}
    while queue:
        chain = queue.pop(0)
        for rule in chain.rules:
            match = matches(rule, packet)
            if match is False:
                continue
            yield chain, rule, match
            if rule.jump in names and rule.jump not in seen:
                seen.add(rule.jump)
                queue.append(names[rule.jump])


def in_order(firewall: Firewall, base: Chain, packet: Packet) -> Iterator[tuple[Chain, Rule, bool | None]]:
    """The same as `met`, in the order in which the packet meets them, as far as it surely goes."""
    chains = {
        c.name: c for c in firewall.chains if (c.backend, c.family, c.table) == (base.backend, base.family, base.table)
    }

    def walk(chain: Chain, depth: int) -> Iterator[tuple[Chain, Rule, bool | None]]:
        for rule in chain.rules if depth < MAX_DEPTH else ():
            match = matches(rule, packet)
            if match is False:
                continue
            yield chain, rule, match
            if rule.jump in chains:
                yield from walk(chains[rule.jump], depth + 1)
            if match and (rule.verdict == "RETURN" or (rule.goto and rule.jump)):
                return

    return walk(base, 0)


def translated(firewall: Firewall, packet: Packet) -> Rule | None:
    """The rule that gives a forwarded packet the host's own address, or may do so."""
    for base in firewall.base("postrouting"):
        for chain, rule, match in met(firewall, base, packet):
            if rule.verdict in {"MASQUERADE", "SNAT"}:
                return rule
            # The other chains of the hook have their say all the same.
            if match and (rule.verdict == "ACCEPT" or (rule.verdict == "RETURN" and chain == base)):
                break
    return None


def redirected(firewall: Firewall, packet: Packet) -> tuple[Chain, Rule] | None:
    """The rule that gives a packet another destination before it is routed; the first that surely matches decides."""
    seen = replace(packet, out_interface="")
    for base in firewall.base("prerouting"):
        for chain, rule, match in met(firewall, base, seen):
            if rule.verdict in {"DNAT", "REDIRECT"} and match and not chain.dockers:
                return chain, rule
    return None


def untracked(firewall: Firewall, packet: Packet) -> tuple[tuple[Chain, Rule], ...]:
    """The rules that keep a forwarded packet from being tracked, and so from being translated."""
    seen = replace(packet, out_interface="")
    return tuple(
        (chain, rule)
        for base in firewall.base("prerouting")
        if base.priority < CONNTRACK
        for chain, rule, match in met(firewall, base, seen)
        if rule.untracks and match
    )


# -- reading them


def read_firewall(host: Host) -> Firewall:
    """List the rules of every backend in use; modules of the kernel that nobody uses stay unloaded."""
    saved = host.run("iptables-save", "-c", timeout=LIST_TIMEOUT)
    listed = host.run("nft", "-j", "list", "ruleset", timeout=LIST_TIMEOUT)
    if not saved.ok and not listed.ok:
        reason = saved.err.strip() or listed.err.strip()
        raise Unmeasured(f"the firewall's rules cannot be read: {reason}", how="install iptables or nftables")
    flavour = iptables_flavour(saved.out)
    chains = iptables_chains(saved.out)
    known = frozenset((c.table, c.name) for c in chains) if flavour == "nf_tables" else frozenset()
    other: tuple[Chain, ...] = ()
    # NOTE: listing a table that is not in this file would load its module, and with it make a second firewall. The
    # other way round, rules that iptables-nft wrote appear among nftables' own.
    if flavour == "nf_tables" and host.text("/proc/net/ip_tables_names").strip():
        other = iptables_chains(host.run("iptables-legacy-save", "-c", timeout=LIST_TIMEOUT).out, "iptables-legacy")
    return Firewall((*chains, *nft_chains(listed.out, without=known), *other), flavour, saved.ok, listed.ok)


@probe(deadline=5)
def firewall(host: Host, endpoint: ChosenEndpoint) -> Firewall:
    """Read all rules with their counters."""
    if not endpoint.local:
        raise Unmeasured("the engine is on another host", skipped=True)
    if not host.is_root:
        raise Unmeasured("only root may read the firewall's rules", how="run as root")
    return read_firewall(host)

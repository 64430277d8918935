"""Netfilter rules as data: what `iptables-save` and `nft -j list ruleset` print, read into one form. Pure."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

# Verdicts that end a packet's way through a chain; all else lets it go on (LOG, MARK, TCPMSS, counters).
FINAL = frozenset({"ACCEPT", "DROP", "REJECT", "RETURN", "QUEUE", "MASQUERADE", "SNAT", "DNAT", "REDIRECT"})
# Built-in chains of iptables: the hook behind each, and the tables' order there (linux/netfilter_ipv4.h).
HOOKS = {n: n.lower() for n in ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")}
PRIORITIES = {"raw": -300, "mangle": -150, "nat": -100, "filter": 0, "security": 50}
STATES = frozenset({"NEW", "ESTABLISHED", "RELATED", "INVALID", "UNTRACKED"})


@dataclass(frozen=True, slots=True)
class Condition:
    """What a rule asks of a packet: one of the values, or none of them."""

    key: str  # "in", "out", "source", "destination", "protocol", "dport", "state", "direction", "icmp", "local",
    # "uid", "inkind", "outkind"; "?" is beyond us
    values: tuple[str, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: its conditions, and what becomes of packets that meet all of them."""

    text: str  # as the tool prints it
    conditions: tuple[Condition, ...] = ()
    verdict: str = ""  # one of FINAL; empty when the packet goes on
    jump: str = ""  # the chain to walk through
    goto: bool = False
    target: str = ""  # the target's own name: "TCPMSS"
    packets: int = 0
    handle: int = 0  # nftables only
    counted: bool = True  # whether `packets` is told at all: nftables counts only where it is asked to

    @property
    def untracks(self) -> bool:
        """Whether packets that meet it are kept from conntrack, or tracked apart, and with it from all translation of addresses."""
        own = "--notrack" in self.text or "--zone" in self.text
        return self.target in {"notrack", "NOTRACK"} or (self.target == "CT" and own)


@dataclass(frozen=True, slots=True)
class Chain:
    """One chain of one table."""

    backend: str  # "iptables": as the iptables command shows it; "iptables-legacy": the other one; "nftables"
    family: str  # "ip", "inet"; "bridge" and "netdev" see frames before and beside them
    table: str
    name: str
    hook: str = ""  # "forward"; empty for a chain that is only jumped to
    priority: int = 0
    policy: str = ""  # "ACCEPT", "DROP"
    policy_packets: int = 0
    rules: tuple[Rule, ...] = ()
    devices: tuple[str, ...] = ()  # of a netdev chain

    @property
    def label(self) -> str:
        """As evidence names it."""
        kind = {"iptables": "iptables -t", "iptables-legacy": "iptables-legacy -t", "nftables": f"nft {self.family}"}
        return f"{kind[self.backend]} {self.table}, chain {self.name}"

    @property
    def dockers(self) -> bool:
        """Whether dockerd made it; DOCKER-USER is the user's (Engine 29 can make nftables tables "docker-bridges")."""
        if self.backend == "nftables" and self.table.startswith("docker-"):
            return True
        return self.name.startswith("DOCKER") and self.name != "DOCKER-USER"


# -- iptables-save

OPTIONS = {
    **dict.fromkeys(("-i", "--in-interface"), "in"),
    **dict.fromkeys(("-o", "--out-interface"), "out"),
    **dict.fromkeys(("-s", "--source"), "source"),
    **dict.fromkeys(("-d", "--destination"), "destination"),
    **dict.fromkeys(("-p", "--protocol"), "protocol"),
    **dict.fromkeys(("--dport", "--dports", "--destination-port", "--destination-ports"), "dport"),
    **dict.fromkeys(("--ctstate", "--state"), "state"),
    "--icmp-type": "icmp",
    "--dst-type": "local",
    "--uid-owner": "uid",
}
# Say nothing about the packet.
REMARKS = frozenset({"-m", "--match", "--comment"})


def iptables_rule(spec: str, packets: int) -> Rule:
    """Read what stands behind "-A CHAIN"."""
    words = shlex.split(spec)
    conditions: list[Condition] = []
    negated = False
    at = 0
    while at < len(words):
        word = words[at]
        value = words[at + 1] if at + 1 < len(words) else ""
        if word in {"-j", "-g", "--jump", "--goto"}:
            target = {"NFQUEUE": "QUEUE"}.get(value, value)
            final = target if target in FINAL else ""
            # Extensions have upper-case names as most chains do; only the ruleset tells which it is: see `jumps`.
            return Rule(spec, tuple(conditions), final, goto=word in {"-g", "--goto"}, target=value, packets=packets)
        if word == "!":
            negated = True
            at += 1
            continue
        if word in REMARKS:
            at += 2
        elif word in OPTIONS:
            conditions.append(Condition(OPTIONS[word], tuple(value.split(",")), negated))
            at += 2
        else:
            conditions.append(Condition("?", (word,), negated))
            at += 1
            while at < len(words) and not words[at].startswith("-") and words[at] != "!":
                at += 1
        negated = False
    return Rule(spec, tuple(conditions), packets=packets)


def iptables_chains(text: str, backend: str = "iptables") -> tuple[Chain, ...]:
    """Read the output of `iptables-save -c`; tables that it cannot show are comments there, and left out."""
    chains: dict[tuple[str, str], Chain] = {}
    rules: dict[tuple[str, str], list[Rule]] = {}
    table = ""
    for line in text.splitlines():
        if line.startswith("*"):
            table = line[1:].strip()
        elif declared := re.match(r":(\S+) (\S+) \[(\d+):", line):
            name, policy, packets = declared.groups()
            hook = HOOKS.get(name, "") if policy != "-" else ""
            priority = 100 if (table, hook) == ("nat", "postrouting") else PRIORITIES.get(table, 0)
            chains[table, name] = Chain(
                backend, "ip", table, name, hook, priority, policy if hook else "", int(packets) if hook else 0
            )
        elif rule := re.match(r"\[(\d+):\d+\] -A (\S+) ?(.*)", line):
            rules.setdefault((table, rule[2]), []).append(iptables_rule(rule[3], int(rule[1])))
    return tuple(
        replace(chain, rules=tuple(_with_jump(r, t, chains) for r in rules.get((t, name), ())))
        for (t, name), chain in chains.items()
    )


def _with_jump(rule: Rule, table: str, chains: dict[tuple[str, str], Chain]) -> Rule:
    return replace(rule, jump=rule.target) if (table, rule.target) in chains else rule


def iptables_flavour(text: str) -> str:
    """Which kernel interface the iptables command uses: "nf_tables", "legacy", or nothing for versions before 1.8."""
    match = re.search(r"^# Generated by ip\w*tables(?:-\w+)*-save v\S+ (?:\((\w+)\) )?on ", text, re.MULTILINE)
    return (match.group(1) or "") if match else ""


# -- nft -j list ruleset

NFT_META = {
    "iifname": "in",
    "oifname": "out",
    "iif": "in",
    "oif": "out",
    "l4proto": "protocol",
    "skuid": "uid",
    "iifkind": "inkind",
    "oifkind": "outkind",
}
NFT_CT = {"state": "state", "direction": "direction"}
NFT_PAYLOAD = {("ip", "saddr"): "source", ("ip", "daddr"): "destination", ("ip", "protocol"): "protocol"}
NFT_FAMILIES = frozenset({"ip", "inet", "bridge", "netdev"})
# Named sets of one table, and what they hold.
Sets = Mapping[str, list[Any]]
NFT_VERDICTS = frozenset({"accept", "drop", "reject", "return", "queue", "masquerade", "snat", "dnat", "redirect"})


def _nft_value(value: Any) -> str:
    if isinstance(value, dict):
        if "elem" in value:  # an element with a timeout, a counter or a comment
            return _nft_value(value["elem"].get("val"))
        if "prefix" in value:
            return f"{value['prefix']['addr']}/{value['prefix']['len']}"
        if "range" in value:
            return ":".join(str(v) for v in value["range"])
        return json.dumps(value)
    return str(value)


def _nft_values(right: Any, sets: Sets) -> tuple[str, ...]:
    if isinstance(right, str) and right.startswith("@"):
        right = {"set": sets.get(right[1:], [right])}
    if isinstance(right, dict) and isinstance(right.get("set"), list):
        right = right["set"]
    return tuple(_nft_value(v) for v in right) if isinstance(right, list) else (_nft_value(right),)


def _nft_left(left: Any) -> tuple[str, str]:
    """Name what is compared: our key for it, and nft's words."""
    if isinstance(left, dict):
        if meta := left.get("meta"):
            key = str(meta.get("key"))
            if key in {"protocol", "nfproto"}:
                return "family", f"meta {key}"
            return NFT_META.get(key, "?"), key if key in {"iifname", "oifname", "iif", "oif"} else f"meta {key}"
        if payload := left.get("payload"):
            protocol, name = str(payload.get("protocol")), str(payload.get("field"))
            if (protocol, name) == ("ether", "type"):
                return "family", "ether type"
            key = "dport" if name == "dport" else NFT_PAYLOAD.get((protocol, name), "?")
            return ("icmp" if (protocol, name) == ("icmp", "type") else key), f"{protocol} {name}"
        if ct := left.get("ct"):
            return NFT_CT.get(str(ct.get("key")), "?"), f"ct {ct.get('key')}"
        return "?", next(iter(left), "")
    return "?", str(left)


def _nft_match(match: Any, sets: Sets) -> tuple[list[Condition], str]:
    key, words = _nft_left(match.get("left"))
    values = _nft_values(match.get("right"), sets)
    operator = str(match.get("op") or "==")
    negated = operator == "!="
    if operator not in {"==", "!=", "in"} or any(v.startswith("@") for v in values):
        key = "?"
    if words == "ct status" and values == ("dnat",):
        key = "state"
    if key == "state":
        values = tuple(v.upper() for v in values)
    if key in {"in", "out"}:
        values = tuple(v.removesuffix("*") + "+" if v.endswith("*") else v for v in values)
    conditions = [Condition(key, values, negated)]
    protocol = words.partition(" ")[0]
    if key == "dport" and protocol in {"tcp", "udp"}:
        conditions.append(Condition("protocol", (protocol,)))
    right = match.get("right")
    shown = values[0] if len(values) == 1 else "{ " + ", ".join(values) + " }"
    shown = right if isinstance(right, str) and right.startswith("@") else shown
    return conditions, f"{words} {'!= ' if negated else ''}{shown}"


def _listed(value: Any) -> list[Any]:
    """One or several, as a list."""
    return value if isinstance(value, list) else [value]


def _nft_apart(rule: dict[str, Any], sets: Sets) -> Iterator[dict[str, Any]]:
    """A rule that compares several things at once, `iifname . oifname { … }`, as one rule for each of the combinations."""
    expressions = rule.get("expr") or []
    for at, expression in enumerate(expressions):
        match: Any = expression.get("match") if isinstance(expression, dict) else None
        left = match.get("left") if match else None
        parts = left.get("concat") if isinstance(left, dict) else None
        if not parts or match.get("op") not in {"==", "in", None}:
            continue
        right = match.get("right")
        right = sets.get(right[1:]) if isinstance(right, str) and right.startswith("@") else right
        right = right["set"] if isinstance(right, dict) and isinstance(right.get("set"), list) else right
        held = [x["elem"].get("val") if isinstance(x, dict) and "elem" in x else x for x in _listed(right)]
        values = [x.get("concat") if isinstance(x, dict) else None for x in held]
        if not values or not all(v and len(v) == len(parts) for v in values):
            break  # a set that is not told, or another form
        for one in values:
            each = [{"match": {"op": "==", "left": x, "right": y}} for x, y in zip(parts, one or (), strict=True)]
            yield {**rule, "expr": [*expressions[:at], *each, *expressions[at + 1 :]]}
        return
    yield rule


def nft_rules(rule: dict[str, Any], sets: Sets = MappingProxyType({})) -> Iterator[Rule]:
    """Read one rule of nft's JSON; a verdict map on an interface becomes one rule for each of its entries."""
    for one in _nft_apart(rule, sets):
        yield from _nft_rule(one, sets)


def _nft_rule(rule: dict[str, Any], sets: Sets) -> Iterator[Rule]:
    conditions: list[Condition] = []
    words: list[str] = []
    packets, handle, counted, target = 0, int(rule.get("handle") or 0), False, ""
    kind: str
    body: Any
    for expression in rule.get("expr") or ():
        ((kind, body),) = expression.items() if isinstance(expression, dict) else ((str(expression), None),)
        if kind == "match":
            more, said = _nft_match(body, sets)
            conditions += more
            words.append(said)
        elif kind == "counter":
            packets, counted = int(body.get("packets") or 0) if isinstance(body, dict) else 0, True
        elif kind in NFT_VERDICTS:
            to = body.get("addr") if isinstance(body, dict) else None
            text = " ".join([*words, kind, *(["to", to] if isinstance(to, str) else ())])
            yield Rule(text, tuple(conditions), kind.upper(), "", False, kind, packets, handle, counted)
            return
        elif kind in {"jump", "goto"}:
            text = " ".join([*words, kind, body["target"]])
            yield Rule(text, tuple(conditions), "", body["target"], kind == "goto", kind, packets, handle, counted)
            return
        elif kind == "vmap":
            yield from _nft_map(body, conditions, words, handle, sets)
            return
        elif kind == "xt" and isinstance(body, dict) and body.get("type") == "target":
            name = str(body.get("name"))
            verdict = name if name in FINAL else ""
            yield Rule(" ".join([*words, name]), tuple(conditions), verdict, "", False, name, packets, handle, counted)
            return
        elif kind in {"xt", "limit", "lookup", "quota"}:
            conditions.append(Condition("?", (kind,)))
            words.append(str(body.get("name") or kind) if isinstance(body, dict) else kind)
        else:
            words.append(_nft_changed(body) if kind == "mangle" else kind)
            target = kind
    yield Rule(" ".join(words), tuple(conditions), "", "", False, target, packets, handle, counted)


def _nft_changed(body: Any) -> str:
    """What a rule changes in the packet itself, "ip ttl set 1"; a mark is none of the packet's."""
    key = body.get("key") if isinstance(body, dict) else None
    payload = key.get("payload") if isinstance(key, dict) else None
    return f"{payload.get('protocol')} {payload.get('field')} set {body.get('value')}" if payload else "mangle"


def _nft_map(body: Any, conditions: list[Condition], words: list[str], handle: int, sets: Sets) -> Iterator[Rule]:
    key, said = _nft_left(body.get("key"))
    data = body.get("data")
    entries = data.get("set") if isinstance(data, dict) else None
    if isinstance(data, str) and data.startswith("@"):
        entries = sets.get(data[1:])
    if not isinstance(entries, list):
        yield Rule(" ".join([*words, said, "vmap", str(data)]), (*conditions, Condition("?", ("vmap",))), "QUEUE")
        return
    for value, verdict in entries:
        ((kind, target),) = verdict.items()
        values = tuple(v.upper() if key == "state" else v for v in _nft_values(value, sets))
        to = target["target"] if isinstance(target, dict) else ""
        yield Rule(
            " ".join([*words, said, "vmap", *values, ":", kind, to]).strip(),
            (*conditions, Condition(key, values)),
            "" if to else kind.upper(),
            to,
            kind == "goto",
            kind,
            0,
            handle,
            counted=False,
        )


def nft_chains(text: str, *, without: frozenset[tuple[str, str]] = frozenset()) -> tuple[Chain, ...]:
    """Read the output of `nft -j list ruleset`: all that IPv4 passes, but the (table, chain)s known from iptables."""
    try:
        items = json.loads(text).get("nftables", [])
    except ValueError:
        return ()
    chains: dict[tuple[str, str, str], Chain] = {}
    rules: dict[tuple[str, str, str], list[Rule]] = {}
    sets: dict[tuple[str, str], dict[str, list[Any]]] = {}
    for item in items:  # nft lists a table's sets before its rules
        if chain := item.get("chain"):
            key = (chain["family"], chain["table"], chain["name"])
            if key[0] not in NFT_FAMILIES or (key[0] == "ip" and key[1:] in without):
                continue
            chains[key] = _nft_chain(chain, key)
        elif held := item.get("set") or item.get("map"):
            table = sets.setdefault((held["family"], held["table"]), {})
            table[str(held.get("name"))] = held.get("elem") or []
        elif rule := item.get("rule"):
            key = (rule["family"], rule["table"], rule["chain"])
            rules.setdefault(key, []).extend(nft_rules(rule, sets.get(key[:2], {})))
    return tuple(replace(chain, rules=tuple(rules.get(key, ()))) for key, chain in chains.items())


def _nft_chain(chain: dict[str, Any], key: tuple[str, str, str]) -> Chain:
    priority, devices = chain.get("prio"), chain.get("dev") or ()
    return Chain(
        "nftables",
        *key,
        str(chain.get("hook") or ""),
        priority if isinstance(priority, int) else 0,
        str(chain.get("policy") or "").upper(),
        devices=tuple(map(str, [devices] if isinstance(devices, str) else devices)),
    )

"""Which rules of the firewall dropped packets while the probe containers asked their questions."""

from __future__ import annotations

from dockerdoctor.facts.firewall import Firewall, Moved, read_firewall
from dockerdoctor.facts.inside import Inside
from dockerdoctor.facts.ruleset import Chain, Rule
from dockerdoctor.host import Host
from dockerdoctor.measure import probe


def _counters(firewall: Firewall) -> dict[tuple[str, str], int]:
    counted: dict[tuple[str, str], int] = {}

    def add(chain: Chain, rule: Rule | None, packets: int) -> None:
        key = (chain.label, rule.text if rule else "policy")
        counted[key] = counted.get(key, 0) + packets

    for chain in firewall.chains:
        if chain.policy == "DROP":
            add(chain, None, chain.policy_packets)
        for rule in chain.rules:
            if rule.verdict in {"DROP", "REJECT"}:
                add(chain, rule, rule.packets)
    return counted


def difference(before: Firewall, after: Firewall) -> Moved:
    """What was dropped in between. A rule that is new counts in full; one that is gone tells nothing."""
    old = _counters(before)
    now = _counters(after)
    return Moved(tuple((*key, n - old.get(key, 0)) for key, n in now.items() if n > old.get(key, 0)))


@probe(deadline=5)
def moved(host: Host, before: Firewall, inside: Inside) -> Moved:  # noqa: ARG001 - it is read after the questions
    """Read the rules again once the questions are answered."""
    return difference(before, read_firewall(host))

"""Whether containers on one bridge reach each other."""

from __future__ import annotations

from dockerdoctor.checks.reach import manages_iptables, somebody
from dockerdoctor.examine import check, failed, passed, skipped
from dockerdoctor.facts.containers import Network, Networks
from dockerdoctor.facts.daemon_json import DaemonJson
from dockerdoctor.facts.firewall import Drop, Firewall, Packet, dropped_by, drops
from dockerdoctor.facts.forwarding import Forwarding
from dockerdoctor.model import Evidence, Finding, Severity


@check(
    "network.bridge-filter",
    title="Containers on the same bridge reach each other",
    severity=Severity.ERROR,
    docs="https://docs.kernel.org/networking/bridge.html",
    upstream=(
        *("network.docker-chains", "network.iptables-off", "network.forward-drop", "network.docker-user"),
        *("network.nft-drop", "network.iptables-split"),
    ),
)
def bridge_filter(firewall: Firewall, networks: Networks, kernel: Forwarding, config: DaemonJson | None) -> Finding:
    """
    Frames between two containers on one bridge pass nftables' family bridge, and FORWARD too with br_netfilter loaded.

    Why it matters: ARP answers, and everything else between neighbours times out.
    How to fix: accept what stays on the bridge.
    """
    if networks.elsewhere:
        return skipped(networks.elsewhere)
    struck: list[tuple[Network, Drop]] = []
    calls = kernel.bridge_calls_iptables == "1"
    frames = tuple(c for c in firewall.chains if c.family == "bridge" and c.hook == "forward")
    if not calls and not frames:
        return skipped("frames that stay on a bridge pass no rules")
    for network in networks.bridges:
        if dict(network.options).get("com.docker.network.bridge.enable_icc") == "false":
            continue
        # The cables have names of their own, which a frame's rules see, and FORWARD the bridge's.
        frame = Packet("", "", "tcp", 0, somebody(network), somebody(network), local=False)
        near = Packet(network.bridge, network.bridge, "tcp", 0, somebody(network), somebody(network), local=False)
        found = [*(drops(firewall, "forward", near) if calls else ()), *dropped_by(firewall, frames, frame)]
        struck += [(network, d) for d in found if d.certain and not d.dockers][:1]
    if not struck:
        return passed("packets that stay on a bridge are accepted")
    handmade = (
        () if manages_iptables(config) else ("# dockerd writes no rules here: put these into your own firewall too",)
    )
    return failed(
        f"containers on {', '.join(n.bridge for n, _ in struck)} do not reach each other: {struck[0][1].text}",
        Evidence("/proc/sys/net/bridge/bridge-nf-call-iptables", kernel.bridge_calls_iptables or "no such setting"),
        *dict.fromkeys(Evidence(d.chain.label, d.text) for _, d in struck),
        cause="A chain of nftables' family bridge drops frames between the bridge's ports."
        if struck[0][1].chain.family == "bridge"
        else "br_netfilter sends bridged packets through FORWARD, which drops them.",
        fix=(*dict.fromkeys(pass_near(n, d) for n, d in struck), *handmade),
    )


def pass_near(network: Network, drop: Drop) -> str:
    """Let what stays on a bridge pass."""
    chain, bridge = drop.chain, network.bridge
    if chain.backend == "nftables":
        # Not every kernel can name the bridge there (nft_meta_bridge).
        if chain.family == "bridge":
            return drop.delete
        return (
            f'nft insert rule {chain.family} {chain.table} {drop.path[0]} iifname "{bridge}" oifname "{bridge}" accept'
        )
    table = "" if chain.table == "filter" else f"-t {chain.table} "
    return f"{chain.backend} {table}-I FORWARD -i {bridge} -o {bridge} -j ACCEPT"

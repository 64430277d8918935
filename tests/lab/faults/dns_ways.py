"""Faults of name resolution on the way: rules that lead questions elsewhere, and rules that look into sets."""

from tests.lab.fault import Fault
from tests.lab.faults.dns import KNOWN, RESOLVES, resolver_on_host

SET = """nft -f - <<'END'
table inet fw {{
    set {name} {{ {kind}; }}
    chain f {{
        type filter hook forward priority 5; policy accept;
        {rules}
    }}
}}
END"""

FAULTS = (
    Fault(
        "dns-forward-firewall-blocks-resolver:redirect",
        "dns.redirected",
        """for p in udp tcp; do
            iptables -t nat -A PREROUTING -i docker0 -p $p --dport 53 -j REDIRECT --to-ports 5353
        done""",
        RESOLVES,
        machine=KNOWN,
        verify_fix=True,
    ),
    Fault(
        "dns-forward-firewall-blocks-resolver:dnat-nftables",
        "dns.redirected",
        """nft add table ip filter-dns
        nft 'add chain ip filter-dns pre { type nat hook prerouting priority -110; }'
        nft add rule ip filter-dns pre udp dport 53 dnat to 172.17.0.1:5399""",
        RESOLVES,
        machine=KNOWN,
        verify_fix=True,
    ),
    Fault(
        "dns-input-firewall-blocks-host-resolver:redirect",
        "dns.redirected",
        "iptables -t nat -A PREROUTING -p udp --dport 53 -j REDIRECT --to-ports 5353",
        RESOLVES,
        setup=resolver_on_host,
        machine=KNOWN,
        verify_fix=True,
    ),
    Fault(
        "dns-forward-firewall-blocks-resolver:set-of-ranges",
        "dns.forward-firewall",
        SET.format(
            name="blocked",
            kind="type ipv4_addr; flags interval; elements = { 10.0.0.0-10.255.255.200 }",
            rules="meta l4proto { tcp, udp } ip daddr @blocked th dport 53 drop",
        ),
        RESOLVES,
        machine=KNOWN,
        verify_fix=True,
    ),
    Fault(
        "dns-forward-firewall-blocks-resolver:set-of-pairs",
        "dns.forward-firewall",
        SET.format(
            name="blocked",
            kind="type inet_service . ipv4_addr; elements = { 53 . {gateway} }",
            rules="udp dport . ip daddr @blocked drop; tcp dport . ip daddr @blocked drop",
        ),
        RESOLVES,
        machine=KNOWN,
        verify_fix=True,
    ),
)

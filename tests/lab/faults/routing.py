"""Faults of routing: rules that send packets of containers another way, and answers that the kernel takes for forged."""

import socket

from tests.lab.fault import Fault
from tests.lab.machine import Machine

REACHES_OUT = "timeout -k 1 12 docker run --rm busybox sh -c 'echo | nc -w 3 {gateway} 5000'"

# A tunnel to a provider, who lets everything out to the world: another network stack, and the way back here from there.
TUNNEL = """
    ip netns add provider
    ip link add vpn0 type veth peer name in0 netns provider
    ip link add exit0 type veth peer name out0 netns provider
    ip address add 10.8.0.2/24 dev vpn0
    ip address add 10.9.0.1/24 dev exit0
    ip link set vpn0 up
    ip link set exit0 up
    ip netns exec provider sh -e -c '
        ip address add 10.8.0.1/24 dev in0
        ip address add 10.9.0.2/24 dev out0
        ip link set in0 up
        ip link set out0 up
        ip link set lo up
        ip route add default via 10.9.0.1
        sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0
        iptables -t nat -A POSTROUTING -o out0 -j MASQUERADE
    '
    iptables -t nat -A POSTROUTING -s 10.9.0.0/24 -o host0 -j MASQUERADE
    iptables -I FORWARD -i exit0 -j ACCEPT
    iptables -I FORWARD -o exit0 -j ACCEPT
    ip route add default via 10.8.0.1 dev vpn0 table 100
"""
# What comes from containers is to leave through it.
MARKED = (
    TUNNEL
    + """
    iptables -t mangle -A PREROUTING -i docker0 ! -d 172.16.0.0/12 -j MARK --set-mark 0x10
    iptables -t mangle -A PREROUTING -i br-+ ! -d 172.16.0.0/12 -j MARK --set-mark 0x10
    ip rule add fwmark 0x10 lookup 100
"""
)
MARKED_BY_NFT = (
    TUNNEL
    + """
    nft -f - <<'END'
table ip vpn {
    chain tag {
        type filter hook prerouting priority mangle;
        ip saddr 172.16.0.0/12 ip daddr != 172.16.0.0/12 meta mark set 0x10
    }
}
END
    ip rule add fwmark 0x10/0xff lookup 100
"""
)


def table(rules: str, sets: str = "") -> str:
    """Load a table of somebody's own, beside Docker's."""
    return f"""
        nft -f - <<'END'
table inet fw {{
    {sets}
    chain onward {{
        type filter hook forward priority 10; policy accept;
        {rules}
    }}
}}
END
    """


WEB = "docker run -d --name web -p 8080:80 busybox httpd -f -h /etc; sleep 6"


def from_outside(machine: Machine) -> None:
    """Fetch a page by the published port, from another machine."""
    try:
        with socket.create_connection((machine.address, 8080), timeout=4) as there:
            there.sendall(b"GET /passwd HTTP/1.0\r\n\r\n")
            said = there.recv(12)
    except OSError as no:
        raise AssertionError(f"port 8080: {no}") from no
    assert said.startswith(b"HTTP/1."), said


FAULTS: tuple[Fault, ...] = (
    Fault(
        "net-rp-filter-strict",
        check="network.rp-filter",
        setup=MARKED,
        inject="sysctl -qw net.ipv4.conf.vpn0.rp_filter=1",
        broken=REACHES_OUT,
        verify_fix=True,
    ),
    Fault(
        "net-rp-filter-strict:everywhere",
        check="network.rp-filter",
        setup=MARKED_BY_NFT,
        inject="sysctl -qw net.ipv4.conf.all.rp_filter=1",
        broken=REACHES_OUT,
        verify_fix=True,
    ),
    Fault(
        "net-policy-routing",
        check="network.policy-routing",
        setup=TUNNEL + "ip rule add from 172.16.0.0/12 lookup 100",
        inject="ip netns exec provider ip link set out0 down",
        broken=REACHES_OUT,
        verify_fix=True,
    ),
    Fault(
        "net-policy-routing:prohibited",
        check="network.policy-routing",
        inject="ip rule add from 172.16.0.0/12 prohibit",
        broken=REACHES_OUT,
        verify_fix=True,
    ),
    Fault(
        "net-policy-routing:no-route",
        check="network.policy-routing",
        setup=TUNNEL,
        inject="ip rule add iif docker0 lookup 101; ip route add unreachable default table 101",
        broken=REACHES_OUT,
        verify_fix=True,
    ),
    Fault(
        "net-policy-routing:answers",
        check="network.policy-routing",
        setup=TUNNEL + "ip route add default via 10.8.0.99 dev vpn0 table 102",
        inject="ip rule add iif host0 lookup 102; ip rule add to {address} lookup main",
        broken=REACHES_OUT,
        verify_fix=True,
    ),
    Fault(
        "net-docker0-no-ip:route",
        check="network.bridge-route",
        inject="ip route del 172.17.0.0/16 dev docker0",
        broken=REACHES_OUT,
        verify_fix=True,
    ),
    Fault(
        "net-docker0-no-ip:prefix",
        check="network.bridge-route",
        inject="ip address flush dev docker0; ip address add 172.17.0.1/32 dev docker0",
        broken=REACHES_OUT,
        verify_fix=True,
    ),
    Fault(
        "net-forward-drop-other-firewall:hops",
        check="network.time-to-live",
        inject="iptables -t mangle -A PREROUTING -s 172.16.0.0/12 -j TTL --ttl-set 1",
        broken=REACHES_OUT,
        verify_fix=True,
    ),
    Fault(
        "net-forward-drop-other-firewall:hops-by-nft",
        check="network.time-to-live",
        inject="""
            nft add table ip hops
            nft add chain ip hops before '{ type filter hook prerouting priority mangle; }'
            nft add rule ip hops before iifname docker0 ip ttl set 1
        """,
        broken=REACHES_OUT,
        verify_fix=True,
    ),
    Fault(
        "net-policy-routing:ipsec",
        check="network.ipsec",
        inject="ip xfrm policy add src 172.16.0.0/12 dst 0.0.0.0/0 dir fwd action block",
        broken=REACHES_OUT,
        verify_fix=True,
    ),
    Fault(
        # What containers send goes into a tunnel that has lost its other end.
        "net-policy-routing:ipsec-tunnel",
        check="network.ipsec",
        inject="""
            ip xfrm policy add src 172.16.0.0/12 dst 0.0.0.0/0 dir out \\
                tmpl src {address} dst 203.0.113.7 proto esp mode tunnel
        """,
        broken=REACHES_OUT,
        verify_fix=True,
    ),
    Fault(
        "net-docker0-missing:arp",
        check="network.arp",
        inject="ip link set docker0 arp off",
        broken=REACHES_OUT,
        symptoms=("network.egress", "network.published-port"),
        verify_fix=True,
    ),
    Fault(
        "net-docker0-missing:spanning-tree",
        check="network.spanning-tree",
        inject="ip link set docker0 type bridge stp_state 1",
        broken=REACHES_OUT,
        symptoms=("network.egress", "network.published-port"),
        verify_fix=True,
    ),
    Fault(
        "net-subnet-overlap-vpn:left-over-bridge",
        check="network.subnet-overlap",
        inject="""
            ip link add br-0123456789ab type bridge
            ip address add 172.17.0.1/16 dev br-0123456789ab
            ip link set br-0123456789ab up
            ip route del 172.17.0.0/16 dev docker0
        """,
        broken=REACHES_OUT,
        symptoms=("network.bridge-route", "network.egress"),
        verify_fix=True,
    ),
    Fault(
        # An INPUT policy without an accept for lo.
        "net-host-gateway-blocked:lo-closed",
        check="network.loopback-drop",
        setup=WEB,
        inject="""
            iptables -A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
            iptables -A INPUT -i host0 -j ACCEPT
            iptables -A INPUT -i docker0 -j ACCEPT
            iptables -P INPUT DROP
        """,
        broken="curl -sf -m 3 http://127.0.0.1:8080/passwd",
        symptoms=("network.published-port",),
        verify_fix=True,
    ),
    Fault(
        "port-stale-docker-proxy:rule-of-another",
        check="ports.redirected",
        setup=WEB,
        # Of a container that is gone, and before that of the one that has the port now.
        inject="iptables -t nat -I DOCKER -p tcp --dport 8080 -j DNAT --to-destination 172.17.0.99:80",
        broken=from_outside,
        verify_fix=True,
    ),
    Fault(
        "port-stale-docker-proxy:redirected",
        check="ports.redirected",
        setup=WEB,
        inject="iptables -t nat -I PREROUTING -i host0 -p tcp --dport 8080 -j REDIRECT --to-ports 9999",
        broken=from_outside,
        verify_fix=True,
    ),
    Fault(
        # A transparent proxy that is gone.
        "net-forward-drop-other-firewall:redirected",
        check="network.redirected",
        inject="iptables -t nat -I PREROUTING -i docker0 -p tcp -j REDIRECT --to-ports 3129",
        broken=REACHES_OUT,
        verify_fix=True,
    ),
    Fault(
        "net-masquerade-missing:zone",
        check="network.untracked",
        inject="iptables -t raw -A PREROUTING -i docker0 -j CT --zone 1",
        broken=REACHES_OUT,
        verify_fix=True,
    ),
    Fault(
        "net-second-nft-hook-drop:several-things",
        check="network.nft-drop",
        inject=table('meta l4proto icmp accept; iifname . oifname { "docker0" . "host0", "br-a" . "host0" } drop'),
        broken=REACHES_OUT,
        verify_fix=True,
    ),
    Fault(
        "net-second-nft-hook-drop:map",
        check="network.nft-drop",
        inject=table("iifname vmap @zones", 'map zones { type ifname : verdict; elements = { "docker0" : drop } }'),
        broken=REACHES_OUT,
        verify_fix=True,
    ),
    Fault(
        # Published ports were thought of, and nothing else.
        "net-second-nft-hook-drop:published-only",
        check="network.nft-drop",
        inject=table(
            'ct state established,related accept\n ct status dnat accept\n iifname != "docker0" accept\n drop'
        ),
        broken=REACHES_OUT,
        verify_fix=True,
    ),
)

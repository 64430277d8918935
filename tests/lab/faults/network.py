"""Faults of what carries packets: forwarding, bridges, addresses, MTU, and everybody's firewall rules."""

import socket
import subprocess

from tests.lab.fault import Fault
from tests.lab.machine import Machine

# Beyond the host, from the default bridge.
# TCP, since pings of two containers look alike to conntrack, which would let the second pass where the first did.
REACHES_OUT = "timeout -k 1 12 docker run --rm busybox sh -c 'echo | nc -w 3 {gateway} 5000'"
PUBLISHES = "docker run --rm -p 8080:80 busybox true"
RESTART = "systemctl reset-failed docker.service docker.socket; systemctl restart docker"


def settings(**options: object) -> str:
    """Merge options into daemon.json, as somebody would by hand, and restart the engine."""
    return f"""
        python3 - <<'END'
import json
path = "/etc/docker/daemon.json"
options = json.load(open(path))
options.update({options!r})
options = {{name: value for name, value in options.items() if value is not None}}
json.dump(options, open(path, "w"), indent=2)
END
        {RESTART}
    """


def firewall_unit(name: str, script: str) -> str:
    """Install a service that loads a firewall of its own, as many hosts have one."""
    return f"""
        cat > /usr/local/sbin/fw <<'END'
#!/bin/sh
{script}
END
        chmod +x /usr/local/sbin/fw
        printf '[Service]\\nType=oneshot\\nRemainAfterExit=yes\\nExecStart=/usr/local/sbin/fw\\n' > /etc/systemd/system/{name}
        systemctl daemon-reload
        systemctl start {name}
    """


FLUSH = "iptables -F; iptables -X; iptables -t nat -F; iptables -t nat -X"

# An office behind a tunnel: another network stack, whose only way here is the link vpn0.
OFFICE = """
    ip netns add office
    ip link add vpn0 type veth peer name eth0 netns office
    ip address add 172.18.5.5/16 dev vpn0
    ip link set vpn0 up
    ip netns exec office ip address add 172.18.5.20/16 dev eth0
    ip netns exec office ip address add 172.17.80.1/20 dev eth0
    ip netns exec office ip link set eth0 up
    ip netns exec office ip link set lo up
    ip netns exec office ip route add default via 172.18.5.5
"""


def outside_reaches(machine: Machine) -> None:
    """Connect to a published port from another host."""
    try:
        with socket.create_connection((machine.address, 8080), 2) as conversation:
            conversation.settimeout(2)
            conversation.sendall(b"GET /passwd HTTP/1.0\r\n\r\n")
            assert b"200" in conversation.recv(4096)
    except OSError as failure:
        raise AssertionError(f"port 8080 from outside: {failure}") from None


# Counts what it is sent: argv is address, port.
SINK = """
import socket, sys
server = socket.create_server((sys.argv[1], int(sys.argv[2])))
while True:
    client, _ = server.accept()
    client.settimeout(4)
    size = 0
    try:
        while size < 100000 and (data := client.recv(65536)):
            size += len(data)
        client.sendall(b"got all")
    except OSError:
        pass
    client.close()
"""
UPLOADS = (
    "timeout -k 1 12 docker run --rm busybox sh -c 'head -c 100000 /dev/zero | nc -w 6 {gateway} 8099' | grep 'got all'"
)


def narrow_uplink(machine: Machine) -> None:
    """Make the link to the world carry 1300 bytes, at both ends, as a tunnel does."""
    link = machine.slot.link
    subprocess.run(["ip", "link", "set", link, "mtu", "1300"], check=True)
    # A server farther away knows nothing of this link, and offers to take 1460 bytes at once.
    route = ["ip", "route", "replace", f"{machine.address}/32", "dev", link, "src", machine.gateway, "advmss", "1460"]
    subprocess.run(route, check=True)
    machine.run("ip link set host0 mtu 1300")
    machine.on_gateway(["python3", "-c", SINK, "{gateway}", "8099"], port=8099)


def many_routes(machine: Machine) -> None:
    """Bring up a VPN that claims every private range but the one it comes through."""
    machine.run(
        """
        ip link add vpn0 type veth peer name vpn1
        ip link set vpn1 up
        ip link set vpn0 up
        ip address add 100.64.0.2/24 dev vpn0
        for n in $(seq 18 31); do ip route add 172.$n.0.0/16 dev vpn0; done
        ip route add 192.168.0.0/16 dev vpn0
        """
    )


BY_HAND = """
    systemctl stop docker.socket docker.service
    iptables -F; iptables -X; iptables -t nat -F; iptables -t nat -X
    iptables -t nat -A POSTROUTING -s 172.16.0.0/12 -o host0 -j MASQUERADE
    iptables -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
    iptables -A FORWARD -o host0 -j ACCEPT
"""
NEIGHBOURS = """
    docker run -d --name server busybox httpd -f -h /etc
    docker run -d --name client busybox sleep 1000
"""
TALK = (
    "address=$(docker inspect -f '{{.NetworkSettings.IPAddress}}' server); "
    "docker exec client sh -c \"printf 'GET /passwd HTTP/1.0\\r\\n\\r\\n' | nc -w 3 $address 80\" | grep root"
)

FAULTS: tuple[Fault, ...] = (
    Fault(
        "net-ip-forward-off",
        check="network.ip-forward",
        inject="echo 'net.ipv4.ip_forward = 0' > /etc/sysctl.d/50-hardening.conf; sysctl --system >/dev/null 2>&1 || true",
        broken=REACHES_OUT,
        verify_fix=True,
        symptoms=("network.egress", "dns.forward-firewall", "dns.containers-resolve"),
        # It turns forwarding on as soon as the doctor's network is made.
        on={"28.5": {"symptoms": ()}},
    ),
    Fault(
        "net-ip-forward-off:daemon-json",
        check="network.ip-forward",
        machine={"daemon_json": {"ip-forward": False}},
        setup="sysctl -qw net.ipv4.ip_forward=1",
        inject="sysctl -qw net.ipv4.ip_forward=0; " + RESTART,
        broken=REACHES_OUT,
        verify_fix=True,
    ),
    Fault(
        "net-ip-forward-off:sysctl-conf",
        check="network.ip-forward",
        inject="echo net.ipv4.ip_forward=0 >> /etc/sysctl.conf; sysctl -qp",
        broken=REACHES_OUT,
        verify_fix=True,
    ),
    Fault(
        "net-ip-forward-off:interface",
        check="network.ip-forward",
        inject="sysctl -qw net.ipv4.conf.docker0.forwarding=0",
        broken=REACHES_OUT,
        verify_fix=True,
    ),
    Fault(
        "net-docker-chains-flushed",
        check="network.docker-chains",
        inject=FLUSH,
        broken=PUBLISHES,
        verify_fix=True,
        symptoms=("network.masquerade", "network.egress", "dns.forward-firewall", "dns.containers-resolve"),
    ),
    Fault(
        "net-docker-chains-flushed:nat",
        check="network.docker-chains",
        inject="iptables -t nat -F; iptables -t nat -X DOCKER",
        broken=PUBLISHES,
        verify_fix=True,
        symptoms=("network.masquerade", "network.egress", "dns.forward-firewall", "dns.containers-resolve"),
    ),
    Fault(
        "net-docker-chains-flushed:forward-closed",
        check="network.docker-chains",
        inject="iptables -F FORWARD; iptables -P FORWARD DROP",
        broken=REACHES_OUT,
        verify_fix=True,
    ),
    Fault(
        "net-docker-chains-flushed:by-a-service",
        check="network.docker-chains",
        inject=firewall_unit("csf.service", FLUSH + "\niptables -A INPUT -i lo -j ACCEPT"),
        broken=PUBLISHES,
        verify_fix=True,
    ),
    Fault(
        "net-nft-flush-ruleset",
        check="network.nft-flush",
        inject="systemctl start nftables",
        broken=PUBLISHES,
        verify_fix=True,
        symptoms=(
            "network.docker-chains",
            "network.masquerade",
            "network.egress",
            "dns.forward-firewall",
            "dns.containers-resolve",
        ),
    ),
    Fault(
        "net-nft-flush-ruleset:stop",
        check="network.nft-flush",
        setup="systemctl enable --now nftables; " + RESTART,
        inject="systemctl stop nftables",
        broken=PUBLISHES,
        verify_fix=True,
    ),
    Fault(
        "net-masquerade-missing",
        check="network.masquerade",
        inject="iptables -t nat -D POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE",
        broken=REACHES_OUT,
        verify_fix=True,
        symptoms=("network.egress", "dns.forward-firewall", "dns.containers-resolve"),
    ),
    Fault(
        "net-masquerade-missing:user-network",
        check="network.masquerade",
        setup="docker network create --subnet 10.44.0.0/24 -o com.docker.network.bridge.name=br-shop shop; "
        "docker run -d --name app --network shop busybox sleep 1000",
        inject="iptables -t nat -D POSTROUTING -s 10.44.0.0/24 ! -o br-shop -j MASQUERADE",
        broken="docker exec app sh -c 'echo | nc -w 3 {gateway} 5000'",
        verify_fix=True,
    ),
    Fault(
        "net-masquerade-missing:ip-masq-false",
        check="network.masquerade",
        inject=settings(**{"ip-masq": False}),
        broken=REACHES_OUT,
        verify_fix=True,
    ),
    Fault(
        "net-iptables-false",
        check="network.iptables-off",
        inject=settings(iptables=False) + FLUSH,
        broken=REACHES_OUT,
        verify_fix=True,
        symptoms=("network.masquerade", "network.egress", "dns.forward-firewall", "dns.containers-resolve"),
    ),
    Fault(
        "net-iptables-false:forward-closed",
        check="network.iptables-off",
        inject=settings(iptables=False) + FLUSH + "; iptables -P FORWARD DROP",
        broken=REACHES_OUT,
        verify_fix=True,
        # Frames between neighbours pass FORWARD as well where br_netfilter is loaded.
    ),
    Fault(
        "net-forward-drop-other-firewall",
        check="network.forward-drop",
        inject="iptables -I FORWARD 1 -i docker0 -j DROP",
        broken=REACHES_OUT,
        verify_fix=True,
        symptoms=("network.egress", "dns.forward-firewall", "dns.containers-resolve"),
    ),
    Fault(
        "net-forward-drop-other-firewall:chain",
        check="network.forward-drop",
        inject="""
            iptables -N fw-forward
            iptables -A fw-forward -m conntrack --ctstate ESTABLISHED -j RETURN
            iptables -A fw-forward -o host0 -m comment --comment 'office policy 7' -j REJECT --reject-with icmp-admin-prohibited
            iptables -I FORWARD 1 -j fw-forward
        """,
        broken=REACHES_OUT,
        verify_fix=True,
    ),
    Fault(
        "net-forward-drop-other-firewall:answers",
        check="network.forward-drop",
        inject="iptables -I FORWARD 1 -i host0 -j DROP",
        broken=REACHES_OUT,
        verify_fix=True,
    ),
    Fault(
        "net-forward-drop-other-firewall:limit",  # only the counters tell
        check="network.forward-drop",
        inject="iptables -I FORWARD 1 -m length --length 40:2000 -j DROP",
        broken=REACHES_OUT,
        verify_fix=True,
    ),
    Fault(
        "net-forward-drop-other-firewall:policy",
        check="network.forward-drop",
        inject="iptables -D FORWARD -i docker0 ! -o docker0 -j ACCEPT; iptables -P FORWARD DROP",
        broken=REACHES_OUT,
        verify_fix=True,
        on={"28.5": {"inject": "iptables -D DOCKER-FORWARD -i docker0 -j ACCEPT; iptables -P FORWARD DROP"}},
        symptoms=("network.egress", "dns.forward-firewall", "dns.containers-resolve"),
    ),
    Fault(
        "net-forward-drop-other-firewall:raw",
        check="network.forward-drop",
        inject="iptables -t raw -A PREROUTING -s 172.17.0.0/16 -j DROP",
        broken=REACHES_OUT,
        verify_fix=True,
    ),
    Fault(
        "net-docker-user-drop",
        check="network.docker-user",
        inject="iptables -I DOCKER-USER -i docker0 -o host0 -j DROP",
        broken=REACHES_OUT,
        verify_fix=True,
        symptoms=("network.egress", "dns.forward-firewall", "dns.containers-resolve"),
    ),
    Fault(
        "net-docker-user-drop:tcp",  # pings and lookups pass
        check="network.docker-user",
        inject="iptables -I DOCKER-USER -i docker0 -p tcp -j REJECT --reject-with tcp-reset",
        broken=REACHES_OUT,
        verify_fix=True,
    ),
    Fault(
        "net-docker-user-drop:published",
        check="network.published-filter",
        setup="docker run -d --name web -p 8080:80 busybox httpd -f -h /etc",
        inject="iptables -I DOCKER-USER -o docker0 -p tcp --dport 80 -j DROP",
        broken=outside_reaches,
        severity="warning",
        verify_fix=True,
    ),
    Fault(
        "net-second-nft-hook-drop",
        check="network.nft-drop",
        inject="nft add table inet fw; "
        "nft 'add chain inet fw onward { type filter hook forward priority 10; policy drop; }'",
        broken=REACHES_OUT,
        verify_fix=True,
        symptoms=("network.egress", "dns.forward-firewall", "dns.containers-resolve"),
    ),
    Fault(
        "net-second-nft-hook-drop:rule",
        check="network.nft-drop",
        inject="""
            nft -f - <<'END'
table inet fw {
    set bridges { type ifname; elements = { "docker0" } }
    chain containers {
        counter drop
    }
    chain onward {
        type filter hook forward priority -5; policy accept;
        ct state established,related accept
        iifname vmap { "docker0" : jump containers, "lo" : accept }
    }
}
END
        """,
        broken=REACHES_OUT,
        verify_fix=True,
    ),
    Fault(
        "net-iptables-legacy-nft-split",
        check="network.iptables-split",
        inject="iptables-legacy -P FORWARD DROP",
        broken=REACHES_OUT,
        verify_fix=True,
        symptoms=("network.egress", "dns.forward-firewall", "dns.containers-resolve"),
    ),
    Fault(
        "net-br-nf-call-drop",
        check="network.bridge-filter",
        machine={"daemon_json": {"iptables": False}},
        setup=BY_HAND + "systemctl start docker.socket docker.service\n" + NEIGHBOURS,
        inject="sysctl -qw net.bridge.bridge-nf-call-iptables=1; iptables -P FORWARD DROP",
        broken=TALK,
        verify_fix=True,
    ),
    Fault(
        "net-subnet-overlap-vpn",
        check="network.subnet-overlap",
        setup=OFFICE,
        inject="docker network create --subnet 172.18.5.0/24 shop; docker run -d --name app --network shop busybox sleep 1000",
        broken="ping -c1 -W1 172.18.5.20",
        verify_fix=True,
    ),
    Fault(
        "net-subnet-overlap-vpn:split-tunnel",
        check="network.subnet-overlap",
        machine={"daemon_json": {"bip": "10.99.0.1/24"}},
        setup=OFFICE + "ip route add 172.17.80.0/20 dev vpn0",
        inject=settings(bip="172.17.0.1/16"),
        broken="docker run --rm busybox ping -c1 -W2 172.17.80.1",
        cure=settings(bip="10.210.0.1/24"),
    ),
    Fault(
        "net-mtu-blackhole",
        check="network.mtu",
        setup=narrow_uplink,
        inject="iptables -A OUTPUT -p icmp --icmp-type fragmentation-needed -j DROP",
        broken=UPLOADS,
        verify_fix=True,
    ),
    Fault(
        "net-mtu-blackhole:nft",
        check="network.mtu",
        setup=narrow_uplink,
        inject="nft add table inet fw; nft 'add chain inet fw out { type filter hook output priority 0; }'; "
        "nft add rule inet fw out icmp type destination-unreachable counter drop",
        broken=UPLOADS,
        verify_fix=True,
    ),
    Fault(
        "net-docker0-missing",
        check="network.bridge",
        inject="ip link delete docker0",
        broken=REACHES_OUT,
        verify_fix=True,
    ),
    Fault(
        "net-docker0-no-ip",
        check="network.bridge-address",
        inject="ip address flush dev docker0",
        broken=REACHES_OUT,
        verify_fix=True,
        symptoms=("network.egress", "dns.forward-firewall", "dns.containers-resolve"),
    ),
    Fault(
        "net-networkd-hijack",
        check="network.managed-interfaces",
        setup="docker run -d --name app --restart always busybox sleep 1000; rm -f /usr/lib/systemd/network/80-container-host0.network",
        inject="""
            printf '[Match]\\nName=docker* veth* en*\\n[Network]\\nDHCP=no\\nLinkLocalAddressing=no\\n' \\
                > /etc/systemd/network/20-all.network
            systemctl start systemd-networkd
            for n in $(seq 50); do ip -o link show type veth | grep veth | grep -q master || exit 0; sleep 0.1; done
            networkctl; ip a; exit 1
        """,
        broken="docker exec app sh -c 'echo | nc -w 3 {gateway} 5000'",
        verify_fix=True,
    ),
    Fault(
        "net-networkd-hijack:cable",
        check="network.managed-interfaces",
        setup="docker run -d --name app busybox sleep 1000",
        inject="ip link set $(ip -o link show type veth | grep -o 'veth[0-9a-f]*' | head -1) nomaster",
        broken="docker exec app ping -c1 -W2 {gateway}",
        cure=RESTART + "; docker start app",
    ),
    Fault(
        "net-address-pool-exhausted",
        check="network.address-pools",
        machine={"daemon_json": {"default-address-pools": [{"base": "10.99.0.0/22", "size": 24}]}},
        inject="docker network create a; docker network create b; docker network create c",
        broken="docker network create new && docker network rm new",
        verify_fix=True,
    ),
    Fault(
        "net-address-pool-exhausted:vpn-routes",
        check="network.address-pools",
        inject=many_routes,
        broken="docker network create new && docker network rm new",
        cure=settings(**{"default-address-pools": [{"base": "10.210.0.0/16", "size": 24}]}),
    ),
    Fault(
        "net-host-gateway-blocked:answers",
        check="network.input-drop",
        setup="docker run -d --name web -p 8080:80 busybox sh -c 'mkdir /w; echo hello > /w/index.html; httpd -f -h /w'",
        # A firewall without the usual "established" rule.
        inject="""iptables -P INPUT DROP
            iptables -A INPUT -i lo -j ACCEPT
            iptables -A INPUT -i host0 -j ACCEPT""",
        broken="sleep 1; curl -sf -m 3 http://127.0.0.1:8080",
        with_=("ports.published-unanswered",),
        verify_fix=True,
    ),
)

"""Faults of name resolution."""

import sys

from tests.lab.fault import Fault
from tests.lab.machine import Machine

NAME = "well.lab"
KNOWN = {"dns": {NAME: "192.0.2.1"}}
DEAD = "198.51.100.53"  # nobody's (RFC 5737); `unreachable` makes sure of it
RESOLVES = f"timeout -k 1 8 docker run --rm busybox nslookup {NAME}"
FIX_DNS = "doctor fix-dns --write --yes"

# A nameserver that says one rcode to everything, over both transports: argv is address, rcode.
SAYS = """
import socket, struct, sys, threading
address, rcode = sys.argv[1], int(sys.argv[2])
def reply(query):
    return query[:2] + struct.pack(">HHHHH", 0x8180 | rcode, 1, 0, 0, 0) + query[12:]
tcp = socket.create_server((address, 53), reuse_port=True)
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind((address, 53))
def serve():
    while True:
        client, _ = tcp.accept()
        query = client.recv(4096)[2:]
        said = reply(query)
        client.sendall(struct.pack(">H", len(said)) + said)
        client.close()
threading.Thread(target=serve, daemon=True).start()
while True:
    query, sender = udp.recvfrom(4096)
    udp.sendto(reply(query), sender)
"""


def daemon_dns(*servers: str) -> str:
    """Give containers these nameservers, as somebody would by hand, and keep the mirror."""
    listed = ", ".join(f'"{s}"' for s in servers)
    return f"""
        sed -i '1s|.*|{{ "dns": [{listed}],|' /etc/docker/daemon.json
        systemctl restart docker"""


def unreachable(m: Machine, *addresses: str) -> None:
    """Drop what goes to these addresses, on the gateway: the machine cannot see why nobody answers."""
    for address in addresses:
        m.firewall("PREROUTING", "-i", m.slot.link, "-d", address, "-j", "DROP", table="raw")


def dead_server(m: Machine) -> None:
    unreachable(m, DEAD)
    m.run(daemon_dns(DEAD))


def first_dead(m: Machine) -> None:
    unreachable(m, DEAD)
    m.run(daemon_dns(DEAD, "{gateway}"))


def says(rcode: int):
    """Put a server in the gateway's place that says one rcode to everything."""

    def step(m: Machine) -> None:
        m.dns.stop()
        m.on_gateway([sys.executable, "-c", SAYS, "{gateway}", str(rcode)], port=53)

    return step


def second_server_says(rcode: int):
    """Containers are given a server that answers so, while the host's own is well."""

    def step(m: Machine) -> None:
        # Its own address: the machine's traffic to it is turned to a server on the gateway's loopback.
        m.on_gateway([sys.executable, "-c", SAYS.replace("53", "5399"), "{gateway}", str(rcode)], port=5399)
        for protocol in ("udp", "tcp"):
            m.firewall(
                *("PREROUTING", "-i", m.slot.link, "-d", DEAD, "-p", protocol, "--dport", "53"),
                *("-j", "DNAT", "--to-destination", "{gateway}:5399"),
                table="nat",
            )
        m.run(daemon_dns(DEAD))

    return step


def host_dns_dead(m: Machine) -> None:
    m.firewall("INPUT", "-i", m.slot.link, "-p", "udp", "--dport", "53", "-j", "DROP")
    m.firewall("INPUT", "-i", m.slot.link, "-p", "tcp", "--dport", "53", "-j", "DROP")


def loopback_only(m: Machine) -> None:
    """The host resolves through a dnsmasq of its own; the public servers are blocked."""
    unreachable(m, "8.8.8.8", "8.8.4.4")
    m.write("/etc/dnsmasq.d/lab.conf", "no-resolv\nserver={gateway}\nlisten-address=127.0.0.1\nbind-interfaces\n")
    m.run("""
        dnsmasq --conf-file=/etc/dnsmasq.d/lab.conf --pid-file=/run/lab-dnsmasq.pid
        echo 'nameserver 127.0.0.1' > /etc/resolv.conf
        systemctl restart docker""")


def resolver_on_host(m: Machine) -> None:
    """A resolver on Docker's bridge address, given to containers."""
    m.write("/etc/dnsmasq.d/lab.conf", "no-resolv\nserver={gateway}\nlisten-address=172.17.0.1\nbind-interfaces\n")
    m.run("dnsmasq --conf-file=/etc/dnsmasq.d/lab.conf --pid-file=/run/lab-dnsmasq.pid")
    m.run(daemon_dns("172.17.0.1"))


def former_server(m: Machine) -> None:
    """While the container starts, that server is the network's: the lab's own behind another address."""
    for protocol in ("udp", "tcp"):
        m.firewall(
            *("PREROUTING", "-i", m.slot.link, "-d", DEAD, "-p", protocol, "--dport", "53"),
            *("-j", "DNAT", "--to-destination", "{gateway}"),
            table="nat",
        )


def network_changed(m: Machine) -> None:
    """The network's nameserver is another one by now; a container still has the old."""
    unreachable(m, DEAD)
    m.run("""
        echo 'nameserver {gateway}' > /etc/resolv.conf""")


FAULTS = (
    Fault(
        "dns-daemon-json-dead-server:flag",
        "dns.server-dead",
        # Debian's unit reads this file.
        lambda m: (
            unreachable(m, DEAD),
            m.run(f"echo 'DOCKER_OPTS=\"--dns {DEAD}\"' >/etc/default/docker; systemctl restart docker"),
        ),
        RESOLVES,
        machine=KNOWN,
        verify_fix=True,
        engines=("20.10",),
    ),
    Fault(
        "dns-forward-firewall-blocks-resolver:reject",
        "dns.forward-firewall",
        "for p in udp tcp; do iptables -I FORWARD -p $p --dport 53 -j REJECT; done",
        RESOLVES,
        machine=KNOWN,
        verify_fix=True,
    ),
    Fault(
        "dns-daemon-side-lookup:own-firewall",
        "dns.host-firewall",
        "iptables -I OUTPUT -p udp --dport 53 -m owner --uid-owner 0 -j DROP",
        f"timeout 6 getent hosts {NAME}",
        machine=KNOWN,
        verify_fix=True,
    ),
    Fault(
        # No container can be started, since Docker copies the file.
        "dns-broken-resolvconf-symlink:circle",
        "dns.resolv-conf",
        "ln -sf resolv.conf /etc/resolv.conf",
        RESOLVES,
        machine=KNOWN,
        verify_fix=True,
    ),
    Fault("dns-daemon-json-dead-server:silent", "dns.server-dead", dead_server, RESOLVES, machine=KNOWN, cure=FIX_DNS),
    Fault(
        "dns-daemon-json-dead-server:no-nameserver",
        "dns.server-dead",
        daemon_dns("{address}"),
        RESOLVES,
        machine=KNOWN,
        cure=FIX_DNS,
    ),
    Fault(
        "dns-daemon-json-dead-server:refused",
        "dns.server-dead",
        second_server_says(5),
        RESOLVES,
        machine=KNOWN,
        cure=FIX_DNS,
    ),
    Fault(
        "dns-daemon-json-dead-server:servfail",
        "dns.server-dead",
        second_server_says(2),
        RESOLVES,
        machine=KNOWN,
        cure=FIX_DNS,
    ),
    Fault(
        "dns-daemon-json-dead-server:loopback",
        "dns.loopback-in-daemon-json",
        daemon_dns("127.0.0.53"),
        RESOLVES,
        machine=KNOWN,
        cure=FIX_DNS,
    ),
    Fault(
        "dns-first-server-dead-slow",
        "dns.first-server-slow",
        first_dead,
        f"timeout -k 1 3 docker run --rm busybox nslookup {NAME}",
        machine=KNOWN,
        cure=FIX_DNS,
    ),
    Fault(
        "dns-loopback-fallback-blocked", "dns.loopback-fallback", loopback_only, RESOLVES, machine=KNOWN, cure=FIX_DNS
    ),
    Fault(
        "dns-input-firewall-blocks-host-resolver",
        "dns.input-firewall",
        """iptables -P INPUT DROP
        iptables -A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
        iptables -A INPUT -i lo -j ACCEPT
        iptables -A INPUT -i host0 -j ACCEPT""",
        RESOLVES,
        setup=resolver_on_host,
        machine=KNOWN,
        verify_fix=True,
    ),
    Fault(
        "dns-forward-firewall-blocks-resolver",
        "dns.forward-firewall",
        """iptables -I DOCKER-USER -p udp --dport 53 -j DROP
        iptables -I DOCKER-USER -p tcp --dport 53 -j DROP""",
        RESOLVES,
        machine=KNOWN,
        verify_fix=True,
    ),
    Fault(
        "dns-udp-blocked-tcp-works",
        "dns.udp-blocked",
        "iptables -I FORWARD -p udp --dport 53 -j DROP",
        RESOLVES,
        machine=KNOWN,
        verify_fix=True,
    ),
    Fault(
        "dns-udp-blocked-tcp-works:nftables",
        "dns.udp-blocked",
        """nft add table inet fw
        nft 'add chain inet fw forward { type filter hook forward priority 10; policy accept; }'
        nft add rule inet fw forward udp dport 53 counter drop""",
        RESOLVES,
        machine=KNOWN,
        verify_fix=True,
    ),
    Fault(
        "dns-input-firewall-blocks-host-resolver:nftables",
        "dns.input-firewall",
        """nft add table inet fw
        nft 'add chain inet fw input { type filter hook input priority 0; policy drop; }'
        nft add rule inet fw input ct state established,related accept
        nft add rule inet fw input iifname '{ "lo", "host0" }' accept""",
        RESOLVES,
        setup=resolver_on_host,
        machine=KNOWN,
        verify_fix=True,
    ),
    Fault(
        "dns-daemon-side-lookup:silent",
        "dns.host-resolves",
        host_dns_dead,
        f"timeout 6 getent hosts {NAME}",
        machine=KNOWN,
        symptoms=("dns.server-dead", "dns.containers-resolve"),
    ),
    Fault(
        "dns-daemon-side-lookup:refused", "dns.host-resolves", says(5), f"timeout 6 getent hosts {NAME}", machine=KNOWN
    ),
    Fault(
        "dns-daemon-side-lookup:servfail", "dns.host-resolves", says(2), f"timeout 6 getent hosts {NAME}", machine=KNOWN
    ),
    Fault(
        "dns-broken-resolvconf-symlink:dangling",
        "dns.resolv-conf",
        "ln -sf ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf; systemctl restart docker",
        f"timeout 6 getent hosts {NAME}",
        machine=KNOWN,
        verify_fix=True,
    ),
    Fault(
        "dns-broken-resolvconf-symlink:empty",
        "dns.resolv-conf",
        ": > /etc/resolv.conf; systemctl restart docker",
        f"timeout 6 getent hosts {NAME}",
        machine=KNOWN,
        verify_fix=True,
    ),
    Fault(
        "dns-broken-resolvconf-symlink:missing",
        "dns.resolv-conf",
        "rm /etc/resolv.conf",
        f"timeout 6 getent hosts {NAME}",
        machine=KNOWN,
        verify_fix=True,
    ),
    Fault(
        "dns-broken-resolvconf-symlink:carriage-returns",
        "dns.resolv-conf-lines",
        "sed -i 's/$/\\r/' /etc/resolv.conf",
        f"timeout 6 getent hosts {NAME}",
        machine=KNOWN,
        verify_fix=True,
    ),
    Fault(
        "dns-broken-resolvconf-symlink:no-address",
        "dns.resolv-conf-lines",
        "echo 'nameserver resolver.lab' > /etc/resolv.conf",
        f"timeout 6 getent hosts {NAME}",
        machine=KNOWN,
        verify_fix=True,
    ),
    Fault(
        "dns-broken-resolvconf-symlink:no-keyword",
        "dns.resolv-conf-lines",
        "echo '# ours\nnameserver={gateway}' > /etc/resolv.conf",
        f"timeout 6 getent hosts {NAME}",
        machine=KNOWN,
        verify_fix=True,
    ),
    Fault(
        "dns-stale-container-resolvconf",
        "dns.stale-container",
        network_changed,
        f"timeout 8 docker exec app nslookup {NAME}",
        setup=lambda m: (
            former_server(m),
            m.run(f"""
                echo 'nameserver {DEAD}' > /etc/resolv.conf
                docker run -d --name app busybox sleep 1000"""),
        ),
        machine=KNOWN,
        verify_fix=True,
    ),
    Fault(
        "dns-stale-container-resolvconf:user-network",
        "dns.stale-container",
        network_changed,
        f"timeout 8 docker exec app nslookup {NAME}",
        setup=lambda m: (
            former_server(m),
            m.run(f"""
                echo 'nameserver {DEAD}' > /etc/resolv.conf
                docker network create net
                docker run -d --name app --network net busybox sleep 1000"""),
        ),
        machine=KNOWN,
        verify_fix=True,
    ),
)

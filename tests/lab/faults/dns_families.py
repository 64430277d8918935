"""Faults of name resolution: nameservers reached over IPv6 alone, and Docker's own resolver in containers."""

import subprocess

from tests.lab.fault import Fault
from tests.lab.faults.dns import FIX_DNS, KNOWN, NAME, RESOLVES, daemon_dns, unreachable
from tests.lab.machine import Machine, wait_for

SIX = "fd00:200::1"  # the gateway's (RFC 4193)


def ipv6(m: Machine) -> None:
    """Give the machine's uplink IPv6, and a nameserver at the other end."""
    subprocess.run(["ip", "-6", "address", "add", f"{SIX}/64", "dev", m.slot.link, "nodad"], check=True)
    m.run(f"ip -6 address add {SIX[:-1]}2/64 dev host0 nodad")
    m.slot.spawn(
        [
            *("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--pid-file=", "--user=root", "--no-hosts"),
            *("--bind-interfaces", "--except-interface=lo", f"--listen-address={SIX}", f"--address=/{NAME}/192.0.2.1"),
        ],
        group="servers",
        log=m.slot.home / "six.log",
    )
    asked = f"python3 -c 'import socket; socket.create_connection((\"{SIX}\", 53), 1)'"
    wait_for(lambda: m.run(asked, check=False).returncode == 0, "a nameserver with an IPv6 address", 5)


def ipv6_only(m: Machine) -> None:
    """A network that announces its nameserver over IPv6, and lets nobody ask public ones."""
    unreachable(m, "8.8.8.8", "8.8.4.4")
    m.run(f"echo 'nameserver {SIX}' > /etc/resolv.conf; systemctl restart docker")


RUNS = """
    docker network create net
    docker run -d --name app --network net --stop-timeout 1 busybox sleep 1000"""
IN_APP = f"timeout 8 docker exec app nslookup {NAME}"
# As a script does that is run in the container's network.
ENTER = "nsenter --net --target $(docker inspect --format '{{.State.Pid}}' app)"

FAULTS = (
    Fault(
        "dns-ipv6-only-nameserver",
        "dns.ipv6-only",
        ipv6_only,
        RESOLVES,
        setup=ipv6,
        machine=KNOWN,
        cure=FIX_DNS,
    ),
    Fault(
        "dns-ipv6-only-nameserver:daemon-json",
        "dns.ipv6-only",
        daemon_dns(SIX),
        RESOLVES,
        setup=ipv6,
        machine=KNOWN,
        cure=FIX_DNS,
    ),
    Fault(
        # Neither has the host: nobody here could ask it.
        "dns-ipv6-only-nameserver:public",
        "dns.ipv6-only",
        daemon_dns("2001:db8::53", "2001:db8::54"),
        RESOLVES,
        machine=KNOWN,
        cure=FIX_DNS,
    ),
    Fault(
        "dns-embedded-resolver-broken",
        "dns.embedded-redirect",
        f"{ENTER} iptables -t nat -F",
        IN_APP,
        setup=RUNS,
        machine=KNOWN,
        verify_fix=True,
    ),
    Fault(
        "dns-embedded-resolver-broken:nftables",
        "dns.embedded-redirect",
        f"{ENTER} nft flush ruleset",
        IN_APP,
        setup=RUNS,
        machine=KNOWN,
        verify_fix=True,
    ),
    Fault(
        "dns-embedded-resolver-broken:kill-switch",
        "dns.container-firewall",
        f"{ENTER} iptables -A OUTPUT -o eth0 -j ACCEPT; {ENTER} iptables -P OUTPUT DROP",
        IN_APP,
        setup=RUNS,
        machine=KNOWN,
        verify_fix=True,
    ),
    Fault(
        "dns-embedded-resolver-broken:kill-switch-nftables",
        "dns.container-firewall",
        f"""{ENTER} nft add table inet vpn
        {ENTER} nft 'add chain inet vpn out {{ type filter hook output priority 0; policy drop; }}'
        {ENTER} nft add rule inet vpn out oifname eth0 accept""",
        IN_APP,
        setup=RUNS,
        machine=KNOWN,
        verify_fix=True,
    ),
)

"""Faults of name resolution in builds by BuildKit, which containers do not share."""

from tests.lab.fault import Fault
from tests.lab.faults.dns import DEAD, KNOWN, NAME, unreachable
from tests.lab.faults.dns_families import SIX, ipv6
from tests.lab.machine import Machine

# The only builder whose every part the engine brings along is 20.10's; later clients want buildx.
BUILDS = "cd /root/app && DOCKER_BUILDKIT=1 timeout 30 docker build --no-cache ."


def application(m: Machine) -> None:
    m.write("/root/app/Dockerfile", f"FROM busybox\nRUN timeout 7 ping -c1 -w1 {NAME} | grep PING\n")


def vpn(m: Machine) -> None:
    """A VPN client puts a file of its own in the place of the network's, and back again, by a link."""
    unreachable(m, DEAD)
    m.run(f"""
        mv /etc/resolv.conf /etc/resolv.network
        touch -d '1 hour ago' /etc/resolv.network
        echo 'nameserver {DEAD}' > /etc/resolv.vpn
        ln -sf resolv.vpn /etc/resolv.conf
        {BUILDS} || true
        ln -sf resolv.network /etc/resolv.conf""")


def ipv6_network(m: Machine) -> None:
    """The network has become one of IPv6 nameservers; the public ones, which Docker gives containers, answer."""
    for protocol in ("udp", "tcp"):
        m.firewall(
            *("PREROUTING", "-i", m.slot.link, "-d", "8.8.8.8", "-p", protocol, "--dport", "53"),
            *("-j", "DNAT", "--to-destination", "{gateway}"),
            table="nat",
        )
    m.run(f"echo 'nameserver {SIX}' > /etc/resolv.conf")


FAULTS = (
    Fault(
        "dns-buildkit-differs",
        "dns.builds",
        vpn,
        BUILDS,
        setup=application,
        machine=KNOWN,
        verify_fix=True,
        engines=("20.10",),
    ),
    Fault(
        "dns-buildkit-differs:ipv6",
        "dns.builds",
        ipv6_network,
        BUILDS,
        setup=lambda m: (application(m), ipv6(m)),
        machine=KNOWN,
        verify_fix=True,
        engines=("20.10",),
    ),
)

"""Faults of name resolution in single containers that were given nameservers of their own."""

from tests.lab.fault import Fault
from tests.lab.faults.dns import DEAD, KNOWN, NAME, former_server, unreachable

ASKS = f"timeout 8 docker exec app nslookup {NAME}"

FAULTS = (
    Fault(
        "dns-stale-container-resolvconf:own-server",
        "dns.container-own",
        lambda m: unreachable(m, DEAD),
        ASKS,
        setup=lambda m: (former_server(m), m.run(f"docker run -d --name app --dns {DEAD} busybox sleep 1000")),
        machine=KNOWN,
        verify_fix=True,
    ),
    Fault(
        "dns-stale-container-resolvconf:own-server-on-user-network",
        "dns.container-own",
        lambda m: unreachable(m, DEAD),
        ASKS,
        setup=lambda m: (
            former_server(m),
            m.run(f"""
                docker network create net
                docker run -d --name app --network net --dns {DEAD} --dns-search lab --dns-opt ndots:2 busybox sleep 1000"""),
        ),
        machine=KNOWN,
    ),
    Fault(
        "dns-stale-container-resolvconf:own-loopback",
        "dns.container-own",
        "docker rm -f app; docker run -d --name app --dns 127.0.0.1 busybox sleep 1000",
        ASKS,
        setup="docker run -d --name app busybox sleep 1000",
        machine=KNOWN,
        verify_fix=True,
    ),
    Fault(
        "dns-stale-container-resolvconf:rewritten",
        "dns.stale-container",
        lambda m: (unreachable(m, DEAD), m.run(f"docker exec app sh -c 'echo nameserver {DEAD} > /etc/resolv.conf'")),
        ASKS,
        setup="docker run -d --name app --stop-timeout 1 busybox sleep 1000",
        machine=KNOWN,
        verify_fix=True,
    ),
)

"""Faults that some names meet, and others do not."""

import shlex

from tests.lab.fault import Fault
from tests.lab.faults.dns import DEAD, NAME, daemon_dns
from tests.lab.machine import Machine

STRANGER = "203.0.113.9"  # nobody's (RFC 5737)
BIG = "big.lab"
PYTHON = {"images": ("busybox", "python:3.13-slim")}
RESOLVE = "import socket, sys; print(socket.getaddrinfo(sys.argv[1], 443))"
AAAA = ("-p", "udp", "--dport", "53", "-m", "string", "--algo", "bm", "--hex-string", "|00001c0001|")

WILD = {"dns": {"wild.lab": STRANGER, NAME: "{gateway}"}, "resolv_conf": "nameserver {gateway}\nsearch wild.lab\n"}


def big(m: Machine) -> None:
    """A name with sixty addresses: an answer of more than a kilobyte, and a container that wants it."""
    records = (f"--host-record={BIG},192.0.2.{n}" for n in range(1, 61))
    # Local: the lab's network says nothing over TCP, and AAAA records are asked for that way too.
    m.dns.restart(extra=[f"--local=/{BIG}/", *records])


def big_app(m: Machine, *options: str) -> None:
    big(m)
    m.run(f"docker run -d --name app {' '.join(options)} -e API_URL=https://{BIG}/v1 python:3.13-slim sleep 1000")


def turned_to_gateway(m: Machine, address: str, port: int = 53) -> None:
    """Have a nameserver of the lab answer behind another address."""
    for protocol in ("udp", "tcp"):
        m.firewall(
            *("PREROUTING", "-i", m.slot.link, "-d", address, "-p", protocol, "--dport", "53"),
            *("-j", "DNAT", "--to-destination", f"{{gateway}}:{port}"),
            table="nat",
        )


def deaf_to_aaaa(m: Machine, *match: str) -> None:
    """Questions for IPv6 addresses are lost on the way."""
    m.firewall("PREROUTING", "-i", m.slot.link, *match, *AAAA, "-j", "DROP", table="raw")


def second_deaf(m: Machine) -> None:
    turned_to_gateway(m, DEAD)
    deaf_to_aaaa(m, "-d", DEAD)
    m.run(daemon_dns(DEAD))


CORP = "198.51.100.54"
GIT = "git.corp.lab"


def company(m: Machine) -> None:
    """A server that knows the company's names besides all others; the host asks it for those alone."""
    argv = ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--pid-file=", "--user=root", "--no-hosts"]
    argv += ["--bind-interfaces", "--except-interface=lo", "--listen-address={gateway}", "--port=5354", "--no-resolv"]
    argv += [
        "--server={gateway}",
        "--local=/corp.lab/",
        f"--host-record={GIT},192.0.2.7",
        "--host-record=corp.lab,192.0.2.8",
    ]
    m.on_gateway(argv, port=5354)
    turned_to_gateway(m, CORP, 5354)
    m.write(
        "/etc/dnsmasq.d/lab.conf",
        f"no-resolv\nserver={{gateway}}\nserver=/corp.lab/{CORP}\nlisten-address=127.0.0.1\nbind-interfaces\n",
    )
    m.run("""
        dnsmasq --conf-file=/etc/dnsmasq.d/lab.conf --pid-file=/run/lab-dnsmasq.pid
        echo 'nameserver 127.0.0.1' > /etc/resolv.conf""")


def company_app(m: Machine) -> None:
    company(m)
    m.run(daemon_dns(CORP))
    m.run(f"docker run -d --name app --restart always -e GIT_URL=https://{GIT}/x.git busybox sleep 1000")


FAULTS = (
    Fault(
        "dns-search-wildcard",
        "dns.search-wildcard",
        "echo 'options ndots:1' >>/etc/resolv.conf",
        "docker run --rm --network net busybox ping -c 1 -W 2 redis",
        setup="docker network create net; docker run -d --name redis --network net busybox sleep 1000",
        machine=WILD,
        verify_fix=True,
    ),
    Fault(
        "dns-search-wildcard:public-names",
        "dns.search-wildcard",
        "echo 'options timeout:2 ndots:5' >>/etc/resolv.conf",
        f"docker run --rm busybox ping -c 1 -W 2 {NAME}",
        machine=WILD,
        verify_fix=True,
    ),
    Fault(
        "dns-search-wildcard:daemon-json",
        "dns.search-wildcard",
        """sed -i '1s|.*|{ "dns-search": ["wild.lab"], "dns-opts": ["ndots:2", "attempts:2"],|' /etc/docker/daemon.json
        systemctl restart docker; docker start redis""",
        "docker run --rm --network net busybox ping -c 1 -W 2 redis",
        setup="docker network create net; docker run -d --name redis --network net busybox sleep 1000",
        machine={**WILD, "resolv_conf": None},
        verify_fix=True,
    ),
    Fault(
        "dns-truncated-large-answer",
        "dns.truncated",
        "iptables -I FORWARD -p tcp --dport 53 -j DROP",
        f"timeout -k 1 12 docker exec app python3 -c '{RESOLVE}' {BIG}",
        setup=big_app,
        machine=PYTHON,
        verify_fix=True,
    ),
    Fault(
        "dns-truncated-large-answer:user-network",
        "dns.truncated",
        "iptables -I DOCKER-USER -p tcp --dport 53 -j REJECT --reject-with tcp-reset",
        f"timeout -k 1 12 docker exec app python3 -c '{RESOLVE}' {BIG}",
        setup=lambda m: (m.run("docker network create net"), big_app(m, "--network", "net")),
        machine=PYTHON,
        verify_fix=True,
        engines=("20.10", "26.1"),  # later ones ask for user-defined networks from the host
    ),
    Fault(
        "dns-truncated-large-answer:nobody-asks-yet",
        "dns.tcp-blocked",
        """nft add table inet fw
        nft 'add chain inet fw forward { type filter hook forward priority 10; policy accept; }'
        nft add rule inet fw forward tcp dport 53 counter drop""",
        f"docker run --rm python:3.13-slim timeout 8 python3 -c '{RESOLVE}' {BIG}",
        setup=big,
        # A name that the lab's server knows by itself; and its wildcard harms nobody.
        machine={**PYTHON, "dns": {"wild.lab": STRANGER}, "resolv_conf": WILD["resolv_conf"]},
        severity="warning",
        verify_fix=True,
    ),
    Fault(
        "dns-aaaa-timeout",
        "dns.aaaa-silent",
        deaf_to_aaaa,
        f"timeout -k 1 4 docker run --rm python:3.13-slim python3 -c '{RESOLVE}' {NAME}",
        machine={**PYTHON, "dns": {NAME: "192.0.2.1"}},
        verify_fix=True,
    ),
    Fault(
        "dns-aaaa-timeout:server-of-daemon-json",
        "dns.aaaa-silent",
        second_deaf,
        f"timeout -k 1 4 docker run --rm --network net python:3.13-slim python3 -c '{RESOLVE}' {NAME}",
        setup="docker network create net",
        machine={**PYTHON, "dns": {NAME: "192.0.2.1"}},
        verify_fix=True,
    ),
    Fault(
        "dns-corporate-split",
        "dns.split-names",
        daemon_dns("{gateway}"),
        f"docker exec app nslookup {GIT}",
        setup=company_app,
        verify_fix=True,
    ),
    Fault(
        # Who wants Redis finds the stranger; that is no fault of Redis or of a firewall.
        "dns-search-wildcard:redis",
        "dns.search-wildcard",
        "echo 'options ndots:1' >>/etc/resolv.conf; docker restart app",
        "docker exec app ping -c 1 -W 2 redis",
        setup="""docker network create net; docker run -d --name redis --network net redis:7-alpine
        docker run -d --name app --network net -e REDIS_HOST=redis busybox sleep 1000""",
        machine={**WILD, "images": ("busybox", "redis:7-alpine")},
        verify_fix=True,
    ),
    Fault(
        # The look-alike: nothing tries the wildcard first, the two have no network in common.
        "redis-name-not-resolved:wildcard-answers-instead",
        "redis.different-network",
        "docker network disconnect net app; docker network create other; docker network connect other app",
        "docker exec app ping -c 1 -W 2 redis",
        setup="""docker network create net; docker run -d --name redis --network net redis:7-alpine
        docker run -d --name app --network net -e REDIS_HOST=redis busybox sleep 1000""",
        machine={**WILD, "images": ("busybox", "redis:7-alpine")},
        verify_fix=True,
    ),
    Fault(
        # The host's /etc/hosts is no nameserver's.
        "dns-corporate-split:etc-hosts",
        "dns.split-names",
        lambda m: (m.dns.restart(address={}), m.run(f"echo '192.0.2.7 {GIT}' >>/etc/hosts")),
        f"timeout 8 docker exec app nslookup {GIT}",
        setup=f"docker run -d --name app -e GIT_URL=https://{GIT}/x.git busybox sleep 1000",
        machine={"dns": {GIT: "192.0.2.7"}},
    ),
    Fault(
        "dns-corporate-split:own-server",
        "dns.split-names",
        f"""docker rm -f app
        docker run -d --name app --dns {{gateway}} -e GIT_URL=https://{GIT}/x.git busybox sleep 1000""",
        f"timeout 8 docker exec app nslookup {GIT}",
        setup=company_app,
    ),
    Fault(
        "dns-corporate-split:nobody-asks-yet",
        "dns.split-domains",
        daemon_dns("{gateway}"),
        f"timeout 8 docker run --rm busybox nslookup {GIT}",
        setup=lambda m: (company(m), m.run(daemon_dns(CORP))),
        severity="warning",
        verify_fix=True,
    ),
    Fault(
        # The host itself asks the company's server, without a resolver of its own.
        "dns-corporate-split:public-server-in-daemon-json",
        "dns.split-names",
        daemon_dns("{gateway}"),
        f"timeout 8 docker run --rm --network net busybox nslookup {GIT}",
        setup=lambda m: (
            company(m),
            m.run(f"""
                echo 'nameserver {CORP}' > /etc/resolv.conf
                docker network create net
                docker run -d --name app --network net -e GIT_HOST={GIT}:443 busybox sleep 1000"""),
        ),
        verify_fix=True,
    ),
    Fault(
        # The server does not speak TCP at all: the host cannot have the name either.
        "dns-truncated-large-answer:server-without-tcp",
        "dns.truncated",
        lambda m: m.firewall("INPUT", "-i", m.slot.link, "-p", "tcp", "--dport", "53", "-j", "DROP"),
        f"timeout -k 1 12 docker exec app python3 -c '{RESOLVE}' {BIG}",
        setup=big_app,
        machine=PYTHON,
    ),
    Fault(
        # The host is well; its own firewall drops what containers ask.
        "dns-aaaa-timeout:own-firewall",
        "dns.aaaa-silent",
        f"iptables -I FORWARD {shlex.join(AAAA)} -j DROP",
        f"timeout -k 1 4 docker run --rm python:3.13-slim python3 -c '{RESOLVE}' {NAME}",
        machine={**PYTHON, "dns": {NAME: "192.0.2.1"}},
        verify_fix=True,
    ),
    Fault(
        # The host completes names as containers do: its own pulls go to the stranger too.
        "dns-search-wildcard:mirror-of-the-host",
        "dns.search-wildcard",
        "echo 'options ndots:3' >>/etc/resolv.conf; systemctl restart docker",
        # Go's resolver reads resolv.conf anew every five seconds (net/dnsclient_unix.go).
        "docker pull redis:7-alpine || { sleep 6; docker pull redis:7-alpine; }; docker rmi redis:7-alpine",
        machine={
            **WILD,
            "dns": {"wild.lab": STRANGER, "mirror.lab": "{gateway}"},
            "daemon_json": {"registry-mirrors": ["http://mirror.lab:5000"]},
        },
        verify_fix=True,
    ),
)

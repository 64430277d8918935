"""Where hosts keep the nameservers behind their own resolver; files as distributions write them."""

import pytest

from dockerdoctor.facts.dns import HostResolver, ResolvConf
from dockerdoctor.facts.upstreams import lease_servers, upstreams, usable
from dockerdoctor.host import Host

NETWORKD = "# This is private data. Do not parse.\nADDRESS=10.0.0.7\nROUTER=10.0.0.1\nDNS=10.0.0.2 10.0.0.3\n"
DHCLIENT = """lease {
  option routers 192.168.1.1;
  option domain-name-servers 192.168.1.9;
}
lease {
  option domain-name-servers 192.168.1.1, 192.168.1.2;
}
"""


def found(root, files, etc=("127.0.0.1",)):
    for path, text in files.items():
        file = root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    resolver = HostResolver(ResolvConf("/etc/resolv.conf", True, nameservers=etc), ResolvConf("/run/r", False))
    said = upstreams.measure(Host(root, {"PATH": "/nowhere"}), resolver, None)
    return [(c.server, c.source) for c in said.candidates]


FILES = {
    "dnsmasq": (
        {
            "/etc/dnsmasq.conf": "# upstream\n#server=10.9.9.9\nserver=10.0.0.1  # office\nserver=/corp.example/10.0.0.9\n"
        },
        [("10.0.0.1", "dnsmasq: /etc/dnsmasq.conf:3")],
    ),
    "dnsmasq's folder": (
        {
            "/etc/dnsmasq.d/a.conf": "server=10.0.0.1#53\nserver=10.0.0.2#5353\n",
            "/etc/dnsmasq.d/a.conf.dpkg-old": "server=10.0.0.8",
        },
        [("10.0.0.1", "dnsmasq: /etc/dnsmasq.d/a.conf:1")],
    ),
    "dnsmasq's resolv-file": (
        {"/etc/dnsmasq.conf": "resolv-file=/etc/upstream.conf\n", "/etc/upstream.conf": "nameserver 10.0.0.1\n"},
        [("10.0.0.1", "dnsmasq: /etc/dnsmasq.conf:1: /etc/upstream.conf")],
    ),
    "dnsmasq that runs": (
        {
            "/proc/7/comm": "dnsmasq\n",
            "/proc/7/cmdline": "dnsmasq\0--server=10.0.0.1\0-S\x0010.0.0.2\0-C\0/opt/d.conf\0-7\0/opt/d,*.bak\0",
            "/opt/d.conf": "server=10.0.0.3@eth0",
            "/opt/d/x": "server=10.0.0.4",
        },
        [
            ("10.0.0.1", "dnsmasq (process 7)"),
            ("10.0.0.2", "dnsmasq (process 7)"),
            ("10.0.0.3", "dnsmasq: /opt/d.conf:1"),
            ("10.0.0.4", "dnsmasq: /opt/d/x:1"),
        ],
    ),
    "NetworkManager": (
        {"/run/NetworkManager/no-stub-resolv.conf": "nameserver 10.0.0.1\nnameserver 127.0.0.1\n"},
        [("10.0.0.1", "NetworkManager: /run/NetworkManager/no-stub-resolv.conf")],
    ),
    "resolvconf": (
        {"/run/resolvconf/interface/eth0.dhclient": "nameserver 10.0.0.1\n"},
        [("10.0.0.1", "resolvconf: /run/resolvconf/interface/eth0.dhclient")],
    ),
    "DHCP": (
        {"/run/systemd/netif/leases/2": NETWORKD},
        [
            ("10.0.0.2", "DHCP lease: /run/systemd/netif/leases/2"),
            ("10.0.0.3", "DHCP lease: /run/systemd/netif/leases/2"),
        ],
    ),
    "nothing": ({}, []),
}


@pytest.mark.parametrize(("files", "expected"), FILES.values(), ids=FILES)
def test_found(tmp_path, files, expected):
    assert found(tmp_path, files) == expected


def test_what_the_host_names_outright_comes_first(tmp_path):
    said = found(tmp_path, {"/run/systemd/netif/leases/2": NETWORKD}, etc=("127.0.0.1", "10.0.0.3"))
    assert [s for s, _ in said] == ["10.0.0.3", "10.0.0.2"]


def test_the_newest_lease_counts():
    assert lease_servers(DHCLIENT) == ("192.168.1.1", "192.168.1.2")
    assert lease_servers("") == ()


@pytest.mark.parametrize(
    ("address", "good"),
    [
        ("10.0.0.1", True),
        ("2001:db8::1", True),
        ("127.0.0.53", False),
        ("::1", False),
        ("0.0.0.0", False),
        ("fe80::1%eth0", False),
        ("fe80::1", False),
        ("224.0.0.1", False),
        ("dns.example", False),
        ("10.0.0.1#53", False),
        ("", False),
    ],
)
def test_usable(address, good):
    assert usable(address) is good

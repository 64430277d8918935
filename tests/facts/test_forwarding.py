"""Who turned forwarding off, and which files give Docker's interfaces to a network manager."""

import pytest

from dockerdoctor.facts.endpoint import ChosenEndpoint
from dockerdoctor.facts.forwarding import (
    Setting,
    _service,
    _services,
    forwarding,
    networkd_claims,
    read_claims,
    read_settings,
)
from dockerdoctor.host import Host
from dockerdoctor.measure import Unmeasured


def host(root, **files):
    for path, text in files.items():
        target = root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return Host(root, env={})


def test_settings_in_the_order_of_boot(tmp_path):
    files = {
        "/usr/lib/sysctl.d/50-default.conf": "net.ipv4.ip_forward = 1\n",
        "/usr/lib/sysctl.d/60-hard.conf": "net.ipv4.ip_forward = 0\n",
        "/etc/sysctl.d/60-hard.conf": "# hidden: the file of the same name in /usr\nnet/ipv4/conf/all/forwarding=0\n",
        "/etc/sysctl.conf": "#net.ipv4.ip_forward=1\nkernel.panic = 3\n-net.ipv4.ip_forward=0\n",
    }
    here = host(tmp_path, **files)
    (tmp_path / "etc/sysctl.d/99-sysctl.conf").symlink_to("../sysctl.conf")
    assert read_settings(here) == (
        Setting("/usr/lib/sysctl.d/50-default.conf", 1, "net.ipv4.ip_forward", "1"),
        Setting("/etc/sysctl.d/60-hard.conf", 2, "net.ipv4.conf.all.forwarding", "0"),
        Setting("/etc/sysctl.conf", 3, "net.ipv4.ip_forward", "0"),
    )


def test_forwarding(tmp_path):
    net = "/proc/sys/net"
    here = host(
        tmp_path,
        **{
            f"{net}/ipv4/ip_forward": "1\n",
            f"{net}/ipv4/conf/eth0.100/forwarding": "0\n",
            f"{net}/netfilter/nf_conntrack_max": "262144\n",
        },
    )
    seen = forwarding.measure(here, ChosenEndpoint("unix:///var/run/docker.sock", "default"))
    assert seen.ip_forward == "1"
    assert seen.of("eth0.100") == "0"
    assert (seen.conntrack_count, seen.conntrack_max) == (0, 262144)
    with pytest.raises(Unmeasured):
        forwarding.measure(here, ChosenEndpoint("tcp://192.0.2.1:2376", "--host"))


@pytest.mark.parametrize(
    ("text", "patterns", "unmanaged"),
    [
        ("[Match]\nName=*\n[Network]\nDHCP=yes\n", ("*",), False),
        ("[Match]\nName=en* veth*\n", ("veth*",), False),
        ("[Match]\nName=en* eth*\n", (), False),
        ("[Match]\nName=docker* br-* veth*\n[Link]\nUnmanaged=yes\n", ("docker*", "br-*", "veth*"), True),
        ("[Match]\nName=!docker* !br-* !veth* *\n", (), False),
        ("[Match]\nType=ether\n[Network]\nDHCP=yes\n", ("Type=ether",), False),
        ("[Match]\nType=ether\nName=en*\n", (), False),
        ("[Match]\nType=wlan\n", (), False),
        ("[Match]\nKind=veth\nName=host0\n", (), False),
        ("[Network]\nDHCP=yes\n", (), False),
        ("not a unit file", (), False),
    ],
)
def test_networkd_claims(text, patterns, unmanaged):
    assert networkd_claims("x.network", text) == (patterns, unmanaged)


def test_the_first_file_that_matches_counts(tmp_path):
    folder = "/etc/systemd/network"
    here = host(tmp_path, **{f"{folder}/20-all.network": "[Match]\nName=*\n"})
    assert [c.source for c in read_claims(here)] == [f"{folder}/20-all.network"]
    host(tmp_path, **{f"{folder}/10-docker.network": "[Match]\nName=docker* br-* veth*\n[Link]\nUnmanaged=yes\n"})
    assert read_claims(here) == ()


SHOWN = """\
Id=docker.service
LoadState=loaded
ActiveState=active
UnitFileState=enabled
StateChangeTimestampMonotonic=9000000
ActiveEnterTimestampMonotonic=2500000

Id=firewalld.service
LoadState=not-found
ActiveState=inactive
StateChangeTimestampMonotonic=0
"""


def test_services():
    blocks = _services(SHOWN)
    assert list(blocks) == ["docker.service"]
    assert _service(blocks["docker.service"], "ActiveEnterTimestampMonotonic").changed == 2.5

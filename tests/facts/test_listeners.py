"""What the kernel's tables say of listening sockets."""

import pytest

from dockerdoctor.facts.listeners import DockerProxy, Listener, Process, holders, parse, process_of, proxy_of
from dockerdoctor.host import Host

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
REST = "00000000:00000000 00:00000000 00000000     0        0 354827 1 000000007af5d7ee 100 0 0 10 0\n"


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("0: 0B00007F:944D 00000000:0000 0A", ("127.0.0.11", 37965)),
        ("0: 00000000:0050 00000000:0000 0A", ("0.0.0.0", 80)),
        ("0: 00000000000000000000000000000000:1F90 00000000000000000000000000000000:0000 0A", ("::", 8080)),
        ("0: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A", ("::1", 8080)),
        ("0: 0000000000000000FFFF00000100007F:1F90 00000000000000000000000000000000:0000 0A", ("127.0.0.1", 8080)),
        ("0: 0100007F:0050 0100007F:9000 01", None),  # a connection, not a listener
    ],
)
def test_table(row, expected):
    found = [(x.address, x.port) for x in parse("tcp", f"{HEAD}   {row} {REST}")]
    assert found == ([expected] if expected else [])
    assert all(x.inode == 354827 for x in parse("tcp", f"{HEAD}   {row} {REST}"))


def test_where():
    assert Listener("tcp", "::1", 80).where == "[::1]:80"
    assert Listener("tcp", "127.0.0.1", 80).loopback
    assert Listener("tcp", "::", 80).wildcard


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "/usr/sbin/docker-proxy -proto tcp -host-ip :: -host-port 8080 -container-ip 172.17.0.2 -container-port 80",
            DockerProxy(7, "tcp", "::", 8080, "172.17.0.2", 80),
        ),
        (
            "docker-proxy -proto udp -host-ip 0.0.0.0 -host-port 53 -container-ip 172.17.0.2 -container-port 53 -use-listen-fd",
            DockerProxy(7, "udp", "0.0.0.0", 53, "172.17.0.2", 53),
        ),
        ("docker-proxy -version", None),
    ],
)
def test_proxy(line, expected):
    assert proxy_of(7, line.split()) == expected


@pytest.mark.parametrize(
    ("cgroup", "expected"),
    [
        ("0::/system.slice/nginx.service\n", Process(12, "nginx", "nginx.service")),
        ("0::/user.slice/user-1000.slice/session-3.scope\n", Process(12, "nginx")),
        ("0::/user.slice/user-1000.slice/user@1000.service/init.scope\n", Process(12, "nginx")),
        (f"0::/system.slice/docker-{'a' * 64}.scope\n", Process(12, "nginx", "", "a" * 64)),
        (f"1:name=systemd:/docker/{'a' * 64}\n0::/\n", Process(12, "nginx", "", "a" * 64)),
    ],
)
def test_holder(tmp_path, cgroup, expected):
    process = tmp_path / "proc/12"
    (process / "fd").mkdir(parents=True)
    (process / "comm").write_text("nginx\n")
    (process / "cgroup").write_text(cgroup)
    (process / "fd/3").symlink_to("socket:[99]")
    host = Host(tmp_path, {})
    assert process_of(host, 12) == expected
    assert holders(host, frozenset({99, 100})) == {99: expected}

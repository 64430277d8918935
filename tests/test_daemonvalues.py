"""Values that dockerd refuses, with what was meant; tests/lab asks dockerd itself."""

import pytest

from dockerdoctor.daemonvalues import wrong_values
from dockerdoctor.daemonvalues.wrong import REMOVE, UNSURE

ANY = ((20, 10, 24), (26, 1))
OLD, NEW = ANY


@pytest.mark.parametrize(
    ("settings", "engine", "key", "new"),
    [
        ({"dns": ["10.0.0.1:53", "x"]}, OLD, "dns", ["10.0.0.1"]),
        ({"dns": ["ns.example"]}, NEW, "dns", REMOVE),
        ({"dns": [" 10.0.0.1 "]}, NEW, "dns", ["10.0.0.1"]),
        ({"dns": ["[fd00::1]:53"]}, OLD, "dns", ["fd00::1"]),
        ({"dns-search": ["a b", "example.com"]}, OLD, "dns-search", ["example.com"]),
        ({"ip": "here"}, OLD, "ip", UNSURE),
        ({"bip": "172.26.0.1"}, OLD, "bip", "172.26.0.1/16"),
        ({"bip": "172.26.0.0"}, OLD, "bip", "172.26.0.1/16"),
        ({"bip": "192.168.5.1"}, OLD, "bip", "192.168.5.1/24"),
        ({"bip": "172.26.0.0/16"}, OLD, "bip", "172.26.0.1/16"),
        ({"bip": "172.26.0.255/24"}, OLD, "bip", "172.26.0.1/24"),
        ({"bip": "bridge"}, OLD, "bip", UNSURE),
        ({"bip": "172.26.0.1/16", "bridge": "br0"}, OLD, "bip", REMOVE),
        ({"fixed-cidr": "172.17.0.0"}, OLD, "fixed-cidr", UNSURE),
        ({"ipv6": True}, OLD, "ipv6", UNSURE),
        ({"default-address-pools": [{"base": "10.0.0.0/16", "size": 8}]}, OLD, "default-address-pools", UNSURE),
        ({"registry-mirrors": ["m.example"]}, OLD, "registry-mirrors", ["https://m.example"]),
        (
            {"registry-mirrors": ["10.0.0.1:5000", "http://x"]},
            NEW,
            "registry-mirrors",
            ["http://10.0.0.1:5000", "http://x"],
        ),
        ({"registry-mirrors": ["https://u:p@m.example/"]}, OLD, "registry-mirrors", ["https://m.example"]),
        ({"registry-mirrors": ["https://m.example/v2"]}, OLD, "registry-mirrors", ["https://m.example"]),
        ({"registry-mirrors": ["ftp://m.example"]}, OLD, "registry-mirrors", UNSURE),
        ({"insecure-registries": ["https://r.example:5000/v2/"]}, OLD, "insecure-registries", ["r.example:5000"]),
        ({"insecure-registries": ["*.example"]}, OLD, "insecure-registries", UNSURE),
        ({"max-download-attempts": 0}, OLD, "max-download-attempts", REMOVE),
        ({"mtu": -1}, NEW, "mtu", REMOVE),
        ({"log-level": "warning"}, NEW, "log-level", "warn"),
        ({"log-level": "verbose"}, OLD, "log-level", "debug"),
        ({"default-shm-size": "64X"}, OLD, "default-shm-size", REMOVE),
        ({"labels": ["rack"]}, OLD, "labels", ["rack="]),
        ({"labels": ["a=1", "a=2"]}, OLD, "labels", UNSURE),
        ({"default-runtime": "nvidia"}, OLD, "default-runtime", REMOVE),
        ({"default-runtime": "io.containerd.runsc.v1"}, OLD, "default-runtime", REMOVE),
        ({"runtimes": {"runc": {}, "x": {}}}, OLD, "runtimes", {"x": {}}),
        ({"storage-driver": "aufs"}, NEW, "storage-driver", UNSURE),
        ({"exec-opts": ["native.cgroupdriver=none"]}, OLD, "exec-opts", REMOVE),
        ({"exec-opts": ["native.cgroupdriver=systemd"], "cgroup-parent": "/x/y"}, OLD, "cgroup-parent", "x-y.slice"),
        ({"icc": False, "iptables": False}, OLD, "icc", UNSURE),
        ({"graph": "/a", "data-root": "/b"}, OLD, "graph", REMOVE),
        ({"metrics-addr": "127.0.0.1"}, OLD, "metrics-addr", "127.0.0.1:9323"),
        ({"hosts": ["http://x", "fd://"]}, OLD, "hosts", ["fd://"]),
        ({"tlsverify": False}, OLD, "tlsverify", REMOVE),
        ({"tls": True, "tlscert": "/c"}, OLD, "tls", UNSURE),
        ({"seccomp-profile": "unconfined"}, OLD, "seccomp-profile", REMOVE),
        ({"log-opts": {"max-files": "3", "max-size": "1m"}}, OLD, "log-opts", {"max-file": "3", "max-size": "1m"}),
        ({"log-opts": {"max-size": "-1"}}, OLD, "log-opts", REMOVE),
        ({"log-opts": {"max-size": "1m", "compress": "true"}}, OLD, "log-opts", {"max-size": "1m"}),
        ({"log-opts": {"mode": "never"}}, OLD, "log-opts", REMOVE),
        ({"log-driver": "journald", "log-opts": {"max-size": "1m", "tag": "x"}}, OLD, "log-opts", {"tag": "x"}),
    ],
)
def test_refused(settings, engine, key, new):
    (only,) = wrong_values(settings, engine)
    assert only.key == key
    assert only.reason
    assert only.new is new if new in (REMOVE, UNSURE) else only.new == new
    assert only.how or only.new is not UNSURE
    if only.new is not UNSURE:
        corrected = {k: v for k, v in {**settings, key: new}.items() if v is not REMOVE}
        assert not list(wrong_values(corrected, engine))


@pytest.mark.parametrize("engine", ANY)
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"dns": ["10.0.0.1", "fd00::1"], "dns-search": ["example.com", ".", "a-b.c"], "ip": "0.0.0.0"},
        {"bip": "172.26.0.1/16", "fixed-cidr": "172.26.1.0/24", "default-gateway": "172.26.0.254"},
        {"bip": "", "bridge": "none"},
        {"ipv6": True, "fixed-cidr-v6": "fd00:d0c::/64"},
        {"ipv6": True, "default-address-pools": [{"base": "fd00:d0c::/48", "size": 64}]},
        {"default-address-pools": [{"base": "10.99.0.5/16", "size": 24}, {"Base": "fd00::/48", "Size": 64}]},
        {"registry-mirrors": ["https://m.example/", "http://10.0.0.1:5000"]},
        {"insecure-registries": ["http://r.example:5000", "10.0.0.0/8", "R", "[::1]:5000", "::1", "fd00::/8"]},
        {"log-level": "WARN", "labels": ["a=1", "a=1", "=x"], "default-shm-size": "1.5 gib"},
        {"default-runtime": "x", "runtimes": {"x": {"path": "x"}}},
        {"default-runtime": "io.containerd.runc.v2"},
        {"log-opts": {"max-size": "10m", "max-file": "3", "compress": "true", "labels": "x", "tag": "{{.Name}}"}},
        {"log-opts": {"mode": "non-blocking", "max-buffer-size": "4m", "cache-disabled": "true"}},
        {"log-driver": "fluentd", "log-opts": {"fluentd-address": "x"}},
        {"log-driver": "none", "log-opts": {"any": "thing"}},
        {"tls": False, "storage-driver": "overlay2", "exec-opts": ["native.cgroupdriver=systemd", "isolation=hyperv"]},
        {"tlsverify": True, "tlscert": "/c", "tlskey": "/k", "hosts": ["tcp://0.0.0.0:2376", "fd://", "10.0.0.1:2375"]},
    ],
)
def test_accepted(settings, engine):
    assert not list(wrong_values(settings, engine))


def test_files_that_are_not_there():
    settings = {"runtimes": {"x": {"path": "/x"}}}
    absent = [("runtimes.x", "/x")]
    assert not list(wrong_values(settings, OLD, absent))
    assert not list(wrong_values(settings, NEW, absent))
    assert [w.key for w in wrong_values({**settings, "default-runtime": "x"}, OLD, absent)] == ["default-runtime"]
    assert not list(wrong_values({"tlscert": "/c"}, OLD, [("tlscert", "/c")]))
    assert [w.key for w in wrong_values({"seccomp-profile": "/p"}, OLD, [("seccomp-profile", "/p")])] == [
        "seccomp-profile"
    ]

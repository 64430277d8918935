"""dockerd itself judges a corpus of configuration files, and the doctor must judge every one alike."""

import base64
import json
from collections.abc import Iterator

import pytest

from dockerdoctor.checks import daemon_json, daemon_keys, daemon_state, daemon_values
from dockerdoctor.examine import decide
from dockerdoctor.facts.daemon_json import DaemonJson, Flag, StartFlags, decode, parse_flags
from dockerdoctor.facts.engine import DaemonProcess, EngineVersion
from dockerdoctor.measure import Missing
from dockerdoctor.model import Check, Severity, Status
from tests.lab.machine import Machine

pytestmark = pytest.mark.lab

NAMED = (("runtimes.x", "/absent/runc"), ("seccomp-profile", "/absent/profile.json"))
FLAGS = ("--containerd=/run/containerd/containerd.sock", "-H", "unix:///run/corpus.sock")
CHECKS = [
    c
    for area in (daemon_json, daemon_keys, daemon_values, daemon_state)
    for c in vars(area).values()
    if isinstance(c, Check)
]

# Judged while it is read: one a line, where \n, \t, \" and \uXXXX are as in Python.
READ = r"""
{}
null
[]
""
42

\n\n
\ufeff{}
{} {}
{"debug": true}}
{"debug": true} garbage
{"debug": true,}
{"debug": true "icc": true}
{"debug": true // no\n}
{'debug': true}
{“debug”: true}
{debug: true}
{"debug": True}
{"mtu": 01500}
{"mtu": +1500}
{"mtu": 1500.0}
{"mtu": 1e3}
{"mtu": 99999999999999999999}
{"mtu": null}
{"mtu": "1500"}
{"labels": ["a=\tb"]}
{"labels": ["a=\\q"]}
{"labels": ["a=\\u00e9", "b=é"]}
{"debug": true
{"dns": ["10.0.0.1"}
<html></html>
{"debug": true, "debug": false}
{"dns": "10.0.0.1"}
{"dns": ["10.0.0.1", "fd00::1"]}
{"dns": [" 10.0.0.1 "]}
{"dns": ["10.0.0.1:53"]}
{"dns": ["ns.example"]}
{"dns": [""]}
{"dns": [null]}
{"dns": null}
{"dns": [10]}
{"dns": ["010.0.0.1"]}
{"dns": ["fe80::1%eth0"]}
{"DNS": ["10.0.0.1"]}
{"dns_servers": ["10.0.0.1"]}
{"dns-opt": ["ndots:1"]}
{"dns-opts": ["ndots:1"]}
{"dns-search": ["example.com", "."]}
{"dns-search": ["a b"]}
{"dns-search": ["123"]}
{"dns-search": [""]}
{"dns-search": ["under_score"]}
{"host": ["tcp://x"]}
{"restart": true}
{"version": true}
{"D": true}
{"label": ["a"]}
{"labels": ["a"]}
{"labels": ["a=b", "a=c"]}
{"labels": ["a=b", "a=b"]}
{"labels": {"a": "b"}}
{"labels": {"debug": true}}
{"storage-opt": 1}
{"add-runtime": 7}
{"cluster-store-opt": ["x"]}
{"daemon": {"dns": ["10.0.0.1"]}}
{"zzz": {}}
{"zzz": {"yyy": 1}}
{"zzz": []}
{"graph": "/srv/docker"}
{"graph": "/srv/a", "data-root": "/srv/b"}
{"proxies": {"http-proxy": "http://x:1"}}
{"proxies": {}}
{"http-proxy": "http://x:1"}
{"firewall-backend": "iptables"}
{"log-format": "json"}
{"cdi-spec-dirs": []}
{"default-network-opts": {"bridge": {"com.docker.network.driver.mtu": "1400"}}}
{"default-init": "x"}
{"resolv-conf": "/x"}
{"containerd-plugin-namespace": "x"}
{"containerd-plugins-namespace": "x"}
{"features": {"buildkit": true}}
{"features": {"buildkit": "true"}}
{"features": []}
{"builder": {"gc": {"enabled": true, "defaultKeepStorage": "20GB"}}}
{"log-opts": {"max-size": "10m", "max-file": "3"}}
{"log-opts": {"max-file": 3}}
{"log-opts": ["max-size=10m"]}
{"log-opts": null}
{"log-opt": ["max-size=10m"]}
{"default-address-pools": {"base": "10.99.0.0/16", "size": 24}}
{"default-address-pools": [{"base": "10.99.0.0/16", "size": "24"}]}
{"default-ulimits": {"nofile": {"Name": "nofile", "Hard": 10, "Soft": 5}}}
{"default-ulimits": {"nofile": 1024}}
{"default-ulimits": {"nofile": {"Name": "nofile", "Hard": "10"}}}
{"default-shm-size": "64M"}
{"default-shm-size": "1.5 gib"}
{"default-shm-size": 67108864}
{"default-shm-size": "64X"}
{"default-shm-size": ""}
{"default-shm-size": null}
{"default-ipc-mode": "host"}
{"default-ipc-mode": "shareable"}
{"default-cgroupns-mode": "private"}
{"default-cgroupns-mode": "none"}
{"runtimes": {"x": "/usr/bin/x"}}
{"max-concurrent-downloads": -1}
{"max-concurrent-uploads": 0}
{"max-download-attempts": 0}
{"shutdown-timeout": -1}
{"node-generic-resources": ["a"]}
{"node-generic-resources": ["gpu=1"]}
{"ip": "0.0.0.0"}
{"ip": "here"}
{"host-gateway-ip": "10.0.0.300"}
{"hosts": ["fd://"]}
{"containerd": "/run/x.sock"}
{"tls": "false"}
{"live-restore": "yes"}
{"insecure-registries": "x:5000"}
{"exec-opts": ["native.cgroupdriver=systemd"]}
{"experimental": true, "ipv6": false, "userland-proxy": false, "iptables": true}
"""

# Judged when it starts.
STARTED = r"""
{"validate": true}
{"runtimes": {"x": {"path": "/usr/bin/runc", "runtimeArgs": ["-v"]}}, "default-runtime": "x"}
{"runtimes": {"x": {"path": "/absent/runc"}}}
{"runtimes": {"x": {"path": "/absent/runc", "runtimeArgs": ["-v"]}}}
{"seccomp-profile": "/absent/profile.json"}
{"seccomp-profile": "unconfined"}
{"runtimes": {"runc": {"path": "runc"}}}
{"default-runtime": "nvidia"}
{"default-runtime": "io.containerd.runc.v2"}
{"default-runtime": "io.containerd.runsc.v1"}
{"default-runtime": ""}
{"bip": "172.26.0.1/16", "fixed-cidr": "172.26.1.0/24", "default-gateway": "172.26.0.254"}
{"bip": "172.26.0.1"}
{"bip": "172.26.0.0/16"}
{"bip": "172.26.0.255/24"}
{"bip": "172.26.0.1/31"}
{"bip": "fd00::1/64"}
{"bip": "172.26.0.1/16", "bridge": "none"}
{"bip": "172.26.0.1/16", "default-gateway": "10.9.9.9"}
{"bip": ""}
{"bridge": "none"}
{"fixed-cidr": "172.17.0.0"}
{"fixed-cidr-v6": "fd00:d0c::/64", "ipv6": true}
{"ipv6": true}
{"mtu": -5}
{"mtu": 0}
{"registry-mirrors": ["mirror.example"]}
{"registry-mirrors": ["mirror.example:5000"]}
{"registry-mirrors": ["https://mirror.example/"]}
{"registry-mirrors": ["https://mirror.example/path"]}
{"registry-mirrors": ["https://u:p@mirror.example"]}
{"registry-mirrors": ["ftp://mirror.example"]}
{"registry-mirrors": [" https://mirror.example"]}
{"registry-mirrors": [""]}
{"insecure-registries": ["http://x.example:5000", "10.0.0.0/8", "EXAMPLE.com", "[::1]:5000"]}
{"insecure-registries": ["x.example:5000/"]}
{"insecure-registries": ["my_registry:5000"]}
{"insecure-registries": ["*.example.com"]}
{"insecure-registries": ["10.0.0.0/40"]}
{"insecure-registries": ["x.example:99999"]}
{"log-opts": {"max-size": "10m", "max-file": "3", "labels": "a", "env": "b", "tag": "c", "mode": "non-blocking", "max-buffer-size": "4m"}}
{"log-opts": {"max-files": "3"}}
{"log-opts": {"mode": "never"}}
{"log-opts": {"max-buffer-size": "4m"}}
{"log-driver": "local", "log-opts": {"max-size": "1m", "compress": "true"}}
{"log-driver": "local", "log-opts": {"labels": "x"}}
{"log-driver": "none", "log-opts": {"any": "thing"}}
{"log-driver": "journald", "log-opts": {"max-size": "10m"}}
{"log-driver": "gelf", "log-opts": {"gelf-address": "udp://192.0.2.1:12201"}}
{"log-level": "verbose"}
{"log-level": "WARNING"}
{"storage-driver": "overlay9"}
{"exec-opts": ["native.cgroupdriver=none"]}
{"exec-opts": ["native.cgroupdriver=systemd"], "cgroup-parent": "foo"}
{"exec-opts": ["isolation=hyperv"]}
{"default-address-pools": [{"base": "10.99.0.5/16", "size": 24}, {"base": "10.98.0.0/16", "size": 16}]}
{"default-address-pools": [{"base": "10.99.0.0", "size": 24}]}
{"default-address-pools": [{"base": "10.99.0.0/16", "size": 8}]}
{"default-address-pools": [{"base": "10.99.0.0/16"}]}
{"icc": false, "iptables": false}
{"icc": false}
{"metrics-addr": "localhost"}
{"containerd-namespace": "plugins.moby"}
{"tls": true}
{"tls": false}
{"tlsverify": false}
{"hosts": ["http://192.0.2.1"]}
{"cgroup-parent": "foo", "selinux-enabled": false, "init": true, "no-new-privileges": true, "raw-logs": true}
"""

# Reads a file's text from each line, base64; says how dockerd took it.
JUDGE = r"""
systemctl stop docker.socket docker.service
mkdir -p /tmp/corpus
while read -r line how; do
    base64 -d <<< "$line" > /tmp/corpus/daemon.json
    flags='{flags}'
    [ $how = read ] && flags="$flags {only_read}"
    [ $how = hosts ] && flags='{flags_without_host}'
    rm -f /run/corpus.sock /run/corpus.pid
    dockerd $flags --pidfile /run/corpus.pid --config-file /tmp/corpus/daemon.json > /tmp/corpus/said 2>&1 < /dev/null &
    pid=$!
    verdict=refused
    for i in $(seq 400); do
        kill -0 $pid 2>/dev/null || break
        curl -s -m 1 --unix-socket /run/corpus.sock http://docker/_ping > /dev/null && { verdict=accepted; break; }
        sleep 0.05
    done
    kill $pid 2>/dev/null; wait $pid
    # It has read the file, and would have started.
    grep -qE 'unable to parse logging level: corpus|configuration OK' /tmp/corpus/said && verdict=accepted
    printf '%s %s\n' $verdict "$(tail -1 /tmp/corpus/said | tr '\n' ' ')"
done
"""


def texts(block: str) -> Iterator[str]:
    for line in block.removeprefix("\n").removesuffix("\n").split("\n"):
        yield line.replace("\\n", "\n").replace("\\t", "\t").replace("\\ufeff", "\ufeff").replace("\\\\", "\\")


def refused(text: str, version: str, flags: tuple[str, ...]) -> list[str]:
    """The errors that the doctor finds in a file, for an engine that is given these flags."""
    plain, bom, bad = decode(text.encode())
    try:
        settings, _ = json.JSONDecoder().raw_decode(plain.lstrip())
    except ValueError:
        settings = None
    words = parse_flags((word, "") for word in flags)
    facts = {
        DaemonJson: DaemonJson(
            "/etc/docker/daemon.json",
            True,
            "",
            plain,
            settings if isinstance(settings, dict) else None,
            bom=bom,
            bad_byte=bad,
            absent=tuple((key, path) for key, path in NAMED if path in text),
        ),
        StartFlags: StartFlags(tuple(Flag(name, value, "flag") for name, value, _ in words), unit=False),
        EngineVersion: EngineVersion(version, "", "", "", "", ""),
    }
    found = []
    for one in CHECKS:
        optional = {need: None for need, required in one.needs.values() if not required}
        finding, crash = decide(one, {**optional, **facts, DaemonProcess: Missing("")})
        assert not crash, crash
        # Before 23.0 what follows the first object is no fault of the start's: it has no effect.
        ignored = one.id == "daemon-json.second-object" and version < "23"
        if finding.status is Status.FAIL and one.severity is Severity.ERROR and not ignored:
            found.append(f"{one.id}: {finding.summary}")
    return found


@pytest.mark.parametrize("suite", ["bookworm", "trixie", pytest.param("sid", marks=pytest.mark.matrix)])
def test_the_doctor_judges_as_dockerd_does(suite):
    cases = [(text, "read") for text in texts(READ)]
    cases += [(text, "hosts" if '"hosts"' in text else "start") for text in texts(STARTED)]
    lines = "".join(f"{base64.b64encode(text.encode()).decode() or '='} {how}\n" for text, how in cases)
    with Machine.boot(images=(), doctor=False, suite=suite) as machine:
        version = machine.run("docker version --format '{{.Server.Version}}'").stdout.strip()
        # 20.10 has no --validate, but reads the file before it stops at a level that it does not know.
        only_read = "--log-level=corpus" if version.startswith("20.") else "--validate"
        script = (
            JUDGE.replace("{only_read}", only_read)
            .replace("{flags_without_host}", FLAGS[0])
            .replace("{flags}", " ".join(FLAGS))
        )
        verdicts = machine.run(script, stdin=lines, timeout=900).stdout.splitlines()
    assert len(verdicts) == len(cases)
    wrong = []
    for (text, how), verdict in zip(cases, verdicts):
        found = refused(text, version, FLAGS[:1] if how == "hosts" else FLAGS)
        if bool(found) != verdict.startswith("refused"):
            wrong.append(f"{text!r}\n   dockerd {version}: {verdict}\n   the doctor: {found or 'nothing'}")
    assert not wrong, "\n".join(wrong)

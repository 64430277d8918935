"""daemon.json as an engine of a given version would take it: facts in, findings out."""

import json
import subprocess

import pytest

from dockerdoctor.checks import daemon_json, daemon_keys, daemon_state, daemon_values
from dockerdoctor.examine import decide
from dockerdoctor.facts.containers import Network, Networks
from dockerdoctor.facts.daemon_json import DaemonJson, Flag, StartFlags, decode, parse_flags
from dockerdoctor.facts.engine import DaemonProcess, EngineInfo, EngineVersion, Installed, Unit, Units
from dockerdoctor.facts.inside import Inside, View
from dockerdoctor.measure import Missing
from dockerdoctor.model import Check, Status

CHECKS = [
    c
    for area in (daemon_json, daemon_keys, daemon_values, daemon_state)
    for c in vars(area).values()
    if isinstance(c, Check)
]
PATH = "/etc/docker/daemon.json"
STOCK = ("-H", "fd://", "--containerd=/run/containerd/containerd.sock")
UNITS = Units(True, Unit("docker.service", exec_start=(f"/usr/sbin/dockerd {' '.join(STOCK)}",)), Unit(""), Unit(""))


def file_of(text, **more):
    raw = text if isinstance(text, bytes) else text.encode()
    plain, bom, bad = decode(raw)
    try:
        settings, _ = json.JSONDecoder().raw_decode(plain.lstrip())
    except ValueError:
        settings = None
    settings = settings if isinstance(settings, dict) else None
    return DaemonJson(PATH, True, text=plain, settings=settings, bom=bom, bad_byte=bad, flags=STOCK, **more)


def facts_of(file, engine="20.10.24", flags=STOCK, info=None, started=100.0, more=None):
    found = tuple(Flag(name, value, "docker.service", 3) for name, value, _ in parse_flags((f, "") for f in flags))
    facts = {
        DaemonJson: file,
        StartFlags: StartFlags(found, unit=True),
        Installed: Installed("/usr/sbin/dockerd", "/usr/bin/docker", "", engine),
        EngineVersion: EngineVersion(engine, "1.41", "", "", "", ""),
        DaemonProcess: DaemonProcess(1, ("dockerd", *flags), started=started),
        Units: UNITS,
    }
    return facts | {EngineInfo: info or Missing("the engine does not answer")} | (more or {})


def failing(file, engine="20.10.24", **more):
    """The checks that fail, by the last part of their ids."""
    facts = facts_of(file if isinstance(file, DaemonJson) else file_of(file), engine, **more)
    found = {}
    for one in CHECKS:
        optional = {need: None for need, required in one.needs.values() if not required}
        finding, crash = decide(one, {**optional, **facts})
        assert not crash, crash
        if finding.status is Status.FAIL:
            assert finding.summary
            assert finding.cause
            assert finding.fix
            assert finding.evidence
            found[one.id.removeprefix("daemon-json.")] = finding
    return found


def fixed(finding):
    """What the finding's own command writes, run by a shell."""
    (command,) = (c for c in finding.fix if c.startswith("tee /etc/docker/daemon.json"))
    done = subprocess.run(
        ["bash", "-c", command.replace(f"tee {PATH}", "cat")], capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.mark.parametrize(
    ("text", "engine", "check", "meant"),
    [
        # -- as text
        ('{"debug": true,}', "20.10", "syntax", {"debug": True}),
        ('{"debug": true,}', "28.5", "syntax", {"debug": True}),
        ("<html>", "20.10", "syntax", None),
        ("", "20.10", "empty", {}),
        (" \n", "20.10", "empty", {}),
        ("\ufeff{}", "20.10", "encoding", {}),
        ("\ufeff{'debug': true}".encode("utf-16-le"), "20.10", "encoding", {"debug": True}),
        (b'{"labels": ["\xff"]}', "23.0", "encoding", None),
        ('{}{"debug": true}', "20.10", "second-object", {"debug": True}),
        ('{"dns": []}}', "23.0", "second-object", {"dns": []}),
        ('{"debug": true, "debug": false}', "20.10", "duplicate-key", {"debug": False}),
        # -- keys
        ('{"dns_servers": "1.1.1.1"}', "20.10", "known-keys", {"dns": ["1.1.1.1"]}),
        ('{"DNS": ["1.1.1.1"]}', "20.10", "known-keys", {"dns": ["1.1.1.1"]}),
        (
            '{"insecure-registrie": ["x"], "debug": true}',
            "20.10",
            "known-keys",
            {"insecure-registries": ["x"], "debug": True},
        ),
        ('{"foo": 1, "debug": true}', "20.10", "known-keys", {"debug": True}),
        ('{"log": {"max-size": "1m"}}', "20.10", "known-keys", {}),
        ('{"default-init": "x"}', "28.0", "known-keys", {}),
        ('{"proxies": {"httpProxy": "http://x:1"}}', "28.0", "known-keys", {"proxies": {"http-proxy": "http://x:1"}}),
        ('{"proxies": {"http-proxy": "http://x:1"}}', "20.10", "version", {}),
        ('{"graph": "/srv"}', "23.0", "version", {"data-root": "/srv"}),
        ('{"firewall-backend": "iptables"}', "28.0", "version", {}),
        ('{"oom-score-adjust": -500}', "26.1", "version", {}),
        ('{"label": ["a=b"]}', "20.10", "ignored-keys", {"labels": ["a=b"]}),
        ('{"registry-mirror": "https://x"}', "28.0", "ignored-keys", {"registry-mirrors": ["https://x"]}),
        ('{"daemon": {"dns": ["1.1.1.1"]}}', "20.10", "ignored-keys", {"dns": ["1.1.1.1"]}),
        ('{"http-proxy": "http://x:1"}', "24.0", "ignored-keys", {"proxies": {"http-proxy": "http://x:1"}}),
        ('{"debug": true}}', "20.10", "ignored-keys", {"debug": True}),
        # -- types
        ('{"dns": "1.1.1.1, 8.8.8.8"}', "20.10", "types", {"dns": ["1.1.1.1", "8.8.8.8"]}),
        ('{"experimental": "true"}', "20.10", "types", {"experimental": True}),
        ('{"mtu": "1400"}', "20.10", "types", {"mtu": 1400}),
        ('{"mtu": 1400.0}', "20.10", "types", {"mtu": 1400}),
        ('{"bip": ["172.26.0.1/16"]}', "20.10", "types", {"bip": "172.26.0.1/16"}),
        (
            '{"log-opts": {"max-file": 3, "compress": false}}',
            "20.10",
            "types",
            {"log-opts": {"max-file": "3", "compress": "false"}},
        ),
        ('{"labels": {"a": "b"}}', "20.10", "types", {"labels": ["a=b"]}),
        ('{"features": {"buildkit": "true"}}', "20.10", "types", {"features": {"buildkit": True}}),
        ('{"default-shm-size": 67108864}', "20.10", "types", {"default-shm-size": "67108864"}),
        ('{"proxies": {"no-proxy": ["a", "b"]}}', "24.0", "types", {"proxies": {"no-proxy": "a,b"}}),
        ('{"debug": "perhaps"}', "20.10", "types", None),
    ],
)
def test_one_cause_and_its_correction(text, engine, check, meant):
    found = failing(text, engine)
    assert list(found) == [check]
    finding = found[check]
    if meant is None:
        assert not any(c.startswith("tee ") for c in finding.fix)
    else:
        assert json.loads(fixed(finding)) == meant
        assert not failing(fixed(finding), engine)


@pytest.mark.parametrize(
    ("text", "engine"),
    [
        ("{}", "20.10"),
        ("null", "20.10"),
        ("", "23.0"),
        ("\ufeff{}", "23.0"),
        ("{}".encode("utf-16"), "28.0"),
        ('{"dns": null, "log-opts": null}', "20.10"),
        ('{"proxies": {"http-proxy": "http://x:1"}}', "23.0"),
        ('{"graph": "/srv"}', "20.10"),
        ('{"host-gateway-ip": "10.0.0.1"}', "28.0"),
        ('{"deprecated-key-path": "/x", "allow-nondistributable-artifacts": []}', "29.0"),
        (
            '{"runtimes": {"nvidia": {"path": "nvidia-container-runtime", "runtimeArgs": []}}, "default-runtime": "nvidia"}',
            "20.10",
        ),
        ('{"builder": {"gc": {"enabled": true, "defaultKeepStorage": "20GB"}}}', "20.10"),
        ('{"default-network-opts": {"bridge": {"com.docker.network.driver.mtu": "1400"}}}', "24.0"),
        ('{"default-address-pools": [{"base": "10.99.0.0/16", "size": 24}]}', "20.10"),
        ('{"default-ulimits": {"nofile": {"Name": "nofile", "Hard": 4096, "Soft": 4096}}}', "20.10"),
        ('{"insecure-registries": ["x:5000", "10.0.0.0/8"], "bip": "172.26.0.1/16", "mtu": 1400}', "20.10"),
    ],
)
def test_what_the_engine_takes_is_no_fault(text, engine):
    assert not failing(text, engine)


def test_files_that_cannot_be_read():
    directory = DaemonJson(PATH, True, "EISDIR")
    assert list(failing_without_evidence := failing(directory)) == ["readable"]
    assert failing_without_evidence["readable"].fix[0] == f"mv {PATH} {PATH}.moved"
    assert not failing(DaemonJson(PATH, True, "EACCES"))
    assert not failing(DaemonJson(PATH, False))
    assert list(failing(DaemonJson("/srv/d.json", False, flags=("--config-file", "/srv/d.json")))) == ["readable"]


def test_a_masked_password_is_never_written_back():
    (finding,) = failing(file_of('{"debug": "true"}', masked=True)).values()
    assert not any(c.startswith(("tee", "cp")) for c in finding.fix)


@pytest.mark.parametrize(
    ("text", "flags", "clash"),
    [
        ('{"hosts": ["fd://"]}', STOCK, True),
        ('{"hosts": ["fd://"]}', ("--containerd=/x",), False),
        ('{"containerd": "/x"}', STOCK, True),
        ('{"debug": false}', ("-D",), True),
        ('{"debug": false}', ("--debug=false",), True),
        ('{"log-level": "info"}', ("-l", "info"), True),
        ('{"storage-driver": "overlay2"}', ("-s", "overlay2"), True),
        ('{"group": "docker"}', ("-Gdocker",), True),
        ('{"bridge": "br0"}', ("-b", "br0"), True),
        ('{"data-root": "/x"}', ("-g", "/x"), False),
        ('{"graph": "/x"}', ("-g", "/x"), True),
        ('{"dns": ["1.1.1.1"]}', ("--dns-opt", "x", "--dns-search=y"), False),
        ('{"registry-mirrors": []}', ("--registry-mirror=https://x",), True),
        ('{"runtimes": {}}', ("--add-runtime", "x=/y"), False),
        ('{"tlsverify": true}', ("-DH", "fd://", "--tlsverify"), True),
    ],
)
def test_flags_against_keys(text, flags, clash):
    assert ("flag-conflict" in failing(text, flags=flags)) is clash


def info_of(**known):
    values = dict.fromkeys(EngineInfo.__dataclass_fields__, "")
    tuples = ("security_options", "mirrors", "insecure_registries", "runtimes", "labels", "warnings", "address_pools")
    values |= dict.fromkeys(tuples, ()) | {
        "live_restore": False,
        "debug": False,
        "containers_running": 0,
        "experimental": False,
    }
    return EngineInfo(**(values | known))


@pytest.mark.parametrize(
    ("text", "known", "reload"),
    [
        ('{"debug": true}', {}, True),
        ('{"debug": true}', {"debug": True}, None),
        ('{"live-restore": true, "log-driver": "local"}', {"logging_driver": "json-file"}, False),
        ('{"registry-mirrors": ["http://x"]}', {"mirrors": ("http://x/",)}, None),
        ('{"registry-mirrors": ["http://x"]}', {"mirrors": ("http://y/",)}, True),
        ('{"insecure-registries": ["10.1.2.3/8", "X:5000"]}', {"insecure_registries": ("10.0.0.0/8", "x:5000")}, None),
        ('{"labels": ["a=b"]}', {}, True),
        ('{"dns": ["1.1.1.1"]}', {}, None),
    ],
)
def test_the_running_daemon(text, known, reload):
    found = failing(file_of(text, modified=200.0), info=info_of(**known)).get("applied")
    assert (found is not None) is (reload is not None)
    if found:
        assert (found.fix == ("systemctl reload docker",)) is reload
    assert not failing(file_of(text, modified=50.0), info=info_of(**known))


BRIDGE = Network(
    "b",
    "bridge",
    "bridge",
    False,
    False,
    ("172.17.0.0/16",),
    ("172.17.0.1",),
    (("com.docker.network.driver.mtu", "1500"),),
    (),
)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('{"bip": "172.17.0.1/16", "mtu": 1500, "dns": ["10.0.0.1"]}', []),
        ('{"bip": "172.26.0.1/16"}', ["bip"]),
        ('{"mtu": 1400, "dns": ["10.0.0.2"]}', ["mtu", "dns"]),
        ('{"dns": ["127.0.0.1"]}', []),
    ],
)
def test_what_new_containers_get(text, names):
    more = {
        Networks: Networks((BRIDGE,)),
        Inside: Inside(View("host"), View("default bridge", nameservers=("10.0.0.1",)), View("user network")),
    }
    found = failing(file_of(text, modified=200.0), info=info_of(), more=more).get("applied")
    assert bool(found) is bool(names)
    if found:
        assert found.summary.startswith(", ".join(names) + " in ")
        assert found.fix[-1] == "systemctl restart docker"


def test_a_protected_socket_of_the_file_is_kept_and_the_flag_goes():
    text = '{"hosts": ["fd://", "tcp://0.0.0.0:2376"], "tlsverify": true, "tlscert": "/c", "tlskey": "/k", "tlscacert": "/a"}'
    (finding,) = failing(text).values()
    assert finding.fix[2] == "systemctl daemon-reload"
    assert "ExecStart=\nExecStart=/usr/sbin/dockerd --containerd=/run/containerd/containerd.sock" in finding.fix[1]


def test_the_values_that_flags_give_count():
    text = '{"default-runtime": "nvidia"}'
    assert list(failing(text)) == ["values"]
    assert not failing(text, flags=("--add-runtime", "nvidia=/usr/bin/nvidia-container-runtime"))
    assert list(failing('{"log-opts": {"max-size": "1m"}}', flags=("--log-driver=journald",))) == ["values"]

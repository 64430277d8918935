"""The configuration file and the flags of the next start, from files as they are found."""

import pytest

from dockerdoctor.facts.daemon_json import DaemonJson, StartFlags, daemon_json, decode, expand, parse_flags, start_flags
from dockerdoctor.facts.endpoint import ChosenEndpoint
from dockerdoctor.facts.engine import DaemonProcess, Unit, Units, _unit
from dockerdoctor.host import Host

HERE = ChosenEndpoint("unix:///var/run/docker.sock", "default")
NOT_RUNNING = DaemonProcess(0)
NO_FLAGS = StartFlags((), unit=True)
DEBIAN = "/usr/sbin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock $DOCKER_OPTS"


def measured(tmp_path, raw, start=NO_FLAGS, path="/etc/docker/daemon.json"):
    target = tmp_path / path.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(raw)
    return daemon_json.measure(Host(tmp_path, {}), endpoint=HERE, process=NOT_RUNNING, start=start)


@pytest.mark.parametrize(
    ("raw", "text", "bom", "bad_byte"),
    [
        (b"{}", "{}", "", -1),
        (b"\xef\xbb\xbf{}", "{}", "utf-8", -1),
        (b"\xff\xfe{\0}\0", "{}", "utf-16-le", -1),
        (b"\xfe\xff\0{\0}", "{}", "utf-16-be", -1),
        (b'{"a": "\xff"}', '{"a": "\ufffd"}', "", 7),
    ],
)
def test_encodings(raw, text, bom, bad_byte):
    assert decode(raw) == (text, bom, bad_byte)


def test_the_file(tmp_path):
    file = measured(tmp_path, b'{"dns": ["10.0.0.1"]}{"debug": true}')
    assert file.settings == {"dns": ["10.0.0.1"]}
    assert file.dns == ("10.0.0.1",)
    assert file.modified > 0
    assert not file.masked


def test_a_password_is_masked_and_the_text_not_to_be_written_back(tmp_path):
    file = measured(tmp_path, b'{"proxies": {"http-proxy": "http://u:secret@proxy:3128"}}')
    assert "secret" not in repr(file)
    assert file.masked


def test_files_that_settings_name(tmp_path):
    (tmp_path / "opt").mkdir()
    (tmp_path / "opt/there").touch()
    raw = b'{"seccomp-profile": "/opt/gone", "runtimes": {"a": {"path": "/opt/there"}, "b": {"path": "/opt/gone"}, "c": 7}}'
    assert measured(tmp_path, raw).absent == (("seccomp-profile", "/opt/gone"), ("runtimes.b", "/opt/gone"))


def test_no_file_and_no_regular_file(tmp_path):
    host = Host(tmp_path, {})
    given = {"endpoint": HERE, "process": NOT_RUNNING, "start": NO_FLAGS}
    assert daemon_json.measure(host, **given) == DaemonJson("/etc/docker/daemon.json", exists=False)
    (tmp_path / "etc/docker/daemon.json").mkdir(parents=True)
    assert daemon_json.measure(host, **given).problem == "EISDIR"


def test_the_file_that_a_flag_names(tmp_path):
    process = DaemonProcess(7, ("dockerd", "--config-file", "/srv/d.json"))
    file = daemon_json.measure(Host(tmp_path, {}), endpoint=HERE, process=process, start=NO_FLAGS)
    assert (file.path, file.exists) == ("/srv/d.json", False)


def test_systemd_expands_variables():
    environment = {"MANY": '--dns 1.1.1.1 "--label=a b"', "ONE": "x y", "NONE": ""}
    words = expand("/usr/bin/dockerd $MANY --group=${ONE} $NONE $UNSET", environment)
    assert [word for word, _ in words] == ["/usr/bin/dockerd", "--dns", "1.1.1.1", "--label=a b", "--group=x y"]
    assert [origin for _, origin in words][1:] == ["MANY", "MANY", "MANY", "ONE"]


@pytest.mark.parametrize(
    ("line", "flags"),
    [
        ("--dns 1.1.1.1 --debug --mtu=1400", [("--dns", "1.1.1.1"), ("--debug", ""), ("--mtu", "1400")]),
        ("--debug=false -H fd://", [("--debug", "false"), ("-H", "fd://")]),
        ("-Hfd:// -l=warn", [("-H", "fd://"), ("-l", "warn")]),
        ("-DH fd://", [("-D", ""), ("-H", "fd://")]),
        ("stray --init", [("--init", "")]),
    ],
)
def test_flags_are_taken_apart(line, flags):
    assert [(name, value) for name, value, _ in parse_flags((word, "") for word in line.split())] == flags


def test_flags_of_the_unit_with_their_places(tmp_path):
    fragment, drop_in = "/lib/systemd/system/docker.service", "/etc/systemd/system/docker.service.d/x.conf"
    for path, text in {
        fragment: f"[Service]\nExecStart={DEBIAN}\n",
        drop_in: f'[Service]\nEnvironment="DOCKER_OPTS=--ignored"\nExecStart=\nExecStart={DEBIAN}\n',
        "/etc/default/docker": '# DOCKER_OPTS="--no"\nDOCKER_OPTS="--dns 10.0.0.1 -D"\n',
    }.items():
        (tmp_path / path.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path.lstrip("/")).write_text(text)
    unit = Unit(
        "docker.service",
        active="failed",
        exec_start=(DEBIAN,),
        fragment=fragment,
        drop_ins=(drop_in,),
        environment_files=("/etc/default/docker",),
        referred=(("DOCKER_OPTS", "--ignored"),),
    )
    units = Units(True, unit, Unit(""), Unit(""))
    start = start_flags.measure(Host(tmp_path, {}), endpoint=HERE, process=NOT_RUNNING, units=units)
    assert start.unit
    assert [(f.name, f.value, f.source, f.line) for f in start.flags] == [
        ("-H", "fd://", drop_in, 4),
        ("--containerd", "/run/containerd/containerd.sock", drop_in, 4),
        ("--dns", "10.0.0.1", "/etc/default/docker", 2),
        ("-D", "", "/etc/default/docker", 2),
    ]


def test_flags_of_a_process_that_no_unit_started(tmp_path):
    process = DaemonProcess(7, ("dockerd", "--debug"))
    units = Units(True, Unit("docker.service", active="inactive", exec_start=(DEBIAN,)), Unit(""), Unit(""))
    start = start_flags.measure(Host(tmp_path, {}), endpoint=HERE, process=process, units=units)
    assert [(f.name, f.source) for f in start.flags] == [("--debug", "arguments of process 7")]


def test_the_unit_keeps_only_the_environment_that_its_command_line_uses():
    shown = {
        "ExecStart": [f"{{ path=/usr/sbin/dockerd ; argv[]={DEBIAN} ; ignore_errors=no ; pid=0 }}"],
        "Environment": ['"DOCKER_OPTS=--dns 10.0.0.1" TOKEN=secret'],
        "EnvironmentFiles": ["/etc/default/docker (ignore_errors=yes)"],
    }
    unit = _unit("docker.service", shown)
    assert unit.environment_files == ("/etc/default/docker",)
    assert unit.referred == (("DOCKER_OPTS", "--dns 10.0.0.1"),)
    assert "secret" not in repr(unit)

"""What each place sets, read from the files themselves."""

import json
from dataclasses import replace

import pytest

from dockerdoctor.facts.containers import Attachment, Container, Containers, Network, Networks
from dockerdoctor.facts.daemon_json import DaemonJson
from dockerdoctor.facts.endpoint import ChosenEndpoint, ClientConfig, client_config
from dockerdoctor.facts.engine import DaemonProcess
from dockerdoctor.facts.proxy import ProxySettings, Setting, UnitSetting
from dockerdoctor.facts.proxy_detours import candidates, near
from dockerdoctor.facts.proxy_reading import (
    assignments,
    dockerfile_settings,
    raw_client,
    raw_daemon,
    raw_known,
    raw_units,
)
from dockerdoctor.facts.proxy_trying import proxy_settings, running_settings
from dockerdoctor.host import Host
from tests.checks.test_registry import info

DROP_IN = "/etc/systemd/system/docker.service.d/http-proxy.conf"
UNIT = "/usr/lib/systemd/system/docker.service"
LOCAL = ChosenEndpoint("unix:///var/run/docker.sock", "default")


def host(tmp_path, files, env=None):
    for path, text in files.items():
        file = tmp_path / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return Host(tmp_path, {"HOME": "/root", "PWD": "/srv", **(env or {})})


def found(tmp_path, files):
    return {
        (u.source, u.name): (u.value, raw, u.ignored, u.lone_percent)
        for u, raw in raw_units(host(tmp_path, files), None)
    }


@pytest.mark.parametrize(
    ("text", "line", "value", "ignored", "lone"),
    [
        ('[Service]\nEnvironment="HTTP_PROXY=http://p:1"\n', 2, "http://p:1", "", False),
        ("[Service]\nEnvironment=A=b HTTP_PROXY=http://p:1\n", 2, "http://p:1", "", False),
        ("# x\n[Service]\nEnvironment=A=b \\\n  HTTP_PROXY=http://p:1\n", 3, "http://p:1", "", False),
        ('[Service]\nEnvironment="HTTP_PROXY=http://u:a%40b@p:1"\n', 2, "http://u:a%40b@p:1", "", True),
        ('[Service]\nEnvironment="HTTP_PROXY=http://u:a%%40b@p:1"\n', 2, "http://u:a%40b@p:1", "", False),
        (
            'Environment="HTTP_PROXY=http://p:1"\n',
            1,
            "http://p:1",
            "it stands before any section, not under [Service]",
            False,
        ),
        ("[Unit]\nEnvironment=HTTP_PROXY=x:1\n", 2, "x:1", "it stands under [Unit], not under [Service]", False),
    ],
)
def test_drop_in(tmp_path, text, line, value, ignored, lone):
    ((said, raw, why, percent),) = found(tmp_path, {DROP_IN: text}).values()
    assert (raw, why, percent) == (value, ignored, lone)
    assert (f"{DROP_IN}:{line}", "HTTP_PROXY") in found(tmp_path, {DROP_IN: text})
    assert "a%40b" not in said


def test_comments_set_nothing(tmp_path):
    assert not found(tmp_path, {DROP_IN: "[Service]\n#Environment=HTTP_PROXY=x:1\n;Environment=HTTP_PROXY=x:1\n"})


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/etc/systemd/system/docker.service.d/http-proxy", "systemd reads only files whose names end in .conf"),
        ("/etc/systemd/system/docker.d/p.conf", "systemd reads no /etc/systemd/system/docker.d for docker.service"),
        ("/etc/systemd/docker.service.d/p.conf", "systemd reads no /etc/systemd/docker.service.d for docker.service"),
    ],
)
def test_files_that_nobody_reads(tmp_path, path, why):
    ((_, _, ignored, _),) = found(tmp_path, {path: "[Service]\nEnvironment=HTTP_PROXY=http://p:1\n"}).values()
    assert ignored == why


def test_environment_files(tmp_path):
    old = "/etc/default/docker"
    text = '#export http_proxy="http://c:1"\nhttp_proxy="http://p:1"\nexport https_proxy=http://p:1\n'
    unread = found(tmp_path, {old: text})
    assert {why for _, _, why, _ in unread.values()} == {"no unit of Docker's names it as EnvironmentFile="}
    read = found(tmp_path, {old: text, UNIT: f"[Service]\nEnvironmentFile=-{old}\n"})
    assert read[f"{old}:2", "http_proxy"] == ("http://p:1", "http://p:1", "", False)
    assert read[f"{old}:3", "https_proxy"][2] == "systemd does not know “export”"


def test_a_drop_in_of_etc_hides_its_namesake(tmp_path):
    files = {
        DROP_IN: "[Service]\nEnvironment=HTTP_PROXY=http://etc:1\n",
        "/usr/lib/systemd/system/docker.service.d/http-proxy.conf": "[Service]\nEnvironment=HTTP_PROXY=http://usr:1\n",
    }
    assert [raw for _, raw in raw_units(host(tmp_path, files), None)] == ["http://etc:1"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("FROM a\nENV http_proxy host:port\nRUN x\n", [("http_proxy", "host:port")]),
        (
            "FROM a\nENV http_proxy=http://p:1 A=b \\\n  https_proxy=http://q:1\nRUN x\n",
            [("http_proxy", "http://p:1"), ("https_proxy", "http://q:1")],
        ),
        # Nothing is run with it.
        ("FROM a\nRUN x\nENV http_proxy host:port\n", []),
        # Whoever builds says what it is.
        ("FROM a\nARG P\nENV http_proxy $P\nRUN x\n", []),
        ("", []),
    ],
)
def test_dockerfile(text, said):
    assert [(s.name, s.value) for s in dockerfile_settings(text)] == said


def test_what_the_host_knows(tmp_path):
    files = {
        "/etc/environment": 'PATH=/bin\nhttp_proxy="http://e:1"\n',
        "/etc/apt/apt.conf.d/90proxy": 'Acquire::http::Proxy "http://a:1";\nAcquire::https::Proxy "DIRECT";\n',
    }
    known = raw_known(host(tmp_path, files, {"https_proxy": "http://s:1"}))
    assert [(k, v) for k, v, _ in known] == [
        ("https_proxy", "http://s:1"),
        ("http_proxy", "http://e:1"),
        ("HTTP_PROXY", "http://a:1"),
    ]


def test_client_proxies_are_this_engines(tmp_path):
    other = {
        "proxies": {"unix:///other.sock": {"httpProxy": "http://o:1"}, "default": {"httpProxy": "http://d:1", "x": "y"}}
    }
    there = host(tmp_path, {"/root/.docker/config.json": json.dumps(other)})
    assert raw_client(there, client_config.measure(there), LOCAL) == {"httpProxy": "http://d:1"}
    assert raw_client(there, ClientConfig("/root/none", exists=False), LOCAL) == {}


def process(tmp_path, **env):
    there = host(tmp_path, {"/proc/7/environ": "".join(f"{k}={v}\0" for k, v in env.items())})
    return there, DaemonProcess(7, ("dockerd",), environment_read=True)


def test_the_process_tells_what_is_in_force(tmp_path):
    there, dockerd = process(tmp_path, HTTP_PROXY="http://u:p@h:1", PATH="/bin", ALL_PROXY="socks5://x:1")
    told = {"HTTP_PROXY": "http://u:p@h:1", "ALL_PROXY": "socks5://x:1"}
    assert raw_daemon(there, dockerd, None, None) == (told, "/proc/7/environ")


def test_daemon_json_overrides_the_environment(tmp_path):
    there, dockerd = process(tmp_path, HTTP_PROXY="http://old:1")
    there = host(tmp_path, {"/etc/docker/daemon.json": '{"proxies": {"http-proxy": "http://u:p@new:1"}}'})
    config = DaemonJson("/etc/docker/daemon.json", exists=True, settings={})
    env, source = raw_daemon(there, dockerd, info(http_proxy="http://xxxxx:***@new:1"), config)
    assert env == {"HTTP_PROXY": "http://u:p@new:1"}
    assert source != "/proc/7/environ"


def test_a_hidden_password_is_taken_from_a_file_that_can_be_read(tmp_path):
    told = info(http_proxy="http://xxxxx:***@h:1", no_proxy="localhost")
    unread = host(tmp_path, {})
    assert raw_daemon(unread, None, told, None)[0] == {"HTTP_PROXY": "http://h:1", "NO_PROXY": "localhost"}
    there = host(tmp_path, {DROP_IN: '[Service]\nEnvironment="HTTP_PROXY=http://u:p@h:1"\n'})
    assert raw_daemon(there, None, told, None)[0]["HTTP_PROXY"] == "http://u:p@h:1"


def test_side_by_side(tmp_path):
    there, dockerd = process(tmp_path, HTTP_PROXY="http://u:secret@h:1")
    there = host(
        tmp_path,
        {DROP_IN: '[Service]\nEnvironment="HTTP_PROXY=http://u:secret@h:1" "HTTPS_PROXY=http://u:secret@h:1"\n'},
    )
    said = proxy_settings.measure(there, LOCAL, None, dockerd, None, None, None, None, None, None)
    assert [(u.name, u.in_force) for u in said.unit] == [("HTTP_PROXY", True), ("HTTPS_PROXY", False)]
    assert said.daemon == (Setting("HTTP_PROXY", "http://u:***@h:1", "/proc/7/environ"),)
    assert "secret" not in repr(said)


def test_upper_case_wins():
    both = (Setting("http_proxy", "low", "s"), Setting("HTTP_PROXY", "up", "s"), Setting("httpsProxy", "x", "s"))
    said = ProxySettings(daemon=both, unit=(UnitSetting("f", 1, "HTTP_PROXY", "up", in_force=True),))
    assert said.in_daemon["HTTP_PROXY"].value == "up"
    assert said.in_daemon["HTTPS_PROXY"].value == "x"
    assert said.daemon_source("HTTP_PROXY").source == "f:1"
    assert said.daemon_source("HTTPS_PROXY") is None


def running(name, *env, network="app", **more):
    networks = (Attachment(network, "n", "172.18.0.2", (f"{name}-alias",)),) if network else ()
    return Container(name * 8, name, "i", "running", "Up", networks=networks, env=env, **more)


APP = Networks(
    (
        Network("n", "app", "bridge", False, False, (), (), (), ()),
        Network("m", "lan", "macvlan", False, False, (), (), (), ()),
    )
)
DEAD = ("http_proxy", "http://10.0.0.9:1")


@pytest.mark.parametrize(
    ("container", "found"),
    [
        (running("web", DEAD, ("no_proxy", "x"), ("PATH", "/bin")), ["http_proxy"]),
        (running("web", ("ALL_PROXY", "socks5://10.0.0.9:1")), ["ALL_PROXY"]),
        # As the client gives it to all of them.
        (running("web", ("http_proxy", "http://10.0.0.1:3128")), []),
        # A name that means a container, and places that the host does not see.
        (running("web", ("http_proxy", "http://squid:3128")), []),
        (running("web", ("http_proxy", "http://squid-alias:3128")), []),
        (running("web", ("http_proxy", "http://near:3128"), extra_hosts=("near:10.0.0.9",)), []),
        (running("web", DEAD, network="lan"), []),
        (running("web", DEAD, network=""), []),
        (running("web", DEAD, dns=("10.0.0.53",)), []),
        (replace(running("web", DEAD), state="exited"), []),
    ],
)
def test_running_containers(container, found):
    everybody = Containers((running("squid"), container))
    said = running_settings(everybody, APP, frozenset({"http://10.0.0.1:3128"}))
    assert [s.name for s in said] == found
    assert {s.source for s in said} <= {"container web"}


PROXIED = (("http_proxy", "http://10.0.0.9:3128"), ("no_proxy", "localhost,10.0.0.0/8"))


@pytest.mark.parametrize(
    ("variable", "url", "is_near"),
    [
        ("http://10.1.2.3:8080/path?token=x", "http://10.1.2.3:8080/", True),
        ("http://192.168.1.1/", "http://192.168.1.1:80/", True),
        ("http://squid:3128", "http://squid:3128/", True),
        ("http://example.com/", "http://example.com:80/", False),
        ("http://localhost:80/", None, False),
        # Nobody asks an HTTP proxy for HTTPS.
        ("https://10.1.2.3/", None, False),
        ("redis://10.1.2.3:6379", None, False),
    ],
)
def test_detours(variable, url, is_near):
    everybody = Containers((running("squid"), running("web", ("API", variable), *PROXIED)))
    found = list(candidates(everybody, ProxySettings(), ()))
    assert [d.url for d in found] == ([url] if url else [])
    assert [near(d) for d in found] == ([is_near] if url else [])


def test_mirrors_may_be_detours():
    settings = ProxySettings(client=(Setting("httpProxy", "http://p:1", "c"), Setting("noProxy", "10.0.0.0/8", "c")))
    (one,) = candidates(Containers(()), settings, ("http://10.0.0.1:5000/",))
    assert near(one)
    assert one.wanted_by == "registry-mirrors"
    assert not list(candidates(Containers(()), ProxySettings(), ("http://10.0.0.1:5000/",)))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("HTTP_PROXY=http://h:1\n", [(1, "HTTP_PROXY", "http://h:1")]),
        ("# a\n; b\n\n HTTP_PROXY = 'http://h:1' \n", [(4, "HTTP_PROXY", "http://h:1")]),
        ('A="x"\nB="y"\n', [(1, "A", "x"), (2, "B", "y")]),
        # Quotes in quotes stay, and so does one in the middle.
        ("HTTP_PROXY='\"http://h:1\"'\n", [(1, "HTTP_PROXY", '"http://h:1"')]),
        ('A=http://"h":1\n', [(1, "A", 'http://"h":1')]),
        # One that is not closed takes the next line too.
        ('A="http://h:1\nB=2\nC="x"\n', [(1, "A", 'http://h:1\nB=2\nC=x"')]),
        ('A="http://h:1\n', [(1, "A", "http://h:1\n")]),
        ("export A=1\n", [(1, "export A", "1")]),
        ("A=\nB=1\n", [(1, "A", ""), (2, "B", "1")]),
    ],
)
def test_an_environment_file(text, found):
    assert list(assignments(text)) == found

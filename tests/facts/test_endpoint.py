"""Which endpoint, and why: flag, environment, context, default; and what cannot be one."""

import hashlib
import json
import subprocess

import pytest

from dockerdoctor.facts.client_tls import client_certificate
from dockerdoctor.facts.endpoint import (
    ChosenEndpoint,
    DaemonPing,
    Settings,
    chosen_endpoint,
    client_config,
    exports,
    socket_access,
    socket_file,
)
from dockerdoctor.facts.ping import daemon_ping, other_engines
from dockerdoctor.host import Host

DEFAULT = "unix:///var/run/docker.sock"


def patient(tmp_path, config=None, contexts=None, **env):
    home = tmp_path / "root/.docker"
    home.mkdir(parents=True)
    if config is not None:
        (home / "config.json").write_text(config if isinstance(config, str) else json.dumps(config))
    for name, meta in (contexts or {}).items():
        folder = home / "contexts/meta" / hashlib.sha256(name.encode()).hexdigest()
        folder.mkdir(parents=True)
        (folder / "meta.json").write_text(meta)
    return Host(tmp_path, env={"HOME": "/root", **env})


def choose(host, settings=None):
    return chosen_endpoint.measure(host, settings=settings or Settings(), config=client_config.measure(host))


DESKTOP = json.dumps({"Name": "desktop", "Endpoints": {"docker": {"Host": "unix:///root/desktop.sock"}}})


@pytest.mark.parametrize(
    ("config", "contexts", "env", "settings", "url", "source"),
    [
        (None, {}, {}, Settings(), DEFAULT, "default"),
        ({"currentContext": "default"}, {}, {}, Settings(), DEFAULT, "default"),
        (None, {}, {"DOCKER_HOST": "tcp://h:1"}, Settings(), "tcp://h:1", "DOCKER_HOST"),
        (None, {}, {"DOCKER_HOST": "h:1"}, Settings(), "tcp://h:1", "DOCKER_HOST"),
        (None, {}, {"DOCKER_HOST": "tcp://h:1"}, Settings(host="/run/x.sock"), "unix:///run/x.sock", "--host"),
        # The docker command takes blanks off, and nobody needs a password there.
        (None, {}, {"DOCKER_HOST": " unix:///var/run/x.sock "}, Settings(), "unix:///var/run/x.sock", "DOCKER_HOST"),
        (None, {}, {}, Settings(host="tcp://u:p://w@h:1"), "tcp://h:1", "--host"),
        (None, {}, {}, Settings(host="ssh://u:pw@h"), "ssh://u@h", "--host"),
        ({"currentContext": "d"}, {"d": DESKTOP}, {}, Settings(), "unix:///root/desktop.sock", "context d"),
        ({"currentContext": "d"}, {"d": DESKTOP}, {"DOCKER_HOST": "tcp://h:1"}, Settings(), "tcp://h:1", "DOCKER_HOST"),
        ({}, {"d": DESKTOP}, {"DOCKER_CONTEXT": "d"}, Settings(), "unix:///root/desktop.sock", "context d"),
        ({}, {"d": DESKTOP}, {"DOCKER_HOST": "tcp://h:1", "DOCKER_CONTEXT": "d"}, Settings(), "tcp://h:1", "DOCKER_HOST"),
        ({}, {"d": DESKTOP}, {"DOCKER_HOST": "tcp://h:1"}, Settings(context="d"), "unix:///root/desktop.sock", "context d"),
        ("{broken", {}, {}, Settings(), DEFAULT, "default"),
        # Told to use TLS and not where, the client does not go to the socket.
        (None, {}, {"DOCKER_TLS_VERIFY": "0"}, Settings(), "tcp://localhost:2376", "DOCKER_TLS_VERIFY"),
        (None, {}, {"DOCKER_TLS": "1"}, Settings(), "tcp://localhost:2376", "DOCKER_TLS"),
        ({"currentContext": "d"}, {"d": DESKTOP}, {"DOCKER_TLS": "1"}, Settings(), "unix:///root/desktop.sock", "context d"),
    ],
)  # fmt: skip
def test_chosen(tmp_path, config, contexts, env, settings, url, source):
    chosen = choose(patient(tmp_path, config, contexts, **env), settings)
    assert chosen.url == url
    assert chosen.source.startswith(source)
    assert not chosen.problem


@pytest.mark.parametrize(
    ("config", "contexts", "env", "problem"),
    [
        ({"currentContext": "gone"}, {}, {}, "does not exist"),
        ({"currentContext": "d"}, {"d": "[]"}, {}, "cannot be read"),
        ({"currentContext": "d"}, {"d": '{"Endpoints": null}'}, {}, "cannot be read"),
        (None, {}, {"DOCKER_HOST": "ftp://h"}, "ftp"),
        (None, {}, {"DOCKER_HOST": "unix:://var/run/docker.sock"}, "unix:"),
        (None, {}, {"DOCKER_HOST": "unix://relative.sock"}, "absolute"),
        (None, {}, {"DOCKER_HOST": "tcp://h:port"}, "port"),
        (None, {}, {"DOCKER_HOST": "tcp://h:70000"}, "port"),
        (None, {}, {"DOCKER_HOST": "http://h:1"}, "'http' is none of"),
        (None, {}, {"DOCKER_HOST": "/var/run/docker.sock"}, "unix:// is missing"),
        (None, {}, {"DOCKER_HOST": "unix:///var/run/docker.sock/"}, "ends in a slash"),
    ],
)
def test_no_endpoint(tmp_path, config, contexts, env, problem):
    host = patient(tmp_path, config, contexts, **env)
    chosen = choose(host)
    assert problem in chosen.problem
    ping = daemon_ping.measure(host, endpoint=chosen, files=None)
    assert (ping.connect, ping.answered) == ("EINVAL", False)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"auths": {},}', "line 1 column 14"),
        ("[]", "list"),
        ("", "line 1 column 1"),
        ('{"auths": 3, "proxies": [], "credHelpers": null}', ""),
    ],
)
def test_client_config(tmp_path, text, problem):
    config = client_config.measure(patient(tmp_path, text))
    assert config.exists
    assert (problem in config.problem) if problem else not config.problem


def test_client_config_holds_no_password(tmp_path):
    text = {
        "auths": {"r": {"auth": "Ym9iOnNlY3JldA=="}},
        "proxies": {"default": {"httpProxy": "http://bob:secret@p:1"}},
    }
    config = client_config.measure(patient(tmp_path, text))
    assert "secret" not in repr(config)
    assert "Ym9i" not in repr(config)
    assert config.auths == ("r",)


def test_what_was_asked_for_is_saved_without_a_password():
    assert Settings(host="tcp://u:secret@h:1").host == "tcp://h:1"
    assert Settings(host="ssh://u:secret@h").host == "ssh://u@h"
    assert Settings(host="/run/a@b.sock").host == "/run/a@b.sock"


def test_a_context_has_its_own_keys(tmp_path):
    far = json.dumps({"Endpoints": {"docker": {"Host": "tcp://h:2376"}}})
    host = patient(tmp_path, {"currentContext": "d"}, {"d": far})
    assert not choose(host).tls
    keys = tmp_path / "root/.docker/contexts/tls" / hashlib.sha256(b"d").hexdigest() / "docker"
    keys.mkdir(parents=True)
    (keys / "ca.pem").touch()
    chosen = choose(host)
    assert chosen.tls
    assert chosen.cert_path.endswith("/docker")
    assert client_certificate(host, chosen) is None


@pytest.mark.parametrize(
    ("env", "folder"),
    [
        ({"DOCKER_HOST": "tcp://h:1", "DOCKER_TLS_VERIFY": "1"}, "/root/.docker"),
        ({"DOCKER_HOST": "tcp://h:1", "DOCKER_TLS_VERIFY": "1", "DOCKER_CONFIG": "/c"}, "/c"),
        ({"DOCKER_HOST": "tcp://h:1", "DOCKER_TLS": "1", "DOCKER_CERT_PATH": "certs"}, "/w/certs"),
        ({"DOCKER_HOST": "tcp://h:1", "DOCKER_TLS": "1", "DOCKER_CERT_PATH": "~/certs"}, "/w/~/certs"),
        ({"DOCKER_HOST": "tcp://h:1", "DOCKER_CERT_PATH": "certs"}, ""),
    ],
)
def test_folder_for_tls(tmp_path, env, folder):
    chosen = choose(patient(tmp_path, PWD="/w", **env))
    assert (chosen.cert_path, chosen.tls) == (folder, bool(folder))
    assert chosen.verify == ("DOCKER_TLS" not in env)


def test_exports(tmp_path):
    host = patient(tmp_path, DOCKER_HOST="tcp://u:pw@h:1")
    (tmp_path / "root/.bashrc").write_text(
        "# export DOCKER_HOST=no\nalias d=docker\nexport DOCKER_HOST='tcp://u:pw@h:1' # old\n"
    )
    (tmp_path / "etc/profile.d").mkdir(parents=True)
    (tmp_path / "etc/profile.d/x.sh").write_text("DOCKER_API_VERSION=1.45; export DOCKER_API_VERSION\n")
    (tmp_path / "root/.config/fish").mkdir(parents=True)
    (tmp_path / "root/.config/fish/config.fish").write_text("set -gx DOCKER_CONTEXT desk\n")
    found = exports.measure(host)
    assert [(x.where, x.name, x.value) for x in found.lines] == [
        ("/root/.bashrc:3", "DOCKER_HOST", "tcp://u:***@h:1"),
        ("/root/.config/fish/config.fish:1", "DOCKER_CONTEXT", "desk"),
        ("/etc/profile.d/x.sh:1", "DOCKER_API_VERSION", "1.45"),
    ]
    assert found.env == {"DOCKER_HOST": "tcp://u:***@h:1"}
    assert len(found.of("DOCKER_HOST")) == 1


@pytest.mark.parametrize(
    ("make", "kind", "empty"),
    [
        (lambda p: p.mkdir(), "directory", True),
        (lambda p: (p.mkdir(), (p / "x").touch()), "directory", False),
        (lambda p: p.touch(), "file", False),
        (lambda p: None, "missing", False),
    ],
)
def test_socket_file(tmp_path, make, kind, empty):
    (tmp_path / "var/run").mkdir(parents=True)
    make(tmp_path / "var/run/docker.sock")
    host = Host(tmp_path, env={"HOME": "/root"})
    file = socket_file.measure(host, endpoint=ChosenEndpoint(DEFAULT, "default"))
    assert (file.kind, file.empty_directory) == (kind, empty)
    assert socket_access.measure(host, file=file).user == host.user


def test_other_engines_are_looked_for_only_when_there_is_a_reason(tmp_path):
    host = Host(tmp_path, env={"HOME": "/root"})
    ping = DaemonPing("ok", answered=True)
    assert other_engines.measure(host, endpoint=ChosenEndpoint(DEFAULT, "default"), ping=ping).answering == ()
    assert other_engines.measure(host, endpoint=ChosenEndpoint("tcp://h:1", "DOCKER_HOST"), ping=ping).answering == ()


@pytest.mark.parametrize(
    "text",
    [
        '{"auths": {},}\n',
        '{\n  "auths": {"r": {"auth": "s3cret"}},\n  "credsStore": "pass",\n}\n',
        '{\n  "auths": {"r": {"auth": "s3cret"}}\n  "credsStore": "pass"\n}\n',
        '{"auths": {"r": {"auth": "s3cret"}}\n',
        '{"auths": {"r": {"auth": "s3cret"}}',
        "{'auths': {}}",
        '{\n  // mine\n  "auths": {}\n}\n',
    ],
)
def test_marks_are_moved_in_a_broken_configuration_and_nothing_of_it_is_shown(tmp_path, text):
    scripts = client_config.measure(patient(tmp_path, text)).corrections
    assert scripts
    assert "s3cret" not in str(scripts)
    for script in scripts:
        text = subprocess.run(["sed", "-E", script], input=text, capture_output=True, text=True, check=True).stdout
    assert "auths" in json.loads(text)


@pytest.mark.parametrize("text", ["hello", '{"é": 1,}', ""])
def test_a_guess_is_no_correction(tmp_path, text):
    assert client_config.measure(patient(tmp_path, text)).corrections == ()

"""What the docker command says to its plugin, and what the doctor understands."""

import json
import os
import signal
import socket
import subprocess
import sys

import pytest
import typer

from dockerdoctor import __version__, plugin
from dockerdoctor.cli import app
from dockerdoctor.commands.plugin import place
from dockerdoctor.host import Host
from dockerdoctor.plugin import Unsupported, understood
from tests.lab.store import REPO


@pytest.mark.parametrize(
    ("said", "arguments", "environment"),
    [
        ("doctor check --short", "check --short", {}),
        ("doctor", "", {}),
        ("-H tcp://a:1 doctor check -q", "check --host tcp://a:1 -q", {}),
        ("-Htcp://a:1 doctor check", "check --host tcp://a:1", {}),
        ("-H=tcp://a:1 doctor check", "check --host tcp://a:1", {}),
        ("--host=tcp://a:1 doctor check --host b", "check --host tcp://a:1 --host b", {}),
        ("-DH tcp://a:1 doctor fix dns.x", "fix --host tcp://a:1 dns.x", {}),
        ("-c far -l debug doctor report", "report --context far", {}),
        # What no engine is asked for is told of none.
        ("--context far doctor explain dns.x", "explain dns.x", {}),
        ("--context far doctor", "", {}),
        ("--config /c --debug doctor check", "check", {"DOCKER_CONFIG": "/c"}),
        ("--tlsverify doctor check", "check", {"DOCKER_TLS_VERIFY": "1"}),
        ("--tls=true doctor check", "check", {"DOCKER_TLS": "1"}),
        ("--tls=false doctor check", "check", {}),
        (
            "--tlscacert /k/ca.pem --tlscert=/k/cert.pem --tlskey /k/key.pem doctor check",
            "check",
            {"DOCKER_CERT_PATH": "/k"},
        ),
        ("help doctor check", "check --help", {}),
        ("help doctor", "--help", {}),
        ("--help doctor", "--help", {}),
        ("doctor check --help", "check --help", {}),
        ("__complete doctor check --on", "__complete check --on", {}),
        ("__completeNoDesc doctor ", "__complete ", {}),
    ],
)
def test_understood(said, arguments, environment):
    call = understood(said.split(" "))
    assert (list(call.arguments), dict(call.environment)) == (arguments.split(" ") if arguments else [], environment)


def test_keys_that_are_no_complete_folder_are_refused():
    with pytest.raises(Unsupported, match=r"ca\.pem, cert\.pem, key\.pem"):
        understood("--tlscacert /k/mine.pem doctor check".split())


def test_every_command_that_takes_an_endpoint_is_told():
    group = typer.main.get_command(app)
    taking = {name for name, command in group.commands.items() if {"host_url"} & {p.name for p in command.params}}
    assert taking == plugin.ASKING


def called(tmp_path, *words, env=None, **options):
    """Call us as the docker command does, through a link."""
    program = tmp_path / "doctor"
    program.write_text(f"#!{sys.executable}\nfrom dockerdoctor.__main__ import main\nmain()\n")
    program.chmod(0o755)
    link = tmp_path / "docker-doctor"
    link.unlink(missing_ok=True)
    link.symlink_to(program)
    environment = {**os.environ, "PYTHONPATH": str(REPO), **(env or {})}
    return subprocess.Popen([link, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def test_the_metadata_is_as_the_specification_says(tmp_path):
    out, err = called(tmp_path, plugin.METADATA).communicate(timeout=20)
    about = json.loads(out)
    assert (about["SchemaVersion"], about["Version"], err) == ("0.1.0", __version__, "")
    assert about["Vendor"]


def test_it_is_called_docker_doctor(tmp_path):
    out, err = called(tmp_path, "doctor", "check", "--nonsense").communicate(timeout=20)
    assert "docker doctor check" in err + out


def test_it_ends_with_the_docker_command(tmp_path):
    """Which closes a socket, where there is no terminal to send the signal to both."""
    name = f"\0dockerdoctor-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(name)
        server.listen()
        words = ("doctor", "check", "--passive", "--only", "engine.reachable", "--wait", "60")
        env = {"DOCKER_CLI_PLUGIN_SOCKET": name.replace("\0", "@"), "DOCKER_HOST": "unix:///nonexistent.sock"}
        process = called(tmp_path, *words, env=env)
        connection, _ = server.accept()
        assert "not well" in process.stderr.readline()
        connection.close()
        _, err = process.communicate(timeout=20)
    assert (process.returncode, "interrupted" in err) == (128 + signal.SIGINT, True)


def test_only_a_link_to_a_doctor_is_ours(tmp_path):
    host = Host(tmp_path, {"HOME": "/home/al", "PWD": "/"})
    path = tmp_path / "home/al/.docker/cli-plugins/docker-doctor"
    assert not place(host, system=False).there
    for target, ours in {"/opt/gone/bin/doctor": True, "/srv/doctor.pyz": True, "/usr/bin/true": False}.items():
        host.link("/home/al/.docker/cli-plugins/docker-doctor", target)
        assert place(host, system=False).ours is ours
    path.unlink()
    path.write_text("#!/bin/sh\n")
    assert (place(host, system=False).there, place(host, system=False).ours) == (True, False)

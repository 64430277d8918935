"""What builds are given: BuildKit's file foretold, and a builder's own configuration read."""

import base64
import json
import os
from dataclasses import replace

import pytest

from dockerdoctor.facts.builds import BUILD_RESOLV_CONF, build_resolver, builder, dns_of
from dockerdoctor.facts.dns import HostResolver, ResolvConf
from dockerdoctor.facts.endpoint import ClientConfig
from dockerdoctor.facts.engine import DaemonProcess
from dockerdoctor.host import Host
from tests.checks.test_dns import DEAD, SIX, UP, config
from tests.checks.test_network import info

INFO = replace(info(), root_dir="/var/lib/docker")


class Root(Host):
    is_root = True


def foretold(tmp_path, *, host_changed, started, servers=(UP,), conf=None):
    """BuildKit wrote its file, with DEAD in it, at 1000."""
    file = tmp_path / "var/lib/docker" / BUILD_RESOLV_CONF
    file.parent.mkdir(parents=True)
    file.write_text(f"nameserver {DEAD}\n")
    os.utime(file, (1000, 1000))
    etc = ResolvConf("/etc/resolv.conf", True, nameservers=servers, modified=host_changed)
    resolver = HostResolver(etc, ResolvConf("/run/x", exists=False))
    found = build_resolver.measure(Root(root=tmp_path), INFO, resolver, DaemonProcess(1, started=started), conf)
    return found.servers, found.kept


@pytest.mark.parametrize(
    ("facts", "servers", "kept"),
    [
        # A link that leads to an older file by now goes unseen.
        ({"host_changed": 900, "started": 500}, (DEAD,), True),
        ({"host_changed": 1100, "started": 500}, (UP,), False),
        ({"host_changed": 900, "started": 1100}, (UP,), False),
        ({"host_changed": 1100, "started": 500, "servers": (SIX,)}, (SIX,), False),
        ({"host_changed": 1100, "started": 500, "servers": ("127.0.0.1",)}, ("8.8.8.8", "8.8.4.4"), False),
        ({"host_changed": 900, "started": 1100, "conf": config("127.0.0.53", UP)}, (UP,), False),
    ],
)
def test_the_next_build(tmp_path, facts, servers, kept):
    assert foretold(tmp_path, **facts) == (servers, kept)


def test_nothing_was_built(tmp_path):
    resolver = HostResolver(ResolvConf("/etc/resolv.conf", True), ResolvConf("/run/x", exists=False))
    assert not build_resolver.measure(Root(root=tmp_path), INFO, resolver, None, None).path


TOML = """\
debug = true
[dns]
  nameservers=["198.51.100.53", "10.0.0.9"]
  options=["edns0"]
[registry."docker.io"]
  mirrors = ["10.0.0.5"]
"""


@pytest.mark.parametrize(
    ("toml", "servers"),
    [
        (TOML, ("198.51.100.53", "10.0.0.9")),
        ("[dns]\nsearchDomains=['x']\n", ()),
        ("nameservers=['10.0.0.1']\n", ()),
        ("", ()),
    ],
)
def test_buildkitd_toml(toml, servers):
    assert dns_of(toml) == servers


def test_builder_of_its_own(tmp_path):
    folder = tmp_path / "root/.docker/buildx"
    (folder / "instances").mkdir(parents=True)
    (folder / "current").write_text('{"Key":"unix:///var/run/docker.sock","Name":"mine","Global":false}')
    files = {"buildkitd.toml": base64.b64encode(TOML.encode()).decode()}
    node = {"Name": "mine0", "Endpoint": "unix:///var/run/docker.sock", "DriverOpts": {}, "Files": files}
    (folder / "instances/mine").write_text(
        json.dumps({"Name": "mine", "Driver": "docker-container", "Nodes": [node], "Dynamic": False})
    )
    client = ClientConfig("/root/.docker/config.json", exists=False)
    found = builder.measure(Host(root=tmp_path, env={}), client)
    assert (found.name, found.driver, found.servers) == ("mine", "docker-container", ("198.51.100.53", "10.0.0.9"))
    assert found.registries == ("docker.io",)
    assert not builder.measure(Host(root=tmp_path, env={"BUILDX_BUILDER": "../mine"}), client).name
    assert not builder.measure(Host(root=tmp_path, env={}), replace(client, path="/home/a/.docker/config.json")).name

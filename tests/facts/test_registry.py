"""Which registries are asked, and what counts as serving."""

import pytest

from dockerdoctor.facts.endpoint import ClientConfig
from dockerdoctor.facts.registry import in_networks, named, registry_of
from dockerdoctor.host import Host
from tests.checks.test_registry import HTTP, container, info, registry


@pytest.mark.parametrize(
    ("image", "registry"),
    [
        ("busybox", ""),
        ("library/busybox:1", ""),
        ("docker.io/library/busybox", ""),
        ("reg.test/app:1", "reg.test"),
        ("reg.test:5000/app", "reg.test:5000"),
        ("localhost/app", "localhost"),
        ("user/app", ""),
        ("sha256:0123", ""),
    ],
)
def test_registry_of(image, registry):
    assert registry_of(image) == registry


@pytest.mark.parametrize(
    ("address", "entries", "inside"),
    [
        ("10.1.2.3", ("10.0.0.0/8",), True),
        ("10.1.2.3", ("reg.test:5000", "127.0.0.0/8"), False),
        ("reg.test", ("10.0.0.0/8",), False),
    ],
)
def test_networks(address, entries, inside):
    assert in_networks(address, entries) is inside


def test_who_names_a_registry(tmp_path):
    (tmp_path / "etc/docker/certs.d/certs.test:5000").mkdir(parents=True)
    (tmp_path / "srv").mkdir()
    (tmp_path / "srv/Dockerfile").write_text("FROM --platform=linux/amd64 from.test/a AS b\nFROM busybox\nFROM $X\n")
    client = ClientConfig("/c", exists=True, auths=("https://index.docker.io/v1/", "https://auth.test/v1/"))
    told = info(insecure_registries=("127.0.0.0/8", "plain.test:5000"))
    there = Host(tmp_path, {"HOME": "/root", "PWD": "/srv"})
    said = named(there, client, container("web", "run.test/a"), ["tag.test/a:1", "busybox:1"], told)
    assert {name: role for name, (role, _) in said.items()} == {
        "run.test": "named",
        "from.test": "named",
        "tag.test": "named",
        "auth.test": "named",
        "certs.test:5000": "listed",
        "plain.test:5000": "listed",
    }


@pytest.mark.parametrize(
    ("changes", "serves"),
    [
        ({"asked": HTTP(200)}, True),
        ({"asked": HTTP(401)}, True),
        ({"asked": HTTP(403)}, False),
        ({"asked": HTTP(404)}, False),
        ({"asked": HTTP(503)}, False),
        ({"asked": HTTP(404, ("docker-distribution-api-version", "registry/2.0"))}, True),
        ({"asked": HTTP(429, ("docker-distribution-api-version", "registry/2.0"))}, False),
        ({"asked": HTTP(200), "manifest": HTTP(404)}, True),
        ({"asked": HTTP(200), "manifest": HTTP(429)}, False),
        ({"asked": HTTP(200), "manifest": HTTP(502)}, False),
        ({"asked": HTTP(200), "fresh_authority": "/x.crt"}, False),
    ],
)
def test_serving(changes, serves):
    assert registry("mirror", **changes).serves is serves

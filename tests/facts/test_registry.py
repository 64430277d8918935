"""Which registries are asked, and what counts as serving."""

import pytest

from dockerdoctor.facts.daemon_json import DaemonJson
from dockerdoctor.facts.endpoint import ClientConfig
from dockerdoctor.facts.pulls import FailedPull, FailedPulls
from dockerdoctor.facts.registry import in_networks, registry_of
from dockerdoctor.facts.registry_names import named, wants_hub
from dockerdoctor.host import Host
from tests.checks.test_registry import BASIC, BEARER, HTML, HTTP, REFUSED, container, info, registry


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
    (tmp_path / "srv/compose.yaml").write_text("services:\n  web:\n    image: 'comp.test/web'\n")
    client = ClientConfig("/c", exists=True, auths=("https://index.docker.io/v1/", "https://auth.test/v1/"))
    told = info(insecure_registries=("127.0.0.0/8", "plain.test:5000"))
    config = DaemonJson("/d", True, settings={"insecure-registries": ["http://file.test:5000", "10.0.0.0/8"]})
    there = Host(tmp_path, {"HOME": "/root", "PWD": "/srv"})
    images = [{"RepoTags": ["tag.test/a:1", "busybox:1"], "RepoDigests": ["busybox@sha256:0", "dig.test/a@sha256:0"]}]
    pulls = FailedPulls((FailedPull("no", 9, "https://pull.test:5000/v2/"), FailedPull("no", 9, "https://cdn.test/x")))
    said = named(there, client, config, container("web", "run.test/a"), images, told, pulls)
    assert {name: role for name, (role, _) in said.items()} == {
        "pull.test:5000": "named",
        "run.test": "named",
        "from.test": "named",
        "comp.test": "named",
        "auth.test": "named",
        "dig.test": "named",
        "certs.test:5000": "listed",
        "plain.test:5000": "listed",
    }
    mirrored = info(mirrors=("http://m.test:5000/",))
    pulls = FailedPulls((FailedPull("no", 9, "http://m.test:5000/v2/"),))
    assert "m.test:5000" not in named(there, None, None, None, [], mirrored, pulls)
    images, told = [{"RepoTags": ["tag.test/a:1"], "RepoDigests": []}], info()
    said = named(Host(tmp_path, {"HOME": "/root"}), None, config, None, images, told, None)
    assert {name: role for name, (role, _) in said.items()} == {
        "certs.test:5000": "listed",
        "file.test:5000": "listed",
        "tag.test": "tagged",
    }


HUB_FAILS = FailedPull('Get "https://registry-1.docker.io/v2/": no such host', 60, "https://registry-1.docker.io/v2/")


@pytest.mark.parametrize(
    ("dockerfile", "here", "pulls", "wants"),
    [
        ("", [], None, ""),
        ("", [], FailedPulls((HUB_FAILS,)), "a pull 60 seconds ago"),
        ("", [], FailedPulls((FailedPull("no", 9, "https://reg.test/v2/"),)), ""),
        ("FROM busybox\n", [], None, "busybox in ./Dockerfile"),
        ("FROM busybox\n", ["busybox:latest"], None, ""),
        ("FROM busybox:1 AS a\nFROM a\nFROM scratch\n", ["busybox:1"], None, ""),
        ("FROM reg.test/x\n", [], None, ""),
    ],
)
def test_who_wants_docker_hub(tmp_path, dockerfile, here, pulls, wants):
    (tmp_path / "srv").mkdir()
    (tmp_path / "srv/Dockerfile").write_text(dockerfile)
    there = Host(tmp_path, {"HOME": "/root", "PWD": "/srv"})
    assert wants_hub(there, [{"RepoTags": here}], pulls) == wants


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
        ({"asked": HTTP(200, HTML)}, False),
        ({"asked": HTTP(200), "manifest": HTTP(200, HTML)}, False),
        ({"asked": HTTP(200), "manifest": HTTP(404), "empty": True}, False),
        ({"asked": HTTP(401, BASIC)}, False),
        ({"asked": HTTP(401, BASIC), "login": "accepted"}, True),
        ({"asked": HTTP(401, BEARER), "token": HTTP(200)}, True),
        ({"asked": HTTP(401, BEARER), "token": HTTP(401)}, False),
        ({"asked": HTTP(401, BEARER), "token": HTTP(503)}, False),
        ({"asked": HTTP(401, BEARER), "token": REFUSED}, False),
    ],
)
def test_serving(changes, serves):
    assert registry("mirror", **changes).serves is serves

"""What is asked about targets: on which network a name is known, and what a refusal without a login says."""

import pytest

from dockerdoctor.facts.containers import Attachment, Container, Containers
from dockerdoctor.facts.endpoint import ClientConfig, Settings
from dockerdoctor.facts.preferences import Target
from dockerdoctor.facts.targets import AskedImage, WebTargets, _with_login, containers_named, web_targets
from dockerdoctor.host import Host


def container(name, *networks, state="running"):
    attached = tuple(Attachment(net, "x", "172.18.0.2", (f"{name}-alias",)) for net in networks)
    return Container(name * 8, name, "x", state, "Up", networks=attached)


CONTAINERS = Containers(
    (container("cache", "b-net", "a-net"), container("old", "a-net", state="exited"), container("web", "bridge"))
)


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("cache", [("cache", "a-net")]),
        ("cache-alias", [("cache-alias", "a-net")]),
        ("old", []),  # it does not run
        ("web", []),  # the default bridge knows no names
        ("db.corp.test", []),
    ],
)
def test_names_of_containers(host, found):
    assert list(containers_named((Target("tcp", host, 1),), CONTAINERS)) == found


def client(**more):
    return ClientConfig("/root/.docker/config.json", exists=True, **more)


@pytest.mark.parametrize(
    ("name", "config", "pullable"),
    [
        ("app:1", None, False),
        ("app:1", client(), False),
        ("app:1", client(auths=("https://index.docker.io/v1/",)), None),
        ("r.test/app:1", client(auths=("https://index.docker.io/v1/",)), False),
        ("r.test/app:1", client(auths=("r.test",)), None),
        ("r.test/app:1", client(cred_helpers=(("r.test", "pass"),)), None),
        ("r.test/app:1", client(creds_store="pass"), None),
    ],
)
def test_a_refusal_says_nothing_where_there_is_a_login(name, config, pullable):
    denied = AskedImage(name, present=False, pullable=False, said="denied: requested access to the resource is denied")
    assert _with_login(denied, config).pullable is pullable
    unknown = AskedImage(name, present=False, pullable=False, said="manifest unknown")
    assert _with_login(unknown, config) == unknown


def test_without_targets_nobody_is_asked():
    assert web_targets.measure(Host("/nowhere", {}), Settings()) == WebTargets()

"""What is suggested to somebody who named no check."""

import pytest

from dockerdoctor.checks import CATALOGUE
from dockerdoctor.nearest import nearest

IDS = [c.id for c in CATALOGUE]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("dns.server-ded", "dns.server-dead"),
        ("server-dead", "dns.server-dead"),
        ("DNS.Server_Dead", "dns.server-dead"),
        ("dns server dead", "dns.server-dead"),
        ("dead", "dns.server-dead"),
        ("dsn.*", "dns.*"),
        ("dns", "dns.*"),
        ("engine.containrd", "engine.containerd"),
    ],
)
def test_what_was_meant_is_among_them(name, meant):
    assert meant in nearest(name, IDS)


@pytest.mark.parametrize("name", ["", "*", "zzzz", "[", "\x1b[31m"])
def test_nothing_is_suggested_for_what_is_like_nothing(name):
    assert nearest(name, IDS) == ()

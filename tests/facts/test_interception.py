"""Who takes TLS apart, told from who signs: handshakes as they went, without a network."""

from types import SimpleNamespace

import pytest

from dockerdoctor.facts import interception as module
from dockerdoctor.facts.registry import Registry
from dockerdoctor.host import Host
from dockerdoctor.tls import Certificate
from dockerdoctor.web import Attempt, parse_proxy

CORP, OWN, PUBLIC_CA = (Certificate("CN=x", f"CN={name}") for name in ("Corp", "Own", "Public"))
PROXY = parse_proxy("http://10.0.0.9:3128")
REG, HUB = "https://reg.corp/v2/", "https://registry-1.docker.io/v2/"


def refused(url):
    return Attempt(url, "http://10.0.0.9:3128", "tls", "x509", verify_code=20)


@pytest.mark.parametrize(
    ("asked", "proxy", "chains", "found"),
    [
        # Another hand past the proxy.
        (refused(REG), PROXY, {(REG, True): (CORP,), (REG, False): (OWN,)}, True),
        # A registry with a private CA, the same either way.
        (refused(REG), PROXY, {(REG, True): (OWN,), (REG, False): (OWN,)}, False),
        # No way past the proxy: who signs for Docker Hub too is on the way.
        (refused(REG), PROXY, {(REG, True): (CORP,), (HUB, True): (CORP,)}, True),
        (refused(REG), PROXY, {(REG, True): (OWN,), (HUB, True): (PUBLIC_CA,)}, False),
        (refused(REG), PROXY, {(REG, True): (OWN,)}, False),
        # Docker Hub is nobody's private server, with a proxy or without.
        (refused(HUB), None, {(HUB, False): (CORP,)}, True),
        (refused(REG), None, {(REG, False): (OWN,)}, False),
        # It answers, and no CA of this host's own could be behind it.
        (Attempt(HUB, "", "http", "ok", 401), None, {(HUB, False): (PUBLIC_CA,)}, False),
        (Attempt(REG, "", "http", "ok", 401), None, {}, False),
    ],
)
def test_told_from_who_signs(tmp_path, monkeypatch, asked, proxy, chains, found):
    monkeypatch.setattr(module, "shown_chain", lambda url, via, _patience: chains.get((url, via is not None), ()))
    way = SimpleNamespace(host=Host(tmp_path, {}), bundle="b", proxy=lambda _url: proxy)
    said = module.interception(way, Registry("r", "named", "x", asked))
    assert (said is not None) is found

from pathlib import Path

import pytest

from dockerdoctor.facts.endpoint import ClientConfig
from dockerdoctor.host import Host
from dockerdoctor.sample.surroundings import (
    Asked,
    Surroundings,
    arguments,
    index_settings,
    loops_back,
    parse_pip_conf,
    pip_settings,
    proxy_arguments,
    public_authorities,
    surroundings,
)

NO_CONFIG = ClientConfig("/root/.docker/config.json", exists=False)


# A certificate authority that nobody knows: openssl req -x509 -newkey ec ... -days 36500 -subj /CN=Acme
CA = """\
-----BEGIN CERTIFICATE-----
MIIBdDCCARugAwIBAgIUG1K4fIskO58MYT8QIpRSLYMuMtkwCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEQWNtZTAgFw0yNjExMjQwMjUwMjhaGA8yMTI2MTAzMTAyNTAy
OFowDzENMAsGA1UEAwwEQWNtZTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABNSH
8xqNgsOmLeymfeUYtK4TOtjaEAI/8T/HU+83bQaRTHtPg3WtO3LVD6u3yGFQFf6l
BPEa2aDqZQZbgvjQd6CjUzBRMB0GA1UdDgQWBBTT4owUfuEp40iu3kxLJ5tBaTqy
iTAfBgNVHSMEGDAWgBTT4owUfuEp40iu3kxLJ5tBaTqyiTAPBgNVHRMBAf8EBTAD
AQH/MAoGCCqGSM49BAMCA0cAMEQCIC3OPgT7jxEscQhw4TfYfKhrbhGXVBHqLCpd
gz0V6ZIKAiAMI/kEa2EMB2PZVlykycOki7ALQX5yQVhB2O1akbqUBw==
-----END CERTIFICATE-----
"""


def host(root: Path, files=(), **env) -> Host:
    for path, text in dict(files).items():
        (root / path.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
        (root / path.lstrip("/")).write_text(text)
    return Host(root, {"HOME": "/root", **env})


def test_ordinary_host_gives_the_build_nothing(tmp_path):
    public = public_authorities()
    here = host(tmp_path, {"/etc/ssl/certs/ca-certificates.crt": public}, SSL_CERT_FILE="/missing")
    given = surroundings(here, NO_CONFIG, public)
    assert given == Surroundings()
    assert (given.hidden, given.arguments) == ({}, {})


WHERE = {
    "the system's bundle": ("/etc/ssl/certs/ca-certificates.crt", {}),
    "an anchor": ("/usr/local/share/ca-certificates/acme/acme.crt", {}),
    "SSL_CERT_FILE": ("/opt/acme.pem", {"SSL_CERT_FILE": "/opt/acme.pem"}),
    "PIP_CERT": ("/opt/acme.pem", {"PIP_CERT": "/opt/acme.pem"}),
}


@pytest.mark.parametrize(("path", "env"), WHERE.values(), ids=WHERE)
def test_unknown_authority_is_handed_on_with_the_public_ones(tmp_path, path, env):
    public = public_authorities()
    given = surroundings(host(tmp_path, {path: CA}, **env), NO_CONFIG, public)
    assert given.notes == ("1 certificate authority of this host: Acme",)
    assert given.arguments == {"PIP_CONFIG_FILE": "/run/dockerdoctor/pip.conf"}
    assert given.hidden["pip.conf"] == "[global]\ncert = /run/dockerdoctor/ca-bundle.crt\n"
    bundle = given.hidden["ca-bundle.crt"]
    assert bundle.count("BEGIN CERTIFICATE") == public.count("BEGIN CERTIFICATE") + 1


def test_authority_in_pip_conf(tmp_path):
    given = surroundings(host(tmp_path, {"/etc/pip.conf": "[global]\ncert=/opt/a", "/opt/a": CA}), NO_CONFIG, "")
    assert given.notes


def test_what_is_no_certificate_is_left_out(tmp_path):
    text = "-----BEGIN CERTIFICATE-----\nbm90IG9uZQ==\n-----END CERTIFICATE-----\n"
    assert (
        surroundings(host(tmp_path, {"/usr/local/share/ca-certificates/x.crt": text}), NO_CONFIG, "") == Surroundings()
    )


PROXIES = {
    "none": ({}, NO_CONFIG, {}, 0),
    "of the shell": (
        {"HTTPS_PROXY": "http://u:secret@10.0.0.1:3128", "no_proxy": ".test"},
        NO_CONFIG,
        {
            "https_proxy": "http://u:secret@10.0.0.1:3128",
            "HTTPS_PROXY": "http://u:secret@10.0.0.1:3128",
            "no_proxy": ".test",
            "NO_PROXY": ".test",
        },
        2,
    ),
    "on the loopback": ({"http_proxy": "http://127.0.0.1:3128"}, NO_CONFIG, {}, 1),
    "without a scheme": (
        {"http_proxy": "10.0.0.1:3128"},
        NO_CONFIG,
        {"http_proxy": "10.0.0.1:3128", "HTTP_PROXY": "10.0.0.1:3128"},
        2,
    ),
    "only exceptions": ({"no_proxy": "localhost"}, NO_CONFIG, {}, 0),
    "of the client": (
        {"http_proxy": "http://10.0.0.1:3128"},
        ClientConfig("/c", exists=True, proxies=(("default", "httpProxy", "http://10.0.0.2:3128"),)),
        {},
        1,
    ),
}


@pytest.mark.parametrize(("env", "config", "expected", "notes"), PROXIES.values(), ids=PROXIES)
def test_proxies(env, config, expected, notes):
    args, said = proxy_arguments(env, config)
    assert args == expected
    assert len(said) == notes
    assert "secret" not in "".join(said)


@pytest.mark.parametrize("url", ["http://localhost:1", "127.0.0.1:1", "http://[::1]:1/"])
def test_loops_back(url):
    assert loops_back(url)


def test_pip_settings_in_pips_own_order(tmp_path):
    files = {
        "/etc/pip.conf": "[global]\nindex-url = http://a.test/\ncert = /a\n",
        "/root/.config/pip/pip.conf": "[global]\nindex_url = http://b.test/\n[install]\ntrusted-host = b.test\n",
    }
    here = host(tmp_path, files, PIP_CERT="/c")
    assert pip_settings(here) == {"index-url": "http://b.test/", "cert": "/c", "trusted-host": "b.test"}
    assert pip_settings(host(tmp_path, PIP_CONFIG_FILE="/dev/null")) == {"config-file": "/dev/null"}


def test_broken_pip_conf_says_nothing():
    assert parse_pip_conf("index-url = http://a.test/\n") == {}


INDEXES = {
    "none": ({}, {}),
    "a folder": ({"extra-index-url": "file:///opt/simple"}, {}),
    "two": (
        {"extra-index-url": "http://a.test/\n https://b.test/"},
        {"extra-index-url": "http://a.test/ https://b.test/"},
    ),
    "with a password": ({"index-url": "https://u:secret@a.test/x"}, {"index-url": "https://u:secret@a.test/x"}),
    "trusted": (
        {"index-url": "http://a.test/", "trusted-host": "a.test"},
        {"index-url": "http://a.test/", "trusted-host": "a.test"},
    ),
    "on the loopback": ({"index-url": "http://localhost:3141/"}, {}),
    "trust alone": ({"trusted-host": "a.test"}, {}),
}


@pytest.mark.parametrize(("pip", "expected"), INDEXES.values(), ids=INDEXES)
def test_index(pip, expected):
    settings, notes = index_settings(pip)
    assert settings == expected
    assert "secret" not in "".join(notes)


def test_what_is_asked_for_comes_before_what_is_found(tmp_path):
    here = host(
        tmp_path,
        {
            "/etc/pip.conf": "[global]\nindex-url=https://a.test/\nextra-index-url=https://b.test/\n",
            "/opt/acme.pem": CA,
        },
        https_proxy="http://10.0.0.1:3128",
        no_proxy=".here",
    )
    asked = Asked(
        "http://u:secret@10.0.0.2:8080", ".corp", "https://u:secret@c.test/simple", "/opt/acme.pem", (("A", "secret"),)
    )
    of_client = ClientConfig("/c", exists=True, proxies=(("default", "httpProxy", "http://10.0.0.3:3128"),))
    given = surroundings(here, of_client, "", asked)
    assert given.arguments == {
        **dict.fromkeys(("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"), "http://u:secret@10.0.0.2:8080"),
        "no_proxy": ".corp",
        "NO_PROXY": ".corp",
        "PIP_CONFIG_FILE": "/run/dockerdoctor/pip.conf",
        "A": "secret",
    }
    assert "index-url = https://u:secret@c.test/simple\n" in given.hidden["pip.conf"]
    assert "b.test" not in given.hidden["pip.conf"]
    assert "secret" not in "".join(given.notes)
    assert "ENV https_proxy http://u:***@10.0.0.2:8080" in given.notes
    assert "1 certificate authority of this host: Acme" in given.notes


def test_build_arguments_as_docker_build_reads_them():
    given = ["A=1", "B", "C", "D=", "=x"]
    assert arguments(given, {"B": "2"}) == (("A", "1"), ("B", "2"), ("D", ""))

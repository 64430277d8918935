"""Names out of containers' settings, and domains with nameservers of their own."""

from dataclasses import replace

import pytest

from dockerdoctor.facts.containers import Attachment, Container, Containers
from dockerdoctor.facts.daemon_json import DaemonJson
from dockerdoctor.facts.dns import HostResolver, ResolvConf
from dockerdoctor.facts.endpoint import Settings
from dockerdoctor.facts.names_in_use import names_in_use
from dockerdoctor.facts.preferences import Preferences, Target
from dockerdoctor.facts.records import NOBODY, record_questions
from dockerdoctor.facts.split import of_dnsmasq, of_resolvectl, split_dns
from dockerdoctor.host import Host

BASE = Container("1" * 64, "app", "x", "running", "Up", inspected=True, network_mode="net")


def found(**settings):
    containers = Containers((replace(BASE, **settings),))
    said = names_in_use.measure(Host("/nowhere", {}), None, None, containers, Settings())
    return [(u.name, u.source) for u in said.all]


def test_targets_are_names_that_containers_want():
    targets = tuple(Target("tcp", name, 5432) for name in ("db.corp.test", "10.0.0.9", "cache"))
    wanted = Settings(preferences=Preferences(targets=targets))
    said = names_in_use.measure(Host("/nowhere", {}), None, None, Containers(()), wanted)
    assert [(u.name, u.source) for u in said.all] == [("db.corp.test", "a target")]


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"env": (("GIT_URL", "https://git.corp.example:8443/x.git"),)}, [("git.corp.example", "GIT_URL")]),
        ({"env": (("DB", "postgres://u:***@db.corp.example/app"),)}, [("db.corp.example", "DB")]),
        ({"env": (("SMTP_HOST", "mail.corp.example"),)}, [("mail.corp.example", "SMTP_HOST")]),
        ({"env": (("APP_DB_HOST", "db.corp.example"),)}, [("db.corp.example", "APP_DB_HOST")]),
        (
            {"env": (("KAFKA", "k1.corp.example:9092,k2.corp.example:9092"),)},
            [("k1.corp.example", "KAFKA"), ("k2.corp.example", "KAFKA")],
        ),
        ({"command": ("ping", "-c", "1", "git.corp.example")}, [("git.corp.example", "its command")]),
        (
            {"command": ("sh", "-c", "curl -s https://git.corp.example/ | tee out.txt")},
            [("git.corp.example", "its command")],
        ),
        # Files, versions, addresses, modules, short names: no nameserver's business.
        (
            {
                "command": (
                    "python3",
                    "app.py",
                    "/srv/web.example/conf",
                    "--config=server.conf",
                    "python3.11",
                    "./run.sh",
                )
            },
            [],
        ),
        (
            {
                "env": (
                    ("REDIS_URL", "redis://redis:6379/0"),
                    ("IP", "10.0.0.1"),
                    ("V", "3.13.1"),
                    ("PATH", "/usr/bin:/bin"),
                )
            },
            [],
        ),
        ({"command": ("java", "-jar", "a.jar", "com.example.Main", "f(a.b)", "me@mail.example")}, []),
        # What it is called itself, it need not look up.
        ({"env": (("VIRTUAL_HOST", "app.corp.example"), ("ROOT_URL", "https://app.corp.example/"))}, []),
        ({"env": (("NEXTCLOUD_TRUSTED_DOMAINS", "app.corp.example"), ("SERVER_NAME", "app.corp.example"))}, []),
        # It has an entry of its own.
        ({"env": (("H", "git.corp.example"),), "extra_hosts": ("git.corp.example:192.0.2.7",)}, []),
        ({"env": (("H", "web.net"),), "networks": (Attachment("net", "n", "", ("web.net",)),)}, []),
        # The host's own resolver serves it; it ended well, and wants nothing more.
        ({"env": (("H", "git.corp.example"),), "network_mode": "host"}, []),
        ({"env": (("H", "git.corp.example"),), "state": "exited"}, []),
        ({"env": (("H", "git.corp.example"),), "state": "exited", "exit_code": 1}, [("git.corp.example", "H")]),
        # Longer ago than anybody waits for it.
        (
            {
                "env": (("H", "git.corp.example"),),
                "state": "exited",
                "exit_code": 1,
                "finished": "2020-01-01T00:00:00Z",
            },
            [],
        ),
    ],
)
def test_names_that_containers_want(settings, names):
    assert found(**settings) == names


@pytest.mark.parametrize(
    ("value", "routed"),
    [
        ("/corp.example/10.0.0.9", [("corp.example", "10.0.0.9")]),
        ("/corp.example/lab.example/10.0.0.9#5353", [("corp.example", "10.0.0.9"), ("lab.example", "10.0.0.9")]),
        ("10.0.0.9", []),
        ("/corp.example/", []),
        ("/corp.example/#", []),
        ("//10.0.0.9", []),
    ],
)
def test_servers_of_dnsmasq_for_one_domain(value, routed):
    assert [(r.domain, *r.servers) for r in of_dnsmasq(value, "x")] == routed


DOMAINS = """Global:
Link 2 (eth0): home.example
Link 3 (tun0): ~corp.example ~10.in-addr.arpa ~.
Link 4 (docker0):
"""
SERVERS = """Global: 9.9.9.9
Link 2 (eth0): 192.168.1.1
Link 3 (tun0): 10.0.0.53#dns.corp.example 10.0.0.54
Link 4 (docker0):
"""


def test_domains_of_resolved():
    said = [(r.domain, r.servers, r.source) for r in of_resolvectl(DOMAINS, SERVERS)]
    assert said == [
        ("home.example", ("192.168.1.1",), "resolvectl, Link 2 (eth0)"),
        ("corp.example", ("10.0.0.53", "10.0.0.54"), "resolvectl, Link 3 (tun0)"),
    ]
    assert list(of_resolvectl("", "")) == []


def resolver(*servers, search=()):
    return HostResolver(ResolvConf("/etc/resolv.conf", True, "", "", servers, search), ResolvConf("/r", False))


def test_dnsmasq_is_read_only_where_it_is_asked(tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/dnsmasq.conf").write_text("server=/corp.example/10.0.0.9\n")
    host = Host(tmp_path, {"PATH": "/nowhere"})
    assert [r.domain for r in split_dns.measure(host, resolver("127.0.0.1")).domains] == ["corp.example"]
    assert split_dns.measure(host, resolver("10.0.0.1")).domains == ()


@pytest.mark.parametrize(
    ("settings", "search"),
    [({}, ["home.example"]), ({"dns-search": ["corp.example"]}, ["corp.example"]), ({"dns-search": ["."]}, [])],
)
def test_a_host_that_no_search_domain_has(settings, search):
    config = DaemonJson("/etc/docker/daemon.json", exists=True, settings=settings)
    said = record_questions.measure(Host("/", {}), resolver("10.0.0.1", search=("home.example",)), config, None, None)
    assert [name.partition(".")[2] for name, _ in said.all if name.startswith(NOBODY)] == search

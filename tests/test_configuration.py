"""The configuration file: what it says is heeded, and what nobody would heed is refused, with its place."""

import pytest

from dockerdoctor.configuration import Configuration, Misconfigured, read_configuration
from dockerdoctor.facts.preferences import Ignored, Preferences, Target, Thresholds, target_of

CHECKS = ("storage.low-space", "registry.slow")
WHOLE = """\
host = "unix:///run/podman.sock"
targets = ["db.corp.test:5432", "https://api.corp.test", "[2001:db8::1]:80"]
redis = ["cache.corp.test"]
images = ["registry.corp.test/app:1"]

[ignore]
"storage.low-space" = " watched elsewhere "

[thresholds]
registry_seconds = 5
disk_free_percent = 12.5
"""


def read(text):
    return read_configuration("/etc/dockerdoctor.toml", text, CHECKS)


def test_the_whole_of_it():
    assert read(WHOLE) == Configuration(
        Preferences(
            "/etc/dockerdoctor.toml",
            (Ignored("storage.low-space", "watched elsewhere"),),
            Thresholds(disk_free_percent=12.5, registry_seconds=5.0),
            (
                Target("tcp", "db.corp.test", 5432),
                Target("https", "api.corp.test", 443),
                Target("tcp", "2001:db8::1", 80),
                Target("redis", "cache.corp.test", 6379),
            ),
            ("registry.corp.test/app:1",),
        ),
        host="unix:///run/podman.sock",
    )


def test_an_empty_file_says_nothing():
    assert read("") == Configuration(Preferences("/etc/dockerdoctor.toml"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("targets = [\n", "1:12: "),
        ("targets = []\nimages = oops\n", "2:10: "),
        ("[ignore]\n[ignore]\n", "2:8: "),
        ("target = []\n", "1:1: 'target' means nothing here; nearest: targets"),
        ("\n\nzzz = 1\n", "3:1: 'zzz' means nothing here; known: host, context"),
        ('targets = "x:1"\n', "1:1: targets is not a list of strings"),
        ("host = 3\n", "1:1: host is not a string"),
        ('targets = ["db"]\n', "1:13: targets: 'db': it names no port"),
        ('host = "a"\ncontext = "b"\n', "2:1: host and context both say"),
        (
            '[ignore]\n"storage.low-spac" = "x"\n',
            "2:2: there is no check 'storage.low-spac'; nearest: storage.low-space",
        ),
        ('[ignore]\n"storage.low-space" = ""\n', "2:2: storage.low-space is ignored without a reason"),
        ('[ignore]\n"storage.low-space" = true\n', "2:2: storage.low-space is ignored without a reason"),
        ('[ignore]\nstorage.low-space = "x"\n', '2:1: an id with a dot is quoted: "storage.low-space"'),
        ("ignore = 1\n", "1:1: ignore is not a section"),
        ("[thresholds]\ndisk_free_percent = 120\n", "2:1: disk_free_percent is not a number above 0 and up to 100"),
        ("[thresholds]\nlog_mib = 0\n", "2:1: log_mib is not a number above 0"),
        ("[thresholds]\nlog_mib = true\n", "2:1: log_mib is not a number above 0"),
        ("[thresholds]\nlog_mb = 1\n", "2:1: 'log_mb' means nothing here; nearest: log_mib"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text, said):
    with pytest.raises(Misconfigured) as no:
        read(text)
    assert str(no.value).startswith(f"/etc/dockerdoctor.toml:{said}")


@pytest.mark.parametrize(
    ("said", "kind", "target"),
    [
        ("db:5432", "tcp", Target("tcp", "db", 5432)),
        ("db_1.corp:5432", "tcp", Target("tcp", "db_1.corp", 5432)),
        ("api:443", "tcp", Target("https", "api", 443)),
        ("http://web", "tcp", Target("http", "web", 80)),
        ("https://web:8443/path", "tcp", Target("https", "web", 8443)),
        ("[::1]:80", "tcp", Target("tcp", "::1", 80)),
        ("cache", "redis", Target("redis", "cache", 6379)),
        ("redis://cache:6380/0", "redis", Target("redis", "cache", 6380)),
        ("db", "tcp", "it names no port: HOST:PORT"),
        (":80", "tcp", "it names no host"),
        ("a b:80", "tcp", "it names no host"),
        ("-x:80", "tcp", "it names no host"),
        ("db:0", "tcp", "it names no port: HOST:PORT"),
        ("db:99999", "tcp", "it cannot be read: Port out of range 0-65535"),
        ("ftp://db:21", "tcp", "ftp:// is none of tcp, http, https, redis"),
        ("redis://:secret@cache", "redis", "a login is of no use here; leave it out"),
    ],
)
def test_targets(said, kind, target):
    assert target_of(said, kind) == target

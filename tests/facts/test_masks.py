"""No password gets into a fact, however it is written."""

import json
import time

import pytest

from dockerdoctor.facts.containers import _inspected, _listed
from dockerdoctor.facts.endpoint import (
    Settings,
    chosen_endpoint,
    client_config,
    mask_arguments,
    mask_text,
    mask_url,
    mask_words,
)
from dockerdoctor.facts.redis import _unsaid
from dockerdoctor.fixes.dns import diff_of
from dockerdoctor.host import Host
from dockerdoctor.sample.judge import BuildLog

WRITTEN = (
    "http://al:s3cret@proxy:3128",
    "HTTP://al:s3cret@proxy:3128",
    "http://al:p@s3cret@proxy:3128",
    "http://al:p/s3cret@proxy:3128",
    "http://al:it's3cret@proxy:3128",
    "http://al:x://s3cret@proxy:3128",
    "al:s3cret@proxy:3128",
    "al:s3cret%40@proxy:3128",
    "http://s3cret@proxy:3128",
)


@pytest.mark.parametrize("value", WRITTEN)
def test_urls(value):
    assert "s3cret" not in mask_url(value)
    assert mask_url(value).endswith("@proxy:3128")


@pytest.mark.parametrize("value", WRITTEN)
@pytest.mark.parametrize(
    "line", ['  "http-proxy": "%s",', "time=x msg=%s more", "--http-proxy=%s", "FOO=%s,http://x", "a@sha256:b,%s"]
)
def test_urls_in_a_text(value, line):
    masked = mask_text(line % value)
    assert "s3cret" not in masked
    assert "proxy:3128" in masked


def test_a_hostile_text_takes_no_time():
    began = time.monotonic()
    for said in ("a.", "key", "http://", "a:", "pass-", "@sha256:", "a@", "pass='", 'pass= "', "-cli "):
        mask_words(said * 50_000)
    assert time.monotonic() - began < 10


def test_several_urls_in_a_value():
    assert "s3cret" not in mask_url("amqp://al:s3cret@a,amqp://bo:s3cret@b")


@pytest.mark.parametrize(
    "text",
    [
        "FROM python:3.13-slim@sha256:abc",
        "reg.test:5000/web@sha256:abc",
        "https://reg.test/web@sha256:abc",
        "git+https://code.test/a/b@v1",
        '{"dns": ["10.0.0.1"], "labels": ["a@b"]}',
    ],
)
def test_what_is_no_password_stays(text):
    assert mask_text(text) == text


@pytest.mark.parametrize(
    "args",
    [
        ("redis-server", "--requirepass", "s3cret"),
        ("sh", "-c", "redis-server --requirepass s3cret --port 1"),
        ("app", "--db-password=s3cret"),
        ("sh", "-c", "DB_PASSWORD=s3cret exec app"),
        ("app", "redis://:s3cret@redis:6379"),
        ("redis-cli", "-a", "s3cret", "ping"),
        ("sh", "-c", "redis-cli -h x -a s3cret ping"),
        ("redis-cli", "-p", "6379", "-a", "s3cret"),
        ("curl", "-fsS", "-u", "al:s3cret", "http://x/"),
        ("sh", "-c", "curl --user 'al:s3cret' http://x/"),
        ("mysqladmin", "ping", "-h", "localhost", "-ps3cret"),
        ("sh", "-c", "mysqladmin ping -uroot -p's3cret'"),
        ("mongosh", "-u", "root", "-p", "s3cret"),
        ("sqlcmd", "-U", "sa", "-P", "s3cret"),
    ],
)
def test_a_containers_command(args):
    command = _inspected({"Id": "x", "Path": args[0], "Args": list(args[1:])}, "").command
    assert len(command) == len(args)
    assert "s3cret" not in str(command)
    assert "***" in str(command)


@pytest.mark.parametrize(
    "args",
    [
        ("docker", "run", "-u", "1000:1000", "mysql", "-p", "3306:3306"),
        ("docker", "run", "mongo", "-p", "27017:27017"),
        ("redis-cli", "-p", "6379", "ping"),
        ("mysql", "-P", "3306", "-p", "shop"),
        ("ps", "-u", "root", ""),
        ("curl", "--user-agent", "x", "http://al/b:c"),
    ],
)
def test_arguments_that_are_no_password_stay(args):
    assert mask_arguments(args) == args


@pytest.mark.parametrize(
    "env",
    [
        "DB_PASSWORD=s3cret",
        "MYSQL_PWD=s3cret",
        'CONFIG={"password": "s3cret"}',
        "JAVA_OPTS=-Xmx1g -Ddb.password=s3cret",
        "DSN=host=db password=s3cret",
        "URLS=amqp://al:s3cret@a,amqp://bo:s3cret@b",
    ],
)
def test_a_containers_environment(env):
    assert "s3cret" not in str(_inspected({"Id": "x", "Config": {"Env": [env]}}, "").env)


def test_a_containers_labels():
    labels = {"proxy.basicauth.users": "al:s3cret", "com.docker.compose.service": "web"}
    for container in (
        _inspected({"Id": "x", "Config": {"Labels": labels}}, ""),
        _listed({"Id": "x", "Labels": labels}),
    ):
        assert dict(container.labels) == {"proxy.basicauth.users": "***", "com.docker.compose.service": "web"}


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("tcp://al:s3cret@h:2375", "tcp://h:2375"),
        ("al:s3cret@h:2375", "tcp://h:2375"),
        ("ssh://al:s3cret@h", "ssh://al@h"),
        ("ssh://al@h", "ssh://al@h"),
    ],
)
def test_an_endpoint(tmp_path, given, url):
    host = Host(tmp_path, {"HOME": "/home/al", "DOCKER_HOST": given})
    config = client_config.measure(host)
    assert chosen_endpoint.measure(host, Settings(), config).url == url


def test_a_diff():
    before = json.dumps({"dns": ["a"], "proxies": {"http-proxy": "http://al:s3cret@proxy"}}, indent=1).encode()
    lines = diff_of("/f", before, before.replace(b'"a"', b'"b"'))
    assert any("al:***@proxy" in line for line in lines)
    assert not any("s3cret" in line for line in lines)


def test_a_server_that_repeats_what_it_was_sent():
    said = "-ERR unknown command `AUTH`, with args beginning with: `s3cret`, "
    assert _unsaid(said, "s3cret") == said.replace("s3cret", "***")
    assert _unsaid(said, "") == said


def test_a_build():
    log = BuildLog()
    heard = log.hear({"stream": "Looking in http://al:s3cret@index/simple\n"})
    log.hear({"error": "proxy http://al:s3cret@proxy"})
    assert "s3cret" not in str((heard, log))

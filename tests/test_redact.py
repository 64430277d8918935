"""Nothing secret leaves in a file that somebody passes on, however it is written and wherever it stands."""

import base64
import json
import time
from pathlib import Path
from urllib.parse import quote

import pytest

from dockerdoctor.diagnose import report_on
from dockerdoctor.facts.endpoint import Settings
from dockerdoctor.facts.probes import PROBES
from dockerdoctor.redact import redact, redact_json, redact_member, secrets_among, secrets_in, spellings
from dockerdoctor.render import FORMATS, ReportFormat
from dockerdoctor.render.terminal import Options
from dockerdoctor.saved import load

SECRET = "hunter2-Zq8x"
LOGIN = base64.b64encode(f"al:{SECRET}".encode()).decode()
IN_JSON = base64.b64encode(json.dumps({"username": "al", "password": SECRET}).encode()).decode()
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbCJ9.c2lnbmF0dXJl-_x"
PEM = f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}MIIEow\nIBAAKCAQ{SECRET}\n-----END RSA PRIVATE KEY-----"

# What is planted: the text, and what of it must not be found again.
PLANTED = [
    # URLs, and proxies among them
    (f"http://al:{SECRET}@proxy.test:3128", SECRET),
    (f"HTTPS_PROXY=http://al:{SECRET}@proxy.test:3128/", SECRET),
    (f"https_proxy='http://al:{SECRET}@proxy.test'", SECRET),
    (f"al:{SECRET}@proxy.test:3128", SECRET),
    (f"http://{SECRET}@proxy.test:3128", SECRET),
    (f"redis://:{SECRET}@redis:6379/0", SECRET),
    (f"ssh://al:{SECRET}@engine.test", SECRET),
    (f"https://cdn.test/blob?X-Amz-Signature={SECRET}&X-Amz-Date=2026", SECRET),
    (f"https://cdn.test/blob?expires=1&verify={SECRET}", SECRET),
    (f"https://reg.test/v2/?access_token={SECRET}&a=b", SECRET),
    # a registry's
    (f'{{"auths": {{"reg.test": {{"auth": "{LOGIN}"}}}}}}', LOGIN),
    (f'{{"auths":{{"reg.test":{{"identitytoken":"{SECRET}"}}}}}}', SECRET),
    (f'"registrytoken": "{SECRET}"', SECRET),
    (f"X-Registry-Auth: {IN_JSON}", IN_JSON),
    (f"X-Registry-Config={IN_JSON}", IN_JSON),
    (f"the login {LOGIN} was refused", LOGIN),
    (f"docker login -u al -p x --password {SECRET} reg.test", SECRET),
    (f"docker login --password={SECRET}", SECRET),
    # headers
    (f"Authorization: Basic {LOGIN}", LOGIN),
    (f"authorization: Bearer {SECRET}", SECRET),
    (f"> Proxy-Authorization: Basic {LOGIN}", LOGIN),
    (f"map[Authorization:[Bearer {SECRET}] User-Agent:[docker/20]]", SECRET),
    (f'{{"Authorization": ["Bearer {SECRET}"]}}', SECRET),
    (f'Authorization: Digest username="al", response="{SECRET}"', SECRET),
    (f"Authorization: {SECRET}", SECRET),
    (f"Set-Cookie: sid={SECRET}; Path=/", SECRET),
    (f"Cookie: a=b; sid={SECRET}", SECRET),
    (f"PRIVATE-TOKEN: {SECRET}", SECRET),
    (f"answered to Bearer {SECRET}", SECRET),
    # variables
    (f"API_TOKEN={SECRET}", SECRET),
    (f"export DB_PASSWORD={SECRET}", SECRET),
    (f'Environment="REGISTRY_SECRET={SECRET}"', SECRET),
    (f"MYSQL_PWD={SECRET}", SECRET),
    (f"AWS_SECRET_ACCESS_KEY='{SECRET} {SECRET}'", SECRET),
    (f"STRIPE_KEY={SECRET}", SECRET),
    (f'"splunk-token": "{SECRET}"', SECRET),
    (f"-Ddb.password={SECRET}", SECRET),
    (f"host=db password={SECRET} user=al", SECRET),
    (f"password: {SECRET}", SECRET),
    (f"the password is {SECRET}", SECRET),
    # arguments
    (f"--requirepass {SECRET}", SECRET),
    (f"redis-cli -h redis -a {SECRET} ping", SECRET),
    (f"curl -fsS -u admin:{SECRET} http://localhost/", SECRET),
    (f"curl --user 'admin:{SECRET}' http://localhost/", SECRET),
    (f"mysqladmin ping -h localhost -u root -p{SECRET}", SECRET),
    (f"mongosh -u root -p {SECRET}", SECRET),
    (f"Server=db;Uid=sa;Pwd={SECRET};", SECRET),
    (f"sqlcmd -S localhost -U sa -P {SECRET} -Q x", SECRET),
    # what is known by its form
    (JWT, JWT),
    ("ghp_0123456789abcdefghij0123456789abcdef", "ghp_0123456789"),
    ("dckr_pat_AbCdEfGh-0123_xyz", "AbCdEfGh"),
    ("glpat-0123456789abcdefghij", "0123456789"),
    ("AKIAIOSFODNN7EXAMPLE", "IOSFODNN7"),
    ("SWMTKN-1-0123abcd-4567efgh", "0123abcd"),
    (PEM, SECRET),
]
IDS = [text.split("\n")[0][:50] for text, _ in PLANTED]


def log_line(text):
    """As dockerd logs it: Go's %q inside a message."""
    return f'time="2026-11-24T02:43:05Z" level=error msg={json.dumps("Handler failed: " + text)} module=api'


PLACES = {
    "alone": lambda text: text,
    "in a line": lambda text: f"before {text} after",
    "in a log": log_line,
    "in a log of a log": lambda text: log_line(log_line(text)),
    "between lines": lambda text: f"first\n{text}\nlast",
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("text", "secret"), PLANTED, ids=IDS)
def test_in_a_text(text, secret, place):
    said = redact(PLACES[place](text))
    assert secret not in said
    assert "***" in said
    assert redact(said) == said


TREES = {
    "a field": lambda text: {"summary": text, "n": 1},
    "a list": lambda text: {"lines": ["first", text, "last"]},
    "lines": lambda text: {"lines": text.split("\n")},
    "arguments": lambda text: {"command": ["sh", "-c", *text.split(" ")]},
    "a pair": lambda text: {"environment": [["CONFIG", text]]},
    "a key": lambda text: {"auths": {text: {}}},
    "deep": lambda text: {"a": [{"b": [[{"c": log_line(text)}]]}]},
}


# A shell would have these as one word.
QUOTED = ("'", '"', "map[", " is ", "-----")
IN_TREES = [
    pytest.param(text, secret, place, id=f"{name}-{place}")
    for name, (text, secret) in zip(IDS, PLANTED)
    for place in TREES
    if not (place == "arguments" and any(mark in text for mark in QUOTED))
]


@pytest.mark.parametrize(("text", "secret", "place"), IN_TREES)
def test_in_json(text, secret, place):
    said = redact_member("x.json", json.dumps(TREES[place](text)))
    assert secret not in said
    assert json.loads(said).keys() == TREES[place](text).keys()


@pytest.mark.parametrize(
    "document",
    [
        {"password": SECRET},
        {"name": "API_TOKEN", "value": SECRET},
        {"environment": [["API_TOKEN", SECRET]]},
        {"environment": [["API_TOKEN", "a"], ["DB_PASSWORD", SECRET]]},
        {"headers": {"Authorization": [SECRET]}},
        {"auths": {"reg.test": {"auth": SECRET, "email": "al@test"}}},
        {"identitytoken": SECRET},
        {"db_password": SECRET},
        {"x": ["--password", SECRET]},
        {"x": ["run", "--token", SECRET, "now"]},
    ],
)
def test_fields_that_are_called_so(document):
    assert SECRET not in json.dumps(redact_json(document))


@pytest.mark.parametrize("secret", ["p@ss/w:rd", 'qu"ote\\d', "with blank 7", "correcthorse"])
@pytest.mark.parametrize("written", ["raw", "url", "json"])
def test_known_secrets_are_found_wherever_they_stand(secret, written):
    form = {"raw": secret, "url": quote(secret, safe=""), "json": json.dumps(secret)[1:-1]}[written]
    assert form not in redact(f"it said {form}, and nobody called it by its name", [secret])
    assert form not in json.dumps(redact_json({"lines": [f"it said {form}"]}, [secret]), ensure_ascii=False)


@pytest.mark.parametrize(
    "text",
    [
        f"http_proxy=http://al:{SECRET}@proxy.test:3128",
        f"http://{SECRET}@proxy.test",
        f"al:{SECRET}@proxy.test:3128",
        json.dumps({"auths": {"reg.test": {"auth": LOGIN}}}),
        json.dumps({"auths": {"reg.test": {"identitytoken": SECRET}}}),
        json.dumps({"log-opts": {"splunk-token": SECRET}}, indent=2),
        f"Environment='API_TOKEN={SECRET}'",
        f"export DB_PASSWORD={SECRET}\n",
    ],
)
def test_secrets_of_settings_are_known(text):
    assert SECRET in secrets_in(text)


def test_secrets_of_an_environment_are_known():
    env = {
        "PASSPHRASE": "two words 7",
        "URL": f"redis://:{SECRET}@r",
        "SSH_AUTH_SOCK": "/run/user/0/agent",
        "HOME": "/root",
    }
    assert secrets_among(env.items()) == {"two words 7", SECRET}


def test_settings_without_secrets_have_none():
    assert not secrets_in('{"dns": ["10.0.0.1"], "labels": ["a=b"], "tlskey": "/etc/docker/key.pem"}')


@pytest.mark.parametrize("word", ["", "abc", "docker", "root", "1234"])
def test_a_known_secret_that_is_a_common_word_does_not_spoil_everything(word):
    assert not spellings([word])


@pytest.mark.parametrize(
    "text",
    [
        "denied: requested access to the resource is denied: unauthorized: authentication required",
        "no basic auth credentials",
        "Basic authentication is needed",
        "--passive starts no probe container",
        "dockerd --tlskey=/etc/docker/key.pem --tlscacert /etc/docker/ca.pem",
        "SSH_AUTH_SOCK=/run/user/1000/agent",
        "kernel.keys.maxkeys=200",
        'Bearer realm="https://auth.test/token",service="reg.test"',
        "docker run -u 1000:1000 --rm busybox",
        "python:3.13-slim@sha256:0123456789abcdef",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        '{"meta": {"key": "iifname"}}',
        "-A DOCKER -d 172.17.0.2/32 ! -i docker0 -p tcp -m tcp --dport 80 -j ACCEPT",
        "DB_PASSWORD=***",
        "http://al:***@proxy.test:3128",
        "POSTGRES_PASSWORD_FILE=/run/secrets/db",
        "org.opencontainers.image.authors=al <al at example.test>",
        "PWD=/app/src",
        "docker run -p 8080:80 mysql",
        "tmpfs /run tmpfs rw,nosuid,nodev,size=1024k,mode=755 0 0",
        "journalctl -u docker.service",
    ],
)
def test_what_is_no_secret_stays(text):
    assert redact(text) == text


CASES = sorted((Path(__file__).parent / "cases").glob("*.json"))


@pytest.mark.parametrize("path", CASES, ids=lambda p: p.stem)
def test_what_was_masked_at_reading_is_left_as_it_is(path):
    saved = json.loads(path.read_text(encoding="utf-8"))["saved"]
    assert redact_json(saved) == saved
    report = report_on(load(json.dumps(saved), PROBES, (Settings,)))
    text, document = (
        FORMATS[form](report, Options(verbose=True, all=True)) for form in (ReportFormat.TEXT, ReportFormat.JSON)
    )
    assert redact(text) == text
    assert json.loads(redact_member("report.json", document)) == json.loads(document)


def test_a_hostile_text_takes_no_time():
    began = time.monotonic()
    for said in ("a.", "key", "key ", "http://", "a:", "pass-", "a@", "pass='", 'pass= "', "-cli ", "mysql ", "-u ", "&key",
                 "Authorization: ", "Cookie: a;", "-----BEGIN PRIVATE KEY-----", "eyJ", "token: ", "\\", '=\\"', "QUFB"):  # fmt: skip
        redact(said * 20_000)
    assert time.monotonic() - began < 20

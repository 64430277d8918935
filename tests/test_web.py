"""Go's rules for proxies, and how far a question comes."""

import contextlib
import socket
import threading

import pytest

from dockerdoctor.web import Proxy, ask, bypasses, parse_proxy, proxy_for


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("http://10.0.0.1:3128", Proxy("http", "10.0.0.1", 3128)),
        ("http://10.0.0.1:3128/", Proxy("http", "10.0.0.1", 3128)),
        ("https://proxy.corp", Proxy("https", "proxy.corp", 443)),
        ("10.0.0.1:3128", Proxy("http", "10.0.0.1", 3128, has_scheme=False)),
        ("http://[::1]:8080", Proxy("http", "::1", 8080)),
        ("http://al:p%40ss@proxy:1", Proxy("http", "proxy", 1, "al:p%40ss")),
        ("host:port", "the port is 'port', not a number"),
        ("http://al:p#ss@proxy:1", "a “/”, “?” or “#” in the password is not percent-encoded"),
        ("http://al:50%@proxy:1", "a “%” in the password is not percent-encoded"),
        ("ftp://proxy:1", "ftp:// is no scheme of a proxy"),
        ('"http://proxy:1"', '"http:// is no scheme of a proxy'),
        ("http://:8080", "it names no host"),
        ("http://proxy:80 80", "it contains ' '"),
    ],
)
def test_proxy_url(value, said):
    assert parse_proxy(value) == said


def test_password_is_masked_and_sent():
    proxy = parse_proxy("http://al:p%40ss@proxy:1")
    assert proxy.masked == "http://al:***@proxy:1"
    assert proxy.authorization == "Basic YWw6cEBzcw=="


@pytest.mark.parametrize(
    ("no_proxy", "host", "directly"),
    [
        ("corp.test", "corp.test", True),
        ("corp.test", "reg.corp.test", True),
        ("corp.test", "xcorp.test", False),
        (".corp.test", "corp.test", False),
        (".corp.test", "reg.corp.test", True),
        ("*.corp.test", "reg.corp.test", True),
        ("*.corp.test", "corp.test", False),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "reg.corp.test", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3:5000", "10.1.2.3", True),
        ("10.1.2.3:5001", "10.1.2.3", False),
        ("corp.test:5000", "reg.corp.test", True),
        ("corp.test:443", "reg.corp.test", False),
        (" a.test , CORP.test ", "corp.test", True),
        ("*", "anything.test", True),
        ("", "localhost", True),
        ("", "127.0.0.9", True),
        ("", "corp.test", False),
        ("::1,fd00::/8", "fd00::7", True),
    ],
)
def test_no_proxy(no_proxy, host, directly):
    assert bypasses(no_proxy, host, 5000) is directly


def test_upper_case_is_read_first():
    env = {"HTTP_PROXY": "http://up:1", "http_proxy": "http://low:1", "https_proxy": "http://s:1"}
    assert proxy_for(env, "http", "reg.test", 80) == "http://up:1"
    assert proxy_for(env, "https", "reg.test", 443) == "http://s:1"
    assert proxy_for({**env, "no_proxy": "reg.test"}, "https", "reg.test", 443) == ""


def say(answer):
    """A server that says one thing to whoever comes; returns its address."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            client, _ = server.accept()
            client.recv(65536)
            client.sendall(answer)
            client.close()

    threading.Thread(target=serve, daemon=True).start()
    return f"127.0.0.1:{server.getsockname()[1]}"


PLAIN = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nDocker-Distribution-Api-Version: registry/2.0\r\nContent-Length: 2\r\n\r\n{}"
DENIED = b'HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm="x"\r\nContent-Length: 0\r\n\r\n'


def test_layers():
    there = say(OK)
    got = ask(f"http://{there}/v2/")
    assert got.answered
    assert (got.status, got.body, got.header("docker-distribution-api-version")) == (200, "{}", "registry/2.0")
    assert (ask(f"https://{say(PLAIN)}/v2/").layer, ask(f"https://{say(PLAIN)}/v2/").outcome) == ("tls", "not TLS")
    assert ask("http://127.0.0.1:1/v2/").outcome == "ECONNREFUSED"
    assert ask("http://name.invalid/v2/").layer == "name"
    assert ask(f"http://{say(b'SSH-2.0-x')}/v2/").words == "not HTTP"


@pytest.mark.parametrize("url", ["https://reg.test/v2/", "http://reg.test/v2/"])
def test_a_proxy_that_wants_to_know_who_asks(url):
    got = ask(url, parse_proxy(f"http://{say(DENIED)}"))
    assert (got.layer, got.status, got.answered) == ("proxy", 407, False)
    assert got.words == "the proxy answers HTTP 407"


def test_tls_to_a_plain_proxy():
    proxy = parse_proxy(f"https://{say(PLAIN)}")
    assert (ask("https://reg.test/v2/", proxy).layer, ask("https://reg.test/v2/", proxy).outcome) == (
        "proxy",
        "not TLS",
    )


def test_silence_ends():
    server = socket.create_server(("127.0.0.1", 0))
    got = ask(f"http://127.0.0.1:{server.getsockname()[1]}/v2/", patience=0.2)
    assert got.outcome == "silent"


def socks(answers, page=b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"):
    """A SOCKS proxy for one client, that is the server behind it too."""
    server = socket.create_server(("127.0.0.1", 0))
    asked = []

    def serve():
        client, _ = server.accept()
        with client, contextlib.suppress(OSError):
            for answer in answers:
                asked.append(client.recv(300))
                client.sendall(answer)
            asked.append(client.recv(300))
            client.sendall(page)

    threading.Thread(target=serve, daemon=True).start()
    return Proxy("socks5", "127.0.0.1", server.getsockname()[1]), asked


CONNECTED = b"\5\0\0\1" + b"\0" * 6


@pytest.mark.parametrize(
    ("answers", "layer", "outcome", "status"),
    [
        ((b"\5\0", CONNECTED), "http", "ok", 200),
        ((b"\5\xff",), "proxy", "wants a user name and a password", 407),
        ((b"\5\0", b"\5\5\0\1" + b"\0" * 6), "connect", "ECONNREFUSED", 0),
        ((b"\5\0", b"\5\2\0\1" + b"\0" * 6), "proxy", "says no (SOCKS 2)", 503),
        ((b"HT",), "proxy", "not SOCKS", 0),
    ],
)
def test_a_socks_proxy_is_asked_for_a_connection(answers, layer, outcome, status):
    proxy, asked = socks(answers)
    said = ask("http://reg.test:5000/v2/", proxy, patience=2.0)
    assert (said.layer, said.outcome, said.status) == (layer, outcome, status)
    assert asked[0] == b"\5\1\0"
    if said.answered:
        # The name is the proxy's to resolve, and the page is asked for as of the server itself.
        assert asked[1] == b"\5\1\0\3\x08reg.test\x13\x88"
        assert asked[2].startswith(b"GET /v2/ HTTP/1.1")

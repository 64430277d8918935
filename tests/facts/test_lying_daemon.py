"""What listens at the socket may be anything: each lie is seen for what it is, in time, and nothing raises."""

import http.client
import os
import shutil
import socket
import tempfile
import threading
import time
from pathlib import Path

import pytest

from dockerdoctor.facts.endpoint import DEFAULT_SOCKET, ChosenEndpoint, DaemonPing
from dockerdoctor.facts.engine import ask, engine_api, engine_info, engine_version
from dockerdoctor.facts.ping import daemon_ping, ping_unix
from dockerdoctor.host import Host
from dockerdoctor.measure import Unmeasured

PING = b"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nServer: Docker/20.10.24 (linux)\r\nContent-Length: 2\r\n\r\nOK"


def reply(body, status="200 OK", head=b""):
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n".encode() + head + b"\r\n" + body


@pytest.fixture
def serve():
    """Serve whatever `say(connection, target)` does on the default socket of a patient of its own."""
    # Not tmp_path: the name of a socket holds 107 bytes.
    root = Path(tempfile.mkdtemp(dir="/tmp"))
    (root / "var/run").mkdir(parents=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(root / DEFAULT_SOCKET.lstrip("/")))
    listener.listen(16)

    def answer(connection, say):
        with connection:
            try:
                request = connection.recv(4096)
                if request:
                    say(connection, request.split()[1].decode())
            except OSError:
                pass

    def start(say):
        def accept():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=answer, args=(connection, say), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        return Host(root, env={"HOME": "/root"})

    yield start
    listener.close()
    shutil.rmtree(root)


def drip(connection, target):
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X")
        time.sleep(0.05)


def endless_headers(connection, target):
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X-More: and more\r\n" * 100)


def endless_body(connection, target):
    connection.sendall(b"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        connection.sendall(b"1000\r\n" + b"x" * 0x1000 + b"\r\n")


def silent(connection, target):
    time.sleep(3)


LIES = {
    "silent": (silent, "timeout"),
    "drip": (drip, "timeout"),
    "closed": (lambda c, t: None, "closed without an answer"),
    "garbage": (lambda c, t: c.sendall(os.urandom(50) + b"\xff\r\n\r\n"), "not HTTP"),
    "another protocol": (lambda c, t: c.sendall(b"+PONG\r\n"), "not HTTP"),
    "endless headers": (endless_headers, "not HTTP"),
    "long line": (lambda c, t: c.sendall(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70000 + b"\r\n\r\n"), "not HTTP"),
    "bad status": (lambda c, t: c.sendall(b"HTTP/1.1 abc OK\r\n\r\n"), "not HTTP"),
    "500": (lambda c, t: c.sendall(reply(b"boom", "500 Internal Server Error")), "HTTP 500"),
    "no version": (lambda c, t: c.sendall(reply(b"OK")), "HTTP 200"),
    "a version that is none": (lambda c, t: c.sendall(reply(b"OK", head=b"Api-Version: new\r\n")), "HTTP 200"),
    "TLS": (
        lambda c, t: c.sendall(reply(b"Client sent an HTTP request to an HTTPS server.", "400 Bad Request")),
        "400",
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_ping(serve, lie):
    say, expected = LIES[lie]
    host = serve(say)
    began = time.monotonic()
    ping = ping_unix(host, DEFAULT_SOCKET, 0.5)
    assert time.monotonic() - began < 2
    assert ping.connect == "ok"
    assert not ping.answered
    assert expected in ping.outcome


def test_ping_of_endless_body_reads_no_more_than_it_must(serve):
    ping = ping_unix(serve(endless_body), DEFAULT_SOCKET, 2)
    assert ping.answered


@pytest.mark.parametrize("target", ["missing", "refused"])
def test_ping_of_nobody(tmp_path, target):
    path = f"{tmp_path}/s"
    if target == "refused":
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(path)
    ping = ping_unix(Host("/"), path)
    assert ping.connect == {"missing": "ENOENT", "refused": "ECONNREFUSED"}[target]


def answering(bodies):
    def say(connection, target):
        for end, raw in bodies.items():
            if target.endswith(end):
                connection.sendall(raw)
                return
        connection.sendall(PING)

    return say


ENDPOINT = ChosenEndpoint(f"unix://{DEFAULT_SOCKET}", "default")
WELL = DaemonPing("ok", answered=True, api_version="1.41")


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (reply(b"not json"), "JSONDecodeError"),
        (reply(b'{"message": "boom"}', "500 Oh"), "HTTP 500: boom"),
        (reply(b'["a"]'), "not an object|names no"),
        (reply(b"[" * 100000), "RecursionError"),
        (reply(b"\xff\xfe"), "Error"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", "JSONDecodeError"),
        (b"", "GET"),
    ],
)
def test_info_and_version(serve, raw, reason):
    host = serve(answering({"/info": raw, "/version": raw}))
    for asked in (engine_info, engine_version):
        with pytest.raises(Unmeasured, match=reason):
            asked.measure(host, endpoint=ENDPOINT, ping=WELL)
    api = engine_api.measure(host, endpoint=ENDPOINT, ping=WELL, version=None, info=None)
    assert api.version != "ok"
    assert api.info != "ok"


@pytest.mark.parametrize(
    "document",
    [
        b"{}",
        b'{"RegistryConfig": [], "SecurityOptions": 5, "Runtimes": null, "Swarm": "x", "ContainersRunning": "many"}',
        b'{"RegistryConfig": {"IndexConfigs": [1], "Mirrors": 7}, "DefaultAddressPools": [3, {"Base": null}]}',
        b'{"Labels": [1, null], "Warnings": {"a": 1}, "DefaultAddressPools": 9, "LiveRestoreEnabled": "yes"}',
    ],
)
def test_info_of_wrong_types(serve, document):
    host = serve(answering({"/info": reply(document)}))
    info = engine_info.measure(host, endpoint=ENDPOINT, ping=WELL)
    assert isinstance(info.security_options, tuple)
    assert isinstance(info.containers_running, int)
    assert all(isinstance(label, str) for label in (*info.labels, *info.warnings, *info.mirrors))


def test_a_body_that_drips_is_cut_off(serve):
    def say(connection, target):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            connection.sendall(b" ")
            time.sleep(0.05)

    host = serve(say)
    began = time.monotonic()
    with pytest.raises(Unmeasured, match="no answer within"):
        ask(host, ENDPOINT, WELL, "/info", 0.5)
    assert time.monotonic() - began < 2


def test_a_good_answer(serve):
    host = serve(answering({}))
    ping = daemon_ping.measure(host, endpoint=ENDPOINT, files=None)
    assert ping.answered
    assert ping.api_version == "1.41"
    status, _, body = host.unix_http(DEFAULT_SOCKET, "/_ping")
    assert (status, body) == (http.client.OK, b"OK")

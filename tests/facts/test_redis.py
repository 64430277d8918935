"""What containers' settings say of the Redis they want, and how it is asked."""

import json
import socket
import struct
import subprocess
import sys
import threading

import pytest

from dockerdoctor.facts.api import frames
from dockerdoctor.facts.containers import Attachment, Container, Containers
from dockerdoctor.facts.listeners import InContainer, Listeners
from dockerdoctor.facts.redis import Wish, by_the_book, is_address, is_server, seeks, wishes
from dockerdoctor.incontainer.redis import greet, resolve


@pytest.mark.parametrize(
    ("env", "command", "expected"),
    [
        ({"REDIS_HOST": "redis"}, (), [("redis", 6379, "", "")]),
        ({"REDIS_HOST": "redis", "REDIS_PORT": "6380", "REDIS_PASSWORD": "s"}, (), [("redis", 6380, "", "s")]),
        ({"CACHE_REDIS_HOST": "c", "CACHE_REDIS_PORT": "1", "REDIS_PORT": "2"}, (), [("c", 1, "", "")]),
        ({"REDIS_MASTER_HOST": "m"}, (), [("m", 6379, "", "")]),
        ({"REDIS_ADDR": "redis:6381"}, (), [("redis", 6381, "", "")]),
        ({"REDIS_URL": "redis://ann:p%40ss@redis:6380/0"}, (), [("redis", 6380, "ann", "p@ss")]),
        ({"CELERY_BROKER_URL": "redis://:s@redis/0", "REDIS_URL": "redis://redis/1"}, (), [("redis", 6379, "", "s")]),
        ({"REDIS_URL": "redis://redis:***@redis:6379"}, (), [("redis", 6379, "redis", "***")]),
        ({}, ("app", "--redis-host", "redis"), [("redis", 6379, "", "")]),
        ({}, ("app", "--redis.addr=redis://redis:6380"), [("redis", 6380, "", "")]),
        ({}, ("sh", "-c", "exec app -u redis://cache:6379/2"), [("cache", 6379, "", "")]),
        # What every Redis image has, and what names no host.
        ({"REDIS_VERSION": "7.2", "REDIS_DOWNLOAD_URL": "https://download.redis.io/x.tar.gz"}, (), []),
        ({"REDIS_HOST": "", "REDIS_PORT": "6379"}, (), []),
        ({"REDIS_HOST": "${REDIS}", "REDIS_URL": "redis://$HOST:1"}, (), []),
        ({"REDIS_URL": "unix:///run/redis.sock", "REDIS_HOST": "/run/redis.sock"}, (), []),
        ({"REDIS_SENTINEL_HOST": "s"}, (), []),
        ({"REDIS_URL": "redis://redis:port"}, (), []),
    ],
)
def test_wishes(env, command, expected):
    assert [(w.host, w.port, w.user, w.password) for w in wishes(env, command)] == expected


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, False),
        ({"image": "friendlyhello:latest"}, True),
        ({"env": (("REDIS_HOST", "redis"),)}, True),
        ({"env": (("REDIS_HOST", "redis"),), "command": ("redis-server",)}, False),
    ],
)
def test_seekers(more, expected):
    assert seeks(container(**more)) is expected


def test_a_wish_hides_its_password():
    assert "s3cret" not in repr(Wish("REDIS_URL", "redis", password="s3cret"))


def container(name="web", *, state="running", networks=(), **more):
    return Container(name * 16, name, more.pop("image", "app"), state, "", networks=tuple(networks), pid=7, **more)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (
            {"image": "redis:7-alpine", "exposed": ("6379/tcp",), "command": ("docker-entrypoint.sh", "redis-server")},
            True,
        ),
        ({"image": "mine", "command": ("/usr/bin/redis-server", "--port", "1")}, True),
        ({"image": "bitnami/redis:7", "exposed": ("6379/tcp",), "command": ("/run.sh",)}, True),
        (
            {"image": "redis:7", "exposed": ("6379/tcp",), "command": ("docker-entrypoint.sh", "redis-cli", "-h", "x")},
            False,
        ),
        ({"image": "oliver006/redis_exporter"}, False),
        ({"image": "mine"}, False),
    ],
)
def test_servers(more, expected):
    assert is_server(container(**more)) is expected


def on(name, network, *aliases, ip="10.0.0.2", **more):
    return container(name, networks=[Attachment(network, network, ip, aliases)], **more)


WEB = on("web", "app", ip="10.0.0.9")
QUIET = Listeners((), (), (), (InContainer(WEB.id, 60, ()),), all_named=False, now=0)


@pytest.mark.parametrize(
    ("host", "others", "expected"),
    [
        ("redis", [on("redis", "app")], ("ok", ["10.0.0.2"])),
        ("redis", [on("cache", "app", "redis")], ("ok", ["10.0.0.2"])),
        ("redis", [on("redis", "app", state="exited")], ("NXDOMAIN", [])),
        ("redis", [on("redis", "other")], ("NXDOMAIN", [])),
        ("redis", [on("redis", "bridge")], ("NXDOMAIN", [])),
        ("redis", [on("cache", "app")], ("unknown", [])),  # it may be a name of the outside
        ("10.9.9.9", [], ("literal", ["10.9.9.9"])),
        ("localhost", [], ("ok", ["127.0.0.1"])),
    ],
)
def test_what_can_be_told_without_root(host, others, expected):
    said = by_the_book(Wish("REDIS_HOST", host), WEB, Containers((WEB, *others)), QUIET)
    assert (said["resolution"], said.get("addresses", [])) == expected
    assert said.get("dial", "") == ("ECONNREFUSED" if host == "localhost" else "")


def test_log_frames():
    def frame(text):
        return b"\1\0\0\0" + struct.pack(">I", len(text)) + text

    assert frames(frame(b"one\n") + frame(b"two\n")) == "one\ntwo\n"
    assert frames(b"of a terminal\n") == "of a terminal\n"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("10.0.0.1", ("literal", ["10.0.0.1"], "")),
        ("[::1]", ("literal", ["::1"], "")),
        ("db", ("ok", ["10.0.0.5"], "/etc/hosts")),
        ("localhost", ("ok", ["127.0.0.1"], "/etc/hosts")),
        ("redis", ("no nameserver", [], "")),
    ],
)
def test_resolve(name, expected):
    assert resolve(name, "# hosts\n10.0.0.5\tdb other # mine\n", [], []) == expected


@pytest.mark.parametrize(
    ("records", "ndots", "addresses", "said_by"),
    [
        ({"redis.": "10.0.0.5", "redis.lab": "10.0.0.6"}, 0, ["10.0.0.5"], "S"),
        ({"redis.": "10.0.0.5", "redis.lab": "10.0.0.6"}, 1, ["10.0.0.6"], "S"),
        # A domain that answers for every name says nothing of this one.
        ({"redis.": "10.0.0.5", ".lab": "192.0.2.9"}, 1, ["10.0.0.5"], "S"),
        ({".lab": "192.0.2.9"}, 1, ["192.0.2.9"], "S, as for any name in lab"),
        ({".lab": "192.0.2.9", "redis.lab": "10.0.0.6"}, 1, ["10.0.0.6"], "S"),
        ({}, 1, [], "S"),
    ],
)
def test_resolve_completes_names_as_the_c_library_does(monkeypatch, records, ndots, addresses, said_by):
    def ask_dns(server, name, transport, timeout):
        found = records.get(name) or next(
            (a for end, a in records.items() if end[:1] == "." and name.endswith(end)), ""
        )
        return {"outcome": "NOERROR" if found else "NXDOMAIN", "addresses": [found] if found else []}

    monkeypatch.setattr("dockerdoctor.incontainer.redis.ask_dns", ask_dns)
    assert resolve("redis", "", ["S"], ["lab"], ndots)[1:] == (addresses, said_by)


@pytest.fixture
def server():
    """A server that answers each command with the next of these replies."""
    listener = socket.create_server(("127.0.0.1", 0))
    heard = []

    def start(*replies):
        def serve():
            client, _ = listener.accept()
            with client:
                for reply in replies:
                    heard.append(client.recv(4096))
                    client.sendall(reply)
                client.recv(1)

        threading.Thread(target=serve, daemon=True).start()
        return listener.getsockname()[1], heard

    with listener:
        yield start


INFO = b"# Persistence\r\nrdb_last_bgsave_status:err\r\nuptime_in_seconds:5\r\n"
SAVE = b"*2\r\n$4\r\nsave\r\n$6\r\n3600 1\r\n"
STOP = b"*2\r\n$27\r\nstop-writes-on-bgsave-error\r\n$3\r\nyes\r\n"


def test_greeting(server):
    port, heard = server(b"+OK\r\n", b"+PONG\r\n", b"$%d\r\n%s\r\n" % (len(INFO), INFO), SAVE, STOP)
    said = greet("127.0.0.1", port, "ann", "s", tls=False)
    assert said["reply"] == "+PONG"
    assert said["info"] == {"rdb_last_bgsave_status": "err", "save": "3600 1", "stop-writes-on-bgsave-error": "yes"}
    assert heard[0] == b"*3\r\n$4\r\nAUTH\r\n$3\r\nann\r\n$1\r\ns\r\n"


def test_a_server_that_cannot_save_tells_its_state_though_it_refuses_to_ping(server):
    port, _ = server(b"-MISCONF Redis is configured\r\n", b"$%d\r\n%s\r\n" % (len(INFO), INFO), SAVE, STOP)
    said = greet("127.0.0.1", port, "", "", tls=False)
    assert said["reply"].startswith("-MISCONF")
    assert said["info"]["rdb_last_bgsave_status"] == "err"


@pytest.mark.parametrize("reply", ["-NOAUTH Authentication required.", "-DENIED Redis is running in protected mode"])
def test_turned_away(server, reply):
    port, _ = server(f"{reply}\r\n".encode())
    assert greet("127.0.0.1", port, "", "", tls=False)["reply"] == reply


def test_nobody_there():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert greet("127.0.0.1", port, "", "", tls=False)["dial"] == "ECONNREFUSED"


def test_as_a_program(server):
    port, _ = server(b"+PONG\r\n", b"$2\r\n\r\n\r\n")
    question = {
        "host": "127.0.0.1",
        "port": port,
        "user": "",
        "password": "",
        "tls": False,
        "hosts": "",
        "servers": [],
        "search": [],
    }
    done = subprocess.run(
        [sys.executable, "-m", "dockerdoctor.incontainer.redis"],
        input=json.dumps([question]),
        capture_output=True,
        text=True,
        check=True,
    )
    (said,) = json.loads(done.stdout)
    assert (said["dial"], said["reply"], said["tried"]) == ("ok", "+PONG", "127.0.0.1")


def test_a_name_that_ends_in_a_number_is_no_address():
    assert [is_address(host) for host in ("redis1", "10.0.0.7", "[::1]", "cache-2")] == [False, True, True, False]

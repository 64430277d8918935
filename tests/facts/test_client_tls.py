"""The client's files for TLS, and a real handshake with an engine's side that shows or refuses something."""

import contextlib
import shutil
import socket
import ssl
import subprocess
import threading
from functools import partial

import pytest

from dockerdoctor.facts.client_tls import client_certificate, engine_tls, tls_files
from dockerdoctor.facts.endpoint import ChosenEndpoint, DaemonPing
from dockerdoctor.facts.ping import daemon_ping
from dockerdoctor.host import Host
from dockerdoctor.measure import Unmeasured

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="certificates are made with openssl")
CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def make(folder, name, subject, *extensions):
    added = [word for extension in extensions for word in ("-addext", extension)]
    subprocess.run(
        ["openssl", "req", "-x509", *CURVE, "-days", "9", "-subj", f"/CN={subject}", "-keyout", f"{folder}/{name}-key.pem",
         "-out", f"{folder}/{name}.pem", *added],
        check=True, capture_output=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pki")
    make(folder, "engine", "engine", "subjectAltName=IP:127.0.0.1")
    make(folder, "named", "named", "subjectAltName=DNS:engine.corp")
    make(folder, "ann", "ann")
    openssl = partial(subprocess.run, check=True, capture_output=True)
    openssl(
        [
            "openssl",
            "pkey",
            "-in",
            f"{folder}/ann-key.pem",
            "-aes128",
            "-passout",
            "pass:x",
            "-out",
            f"{folder}/locked-key.pem",
        ]
    )
    openssl(["openssl", "req", "-x509", "-newkey", "rsa:1024", "-nodes", "-subj", "/CN=weak", "-keyout",
             f"{folder}/weak-key.pem", "-out", f"{folder}/weak.pem"])  # fmt: skip
    return folder


def patient(tmp_path, pki, ca="engine", cert="ann", key="ann"):
    folder = tmp_path / "c"
    folder.mkdir()
    for name, source in (("ca.pem", ca), ("cert.pem", cert), ("key.pem", f"{key}-key" if key else "")):
        if source:
            shutil.copy(pki / f"{source}.pem", folder / name)
    return Host(tmp_path, env={"HOME": "/root"})


FAR = ChosenEndpoint("tcp://127.0.0.1:1", "DOCKER_HOST", tls=True, cert_path="/c")


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({}, ""),
        ({"cert": ""}, ""),  # the client goes without
        ({"key": ""}, ""),
        ({"ca": ""}, "/c/ca.pem: No such file or directory"),
        ({"ca": "ann-key"}, "/c/ca.pem: holds no certificate"),
        ({"cert": "weak", "key": "weak"}, ""),  # Go takes it
        ({"key": "locked"}, "/c/key.pem: is locked with a passphrase"),
        ({"key": "engine"}, "/c/key.pem: is not the key of cert.pem"),
    ],
)
def test_files(tmp_path, pki, given, problem):
    host = patient(tmp_path, pki, **given)
    found = tls_files.measure(host, endpoint=FAR)
    assert found.problem.startswith(problem)
    assert bool(problem) == bool(found.problem)
    ping = daemon_ping.measure(host, endpoint=FAR, files=found)
    assert (ping.connect == "EINVAL") == bool(problem)


def test_files_of_a_context_may_all_be_missing(tmp_path):
    host = Host(tmp_path, env={"HOME": "/root"})
    by_context = ChosenEndpoint("tcp://127.0.0.1:1", "context d (x)", tls=True, cert_path="/c")
    assert not tls_files.measure(host, endpoint=by_context).problem
    assert client_certificate(host, by_context) is None
    # A Unix socket's context has a folder for them, too, and no use for it.
    plain = ChosenEndpoint("unix:///x.sock", "context d (x)", cert_path="/c")
    assert tls_files.measure(host, endpoint=plain).folder == ""
    # Variables, though, want a ca.pem for a Unix socket as well.
    asked = ChosenEndpoint("unix:///x.sock", "DOCKER_HOST", cert_path="/c")
    assert tls_files.measure(host, endpoint=asked).problem


@pytest.fixture
def engine(pki):
    """Serve one answer after another over TLS, as an engine that shows `shown` and trusts `trusted` alone."""
    listeners = []

    def start(shown, trusted):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pki / f"{shown}.pem", pki / f"{shown}-key.pem")
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(pki / f"{trusted}.pem")
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def converse(raw):
            with contextlib.suppress(OSError), raw, context.wrap_socket(raw, server_side=True) as safe:
                if safe.recv(4096):
                    safe.sendall(b"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Length: 2\r\n\r\nOK")

        def serve():
            with contextlib.suppress(OSError):  # closed
                while True:
                    converse(listener.accept()[0])

        threading.Thread(target=serve, daemon=True).start()
        return ChosenEndpoint(f"tcp://127.0.0.1:{listener.getsockname()[1]}", "DOCKER_HOST", tls=True, cert_path="/c")

    yield start
    for listener in listeners:
        listener.close()


@pytest.mark.parametrize(
    ("shown", "trusted", "ca", "outcome", "code"),
    [
        ("engine", "ann", "named", "x509: self-signed certificate", 18),
        ("named", "ann", "named", "x509: IP address mismatch", 64),
        ("engine", "named", "engine", "ok", 0),
    ],
)
def test_a_handshake(tmp_path, pki, engine, shown, trusted, ca, outcome, code):
    host, endpoint = patient(tmp_path, pki, ca=ca), engine(shown, trusted)
    ping = daemon_ping.measure(host, endpoint=endpoint, files=tls_files.measure(host, endpoint=endpoint))
    assert (ping.connect, ping.answered) == ("ok", False)
    found = engine_tls.measure(host, endpoint=endpoint, ping=ping)
    assert found.outcome.replace("self signed", "self-signed").startswith(outcome)
    assert found.verify_code == code
    assert [c.subject for c in found.chain] in ([], [f"CN={shown}"])  # [] where this Python cannot tell
    assert bool(found.refusal) == (not code)


def test_an_engine_that_answers(tmp_path, pki, engine):
    host, endpoint = patient(tmp_path, pki), engine("engine", "ann")
    ping = daemon_ping.measure(host, endpoint=endpoint, files=tls_files.measure(host, endpoint=endpoint))
    assert ping.answered
    with pytest.raises(Unmeasured):
        engine_tls.measure(host, endpoint=endpoint, ping=ping)


def test_nobody_there(tmp_path, pki):
    with pytest.raises(Unmeasured):
        engine_tls.measure(patient(tmp_path, pki), endpoint=FAR, ping=DaemonPing("ECONNREFUSED", answered=False))

"""One row a verdict: do client and engine agree on TLS, has the client its files, and does each accept the other?"""

from dataclasses import replace

import pytest

from dockerdoctor.checks import endpoint_tls
from dockerdoctor.facts.caller import Caller
from dockerdoctor.facts.client_tls import EngineTls, TlsFiles
from dockerdoctor.facts.endpoint import ChosenEndpoint, DaemonPing, Export, Exports
from dockerdoctor.facts.ping import PLAIN, OtherEngines
from dockerdoctor.model import Status
from dockerdoctor.tls import Certificate

FAIL, PASS, SKIP = Status.FAIL, Status.PASS, Status.SKIP
HERE = ChosenEndpoint("unix:///var/run/docker.sock", "default")
PLAINLY = ChosenEndpoint("tcp://10.0.0.9:2375", "DOCKER_HOST")
FAR = ChosenEndpoint("tcp://10.0.0.9:2376", "DOCKER_HOST", tls=True, cert_path="/root/.docker")
ALONE = replace(FAR, url="tcp://localhost:2376", source="DOCKER_TLS_VERIFY")
LINE = Export("/root/.bashrc:7", "DOCKER_TLS_VERIFY", "1")
EXPORTS = Exports((("DOCKER_TLS_VERIFY", "1"),), (LINE,))
UNSET = ("sed -i '7s/^/# /' /root/.bashrc", "unset DOCKER_TLS_VERIFY")
ANOTHER = OtherEngines(("unix:///var/run/docker.sock",))
NOBODY = OtherEngines(())
ANN = Caller("ann", root=False, home="/home/ann", doctor="/usr/bin/doctor")
NOW = 1_800_000_000.0  # in January 2027
OLD = "Nov 23 11:32:00 2026 GMT"
NEW = "Nov 23 11:32:00 2036 GMT"
CA = Certificate("CN=lab CA", "CN=lab CA", (), "Jan  1 00:00:00 2020 GMT", NEW)
LEAF = Certificate("CN=engine", "CN=lab CA", ("engine.corp", "10.0.0.9"), "Jan  1 00:00:00 2020 GMT", NEW)
OWN = Certificate("CN=ann", "CN=lab CA", (), "Jan  1 00:00:00 2020 GMT", NEW)
FILES = TlsFiles("/root/.docker", "", CA, OWN)


@pytest.mark.parametrize(
    ("chosen", "ping", "others", "status", "says"),
    [
        (HERE, DaemonPing("ok", answered=False, outcome="timeout"), NOBODY, SKIP, "not reached over TCP"),
        (PLAINLY, DaemonPing("ok", answered=True, outcome="ok"), NOBODY, PASS, "agree"),
        (
            PLAINLY,
            DaemonPing("ok", answered=False, outcome="HTTP 400: 'Client sent an HTTP request to an HTTPS server.'"),
            NOBODY,
            FAIL,
            "speaks TLS",
        ),
        (FAR, DaemonPing("ok", answered=False, outcome=PLAIN), NOBODY, FAIL, "speaks plain HTTP"),
        (
            replace(PLAINLY, source="context far (/root/.docker/config.json)"),
            DaemonPing("ok", answered=False, outcome="HTTP 400: 'Client sent an HTTP request to an HTTPS server.'"),
            NOBODY,
            FAIL,
            "the client plain HTTP",
        ),
        (FAR, DaemonPing("ok", answered=False, outcome="timeout"), NOBODY, PASS, "agree"),
        # By the variable alone the client leaves the socket; with nobody at the socket that is not what is wrong.
        (ALONE, DaemonPing("ECONNREFUSED", answered=False), ANOTHER, FAIL, "and not unix:///var/run/docker.sock"),
        (ALONE, DaemonPing("ECONNREFUSED", answered=False), NOBODY, PASS, "agree"),
    ],
)
def test_tls(chosen, ping, others, status, says):
    finding = endpoint_tls.tls.decide(chosen, ping, EXPORTS, others)
    assert finding.status is status
    assert says in finding.summary
    if "not unix" in says:
        assert finding.fix == UNSET


@pytest.mark.parametrize(
    ("chosen", "files", "others", "status", "fix"),
    [
        (HERE, TlsFiles(""), NOBODY, SKIP, ""),
        (FAR, FILES, NOBODY, PASS, ""),
        (FAR, replace(FILES, own=None, lacks=("cert.pem", "key.pem")), NOBODY, PASS, ""),
        (HERE, TlsFiles("/x", "/x/ca.pem: No such file or directory"), NOBODY, FAIL, "unset DOCKER_TLS_VERIFY"),
        (ALONE, TlsFiles("/x", "/x/ca.pem: No such file or directory"), ANOTHER, FAIL, "unset DOCKER_TLS_VERIFY"),
        (FAR, TlsFiles("/x", "/x/ca.pem: No such file or directory"), ANOTHER, FAIL, "ls -l /x"),
        (FAR, TlsFiles("/x", "/x/ca.pem: Permission denied"), NOBODY, FAIL, "chown ann /x/*.pem"),
        (FAR, TlsFiles("/x", "/x/key.pem: is locked with a passphrase"), NOBODY, FAIL, "openssl pkey -in /x/key.pem"),
        (FAR, TlsFiles("/x", "/x/key.pem: is not the key of cert.pem beside it"), NOBODY, FAIL, "openssl pkey"),
    ],
)
def test_files(chosen, files, others, status, fix):
    finding = endpoint_tls.tls_files.decide(chosen, files, EXPORTS, others, ANN)
    assert finding.status is status
    assert fix in "\n".join(finding.fix)


@pytest.mark.parametrize(
    ("shown", "files", "status", "says"),
    [
        (EngineTls("ok", NOW, chain=(LEAF,)), FILES, PASS, "not what stands in the way"),
        (EngineTls("timeout", NOW), FILES, PASS, "timeout"),
        (EngineTls("x509: expired", NOW, 10, (replace(LEAF, not_after=OLD),)), FILES, FAIL, f"expired on {OLD}"),
        (EngineTls("x509: expired", NOW, 10), FILES, FAIL, "expired on ?"),
        (EngineTls("x509: not yet", NOW, 9, (LEAF,)), FILES, FAIL, "not valid before"),
        (
            EngineTls("x509: expired", NOW, 10, (LEAF,)),
            replace(FILES, ca=replace(CA, not_after=OLD)),
            FAIL,
            "authority",
        ),
        (EngineTls("x509: not yet", NOW, 9, (LEAF,), clock_off=-86400), FILES, FAIL, "by this host's clock"),
        (EngineTls("x509: mismatch", NOW, 64, (LEAF,)), FILES, FAIL, "is not for 10.0.0.9"),
        (EngineTls("x509: mismatch", NOW, 64, (replace(LEAF, names=()),)), FILES, FAIL, "is not for 10.0.0.9"),
        (EngineTls("x509: purpose", NOW, 26, (LEAF,)), FILES, FAIL, "not made for servers"),
        (EngineTls("x509: unable", NOW, 20, (LEAF,)), FILES, FAIL, "signed by CN=lab CA"),
        (EngineTls("x509: self-signed", NOW, 18), replace(FILES, ca=None), FAIL, "which the client does not trust"),
    ],
)
def test_certificate(shown, files, status, says):
    finding = endpoint_tls.certificate.decide(FAR, shown, files)
    assert finding.status is status
    assert says in finding.summary
    assert status is PASS or finding.fix


REFUSES = "tls: SSLV3_ALERT_BAD_CERTIFICATE"


@pytest.mark.parametrize(
    ("refusal", "files", "status", "says"),
    [
        ("", FILES, PASS, "did not refuse"),
        ("closed", FILES, PASS, "did not refuse"),
        (REFUSES, replace(FILES, own=None, lacks=("key.pem",)), FAIL, "there is no key.pem"),
        (REFUSES, replace(FILES, own=replace(OWN, not_after=OLD)), FAIL, f"expired on {OLD}"),
        (REFUSES, replace(FILES, own=replace(OWN, not_before=NEW)), FAIL, "not valid before"),
        (REFUSES, replace(FILES, own=replace(OWN, issuer="CN=other CA")), FAIL, "another authority, CN=other CA"),
        (REFUSES, FILES, FAIL, "not good for clients"),
    ],
)
def test_client_certificate(refusal, files, status, says):
    finding = endpoint_tls.client_certificate.decide(FAR, EngineTls("ok", NOW, 0, (LEAF,), refusal), files)
    assert finding.status is status
    assert says in finding.summary

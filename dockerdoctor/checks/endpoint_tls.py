"""TLS between the client and an engine: whether both speak it, the client's files, and the certificates of both sides."""

from __future__ import annotations

from shlex import quote

from dockerdoctor.checks.endpoint import exported
from dockerdoctor.examine import check, failed, passed, skipped
from dockerdoctor.facts.caller import Caller
from dockerdoctor.facts.client_tls import NOT_ITS_KEY, EngineTls, TlsFiles
from dockerdoctor.facts.endpoint import DEFAULT_SOCKET, ChosenEndpoint, DaemonPing, Exports
from dockerdoctor.facts.ping import PLAIN, OtherEngines
from dockerdoctor.model import Evidence, Finding, Severity
from dockerdoctor.tls import Certificate

PROTECT = "https://docs.docker.com/engine/security/protect-access/"
VARIABLES = ("DOCKER_TLS_VERIFY", "DOCKER_TLS", "DOCKER_CERT_PATH")
# Clocks and certificates are compared by the second, and people set clocks by hand.
CLOCK_TOLERANCE = 300.0


def _unset(exports: Exports | None) -> tuple[tuple[Evidence, ...], tuple[str, ...]]:
    """Where the variables of TLS come from, and how to be rid of them."""
    given = [name for name in VARIABLES if exports and name in exports.env]
    found = [exported(exports, name) for name in given]
    return tuple(e for seen, _ in found for e in seen), tuple(step for _, steps in found for step in steps)


@check(
    "engine.tls-files",
    title="The files that the client needs for TLS are there, and fit each other",
    severity=Severity.ERROR,
    docs=PROTECT,
)
def tls_files(
    endpoint: ChosenEndpoint,
    files: TlsFiles,
    exports: Exports | None,
    others: OtherEngines | None,
    caller: Caller | None,
) -> Finding:
    """
    Told to use TLS, the client reads ca.pem, cert.pem and key.pem in DOCKER_CERT_PATH, else beside its configuration.

    Why it matters: without them it does not even try to connect, not to a Unix socket either, where TLS has no meaning.
    How to fix: put the files there, name their folder, or unset the variables where no TLS is wanted.
    """
    if not files.folder:
        return skipped("nothing tells the client to use TLS")
    if not files.problem:
        return passed(f"the client can use the files in {files.folder}")
    where, unset = _unset(exports)
    path, _, why = files.problem.partition(": ")
    seen = (Evidence(path, why), Evidence("chosen by", endpoint.source), *where)
    cause = "The client was told to use TLS, and cannot use the files for it."
    meant = others is not None and bool(others.answering)
    if unset and (endpoint.local or (meant and endpoint.address[0] in {"localhost", "127.0.0.1"})):
        return failed(
            f"the client is told to use TLS, and {files.problem}",
            *seen,
            cause="The variables for TLS are set, most often for an engine used before; the client of a Unix socket needs none.",
            fix=unset,
        )
    return failed(
        f"the client cannot use TLS: {files.problem}", *seen, cause=cause, fix=_mend(path, why, files, caller, unset)
    )


def _mend(path: str, why: str, files: TlsFiles, caller: Caller | None, unset: tuple[str, ...]) -> tuple[str, ...]:
    folder = quote(files.folder)
    if why == "Permission denied":
        user = quote(caller.user) if caller else "$(id -un)"
        return (f"chown {user} {folder}/*.pem",)
    if "passphrase" in why:
        return (f"openssl pkey -in {quote(path)} -out {folder}/unlocked.pem", f"mv {folder}/unlocked.pem {quote(path)}")
    if why == NOT_ITS_KEY:
        return (
            f"openssl x509 -noout -pubkey -in {folder}/cert.pem",
            f"openssl pkey -pubout -in {folder}/key.pem",
            "# the two must be the same: put the key there that the certificate was made for",
        )
    return (
        f"ls -l {folder}",
        f"# put {path} there, from whoever runs the engine; or name the folder that has it: export DOCKER_CERT_PATH=FOLDER",
        *(("# or, if no TLS is wanted:", *unset) if unset else ()),
    )


@check(
    "engine.tls",
    title="Client and engine agree on whether to use TLS",
    severity=Severity.ERROR,
    docs=PROTECT,
)
def tls(endpoint: ChosenEndpoint, ping: DaemonPing, exports: Exports | None, others: OtherEngines | None) -> Finding:
    """
    An engine's TCP port speaks either plain HTTP (2375 by custom) or TLS (2376), and the client must be told which.

    Why it matters: the connection is made and then breaks with a message that names neither side's setting; and with
    DOCKER_TLS_VERIFY alone the client looks for an engine at port 2376 and not at the socket.
    How to fix: set or unset DOCKER_TLS_VERIFY and DOCKER_CERT_PATH to match, or use the other port.
    """
    if not endpoint.url.startswith(("tcp://", "http://", "https://")):
        return skipped("the endpoint is not reached over TCP")
    seen = Evidence(f"GET {endpoint.url}/_ping", ping.outcome)
    by_context = endpoint.source.startswith("context ")
    told = Evidence(endpoint.source if by_context else "DOCKER_TLS_VERIFY", "TLS" if endpoint.tls else "no TLS")
    where, unset = _unset(exports)
    socket = f"unix://{DEFAULT_SOCKET}"
    if endpoint.source in VARIABLES and ping.connect not in {"ok", "EINVAL"} and others and socket in others.answering:
        return failed(
            f"{endpoint.source} makes the client ask {endpoint.url} ({ping.connect}), and not {socket}",
            seen,
            *where,
            Evidence(f"GET {socket}/_ping", "an engine answers"),
            cause="Told to use TLS and not where, the client looks for the engine at port 2376 of this host.",
            fix=unset,
        )
    if "HTTP request to an HTTPS server" in ping.outcome:
        return failed(
            f"{endpoint.url} speaks TLS, and the client plain HTTP",
            seen,
            told,
            cause="The engine wants TLS, and nothing tells the client to use it.",
            fix=(
                "# give the context its files: docker context update NAME --docker host=URL,ca=FILE,cert=FILE,key=FILE",
            )
            if by_context
            else (
                "export DOCKER_TLS_VERIFY=1",
                "# the folder with ca.pem, cert.pem and key.pem, if it is not ~/.docker: export DOCKER_CERT_PATH=FOLDER",
            ),
        )
    if ping.outcome == PLAIN:
        return failed(
            f"{endpoint.url} speaks plain HTTP, and the client TLS",
            seen,
            told,
            *where,
            cause="The client is told to use TLS on a port that does not.",
            fix=unset
            or ("# make the context anew without its TLS files: docker context create NAME --docker host=URL",),
        )
    return passed(f"{endpoint.url} and the client agree", seen)


def _describe(one: Certificate) -> str:
    names = f", for {', '.join(one.names[:6])}" if one.names else ""
    return (
        f"{one.subject or 'no subject'}, issued by {one.issuer or '?'}{names}, from {one.not_before} to {one.not_after}"
    )


@check(
    "engine.certificate",
    title="The client accepts the engine's certificate",
    severity=Severity.ERROR,
    docs=PROTECT,
    upstream=("engine.tls-files", "engine.tls"),
)
def certificate(endpoint: ChosenEndpoint, shown: EngineTls, files: TlsFiles) -> Finding:
    """
    The engine shows a certificate: in date, for the name it is asked by, and signed by the authority in ca.pem.

    Why it matters: "x509: certificate has expired", "is valid for", "signed by unknown authority", for every command.
    How to fix: renew the certificate at the engine, ask by a name that it is for, or get the right ca.pem.
    """
    name, port = endpoint.address
    if not shown.verify_code:
        return passed(f"the certificate of {name}:{port} is not what stands in the way ({shown.outcome})")
    what, cause, fix = _wrong(endpoint, shown, files)
    return failed(
        f"the certificate of {name}:{port} {what}",
        Evidence(f"handshake with {name}:{port}", shown.outcome),
        *(Evidence(f"certificate {n} shown by {name}:{port}", _describe(c)) for n, c in enumerate(shown.chain[:3])),
        *((Evidence(f"{files.folder}/ca.pem", _describe(files.ca)),) if files.ca else ()),
        cause=cause,
        fix=fix,
    )


def _wrong(endpoint: ChosenEndpoint, shown: EngineTls, files: TlsFiles) -> tuple[str, str, tuple[str, ...]]:
    """Say what is wrong with the engine's certificate, why, and what to do (codes: openssl-verification-options(1))."""
    name, port = endpoint.address
    leaf = shown.chain[0] if shown.chain else None
    code = shown.verify_code
    renew = f"# on the engine's host: renew the certificate that dockerd's --tlscert (tlscert in daemon.json) names, for {name}"
    again = "# then start dockerd again there: systemctl restart docker"
    if code in {9, 10} and abs(shown.clock_off) > CLOCK_TOLERANCE:
        side = "ahead of" if shown.clock_off > 0 else "behind"
        return (
            "looks out of date by this host's clock",
            f"This host's clock is {abs(shown.clock_off) / 3600:.1f} hours {side} the engine's.",
            ("timedatectl set-ntp true",),
        )
    if code in {9, 10}:
        when = (
            f"expired on {leaf.not_after if leaf else '?'}"
            if code == 10
            else f"is not valid before {leaf.not_before if leaf else '?'}"
        )
        if code == 10 and files.ca and leaf and files.ca.expired(shown.now) and not leaf.expired(shown.now):
            return (
                f"is signed by an authority that expired on {files.ca.not_after}",
                "The authority's own certificate, in ca.pem, is past its date; so is all that it has signed.",
                ("# make a new authority, and new certificates for the engine and its clients", again),
            )
        return (
            when,
            f"The certificate of the engine {when}; by this host's clock it is past that.",
            (
                "date -u",
                renew,
                again,
            )
            if code == 10
            else ("date -u", "# if this host's clock is wrong: timedatectl set-ntp true", renew),
        )
    if code in {62, 64}:
        good = ", ".join(leaf.names) if leaf and leaf.names else ""
        first = next((n for n in leaf.names if "*" not in n), "") if leaf else ""
        known = f"It is for {good}" if good else "It is for no name at all (a common name counts for nothing)"
        where = "the context" if endpoint.source.startswith("context ") else "DOCKER_HOST"
        return (
            f"is not for {name}",
            f"{known}, and the client asks by {name}.",
            (
                *(
                    (f"# ask by a name that it is for, where {where} says {name}: tcp://{first}:{port}",)
                    if first
                    else ()
                ),
                f"# or have one made whose subjectAltName has {name}, and start dockerd again on its host",
            ),
        )
    if code == 26:
        return (
            "is not made for servers",
            "What it may be used for (extendedKeyUsage) does not have serverAuth.",
            (f"# on the engine's host: have a certificate with extendedKeyUsage = serverAuth made for {name}", again),
        )
    signer = (shown.chain[-1].issuer if shown.chain else "") or "an authority"
    held = f"holds {files.ca.subject}" if files.ca else "is not there, and this host's own authorities do not know it"
    return (
        f"is signed by {signer}, which the client does not trust",
        f"{files.folder or 'the context'}/ca.pem {held}; that authority did not sign what the engine shows.",
        (
            f"# get ca.pem from whoever runs {name}:{port}, and put it in {files.folder}; to compare what the engine shows:",
            f"openssl s_client -connect {name}:{port} -showcerts </dev/null 2>/dev/null | openssl x509 -noout -issuer -fingerprint -sha256",
        ),
    )


@check(
    "engine.client-certificate",
    title="The engine accepts the client's certificate",
    severity=Severity.ERROR,
    docs=PROTECT,
    upstream=("engine.tls-files", "engine.tls", "engine.certificate"),
)
def client_certificate(endpoint: ChosenEndpoint, shown: EngineTls, files: TlsFiles) -> Finding:
    """
    With --tlsverify the engine wants a certificate of the client too: in date, for clients, and signed by its own --tlscacert.

    Why it matters: "remote error: tls: bad certificate" says that the engine refused the client's certificate, not the reverse.
    How to fix: have a new client certificate made by the authority that the engine trusts.
    """
    name, port = endpoint.address
    if not shown.refusal.startswith("tls: "):
        return passed(f"{name}:{port} did not refuse the client's certificate ({shown.outcome})")
    own = files.own
    seen = (
        Evidence(f"handshake with {name}:{port}", shown.refusal),
        Evidence(f"{files.folder}/cert.pem", _describe(own) if own else "not there"),
        *((Evidence(f"{files.folder}/ca.pem", _describe(files.ca)),) if files.ca else ()),
    )
    what, cause = _refused(own, shown, files)
    return failed(
        f"{name}:{port} refuses the client: {what}",
        *seen,
        cause=cause,
        fix=(
            "# have a certificate for clients (extendedKeyUsage = clientAuth) made by the authority that the engine trusts",
            f"# and put it in {files.folder}: the certificate in cert.pem, its key in key.pem; to see what is there now:",
            f"openssl x509 -noout -subject -issuer -dates -purpose -in {quote(files.folder)}/cert.pem",
        ),
    )


def _refused(own: Certificate | None, shown: EngineTls, files: TlsFiles) -> tuple[str, str]:
    if own is None:
        missing = " and ".join(files.lacks) or "cert.pem"
        return f"it wants a certificate, and there is no {missing}", "The engine asks its clients for a certificate."
    if own.expired(shown.now) or own.not_yet(shown.now):
        when = f"expired on {own.not_after}" if own.expired(shown.now) else f"is not valid before {own.not_before}"
        return f"its certificate {when}", f"The client's certificate {when}; the engine takes none that is out of date."
    signers = {c.issuer for c in shown.chain} | ({files.ca.subject} if files.ca else set())
    if signers and own.issuer not in signers:
        return (
            f"its certificate is from another authority, {own.issuer}",
            "The client's certificate was not signed by the authority that signed the engine's.",
        )
    return (
        "its certificate is not good for clients, or its authority is not in the engine's --tlscacert",
        "Date and signer look right from here; what it may be used for (extendedKeyUsage), or what the engine trusts, is not.",
    )

"""Whether the daemon trusts its registries: the clock, the files in certs.d, and the certificates that are shown."""

from __future__ import annotations

from collections.abc import Iterator

from dockerdoctor.checks.registry import CLOCK_TOLERANCE, all_seen, seen
from dockerdoctor.examine import check, failed, passed
from dockerdoctor.facts.registry import Registries, Registry
from dockerdoctor.model import Evidence, Finding, Severity
from dockerdoctor.tls import Certificate
from dockerdoctor.web import split_port

CERTIFICATES = "https://docs.docker.com/engine/security/certificates/"


@check(
    "registry.clock",
    title="This host's clock agrees with the registries'",
    severity=Severity.ERROR,
    docs="https://www.freedesktop.org/software/systemd/man/latest/timedatectl.html",
)
def clock(registries: Registries) -> Finding:
    """
    A certificate is good between two dates, and it is this host's clock that says where between them we are.

    Why it matters: every pull ends with "x509: certificate has expired or is not yet valid", though it is valid.
    How to fix: set the clock, and keep it.
    """
    wrong = [r for r in registries.sick if abs(r.clock_off) > CLOCK_TOLERANCE]
    if not wrong:
        return passed("no certificate's dates contradict the clock")
    first = wrong[0]
    hours = abs(first.clock_off) / 3600
    side = "ahead" if first.clock_off > 0 else "behind"
    return failed(
        f"this host's clock is {hours:.0f} hours {side} of {first.host_port}'s",
        Evidence(f"Date of {first.asked.url}", f"{first.clock_off:+.0f} s from this host's clock"),
        *_dates(first),
        cause="The host's clock is wrong, so certificates look as if they had expired or were not valid yet.",
        fix=("timedatectl set-ntp true",),
    )


def _dates(registry: Registry) -> Iterator[Evidence]:
    for leaf in registry.asked.chain[:1]:
        yield Evidence(f"certificate of {registry.host_port}", f"valid from {leaf.not_before} to {leaf.not_after}")


@check(
    "registry.certs-d",
    title="CA files for registries lie where the daemon reads them",
    severity=Severity.ERROR,
    docs=CERTIFICATES,
)
def certs_d(registries: Registries) -> Finding:
    """
    For reg:5000 the daemon reads *.crt in certs.d/reg:5000 and nothing else: the port belongs to the name.

    Why it matters: "certificate signed by unknown authority" although the CA has been installed.
    How to fix: give folder and file the names that the daemon looks for; no restart is needed.
    """
    flawed = [r for r in registries.needed if unpaired(r)]
    if flawed:
        return _unpaired(flawed[0])
    wrong = [r for r in registries.sick if r.misplaced]
    if not wrong:
        return passed("no CA file lies where it is not read")
    first = wrong[0]
    path = first.misplaced[0]
    right = f"/etc/docker/certs.d/{first.host_port}"
    if "/.config/docker/" in path:
        right = f"{path.rsplit('/certs.d/', 1)[0]}/certs.d/{first.host_port}"
    return failed(
        f"{path} would verify {first.host_port}, but the daemon reads only {right}/*.crt",
        *all_seen(first),
        Evidence(path, f"verifies what {first.host_port} shows"),
        cause="The CA's certificate is there, in a folder or under a name that the daemon does not read.",
        fix=(f"mkdir -p {right}", f"cp {path} {right}/ca.crt"),
    )


def unpaired(registry: Registry) -> tuple[str, ...]:
    """Which certificates or keys lack their other half: over one of them the daemon gives the registry up."""
    return tuple(flaw for flaw in registry.flaws if " beside it" in flaw)


def _unpaired(registry: Registry) -> Finding:
    flaw = unpaired(registry)[0]
    path = flaw.partition(" ")[0]
    return failed(
        f"{flaw}: the daemon refuses to ask {registry.name} at all",
        *(Evidence(f"/etc/docker/certs.d/{registry.host_port}", one) for one in registry.flaws),
        cause="A certificate for the client (NAME.cert) and its key (NAME.key) belong together; a CA's is NAME.crt.",
        fix=(
            "# put the missing file there; or, if it is a CA's certificate that was meant, give it the right ending:",
            f"mv {path} {path.rpartition('.')[0]}.crt",
        )
        if path.endswith(".cert")
        else (f"# put {flaw.split()[-3]} there, or take {path} away",),
    )


@check(
    "registry.certificate",
    title="The daemon trusts the certificates of its registries",
    severity=Severity.ERROR,
    docs=CERTIFICATES,
    upstream=("registry.clock", "registry.certs-d", "proxy.tls-interception"),
)
def certificate(registries: Registries) -> Finding:
    """
    The daemon trusts the host's CAs, as they were when it started, and those in certs.d/HOST:PORT.

    Why it matters: "tls: failed to verify certificate: x509: …" on every pull and push.
    How to fix: give the daemon the CA; repair the certificate where it is wrong itself.
    """
    wrong = [r for r in registries.sick if r.asked.verify_code or r.fresh_authority or wants_ours(r)]
    if not wrong:
        return passed("every certificate that was shown is trusted")
    first = wrong[0]
    what, cause, fix = _judge(first)
    chain = tuple(
        Evidence(f"certificate {n} shown by {first.host_port}", _describe(one))
        for n, one in enumerate(first.asked.chain[:3])
    )
    read = (Evidence(f"/etc/docker/certs.d/{first.host_port}", ", ".join(first.authorities) or "no *.crt there"),)
    return failed(
        f"{first.name}: {what}",
        seen(first.asked),
        *chain,
        *read,
        cause=cause,
        fix=fix,
        impact="restarts dockerd" if first.fresh_authority else "",
        because=[
            *(["registry.clock"] if abs(first.clock_off) > CLOCK_TOLERANCE else []),
            *(["registry.certs-d"] if first.misplaced else []),
            *(["proxy.tls-interception"] if first.interception else []),
        ],
    )


def wants_ours(registry: Registry) -> bool:
    """Whether the registry broke off because it wants a certificate from us."""
    said = registry.asked.outcome
    return said.startswith("tls: ") and ("CERTIFICATE_REQUIRED" in said or "ALERT_BAD_CERTIFICATE" in said)


def _describe(one: Certificate) -> str:
    names = f", for {', '.join(one.names[:6])}" if one.names else ""
    return f"{one.subject or 'no subject'}, issued by {one.issuer or '?'}{names}, until {one.not_after}"


def _judge(registry: Registry) -> tuple[str, str, tuple[str, ...]]:
    """Say in words what is wrong with a certificate, why, and what to do (codes: openssl-verification-options(1))."""
    target = registry.host_port if ":" in registry.host_port else f"{registry.host_port}:443"
    folder = f"/etc/docker/certs.d/{registry.host_port}"
    show = f"openssl s_client -connect {target} -showcerts </dev/null 2>/dev/null"
    fingerprint = f"{show} | openssl x509 -noout -subject -fingerprint -sha256"
    if registry.fresh_authority:
        return (
            "its CA was added to this host after the daemon had started",
            f"{registry.fresh_authority} verifies it, but dockerd reads the host's CAs only when it starts.",
            ("systemctl restart docker",),
        )
    if not_pem := [flaw for flaw in registry.flaws if flaw.endswith("PEM form")]:
        path = not_pem[0].partition(" ")[0]
        return (
            "the CA file for it is not in PEM form",
            f"{not_pem[0]}, and the daemon passes over it without a word.",
            (f"openssl x509 -inform der -in {path} -out {path}.pem", f"mv {path}.pem {path}"),
        )
    leaf = registry.asked.chain[0] if registry.asked.chain else None
    name = split_port(registry.host_port)[0]
    code = registry.asked.verify_code
    if wants_ours(registry):
        return (
            "it wants a certificate of ours, and the daemon has none that it takes",
            f"The registry asks its clients for certificates; {folder} holds none that it accepts.",
            (
                f"# put the certificate and the key that its administrator gave you there: {folder}/client.cert, client.key",
            ),
        )
    if code in {62, 64}:
        good = ", ".join(leaf.names) if leaf and leaf.names else "no name at all (Go ignores the common name)"
        return (
            f"its certificate is not for {name}",
            f"The certificate is good for {good}, not for the name that it is asked by.",
            (
                f"# pull by a name it is good for ({good}), or have a certificate made with {name} in its subjectAltName",
            ),
        )
    if code in {9, 10}:
        when = f"expired on {leaf.not_after}" if leaf and code == 10 else "is not valid yet"
        return (
            f"its certificate {when}",
            f"The certificate {when}, and the server's clock agrees with ours.",
            (f"# renew the certificate of {registry.host_port} on its server",),
        )
    if code == 18:
        return (
            "its certificate is self-signed, and the daemon has not been told to trust it",
            "Nobody but the server itself vouches for it.",
            (
                "# compare the fingerprint with what the registry's administrator says:",
                fingerprint,
                "# if it is the same, trust it; no restart is needed:",
                f"mkdir -p {folder}",
                f"{show} | openssl x509 -out {folder}/ca.crt",
            ),
        )
    issuer = registry.asked.chain[-1].issuer if registry.asked.chain else "an authority"
    if code in {20, 21} and leaf and len(registry.asked.chain) == 1 and (leaf.issuer_url or registry.authorities):
        where = f": {leaf.issuer_url}" if leaf.issuer_url else ""
        return (
            "it does not send the intermediate certificate",
            f"The server sends only its own certificate, issued by {leaf.issuer}; what links that to a trusted CA is missing.",
            (
                f"# have the server of {registry.host_port} send the certificate of {leaf.issuer} after its own{where}",
                f"# until then, add that certificate to {folder}/ca.crt",
            ),
        )
    return (
        f"its certificate is signed by an unknown authority ({issuer})",
        f"{issuer} is neither among this host's CAs nor in {folder}.",
        (
            f"# get the certificate of {issuer} from whoever runs {registry.host_port}; then, without any restart:",
            f"# install -D -m 644 ca.crt {folder}/ca.crt",
        ),
    )

"""Who takes TLS apart on the way: whether the daemon trusts him, and whether containers can."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from dockerdoctor.checks.proxy_places import CLIENT, RESTARTS, restart
from dockerdoctor.checks.registry import seen
from dockerdoctor.examine import check, failed, passed, skipped
from dockerdoctor.facts.engine import Units
from dockerdoctor.facts.proxy import ProxySettings
from dockerdoctor.facts.registry import Interception, Registries, Registry
from dockerdoctor.model import Evidence, Finding, Severity
from dockerdoctor.tls import Certificate

CAS = "https://docs.docker.com/engine/network/ca-certs/"
# Where a CA goes, and what makes a bundle of them all: Red Hat, SUSE, and Debian with those who do as it does.
HOMES = (
    ("/etc/pki/", "/etc/pki/ca-trust/source/anchors", "update-ca-trust"),
    ("/etc/ssl/ca-bundle.pem", "/etc/pki/trust/anchors", "update-ca-certificates"),
    ("", "/usr/local/share/ca-certificates", "update-ca-certificates"),
)


@check(
    "proxy.tls-interception",
    title="Who takes TLS apart on the way is trusted by the daemon",
    severity=Severity.ERROR,
    docs=CAS,
)
def tls_interception(registries: Registries, units: Units | None) -> Finding:
    """
    A proxy that inspects TLS shows certificates of its own; dockerd trusts the CAs that the host had when it started.

    Why it matters: "x509: certificate signed by unknown authority" for every registry, while browsers are content.
    How to fix: add the proxy's CA to the host's, and restart the daemon. Never list Docker Hub as insecure.
    """
    wrong = [(r, r.interception) for r in registries.sick if r.interception and not r.interception.trusted]
    if not wrong:
        return passed("nobody who is not trusted takes TLS apart on the way to a registry")
    first, found = wrong[0]
    via = _via(first, found)
    return failed(
        f"{_host(found)} is shown{via or ' on the way'} with a certificate of {found.issuer}, which the daemon does not trust",
        *(line for r, _ in wrong for line in [seen(r.asked)]),
        *_chains(found),
        cause=(
            f"{'The proxy' if via else 'Somebody on the way'} takes TLS apart and shows certificates signed by {found.issuer}"
            + (
                f"; {found.authority} is its CA, added after the daemon had started."
                if first.fresh_authority
                else f"; {found.authority} is its CA, and not in {found.bundle}."
                if found.authority
                else ", a CA that this host does not have."
            )
        ),
        fix=(*_trust(found, fresh=bool(first.fresh_authority)), *restart(units)),
        impact=RESTARTS,
    )


def _host(found: Interception) -> str:
    return urlsplit(found.url).netloc


def _via(registry: Registry, found: Interception) -> str:
    by = registry.asked.via if registry.asked.url == found.url else registry.token.via if registry.token else ""
    return f" through {by}" if by else ""


def _chains(found: Interception) -> Iterator[Evidence]:
    for n, one in enumerate(found.shown[:3]):
        yield Evidence(f"certificate {n} shown for {_host(found)}", _signed(one))
    for n, one in enumerate(found.real[:1]):
        yield Evidence(f"certificate {n} shown by {_host(found)} itself, past the proxy", _signed(one))


def _signed(one: Certificate) -> str:
    return f"{one.subject or 'no subject'}, issued by {one.issuer or '?'}"


def _trust(found: Interception, *, fresh: bool) -> tuple[str, ...]:
    _, folder, update = next(home for home in HOMES if found.bundle.startswith(home[0]))
    if fresh:
        return ()
    if found.authority:
        # Debian's tool reads .crt alone.
        right = f"{found.authority.rpartition('.')[0] or found.authority}.crt"
        rename = () if found.authority.endswith(".crt") or "/pki/" in folder else (f"mv {found.authority} {right}",)
        return (*rename, update)
    return (
        f"# get the certificate of {found.issuer} from whoever runs the proxy, as PEM, and:",
        f"# install -D -m 644 proxy-ca.crt {folder}/proxy-ca.crt && {update}",
    )


@check(
    "proxy.container-interception",
    title="Images know who takes TLS apart on the way",
    severity=Severity.WARNING,
    docs=CLIENT,
    upstream=("proxy.tls-interception",),
)
def container_interception(settings: ProxySettings, registries: Registries) -> Finding:
    """
    An image has CAs of its own: what this host was told to trust, programs in containers were not.

    Why it matters: pulls work, and pip, apt, npm and curl end with "self-signed certificate in certificate chain".
    How to fix: copy the CA into the image, or mount it, and tell programs that bring their own bundle.
    """
    found = [(r, r.interception) for r in registries.all if r.interception and r.interception.trusted]
    if not found:
        return passed("nobody is seen who takes TLS apart on the way to a registry")
    first, one = found[0]
    via = _via(first, one)
    if via and not settings.inside:
        return skipped("containers are given no proxy: who takes TLS apart for the daemon does not do so for them")
    name = one.authority.rpartition("/")[2]
    return failed(
        f"{_host(one)} is shown{via or ' on the way'} with a certificate of {one.issuer}, which images do not know",
        *_chains(one),
        Evidence(one.authority, "is its CA's certificate; this host trusts it"),
        cause=f"{one.issuer} signs for every server, and only this host has been told to trust it.",
        fix=(
            f"# in the Dockerfile (Debian, Ubuntu, Alpine), after: cp {one.authority} .",
            f"# COPY {name} /usr/local/share/ca-certificates/proxy-ca.crt",
            "# RUN update-ca-certificates",
            "# ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt REQUESTS_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt",
            "# ENV NODE_EXTRA_CA_CERTS=/usr/local/share/ca-certificates/proxy-ca.crt",
        ),
    )

"""Whether images can be pulled: Docker Hub or a mirror of it, and the other registries that something here names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dockerdoctor.examine import check, failed, passed, skipped, unknown
from dockerdoctor.facts.containers import Containers
from dockerdoctor.facts.daemon_json import DaemonJson
from dockerdoctor.facts.registry import Registries, Registry, registry_of
from dockerdoctor.facts.routes import Routes
from dockerdoctor.model import Evidence, Finding, Severity
from dockerdoctor.web import Attempt, Certificate, split_port

CERTIFICATES = "https://docs.docker.com/engine/security/certificates/"
INSECURE = "https://docs.docker.com/reference/cli/dockerd/#insecure-registries"
MIRRORS = "https://docs.docker.com/docker-hub/image-library/mirror/"
LIMITS = "https://docs.docker.com/docker-hub/usage/pulls/"
RELOAD = "systemctl reload docker"
# Certificates live for months, and no clock that is kept is an hour off.
CLOCK_TOLERANCE = 3600.0
# What can keep the daemon's question from getting to the registry at all.
PROXIES = ("proxy.url", "proxy.tls-scheme", "proxy.dead", "proxy.credentials", "proxy.no-proxy")
MISSING_PROXY = ("proxy.daemon-missing", "proxy.https-missing", "proxy.unit-in-force", "proxy.unit-percent")
OWN = ("registry.clock", "registry.certs-d", "registry.certificate", "registry.plain-http", "registry.rate-limit")


def seen(attempt: Attempt, method: str = "GET") -> Evidence:
    """Show one attempt."""
    via = f" through {attempt.via}" if attempt.via else ""
    said = attempt.words
    if attempt.layer == "name":
        said = f"{attempt.outcome} (host's resolver)"
    elif attempt.outcome.isupper():
        said = f"{attempt.outcome}: {said}"
    extra = [f"{k}: {v}" for k, v in attempt.headers if k in {"server", "via", "retry-after", "ratelimit-remaining"}]
    return Evidence(f"{method} {attempt.url}{via}", "; ".join([said, *extra]))


def all_seen(registry: Registry) -> Iterator[Evidence]:
    """Show all that was asked of one registry."""
    yield seen(registry.asked)
    if registry.manifest:
        yield seen(registry.manifest, "HEAD")
    for other in (registry.direct, registry.around, registry.plain):
        if other:
            yield seen(other)


def causes_of(registry: Registry) -> tuple[str, ...]:
    """Which checks judge what is wrong with this one; empty when it is simply not there."""
    asked = registry.asked
    if registry.limited:
        return ("registry.rate-limit",)
    if asked.verify_code or registry.fresh_authority:
        return ("registry.clock", "registry.certs-d", "registry.certificate")
    if registry.plain and registry.plain.answered:
        return ("registry.plain-http",)
    if asked.layer == "proxy" or (asked.via and registry.direct and _fine(registry.direct)):
        return PROXIES
    if registry.around:
        return MISSING_PROXY
    return ("dns.host-resolves",) if asked.layer == "name" else ()


def _fine(attempt: Attempt) -> bool:
    return attempt.answered and attempt.status in {200, 401}


def _because(registries: Iterable[Registry]) -> tuple[str, ...]:
    """What explains all of them; nothing, when one of them is simply not there."""
    found: list[str] = []
    for registry in registries:
        causes = causes_of(registry)
        if not causes:
            return ()
        found += causes
    return tuple(dict.fromkeys(found))


def _list(registries: Iterable[Registry]) -> str:
    return ", ".join(f"{r.name} {r.trouble}" for r in registries)


# -- what is wrong at a registry that can be reached ----------------------------------------------------------------


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


@check(
    "registry.certificate",
    title="The daemon trusts the certificates of its registries",
    severity=Severity.ERROR,
    docs=CERTIFICATES,
    upstream=("registry.clock", "registry.certs-d"),
)
def certificate(registries: Registries) -> Finding:
    """
    The daemon trusts the host's CAs, as they were when it started, and those in certs.d/HOST:PORT.

    Why it matters: "tls: failed to verify certificate: x509: …" on every pull and push.
    How to fix: give the daemon the CA; repair the certificate where it is wrong itself.
    """
    wrong = [r for r in registries.sick if r.asked.verify_code or r.fresh_authority]
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
        ],
    )


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
    leaf = registry.asked.chain[0] if registry.asked.chain else None
    name = split_port(registry.host_port)[0]
    code = registry.asked.verify_code
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


@check(
    "registry.plain-http",
    title="Registries without TLS are known to the daemon as such",
    severity=Severity.ERROR,
    docs=INSECURE,
)
def plain_http(registries: Registries, config: DaemonJson | None) -> Finding:
    """
    The daemon speaks TLS to every registry but those in insecure-registries and on this very host.

    Why it matters: "http: server gave HTTP response to HTTPS client" on every pull and push.
    How to fix: give the registry a certificate; else list its host:port, exactly, and reload the daemon.
    """
    wrong = [r for r in registries.sick if r.plain and r.plain.answered]
    if not wrong:
        return passed("no registry answers in plain HTTP against the daemon's expectation")
    first = wrong[0]
    target = first.host_port
    listed = (config.settings or {}).get("insecure-registries") if config else None
    entries = [str(e) for e in listed] if isinstance(listed, list) else []
    path = config.path if config else "/etc/docker/daemon.json"
    host = split_port(target)[0]
    near = next((e for e in entries if e != target and host == split_port(e.split("://")[-1].rstrip("/"))[0]), "")
    if target in entries:
        cause = f"{path} lists {target} as insecure, but the daemon has not read it since."
        fix: tuple[str, ...] = (RELOAD,)
    elif near:
        cause = f"{path} lists {near!r}, which is not {target!r}: the entry must be host:port and nothing else."
        fix = (f"""sed -i 's#"{near}"#"{target}"#' {path}""", RELOAD)
    else:
        cause = (
            f"{target} speaks plain HTTP, and the daemon insists on TLS because insecure-registries does not list it."
        )
        fix = (*_add_insecure(config, path, target), RELOAD)
    return failed(
        f"{target} speaks plain HTTP, the daemon HTTPS",
        *all_seen(first),
        Evidence(f"{path} insecure-registries", ", ".join(entries) or "not set"),
        cause=cause,
        fix=("# better: give the registry a certificate; this lets anybody on the way change images:", *fix),
    )


def _add_insecure(config: DaemonJson | None, path: str, target: str) -> tuple[str, ...]:
    settings = config.settings if config else None
    if config is None or not config.exists or not config.text.strip():
        return (f'install -D -m 644 /dev/stdin {path} <<\'END\'\n{{"insecure-registries": ["{target}"]}}\nEND',)
    if settings and settings.get("insecure-registries"):
        return (f"""sed -z -i -E 's#("insecure-registries"[[:space:]]*:[[:space:]]*\\[)#\\1"{target}", #' {path}""",)
    if settings and "insecure-registries" not in settings:
        return (f"""sed -z -i 's#{{#{{\\n  "insecure-registries": ["{target}"],#' {path}""",)
    return (f'# add "{target}" to insecure-registries in {path}',)


@check(
    "registry.rate-limit",
    title="No registry turns this host away for asking too often",
    severity=Severity.ERROR,
    docs=LIMITS,
)
def rate_limit(registries: Registries) -> Finding:
    """
    Docker Hub counts anonymous pulls by address, which everybody behind one router or proxy shares.

    Why it matters: "toomanyrequests: You have reached your pull rate limit" until the window ends.
    How to fix: log in, put a mirror of your own in front, or wait.
    """
    wrong = [(r, r.limited) for r in registries.sick if r.limited]
    if not wrong:
        left = [a.header("ratelimit-remaining") for r in registries.all if (a := r.manifest)]
        said = next((w for w in left if w), "")
        return passed(f"pulls left in this window: {said}" if said else "no registry said “too many requests”")
    first, answer = wrong[0]
    assert answer is not None  # noqa: S101 - chosen by it
    wait = answer.header("retry-after")
    hub_limit = "pull rate limit" in answer.body or any(k.startswith("ratelimit") for k, _ in answer.headers)
    source = answer.header("docker-ratelimit-source")
    cause = (
        f"The pull limit of Docker Hub is used up for {source or 'the address this host is seen with'}."
        if hub_limit
        else f"{first.host_port} answers 429, its own limit and not Docker Hub's pull limit."
    )
    headers = ", ".join(f"{k}: {v}" for k, v in answer.headers if "ratelimit" in k or k == "retry-after")
    return failed(
        f"{first.name} answers 429 Too Many Requests" + (f", retry after {wait} s" if wait.isdigit() else ""),
        *all_seen(first),
        *((Evidence("headers", headers),) if headers else ()),
        *((Evidence("body", answer.body[:200]),) if answer.body else ()),
        cause=cause,
        fix=(
            "# docker login: an account has a limit of its own, which no neighbour uses up",
            "# or let registry-mirrors in daemon.json name a pull-through cache of your own, then: systemctl reload docker",
            f"# or wait {wait} seconds"
            if wait.isdigit()
            else "# or wait: the window of Docker Hub is six hours at most",
        ),
    )


# -- whether there is anything to pull from ---------------------------------------------------------------------------


@check(
    "registry.hub",
    title="Docker Hub, or a mirror of it, serves",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/desktop/setup/allow-list/",
    upstream=("dns.host-resolves", *PROXIES, *MISSING_PROXY, *OWN),
)
def hub(registries: Registries, containers: Containers | None, routes: Routes | None) -> Finding:
    """
    An image's name without a registry means Docker Hub; mirrors are asked first, and one that serves is enough.

    Why it matters: `docker pull`, `docker run` of a new image and every build FROM one fail.
    How to fix: see which layer fails: name, connection, proxy, TLS or the registry itself.
    """
    if registries.hub_serves:
        good = next(r for r in registries.all if r.role in {"mirror", "hub"} and r.serves)
        return passed(f"{good.name} serves", *all_seen(good))
    group = [r for r in registries.all if r.role in {"mirror", "hub"}]
    if any(r.secret_hidden for r in group):
        return unknown("the daemon's proxy wants a password, which only root may read", how="# run as root")
    lines = tuple(line for r in group for line in all_seen(r))
    proxied = any(r.asked.via for r in group)
    if not registries.mirrors and not proxied:
        if routes is not None and not routes.defaults:
            return skipped("this host has no default route and no proxy: it is not meant to reach Docker Hub")
        others = [r for r in registries.all if r.role == "named" and r.serves]
        used = [c for c in containers.all if not registry_of(c.image)] if containers else []
        if others and not used:
            return skipped(f"images come from {others[0].name} here, which serves; Docker Hub is not used")
    sick = [r for r in registries.sick if r.role in {"mirror", "hub"}] or group
    return failed(
        f"no image can be pulled: {_list(group)}",
        *lines,
        cause=_why(sick[0]),
        fix=_ways(sick[0], mirrored=bool(registries.mirrors)),
        because=_because(sick),
    )


def _why(registry: Registry) -> str:
    asked = registry.asked
    name = split_port(registry.host_port)[0]
    if asked.layer == "name" and asked.outcome == "timeout":
        return f"The host's resolver did not answer for {name}, and the daemon resolves names with it."
    if asked.layer == "name":
        return f"The host's nameservers know no {name}: they are for inside names only, or filter it, or a proxy is needed."
    if asked.layer == "connect" and asked.outcome == "ECONNREFUSED":
        return f"Nothing listens at {registry.host_port}, or a firewall rejects the connection."
    if asked.layer == "connect":
        return f"Nothing comes back from {registry.host_port}: a firewall drops it, or the network needs a proxy."
    return f"{registry.name}: {registry.trouble}."


def _ways(registry: Registry, *, mirrored: bool) -> tuple[str, ...]:
    if mirrored:
        return (
            f"# start {registry.name} again, or take it out of registry-mirrors in /etc/docker/daemon.json",
            f"# then: {RELOAD}",
        )
    return (
        f"# see it for yourself: curl -v https://{registry.host_port}/v2/",
        "# behind a proxy: give it to the daemon (https://docs.docker.com/engine/daemon/proxy/)",
        "# on a network without Docker Hub: name a mirror in registry-mirrors of /etc/docker/daemon.json",
    )


@check(
    "registry.named",
    title="The other registries that something here uses serve",
    severity=Severity.WARNING,
    docs="https://docs.docker.com/reference/cli/docker/image/pull/",
    upstream=("dns.host-resolves", *PROXIES, *MISSING_PROXY, *OWN),
)
def others_serve(registries: Registries) -> Finding:
    """
    Registries that a container's image, a login, a Dockerfile or certs.d names.

    Why it matters: their images cannot be pulled or pushed until they are back; what runs goes on running.
    How to fix: see which layer fails.
    """
    asked = [r for r in registries.all if r.role == "named"]
    if not asked:
        return skipped("nothing here names a registry other than Docker Hub")
    if any(r.secret_hidden for r in asked):
        return unknown("the daemon's proxy wants a password, which only root may read", how="# run as root")
    sick = [r for r in asked if not r.serves]
    lines = tuple(line for r in (sick or asked) for line in all_seen(r))
    if not sick:
        return passed(f"{', '.join(r.name for r in asked)} serve" + ("s" if len(asked) == 1 else ""), *lines)
    return failed(
        _list(sick),
        *lines,
        *(Evidence(r.named_by, r.name) for r in sick),
        cause=_why(sick[0]),
        fix=(f"# see it for yourself: curl -v {sick[0].asked.url}",),
        because=_because(sick),
    )


@check(
    "registry.mirrors",
    title="Every mirror that the daemon is told to ask serves",
    severity=Severity.WARNING,
    docs=MIRRORS,
    # Where nothing at all serves, no mirror does.
    upstream=("registry.hub", "dns.host-resolves", *PROXIES, *MISSING_PROXY),
)
def mirrors(registries: Registries, config: DaemonJson | None) -> Finding:
    """
    Mirrors are asked in order, and each dead one is waited for.

    Why it matters: pulls pause for up to half a minute before they go on elsewhere.
    How to fix: take it out of registry-mirrors and reload the daemon; nothing is interrupted.
    """
    if not registries.mirrors:
        return skipped("no mirror is configured")
    if any(r.secret_hidden for r in registries.mirrors):
        return unknown("the daemon's proxy wants a password, which only root may read", how="# run as root")
    sick = [r for r in registries.mirrors if not r.serves]
    lines = tuple(line for r in (sick or registries.mirrors) for line in all_seen(r))
    if not sick:
        return passed(f"{', '.join(r.name for r in registries.mirrors)}: serving", *lines)
    path = config.path if config else "/etc/docker/daemon.json"
    listed = (config.settings or {}).get("registry-mirrors") if config else None
    written = [str(m) for m in listed] if isinstance(listed, list) else []
    drop = [w for w in written for r in sick if w.rstrip("/") == r.name]
    fix = [
        f"""sed -z -i -E 's#,[[:space:]]*"{w}"##; t; s#"{w}"[[:space:]]*,?[[:space:]]*##' {path}""" for w in drop
    ] or [f"# take {sick[0].name} out of the daemon's --registry-mirror"]
    still = next((r.name for r in registries.all if r.serves and r.role in {"mirror", "hub"}), "Docker Hub")
    return failed(
        _list(sick),
        *lines,
        cause=f"Pulls wait for it, and then come from {still}."
        if registries.hub_serves
        else "No pull can come from it.",
        fix=(*fix, RELOAD),
        because=None if not registries.hub_serves else [c for c in _because(sick) if not c.startswith("registry.")],
    )

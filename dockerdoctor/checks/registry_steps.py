"""The steps of a pull at a registry that can be reached, one cause each: address, protocol, token, login, limit, layers."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from dockerdoctor.checks.registry import LIMITS, RELOAD, all_seen, only_ipv6, seen
from dockerdoctor.examine import check, failed, passed, skipped
from dockerdoctor.facts.daemon_json import DaemonJson, flag_values
from dockerdoctor.facts.endpoint import Settings
from dockerdoctor.facts.engine import texts
from dockerdoctor.facts.registry import CONNECTING, Registries, Registry, is_page
from dockerdoctor.model import Evidence, Finding, Severity
from dockerdoctor.web import Attempt, split_port

INSECURE = "https://docs.docker.com/reference/cli/dockerd/#insecure-registries"
# A registry of use answers within a tenth of a second; a pull asks a dozen times.
SLOW = 2.0


@check(
    "registry.ipv6",
    title="Registries have an address that this host can reach",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/engine/daemon/ipv6/",
)
def ipv6(registries: Registries) -> Finding:
    """
    A name may have IPv6 addresses alone, or its IPv4 ones may have been lost on the way; without a way out for IPv6 they are none.

    Why it matters: "dial tcp [2600:…]:443: connect: network is unreachable" on every pull.
    How to fix: give the host IPv6, or let the name have an IPv4 address.
    """
    wrong = [r for r in registries.sick if only_ipv6(r)]
    if not wrong:
        return passed("no registry is out of reach for want of IPv4")
    first = wrong[0]
    name = split_port(first.host_port)[0]
    return failed(
        f"{name} has IPv6 addresses only ({', '.join(first.addresses[:2])}), and IPv6 leads nowhere: it {first.asked.words}",
        *all_seen(first),
        Evidence(f"the host's resolver, for {name}", ", ".join(first.addresses)),
        cause=f"The resolver gives no IPv4 address for {name}, and this host has no working way out over IPv6.",
        fix=(
            "ip -6 route show default",
            f"# give this host IPv6, or let the nameserver, or a line in /etc/hosts, have an IPv4 address for {name}",
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
    wrong = [r for r in registries.sick if r.is_registry]
    if not wrong:
        return passed("no registry answers in plain HTTP against the daemon's expectation")
    path = config.path if config else "/etc/docker/daemon.json"
    entries = texts((config.settings or {}).get("insecure-registries")) if config else ()
    flagged = config is not None and bool(flag_values(config.flags, "insecure-registry"))
    serving = {r.name for r in registries.all if r.serves}
    causes, fix, missing = [], [], []
    for target in (r.host_port for r in wrong):
        near = next((e for e in entries if e not in serving and _is_near(e, target)), "")
        if target in map(_bare, entries):
            causes.append(f"{path} lists {target} as insecure, but the daemon has not read it since.")
        elif near:
            causes.append(f"{path} lists {near!r}, which is not {target!r}: host and port must be as images name them.")
            fix.append(f"""sed -i 's#"{near}"#"{target}"#' {path}""")
        else:
            causes.append(f"{target} speaks plain HTTP, and the daemon insists on TLS because {path} does not list it.")
            missing.append(target)
    if missing and flagged:
        fix += [f"# add --insecure-registry={target} to dockerd's flags, beside those there" for target in missing]
        fix.append("systemctl restart docker")
    else:
        fix += [*(_add_insecure(config, path, missing) if missing else ()), RELOAD]
    return failed(
        f"{', '.join(r.host_port for r in wrong)} speak{'s' if len(wrong) == 1 else ''} plain HTTP, the daemon HTTPS",
        *(line for r in wrong for line in all_seen(r)),
        Evidence(f"{path} insecure-registries", ", ".join(entries) or "not set"),
        cause=causes[0],
        fix=("# better: give the registry a certificate; this lets anybody on the way change images:", *fix),
    )


def _bare(entry: str) -> str:
    """Drop the scheme of an entry, as the daemon does."""
    return re.sub(r"^https?://", "", entry, flags=re.IGNORECASE)


def _is_near(entry: str, target: str) -> bool:
    host, port = split_port(target)
    said, said_port = split_port(_bare(entry).rstrip("/"))
    return said.lower() == host.lower() and (said != host or said_port != port)


def _add_insecure(config: DaemonJson | None, path: str, targets: list[str]) -> tuple[str, ...]:
    settings = config.settings if config else None
    written = ", ".join(f'"{target}"' for target in targets)
    if config is None or not config.exists or not config.text.strip():
        return (f"install -D -m 644 /dev/stdin {path} <<'END'\n{{\"insecure-registries\": [{written}]}}\nEND",)
    if settings and settings.get("insecure-registries"):
        return (f"""sed -z -i -E 's#("insecure-registries"[[:space:]]*:[[:space:]]*\\[)#\\1{written}, #' {path}""",)
    if settings and "insecure-registries" not in settings:
        return (f"""sed -z -i 's#{{#{{\\n  "insecure-registries": [{written}],#' {path}""",)
    return (f"# add {written} to insecure-registries in {path}",)


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


@check(
    "registry.token-server",
    title="The servers that registries send one to for a token answer",
    severity=Severity.ERROR,
    docs="https://distribution.github.io/distribution/spec/auth/token/",
)
def token_server(registries: Registries) -> Finding:
    """
    A registry may answer 401 and name another server, which gives out tokens: Docker Hub's is auth.docker.io.

    Why it matters: the registry answers, and every pull fails all the same.
    How to fix: let the host, or its proxy, reach that server too.
    """
    wrong = [(r, r.token) for r in registries.sick if r.token and (not r.token.answered or r.token.status >= 500)]
    if not wrong:
        return passed("no registry sends one to a server that does not answer")
    first, token = wrong[0]
    assert token is not None  # noqa: S101 - chosen by it
    server = urlsplit(token.url).netloc
    return failed(
        f"{first.name} sends one for a token to {server}: {token.words}",
        *all_seen(first),
        Evidence(f"WWW-Authenticate of {first.asked.url}", first.asked.header("www-authenticate")),
        cause=f"Pulls from {first.name} need a token from {server}, which cannot be had.",
        fix=(
            f"# see it for yourself: curl -v {token.url.partition('?')[0]}",
            f"# start it again, or let the firewall or the proxy have {server} as well as {first.host_port}",
        ),
    )


@check(
    "registry.login",
    title="Registries still take the logins that the client has for them",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/reference/cli/docker/login/",
)
def login(registries: Registries) -> Finding:
    """
    A login that has expired is worse than none: the registry refuses it even for what anybody may pull.

    Why it matters: "unauthorized: authentication required", or "denied", for every image of that registry.
    How to fix: log in again, or log out.
    """
    have = [r for r in registries.all if r.login]
    wrong = [r for r in have if r.login == "refused"]
    if not have:
        return skipped("no login was asked to be taken")
    if not wrong:
        return passed(f"{', '.join(r.name for r in have)}: taken")
    first = wrong[0]
    target = "" if first.name == "docker.io" else f" {first.name}"
    return failed(
        f"{first.name} refuses the login that the client has for it",
        seen(first.asked),
        Evidence(first.named_by, f"a login for {first.name}, refused"),
        cause="The password was changed, or the token has expired; the client goes on sending it.",
        fix=(f"docker logout{target}", f"# then, if its images are not for everybody: docker login{target}"),
    )


@check(
    "registry.layers",
    title="The servers that layers come from are reached",
    severity=Severity.ERROR,
    docs="https://docs.docker.com/desktop/setup/allow-list/",
)
def layers(registries: Registries) -> Finding:
    """
    A registry hands out manifests itself and sends one elsewhere for layers: Docker Hub to a content delivery network.

    Why it matters: a pull begins, then hangs at "Pulling fs layer" and "Retrying".
    How to fix: let the firewall or the proxy have that server too.
    """
    at_registry = [r for r in registries.sick if r.asked.answered and r.layer and " layer" in r.trouble]
    if at_registry:
        return _not_sent(at_registry[0])
    tokens = {urlsplit(r.token.url).netloc for r in registries.all if r.token}
    # A registry that is down itself is another matter: what dockerd waits for then is that, by whichever address, or a proxy.
    down = [r for r in registries.all if r.role != "detour" and not r.reached]
    theirs = {a for r in down for a in (split_port(r.host_port)[0], *r.addresses)}
    asked = [r for r in registries.all if r.role == "detour" and r.name not in tokens]
    asked = [r for r in asked if split_port(r.name)[0] not in theirs and not (down and r.named_by == CONNECTING)]
    wrong = [r for r in asked if _out_of_reach(r)]
    if not asked:
        return skipped("no pull failed at another server than its registry's")
    if not wrong:
        return passed(f"{', '.join(r.name for r in asked)}: answering")
    first = wrong[0]
    seen_there = seen(first.asked)
    if first.named_by == CONNECTING:
        return failed(
            f"dockerd waits for {first.name}, which {first.asked.words}",
            seen_there,
            Evidence("/proc/net/tcp", f"dockerd in SYN_SENT towards {first.name}"),
            cause=f"What a pull or push needs now is at {first.name}: a registry, or where one sends for layers. "
            "A firewall drops the connection, or the network wants a proxy.",
            fix=(
                f"# see it for yourself: curl -v {first.asked.url}",
                f"# let the firewall or the proxy have {first.name}",
            ),
        )
    return failed(
        f"layers come from {first.name}, which {first.asked.words}",
        seen_there,
        Evidence("journalctl -u docker.service", f"{first.named_by}, at {first.name}"),
        cause=f"The registry answers, but sends one to {first.name} for layers, and that is out of reach.",
        fix=(
            f"# see it for yourself: curl -v {first.asked.url}",
            f"# let the firewall or the proxy have {first.name} as well as the registry",
        ),
    )


def _out_of_reach(detour: Registry) -> bool:
    """Whether it is so still; of one that is known by its address, a certificate tells nothing."""
    by_name = not split_port(detour.name)[0].replace(".", "").isdigit() and not detour.name.startswith("[")
    return not detour.asked.answered if by_name else detour.asked.layer in {"name", "connect", "proxy"}


def _not_sent(registry: Registry) -> Finding:
    """A registry whose layers we asked for ourselves."""
    layer = registry.layer
    assert layer is not None  # noqa: S101 - chosen by it
    server = urlsplit(layer.url).netloc
    if server == registry.host_port:
        return failed(
            f"{registry.name} gives a manifest and no layer: {layer.words}",
            *all_seen(registry),
            cause="The registry has lost what its manifests list, cannot read it, or something in between keeps it back.",
            fix=(f"# see it for yourself: curl -v {layer.url}", f"# repair {registry.name}, or take another mirror"),
        )
    return failed(
        f"{registry.name} {registry.trouble}",
        *all_seen(registry),
        cause=f"{registry.name} answers and hands out manifests; layers come from {server}, and there one gets none."
        + (" What answers is a filter in between, by its web page." if is_page(layer) or _forbidden(layer) else ""),
        fix=(
            f"# see it for yourself: curl -v {layer.url.partition('?')[0]}",
            f"# let the firewall or the proxy have {server} as well as {registry.host_port}",
        ),
    )


def _forbidden(layer: Attempt) -> bool:
    return layer.status == 403 and "html" in layer.header("content-type")


@check(
    "registry.slow",
    title="Registries answer promptly",
    severity=Severity.WARNING,
    docs="https://docs.docker.com/docker-hub/image-library/mirror/",
)
def slow(registries: Registries, settings: Settings | None = None) -> Finding:
    """
    A pull asks a registry a dozen times, one after the other.

    Why it matters: every pull and build takes minutes.
    How to fix: see what the registry, or the way to it, waits for.
    """
    chosen = settings.preferences.thresholds.registry_seconds if settings else None
    late = SLOW if chosen is None else chosen
    wrong = [r for r in registries.all if r.serves and r.role != "tagged" and r.asked.seconds >= late]
    if not wrong:
        return passed("no registry kept us waiting")
    first = wrong[0]
    return failed(
        f"{first.name} took {first.asked.seconds:.1f} s to answer the first question",
        *(Evidence(f"GET {r.asked.url}", f"{r.asked.words} after {r.asked.seconds:.1f} s") for r in wrong),
        cause="The registry is overloaded, waits for something itself, or the way to it is slow.",
        fix=(f"# see where the time goes: curl -sv -o /dev/null -w '%{{time_total}}' {first.asked.url}",),
    )
